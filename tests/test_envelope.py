"""Envelopes against a search by hand over a table of random numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from testbed.evaluation.envelope import (
    FEWEST_TO_SPLIT,
    NO_ROW,
    Point,
    envelope,
    scheme_points,
    with_nan,
)

RATES = (0.3, 0.5, 0.7)


def table(images: int = 12, draws: int = 3, seed: int = 0, **columns: object) -> pd.DataFrame:
    """Two codecs at two SNRs by three code rates, all PSNRs random."""
    random = np.random.default_rng(seed)
    grid = itertools.product(("layered", "jpeg"), (0.0, 5.0), RATES, range(images), range(draws))
    frame = pd.DataFrame(grid, columns=["codec", "snr_db", "code_rate", "image", "repetition"])
    return frame.assign(
        image="picture " + frame["image"].astype(str), height=32, width=32, channel="awgn",
        cbr=0.25, loss_model="iid", packet_loss=0.0, fading_block="packet", damage="drop",
        fidelity="exact", modulation="qpsk", coding="ldpc", harq="incremental",
        transmissions_allowed=1, erasure_rate=1.0, protection="equal", channel_uses=768,
        psnr_db=random.normal(25, 3, len(frame)), ssim=random.uniform(size=len(frame)),
        failed=False,
    ).assign(**columns)  # fmt: skip


def best(frame: pd.DataFrame) -> list[Point]:
    return envelope(scheme_points(frame), frame["psnr_db"].to_numpy())


def by_hand(frame: pd.DataFrame) -> dict[tuple[str, float], float]:
    """Mean PSNR of each (codec, SNR), image by image and without arrays."""
    values = {}
    for key, rows in frame.groupby(["codec", "snr_db"]):
        names = sorted(set(rows["image"]))
        total = 0.0
        for index, name in enumerate(names):
            others = [n for k, n in enumerate(names) if k % 2 != index % 2]
            if len(names) < FEWEST_TO_SPLIT:
                others = names
            means = rows[rows["image"].isin(others)].groupby("code_rate")["psnr_db"].mean()
            own = rows[(rows["image"] == name) & (rows["code_rate"] == means.idxmax())]
            total += own["psnr_db"].mean()
        values[key] = total / len(names)
    return values


@pytest.mark.parametrize("images", [3, FEWEST_TO_SPLIT - 1, FEWEST_TO_SPLIT, 13])
@pytest.mark.parametrize("seed", range(5))
def test_the_envelope_is_that_of_a_search_by_hand(images: int, seed: int) -> None:
    frame = table(images, seed=seed)
    psnr = frame["psnr_db"].to_numpy()
    found = {(p.codec, p.medium.snr_db): psnr[p.rows].mean() for p in best(frame)}
    assert found == pytest.approx(by_hand(frame))


def test_cross_fitting_takes_no_advantage_of_noise() -> None:
    """All schemes are equally good: the best of 40 looks better, a cross-fitted one does not."""
    random = np.random.default_rng(1)
    plain, fitted = [], []
    frame = pd.concat([table(20, 1, code_rate=rate) for rate in np.linspace(0.1, 0.9, 40)])
    frame = frame[(frame["codec"] == "jpeg") & (frame["snr_db"] == 0)]
    frame = frame.drop_duplicates(["code_rate", "image"]).reset_index(drop=True)
    points = scheme_points(frame)
    for _ in range(100):
        psnr = random.normal(size=len(frame))
        plain.append(max(psnr[point.rows].mean() for point in points))
        (point,) = envelope(points, psnr)
        fitted.append(psnr[point.rows].mean())
    error = np.std(fitted) / np.sqrt(len(fitted))
    assert abs(np.mean(fitted)) < 3 * error
    assert np.mean(plain) > 0.3


def test_the_order_of_rows_changes_nothing() -> None:
    frame = table()
    mixed = frame.sample(frac=1, random_state=1).reset_index(drop=True)
    for one, other in zip(best(frame), best(mixed), strict=True):
        assert (one.codec, one.medium, one.schemes) == (other.codec, other.medium, other.schemes)
        for column in ("psnr_db", "image", "repetition"):
            left, right = frame[column].to_numpy(), mixed[column].to_numpy()
            assert (left[one.rows] == right[other.rows]).all()


def test_points_are_paired_picture_by_picture_and_draw_by_draw() -> None:
    frame = table()
    rows = [point.rows for point in best(frame)]
    for column in ("image", "repetition"):
        values = frame[column].to_numpy()
        assert all((values[each] == values[rows[0]]).all() for each in rows)


def test_real_ideal_uncoded_and_analog_are_never_in_one_envelope() -> None:
    frame = pd.concat(
        [
            table(),
            table(coding="none", code_rate=1.0).drop_duplicates(
                ["codec", "snr_db", "image", "repetition"]
            ),
            table(coding="ideal", modulation="gaussian"),
            table(
                codec="deepjscc", modulation="analog", coding="none", protection="analog",
                code_rate=np.nan,
            ).drop_duplicates(["snr_db", "image", "repetition"]),
        ],
        ignore_index=True,
    )  # fmt: skip
    found = {(point.codec, point.kind) for point in best(frame)}
    assert found == {
        *itertools.product(("layered", "jpeg"), ("real", "ideal", "uncoded")),
        ("deepjscc", "analog"),
    }
    for point in best(frame):
        assert {scheme.kind for scheme in point.schemes} == {point.kind}


def test_of_equal_schemes_the_most_robust_is_taken() -> None:
    for point in best(table(psnr_db=20.0)):
        assert [scheme.code_rate for scheme in point.schemes] == [min(RATES)]


def test_a_loss_model_without_a_mean_is_one_medium() -> None:
    points = best(table(loss_model="trace", packet_loss=np.nan))
    assert len(points) == 4
    assert {point.medium.packet_loss for point in points} == {None}


def test_two_pictures_of_one_name_stay_two() -> None:
    frame = pd.concat([table(), table(seed=1)], ignore_index=True)
    assert {point.rows.shape for point in best(frame)} == {(24, 3)}


def test_trials_that_are_missing_leave_their_places_empty() -> None:
    frame = table()
    whole = {(p.codec, p.medium, p.schemes): p for p in scheme_points(frame)}
    holed = frame.drop(index=[0, 4]).reset_index(drop=True)
    psnr = with_nan(holed["psnr_db"].to_numpy())
    missing = 0
    for point in scheme_points(holed):
        rows = whole[point.codec, point.medium, point.schemes].rows
        there = point.rows != NO_ROW
        assert point.rows.shape == rows.shape
        missing += (~there).sum()
        assert np.isnan(psnr[point.rows][~there]).all()
        expected = frame["psnr_db"].to_numpy()[rows][there]
        assert (psnr[point.rows][there] == expected).all()
    assert missing == 2
    assert len(envelope(scheme_points(holed), psnr)) == 4
