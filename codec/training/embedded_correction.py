"""Where the correction of a predictor begins: what it comes to on many training pictures.

One picture of 32 x 32 has too few bins to learn from nothing how the predictor errs. Weights learnt
from many pictures in a row are right for most, and each picture moves them but a little.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.embedded.adaptation import INPUTS, new_mixer
from codec.embedded.bin_engine import start_encoder, worst_case_bytes
from codec.embedded.networks import PlanePredictor
from codec.embedded.pass_coder import MOST_BINS
from codec.embedded.profile import EmbeddedProfile
from codec.embedded.pyramid import analyse
from codec.embedded.walk import Walk

PICTURES = 3000
_AT_ONCE = 50


def learnt_correction(
    profile: EmbeddedProfile, predictor: PlanePredictor, pictures: NDArray[np.uint8]
) -> NDArray[np.int32]:
    """(adaptation.ROWS, INPUTS) from coloured pictures (N, H, W, 3), coded reversibly in turn.

    The mean of what the weights are while the second half is coded: the last picture counts no
    more than others.
    """
    mixer = new_mixer(adaptive=True)
    height, width = pictures.shape[1:3]
    sums, count = np.zeros(mixer.weights[:, :INPUTS].shape), 0
    for start in range(0, len(pictures), _AT_ONCE):
        truth = analyse(pictures[start : start + _AT_ONCE])
        some = len(truth[0])
        walk = Walk(profile, predictor, some, height, width, adaptive=True)
        walk.mixers = [mixer] * some
        # What is written is not looked at: one buffer serves all.
        values = sum(part[0].size for part in truth)
        buffer = np.empty(worst_case_bytes(values * (len(walk.passes) + MOST_BINS)), np.uint8)
        for step in walk.passes:
            walk.encode(step, [start_encoder() for _ in range(some)], [buffer] * some, truth)
        if 2 * start >= len(pictures) - _AT_ONCE:
            sums += mixer.weights[:, :INPUTS]
            count += 1
    return np.rint(sums / count).astype(np.int32)
