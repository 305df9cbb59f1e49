"""What the coder of the latent expects of a value: a small network over what is already known.

For the value at (y, x) of channel c, from the 5 x 5 neighbourhood of its place, as far as it is
known (the channels before c, and of c itself the rows above and the places to the left):

    values, and which places lie inside --linear, ReLU--> 32 --linear, ReLU--> 32 --linear--> 2

The two outputs are the mean of a logistic distribution and the logarithm of its scale. Both are
rounded and choose the contexts of the value's bins (latent_coder.py), so that CABAC still measures
how often each bin is 1. Every channel has weights of its own. All is integer arithmetic whose sums
stay below 2^31 (`checked` sees to it): the same on every machine.

The paper codes its latent with CABAC and leaves the contexts open; these are ours. Source of the
idea: Minnen, Balle, Toderici, "Joint autoregressive and hierarchical priors for learned image
compression" (NeurIPS 2018), section 2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codec.base import CodecError
from codec.fixed_point import LATENT
from codec.jit import Integer, kernel

RADIUS = 2
PLACES = (2 * RADIUS + 1) ** 2
CAUSAL_PLACES = PLACES // 2
"""In raster order the first half of the neighbourhood comes before its centre."""
HIDDEN = 32
SCALES = 16
MEAN_UNIT = 8

FIRST_BITS, NEXT_BITS, HIDDEN_BITS = 12, 8, 6
"""Fractional bits of the first layer's weights, of the others' and of the hidden values."""
HIDDEN_MAX = 4095
FIRST_MAX = 1 << 13
NEXT_MAX = 1 << 11
_SUM_BOUND = 1 << 31
_MEAN_BOUND = LATENT.high * MEAN_UNIT


class LatentModel(NamedTuple):
    """Weights, int32. The first layer's inputs: 25 places of each channel, then of "inside"."""

    first: NDArray[np.int32]
    """(C, (C + 1) * PLACES, HIDDEN); zero where an input is not known yet."""
    first_bias: NDArray[np.int32]
    """(C, HIDDEN), FIRST_BITS fractional bits."""
    second: NDArray[np.int32]
    """(C, HIDDEN, HIDDEN), inputs first."""
    second_bias: NDArray[np.int32]
    """(C, HIDDEN), NEXT_BITS + HIDDEN_BITS fractional bits."""
    last: NDArray[np.int32]
    """(C, HIDDEN, 2): mean, and index of the scale."""
    last_bias: NDArray[np.int32]
    """(C, 2), NEXT_BITS + HIDDEN_BITS fractional bits."""


def checked(model: LatentModel) -> LatentModel:
    """The model, if it is of one piece and no sum can overflow. Raises CodecError otherwise."""
    channels = len(model.first)
    shapes = (
        (channels, (channels + 1) * PLACES, HIDDEN),
        (channels, HIDDEN),
        (channels, HIDDEN, HIDDEN),
        (channels, HIDDEN),
        (channels, HIDDEN, 2),
        (channels, 2),
    )
    for name, tensor, shape in zip(model._fields, model, shapes, strict=True):
        if tensor.shape != shape or tensor.dtype != np.int32:
            raise CodecError(
                f"latent model, {name}: expected int32 {shape}, found {tensor.dtype} {tensor.shape}"
            )
    wide = [np.abs(tensor.astype(np.int64)) for tensor in model]
    largest = (
        int((LATENT.magnitude * wide[0].sum(1) + wide[1]).max()),
        int((HIDDEN_MAX * wide[2].sum(1) + wide[3]).max()),
        int((HIDDEN_MAX * wide[4].sum(1) + wide[5]).max()),
    )
    # Half a unit is added before the last shifts.
    if max(largest) + (1 << (NEXT_BITS + HIDDEN_BITS)) >= _SUM_BOUND:
        raise CodecError(f"latent model: expected sums below 2^31, found up to {max(largest)}")
    return model


@kernel
def _rectified(sums: NDArray[np.int32], shift: int, out: NDArray[np.int32]) -> None:
    limit = np.int32(HIDDEN_MAX)
    zero = np.int32(0)
    for j in range(len(sums)):
        value = np.int32(sums[j] >> shift)
        out[j] = min(max(value, zero), limit)


@kernel
def _add_row(sums: NDArray[np.int32], row: NDArray[np.int32], times: np.int32) -> None:
    for j in range(len(sums)):
        sums[j] += np.int32(times * row[j])


@kernel
def expectation(
    latent: NDArray[np.int32],
    c: int,
    y: int,
    x: int,
    model: LatentModel,
    scratch: NDArray[np.int32],
) -> tuple[Integer, Integer]:
    """(mean in 1/MEAN_UNIT, index of the scale 0 .. SCALES - 1) of latent[c, y, x].

    latent: int32 (C, h, w); only what comes before the value is read.
    scratch: int32 (2, HIDDEN), overwritten.
    """
    channels, height, width = latent.shape
    sums, hidden = scratch[0], scratch[1]
    weights = model.first[c]
    sums[:] = model.first_bias[c]
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
            v, u = y + dy, x + dx
            if v < 0 or v >= height or u < 0 or u >= width:
                continue
            place = (dy + RADIUS) * (2 * RADIUS + 1) + dx + RADIUS
            _add_row(sums, weights[channels * PLACES + place], np.int32(1))
            known = c + 1 if place < CAUSAL_PLACES else c
            for k in range(known):
                value = latent[k, v, u]
                if value != 0:
                    _add_row(sums, weights[k * PLACES + place], value)
    _rectified(sums, FIRST_BITS - HIDDEN_BITS, hidden)
    sums[:] = model.second_bias[c]
    for i in range(HIDDEN):
        if hidden[i] != 0:
            _add_row(sums, model.second[c, i], hidden[i])
    _rectified(sums, NEXT_BITS, hidden)
    mean = np.int64(model.last_bias[c, 0])
    scale = np.int64(model.last_bias[c, 1])
    for i in range(HIDDEN):
        mean += np.int64(hidden[i]) * model.last[c, i, 0]
        scale += np.int64(hidden[i]) * model.last[c, i, 1]
    one = NEXT_BITS + HIDDEN_BITS
    eighths: Integer = (mean * MEAN_UNIT + (1 << (one - 1))) >> one
    index: Integer = (scale + (1 << (one - 1))) >> one
    return min(max(eighths, -_MEAN_BOUND), _MEAN_BOUND), min(max(index, 0), SCALES - 1)
