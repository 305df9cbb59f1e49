"""CABAC coding of the semantic base layer's latent.

Channels come in the order of the stored weights (most energetic first), so that a stream that is
cut still gives a coarse picture; within a channel, rows and columns in raster order. A value is

    zero flag | sign | magnitude - 1 in unary up to UNARY_LIMIT, then a 6-bit bypass remainder

The context of each bin knows the channel and the magnitudes already decoded around the value: to
its left and above in its own channel, and at its place in the two channels before. The start
states come from training. The paper leaves binarisation and contexts open; these are ours.
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
from codec.semantic_encoder import LATENT_CHANNELS
from codec.stream_check import ends_well

UNARY_LIMIT = 14
REMAINDER_BITS = 6
_LEVELS = 8
_SIGNS = 5
_MAGNITUDE_LEVELS = 4

_ZERO_BASE = 0
_SIGN_BASE = _ZERO_BASE + LATENT_CHANNELS * _LEVELS
_LARGEST = LATENT.high
_UNARY_BASE = _SIGN_BASE + LATENT_CHANNELS * _SIGNS
CONTEXTS = _UNARY_BASE + LATENT_CHANNELS * UNARY_LIMIT * _MAGNITUDE_LEVELS


@kernel
def _at(latent: NDArray[np.int32], c: int, y: int, x: int) -> np.int64:
    if c < 0 or y < 0 or x < 0 or x >= latent.shape[2]:
        return np.int64(0)
    return np.int64(latent[c, y, x])


@kernel
def _level(latent: NDArray[np.int32], c: int, y: int, x: int) -> Integer:
    """0 .. 7: how much has been going on around a value."""
    near = abs(_at(latent, c, y, x - 1)) + abs(_at(latent, c, y - 1, x))
    far = abs(_at(latent, c, y - 1, x - 1)) + abs(_at(latent, c, y - 1, x + 1))
    before = abs(_at(latent, c - 1, y, x)) + abs(_at(latent, c - 2, y, x))
    total = 2 * near + far + before
    if total < 4:
        return total
    if total < 6:
        return 4
    if total < 10:
        return 5
    return 6 if total < 18 else 7


@kernel
def _sign_context(latent: NDArray[np.int32], c: int, y: int, x: int) -> int:
    left, above = _at(latent, c, y, x - 1), _at(latent, c, y - 1, x)
    signs = int(left > 0) - int(left < 0) + int(above > 0) - int(above < 0)
    return _SIGN_BASE + c * _SIGNS + signs + 2


@kernel
def list_latent_bins(
    latent: NDArray[np.int32],
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The bins of a latent (C, h, w) in the domain LATENT, and their contexts.

    Returns bins uint8 (n,) and context ids int32 (n,), for cabac.encode_bins or for counting.
    """
    limit = latent.size * (2 + UNARY_LIMIT + REMAINDER_BITS)
    bins = np.empty(limit, np.uint8)
    contexts = np.empty(limit, np.int32)
    n = 0
    for c in range(latent.shape[0]):
        for y in range(latent.shape[1]):
            for x in range(latent.shape[2]):
                value = latent[c, y, x]
                level = _level(latent, c, y, x)
                bins[n] = value != 0
                contexts[n] = _ZERO_BASE + c * _LEVELS + level
                n += 1
                if value == 0:
                    continue
                bins[n] = value < 0
                contexts[n] = _sign_context(latent, c, y, x)
                n += 1
                rest = abs(value) - 1
                unary = _UNARY_BASE + (c * _MAGNITUDE_LEVELS + level // 2) * UNARY_LIMIT
                for k in range(min(rest + 1, UNARY_LIMIT)):
                    bins[n] = k < rest
                    contexts[n] = unary + k
                    n += 1
                if rest >= UNARY_LIMIT:
                    for k in range(REMAINDER_BITS):
                        bins[n] = ((rest - UNARY_LIMIT) >> (REMAINDER_BITS - 1 - k)) & 1
                        contexts[n] = BYPASS
                        n += 1
    return bins[:n], contexts[:n]


@kernel
def decode_latent(
    data: NDArray[np.uint8], states: NDArray[np.int32], latent: NDArray[np.int32]
) -> tuple[int, bool]:
    """Fills `latent` (C, h, w), zeros on entry, as far as `data` determines it.

    data: from cabac_engine.decoder_input.
    `states` is changed. Returns how many values are certain, in coding order, and whether all
    are and the stream ends as it should. Values from the first uncertain one on stay 0.
    """
    state = start_decoder(data)
    n = 0
    for c in range(latent.shape[0]):
        for y in range(latent.shape[1]):
            for x in range(latent.shape[2]):
                level = _level(latent, c, y, x)
                if decode_bin(state, data, states, _ZERO_BASE + c * _LEVELS + level) == 0:
                    if overrun(state):
                        return n, False
                    n += 1
                    continue
                negative = decode_bin(state, data, states, _sign_context(latent, c, y, x))
                rest = 0
                unary = _UNARY_BASE + (c * _MAGNITUDE_LEVELS + level // 2) * UNARY_LIMIT
                while rest < UNARY_LIMIT and decode_bin(state, data, states, unary + rest) == 1:
                    rest += 1
                if rest == UNARY_LIMIT:
                    for _ in range(REMAINDER_BITS):
                        rest = rest + rest - UNARY_LIMIT + decode_bypass(state, data)
                # A value that no encoder sends is a stream gone astray.
                if overrun(state) or rest >= _LARGEST:
                    return n, False
                n += 1
                latent[c, y, x] = -(rest + 1) if negative == 1 else rest + 1
    return n, ends_well(state, data)
