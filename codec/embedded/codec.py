"""The profile `embedded` end to end: one stream, from a coarse base to the exact picture.

    picture --transform--> coefficients (h, w, 48)
                                |
       level 8 .. -1, group by group, even places before odd:
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
from codec.embedded.knowledge import ESTIMATE_BITS, estimates
from codec.embedded.networks import TRUNK_WIDTH
from codec.embedded.pass_coder import MOST_BINS
from codec.embedded.profile import EmbeddedProfile
from codec.embedded.schedule import (
    LAYER_NAMES,
    LEVELS,
    PASSES,
    ends_layer,
)
from codec.embedded.slices import (
    Box,
    as_layers,
    boxes,
    check_slice_side,
    chosen_side,
    received_streams,
)
from codec.embedded.transform import CHANNELS, LUMA_CHANNELS, SIDE, coefficients, pixels
from codec.embedded.walk import PLACES_AT_ONCE, Walk, network_in_chunks
from codec.picture_header import PictureHeader

BITSTREAM_VERSION = 8
"""Of this profile; the paper's profile counts from 1, so that neither reads the other's."""


class EmbeddedCodec:
    """The codec behind the protocol `ImageCodec`.

    layers: send at most so many, 1 (base only) to 9 (lossless).
    slice_side: side in pixels of the slices that pictures are cut into; None: no slices up to 1024
        by 1024. Raises CodecError for others than `slices.check_slice_side` allows.
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
    ) -> None:
        if not 1 <= layers <= len(LAYER_NAMES):
            raise CodecError(f"expected 1 to {len(LAYER_NAMES)} layers, found {layers}")
        check_slice_side(slice_side)
        self.profile, self.layers, self.slice_side = profile, layers, slice_side

    # ------------------------------------------------------------------------------- encoding

    def encode_batch(
        self, images: Sequence[Image], budget_bytes: int | None = None
    ) -> list[EncodedImage | None]:
        """See ImageCodec. The budget is ignored: the stream may be cut at any byte."""
        del budget_bytes
        headers = []
        groups: dict[tuple[int, int, bool], list[tuple[int, Box]]] = defaultdict(list)
        for b, image in enumerate(images):
            check_image(image)
            height, width = image.shape[:2]
            side = chosen_side(height, width, self.slice_side)
            header = PictureHeader(height, width, 0, is_grey(image), side)
            headers.append(header)
            for box in boxes(height, width, side):
                groups[(box.height, box.width, header.grey)].append((b, box))
        streams: dict[tuple[int, Box], list[bytes]] = {}
        for (height, width, grey), members in groups.items():
            step = _pictures_at_once(height, width)
            for start in range(0, len(members), step):
                some = members[start : start + step]
                pictures = np.stack([images[b][box.place] for b, box in some])
                streams.update(zip(some, self._encode_same_size(pictures, grey), strict=True))
        return [
            as_layers(
                LAYER_NAMES,
                header,
                BITSTREAM_VERSION,
                [streams[b, box] for box in boxes(header.height, header.width, header.slice_side)],
            )
            for b, header in enumerate(headers)
        ]

    def _encode_same_size(self, pictures: NDArray[np.uint8], grey: bool) -> list[list[bytes]]:
        """Each picture's stream, in one piece for each layer."""
        truth = coefficients(pictures)
        count, height, width = truth.shape[:3]
        walk = Walk(self.profile, count, height, width, grey=grey)
        buffers = [np.empty(0, np.uint8) for _ in range(count)]
        coders = [start_encoder() for _ in range(count)]
        ends: list[list[int]] = [[] for _ in range(count)]
        for level in LEVELS:
            walk.begin(level)
            for step in PASSES[level]:
                # Beside the bit a sign and, in unary, a few steps more.
                room = worst_case_bytes(height * width * len(step.channels) * MOST_BINS)
                for b, coder in enumerate(coders):
                    buffers[b] = _with_room(buffers[b], int(bytes_written(coder)) + room)
                walk.encode(step, walk.logits(step), coders, buffers, truth)
                if ends_layer(step):
                    for b, coder in enumerate(coders):
                        ends[b].append(int(boundary(coder)))
                    if len(ends[0]) == self.layers:
                        return [
                            _cut(buffers[b], ends[b][:-1], int(finish_encoder(coder, buffers[b])))
                            for b, coder in enumerate(coders)
                        ]
        raise AssertionError("the last pass ends the last layer")

    # ------------------------------------------------------------------------------- decoding

    def decode_batch(self, received: Sequence[Sequence[ReceivedLayer]]) -> list[DecodedImage]:
        """See ImageCodec. Of damaged layers, what comes before the first damaged packet is used.

        Of a picture in slices, those of which nothing came are filled with the others' mean colour.
        """
        works = [_Work.of(layers) for layers in received]
        groups: dict[tuple[int, int, bool], list[_Job]] = defaultdict(list)
        for work in works:
            if work is not None:
                for job in work.jobs:
                    groups[(job.box.height, job.box.width, work.header.grey)].append(job)
        for (height, width, grey), jobs in groups.items():
            step = _pictures_at_once(height, width)
            for start in range(0, len(jobs), step):
                some = jobs[start : start + step]
                for job, picture in zip(some, self._decode_same_size(some, grey), strict=True):
                    job.picture = picture
        return [DecodedImage(None, 0) if work is None else work.joined() for work in works]

    def _decode_same_size(self, jobs: list[_Job], grey: bool) -> list[Image | None]:
        height, width = jobs[0].box.height, jobs[0].box.width
        places = -(-height // SIDE), -(-width // SIDE)
        walk = Walk(self.profile, len(jobs), *places, grey=grey)
        pictures: list[Image | None] = [None] * len(jobs)
        members = list(range(len(jobs)))
        coders = [start_decoder(job.data) for job in jobs]
        for level in LEVELS:
            walk.begin(level)
            for step in PASSES[level]:
                going_on = walk.decode(
                    step,
                    walk.logits(step),
                    [coders[b] for b in members],
                    [jobs[b].data for b in members],
                )
                ended = [i for i, going in enumerate(going_on) if not going]
                if ended:
                    shown = self._expected(walk, ended, level, (height, width), grey)
                    for i, picture in zip(ended, shown, strict=True):
                        pictures[members[i]] = picture
                    kept = [i for i, going in enumerate(going_on) if going]
                    members = [members[i] for i in kept]
                    walk.keep(kept)
                if not members:
                    return pictures
        for b, picture in zip(members, pixels(walk.known, height, width), strict=True):
            pictures[b] = picture
        return pictures

    def _expected(
        self, walk: Walk, rows: list[int], level: int, size: tuple[int, int], grey: bool
    ) -> list[Image | None]:
        """The pictures of the walk at `rows`, of which all has been told that will be."""
        known, symbols = walk.known[rows], walk.inputs[rows][..., TRUNK_WIDTH:]
        inputs = np.concatenate([walk.before[rows], symbols], axis=-1)
        logits = network_in_chunks(self.profile.estimator, inputs, level).astype(np.int32)
        expected = estimates(known, symbols, level, logits)
        if grey:
            expected[..., LUMA_CHANNELS:] = 0
        shown = pixels(expected, *size, ESTIMATE_BITS)
        told = [bool(each[..., CHANNELS:].any()) for each in symbols]
        return [
            picture if level < LEVELS[0] or any_told else None
            for picture, any_told in zip(shown, told, strict=True)
        ]


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


def _pictures_at_once(height: int, width: int) -> int:
    places = -(-height // SIDE) * -(-width // SIDE)
    return max(1, 4 * PLACES_AT_ONCE // places)


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
