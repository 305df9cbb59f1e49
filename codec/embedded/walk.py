"""The walk through levels, parts and passes that encoder and decoder share.

    for each level, for each part from coarse to fine:
                        features of what is known --trunk--> |
        for each pass:  what this level has told of the part +--head--> logits --> code the pass
                                    (corrected by the bins told so far: adaptation.py)

A `Walk` holds pictures of one size at the same place of their streams. Their streams may be cut in
different places: a picture whose stream has ended leaves the walk (`keep`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from codec.device import evaluate
from codec.embedded.adaptation import new_mixer
from codec.embedded.knowledge import middles
from codec.embedded.networks import STAGE_ROWS, PartPredictor, PlanePredictor
from codec.embedded.pass_coder import decode_pass, encode_pass, probability_of_logit
from codec.embedded.profile import EmbeddedProfile
from codec.embedded.pyramid import Parts, empty_parts, finer_means
from codec.embedded.root_model import root_logits
from codec.embedded.schedule import (
    BLOCK,
    ROOT,
    Pass,
    kind_of,
    level_row,
    passes,
    places_with,
    told_by,
)
from codec.fixed_point import SIGNED

PLACES_AT_ONCE = 1 << 14
"""Batches are cut so that a network sees at most so many places at a time (or one picture)."""


class Walk:
    """Pictures of height x width pixels, of which nothing is known yet.

    predictor: the profile's for them. grey: whether they are; then no chroma is coded. adaptive:
    whether what it says is corrected by what each stream has told (adaptation.py).
    known: what has been told of each coefficient, by parts (pyramid.py).
    means: int32 (B, h, w, 3), those on the present part's grid, with what this level has told.
    symbols: float32 (B, h, w, 2C), what this level has told of the present part, which has C
        channels.
    """

    def __init__(
        self,
        profile: EmbeddedProfile,
        predictor: PlanePredictor,
        count: int,
        height: int,
        width: int,
        *,
        grey: bool = False,
        adaptive: bool = False,
    ) -> None:
        self.profile, self.predictor, self.grey = profile, predictor, grey
        self.mixers = [
            new_mixer(adaptive=adaptive, start=predictor.correction) for _ in range(count)
        ]
        self.known: Parts = empty_parts(count, height, width)
        self.stages = len(self.known) - 2
        self.passes = passes(self.stages)
        self.means = self.known[0]
        self._at: tuple[int, int] | None = None
        self.symbols: NDArray[np.float32] = np.zeros((count, 1, 1, 0), np.float32)
        self._seen = self._ahead = self.symbols
        self._group: int | None = None

    def __len__(self) -> int:
        return len(self.known[0])

    def enter(self, step: Pass) -> None:
        """Makes ready for a pass: in a new part or level, of which nothing is told, the trunk."""
        if self._at == (step.level, step.part):
            return
        self._at = (step.level, step.part)
        self._group = None
        grid = self.known[step.part].shape[:3]
        self.symbols = np.zeros((*grid, 2 * step.kind.channels), np.float32)
        if step.kind is ROOT:
            return
        self.means = self._finer(step.level, step.part)
        rows, index = self._distinct()
        network, features = self._network(step), self._features(step, rows)
        rows_of = level_rows(step.level, self._stage_row(step))
        seen = network_in_chunks(network.trunk, [features], rows_of)
        if network.heads_see_features:
            seen = np.concatenate([seen, features], axis=-1)
        self._seen = seen[index]

    def _network(self, step: Pass) -> PartPredictor:
        return self.predictor.blocks if step.kind is BLOCK else self.predictor.details

    def _finer(self, level: int, part: int) -> NDArray[np.int32]:
        """The means on a part's grid from those on the part's before, all of which is told."""
        before = part - 1
        planes = kind_of(before, self.stages).planes(level) - 1
        told = middles(self.known[before], np.maximum(planes, -1))
        if before == 0:
            return told
        return finer_means(self.means, told, self.known[part].shape[1:3])

    def _features(self, step: Pass, rows: slice | list[int]) -> NDArray[np.float32]:
        known, means = self.known[step.part][rows], self.means[rows]
        if step.kind is BLOCK:
            return self.profile.block_features(known, means, step.level)
        return self.profile.detail_features(known, means, step.level)

    def _stage_row(self, step: Pass) -> int | None:
        return None if step.kind is BLOCK else min(self.stages - step.part, STAGE_ROWS - 1)

    def logits(self, step: Pass) -> NDArray[np.int32]:
        """(B, h, w, HEAD_OUTPUTS n) of the pass's head; n = 0 if the pass tells nothing."""
        known = self.known[step.part]
        if not told_by(step, grey=self.grey).channels.size:
            return np.zeros((*known.shape[:3], 0), np.int32)
        if step.kind is ROOT:
            return root_logits(len(known), step.level - self.stages)
        rows, index = self._distinct()
        head = self._network(step).heads[step.group]
        if self._group != step.group:
            self._group = step.group
            self._ahead = network_in_chunks(head, [self._seen[rows]], [], "ahead")[index]
        inputs = [self.symbols[rows], self._ahead[rows]]
        found = network_in_chunks(head, inputs, level_rows(step.level))
        return found.astype(np.int32)[index]

    def encode(
        self,
        step: Pass,
        coders: Sequence[NDArray[np.int64]],
        buffers: Sequence[NDArray[np.uint8]],
        truth: Parts,
    ) -> None:
        """Codes a pass of each picture; truth: its parts. See pass_coder.encode_pass."""
        self.enter(step)
        told = told_by(step, grey=self.grey)
        if told.channels.size:
            logits, known, symbols = self.logits(step), self.known[step.part], self.symbols
            for b, (coder, buffer) in enumerate(zip(coders, buffers, strict=True)):
                encode_pass(
                    coder, buffer, logits[b], probability_of_logit(), truth[step.part][b], known[b],
                    symbols[b], told, self.mixers[b],
                )  # fmt: skip
        self._tell_grey(step)

    def decode(
        self,
        step: Pass,
        coders: Sequence[NDArray[np.int64]],
        streams: Sequence[NDArray[np.uint8]],
    ) -> list[bool]:
        """Decodes a pass of each picture; False where the stream ends in it."""
        self.enter(step)
        told = told_by(step, grey=self.grey)
        going_on = [True] * len(self)
        if told.channels.size:
            logits, known, symbols = self.logits(step), self.known[step.part], self.symbols
            going_on = [
                decode_pass(
                    coder, stream, logits[b], probability_of_logit(), known[b],
                    symbols[b], told, self.mixers[b],
                )
                for b, (coder, stream) in enumerate(zip(coders, streams, strict=True))
            ]  # fmt: skip
        self._tell_grey(step)
        return going_on

    def _tell_grey(self, step: Pass) -> None:
        """Marks a grey picture's chroma as told with the pass: it is 0 and takes no bins."""
        if not self.grey:
            return
        places = places_with(step.parity, *self.known[step.part].shape[1:3])
        told = self.symbols[..., step.kind.channels :]
        for channel in step.channels:
            if step.kind.is_chroma[channel]:
                told[:, places, channel] = SIGNED.unit

    def block_means(self, step: Pass, rows: list[int]) -> NDArray[np.int32]:
        """(n, h, w, 3): the means of blocks of the pictures `rows` as they are known in `step`."""
        if step.kind is BLOCK:
            return self.means[rows]
        means = self.means[rows]
        for part in range(step.part, self.stages + 1):
            kind, known = kind_of(part, self.stages), self.known[part][rows]
            planes = kind.planes(step.level)
            if part == step.part:
                told = self.symbols[rows][..., kind.channels :] != 0
                planes = np.maximum(planes - told, -1)
            middle = middles(known, planes)
            grid = self.known[part + 1].shape[1:3]
            means = middle if part == 0 else finer_means(means, middle, grid)
        return means

    def keep(self, members: Sequence[int]) -> None:
        """Leaves only these pictures in the walk."""
        at = list(members)
        self.known = [part[at] for part in self.known]
        self.symbols, self.means = self.symbols[at], self.means[at]
        self._seen, self._ahead = self._seen[at], self._ahead[at]
        self.mixers = [self.mixers[b] for b in at]

    def _distinct(self) -> tuple[slice | list[int], slice | list[int]]:
        """(which pictures differ, where each picture is among those).

        A sweep decodes one stream cut in many places: equal states are looked at once.
        """
        if len(self) == 1:
            return slice(None), slice(None)
        first: dict[bytes, int] = {}
        index = [
            first.setdefault(b"".join(part[b].tobytes() for part in self.known), len(first))
            for b in range(len(self))
        ]
        if len(first) == len(index):
            return slice(None), slice(None)
        return [index.index(i) for i in range(len(first))], index


def level_rows(level: int, stage_row: int | None = None) -> list[int]:
    """What tells a network the level, and the stage if it has rows for these."""
    return [level_row(level)] + ([] if stage_row is None else [stage_row])


@torch.inference_mode()
def network_in_chunks(
    network: torch.nn.Module,
    inputs: Sequence[NDArray[np.float32]],
    rows: Sequence[int],
    method: str = "forward",
) -> NDArray[np.float32]:
    """A method of a network over arrays (B, h, w, C), in parts of bounded size: (B, h, w, C').

    The network takes the first, then each of `rows` for every picture, then the other arrays.
    """
    count, height, width = inputs[0].shape[:3]
    step = max(1, PLACES_AT_ONCE // (height * width))
    parts = []
    for start in range(0, count, step):
        # Channels last in memory: what numpy calls (B, h, w, C) is torch's channels_last.
        first, *others = (
            torch.from_numpy(np.ascontiguousarray(each[start : start + step])).permute(0, 3, 1, 2)
            for each in inputs
        )
        told = [torch.full((len(first),), row) for row in rows]
        found = evaluate(network, first, *told, *others, method=method)
        parts.append(found.permute(0, 2, 3, 1).numpy())
    whole: NDArray[np.float32] = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return whole
