"""CABAC coding of the semantic base layer's latent.

Channels come one after the other, within a channel rows and columns in raster order. Before each
value a small network says what to expect of it (latent_context.py): a mean and a scale. What is
coded is the difference d from the rounded mean,

    zero flag | sign | magnitude - 1 in unary up to UNARY_LIMIT, then a 7-bit bypass remainder

mirrored where the mean was rounded up, so that the true mean never lies below the rounded one. The
context of each bin knows the scale and how far the mean lies above the integer. The start states
come from training. The paper leaves binarisation and contexts open; these are ours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.cabac_engine import (
    BYPASS,
    decode_bin,
    decode_bypass,
    overrun,
    start_decoder,
)
from codec.fixed_point import LATENT
from codec.jit import Integer, kernel
from codec.latent_context import HIDDEN, MEAN_UNIT, SCALES, LatentModel, expectation
from codec.stream_check import ends_well

UNARY_LIMIT = 14
REMAINDER_BITS = 7
"""A difference is at most 2 * LATENT.high = 126."""
_OFFSETS = MEAN_UNIT // 2 + 1
_LARGEST = LATENT.high

_SIGN_BASE = SCALES * _OFFSETS
_UNARY_BASE = 2 * _SIGN_BASE
CONTEXTS = _UNARY_BASE + SCALES * UNARY_LIMIT


@kernel
def _centre(eighths: Integer) -> tuple[Integer, Integer, Integer]:
    """The rounded mean, the mirror (1 or -1), and how far the mean lies from it, 0 .. 4 eighths."""
    centre = (eighths + MEAN_UNIT // 2) // MEAN_UNIT
    offset: Integer = eighths - centre * MEAN_UNIT
    if offset < 0:
        return centre, -1, -offset
    return centre, 1, offset


@kernel
def list_latent_bins(
    latent: NDArray[np.int32], model: LatentModel
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The bins of a latent (C, h, w) in the domain LATENT, and their contexts.

    Returns bins uint8 (n,) and context ids int32 (n,), for cabac.encode_bins or for counting.
    """
    limit = latent.size * (2 + UNARY_LIMIT + REMAINDER_BITS)
    bins = np.empty(limit, np.uint8)
    contexts = np.empty(limit, np.int32)
    scratch = np.empty((2, HIDDEN), np.int32)
    n = 0
    for c in range(latent.shape[0]):
        for y in range(latent.shape[1]):
            for x in range(latent.shape[2]):
                eighths, scale = expectation(latent, c, y, x, model, scratch)
                centre, mirror, offset = _centre(eighths)
                difference = (latent[c, y, x] - centre) * mirror
                bins[n] = difference != 0
                contexts[n] = scale * _OFFSETS + offset
                n += 1
                if difference == 0:
                    continue
                bins[n] = difference < 0
                contexts[n] = _SIGN_BASE + scale * _OFFSETS + offset
                n += 1
                rest = abs(difference) - 1
                for k in range(min(rest + 1, UNARY_LIMIT)):
                    bins[n] = k < rest
                    contexts[n] = _UNARY_BASE + scale * UNARY_LIMIT + k
                    n += 1
                if rest >= UNARY_LIMIT:
                    for k in range(REMAINDER_BITS):
                        bins[n] = ((rest - UNARY_LIMIT) >> (REMAINDER_BITS - 1 - k)) & 1
                        contexts[n] = BYPASS
                        n += 1
    return bins[:n], contexts[:n]


@kernel
def decode_latent(
    data: NDArray[np.uint8],
    states: NDArray[np.int32],
    latent: NDArray[np.int32],
    model: LatentModel,
) -> tuple[int, bool]:
    """Fills `latent` (C, h, w), zeros on entry, as far as `data` determines it.

    data: from cabac_engine.decoder_input.
    `states` is changed. Returns how many values are certain, in coding order, and whether all
    are and the stream ends as it should. Values from the first uncertain one on stay 0.
    """
    state = start_decoder(data)
    scratch = np.empty((2, HIDDEN), np.int32)
    n = 0
    for c in range(latent.shape[0]):
        for y in range(latent.shape[1]):
            for x in range(latent.shape[2]):
                eighths, scale = expectation(latent, c, y, x, model, scratch)
                centre, mirror, offset = _centre(eighths)
                difference: Integer = 0
                if decode_bin(state, data, states, scale * _OFFSETS + offset) == 1:
                    sign = _SIGN_BASE + scale * _OFFSETS + offset
                    negative = decode_bin(state, data, states, sign)
                    rest = 0
                    unary = _UNARY_BASE + scale * UNARY_LIMIT
                    while rest < UNARY_LIMIT and decode_bin(state, data, states, unary + rest) == 1:
                        rest += 1
                    if rest == UNARY_LIMIT:
                        for _ in range(REMAINDER_BITS):
                            rest = rest + rest - UNARY_LIMIT + decode_bypass(state, data)
                    difference = -(rest + 1) if negative == 1 else rest + 1
                value: Integer = centre + difference * mirror
                # A value that no encoder sends is a stream gone astray.
                if overrun(state) or value > _LARGEST or value < -_LARGEST:
                    return n, False
                n += 1
                latent[c, y, x] = value
    return n, ends_well(state, data)
