"""What is known of the coefficients, as numbers that a network can take.

`known` holds for every coefficient the part of it that the levels so far have told, sign included,
by parts (pyramid.py). Of a coefficient that is still 0 it is known that its magnitude is below the
last plane's step; of any other, which interval of that length it is in.

What a network sees of a part before a level tells of it, its *features*, comes from the part itself
and from the coarser ones, of which this level has told already: from them the means are known that
the details go between, and in the end those of the blocks. While a level tells of a part, what it
has told is kept in *symbols*: for each channel first the change of the interval's middle in steps,
then whether it was told, both times SIGNED.unit (pass_coder.py).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from codec.embedded.networks import DETAIL_FEATURES, FEATURES
from codec.embedded.schedule import (
    BLOCK,
    BLOCK_LEVELS,
    DETAIL,
    LEVELS,
    MEANS,
    ROOT,
    PartKind,
)
from codec.embedded.transform import CHANNELS, ESTIMATE_BITS
from codec.fixed_point import SIGNED

LINEAR_BITS = 10
"""Fractional bits of the linear predictions' weights."""
LINEAR_SHAPE = (len(BLOCK_LEVELS), CHANNELS, CHANNELS, 3, 3)
DETAIL_LINEAR_SHAPE = (len(LEVELS), DETAIL.channels, 3, 3, 3)
_PLACE_BITS = 4
_LIMIT = 127
_LOG_UNIT = 14
_LOG_ENTRIES = 1 << 12

INSIDE = SIGNED.unit
"""A feature that is 1 at every place, so that a convolution sees where the picture ends."""


@cache
def log_magnitude() -> NDArray[np.float32]:
    """(4096,): 14 log2(1 + m), rounded, for m = 0, 1, ...; at most 168.

    No entry lies within 1e-6 of a tie (tests/test_embedded_networks.py), so any libm gives these.
    """
    logs = _LOG_UNIT * np.log2(1.0 + np.arange(_LOG_ENTRIES))
    table: NDArray[np.float32] = np.floor(logs + 0.5).astype(np.float32)
    return table


@cache
def log_thresholds() -> NDArray[np.float64]:
    """(127,): from where on 14 log2(1 + x) is rounded to 1, 2, ... 127.

    No binary fraction that can occur lies within 1e-12 of one (tests/test_embedded_networks.py).
    """
    return np.asarray(2.0 ** ((np.arange(1, _LIMIT + 1) - 0.5) / _LOG_UNIT) - 1)


def log_difference(x: NDArray[np.float64]) -> NDArray[np.float32]:
    """Sign and logarithm of binary fractions: round(14 log2(1 + |x|)), at most 127."""
    size = np.searchsorted(log_thresholds(), np.abs(x), side="right")
    return np.asarray(np.sign(x) * size, np.float32)


def known_of_part(part: NDArray[np.int32], kind: PartKind, level: int) -> NDArray[np.int32]:
    """What the levels before `level` tell of one part, (B, h, w, C); `level` is not the first."""
    shift = (kind.planes(level) + 1).astype(np.int32)
    known: NDArray[np.int32] = np.sign(part) * (np.abs(part) >> shift << shift)
    known[..., ~kind.begun(level)] = 0
    return known


def middles(known: NDArray[np.int32], planes: NDArray[np.int64]) -> NDArray[np.int32]:
    """The middle of each coefficient's interval, `planes` being those told next; -1: complete."""
    half = np.where(planes >= 0, 1 << np.maximum(planes, 0), 0).astype(np.int32)
    middle: NDArray[np.int32] = known + (np.sign(known) * half).astype(np.int32)
    return middle


def _signed_log(known: NDArray[np.int32], planes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Magnitudes in steps of the next plane, as logarithms with the sign."""
    steps = np.abs(known) >> (planes + 1).astype(np.int32)
    logs = log_magnitude()[np.minimum(steps, _LOG_ENTRIES - 1)]
    return np.asarray(np.sign(known) * logs, np.float32)


def _predicted(values: NDArray[np.float64], linear: NDArray[np.int16]) -> NDArray[np.float64]:
    """(B, h, w, C) and (C', C, 3, 3) -> (B, h, w, C'), in 2^-LINEAR_BITS: exact, sums of integers
    below 2^53 in double precision."""
    maps = torch.from_numpy(values).permute(0, 3, 1, 2)
    sums = F.conv2d(maps, torch.from_numpy(linear.astype(np.float64)), padding=1)
    found: NDArray[np.float64] = sums.permute(0, 2, 3, 1).numpy()
    return found


def _place(offset: NDArray[np.float64], planes: NDArray[np.int64]) -> NDArray[np.float64]:
    """An offset in 2^-LINEAR_BITS, in sixteenths of a step of `planes`."""
    place = offset * 2.0 ** (_PLACE_BITS - LINEAR_BITS - planes)
    rounded: NDArray[np.float64] = np.floor(place + 0.5).clip(-_LIMIT, _LIMIT)
    return rounded


def detail_features(
    known: NDArray[np.int32],
    means: NDArray[np.int32],
    level: int,
    linear: NDArray[np.int16],
) -> NDArray[np.float32]:
    """What is seen of details `known` before `level`: (B, h, w, DETAIL_FEATURES), whole numbers.

    For each channel the logarithm of its known magnitude in steps of the next plane, with its sign;
    then where, in sixteenths of such a step from the middle of its interval, a linear prediction
    from the 3x3 means around expects it; the logarithms of the differences of the means to the
    right and left, below and above; last the constant INSIDE.

    means: int32 (B, h, w, 3), those that the details go with, with what `level` tells of them.
    linear: int16 (9, 3, 3, 3), the prediction's weights for this level, in 2^-LINEAR_BITS.
    """
    planes = DETAIL.planes(level)
    middle = middles(known, planes).astype(np.float64)
    offset = _predicted(means.astype(np.float64), linear) - middle * 2**LINEAR_BITS
    out = np.empty((*known.shape[:3], DETAIL_FEATURES), np.float32)
    out[..., :9] = _signed_log(known, planes)
    out[..., 9:18] = _place(offset, planes)
    wide = np.pad(means, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge").astype(np.float64)
    step = 2.0 ** ROOT.planes(level)
    out[..., 18:21] = log_difference((wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]) / step)
    out[..., 21:24] = log_difference((wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]) / step)
    out[..., 24] = INSIDE
    return out


def block_features(
    known: NDArray[np.int32],
    means: NDArray[np.int32],
    level: int,
    linear: NDArray[np.int16],
) -> NDArray[np.float32]:
    """What is seen of blocks `known` before `level`: (B, h, w, FEATURES), whole numbers.

    For each channel the logarithm of its known magnitude in steps of the next plane, with its sign,
    for a mean instead that of its difference from the four means around; then where, in sixteenths
    of such a step from the middle of its interval, a linear prediction from the 3x3 places around
    expects it; last the constant INSIDE.

    means: int32 (B, h, w, 3), of the blocks, with what `level` tells of them.
    linear: int16 (48, 48, 3, 3), the prediction's weights for this level, in 2^-LINEAR_BITS.
    """
    planes = BLOCK.planes(level)
    out = np.empty((*known.shape[:3], FEATURES), np.float32)
    out[..., :CHANNELS] = _signed_log(known, planes)
    wide = np.pad(means, ((0, 0), (1, 1), (1, 1), (0, 0)), "edge").astype(np.float64)
    around = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
    out[..., MEANS] = log_difference((4 * means - around) / (4 * 2.0 ** ROOT.planes(level)))
    middle = middles(known, planes)
    middle[..., MEANS] = means
    expected = _predicted(middle.astype(np.float64), linear)
    out[..., CHANNELS : 2 * CHANNELS] = _place(expected, planes)
    out[..., 2 * CHANNELS] = INSIDE
    return out


@cache
def place_of_logit() -> NDArray[np.int32]:
    """tanh(z / 512) in 1/4096 for z = BIN_LOGIT.low ..: int32 (16384,).

    No entry lies within 1e-6 of a tie (tests/test_embedded_networks.py).
    """
    z = np.arange(-8192, 8192) / 512
    table: NDArray[np.int32] = np.floor(4096 * np.tanh(z) + 0.5).astype(np.int32)
    return table


def estimates(
    known: NDArray[np.int32],
    means: NDArray[np.int32],
    symbols: NDArray[np.float32],
    level: int,
    logits: NDArray[np.int32],
    *,
    means_told: bool,
) -> NDArray[np.int32]:
    """Coefficients as the estimator expects them, in units of 2^-ESTIMATE_BITS, (B, h, w, 48).

    known: of blocks, after what has come of `level`; symbols: (B, h, w, SYMBOLS), which tell of
    what that is; means: (B, h, w, 3), and whether `level` has told all of them; logits: the
    estimator's (B, h, w, 48). A coefficient's estimate stays within its interval, a mean's within
    a step of what is known of it.
    """
    told = symbols[..., CHANNELS:] != 0
    planes = BLOCK.planes(level)
    # Twice the interval's middle and twice half its length, to stay with integers. An interval of
    # a told coefficient ends with a whole number, of one that is still to be told in between.
    step = np.where(planes >= 0, 1 << np.clip(planes, 0, 30), 0).astype(np.int32)
    nonzero = known != 0
    size = np.abs(known)
    told_middle = np.where(nonzero, 2 * size + step - 1, 0)
    told_half = np.where(nonzero, step - 1, np.maximum(2 * step - 1, 0))
    told_half = np.where(step == 1, 0, told_half)
    open_middle = np.where(nonzero, 2 * (size + step), 0)
    open_half = np.where(nonzero, 2 * step, 4 * step)
    middle = np.sign(known) * np.where(told, told_middle, open_middle)
    half = np.where(told, told_half, open_half)
    middle[..., MEANS] = 2 * means
    half[..., MEANS] = 1 << (ROOT.planes(level) + 2 - means_told)
    place = place_of_logit()[logits + 8192]
    unit = 1 << (ESTIMATE_BITS - 1)
    offset = (half.astype(np.int64) * unit * place + 2048) >> 12
    expected: NDArray[np.int32] = (middle * unit + offset).astype(np.int32)
    return expected
