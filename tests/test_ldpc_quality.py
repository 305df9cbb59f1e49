"""The measurement of decoder quality: its statistics on known curves, and the command."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from channels.bench_ldpc_quality import (
    QualityBench,
    QualityPoint,
    esn0_db_at,
    gap_at_target,
)
from channels.errors import ChannelError
from testbed.studies import ldpc_quality
from testbed.studies.ldpc_quality import reproduce_ldpc_quality


def test_as_good_as_the_exact_sum_product_rule() -> None:
    """Offset min-sum is an approximation; its layered schedule makes up for what that costs."""
    bench = QualityBench(256, 1 / 3, 400)
    points = [bench.point(esn0_db) for esn0_db in (-0.9, -0.7, -0.5)]
    ours = [len(point.wrong) for point in points]
    reference = [len(point.reference_wrong) for point in points]
    # The same words and noise at every SNR: both curves fall, and both decoders fail on much the
    # same words, so that a decoder half a decibel worse would stand out.
    assert ours == sorted(ours, reverse=True)
    assert reference == sorted(reference, reverse=True)
    assert 10 < reference[0] < 270
    assert sum(ours) <= 1.25 * sum(reference)
    shared = set(points[0].wrong) & set(points[0].reference_wrong)
    assert len(shared) > 0.5 * ours[0]


def test_a_word_has_its_fate_whatever_the_number_of_words() -> None:
    many = QualityBench(128, 1 / 2, 300).point(1.5)
    few = QualityBench(128, 1 / 2, 100).point(1.5)
    assert few.wrong == tuple(i for i in many.wrong if i < 100)
    assert few.reference_wrong == tuple(i for i in many.reference_wrong if i < 100)
    assert QualityBench(128, 1 / 2, 100, seed=1).point(1.5) != few


def test_a_curve_encloses_the_target_and_takes_known_points_as_they_are() -> None:
    bench = QualityBench(64, 1 / 2, 300)
    measured: list[QualityPoint] = []
    points = bench.curve(done=measured.append)
    esn0_db = [point.esn0_db for point in points]
    assert esn0_db == sorted(point.esn0_db for point in measured)
    np.testing.assert_allclose(np.diff(esn0_db), esn0_db[1] - esn0_db[0], atol=1e-9)
    first, last = points[0], points[-1]
    assert min(len(first.wrong), len(first.reference_wrong)) >= 30
    assert max(len(last.wrong), len(last.reference_wrong)) <= 1
    again: list[QualityPoint] = []
    known = {point.esn0_db: point for point in points[1:]}
    assert bench.curve(known, again.append) == points
    assert again == [first]


def test_crossing_of_an_error_rate() -> None:
    assert esn0_db_at(0.01, [0.0, 1.0, 2.0], [0.5, 0.1, 0.001]) == pytest.approx(1.5)
    assert esn0_db_at(0.1, [0.0, 1.0], [1.0, 0.01]) == pytest.approx(0.5)
    # Not enclosed: above, below, or only by a point without errors.
    assert esn0_db_at(0.01, [0.0, 1.0], [0.5, 0.1]) is None
    assert esn0_db_at(0.9, [0.0, 1.0], [0.5, 0.1]) is None
    assert esn0_db_at(0.01, [0.0, 1.0], [0.5, 0.0]) is None


def synthetic_points(shift_db: float, words: int, seed: int, own: float) -> list[QualityPoint]:
    """Each decoder needs an SNR of its own for each word: exponential, a decade per .5 dB.

    Ours needs `shift_db` more, and both differ by noise of `own` dB, alike for both.
    """
    random = np.random.default_rng(seed)
    needed = random.exponential(0.5 / np.log(10), words)
    ours = needed + shift_db + own * random.standard_normal(words)
    reference = needed + own * random.standard_normal(words)
    return [
        QualityPoint(
            esn0_db,
            words,
            tuple(np.flatnonzero(ours > esn0_db).tolist()),
            tuple(np.flatnonzero(reference > esn0_db).tolist()),
        )
        for esn0_db in np.arange(0.2, 2.0, 0.2).round(1).tolist()
    ]


@pytest.mark.parametrize("shift_db", [-0.2, 0.0, 0.15])
def test_the_gap_of_shifted_curves(shift_db: float) -> None:
    gap = gap_at_target(synthetic_points(shift_db, 50_000, 1, own=0.0))
    assert gap is not None
    # P(needed > x) = 10^(-x / .5) is 1 % at 1 dB.
    assert gap.reference_db == pytest.approx(1.0, abs=0.03)
    assert gap.ours_db == pytest.approx(1.0 + shift_db, abs=0.03)
    assert gap.gap_db == pytest.approx(shift_db, abs=0.03)
    if shift_db == 0.0:
        # The same fates: nothing is uncertain about the gap, whatever the curves' own errors.
        assert gap.gap_db == gap.low_db == gap.high_db == 0.0


def test_the_interval_holds_the_true_gap_about_as_often_as_it_says() -> None:
    inside, widths = 0, []
    for seed in range(60):
        gap = gap_at_target(synthetic_points(0.1, 3000, seed, own=0.1))
        assert gap is not None
        inside += gap.low_db <= 0.1 <= gap.high_db
        widths.append(gap.high_db - gap.low_db)
    # 95 % of 60 are 57; fewer than 50 of them have a probability of 1e-4.
    assert inside >= 50
    assert 0.02 < np.median(widths) < 0.2


def test_curves_that_do_not_enclose_the_target_have_no_gap() -> None:
    all_wrong = tuple(range(100))
    points = [QualityPoint(x, 100, all_wrong, all_wrong) for x in (0.0, 1.0)]
    assert gap_at_target(points) is None


def test_no_words() -> None:
    with pytest.raises(ChannelError, match="at least 1 word, found 0"):
        QualityBench(64, 1 / 2, 0)


def test_the_command_goes_on_where_it_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ldpc_quality, "INFORMATION_BITS", (64, 96))
    monkeypatch.setattr(ldpc_quality, "CODE_RATES", (Fraction(1, 2),))
    reproduce_ldpc_quality(200, tmp_path / "whole")
    assert "largest gap" in capsys.readouterr().out

    point = QualityBench.point
    measured: list[float] = []

    def interrupted(bench: QualityBench, esn0_db: float) -> QualityPoint:
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append(esn0_db)
        return point(bench, esn0_db)

    out = tmp_path / "resumed"
    partial = out / "ldpc_quality.partial.jsonl"
    monkeypatch.setattr(QualityBench, "point", interrupted)
    with pytest.raises(KeyboardInterrupt):
        reproduce_ldpc_quality(200, out)
    with partial.open("a") as file:
        file.write('\n[[64, 128, 200, "torn')

    def not_again(bench: QualityBench, esn0_db: float) -> QualityPoint:
        assert bench.k != 64 or esn0_db not in measured
        return point(bench, esn0_db)

    monkeypatch.setattr(QualityBench, "point", not_again)
    reproduce_ldpc_quality(200, out)
    assert not partial.exists()
    written = {path.name for path in out.iterdir()}
    assert written == {"ldpc_quality.csv", "ldpc_quality.png", "ldpc_quality.pdf"}
    for name in ("ldpc_quality.csv", "ldpc_quality.png"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()

    table = pd.read_csv(out / "ldpc_quality.csv")
    assert set(table["code_rate"]) == {"1/2"}
    for k, curve in table.groupby("k"):
        assert (curve["n"] == 2 * k).all()
        assert (curve["words"] == 200).all()
        gap = curve.iloc[0]
        assert gap["gap_db"] == pytest.approx(
            gap["ours_at_1_percent_db"] - gap["reference_at_1_percent_db"], abs=2e-3
        )
        assert gap["gap_low_db"] <= gap["gap_db"] <= gap["gap_high_db"]
