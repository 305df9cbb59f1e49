"""The walk through levels and passes that encoder and decoder share.

    for each level:   features of what is known --trunk--> |
        for each pass:          what this level has told  -+--head--> logits --> code the pass

A `Walk` holds pictures of one size at the same place of their streams. Their streams may be cut in
different places: a picture whose stream has ended leaves the walk (`keep`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from codec.device import evaluate
from codec.embedded.networks import FEATURES, SYMBOLS, TRUNK_WIDTH
from codec.embedded.pass_coder import decode_pass, encode_pass, probability_of_logit
from codec.embedded.profile import EmbeddedProfile
from codec.embedded.schedule import LEVELS, Pass, begins, places_with, told_by
from codec.embedded.transform import CHANNELS, LUMA_CHANNELS
from codec.fixed_point import SIGNED

PLACES_AT_ONCE = 1 << 14
"""Batches are cut so that a network sees at most so many places at a time (or one picture)."""


class Walk:
    """Pictures whose coefficients have h x w places.

    grey: whether they are; then no chroma is coded.
    known: int32 (B, h, w, 48), what has been told of each coefficient.
    inputs: float32 (B, h, w, TRUNK_WIDTH + SYMBOLS), of the heads.
    before: float32 (B, h, w, FEATURES), of the trunk at this level.
    """

    def __init__(
        self, profile: EmbeddedProfile, count: int, height: int, width: int, *, grey: bool = False
    ) -> None:
        self.profile, self.grey = profile, grey
        self.known = np.zeros((count, height, width, CHANNELS), np.int32)
        self.inputs = np.zeros((count, height, width, TRUNK_WIDTH + SYMBOLS), np.float32)
        self.before = np.zeros((count, height, width, FEATURES), np.float32)

    def __len__(self) -> int:
        return len(self.known)

    def begin(self, level: int) -> None:
        """Evaluates the trunk: from here on the walk is in `level`, of which nothing is told."""
        rows, index = _distinct(self.known)
        self.before = self.profile.features(self.known[rows], level)[index]
        trunk = self.profile.predictor.trunk
        seen = network_in_chunks(trunk, self.before[rows], level)
        self.inputs[..., :TRUNK_WIDTH] = seen[index]
        self.inputs[..., TRUNK_WIDTH:] = 0

    def logits(self, step: Pass) -> NDArray[np.int32]:
        """(B, h, w, 2n) of the head of the pass's group; n = 0 if the pass tells nothing."""
        if not told_by(step, grey=self.grey)[0].size:
            return np.zeros((*self.known.shape[:3], 0), np.int32)
        rows, index = _distinct(self.known)
        head = self.profile.predictor.heads[step.group]
        found = network_in_chunks(head, self.inputs[rows], step.level)
        return found.astype(np.int32)[index]

    def encode(
        self,
        step: Pass,
        logits: NDArray[np.int32],
        coders: Sequence[NDArray[np.int64]],
        buffers: Sequence[NDArray[np.uint8]],
        truth: NDArray[np.int32],
    ) -> None:
        """Codes a pass of each picture; truth: int32 (B, h, w, 48). See pass_coder.encode_pass."""
        channels, outputs, planes = told_by(step, grey=self.grey)
        if channels.size:
            for b, (coder, buffer) in enumerate(zip(coders, buffers, strict=True)):
                encode_pass(
                    coder, buffer, logits[b], probability_of_logit(), truth[b], self.known[b],
                    self.inputs[b], channels, outputs, planes, begins(step), step.parity,
                )  # fmt: skip
        self._tell_grey(step)

    def decode(
        self,
        step: Pass,
        logits: NDArray[np.int32],
        coders: Sequence[NDArray[np.int64]],
        streams: Sequence[NDArray[np.uint8]],
    ) -> list[bool]:
        """Decodes a pass of each picture; False where the stream ends in it."""
        channels, outputs, planes = told_by(step, grey=self.grey)
        going_on = [True] * len(self)
        if channels.size:
            going_on = [
                decode_pass(
                    coder, stream, logits[b], probability_of_logit(), self.known[b],
                    self.inputs[b], channels, outputs, planes, begins(step), step.parity,
                )
                for b, (coder, stream) in enumerate(zip(coders, streams, strict=True))
            ]  # fmt: skip
        self._tell_grey(step)
        return going_on

    def _tell_grey(self, step: Pass) -> None:
        """Marks a grey picture's chroma as told with the pass: it is 0 and takes no bins."""
        if not self.grey:
            return
        places = places_with(step.parity, *self.known.shape[1:3])
        for channel in step.channels:
            if channel >= LUMA_CHANNELS:
                self.inputs[:, places, TRUNK_WIDTH + CHANNELS + channel] = SIGNED.unit

    def keep(self, members: Sequence[int]) -> None:
        """Leaves only these pictures in the walk."""
        at = list(members)
        self.known, self.inputs = self.known[at], self.inputs[at]
        self.before = self.before[at]


def _distinct(known: NDArray[np.int32]) -> tuple[slice | list[int], slice | list[int]]:
    """(which pictures differ, where each picture is among those).

    A sweep decodes one stream cut in many places: equal states are looked at once.
    """
    if len(known) == 1:
        return slice(None), slice(None)
    first: dict[bytes, int] = {}
    index = [first.setdefault(each.tobytes(), len(first)) for each in known]
    if len(first) == len(index):
        return slice(None), slice(None)
    return [index.index(i) for i in range(len(first))], index


@torch.inference_mode()
def network_in_chunks(
    network: torch.nn.Module, inputs: NDArray[np.float32], level: int
) -> NDArray[np.float32]:
    """`network(x, levels)` over (B, h, w, C), in parts of bounded size: float32 (B, h, w, C')."""
    count, height, width = inputs.shape[:3]
    step = max(1, PLACES_AT_ONCE // (height * width))
    parts = []
    for start in range(0, count, step):
        # Channels last in memory: what numpy calls (B, h, w, C) is torch's channels_last.
        x = torch.from_numpy(np.ascontiguousarray(inputs[start : start + step])).permute(0, 3, 1, 2)
        index = torch.full((len(x),), LEVELS.index(level))
        parts.append(evaluate(network, x, index).permute(0, 2, 3, 1).numpy())
    found: NDArray[np.float32] = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return found
