"""What parts of the profile `embedded` bring, measured on pictures with the weights as they are.

    zero order     bits if every bin of a channel and level had its own frequency as probability
    contexts_h266  bits if the networks' probabilities drove H.266's coder, 6 bits of them
    networks       bits of the networks' probabilities, 16 bits of them: what is used
    middles        quality if every coefficient were shown at its interval's middle
    estimator      quality of the expected coefficients: what is shown

What a prediction from the same level or the linear prediction brings takes other weights:
`testbed train embedded --part predictor --ablate ...`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.embedded.bin_engine import PROBABILITY_ONE, start_encoder, worst_case_bytes
from codec.embedded.knowledge import known_before
from codec.embedded.pass_coder import MOST_BINS, probability_of_logit
from codec.embedded.profile import EmbeddedProfile
from codec.embedded.schedule import GROUPS, LEVELS, PASSES, begun, places_with, planes_of
from codec.embedded.transform import CHANNELS, coefficients
from codec.embedded.walk import Walk
from codec.fixed_point import BIN_LOGIT

NONZERO, SIGN, REFINEMENT = 0, 1, 2
KINDS = 3


@dataclass(frozen=True, slots=True)
class LevelBits:
    """Mean bits per picture of one level under three kinds of probabilities."""

    level: int
    zero_order: float
    contexts_h266: float
    networks: float


@cache
def h266_bits() -> NDArray[np.float64]:
    """(65536,): bits that H.266's coder takes for a bin whose probability is p / 65536.

    Averaged over the range, whose logarithm is spread evenly; the coder knows its probabilities to
    1/64 of one half, and an LPS has at least 4 of at most 510 (clause 9.3.4.3.2.2).
    """
    ranges = np.exp(np.linspace(np.log(256), np.log(511), 512)).astype(int)
    p1 = np.arange(PROBABILITY_ONE) >> 1
    mps = p1 >> 14
    q = np.where(mps == 1, 32767 - p1, p1) >> 9
    lps = ((q[:, None] * (ranges >> 5)) >> 1) + 4
    less, more = -np.log2(lps / ranges), -np.log2((ranges - lps) / ranges)
    bits: NDArray[np.float64] = np.where(mps[:, None] == 1, more, less).mean(axis=1)
    return bits


def level_bits(profile: EmbeddedProfile, pictures: NDArray[np.uint8]) -> list[LevelBits]:
    """Of pictures (B, H, W, 3) of one size. Escapes beyond a first level's step are not counted."""
    truth = coefficients(pictures)
    walk = Walk(profile, *truth.shape[:3])
    p1, h266 = probability_of_logit(), h266_bits()
    scratch = [np.empty(worst_case_bytes(truth[0].size * MOST_BINS), np.uint8)] * len(truth)
    out = []
    for level in LEVELS:
        walk.begin(level)
        planes, before = planes_of(level), known_before(truth, level)
        was_zero = before == 0
        bits = (np.abs(truth) >> np.maximum(planes, 0)) & np.where(was_zero, -1, 1) != 0
        counts = np.zeros((KINDS, CHANNELS, 2))
        network, contexts = 0.0, 0.0
        for step in PASSES[level]:
            logits = walk.logits(step)
            here = places_with(step.parity, *truth.shape[1:3])
            group = GROUPS[step.group].tolist()
            for channel in step.channels:
                at = group.index(channel)
                for kind, values, chosen in (
                    (NONZERO, bits, was_zero),
                    (REFINEMENT, bits, ~was_zero),
                    (SIGN, truth > 0, was_zero & bits),
                ):
                    where = chosen[..., channel] & here
                    ones = values[..., channel][where]
                    output = at + len(group) * (kind == SIGN)
                    p = p1[logits[..., output][where] - BIN_LOGIT.low]
                    p = np.where(ones, p, PROBABILITY_ONE - p)
                    network -= float(np.log2(p / PROBABILITY_ONE).sum())
                    contexts += float(h266[p].sum())
                    counts[kind, channel] += (~ones).sum(), ones.sum()
            # For what it tells the walk; what it writes is not looked at.
            walk.encode(step, logits, [start_encoder() for _ in truth], scratch, truth)
        total = counts.sum(-1, keepdims=True)
        shares = np.log2(np.maximum(counts, 1) / np.maximum(total, 1))
        zero_order = -float((counts * shares).sum())
        n = len(truth)
        out.append(LevelBits(level, zero_order / n, contexts / n, network / n))
    assert begun(LEVELS[-1]).all()
    return out


class _Middles(nn.Module):
    """An estimator that knows nothing: every logit is 0."""

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        del index
        return torch.zeros(len(x), CHANNELS, *x.shape[2:])


def without_estimator(profile: EmbeddedProfile) -> EmbeddedProfile:
    """The profile that shows every coefficient at the middle of what it may be."""
    return replace(profile, estimator=_Middles())
