"""What parts of the profile `embedded` bring, measured on pictures with the weights as they are.

    zero order     bits if every bin of a part's channel and level had its own frequency as
                   probability
    contexts_h266  bits if the networks' probabilities drove H.266's coder, 6 bits of them
    networks       bits of the networks' probabilities, 16 bits of them: what is used, corrected
                   in some pictures (adaptation.py)
    middles        quality if every coefficient were shown at its interval's middle
    estimator      quality of the expected coefficients: what is shown

What a prediction from the same level or the linear prediction brings takes other weights:
`testbed train embedded --part predictor --ablate ...`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.embedded.adaptation import REFINEMENT, SIGN, SIGNIFICANCE
from codec.embedded.bin_engine import PROBABILITY_ONE, start_encoder, worst_case_bytes
from codec.embedded.networks import HEAD_OUTPUTS
from codec.embedded.pass_coder import MOST_BINS, first_logits, probability_of_logit
from codec.embedded.profile import REVERSIBLE, EmbeddedProfile
from codec.embedded.pyramid import analyse
from codec.embedded.schedule import Pass, places_with, told_by
from codec.embedded.transform import CHANNELS
from codec.embedded.walk import Walk
from codec.fixed_point import BIN_LOGIT


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
    """Of pictures (B, H, W, 3) of one size, taken for coloured ones, from the first level on.

    As the networks say, without what adaptation.py makes of it. Escapes beyond a first level's step
    are not counted.
    """
    truth = analyse(pictures)
    count, height, width = pictures.shape[:3]
    predictor = profile.predictor_for(height, width, reversible=True)
    walk = Walk(profile, predictor, count, height, width)
    bins = max(part[0].size for part in truth) * MOST_BINS
    scratch = [np.empty(worst_case_bytes(bins), np.uint8)] * count
    found = []
    for level, steps in groupby(walk.passes, lambda step: step.level):
        counted = _Counted()
        for step in steps:
            walk.enter(step)
            counted.add(walk, step, truth[step.part])
            # For what it tells the walk; what it writes is not looked at.
            walk.encode(step, [start_encoder() for _ in range(count)], scratch, truth)
        bits = np.array([counted.zero_order, counted.contexts, counted.networks])
        found.append(LevelBits(level, *(bits / count).tolist()))
    return found


class _Counted:
    """Bins of one level, with their bits as LevelBits names them."""

    def __init__(self) -> None:
        self.contexts, self.networks = 0.0, 0.0
        self._frequencies: dict[tuple[int, int, int], NDArray[np.int64]] = {}

    def add(self, walk: Walk, step: Pass, truth: NDArray[np.int32]) -> None:
        """Those of a pass that `walk` has entered; truth: (B, h, w, C), of the pass's part."""
        here = places_with(step.parity, *truth.shape[1:3])
        logits, known = walk.logits(step)[:, here], walk.known[step.part][:, here]
        plus = np.split(logits, HEAD_OUTPUTS, axis=-1)[-1]
        told = told_by(step, grey=False)
        for channel, output, plane in zip(told.channels, told.outputs, told.planes, strict=True):
            values = truth[:, here, channel]
            was_zero = known[..., channel] == 0
            bits = np.abs(values) >> plane & np.where(was_zero, -1, 1) != 0
            first = first_logits(logits, known[..., channel], output)
            for kind, ones, chosen, said in (
                (SIGNIFICANCE, bits, was_zero, first),
                (REFINEMENT, bits, ~was_zero, first),
                (SIGN, values > 0, was_zero & bits, plus[..., output]),
            ):
                self._add_bins((step.part, channel, kind), ones[chosen], said[chosen])

    def _add_bins(
        self, key: tuple[int, int, int], ones: NDArray[np.bool_], logits: NDArray[np.int32]
    ) -> None:
        frequencies = self._frequencies.setdefault(key, np.zeros(2, np.int64))
        frequencies += (~ones).sum(), ones.sum()
        p = probability_of_logit()[logits - BIN_LOGIT.low]
        p = np.where(ones, p, PROBABILITY_ONE - p)
        self.networks -= float(np.log2(p / PROBABILITY_ONE).sum())
        self.contexts += float(h266_bits()[p].sum())

    @property
    def zero_order(self) -> float:
        """Bits if every bin of a part's channel had its own frequency as probability."""
        counts = np.array(list(self._frequencies.values()))
        shares = np.maximum(counts, 1) / np.maximum(counts.sum(-1, keepdims=True), 1)
        return -float((counts * np.log2(shares)).sum())


class _Middles(nn.Module):
    """An estimator that knows nothing: every logit is 0."""

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        del index
        return torch.zeros(len(x), CHANNELS, *x.shape[2:])


def with_one_for_all_streams(profile: EmbeddedProfile) -> EmbeddedProfile:
    """The profile without what only reversible streams use: only transforms differ then."""
    there = profile.predictors.items()
    shared = {name: each for name, each in there if not name.startswith(REVERSIBLE)}
    return replace(profile, predictors=shared)


def without_estimator(profile: EmbeddedProfile) -> EmbeddedProfile:
    """The profile that shows every coefficient at the middle of what it may be."""
    return replace(profile, estimator=_Middles())
