"""comparison.csv and its figures: paired differences, kinds of curves, order, exact pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from run_folders import run_folder
from test_envelope import table

from testbed.commands.run_command import RunOptions, run_scenario
from testbed.errors import ScenarioError
from testbed.evaluation.comparison import compare, write_comparison
from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trials_table import read_table
from testbed.figures.axes import SWEEPS
from testbed.figures.comparison_curves import (
    MOST_OUTAGE_BANDS,
    ComparisonPanels,
    draw_comparison,
    undrawn_comparison,
)
from testbed.figures.comparison_marks import draw_published
from testbed.figures.curve_looks import curve_looks, emphasised
from testbed.figures.drawing import Drawing, save_drawing
from testbed.figures.panels import Panel
from testbed.language.scenario_loading import check_document, load_scenario
from testbed.language.yaml_source import parse_document
from testbed.running.plan import plan

CODECS = ("layered", "jpeg", "deepjscc")
ENDS = ("difference_low_db", "difference_high_db")


def compared(
    frame: pd.DataFrame, outage_db: float = 20.0, protection: str | None = None
) -> pd.DataFrame:
    return compare(frame.reset_index(drop=True), CODECS, "layered", outage_db, protection)[0]


def analog(**columns: object) -> pd.DataFrame:
    given = {"codec": "deepjscc", "modulation": "analog", "coding": "none", "protection": "analog"}
    frame = table(**given, code_rate=np.nan, fidelity="exact", **columns)
    return frame.drop_duplicates(["snr_db", "image", "repetition"])


def run_of(frame: pd.DataFrame, folder: Path, *published: dict[str, Any]) -> RunFolder:
    section = {"outage_psnr_db": 20.0, "published": list(published) or None}
    return run_folder(frame.reset_index(drop=True), folder, comparison=section)


def drawings_of(frame: pd.DataFrame, folder: Path) -> list[Drawing]:
    run = run_of(frame, folder)
    assert undrawn_comparison(run) == 0
    return list(draw_comparison(run, "page"))


def drawn(frame: pd.DataFrame, folder: Path) -> set[str]:
    return {drawing.stem for drawing in drawings_of(frame, folder)}


def point(label: str, snr_db: float, cbr: str = "1/4", **more: object) -> dict[str, Any]:
    """A published one, as in the scenario's canonical form."""
    given = {"label": label, "channel": ["awgn"], "snr_db": snr_db, "cbr": cbr, "psnr_db": 29.0}
    return given | {"size": None} | more


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


# --- The table ------------------------------------------------------------------------------


def test_a_difference_is_paired() -> None:
    """Pictures differ by 5 dB, codecs by 1 dB on each: the difference is known far better."""
    frame = table(24)
    pictures = frame["image"].map({n: 5 * k % 17 for k, n in enumerate(frame["image"].unique())})
    noise = np.random.default_rng(0).normal(0, 0.1, len(frame))
    frame = frame.assign(psnr_db=20 + pictures + (frame["codec"] == "jpeg") + noise)
    rows = compared(frame)
    of_jpeg = rows[rows["codec"] == "jpeg"]
    assert of_jpeg["difference_db"].to_numpy() == pytest.approx(1.0, abs=0.1)
    width = of_jpeg[ENDS[1]] - of_jpeg[ENDS[0]]
    assert (width < 0.1 * (of_jpeg["psnr_high_db"] - of_jpeg["psnr_low_db"])).all()
    assert (of_jpeg["reference"] == "layered, real, equal").all()
    assert rows.loc[rows["codec"] == "layered", "difference_db"].isna().all()


def test_a_difference_is_to_the_curve_of_the_same_kind_over_the_same_medium() -> None:
    ideal = table(coding="ideal", modulation="gaussian", fidelity="exact")
    rows = compared(pd.concat([table(fidelity="tables"), ideal, analog()]))
    words = dict(zip(zip(rows["codec"], rows["kind"], strict=True), rows["reference"], strict=True))
    assert words["jpeg", "ideal"] == "layered, ideal, equal"
    assert words["jpeg", "real"] == "layered, real, equal"
    # Analog codecs have no tier of fidelity: they meet what tables stand for, too.
    assert words["deepjscc", "analog"] == "layered, real, equal"
    by_key = rows.set_index(["codec", "kind", "snr_db"])["psnr_db"]
    for _, row in rows[rows["reference"] != ""].iterrows():
        kind = row["kind"] if row["kind"] != "analog" else "real"
        expected = row["psnr_db"] - by_key["layered", kind, row["snr_db"]]
        assert row["difference_db"] == pytest.approx(expected)


def test_a_difference_is_to_the_same_protection() -> None:
    rows = compared(pd.concat([table(), table(protection="planned", seed=3)]))
    of_jpeg = rows[rows["codec"] == "jpeg"]
    assert (of_jpeg["reference"] == "layered, real, " + of_jpeg["protection"]).all()


def test_a_difference_is_to_the_protection_that_is_asked_for() -> None:
    frame = pd.concat([table(), table(protection="planned", seed=3), analog()])
    rows = compared(frame, protection="planned")
    own = (rows["codec"] == "layered") & (rows["protection"] == "planned")
    assert (rows.loc[~own, "reference"] == "layered, real, planned").all()
    assert (rows.loc[own, "reference"] == "").all()
    # What protection brings is a paired difference as well.
    by_key = rows.set_index(["codec", "protection", "snr_db"])["psnr_db"]
    for _, row in rows[(rows["codec"] == "layered") & ~own].iterrows():
        expected = row["psnr_db"] - by_key["layered", "planned", row["snr_db"]]
        assert row["difference_db"] == pytest.approx(expected)


def test_a_plan_goes_by_its_own_name() -> None:
    frame = pd.concat([table(), table(protection="outage")]).reset_index(drop=True)
    rows, _ = compare(frame, CODECS, "layered", 20.0, None, {"outage"})
    assert (rows.loc[rows["protection"] == "outage", "schemes"] == "outage").all()
    assert not rows.loc[rows["protection"] == "equal", "schemes"].isin(["equal", "outage"]).any()


def test_a_threshold_above_what_exact_pictures_count_as_is_met_by_them() -> None:
    assert (compared(table(psnr_db=np.inf), outage_db=65.0)["outage"] == 0.0).all()


def test_a_loss_that_no_model_states_is_drawn(tmp_path: Path) -> None:
    frame = table(loss_model="jitter", packet_loss=np.nan)
    assert "comparison_psnr_vs_snr_32x32" in drawn(frame, tmp_path)


def test_the_order_of_rows_changes_nothing() -> None:
    frame = pd.concat([table(), analog()])
    one, other = compared(frame), compared(frame.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(one, other)


def test_nothing_lost_of_some_is_not_never() -> None:
    rows = compared(table(psnr_db=30.0))
    assert (rows["failed"] == 0).all()
    assert (rows["outage"] == 0).all()
    # No point of the curve tells how alike a picture's draws are: 12 pictures count as 12.
    assert rows["failed_high"].to_numpy() == pytest.approx(1.96**2 / (12 + 1.96**2), rel=1e-3)
    assert (rows["outage_high"] > 3 / 36).all()


def test_exact_pictures_count_as_stated() -> None:
    rows = compared(table(psnr_db=np.inf))
    assert (rows[["psnr_db", "psnr_low_db", "psnr_q95_db"]] == EXACT_PSNR_DB).all().all()


def test_outage_is_the_share_of_pictures_below() -> None:
    frame = table(psnr_db=np.tile([19.9, 20.0, 25.0], 144))
    rows = compared(frame)
    assert rows["outage"].to_numpy() == pytest.approx(1 / 3)
    assert (rows["psnr_median_db"] == 20.0).all()


def test_further_metrics_have_means_and_shares_have_intervals_that_never_vanish() -> None:
    frame = table()
    frame["task"] = np.where(frame["image"] == "picture 3", np.nan, 1.0)
    frame["ms_ssim"] = frame["ssim"].where(frame["image"] != "picture 3")
    rows, _ = compare(frame, CODECS, "layered", 20.0, shares=["task"])
    assert (rows["task"] == 1.0).all()
    assert (rows["task_low"] < 0.9).all()
    assert rows["ms_ssim"].notna().all()
    assert (rows["ms_ssim_low"] < rows["ms_ssim"]).all()


def test_trials_that_are_missing_are_left_out_of_pairs() -> None:
    frame = table(psnr_db=25.0)
    frame.loc[frame["codec"] == "jpeg", "psnr_db"] = 26.0
    # A failure on one side, a stopping rule on the other.
    gone = (frame["codec"] == "jpeg") & (frame["image"] == "picture 3")
    gone |= (frame["codec"] == "layered") & (frame["repetition"] == 2)
    rows = compared(frame[~gone])
    assert (rows.loc[rows["codec"] == "jpeg", "images"] == 11).all()
    assert (rows.loc[rows["codec"] == "layered", "draws"] == 2).all()
    assert (rows.loc[rows["codec"] == "jpeg", "difference_db"] == 1.0).all()
    assert (rows["psnr_db"] == np.where(rows["codec"] == "jpeg", 26.0, 25.0)).all()


def test_variations_are_compared_each_by_itself(tmp_path: Path) -> None:
    frame = pd.concat([table(), table(psnr_db=30.0)])
    frame.insert(1, "case", np.repeat(["a=1", "a=2"], len(frame) // 2))
    rows = compared(frame)
    assert list(rows)[:2] == ["codec", "case"]
    plain = compared(table())
    pd.testing.assert_frame_equal(
        rows[rows["case"] == "a=1"].drop(columns="case").reset_index(drop=True), plain
    )
    assert (rows.loc[rows["case"] == "a=2", "psnr_db"] == 30.0).all()
    assert drawn(frame, tmp_path) == {
        f"comparison_{name}_vs_snr_32x32_a={k}"
        for name in ("psnr", "ssim", "outage") for k in (1, 2)
    }  # fmt: skip


def test_the_file_is_of_six_digits(tmp_path: Path) -> None:
    file = write_comparison(compared(table()), tmp_path / "comparison.csv")
    read = pd.read_csv(file)
    assert list(read["codec"].unique()) == ["layered", "jpeg"]
    assert read["psnr_db"].to_numpy() == pytest.approx(compared(table())["psnr_db"], rel=1e-5)


# --- The figures ----------------------------------------------------------------------------


def test_figures_of_each_quantity(tmp_path: Path) -> None:
    assert drawn(pd.concat([table(), analog()]), tmp_path) == {
        "comparison_psnr_vs_snr_32x32", "comparison_ssim_vs_snr_32x32",
        "comparison_outage_vs_snr_32x32",
    }  # fmt: skip


def test_curves_are_those_of_the_table_and_faint_ones_single_schemes(tmp_path: Path) -> None:
    frame = table()
    (psnr, *_) = drawings_of(frame, tmp_path)
    faint, bold = [], []
    for line in psnr.figure.axes[0].get_lines():
        (faint if line.get_alpha() else bold).append(list(line.get_ydata()))
    rows = pd.read_csv(tmp_path / "comparison.csv")
    assert bold == [list(own["psnr_db"]) for _, own in rows.groupby("codec", sort=False)]
    means = frame.groupby(["codec", "code_rate", "snr_db"], sort=False)["psnr_db"].mean()
    expected = [list(own) for _, own in means.groupby(["codec", "code_rate"], sort=False)]
    assert sorted(faint) == [pytest.approx(each, rel=1e-5) for each in sorted(expected)]


def test_figures_without_any_real_code(tmp_path: Path) -> None:
    frame = table(coding="none", damage="deliver")
    assert "comparison_psnr_vs_snr_32x32" in drawn(frame, tmp_path)


def test_one_snr_gives_points_by_codec(tmp_path: Path) -> None:
    frame = table()
    assert drawn(frame[frame["snr_db"] == 0.0], tmp_path) == {
        "comparison_psnr_by_codec_32x32", "comparison_ssim_by_codec_32x32",
    }  # fmt: skip


def test_kinds_share_a_panel(tmp_path: Path) -> None:
    frame = pd.concat(
        [
            table(fidelity="tables"),
            table(coding="ideal", modulation="gaussian", fidelity="exact"),
            table(coding="none", modulation="bpsk", fidelity="exact"),
            analog(),
        ]
    )
    frame = frame.drop_duplicates(["codec", "snr_db", "coding", "code_rate", "image", "repetition"])
    panels = ComparisonPanels(run_of(frame, tmp_path))
    assert panels.frame is not None
    (panel,) = panels.of_sweep(panels.frame, SWEEPS[0])
    assert set(panel.rows["kind"]) == {"real", "ideal", "uncoded", "analog"}
    assert panel.title == "AWGN, CBR 1/4, by tables"
    assert len(panel.rows) == len(panels.frame)
    assert panel.behind["scheme"].nunique() == 3
    assert set(panel.behind["coding"]) == {"ldpc"}


def test_settings_are_told_in_full_though_the_table_has_six_digits(tmp_path: Path) -> None:
    panels = ComparisonPanels(run_of(table(cbr=1 / 6), tmp_path))
    assert panels.frame is not None
    (panel,) = panels.of_sweep(panels.frame, SWEEPS[0])
    assert panel.title == "AWGN, CBR 1/6" and len(panel.behind)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (12, ("chosen by the other half of the pictures", "bootstrapped over pictures")),
        (8, ("chosen by the same pictures", "bootstrapped over pictures")),
        (3, ("chosen by the same pictures", "over channel draws, for these pictures alone")),
    ],
)
def test_the_caption_says_what_was_chosen_and_resampled_on(
    images: int, words: tuple[str, ...], tmp_path: Path
) -> None:
    (psnr, *_, outage) = drawings_of(table(images), tmp_path)
    assert all(each in psnr.caption for each in words)
    assert f"{images} pictures of 32x32 pixels, 3 channel draws each." in psnr.caption
    assert "Wilson" in outage.caption and "No point where no outage was met." in outage.caption


def test_an_analog_codec_alone_has_a_panel(tmp_path: Path) -> None:
    panels = ComparisonPanels(run_of(analog(), tmp_path))
    assert panels.frame is not None
    (panel,) = panels.of_sweep(panels.frame, SWEEPS[0])
    assert set(panel.rows["codec"]) == {"deepjscc"} and panel.behind.empty


def test_twelve_codecs_look_different_in_colour_and_in_grey(tmp_path: Path) -> None:
    names = [f"codec{k}" for k in range(12)]
    frame = pd.concat([table(1, 1, codec=name).iloc[:1] for name in names])
    run = run_of(frame, tmp_path)
    looks = emphasised(curve_looks(run, run.statistics), "codec3").values()
    styles = [look.style for look in looks]
    assert len({style["marker"] for style in styles}) == 12
    assert len({(style["color"], style["markerfacecolor"]) for style in styles}) == 12
    most = max(look.emphasis for look in looks)
    assert [look.label for look in looks if look.emphasis == most] == ["codec3"]


def test_many_curves_have_no_bands_of_outage(tmp_path: Path) -> None:
    for count in (MOST_OUTAGE_BANDS, MOST_OUTAGE_BANDS + 1):
        frame = pd.concat([table(6, 2, seed=k, codec=f"codec{k}") for k in range(count)])
        frame = frame.drop_duplicates(["codec", "snr_db", "code_rate", "image", "repetition"])
        *_, outage = drawings_of(frame, tmp_path / str(count))
        _, below = outage.figure.axes
        assert (
            bool(below.collections) == (count <= MOST_OUTAGE_BANDS) == ("Bands" in outage.caption)
        )


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    run = run_of(table(), tmp_path, point("A. N. Other", 5))
    once, again = (
        save_drawing(next(draw_comparison(run, "page")), folder)
        for folder in (tmp_path / "a", tmp_path / "b")
    )
    assert len(once) == 3
    assert [file.read_bytes() for file in once] == [file.read_bytes() for file in again]


# --- The scenario ---------------------------------------------------------------------------

SCENARIO = """\
images: {source: samples32, limit: 6}
codecs: [{type: jpeg}, {type: jpeg2000}]
link: {snr_db: [4, 12], mcs: [2, 9], cbr: 1/6, fidelity: tables}
comparison:
"""


def problem(section: str) -> str:
    text = (SCENARIO.rstrip() + " " + section).encode()
    with pytest.raises(ScenarioError) as caught:
        check_document(parse_document(text, "f.yaml"), Path())
    return str(caught.value)


def test_a_comparison_may_be_empty() -> None:
    document = parse_document((SCENARIO.rstrip() + " {}").encode(), "f.yaml")
    section = check_document(document, Path()).comparison
    assert section is not None
    assert (section.reference, section.outage_psnr_db, section.published) == (None, 20.0, None)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("{reference: jpg}", "comparison.reference: expected a codec's name, found 'jpg': did you"),
        ("{referenz: jpeg}", "unknown key: did you mean 'reference'?"),
        ("{reference_protection: equl}", "expected a protection of the reference, equal, found"),
        ("{published: {label: A, snr_db: 1, psnr_db: 30}}", "cbr: this key is missing"),
        (
            "{published: {label: A, snr_db: 1, cbr: 1/3, psnr_db: 30}}",
            "comparison.published: found awgn, 1 dB and CBR 1/3, which no figure shows",
        ),
        (
            "{published: {label: A, channel: rician, snr_db: 4, cbr: 1/6, psnr_db: 30}}",
            "found rician, 4 dB and CBR 1/6",
        ),
        (
            "{published: {label: A, snr_db: 4, cbr: 1/6, psnr_db: 30, size: 32}}",
            "size: expected width x height such as 384x256, found 32",
        ),
    ],
)
def test_a_comparison_that_is_wrong_is_refused_with_its_line(section: str, words: str) -> None:
    assert words in problem(section)
    assert problem(section).startswith("f.yaml:4:")


@pytest.mark.parametrize(
    ("link", "section", "words"),
    [
        (
            "{snr_db: [4, 8], mcs_table: [1, 2], protection: {policy: table, layers: [{mcs: 5}]}}",
            "{}",
            "link.protection: found two links of layered .* what protection 'table' means",
        ),
        (
            "{snr_db: [4, 8]}",
            "{published: {label: A, snr_db: 4, cbr: 1/3, psnr_db: 30, size: 64x64}}",
            "published.size: expected the size of some picture, 32x32, found 64x64",
        ),
    ],
)
def test_what_shows_only_with_the_pictures_is_refused_before_the_run(
    link: str, section: str, words: str
) -> None:
    text = "images: {source: samples32, limit: 1}\ncodecs: [{type: semantic, name: layered}]\n"
    text += f"link: {link}\ncomparison: {section}\n"
    scenario = check_document(parse_document(text.encode(), "f.yaml"), Path())
    with pytest.raises(ScenarioError, match=words):
        plan(scenario)


def test_two_meanings_of_a_protection_are_refused_also_without_a_comparison() -> None:
    # Statistics and figures would take them for one.
    text = "images: {source: samples32, limit: 1}\ncodecs: {type: jpeg}\nlink: {snr_db: 4}\n"
    text += "sweeps:\n"
    text += "  - {protection: {policy: table, layers: {code_rate: 1/4}}}\n"
    text += "  - {protection: {policy: table, layers: {code_rate: 3/4}}}\n"
    scenario = check_document(parse_document(text.encode(), "f.yaml"), Path())
    with pytest.raises(ScenarioError, match=r"f.yaml:4:1: sweeps: found two links of jpeg"):
        plan(scenario)
    apart = text.replace("1/4}}", "1/4}, name: weak}").encode()
    assert len(plan(check_document(parse_document(apart, "f.yaml"), Path())).trials) == 2


def test_an_analog_reference_has_no_protection() -> None:
    text = "images: samples32\ncodecs: {type: deepjscc}\nlink: {snr_db: [0, 5]}\n"
    text += "comparison: {reference_protection: equal}\n"
    with pytest.raises(ScenarioError, match="deepjscc is an analog codec and has no protection"):
        check_document(parse_document(text.encode(), "f.yaml"), Path())


def test_points_of_one_source_share_a_marker_and_an_entry() -> None:
    points = [point(label, snr_db) for label, snr_db in (("A", 0), ("B", 4), ("A", 8))]
    fixed = {"cbr": 1 / 4, "packet_loss": 0.0, "channel": "awgn"}
    panel = Panel("", pd.DataFrame({"size": ["32x32"]}), fixed)
    axes = Mock()
    entries = draw_published(axes, panel, SWEEPS[0], points)
    first, second, third = (call.kwargs["marker"] for call in axes.plot.call_args_list)
    assert first == third != second
    assert list(entries) == ["A", "B"]


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        ({}, True),
        ({"cbr": "1/3"}, False),
        ({"size": "32x32"}, True),
        ({"size": "64x48"}, False),
        ({"channel": ["rayleigh", "awgn"]}, True),
        ({"channel": ["awgn 0123abcd"]}, True),
        ({"channel": ["awgnish"]}, False),
    ],
)
def test_a_published_point_is_drawn_over_its_medium_alone(
    given: dict[str, Any], holds: bool
) -> None:
    fixed = {"cbr": 1 / 4, "packet_loss": 0.0, "channel": "awgn"}
    panel = Panel("", pd.DataFrame({"size": ["32x32"]}), fixed)
    assert bool(draw_published(Mock(), panel, SWEEPS[0], [point("A", 4) | given])) == holds


def test_schemes_are_compared_at_one_snr() -> None:
    text = SCENARIO.replace("snr_db", "ebn0_db").rstrip() + " {}"
    with pytest.raises(ScenarioError, match="set snr_db"):
        check_document(parse_document(text.encode(), "f.yaml"), Path())


def test_a_run_leaves_the_comparison_in_place_of_a_figure_for_each_scheme(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    published = "{published: {label: A. N. Other, snr_db: 4, cbr: 1/6, psnr_db: 30}}"
    file.write_text(SCENARIO.rstrip() + " " + published)
    run_scenario(file, [], ["testbed"], RunOptions(tmp_path / "out", 1))
    figures = {path.stem for path in (tmp_path / "out" / "figures").glob("*.png")}
    assert {name for name in figures if "_vs_" in name} == {
        f"comparison_{name}_vs_snr_32x32" for name in ("psnr", "ssim", "outage")
    }
    rows = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert list(rows["codec"]) == ["jpeg", "jpeg", "jpeg2000", "jpeg2000"]
    # The best scheme at each SNR, by hand.
    trials = read_table(tmp_path / "out" / "trials.csv")
    keys = ["codec", "snr_db"]
    means = trials.groupby([*keys, "code_rate"])["psnr_db"].mean().groupby(keys).max()
    found = rows.set_index(keys)["psnr_db"]
    assert found.to_dict() == pytest.approx(means.to_dict(), rel=1e-5)


def test_the_shipped_scenario_compares() -> None:
    file = Path(__file__).parent.parent / "scenarios" / "comparison.yaml"
    section = load_scenario(file).comparison
    assert section is not None
    assert section.published is not None
