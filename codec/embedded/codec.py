"""The profile `embedded` end to end: one stream, from a coarse base to the exact picture.

    picture --transform, pyramid of means--> root (1, 1, 3), details (h', w', 9), blocks (h, w, 48)
                                |
       level by level, part by part, group by group, even places before odd:
          what is known --PlanePredictor--> P(bin = 1) --arithmetic coder--> STREAM
                                                                               |
                          cut at the ends of layers: BASE, eight refinements   v

    any prefix --the same--> what is known --PictureEstimator--> expected coefficients --> picture

The encoder and the decoder are the same walk (walk.py), one reading the bins from the picture, the
other from the stream. The stream has no lengths and no end marks: a prefix determines the bins that
it determines. Layers are places to cut it, so a layer is of use only with all before it. Large
pictures may be cut into slices, each with a stream of its own (slices.py).

What is kept of the paper: a semantic base from which a network draws a picture, refined plane by
plane, most significant first, each plane predicted by an enhancement network, the error coded by
an adaptive arithmetic coder. What is changed: the planes are those of a reversible transform, the
prediction is a probability, and the picture after any bin is the expected one. `docs/bitstream.md`
describes the stream.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from codec.base import (
    CodecError,
    DecodedImage,
    EncodedImage,
    Image,
    ReceivedLayer,
    check_image,
)
from codec.embedded.bin_engine import (
    boundary,
    bytes_written,
    decoder_input,
    finish_encoder,
    start_decoder,
    start_encoder,
    worst_case_bytes,
)
from codec.embedded.knowledge import estimates, known_of_part
from codec.embedded.networks import PlanePredictor
from codec.embedded.pass_coder import MOST_BINS
from codec.embedded.profile import EmbeddedProfile
from codec.embedded.pyramid import analyse, synthesise
from codec.embedded.schedule import BLOCK, LAYER_NAMES, Pass, ends_layer
from codec.embedded.slices import (
    Box,
    as_layers,
    boxes,
    check_slice_side,
    chosen_side,
    received_streams,
)
from codec.embedded.transform import LUMA_CHANNELS, SIDE, expected_pixels
from codec.embedded.walk import PLACES_AT_ONCE, Walk, network_in_chunks
from codec.picture_header import PictureHeader

BITSTREAM_VERSION = 9
"""Of this profile; the paper's profile counts from 1, so that neither reads the other's."""


class EmbeddedCodec:
    """The codec behind the protocol `ImageCodec`.

    layers: send at most so many, 1 (base only) to 9 (lossless).
    slice_side: side in pixels of the slices that pictures are cut into; None: no slices up to 1024
        by 1024. Raises CodecError for others than `slices.check_slice_side` allows.
    reversible: whether the stream ends in the exact picture. If not, it ends near it and is better
        where it is cut before, the more the longer it is (transform.py). Decoders read from the
        stream which it is.
    """

    name = "semantic"
    scalable = True
    layer_names = LAYER_NAMES
    bitstream_version = BITSTREAM_VERSION

    def __init__(
        self,
        profile: EmbeddedProfile,
        layers: int = len(LAYER_NAMES),
        slice_side: int | None = None,
        reversible: bool = True,
    ) -> None:
        if not 1 <= layers <= len(LAYER_NAMES):
            raise CodecError(f"expected 1 to {len(LAYER_NAMES)} layers, found {layers}")
        check_slice_side(slice_side)
        self.profile, self.layers, self.slice_side = profile, layers, slice_side
        self.reversible = reversible

    # ------------------------------------------------------------------------------- encoding

    def encode_batch(
        self, images: Sequence[Image], budget_bytes: int | None = None
    ) -> list[EncodedImage | None]:
        """See ImageCodec. The budget is ignored: the stream may be cut at any byte."""
        del budget_bytes
        headers = []
        groups: dict[_Alike, list[tuple[int, Box]]] = defaultdict(list)
        for b, image in enumerate(images):
            check_image(image)
            height, width = image.shape[:2]
            side = chosen_side(height, width, self.slice_side)
            header = PictureHeader(height, width, 0, is_grey(image), side, self.reversible)
            headers.append(header)
            predictor = self.profile.predictor_for(height, width)
            for box in boxes(height, width, side):
                groups[_Alike.of(box, header, predictor)].append((b, box))
        streams: dict[tuple[int, Box], list[bytes]] = {}
        for alike, members in groups.items():
            for start in range(0, len(members), alike.at_once):
                some = members[start : start + alike.at_once]
                pictures = np.stack([images[b][box.place] for b, box in some])
                streams.update(zip(some, self._encode_alike(pictures, alike), strict=True))
        return [
            as_layers(
                LAYER_NAMES,
                header,
                BITSTREAM_VERSION,
                [streams[b, box] for box in boxes(header.height, header.width, header.slice_side)],
            )
            for b, header in enumerate(headers)
        ]

    def _encode_alike(self, pictures: NDArray[np.uint8], alike: _Alike) -> list[list[bytes]]:
        """Each picture's stream, in one piece for each layer."""
        truth = analyse(pictures, reversible=alike.reversible)
        count = len(pictures)
        walk = alike.walk(self.profile, count)
        buffers = [np.empty(0, np.uint8) for _ in range(count)]
        coders = [start_encoder() for _ in range(count)]
        ends: list[list[int]] = [[] for _ in range(count)]
        for step, following in zip(walk.passes, [*walk.passes[1:], None], strict=True):
            places = truth[step.part].shape[1] * truth[step.part].shape[2]
            # Beside the bit a sign and, in unary, a few steps more.
            room = worst_case_bytes(places * len(step.channels) * MOST_BINS)
            for b, coder in enumerate(coders):
                buffers[b] = _with_room(buffers[b], int(bytes_written(coder)) + room)
            walk.encode(step, coders, buffers, truth)
            if ends_layer(step, following):
                for b, coder in enumerate(coders):
                    ends[b].append(int(boundary(coder)))
                if len(ends[0]) == self.layers:
                    break
        return [
            _cut(buffers[b], ends[b][:-1], int(finish_encoder(coder, buffers[b])))
            for b, coder in enumerate(coders)
        ]

    # ------------------------------------------------------------------------------- decoding

    def decode_batch(self, received: Sequence[Sequence[ReceivedLayer]]) -> list[DecodedImage]:
        """See ImageCodec. Of damaged layers, what comes before the first damaged packet is used.

        Of a picture in slices, those of which nothing came are filled with the others' mean colour.
        """
        works = [_Work.of(layers) for layers in received]
        groups: dict[_Alike, list[_Job]] = defaultdict(list)
        for work in works:
            if work is not None:
                header = work.header
                predictor = self.profile.predictor_for(header.height, header.width)
                for job in work.jobs:
                    groups[_Alike.of(job.box, header, predictor)].append(job)
        for alike, jobs in groups.items():
            for start in range(0, len(jobs), alike.at_once):
                some = jobs[start : start + alike.at_once]
                for job, picture in zip(some, self._decode_alike(some, alike), strict=True):
                    job.picture = picture
        return [DecodedImage(None, 0) if work is None else work.joined() for work in works]

    def _decode_alike(self, jobs: list[_Job], alike: _Alike) -> list[Image | None]:
        walk = alike.walk(self.profile, len(jobs))
        pictures: list[Image | None] = [None] * len(jobs)
        members = list(range(len(jobs)))
        coders = [start_decoder(job.data) for job in jobs]
        for step in walk.passes:
            going_on = walk.decode(
                step, [coders[b] for b in members], [jobs[b].data for b in members]
            )
            ended = [i for i, going in enumerate(going_on) if not going]
            if ended:
                shown = self._expected(walk, ended, step, alike)
                for i, picture in zip(ended, shown, strict=True):
                    pictures[members[i]] = picture
                kept = [i for i, going in enumerate(going_on) if going]
                members = [members[i] for i in kept]
                walk.keep(kept)
            if not members:
                return pictures
        whole = synthesise(walk.known, alike.height, alike.width, reversible=alike.reversible)
        for b, picture in zip(members, whole, strict=True):
            pictures[b] = picture
        return pictures

    def _expected(
        self, walk: Walk, rows: list[int], step: Pass, alike: _Alike
    ) -> list[Image | None]:
        """The pictures of the walk at `rows`, of which all has been told that will be."""
        known, means = walk.known[-1][rows], walk.block_means(step, rows)
        in_blocks = step.kind is BLOCK
        symbols = np.zeros((*known.shape[:3], 2 * BLOCK.channels), np.float32)
        if in_blocks:
            symbols[:] = walk.symbols[rows]
        before = known_of_part(known, BLOCK, step.level)
        inputs = [self.profile.block_features(before, means, step.level), symbols]
        logits = network_in_chunks(
            self.profile.estimator, np.concatenate(inputs, axis=-1), step.level
        ).astype(np.int32)
        expected = estimates(known, means, symbols, step.level, logits, means_told=in_blocks)
        if alike.grey:
            expected[..., LUMA_CHANNELS:] = 0
        shown = expected_pixels(
            expected, alike.height, alike.width, grey=alike.grey, reversible=alike.reversible
        )
        if step is not walk.passes[0]:
            return list(shown)
        any_told = [bool(walk.symbols[row][..., step.kind.channels].any()) for row in rows]
        return [picture if told else None for picture, told in zip(shown, any_told, strict=True)]


@dataclass(frozen=True, slots=True)
class _Alike:
    """What pictures or slices have in common that are coded together."""

    height: int
    width: int
    grey: bool
    reversible: bool
    predictor: PlanePredictor

    @classmethod
    def of(cls, box: Box, header: PictureHeader, predictor: PlanePredictor) -> _Alike:
        return cls(box.height, box.width, header.grey, header.reversible, predictor)

    def walk(self, profile: EmbeddedProfile, count: int) -> Walk:
        return Walk(profile, self.predictor, count, self.height, self.width, grey=self.grey)

    @property
    def at_once(self) -> int:
        """How many fit into memory at a time."""
        places = -(-self.height // SIDE) * -(-self.width // SIDE)
        return max(1, 4 * PLACES_AT_ONCE // places)


@dataclass(slots=True)
class _Job:
    """One slice to decode: `data` is its stream as far as it came."""

    box: Box
    data: NDArray[np.uint8]
    whole_layers: int
    picture: Image | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """One picture to decode."""

    header: PictureHeader
    jobs: list[_Job]
    slices: int

    @classmethod
    def of(cls, received: Sequence[ReceivedLayer]) -> _Work | None:
        """What there is to decode; None without a header."""
        found = received_streams(received, BITSTREAM_VERSION)
        if found is None:
            return None
        header, streams = found
        places = boxes(header.height, header.width, header.slice_side)
        jobs = [
            _Job(places[stream.index], decoder_input(stream.data), stream.whole_layers)
            for stream in streams
            if stream.data
        ]
        return cls(header, jobs, len(places))

    def joined(self) -> DecodedImage:
        """The picture from its slices."""
        shown = [(job.box, job.picture) for job in self.jobs if job.picture is not None]
        if not shown:
            return DecodedImage(None, 0)
        whole = min(job.whole_layers for job in self.jobs) if len(shown) == self.slices else 0
        if len(shown) == self.slices == 1:
            return DecodedImage(shown[0][1], whole)
        mean = np.mean([picture.mean((0, 1)) for _, picture in shown], axis=0)
        canvas = np.empty((self.header.height, self.header.width, 3), np.uint8)
        canvas[:] = np.floor(mean + 0.5)
        for box, picture in shown:
            canvas[box.place] = picture
        return DecodedImage(canvas, whole)


def is_grey(image: Image) -> bool:
    """Whether the three colours of a picture are equal everywhere."""
    return bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())


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
