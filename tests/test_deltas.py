"""Distances between curves, against published values and what a hand computes."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trials_table import SETTING_COLUMNS
from testbed.reporting.paper.curve_distance import (
    Curve,
    bjontegaard,
    delta_of,
    mean_over,
    mean_snr_db,
)
from testbed.reporting.paper.deltas import curves, deltas, pairs, write_deltas

RATES = np.array([0.1, 0.2, 0.4, 0.8])
PSNRS_DB = np.array([25.0, 28.0, 31.5, 34.0])


def curve(x: Any, quality: Any, axis: str = "cbr", codec: str = "a", **held: str) -> Curve:
    return Curve(
        "points", axis, "psnr_db", codec, "real", {"protection": "equal"} | held,
        np.array(x, np.float64), np.array(quality, np.float64),
    )  # fmt: skip


# Rates and PSNRs of JCTVC-E137, and the BD-rates that its sheet gives for them, as Netflix's VMAF
# and Android's tests quote them.
E137 = [
    (
        ([18883.6928, 33905.6656, 61279.976, 108048.8736], [34.2911, 37.247, 40.3953, 43.6471]),
        ([18910.912, 33928.7472, 61299.9936, 108061.2784], [34.3147, 37.2761, 40.4232, 43.6768]),
        -0.465215420752807,
    ),
    (
        ([1017.6184, 2394.488, 7622.7456, 40433.8848], [32.0603, 33.8977, 35.3756, 37.5761]),
        ([1017.0984, 2390.0944, 7587.0024, 40370.12], [32.0822, 33.9194, 35.4025, 37.5982]),
        -1.8779823450567612,
    ),
]


@pytest.mark.parametrize(("anchor", "test", "percent"), E137)
def test_published_values(anchor: Any, test: Any, percent: float) -> None:
    four = [np.array(each) for each in (*anchor, *test)]
    assert bjontegaard(*four)[1] == pytest.approx(percent, abs=1e-9)


def test_half_the_rate_is_minus_50_percent() -> None:
    delta = delta_of(curve(RATES, PSNRS_DB), curve(RATES / 2, PSNRS_DB))
    assert delta.bd_rate_percent == pytest.approx(-50)
    assert delta.bd_db > 0
    assert delta.reason == ""


def test_parallel_curves_are_their_shift_apart() -> None:
    delta = delta_of(curve(RATES, PSNRS_DB), curve(RATES, PSNRS_DB + 1.25))
    assert delta.bd_db == pytest.approx(1.25)
    assert delta.bd_rate_percent < 0
    assert (delta.common_low, delta.common_high) == (0.1, 0.8)


def test_direction_reverses() -> None:
    one, other = curve(RATES, PSNRS_DB), curve(RATES * [1, 1.1, 1.3, 1.2], PSNRS_DB + 0.5)
    there, back = delta_of(one, other), delta_of(other, one)
    assert there.bd_db == pytest.approx(-back.bd_db)
    assert (1 + there.bd_rate_percent / 100) * (1 + back.bd_rate_percent / 100) == pytest.approx(1)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (curve(RATES[:3], PSNRS_DB[:3], codec="b"), "b has 3 points, and 4 are needed"),
        (
            curve(RATES, [25, 28, 27, 34], codec="b"),
            "the PSNR of b does not rise from rate 0.2 to 0.4",
        ),
        (curve(RATES * 10, PSNRS_DB, codec="b"), "the curves have no range in common"),
        (curve(RATES, PSNRS_DB + 20, codec="b"), "no PSNR is reached by both curves"),
        (curve([0.1, 0.2, 0.2, 0.8], PSNRS_DB, codec="b"), "b has several points at one rate"),
    ],
)
def test_what_is_refused_says_why(other: Curve, reason: str) -> None:
    delta = delta_of(curve(RATES, PSNRS_DB), other)
    assert delta.reason == reason
    assert math.isnan(delta.bd_db) and math.isnan(delta.bd_rate_percent)


def test_snr_gain_of_a_shift_is_the_shift() -> None:
    """The same curve 3 dB earlier; the level ends add nothing."""
    snrs = [0.0, 4.0, 8.0, 12.0, 16.0]
    quality = [10.0, 10.0, 18.0, 30.0, 30.0]
    anchor = curve(snrs, quality, "snr_db")
    earlier = curve([snr - 3 for snr in snrs], quality, "snr_db")
    delta = delta_of(anchor, earlier)
    assert delta.snr_gain_db == pytest.approx(3)
    assert math.isnan(delta.bd_db)
    # By hand: lines from (4, 10) to (8, 18) to (12, 30); means 6 and 10, by 8 and 12 dB of PSNR.
    assert mean_snr_db(anchor, 10, 30) == pytest.approx((8 * 6 + 12 * 10) / 20)


def test_mean_difference_along_the_snr() -> None:
    anchor, other = curve([0, 10], [10, 20], "snr_db"), curve([4, 12], [20, 20], "snr_db")
    # Common: 4 to 10 dB, where the anchor runs from 14 to 20.
    assert mean_over(anchor, 4, 10) == pytest.approx(17)
    assert delta_of(anchor, other).mean_difference_db == pytest.approx(3)


def test_a_falling_curve_has_a_mean_difference_and_no_gain() -> None:
    delta = delta_of(
        curve([0, 5, 10], [10, 20, 30], "snr_db"), curve([0, 5, 10], [12, 11, 31], "snr_db", "b")
    )
    assert delta.reason == "the PSNR of b falls from 0 to 5 dB of SNR"
    assert math.isnan(delta.snr_gain_db) and not math.isnan(delta.mean_difference_db)


def _statistics(rows: list[dict[str, Any]]) -> pd.DataFrame:
    plain: dict[str, Any] = {
        "case": "", "channel": "awgn", "snr_db": 10.0, "modulation": "16qam", "code_rate": 0.5,
        "coding": "ldpc", "cbr": 0.1, "loss_model": "iid", "packet_loss": 0.0,
        "fading_block": "packet", "harq": "incremental", "transmissions_allowed": 1,
        "damage": "drop", "fidelity": "exact", "erasure_rate": 1.0, "protection": "equal",
        "size": "32x32", "failed": 0.0, "bpp": 0.0,
    }  # fmt: skip
    assert set(SETTING_COLUMNS) <= set(plain)
    return pd.DataFrame([plain | row for row in rows])


def _run(statistics: pd.DataFrame, names: tuple[str, ...]) -> RunFolder:
    run = RunFolder(
        Path("nowhere"),
        {
            "scenario": {"name": "made"}, "codec_labels": dict.fromkeys(names, ""),
            "reference": names[-1],
            "metrics": {"psnr_db": {"label": "PSNR (dB)", "higher_is_better": True},
                        "ssim": {"label": "SSIM", "higher_is_better": True}},
        },
        Path("nowhere"),
    )  # fmt: skip
    run.__dict__["statistics"] = statistics
    return run


def test_curves_of_a_run_and_who_meets_whom(tmp_path: Path) -> None:
    """The reference, though it comes last, is the anchor; the analog codec meets both."""
    analog = {"modulation": "analog", "coding": "analog", "protection": "analog"}
    rows = [
        {"codec": codec, "cbr": cbr, "cbr_used": cbr * scale, "psnr_db": 100 * cbr + 20, **more}
        for codec, scale, more in (("new", 0.5, {}), ("learned", 1, analog), ("old", 1, {}))
        for cbr in (0.1, 0.2, 0.3, 0.4)
    ]
    # A budget too small for anything: mid-grey, and no point of a curve.
    rows.append({"codec": "old", "cbr": 0.05, "cbr_used": 0.05, "psnr_db": 11.0, "failed": 1.0})
    run = _run(_statistics(rows), ("new", "learned", "old"))
    found = {
        (anchor.codec, each.codec): delta_of(anchor, each)
        for anchor, each in pairs(curves(run), run)
    }
    assert list(found) == [("old", "new"), ("old", "learned"), ("new", "learned")]
    assert found["old", "new"].bd_rate_percent == pytest.approx(-50)
    assert found["old", "learned"].bd_db == pytest.approx(0)
    assert found["new", "learned"].bd_rate_percent == pytest.approx(100)
    path = write_deltas(deltas([run]), tmp_path)
    table = pd.read_csv(path)
    assert table["bd_rate_percent"].tolist() == pytest.approx([-50, 0, 100], abs=1e-4)
    assert table["modulation"].tolist() == ["16qam"] * 3
    assert table["reference_points"].tolist() == [4, 4, 4]
    assert path.read_bytes() == write_deltas(deltas([run]), tmp_path).read_bytes()


def test_settings_do_not_mix() -> None:
    """Other channels, sizes and codes are other curves; equal settings meet alone."""
    rows = [
        {"codec": codec, "snr_db": snr, "cbr_used": 0.1, "psnr_db": snr + offset, **more}
        for more in ({}, {"channel": "rayleigh"}, {"size": "64x64"}, {"code_rate": 0.75})
        for codec, offset in (("a", 20.0), ("b", 21.0))
        for snr in (0.0, 5.0, 10.0)
    ]
    run = _run(_statistics(rows), ("b", "a"))
    met = list(pairs(curves(run), run))
    assert len(met) == 4
    for anchor, each in met:
        assert anchor.held == each.held
        assert delta_of(anchor, each).mean_difference_db == pytest.approx(1)
        assert delta_of(anchor, each).snr_gain_db == pytest.approx(1)
