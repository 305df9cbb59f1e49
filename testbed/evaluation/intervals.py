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

Values come as float64 (images, draws), NaN where a picture has no such draw: pictures may have
different numbers of draws. A mean is that of the pictures' own means, so that every picture counts
the same however many draws it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from channels.wilson import wilson_interval

BOOTSTRAP_DRAWS = 1000
FEWEST_IMAGES = 5
LEVELS = (0.025, 0.975)
_BLOCK = 1 << 16
"""Resampled values at a time: few enough to stay in a processor's cache."""
_KEPT = 1 << 23
"""Resampled pictures that are remembered, 2 bytes each: points with as many pictures share them."""
_Z = 1.959963984540054
"""The normal distribution's quantile of .975."""

Interval: TypeAlias = tuple[float, float]
Over: TypeAlias = Literal["images", "draws", "none"]


def resampled(images: int, draws: int) -> Over:
    """What the interval of a mean over images x draws is for. draws: the fewest of a picture."""
    if images >= FEWEST_IMAGES:
        return "images"
    return "draws" if draws > 1 else "none"


def draw_counts(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """How many draws each picture has, intp (images,)."""
    counts: NDArray[np.intp] = np.count_nonzero(~np.isnan(values), axis=1)
    return counts


def measured(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without the pictures that have no draw at all."""
    missing = np.isnan(values)
    return values[~missing.all(1)] if missing.any() else values


def image_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each picture over its draws, float64 (images,); NaN for one without any."""
    missing = np.isnan(values)
    found: NDArray[np.float64]
    if not missing.any():
        found = values.mean(1)
    else:
        counts = draw_counts(values)
        sums = np.where(missing, 0.0, values).sum(1)
        found = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return found


def means(stack: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over pictures, of their means, of each of float64 (k, images, draws); NaN without any."""
    if stack.size and not np.isnan(stack).any():
        whole: NDArray[np.float64] = stack.reshape(len(stack), -1).mean(1)
        return whole
    found = [image_means(measured(each)) for each in stack]
    return np.array([each.mean() if len(each) else np.nan for each in found])


def mean(values: NDArray[np.float64]) -> float:
    """As `means`, of one."""
    return float(means(values[None])[0])


def quantiles(stack: NDArray[np.float64], levels: Sequence[float]) -> NDArray[np.float64]:
    """Of the trials of each of float64 (k, images, draws), (k, levels); NaN without any.

    They are interpolated linearly, every picture weighing the same. With as many draws of each
    picture they are the common ones. Otherwise the k-th of the sorted trials, of weight w_k, stands
    at w_1 + ... + w_(k-1) + w_k / 2, scaled to go from 0 to 1.
    """
    if stack.size and not np.isnan(stack).any():
        found: NDArray[np.float64] = np.quantile(stack.reshape(len(stack), -1), levels, axis=1)
        return found.T
    return np.array([_weighted_quantiles(measured(each), levels) for each in stack])


def _weighted_quantiles(
    values: NDArray[np.float64], levels: Sequence[float]
) -> NDArray[np.float64]:
    if not len(values):
        return np.full(len(levels), np.nan)
    there = ~np.isnan(values)
    weights = np.broadcast_to(1 / draw_counts(values)[:, None], values.shape)[there]
    order = np.argsort(values[there], kind="stable")
    weights = weights[order]
    places = np.cumsum(weights) - weights / 2
    places -= places[0]
    # A single trial stands everywhere.
    places /= places[-1] or 1.0
    return np.interp(levels, places, values[there][order])


def image_interval(of_images: NDArray[np.float64]) -> Interval:
    """Of the mean over pictures. of_images: each one's over its draws, float64 (images,)."""
    low, high = _image_intervals(of_images[None])[0].tolist()
    return low, high


def _image_intervals(of_images: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k, 2), from the pictures' means (k, images)."""
    found = np.empty((len(of_images), BOOTSTRAP_DRAWS))
    start = 0
    for chosen in _resamples(of_images.shape[1]):
        part = found[:, start : start + len(chosen)]
        for own, to in zip(of_images, part, strict=True):
            to[:] = own[chosen].mean(1)
        start += len(chosen)
    return np.quantile(found, LEVELS, axis=1).T


def _resamples(images: int) -> Iterator[NDArray[np.integer[Any]]]:
    """BOOTSTRAP_DRAWS resamples in parts (resamples, images), always the same."""
    if images * BOOTSTRAP_DRAWS > _KEPT:
        yield from _drawn(images)
        return
    kept = _kept_resamples(images)
    step = max(1, _BLOCK // images)
    for start in range(0, BOOTSTRAP_DRAWS, step):
        yield kept[start : start + step].astype(np.intp)


@lru_cache(maxsize=2)
def _kept_resamples(images: int) -> NDArray[np.uint16]:
    kept = np.empty((BOOTSTRAP_DRAWS, images), np.uint16)
    start = 0
    for chosen in _drawn(images):
        kept[start : start + len(chosen)] = chosen
        start += len(chosen)
    return kept


def _drawn(images: int) -> Iterator[NDArray[np.int64]]:
    random = np.random.default_rng(0)
    step = max(1, _BLOCK // images)
    for start in range(0, BOOTSTRAP_DRAWS, step):
        yield random.integers(images, size=(min(step, BOOTSTRAP_DRAWS - start), images))


def mean_intervals(stack: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of `means`, (k, 2). NaN where nothing can be resampled."""
    if stack.shape[1] >= FEWEST_IMAGES and not np.isnan(stack).any():
        return _image_intervals(stack.mean(2))
    return np.array([mean_interval(each) for each in stack])


def mean_interval(values: NDArray[np.float64]) -> Interval:
    """As `mean_intervals`, of one."""
    values = measured(values)
    if not len(values):
        return math.nan, math.nan
    counts = draw_counts(values)
    over = resampled(len(values), int(counts.min()))
    if over == "none":
        return math.nan, math.nan
    if over == "images":
        return image_interval(image_means(values))
    random = np.random.default_rng(0)
    found = np.zeros(BOOTSTRAP_DRAWS)
    for own, draws in zip(values, counts.tolist(), strict=True):
        its = own[~np.isnan(own)]
        step = max(1, _BLOCK // draws)
        for start in range(0, BOOTSTRAP_DRAWS, step):
            part = found[start : start + step]
            part += its[random.integers(draws, size=(len(part), draws))].mean(1)
    low, high = np.quantile(found / len(values), LEVELS).tolist()
    return low, high


def intraclass_correlation(events: Iterable[NDArray[np.float64]]) -> float:
    """How alike the draws of one picture are, 0 .. 1, from the 0 and 1 of several points.

    By analysis of variance, its sums of squares added over the points: where nothing happens, or
    everything, a point says nothing. 1, the cautious end, where no point says anything. Pictures
    of unequal numbers of draws count as those of m0 draws each, m0 = (N - sum m^2 / N) / (n - 1)
    (Donner and Koval, *Biometrics* 36, 1980).
    """
    between = within = total = 0.0
    for each in events:
        own = measured(np.asarray(each, np.float64))
        counts = draw_counts(own)
        images, trials = len(own), int(counts.sum())
        if images < 2 or trials == images:
            continue
        of_images = image_means(own)
        centre = float(counts @ of_images) / trials
        draws = (trials - float(counts @ counts) / trials) / (images - 1)
        among = float(counts @ (of_images - centre) ** 2) / (images - 1)
        inside = float(counts @ (of_images * (1 - of_images))) / (trials - images)
        between += among
        within += inside
        total += among + (draws - 1) * inside
    return min(1.0, max(0.0, (between - within) / total)) if total else 1.0


def rate_interval(events: NDArray[np.float64], correlation: float) -> Interval:
    """Of the share of ones, by Wilson; 0 <= low < high <= 1.

    NaN, NaN for a single trial, as `mean_interval`.

    correlation: of a picture's draws, 0 where the interval is for these pictures alone. With it,
    the mean of n pictures' shares, of m draws each, has the variance of that of
    n / (correlation + (1 - correlation) * mean of 1 / m) independent trials.
    """
    events = measured(np.asarray(events, np.float64))
    if not len(events):
        return math.nan, math.nan
    counts = draw_counts(events)
    over = resampled(len(events), int(counts.min()))
    if over == "none":
        return math.nan, math.nan
    if over == "draws":
        correlation = 0.0
    worth = len(events) / (correlation + (1 - correlation) * float((1 / counts).mean()))
    return wilson_interval(mean(events), worth, _Z)
