"""What a table says of the values of a point: mean, interval, quantiles, each in its column.

One mechanism for every run's statistics and for comparisons. Values are float64 (images, draws),
NaN where there is no such draw (intervals.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from testbed.evaluation.intervals import (
    Over,
    draw_counts,
    mean,
    mean_interval,
    mean_intervals,
    means,
    measured,
    quantiles,
    rate_interval,
    resampled,
)

QUANTILES = {"q05": 0.05, "median": 0.5, "q95": 0.95}


@lru_cache(maxsize=1024)
def column(metric: str, word: str) -> str:
    """The name of a column: "psnr_db" and "low" give "psnr_low_db"."""
    stem = metric.removesuffix("_db")
    return f"{stem}_{word}{metric[len(stem) :]}"


def interval_columns(metric: str) -> tuple[str, str]:
    """Where the interval of a metric's mean stands: "psnr_db" has "psnr_low_db"."""
    return column(metric, "low"), column(metric, "high")


def extent_columns(values: NDArray[np.float64]) -> dict[str, int | Over]:
    """How many pictures there are, the fewest draws of one, and what intervals are over."""
    counts = draw_counts(measured(values))
    images, draws = len(counts), int(counts.min()) if len(counts) else 0
    return {"images": images, "draws": draws, "interval_over": resampled(images, draws)}


def mean_columns(
    name: str, values: NDArray[np.float64], correlation: float | None = None
) -> dict[str, float]:
    """With its interval; NaN of nothing.

    correlation: of a picture's draws, of what is 0 or 1 and has the interval of a share.
    """
    low, high = interval_columns(name)
    ends = mean_interval(values) if correlation is None else rate_interval(values, correlation)
    return {name: mean(values), low: ends[0], high: ends[1]}


def stack_columns(names: Sequence[str], stack: NDArray[np.float64]) -> dict[str, float]:
    """`mean_columns` of several at once, from float64 (names, images, draws)."""
    cells: dict[str, float] = {}
    found = zip(names, means(stack).tolist(), mean_intervals(stack).tolist(), strict=True)
    for name, own, (low, high) in found:
        low_name, high_name = interval_columns(name)
        cells |= {name: own, low_name: low, high_name: high}
    return cells


def quantile_columns(names: Sequence[str], stack: NDArray[np.float64]) -> dict[str, float]:
    """Of single trials of each of float64 (names, images, draws); NaN of nothing."""
    found = quantiles(stack, list(QUANTILES.values())).tolist()
    return {
        column(name, word): value
        for name, own in zip(names, found, strict=True)
        for word, value in zip(QUANTILES, own, strict=True)
    }
