"""Intervals cover what they say, for images, for draws and for rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.evaluation.intervals import (
    intraclass_correlation,
    mean,
    mean_interval,
    mean_intervals,
    means,
    quantiles,
    rate_interval,
    resampled,
)

TRIES = 200


def clusters(random, images: int, draws: int, within: float = 1.0):
    """Gaussian pictures of variance 1, and Gaussian draws of each."""
    means = random.normal(size=(images, 1))
    return means + within * random.normal(size=(images, draws))


@pytest.mark.parametrize(("draws", "within"), [(1, 1.0), (2, 3.0), (8, 0.3)])
def test_the_interval_over_images_covers_as_often_as_it_says(draws: int, within: float) -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(TRIES):
        low, high = mean_interval(clusters(random, 30, draws, within))
        covered += low <= 0 <= high
    # Of 95 %: three standard errors, and what the percentile method lacks at 30 images.
    assert 0.90 <= covered / TRIES <= 0.99


def test_the_interval_over_draws_is_for_these_images_alone() -> None:
    random = np.random.default_rng(2)
    images = np.array([[10.0], [20.0], [30.0]])
    covered = 0
    for _ in range(TRIES):
        low, high = mean_interval(images + random.normal(size=(3, 40)))
        covered += low <= 20.0 <= high
        assert high - low < 1.0
    assert 0.90 <= covered / TRIES <= 0.99


def test_what_is_resampled() -> None:
    assert [resampled(5, 1), resampled(4, 2), resampled(4, 1)] == ["images", "draws", "none"]
    assert all(math.isnan(end) for end in mean_interval(np.ones((4, 1))))


def test_the_interval_of_a_rate_covers_clustered_events() -> None:
    """Pictures differ in their chance of an outage: Beta(1, 4), mean 1/5, correlation 1/6."""
    random = np.random.default_rng(3)
    covered = 0
    correlations = []
    for _ in range(TRIES):
        chances = random.beta(1, 4, size=(60, 1))
        events = random.random((60, 10)) < chances
        correlations.append(intraclass_correlation([events]))
        low, high = rate_interval(events, correlations[-1])
        covered += low <= 0.2 <= high
    assert 0.90 <= covered / TRIES <= 0.99
    assert np.mean(correlations) == pytest.approx(1 / 6, abs=0.02)


def test_alike_draws_are_worth_one() -> None:
    alike = np.repeat(np.arange(20) < 5, 6).reshape(20, 6)
    assert intraclass_correlation([alike]) == pytest.approx(1.0)
    assert rate_interval(alike, 1.0) == pytest.approx(rate_interval(alike[:, :1], 1.0))


def test_correlation_is_zero_at_independence_and_cautious_without_events() -> None:
    random = np.random.default_rng(4)
    points = [random.random((200, 5)) < chance for chance in (0.1, 0.5, 0.0)]
    assert intraclass_correlation(points) < 0.03
    assert intraclass_correlation([np.zeros((20, 5), bool)]) == 1.0


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_none_of_n_is_not_never(correlation: float) -> None:
    """The rule of three: at least 3 / N of what the N are worth."""
    low, high = rate_interval(np.zeros((24, 10), bool), correlation)
    worth = 240 / (1 + 9 * correlation)
    assert low == 0.0
    assert 3 / worth * 0.85 < high < 4 / worth
    assert rate_interval(np.ones((24, 10), bool), correlation) == pytest.approx((1 - high, 1.0))


@given(st.integers(0, 60), st.floats(0, 1))
def test_a_rate_lies_within_its_interval(events: int, correlation: float) -> None:
    values = (np.arange(60) < events).reshape(12, 5)
    low, high = rate_interval(values, correlation)
    assert 0 <= low <= events / 60 <= high <= 1
    assert low < high


# --- Pictures of different numbers of draws, NaN where there is none -------------------------


def holed(random, values):
    """With half of the draws gone, but for the first of each picture."""
    gone = random.random(values.shape) < 0.5
    gone[:, 0] = False
    return np.where(gone, np.nan, values)


def test_uneven_draws_are_covered_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(TRIES):
        low, high = mean_interval(holed(random, clusters(random, 30, 6, 2.0)))
        covered += low <= 0 <= high
    assert 0.90 <= covered / TRIES <= 0.99


def test_rates_of_uneven_draws_are_covered_as_often_as_it_says() -> None:
    random = np.random.default_rng(6)
    covered = 0
    correlations = []
    for _ in range(TRIES):
        chances = random.beta(1, 4, size=(60, 1))
        events = holed(random, (random.random((60, 10)) < chances).astype(float))
        correlations.append(intraclass_correlation([events]))
        low, high = rate_interval(events, correlations[-1])
        covered += low <= 0.2 <= high
    assert 0.90 <= covered / TRIES <= 0.99
    assert np.mean(correlations) == pytest.approx(1 / 6, abs=0.02)


def test_draws_that_are_absent_from_all_pictures_change_nothing() -> None:
    random = np.random.default_rng(7)
    values = clusters(random, 8, 4)
    padded = np.hstack([values, np.full((8, 2), np.nan)])
    assert mean(padded) == pytest.approx(mean(values))
    assert mean_interval(padded) == pytest.approx(mean_interval(values))
    levels = [0.0, 0.05, 0.5, 0.95, 1.0]
    assert quantiles(padded[None], levels) == pytest.approx(quantiles(values[None], levels))
    assert quantiles(values[None], levels)[0] == pytest.approx(np.quantile(values, levels))
    events, more = values > 0, np.where(np.isnan(padded), np.nan, padded > 0)
    assert intraclass_correlation([more]) == pytest.approx(intraclass_correlation([events]))
    assert rate_interval(more, 0.3) == pytest.approx(rate_interval(events, 0.3))


def test_every_picture_weighs_the_same() -> None:
    values = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, np.nan, np.nan, np.nan]])
    assert mean(values) == 0.5
    # Of weights 1/4, 1/4, 1/4, 1/4, 1: the trials stand at 0, .2, .4, .6 (/ .8 + .2) and 1.
    expected = np.interp([0.5], [0, 0.25 / 1.375, 0.5 / 1.375, 0.75 / 1.375, 1], [0, 0, 0, 0, 1])
    assert quantiles(values[None], [0.5])[0] == pytest.approx(expected)


def test_a_stack_has_the_values_of_its_parts() -> None:
    random = np.random.default_rng(8)
    values = clusters(random, 9, 3)
    for stack in (np.stack([values, values**2]), np.stack([values, holed(random, values)])):
        assert means(stack).tolist() == [mean(each) for each in stack]
        assert mean_intervals(stack).tolist() == [list(mean_interval(each)) for each in stack]


def test_nothing_has_no_statistics() -> None:
    nothing = np.full((3, 2), np.nan)
    assert math.isnan(mean(nothing))
    assert all(math.isnan(end) for end in mean_interval(nothing))
    assert all(math.isnan(end) for end in rate_interval(nothing, 0.5))
    assert np.isnan(quantiles(nothing[None], [0.5])).all()
    assert intraclass_correlation([nothing]) == 1.0
