"""Streams of pictures that are alike: coded and decoded together, in one walk (walk.py).

A stream is what one picture or slice becomes behind its header. In streams of the kind that is
*stepped* the step of its coefficients comes first (steps.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from codec.base import Image
from codec.embedded.bin_engine import (
    boundary,
    bytes_written,
    finish_encoder,
    start_decoder,
    start_encoder,
    worst_case_bytes,
)
from codec.embedded.knowledge import estimates, known_of_part
from codec.embedded.networks import PlanePredictor
from codec.embedded.pass_coder import MOST_BINS
from codec.embedded.profile import EmbeddedProfile
from codec.embedded.pyramid import Parts, analyse, joined, split, synthesise
from codec.embedded.schedule import BLOCK, Pass, ends_layer
from codec.embedded.steps import STEP_BINS, read_step, stepped_coefficients, tell_step, unstepped
from codec.embedded.transform import ESTIMATE_BITS, LUMA_CHANNELS, SIDE, expected_pixels
from codec.embedded.walk import PLACES_AT_ONCE, Walk, level_rows, network_in_chunks

_Member = TypeVar("_Member")
_Batch: TypeAlias = "tuple[Alike, Sequence[_Member]]"

_AFTER_THE_CUT = 8
"""Bytes that a stream has at least behind the place where it will be cut, so that this, and not how
an encoder ends, decides what its last bytes tell."""


@dataclass(frozen=True, slots=True)
class Alike:
    """What pictures or slices have in common that are coded together.

    stepped: their streams begin with a step; never reversible. adaptive: what the predictor says is
        corrected (adaptation.py).
    """

    height: int
    width: int
    grey: bool
    reversible: bool
    stepped: bool
    predictor: PlanePredictor
    adaptive: bool

    def walk(self, profile: EmbeddedProfile, count: int) -> Walk:
        """From the beginning."""
        return Walk(
            profile, self.predictor, count, self.height, self.width,
            grey=self.grey, adaptive=self.adaptive,
        )  # fmt: skip

    @property
    def at_once(self) -> int:
        """How many fit into memory at a time."""
        places = -(-self.height // SIDE) * -(-self.width // SIDE)
        return max(1, 4 * PLACES_AT_ONCE // places)


def in_batches(groups: Mapping[Alike, Sequence[_Member]]) -> Iterator[_Batch[_Member]]:
    """Each group's members, in runs of as many as are coded at a time."""
    for alike, members in groups.items():
        for start in range(0, len(members), alike.at_once):
            yield alike, members[start : start + alike.at_once]


def encode_alike(
    profile: EmbeddedProfile,
    pictures: NDArray[np.uint8],
    alike: Alike,
    layers: int,
    steps: NDArray[np.int64] | None = None,
    most_bytes: int | None = None,
) -> list[list[bytes]]:
    """Each picture's stream, in one piece for each of the first `layers` layers.

    pictures: uint8 (B, H, W, 3), all as `alike` says. steps: int64 (B,), 0 .. STEPS - 1, if they
    are stepped. most_bytes: of streams that will be cut there; what comes after may be missing, and
    pieces with it.
    """
    assert alike.stepped == (steps is not None)
    truth = _truth(pictures, alike, steps)
    count = len(pictures)
    walk = alike.walk(profile, count)
    buffers = [np.empty(worst_case_bytes(STEP_BINS), np.uint8) for _ in range(count)]
    coders = [start_encoder() for _ in range(count)]
    if steps is not None:
        for coder, buffer, number in zip(coders, buffers, steps, strict=True):
            tell_step(coder, buffer, number)
    ends: list[list[int]] = [[] for _ in range(count)]
    streams: dict[int, list[bytes]] = {}
    for step, following in zip(walk.passes, [*walk.passes[1:], None], strict=True):
        places = truth[step.part].shape[1] * truth[step.part].shape[2]
        # Beside the bit a sign and, in unary, a few steps more.
        room = worst_case_bytes(places * len(step.channels) * MOST_BINS)
        for b, coder in enumerate(coders):
            buffers[b] = _with_room(buffers[b], int(bytes_written(coder)) + room)
        walk.encode(step, coders, buffers, truth)
        at_end = ends_layer(step, following)
        for b, coder in enumerate(coders):
            if at_end:
                ends[b].append(int(boundary(coder)))
            long_enough = (
                most_bytes is not None and bytes_written(coder) >= most_bytes + _AFTER_THE_CUT
            )
            # Each ends where it would without the others; those that have not go on.
            if b not in streams and (long_enough or len(ends[b]) == layers):
                inner = ends[b][: layers - 1]
                streams[b] = _cut(buffers[b], inner, int(finish_encoder(coder, buffers[b])))
        if len(streams) == count:
            break
    return [streams[b] for b in range(count)]


def _truth(pictures: NDArray[np.uint8], alike: Alike, steps: NDArray[np.int64] | None) -> Parts:
    if steps is None:
        return analyse(pictures, reversible=alike.reversible)
    return split(stepped_coefficients(pictures, steps))


def decode_alike(
    profile: EmbeddedProfile, streams: Sequence[NDArray[np.uint8]], alike: Alike
) -> list[Image | None]:
    """The picture of each stream, uint8 (H, W, 3), as far as it came; None if it tells nothing.

    streams: the bytes of each, uint8 (n,).
    """
    walk = alike.walk(profile, len(streams))
    pictures: list[Image | None] = [None] * len(streams)
    members = list(range(len(streams)))
    coders = [start_decoder(stream) for stream in streams]
    steps = np.zeros(len(streams), np.int64)
    if alike.stepped:
        steps[:] = [read_step(*each) for each in zip(coders, streams, strict=True)]
        members = np.flatnonzero(steps >= 0).tolist()
        if not members:
            return pictures
        walk.keep(members)
    for step in walk.passes:
        going_on = walk.decode(step, [coders[b] for b in members], [streams[b] for b in members])
        ended = [i for i, going in enumerate(going_on) if not going]
        if ended:
            expected = _expected(profile, walk, ended, step, alike)
            shown = _shown(expected, steps[[members[i] for i in ended]], alike)
            for i, picture in zip(ended, shown, strict=True):
                if step is not walk.passes[0] or walk.symbols[i][..., step.kind.channels].any():
                    pictures[members[i]] = picture
            kept = [i for i, going in enumerate(going_on) if going]
            members = [members[i] for i in kept]
            walk.keep(kept)
        if not members:
            return pictures
    if alike.reversible:
        whole = list(synthesise(walk.known, alike.height, alike.width))
    else:
        whole = _shown(joined(walk.known) << ESTIMATE_BITS, steps[members], alike)
    for b, picture in zip(members, whole, strict=True):
        pictures[b] = picture
    return pictures


def _expected(
    profile: EmbeddedProfile, walk: Walk, rows: list[int], step: Pass, alike: Alike
) -> NDArray[np.int32]:
    """The coefficients of the walk's pictures `rows`, of which all has been told that will be."""
    known, means = walk.known[-1][rows], walk.block_means(step, rows)
    in_blocks = step.kind is BLOCK
    symbols = np.zeros((*known.shape[:3], 2 * BLOCK.channels), np.float32)
    if in_blocks:
        symbols[:] = walk.symbols[rows]
    before = known_of_part(known, BLOCK, step.level)
    inputs = [profile.block_features(before, means, step.level), symbols]
    seen = np.concatenate(inputs, axis=-1)
    logits = network_in_chunks(profile.estimator, [seen], level_rows(step.level)).astype(np.int32)
    expected = estimates(known, means, symbols, step.level, logits, means_told=in_blocks)
    if alike.grey:
        expected[..., LUMA_CHANNELS:] = 0
    return expected


def _shown(
    expected: NDArray[np.int32], steps: NDArray[np.int64], alike: Alike
) -> list[NDArray[np.uint8]]:
    """The pictures of expected coefficients (B, h, w, 48); steps: (B,), of use if stepped."""
    if alike.stepped:
        expected = unstepped(expected, steps)
    return list(
        expected_pixels(
            expected, alike.height, alike.width, grey=alike.grey, reversible=alike.reversible
        )
    )


def _with_room(buffer: NDArray[np.uint8], n_bytes: int) -> NDArray[np.uint8]:
    """`buffer`, or a copy that holds `n_bytes` and as much again."""
    if buffer.size >= n_bytes:
        return buffer
    larger = np.empty(2 * n_bytes, np.uint8)
    larger[: buffer.size] = buffer
    return larger


def _cut(buffer: NDArray[np.uint8], ends: list[int], length: int) -> list[bytes]:
    """The stream `buffer[:length]` cut at `ends`, which may lie behind its end."""
    stream = buffer[:length].tobytes()
    places = [0, *(min(end, length) for end in ends), length]
    return [stream[a:b] for a, b in pairwise(places)]
