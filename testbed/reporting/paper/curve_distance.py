"""How far two curves of quality lie apart: Bjontegaard's deltas along a rate, gains along the SNR.

Sources: G. Bjontegaard, "Calculation of average PSNR differences between RD-curves", ITU-T SG16
VCEG-M33, 2001; piecewise cubic Hermite interpolation as in the common test conditions of HEVC and
VVC, computed by the package bjontegaard.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FEWEST_POINTS = 4
"""Of each curve that Bjontegaard's deltas are computed of."""
METHOD = "pchip"
"""Interpolation: never above or below the points that it joins."""

Values: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Mean PSNR, or another metric in dB, along one axis.

    source   "points": one setting throughout; "best": the best scheme at each point
    held     by column, what stays the same along the curve
    x        ascending, float64 (points,)
    quality  in dB, float64 (points,)
    """

    source: str
    axis: str
    metric: str
    codec: str
    kind: str
    held: dict[str, str]
    x: Values
    quality: Values

    def place(self, columns: Iterable[str]) -> tuple[str, ...]:
        """Where it stands among curves of other codecs that know these columns."""
        known = [self.held.get(name, "") for name in ("case", "size", *columns)]
        return self.source, self.axis, self.metric, *known


@dataclass(frozen=True, slots=True)
class Delta:
    """Of two curves; NaN with a reason where a number is not defined.

    common_low, common_high  of the axis, what both curves cover
    """

    common_low: float = math.nan
    common_high: float = math.nan
    bd_db: float = math.nan
    bd_rate_percent: float = math.nan
    mean_difference_db: float = math.nan
    snr_gain_db: float = math.nan
    reason: str = ""


def delta_of(anchor: Curve, curve: Curve) -> Delta:
    """Positive dB: `curve` is the better one; negative %: it needs less rate."""
    low, high = max(anchor.x[0], curve.x[0]), min(anchor.x[-1], curve.x[-1])
    if not low < high:
        return Delta(reason="the curves have no range in common")
    if curve.axis == "snr_db":
        return _snr_delta(anchor, curve, low, high)
    reason = next(filter(None, map(_not_invertible, (anchor, curve))), "")
    if not reason and not _common(anchor.quality, curve.quality):
        reason = "no PSNR is reached by both curves"
    if reason:
        return Delta(low, high, reason=reason)
    bd_db, bd_rate_percent = bjontegaard(anchor.x, anchor.quality, curve.x, curve.quality)
    return Delta(low, high, bd_db=bd_db, bd_rate_percent=bd_rate_percent)


def bjontegaard(
    anchor_rate: Values, anchor_db: Values, rate: Values, quality_db: Values
) -> tuple[float, float]:
    """(BD-PSNR in dB, BD-rate in %) against the anchor. Rates and PSNRs ascend strictly, and both
    ranges overlap."""
    # Imports pyplot.
    from bjontegaard import bd_psnr, bd_rate

    four = (anchor_rate, anchor_db, rate, quality_db, METHOD)
    # The range in common is in the table for the reader to judge: no warning.
    gain, saving = (
        float(each(*four, require_matching_points=False, min_overlap=0))
        for each in (bd_psnr, bd_rate)
    )
    return gain, saving


def _not_invertible(curve: Curve) -> str:
    """Why a curve has no rate for each PSNR; "" if it has."""
    if len(curve.x) < FEWEST_POINTS:
        return f"{curve.codec} has {len(curve.x)} points, and {FEWEST_POINTS} are needed"
    if not (np.diff(curve.x) > 0).all():
        return f"{curve.codec} has several points at one rate"
    falls = np.flatnonzero(np.diff(curve.quality) <= 0)
    if len(falls):
        at, then = curve.x[falls[0]], curve.x[falls[0] + 1]
        return f"the PSNR of {curve.codec} does not rise from rate {at:.3g} to {then:.3g}"
    return ""


def _common(one: Values, other: Values) -> bool:
    return bool(max(one.min(), other.min()) < min(one.max(), other.max()))


def _snr_delta(anchor: Curve, curve: Curve, low: float, high: float) -> Delta:
    difference = mean_over(curve, low, high) - mean_over(anchor, low, high)
    reason = ""
    for each in (anchor, curve):
        falls = np.flatnonzero(np.diff(each.quality) < 0)
        if len(falls) and not reason:
            at, then = each.x[falls[0]], each.x[falls[0] + 1]
            reason = f"the PSNR of {each.codec} falls from {at:g} to {then:g} dB of SNR"
    if not reason and not _common(anchor.quality, curve.quality):
        reason = "no PSNR is reached by both curves"
    if reason:
        return Delta(low, high, mean_difference_db=difference, reason=reason)
    bottom = max(anchor.quality[0], curve.quality[0])
    top = min(anchor.quality[-1], curve.quality[-1])
    gain = mean_snr_db(anchor, bottom, top) - mean_snr_db(curve, bottom, top)
    return Delta(low, high, mean_difference_db=difference, snr_gain_db=gain)


def mean_over(curve: Curve, low: float, high: float) -> float:
    """Mean quality over a part of the axis, the points being joined by straight lines."""
    inside = curve.x[(curve.x > low) & (curve.x < high)]
    x = np.concatenate([[low], inside, [high]])
    return float(np.trapezoid(np.interp(x, curve.x, curve.quality), x)) / (high - low)


def mean_snr_db(curve: Curve, bottom: float, top: float) -> float:
    """Mean over the qualities bottom .. top of the SNR that each needs.

    The curve, its points joined by straight lines, never falls; where it is level it adds nothing.
    """
    total = 0.0
    for (x0, q0), (x1, q1) in itertools.pairwise(zip(curve.x, curve.quality, strict=True)):
        start, end = max(q0, bottom), min(q1, top)
        if start < end:
            middle = (start + end) / 2
            total += float(end - start) * float(x0 + (middle - q0) / (q1 - q0) * (x1 - x0))
    return total / (top - bottom)
