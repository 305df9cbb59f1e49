"""The probabilities of the root's bins: constants, for there is nothing yet to predict it from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.embedded.networks import HEAD_OUTPUTS
from codec.embedded.schedule import FIRST_BLOCK_LEVEL, ROOT

_LUMA = (-1466, -484, -144, -62)
_CHROMA = (-3182, -1780, -930, -619, -410, -251, -123)
"""Logits, in 1/512, of a magnitude's first one lying in this plane if it lies in none before, from
the stream's first level on. From CIFAR-10's training half: .05, .28, .43, .47 and .002, .03, .14,
.23, .31, .38, .44. All other bins are even."""


def root_logits(count: int, level: int) -> NDArray[np.int32]:
    """(count, 1, 1, 12) as a head has them, at so many levels above the stages' number."""
    at = FIRST_BLOCK_LEVEL - level
    logits = np.zeros((count, 1, 1, HEAD_OUTPUTS * ROOT.channels), np.int32)
    for k, values in enumerate((_LUMA, _CHROMA, _CHROMA)):
        logits[..., k] = values[at] if at < len(values) else 0
    return logits
