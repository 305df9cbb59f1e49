"""Figures from tables: what is drawn, what is left out, and the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from testbed.figures.run_figures import (
    EXACT_PSNR_DB,
    MAX_CASES,
    Picture,
    _curve_looks,
    _panels,
    case_stems,
    draw_figures,
    draw_strip,
    read_table,
)
from testbed.language.setting_words import part_words


def table(
    snrs=(0, 5, 10), cbrs=(0.25,), codecs=("layered", "jpeg"), sizes=((32, 32),), losses=(0.0,)
):
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
        for codec in codecs for image in range(3) for repetition in range(2)
        for snr in snrs for cbr in cbrs for h, w in sizes for loss in losses
    ]  # fmt: skip
    return pd.DataFrame(rows)


def drawn(frame: pd.DataFrame, folder: Path) -> set[str]:
    files, skipped = draw_figures(frame, folder)
    assert skipped == 0
    return {file.name for file in files}


def test_one_axis_gives_the_figures_of_that_axis(tmp_path: Path) -> None:
    assert drawn(table(), tmp_path) == {
        "psnr_vs_snr_32x32.png", "psnr_vs_snr_32x32.pdf",
        "ssim_vs_snr_32x32.png", "ssim_vs_snr_32x32.pdf",
    }  # fmt: skip
    bandwidth = drawn(table(snrs=(5,), cbrs=(0.1, 0.2)), tmp_path)
    assert len(bandwidth) == 4
    assert all("_vs_bandwidth_" in name for name in bandwidth)


def test_loss_that_varies_gives_its_figures(tmp_path: Path) -> None:
    # A loss model that does not state its mean has no place on the axis.
    files = drawn(table(snrs=(5,), losses=(0.0, 0.1, 0.2, np.nan)), tmp_path)
    assert {name.rsplit(".", 1)[0] for name in files} == {
        "psnr_vs_loss_32x32", "ssim_vs_loss_32x32",
    }  # fmt: skip


def test_titles_name_what_is_not_the_default() -> None:
    (plain,) = (title for title, _ in _panels(table(), "snr_db"))
    assert plain == "AWGN, 16QAM rate 0.5, CBR 1/4"
    frame = table().assign(
        transmissions_allowed=4, harq="chase", damage="deliver", erasure_rate=0.8, coding="none",
        protection="base_first", packet_loss=0.05, fading_block="image",
    )  # fmt: skip
    (title,) = (title for title, _ in _panels(frame, "snr_db"))
    for word in (
        "uncoded", "4 transmissions", "chase", "errors delivered", "erasure rate 0.8",
        "protection base_first", "loss 5 %", "fade per image",
    ):  # fmt: skip
        assert word in title.replace("\n", " ")


def test_a_setting_that_varies_is_named_at_its_default_too() -> None:
    frame = pd.concat([table(), table().assign(transmissions_allowed=4)])
    titles = [title.replace("\n", " ") for title, _ in _panels(frame, "snr_db")]
    assert [title.rsplit(", ")[-1] for title in titles] == ["1 transmission", "4 transmissions"]


def test_protections_share_a_panel() -> None:
    planned = table().assign(protection="optimised")
    ((title, rows),) = _panels(pd.concat([table(), planned]), "snr_db")
    assert title.replace("\n", " ") == "AWGN, equal: 16QAM rate 0.5, CBR 1/4"
    looks = _curve_looks(rows)
    assert [label for label, _ in looks.values()] == [
        "layered, equal", "jpeg, equal", "layered, optimised", "jpeg, optimised",
    ]  # fmt: skip
    assert len({(look["marker"], look["linestyle"]) for _, look in looks.values()}) == 4
    assert len({look["color"] for _, look in looks.values()}) == 2


def test_one_codec_is_told_apart_by_its_protections() -> None:
    looks = _curve_looks(
        pd.concat(
            [table(codecs=("layered",)), table().assign(codec="layered", protection="oracle")]
        )
    )
    assert [label for label, _ in looks.values()] == ["equal", "oracle"]
    assert len({look["color"] for _, look in looks.values()}) == 2


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


def test_a_single_setting_gives_no_curve(tmp_path: Path) -> None:
    assert drawn(table(snrs=(5,)), tmp_path) == set()


def test_pictures_on_their_side_are_drawn_with_the_upright(tmp_path: Path) -> None:
    files = drawn(table(sizes=((48, 64), (64, 48), (32, 32))), tmp_path)
    assert {name.rsplit("_", 1)[1] for name in files} == {
        "64x48.png", "64x48.pdf", "32x32.png", "32x32.pdf",
    }  # fmt: skip


def test_undefined_metrics_are_left_out(tmp_path: Path) -> None:
    files = drawn(table().assign(ssim=np.nan), tmp_path)
    assert files
    assert not any(name.startswith("ssim") for name in files)


def test_exact_pictures_count_as_stated(tmp_path: Path) -> None:
    from testbed.figures.run_figures import _mean_interval

    group = table(snrs=(5,)).assign(psnr_db=[np.inf, 20.0] * 6)
    mean, low, high = _mean_interval(group, "psnr_db")
    assert mean == pytest.approx((EXACT_PSNR_DB + 20) / 2)
    assert low <= mean <= high
    assert drawn(table().assign(psnr_db=np.inf), tmp_path)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    """Clusters of equal draws: the interval is for images, and covers in about 95 % of tries."""
    from testbed.figures.run_figures import _mean_interval

    random = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        values = np.repeat(random.normal(size=30), 2)
        images = np.repeat(np.arange(30).astype(str), 2)
        frame = pd.DataFrame({"ssim": values, "image": images, "repetition": 0})
        _, low, high = _mean_interval(frame, "ssim")
        covered += low <= 0 <= high
    assert 175 <= covered <= 199


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in drawn(table(), tmp_path / "a") | drawn(table(), tmp_path / "b"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_strip_shows_whole_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    picture = Picture(pixels, "10 dB")
    files = draw_strip(picture, [("a", [picture] * 3), ("b", [picture] * 3)], tmp_path / "strip")
    assert all(file.stat().st_size > 3000 for file in files)


def test_many_settings_go_on_further_pages_and_none_vanishes_unsaid(tmp_path: Path) -> None:
    frame = table(cbrs=tuple(0.1 + 0.01 * k for k in range(20)), codecs=("jpeg",))
    frame = frame.assign(snr_db=frame["snr_db"], image="one").drop(columns="ssim").assign(ssim=0.5)
    one = {"psnr_db": "PSNR in dB"}
    files, skipped = draw_figures(frame[frame["snr_db"] < 7], tmp_path, one)
    pages = {file.stem for file in files if file.stem.startswith("psnr_vs_snr")}
    assert len(pages) == 6
    assert skipped == 20 - 18


def test_variations_have_figures_of_their_own(tmp_path: Path) -> None:
    frame = pd.concat([table().assign(case=case) for case in ("k_db=6", "k/db 6", "")])
    assert {name for name in drawn(frame, tmp_path) if name.endswith(".png")} == {
        f"{metric}_vs_snr_32x32{end}.png"
        for metric in ("psnr", "ssim") for end in ("", "_k_db=6", "_k_db_6")
    }  # fmt: skip
    drawn(table(), tmp_path / "plain")
    name = "psnr_vs_snr_32x32.png"
    assert (tmp_path / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_variations_beyond_the_limit_are_counted(tmp_path: Path) -> None:
    stems = case_stems([f"{k}/2" for k in range(MAX_CASES)] + ["last", "0_2"])
    assert len(set(stems.values())) == MAX_CASES + 1
    assert stems["last"] is None
    assert len(set(case_stems(["a b", "a/b"]).values())) == 2
    few = table(codecs=("jpeg",), snrs=(0, 5))
    frame = pd.concat([few.assign(case=str(k)) for k in range(MAX_CASES + 2)])
    files, skipped = draw_figures(frame, tmp_path, {})
    assert (len(files), skipped) == (0, 2)


def test_uneven_draws_count_by_picture() -> None:
    from testbed.figures.run_figures import _mean_interval

    frame = pd.DataFrame({"ssim": [0.0, 0.0, 0.0, 1.0], "image": ["a", "a", "a", "b"]})
    assert _mean_interval(frame, "ssim")[0] == 0.5


def test_names_stay_text(tmp_path: Path) -> None:
    frame = table().assign(ssim=np.nan).replace({"codec": {"jpeg": "null", "layered": "007"}})
    frame = frame.assign(trial_id="1e5", scenario="nan")[["trial_id", "scenario", *frame]]
    frame.to_csv(tmp_path / "trials.csv", index=False, na_rep="nan")
    read = read_table(tmp_path / "trials.csv")
    assert set(read["codec"]) == {"null", "007"}
    assert set(read["scenario"]) == {"nan"}
    assert read["ssim"].isna().all()
    assert drawn(read, tmp_path)
