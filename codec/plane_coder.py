"""CABAC coding of one bitplane's error: where the corrected prediction is wrong.

The error flag of a pixel is certain to be 0 where the network is sure and close to a coin toss
where the predicted value lies at the middle of the interval, so the context is made from

- the distance of the predicted value from the middle, after a linear correction by what the
  neighbours' values have turned out to be (their `residual`: how far the interval that is known
  of them now lies from their prediction),
- how large those residuals are, and how steep the predicted picture is there,
- the channel.

Channels come one after the other, green first: it says most about the others. Integers only. The
paper codes the flags with CABAC and leaves the contexts open; these are ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codec.cabac_engine import decode_bin, overrun, start_decoder
from codec.fixed_point import GREY_UNIT
from codec.jit import Integer, kernel
from codec.stream_check import ends_well

CHANNEL_ORDER = np.array([1, 0, 2], np.int64)
FEATURES = 14
"""Neighbours whose residuals count: left, above, above left, above right in the same channel;
the same place, left, above, right, below in each of up to two channels before."""
WEIGHT_BITS = 8
_AGREE = np.array([2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024])
_DISAGREE = np.array([2, 8, 24, 64])
_DISTANCES = len(_AGREE) + 1 + len(_DISAGREE) + 1
STEPS = 3
_ACTIVITIES = STEPS + 1
CONTEXTS = 3 * _ACTIVITIES * _ACTIVITIES * _DISTANCES


class PlaneModel(NamedTuple):
    """What training found for one plane. A named tuple, which compiled code can take apart.

    weights: int32 (3, FEATURES), by place in CHANNEL_ORDER, in 2^-WEIGHT_BITS.
    residual_steps, slope_steps: int32 (3,), ascending thresholds in 1/16 grey level.
    """

    weights: NDArray[np.int32]
    residual_steps: NDArray[np.int32]
    slope_steps: NDArray[np.int32]


@kernel
def _residual_at(residual: NDArray[np.int32], c: Integer, y: int, x: int) -> Integer:
    if y < 0 or x < 0 or y >= residual.shape[1] or x >= residual.shape[2]:
        return 0
    value: Integer = residual[c, y, x]
    return value


@kernel
def neighbour_residuals(
    residual: NDArray[np.int32], place: int, y: int, x: int, out: NDArray[np.int64]
) -> None:
    """Fills `out` int64 (FEATURES,); `place` counts channels in CHANNEL_ORDER."""
    c = CHANNEL_ORDER[place]
    out[:] = 0
    out[0] = _residual_at(residual, c, y, x - 1)
    out[1] = _residual_at(residual, c, y - 1, x)
    out[2] = _residual_at(residual, c, y - 1, x - 1)
    out[3] = _residual_at(residual, c, y - 1, x + 1)
    for back in range(place):
        b = CHANNEL_ORDER[place - 1 - back]
        at = 4 + 5 * back
        out[at] = residual[b, y, x]
        out[at + 1] = _residual_at(residual, b, y, x - 1)
        out[at + 2] = _residual_at(residual, b, y - 1, x)
        out[at + 3] = _residual_at(residual, b, y, x + 1)
        out[at + 4] = _residual_at(residual, b, y + 1, x)


@kernel
def _bucket(value: Integer, thresholds: NDArray[np.int32] | NDArray[np.int64]) -> int:
    n = 0
    while n < thresholds.size and value >= thresholds[n]:
        n += 1
    return n


@kernel
def residual_activity(neighbours: NDArray[np.int64], place: int) -> Integer:
    """How far the nearest known values are from their predictions, in 1/16 grey level."""
    own: Integer = abs(neighbours[0]) + abs(neighbours[1])
    if place == 0:
        return own
    before: Integer = abs(neighbours[4])
    return (own + 2 * before) // 2


@kernel
def slope(values: NDArray[np.int32], c: Integer, y: int, x: int) -> Integer:
    """How steep the predicted picture is at a pixel, in 1/16 grey level over two pixels."""
    left, right = max(x - 1, 0), min(x + 1, values.shape[2] - 1)
    above, below = max(y - 1, 0), min(y + 1, values.shape[1] - 1)
    across: Integer = abs(values[c, y, right] - values[c, y, left])
    down: Integer = abs(values[c, below, x] - values[c, above, x])
    return across + down


@kernel
def _context(
    values: NDArray[np.int32],
    residual: NDArray[np.int32],
    middle: Integer,
    predicted_bit: Integer,
    place: int,
    y: int,
    x: int,
    model: PlaneModel,
    neighbours: NDArray[np.int64],
) -> Integer:
    neighbour_residuals(residual, place, y, x, neighbours)
    shift = np.int64(0)
    for k in range(FEATURES):
        shift += model.weights[place, k] * neighbours[k]
    c = CHANNEL_ORDER[place]
    distance = values[c, y, x] + (shift >> WEIGHT_BITS) - middle
    if predicted_bit == 0:
        distance = -distance
    if distance >= 0:
        step = _bucket(distance, _AGREE)
    else:
        step = _AGREE.size + 1 + _bucket(-distance, _DISAGREE)
    activity = _bucket(residual_activity(neighbours, place), model.residual_steps)
    steepness = _bucket(slope(values, c, y, x), model.slope_steps)
    return ((place * _ACTIVITIES + activity) * _ACTIVITIES + steepness) * _DISTANCES + step


@kernel
def interval_residual(value: Integer, low: Integer, width: int) -> Integer:
    """How far `value` (1/16 grey level) is from [low, low + width - 1] (grey levels), signed."""
    lowest = GREY_UNIT * low
    highest = GREY_UNIT * (low + width - 1)
    return min(max(value, lowest), highest) - value


@kernel
def list_plane_bins(
    values: NDArray[np.int32],
    known: NDArray[np.uint8],
    predicted: NDArray[np.uint8],
    bits: NDArray[np.uint8],
    plane: int,
    model: PlaneModel,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The error flags of a plane and their contexts, in coding order.

    values: int32 (3, H, W), predicted values in 1/16 grey level. known: uint8, the planes above.
    predicted, bits: uint8 0 or 1, the corrected prediction of the plane and the plane itself.
    Returns flags uint8 (3 H W,) and context ids int32 (3 H W,), for cabac.encode_bins.
    """
    half = 1 << (plane - 1)
    residual = np.zeros(values.shape, np.int32)
    neighbours = np.zeros(FEATURES, np.int64)
    flags = np.empty(values.size, np.uint8)
    contexts = np.empty(values.size, np.int32)
    n = 0
    for place in range(3):
        c = CHANNEL_ORDER[place]
        for y in range(values.shape[1]):
            for x in range(values.shape[2]):
                low = np.int64(known[c, y, x])
                middle = GREY_UNIT * (low + half) - GREY_UNIT // 2
                contexts[n] = _context(
                    values, residual, middle, predicted[c, y, x], place, y, x, model, neighbours,
                )  # fmt: skip
                flags[n] = predicted[c, y, x] ^ bits[c, y, x]
                n += 1
                low += half * bits[c, y, x]
                residual[c, y, x] = interval_residual(values[c, y, x], low, half)
    return flags, contexts


@kernel
def decode_plane(
    data: NDArray[np.uint8],
    states: NDArray[np.int32],
    values: NDArray[np.int32],
    known: NDArray[np.uint8],
    bits: NDArray[np.uint8],
    plane: int,
    model: PlaneModel,
) -> tuple[int, bool]:
    """Turns `bits`, the corrected prediction on entry, into the plane, as far as `data` goes.

    The other arguments are as for list_plane_bins; `states` is changed. Returns how many pixels,
    in coding order, are certain, and whether all are and the stream ends as it should.
    """
    half = 1 << (plane - 1)
    residual = np.zeros(values.shape, np.int32)
    neighbours = np.zeros(FEATURES, np.int64)
    state = start_decoder(data)
    n = 0
    for place in range(3):
        c = CHANNEL_ORDER[place]
        for y in range(values.shape[1]):
            for x in range(values.shape[2]):
                low = np.int64(known[c, y, x])
                middle = GREY_UNIT * (low + half) - GREY_UNIT // 2
                context = _context(
                    values, residual, middle, bits[c, y, x], place, y, x, model, neighbours,
                )  # fmt: skip
                flag = decode_bin(state, data, states, context)
                if overrun(state):
                    return n, False
                bits[c, y, x] ^= np.uint8(flag)
                n += 1
                low += half * np.int64(bits[c, y, x])
                residual[c, y, x] = interval_residual(values[c, y, x], low, half)
    return n, ends_well(state, data)
