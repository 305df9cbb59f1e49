"""A rate-distortion curve: measured points, joined by straight lines, never extended beyond them.

quality at a rate      Curve.at
rate for a quality     Curve.rate_for
gain over another      gain
ratio of rates         rate_ratio
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_COLUMNS = {
    "codec": str,
    "accounting": str,
    "setting": str,
    "bpp": float,
    "psnr_db": float,
    "ssim": float,
    "images": int,
}
"""Of a figure2.csv."""


@dataclass(frozen=True, eq=False)
class Curve:
    """`bpp` (N,) rises strictly; `quality` (N,), PSNR in dB or SSIM, as measured at these rates."""

    bpp: NDArray[np.float64]
    quality: NDArray[np.float64]

    @property
    def least_bpp(self) -> float:
        return float(self.bpp[0])

    @property
    def most_bpp(self) -> float:
        return float(self.bpp[-1])

    def at(self, bpp: float) -> float | None:
        """Quality at a rate; None outside the measured rates."""
        if not self.least_bpp <= bpp <= self.most_bpp:
            return None
        return float(np.interp(bpp, self.bpp, self.quality))

    def rate_for(self, quality: float) -> float | None:
        """The least rate with this quality; None if no measured point has it.

        The first point's rate if that is better already: a lower rate was not measured.
        """
        reached = np.flatnonzero(self.quality >= quality)
        if not len(reached):
            return None
        after = int(reached[0])
        if after == 0:
            return self.least_bpp
        ends = slice(after - 1, after + 1)
        return float(np.interp(quality, self.quality[ends], self.bpp[ends]))


def read_curves(path: Path) -> pd.DataFrame:
    """A figure2.csv. Raises OSError, or ValueError for a file that is none."""
    table = pd.read_csv(path, dtype=_COLUMNS)
    if missing := [name for name in _COLUMNS if name not in table]:
        raise ValueError(f"expected the columns {', '.join(missing)}, found none of that name")
    if not ((table["bpp"] > 0) & (table["bpp"] < np.inf)).all():
        raise ValueError("bpp: expected rates above 0, found others")
    return table


def read_curve(table: pd.DataFrame, codec: str, accounting: str, metric: str) -> Curve | None:
    """The curve in a figure2.csv; None if there is none. Of points at one rate the best counts."""
    rows = table[(table["codec"] == codec) & (table["accounting"] == accounting)]
    if rows.empty or rows[metric].isna().any():
        return None
    best = rows.groupby("bpp")[metric].max().sort_index()
    return Curve(best.index.to_numpy(np.float64), best.to_numpy(np.float64))


@dataclass(frozen=True, slots=True)
class Gain:
    """What one curve has over another at the same rate, over the rates that both have."""

    largest: float
    largest_bpp: float
    mean: float
    from_bpp: float
    to_bpp: float


def gain(ours: Curve, theirs: Curve, most_bpp: float) -> Gain | None:
    """Gain from the least rate that both have up to `most_bpp`; None if there is no such rate."""
    low = max(ours.least_bpp, theirs.least_bpp)
    high = min(ours.most_bpp, theirs.most_bpp, most_bpp)
    if low > high:
        return None
    # The difference of two piecewise linear curves is largest at a corner of either.
    corners = np.unique(np.concatenate([[low, high], ours.bpp, theirs.bpp]))
    corners = corners[(corners >= low) & (corners <= high)]
    more = _gap(ours, theirs, corners)
    place = int(np.argmax(more))
    mean = np.trapezoid(more, corners) / (high - low) if high > low else more[0]
    return Gain(float(more[place]), float(corners[place]), float(mean), low, high)


@dataclass(frozen=True, slots=True)
class RateRatio:
    """Our rate over theirs at equal quality: geometric mean, and least, over a quality range."""

    mean: float
    least: float
    least_at: float
    from_quality: float
    to_quality: float


def rate_ratio(ours: Curve, theirs: Curve, most_bpp: float, steps: int = 400) -> RateRatio | None:
    """Over the qualities that both reach at rates up to `most_bpp`; None if there are none.

    The mean over quality of the logarithm of the ratio is Bjontegaard's (VCEG-M33), here on
    straight lines through the points instead of fitted polynomials.
    """
    low = max(ours.quality[0], theirs.quality[0])
    high = min(
        float(np.interp(most_bpp, each.bpp, np.maximum.accumulate(each.quality)))
        for each in (ours, theirs)
    )
    if low >= high or min(ours.least_bpp, theirs.least_bpp) > most_bpp:
        return None
    qualities = np.linspace(low, high, steps)
    ratios = np.array([_rate(ours, quality) / _rate(theirs, quality) for quality in qualities])
    place = int(np.argmin(ratios))
    mean = float(np.exp(np.log(ratios).mean()))
    return RateRatio(mean, float(ratios[place]), float(qualities[place]), float(low), float(high))


def _gap(ours: Curve, theirs: Curve, bpp: NDArray[np.float64]) -> NDArray[np.float64]:
    mine: NDArray[np.float64] = np.interp(bpp, ours.bpp, ours.quality)
    return mine - np.interp(bpp, theirs.bpp, theirs.quality)


def _rate(curve: Curve, quality: float) -> float:
    rate = curve.rate_for(quality)
    # Rounding may put the top of the range a hair above the curve.
    return curve.most_bpp if rate is None else rate
