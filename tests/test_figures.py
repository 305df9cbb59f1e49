"""Curves of a run: what is drawn and what is not, numbers, names, sizes, the same bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from run_folders import run_folder

from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.evaluation.trials_table import METRICS, read_table
from testbed.figures.axes import SWEEPS
from testbed.figures.curve_looks import curve_looks
from testbed.figures.curves import _information_axis, draw_curves, sweep_panels, undrawn_curves
from testbed.figures.drawing import WIDTHS_IN, Drawing, Width, save_drawing
from testbed.figures.panels import MOST_CASES, MOST_PANELS, Panel, case_ends
from testbed.language.setting_words import part_words

SNR, BANDWIDTH, _ = SWEEPS
PSNR = {"psnr_db": "PSNR (dB)"}


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def table(
    snrs=(0, 5, 10), cbrs=(0.25,), codecs=("layered", "jpeg"), sizes=((32, 32),), losses=(0.0,),
    images=3, draws=2,
):  # fmt: skip
    random = np.random.default_rng(0)
    rows = [
        {
            "codec": codec, "image": f"{h}x{w}-{image}", "height": h, "width": w,
            "repetition": repetition, "channel": "awgn", "snr_db": snr, "modulation": "16qam",
            "code_rate": 0.5, "cbr": cbr,
            "loss_model": "iid", "packet_loss": loss, "fading_block": "packet", "coding": "ldpc",
            "harq": "incremental", "transmissions_allowed": 1, "damage": "drop",
            "fidelity": "exact", "erasure_rate": 1.0, "protection": "equal",
            "psnr_db": 20 + snr + random.normal(), "ssim": 0.5 + snr / 30, "failed": snr < 3,
        }
        for codec in codecs for image in range(images) for repetition in range(draws)
        for snr in snrs for cbr in cbrs for h, w in sizes for loss in losses
    ]  # fmt: skip
    return pd.DataFrame(rows)


def analog(**columns: object) -> pd.DataFrame:
    return table(codecs=("deepjscc",)).assign(
        modulation="analog", code_rate=np.nan, coding="none", protection="analog", **columns
    )


def drawn(frame: pd.DataFrame, folder: Path, width: Width = "page") -> list[Drawing]:
    run = run_folder(frame, folder)
    assert undrawn_curves(run) == 0
    return list(draw_curves(run, width))


def stems(frame: pd.DataFrame, folder: Path) -> set[str]:
    drawings = drawn(frame, folder)
    assert len({drawing.stem for drawing in drawings}) == len(drawings)
    return {drawing.stem for drawing in drawings}


def panels_of(frame: pd.DataFrame, folder: Path) -> list[Panel]:
    return sweep_panels(run_folder(frame, folder).statistics, SNR)


def lines_of(axes: Axes) -> list[Line2D]:
    return [line for line in axes.get_lines() if len(line.get_xdata())]


# --- What is drawn --------------------------------------------------------------------------


def test_one_axis_gives_the_figures_of_that_axis(tmp_path: Path) -> None:
    assert stems(table(), tmp_path) == {"psnr_vs_snr_32x32", "ssim_vs_snr_32x32"}
    bandwidth = stems(table(snrs=(5,), cbrs=(0.1, 0.2)), tmp_path)
    assert bandwidth == {"psnr_vs_bandwidth_32x32", "ssim_vs_bandwidth_32x32"}


def test_loss_that_varies_gives_its_figures(tmp_path: Path) -> None:
    # A loss model that does not state its mean has no place on the axis: it is a point by itself.
    assert stems(table(snrs=(5,), losses=(0.0, 0.1, 0.2, np.nan)), tmp_path) == {
        "psnr_vs_loss_32x32", "ssim_vs_loss_32x32", "psnr_by_codec_32x32", "ssim_by_codec_32x32",
    }  # fmt: skip


def test_lines_and_bands_are_means_and_intervals_of_the_trials(tmp_path: Path) -> None:
    frame = table(images=8)
    (psnr, _) = drawn(frame, tmp_path)
    above, below = psnr.figure.axes
    for line, codec in zip(lines_of(above), ("layered", "jpeg"), strict=True):
        own = frame[frame["codec"] == codec].groupby("snr_db")["psnr_db"].mean()
        assert list(line.get_xdata()) == list(own.index)
        assert list(line.get_ydata()) == pytest.approx(list(own), rel=1e-5)
    failed = 100 * frame.groupby("snr_db")["failed"].mean()
    assert list(lines_of(below)[0].get_ydata()) == pytest.approx(list(failed))
    statistics = pd.read_csv(tmp_path / "statistics.csv")
    bands = [each for each in above.collections if isinstance(each, PolyCollection)]
    for band, (_, rows) in zip(bands, statistics.groupby("codec", sort=False), strict=True):
        ends = set(np.round(band.get_paths()[0].vertices[:, 1], 6))
        assert ends == set(np.round(rows[["psnr_low_db", "psnr_high_db"]].to_numpy().ravel(), 6))
    assert not below.collections


def test_a_single_setting_is_drawn_as_points_by_codec(tmp_path: Path) -> None:
    frame = table(snrs=(5,), images=8)
    drawings = drawn(frame, tmp_path)
    assert [each.stem for each in drawings] == ["psnr_by_codec_32x32", "ssim_by_codec_32x32"]
    axes = drawings[0].figure.axes[0]
    points = [float(line.get_xdata()[0]) for line in lines_of(axes) if len(line.get_xdata()) == 1]
    means = frame.groupby("codec", sort=False)["psnr_db"].mean()
    assert points == pytest.approx(list(means), rel=1e-5)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["layered", "jpeg"]


def test_what_a_curve_goes_through_is_no_point_by_itself(tmp_path: Path) -> None:
    # JPEG has one SNR, of those of the layered codec: it is in the panel of its curve.
    frame = table()
    frame = frame[(frame["codec"] == "layered") | (frame["snr_db"] == 5)]
    (psnr, _) = drawn(frame, tmp_path)
    assert [len(line.get_xdata()) for line in lines_of(psnr.figure.axes[0])] == [3, 1]


def test_pictures_on_their_side_are_drawn_with_the_upright(tmp_path: Path) -> None:
    found = stems(table(sizes=((48, 64), (64, 48), (32, 32))), tmp_path)
    assert {name.rsplit("_", 1)[1] for name in found} == {"64x48", "32x32"}


def test_undefined_metrics_are_left_out(tmp_path: Path) -> None:
    assert stems(table().assign(ssim=np.nan), tmp_path) == {"psnr_vs_snr_32x32"}


def test_there_is_no_band_without_an_interval(tmp_path: Path) -> None:
    frame = table(codecs=("jpeg",), draws=1, images=1)
    (psnr, _) = drawn(frame, tmp_path)
    assert not psnr.figure.axes[0].collections
    assert "No intervals" in psnr.caption


# --- Panels ---------------------------------------------------------------------------------


def test_titles_name_what_is_not_the_default(tmp_path: Path) -> None:
    (plain,) = panels_of(table(), tmp_path)
    assert plain.title == "AWGN, 16QAM rate 0.5, CBR 1/4"
    frame = table().assign(
        transmissions_allowed=4, harq="chase", damage="deliver", erasure_rate=0.8, coding="none",
        protection="base_first", packet_loss=0.05, channel="rayleigh", fading_block="image",
    )  # fmt: skip
    (panel,) = panels_of(frame, tmp_path)
    for word in (
        "uncoded", "4 transmissions", "chase", "errors delivered", "erasure rate 0.8",
        "protection base_first", "loss 5 %", "fade per image",
    ):  # fmt: skip
        assert word in panel.title


def test_a_setting_that_varies_is_named_at_its_default_too(tmp_path: Path) -> None:
    frame = pd.concat([table(), table().assign(transmissions_allowed=4)])
    titles = [panel.title for panel in panels_of(frame, tmp_path)]
    assert [title.rsplit(", ")[-1] for title in titles] == ["1 transmission", "4 transmissions"]


def test_protections_share_a_panel(tmp_path: Path) -> None:
    planned = table().assign(protection="optimised")
    run = run_folder(pd.concat([table(), planned]), tmp_path)
    (panel,) = sweep_panels(run.statistics, SNR)
    assert panel.title == "AWGN, equal: 16QAM rate 0.5, CBR 1/4"
    looks = curve_looks(run, run.statistics)
    assert [look.label for look in looks.values()] == [
        "layered, equal", "layered, optimised", "jpeg, equal", "jpeg, optimised",
    ]  # fmt: skip
    for codec in ("layered", "jpeg"):
        equal, optimised = (looks[codec, name].style for name in ("equal", "optimised"))
        assert equal["color"] == optimised["color"] and equal["marker"] == optimised["marker"]
        assert equal["linestyle"] != optimised["linestyle"]
        assert equal["markerfacecolor"] != optimised["markerfacecolor"]


def test_a_protection_of_a_setting_of_its_own_is_named(tmp_path: Path) -> None:
    planned = table(codecs=("layered",)).assign(protection="optimised", code_rate=0.7)
    titles = [panel.title for panel in panels_of(pd.concat([table(), planned]), tmp_path)]
    assert titles == ["AWGN, 16QAM rate 0.5, CBR 1/4", "AWGN, CBR 1/4, protection optimised"]


def test_analog_codecs_stand_beside_all_that_meets_the_same_medium(tmp_path: Path) -> None:
    frame = pd.concat([table(), table().assign(code_rate=0.75), analog()])
    panels = panels_of(frame, tmp_path)
    assert [set(panel.rows["codec"]) for panel in panels] == [{"layered", "jpeg", "deepjscc"}] * 2
    other = pd.concat([table(), analog(channel="rayleigh")])
    assert [set(panel.rows["codec"]) for panel in panels_of(other, tmp_path)] == [
        {"layered", "jpeg"}, {"deepjscc"},
    ]  # fmt: skip


def test_an_ideal_code_at_capacity_is_one_curve(tmp_path: Path) -> None:
    frame = table().assign(coding="ideal", modulation="gaussian")
    frame["code_rate"] = np.log2(1 + 10 ** (frame["snr_db"] / 10))
    (psnr, _) = drawn(frame, tmp_path)
    assert "ideal code, at capacity, CBR 1/4" in psnr.figure.axes[0].get_title()


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("awgn", "AWGN"),
        ("rician(k_db=6)", "Rician fading (k 6 dB)"),
        ("ofdm(speed_m_s=10, pilot_symbols=[2 11])", "OFDM (speed 10 m/s, pilot symbols [2 11])"),
        ("my_channel(depth=2)", "my channel (depth 2)"),
    ],
)
def test_channels_are_said_in_words(label: str, words: str) -> None:
    assert part_words(label) == words


@pytest.mark.parametrize(
    ("columns", "bits_per_use"),
    [
        ({}, 2.0),
        ({"erasure_rate": 0.8}, 1.6),
        ({"modulation": "gaussian", "coding": "ideal", "code_rate": 2.75}, 2.75),
        ({"coding": "none", "code_rate": 1.0}, 4.0),
        ({"transmissions_allowed": 2}, None),
        ({"protection": "base_first"}, None),
        ({"channel": "ofdm(model=A)"}, None),
        ({"modulation": ["16qam", "qpsk"] * 6}, None),
    ],
)
def test_information_bits_per_pixel(
    columns: dict[str, object], bits_per_use: float | None, tmp_path: Path
) -> None:
    """3 H W CBR channel uses of so many bits each, over H W pixels."""
    frame = table(snrs=(5,), cbrs=(0.1, 0.2), codecs=("jpeg",)).assign(**columns)
    rows = run_folder(frame, tmp_path).statistics
    top = _information_axis(Panel("", rows))
    assert (top and top.factor) == (bits_per_use and pytest.approx(3 * bits_per_use))
    assert _information_axis(Panel("", rows, {"cbr": 0.1})) is None


# --- Figures --------------------------------------------------------------------------------


@pytest.mark.parametrize("width", ["column", "page"])
@pytest.mark.parametrize("cbrs", [(0.25,), (0.1, 0.2, 0.3)])
def test_figures_are_as_wide_as_asked_and_legends_fit(
    width: Width, cbrs: Sequence[float], tmp_path: Path
) -> None:
    names = tuple(f"some_longish_codec_name_{k}" for k in range(9))
    for drawing in drawn(table(cbrs=cbrs, codecs=names, draws=1), tmp_path, width):
        figure = drawing.figure
        figure.draw_without_rendering()
        assert figure.get_figwidth() == WIDTHS_IN[width]
        assert figure.get_figheight() < 10
        legends = [*figure.legends, *(a.get_legend() for a in figure.axes if a.get_legend())]
        (legend,) = legends
        box = legend.get_window_extent()
        assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1
        assert box.y1 <= figure.bbox.y1 + 1
        assert len(legend.get_texts()) == 9
        for axes in figure.axes:
            assert not axes.axison or not axes.get_window_extent().overlaps(box)


def test_many_settings_go_on_in_further_figures_and_none_vanishes_unsaid(tmp_path: Path) -> None:
    cbrs = tuple(round(0.1 + 0.01 * k, 2) for k in range(MOST_PANELS + 2))
    frame = table(cbrs=cbrs, codecs=("jpeg",), images=1, draws=1, snrs=(0, 5))
    run = run_folder(frame, tmp_path, PSNR)
    names = [drawing.stem for drawing in draw_curves(run, "page") if "_vs_snr" in drawing.stem]
    assert names == ["psnr_vs_snr_32x32"] + [f"psnr_vs_snr_32x32_{k}" for k in range(2, 7)]
    assert undrawn_curves(run) == 2


def test_variations_have_figures_of_their_own(tmp_path: Path) -> None:
    frame = pd.concat([table().assign(case=case) for case in ("k_db=6", "k/db 6", "")])
    drawings = drawn(frame, tmp_path / "cases")
    assert {each.stem for each in drawings} == {
        f"{metric}_vs_snr_32x32{end}"
        for metric in ("psnr", "ssim") for end in ("", "_k_db=6", "_k_db_6")
    }  # fmt: skip
    assert drawings[0].figure.axes[0].get_title().startswith("k_db=6\n")


def test_variations_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    ends = case_ends([f"{k}/2" for k in range(MOST_CASES)] + ["last", "0_2"])
    assert len(set(ends.values())) == MOST_CASES + 1
    assert ends["last"] is None
    assert len(set(case_ends(["a b", "a/b", "A B"]).values())) == 3
    few = table(codecs=("jpeg",), snrs=(0, 5), images=1, draws=1)
    frame = pd.concat([few.assign(case=str(k)) for k in range(MOST_CASES + 2)])
    assert undrawn_curves(run_folder(frame, tmp_path)) == 2


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    run = run_folder(table(), tmp_path)
    once, again = (
        save_drawing(next(draw_curves(run, "page")), tmp_path / name) for name in ("a", "b")
    )
    assert len(once) == 3
    assert [file.read_bytes() for file in once] == [file.read_bytes() for file in again]


# --- Captions -------------------------------------------------------------------------------


def test_a_caption_says_what_is_seen(tmp_path: Path) -> None:
    sections = [{"type": "semantic", "name": "layered"}, {"name": "jpeg", "headers": "mosaic"}]
    frame = table(images=8)
    (psnr, _) = draw_curves(run_folder(frame, tmp_path, sections=sections), "page")
    for words in (
        "8 pictures of 32x32 pixels, 2 channel draws each.",
        "Bands are 95 % intervals of the mean, bootstrapped over pictures.",
        "count as mid-grey.",
        "Headers charged: mosaic (jpeg).",
        "Fixed: AWGN, 16QAM rate 0.5, CBR 1/4.",
    ):
        assert words in psnr.caption
    assert "exact" not in psnr.caption and "$" not in psnr.caption


def test_captions_tell_uneven_draws_and_exact_pictures(tmp_path: Path) -> None:
    frame = table().assign(psnr_db=math.inf)
    frame = frame[(frame["snr_db"] < 7) | (frame["repetition"] == 0)]
    (psnr, ssim) = drawn(frame, tmp_path)
    assert "1 to 2 channel draws each." in psnr.caption
    assert f"An exact picture counts as {EXACT_PSNR_DB:g} dB." in psnr.caption
    assert "exact" not in ssim.caption
    assert set(lines_of(psnr.figure.axes[0])[0].get_ydata()) == {EXACT_PSNR_DB}


def test_shares_are_in_percent(tmp_path: Path) -> None:
    words = {"psnr_db": "PSNR (dB)", "ssim": "SSIM", "task": "recognised (share)"}
    frame = table().assign(task=[1.0, 0.0] * 18)
    *_, task = draw_curves(run_folder(frame, tmp_path, words), "page")
    assert task.stem == "task_vs_snr_32x32"
    assert task.figure.axes[0].get_ylabel() == "recognised (%)"
    values = frame.groupby(["codec", "snr_db"], sort=False)["task"].mean()["layered"]
    assert list(lines_of(task.figure.axes[0])[0].get_ydata()) == pytest.approx(list(100 * values))
    assert "Wilson" in task.caption


# --- Tables ---------------------------------------------------------------------------------


def test_names_stay_text(tmp_path: Path) -> None:
    frame = table().assign(ssim=np.nan).replace({"codec": {"jpeg": "null", "layered": "007"}})
    frame = frame.assign(trial_id="1e5", scenario="nan")[["trial_id", "scenario", *frame]]
    assert len(drawn(frame, tmp_path)) == 1
    read = read_table(tmp_path / "trials.csv")
    assert set(read["codec"]) == {"null", "007"}
    assert set(read["scenario"]) == {"nan"}
    assert read["ssim"].isna().all()
    assert set(METRICS) <= set(read)
