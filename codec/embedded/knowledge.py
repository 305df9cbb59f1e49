"""What is known of the coefficients, as numbers that a network can take.

`known` holds for every coefficient the part of it that the levels so far have told, sign included:
int32 (B, h, w, 48). Of a coefficient that is still 0 it is known that its magnitude is below the
last plane's step; of any other, which interval of that length it is in.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from codec.embedded.networks import FEATURES, SYMBOLS
from codec.embedded.schedule import LEVELS, begun, planes_of
from codec.embedded.transform import CHANNELS
from codec.fixed_point import SIGNED

LINEAR_BITS = 10
"""Fractional bits of the linear prediction's weights."""
LINEAR_SHAPE = (len(LEVELS), CHANNELS, CHANNELS, 3, 3)
ESTIMATE_BITS = 4
"""Fractional bits of an estimated coefficient."""
_PLACE_BITS = 4
_PLACE_LIMIT = 127
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


def known_before(coefficient: NDArray[np.int32], level: int) -> NDArray[np.int32]:
    """What the levels before `level` tell of coefficients (B, h, w, 48)."""
    shift = (planes_of(level) + 1).astype(np.int32)
    magnitude = np.abs(coefficient) >> shift << shift
    known: NDArray[np.int32] = (np.sign(coefficient) * magnitude).astype(np.int32)
    known[..., ~begun(level)] = 0
    return known


def middles(known: NDArray[np.int32], level: int) -> NDArray[np.int32]:
    """The middle of each coefficient's interval before `level`, (B, h, w, 48)."""
    planes = planes_of(level)
    half = np.where(planes >= 0, 1 << np.maximum(planes, 0), 0).astype(np.int32)
    middle: NDArray[np.int32] = known + (np.sign(known) * half).astype(np.int32)
    return middle


def features(
    known: NDArray[np.int32], level: int, linear: NDArray[np.int16]
) -> NDArray[np.float32]:
    """Inputs for the networks from `known` before `level`: (B, h, w, FEATURES), whole numbers.

    For each coefficient the logarithm of its known magnitude in steps of the next plane, with its
    sign; then where, in sixteenths of such a step from the middle of its interval, a linear
    prediction from the 3x3 places around expects it; last the constant INSIDE.

    linear: int16 (48, 48, 3, 3), the prediction's weights for this level, in 2^-LINEAR_BITS.
    """
    planes = planes_of(level)
    steps = np.abs(known) >> (planes + 1).astype(np.int32)
    out = np.empty((*known.shape[:3], FEATURES), np.float32)
    logs = log_magnitude()[np.minimum(steps, _LOG_ENTRIES - 1)]
    out[..., :CHANNELS] = np.sign(known) * logs
    # Sums of integers below 2^53 in double precision: exact.
    values = torch.from_numpy(middles(known, level).astype(np.float64)).permute(0, 3, 1, 2)
    sums = F.conv2d(values, torch.from_numpy(linear.astype(np.float64)), padding=1)
    place = sums.permute(0, 2, 3, 1).numpy() * 2.0 ** (_PLACE_BITS - LINEAR_BITS - planes)
    out[..., CHANNELS : 2 * CHANNELS] = np.floor(place + 0.5).clip(-_PLACE_LIMIT, _PLACE_LIMIT)
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
    known: NDArray[np.int32], symbols: NDArray[np.float32], level: int, logits: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Coefficients as the estimator expects them, in units of 2^-ESTIMATE_BITS, (B, h, w, 48).

    known: after what has come of `level`; symbols: (B, h, w, SYMBOLS), which tell of what that is;
    logits: the estimator's (B, h, w, 48). The estimate stays within the coefficient's interval.
    """
    told = symbols[..., CHANNELS:SYMBOLS] != 0
    planes = planes_of(level)
    # Twice the interval's middle and twice half its length, to stay with integers. An interval of
    # a told coefficient ends with a whole number, of one that is still to be told in between.
    step = np.where(planes >= 0, 1 << np.maximum(planes, 0), 0).astype(np.int32)
    nonzero = known != 0
    size = np.abs(known)
    told_middle = np.where(nonzero, 2 * size + step - 1, 0)
    told_half = np.where(nonzero, step - 1, np.maximum(2 * step - 1, 0))
    told_half = np.where(step == 1, 0, told_half)
    open_middle = np.where(nonzero, 2 * (size + step), 0)
    open_half = np.where(nonzero, 2 * step, 4 * step)
    middle = np.sign(known) * np.where(told, told_middle, open_middle)
    half = np.where(told, told_half, open_half)
    place = place_of_logit()[logits + 8192]
    unit = 1 << (ESTIMATE_BITS - 1)
    offset = (half.astype(np.int64) * unit * place + 2048) >> 12
    expected: NDArray[np.int32] = (middle * unit + offset).astype(np.int32)
    return expected
