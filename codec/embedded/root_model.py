"""The probabilities of the root's bins: constants, for there is nothing yet to predict it from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.embedded.schedule import FIRST_BLOCK_LEVEL

_LUMA = (-1466, -484, -144, -62)
_CHROMA = (-3182, -1780, -930, -619, -410, -251, -123)
"""Logits, in 1/512, of a magnitude's first one lying in this plane if it lies in none before, from
the stream's first level on. From CIFAR-10's training half: .05, .28, .43, .47 and .002, .03, .14,
.23, .31, .38, .44. All other bins are even."""


def root_logits(known: NDArray[np.int32], level: int) -> NDArray[np.int32]:
    """(B, 1, 1, 6) of what is known, (B, 1, 1, 3), at so many levels above the stages' number."""
    at = FIRST_BLOCK_LEVEL - level
    new = np.array(
        [values[at] if at < len(values) else 0 for values in (_LUMA, _CHROMA, _CHROMA)], np.int32
    )
    bits = np.where(known == 0, new, np.int32(0))
    return np.concatenate([bits, np.zeros_like(bits)], axis=-1)
