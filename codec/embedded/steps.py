"""The step in which a stream made for one budget counts its coefficients.

A cut stream is best where a level ends, and how good it is at a given byte depends on how the
planes happen to fall on the picture's coefficients. Coefficients times 2^(-3/8) .. 2^(4/8) are as
good to code as they are; so an encoder that knows where its stream will be cut (fitted.py) tries
some of these STEPS and keeps the best, as encoders of other formats look for a quantiser. Which it
was the stream says first, in STEP_BINS bins, the highest bit first, each with P(1) = 1/2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.embedded.bin_engine import PROBABILITY_ONE, decode_bin, encode_bin, overrun
from codec.embedded.transform import ESTIMATE_BITS, fine_coefficients
from codec.jit import Integer, kernel

STEP_BINS = 3
STEPS = 1 << STEP_BINS
"""Step k: coefficients are multiplied by 2^((k - UNIT_STEP) / 8)."""
UNIT_STEP = 3
_BITS = 14
_EVEN = PROBABILITY_ONE // 2


def _powers(sign: int) -> NDArray[np.int64]:
    # None lies within .005 of a tie (tests/test_embedded_fitted.py), so any libm gives these.
    exact = 2.0 ** (_BITS + sign * (np.arange(STEPS) - UNIT_STEP) / 8)
    return np.floor(exact + 0.5).astype(np.int64)


FACTORS, INVERSES = _powers(1), _powers(-1)
"""(STEPS,): what coefficients are multiplied with and divided by, in 2^-14."""


def stepped_coefficients(
    pictures: NDArray[np.uint8], steps: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Those of the irreversible transform in the step of each picture, (B,): int32 (B, h, w, 48).

    pictures: uint8 (B, H, W, 3). steps: 0 .. STEPS - 1. Magnitudes stay below 1850.
    """
    shift = _BITS + ESTIMATE_BITS
    scaled = fine_coefficients(pictures) * FACTORS[steps][:, None, None, None]
    return ((scaled + (1 << shift >> 1)) >> shift).astype(np.int32)


def unstepped(estimates: NDArray[np.int32], steps: NDArray[np.int64]) -> NDArray[np.int32]:
    """Expected coefficients (B, h, w, 48) of pictures in these steps, (B,), as of UNIT_STEP."""
    scaled = estimates * INVERSES[steps][:, None, None, None]
    return ((scaled + (1 << _BITS >> 1)) >> _BITS).astype(np.int32)


@kernel
def tell_step(state: NDArray[np.int64], buffer: NDArray[np.uint8], step: Integer) -> None:
    """Codes a step as the first bins of a stream."""
    for k in range(STEP_BINS - 1, -1, -1):
        encode_bin(state, buffer, _EVEN, (step >> k) & 1)


@kernel
def read_step(state: NDArray[np.int64], data: NDArray[np.uint8]) -> int:
    """The step that a stream begins with; -1 if it ends before."""
    step = np.int64(0)
    for _ in range(STEP_BINS):
        step = 2 * step + decode_bin(state, data, _EVEN)
    return -1 if overrun(state) else int(step)
