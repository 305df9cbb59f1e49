"""Intervals of 95 % for what is measured on pictures x channel draws.

A draw belongs to one picture: all randomness is keyed by picture and repetition
(`transmission.image_randomness`), so that draws are nested in pictures and no fade is common to
two. Means are therefore bootstrapped over whole pictures, each with all of its draws (percentile
method): what the draws add to the variance is in the pictures' own means already, and drawing once
more within each picture would count it twice (Davison and Hinkley, *Bootstrap Methods and their
Application*, 1997, section 3.8). With fewer than FEWEST_IMAGES pictures such an interval covers far
less than it says. There the pictures are held fixed and the draws of each are resampled: the
interval is then one for these pictures alone.

Rates have the interval of Wilson for the number of trials that are worth as much as
independent ones, so that none of N is never known to be none at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from channels.wilson import wilson_interval

BOOTSTRAP_DRAWS = 1000
FEWEST_IMAGES = 5
LEVELS = (0.025, 0.975)
_Z = 1.959963984540054
"""The normal distribution's quantile of .975."""

Interval: TypeAlias = tuple[float, float]
Over: TypeAlias = Literal["images", "draws", "none"]


def resampled(images: int, draws: int) -> Over:
    """What the interval of a mean over images x draws is for."""
    if images >= FEWEST_IMAGES:
        return "images"
    return "draws" if draws > 1 else "none"


def image_interval(means: NDArray[np.float64]) -> Interval:
    """Of the mean over pictures. means: of each picture over its draws, float64 (images,)."""
    random = np.random.default_rng(0)
    chosen = random.integers(len(means), size=(BOOTSTRAP_DRAWS, len(means)))
    low, high = np.quantile(means[chosen].mean(1), LEVELS)
    return float(low), float(high)


def mean_interval(values: NDArray[np.float64]) -> Interval:
    """Of the mean of float64 (images, draws). NaN, NaN where nothing can be resampled."""
    over = resampled(*values.shape)
    if over == "none":
        return math.nan, math.nan
    if over == "images":
        return image_interval(values.mean(1))
    random = np.random.default_rng(0)
    draws = values.shape[1]
    means = np.zeros(BOOTSTRAP_DRAWS)
    for own in values:
        means += own[random.integers(draws, size=(BOOTSTRAP_DRAWS, draws))].mean(1)
    low, high = np.quantile(means / len(values), LEVELS)
    return float(low), float(high)


def intraclass_correlation(events: Iterable[NDArray[np.bool_]]) -> float:
    """How alike the draws of one picture are, 0 .. 1, from bool (images, draws) of several points.

    By analysis of variance, its sums of squares added over the points: where nothing happens, or
    everything, a point says nothing. 1, the cautious end, where no point says anything.
    """
    between = within = 0.0
    draws = 1
    for each in events:
        draws = each.shape[1]
        means = each.mean(1)
        if len(means) > 1 and draws > 1:
            between += draws * float(means.var(ddof=1))
            within += float((means * (1 - means)).mean()) * draws / (draws - 1)
    total = between + (draws - 1) * within
    return min(1.0, max(0.0, (between - within) / total)) if total else 1.0


def rate_interval(events: NDArray[np.bool_], correlation: float) -> Interval:
    """Of the share of true ones in bool (images, draws), by Wilson; 0 <= low < high <= 1.

    NaN, NaN for a single trial, as `mean_interval`.

    correlation: of a picture's draws. N of them are worth N / (1 + (draws - 1) correlation), or
    N where the interval is for these pictures alone.
    """
    images, draws = events.shape
    over = resampled(images, draws)
    if over == "none":
        return math.nan, math.nan
    worth = float(events.size)
    if over == "images":
        worth /= 1 + (draws - 1) * correlation
    return wilson_interval(float(events.mean()), worth, _Z)
