"""The profile `embedded` end to end: one stream, from a coarse base to the exact picture.

    picture --transform, pyramid of means--> root (1, 1, 3), details (h', w', 9), blocks (h, w, 48)
                                |
       level by level, part by part, group by group, even places before odd:
          what is known --PlanePredictor--> P(bin = 1) --arithmetic coder--> STREAM
          (P may be corrected by the bins told before: adaptation.py)          |
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
from codec.embedded.bin_engine import decoder_input
from codec.embedded.coding import Alike, decode_alike, encode_alike, in_batches
from codec.embedded.profile import EmbeddedProfile
from codec.embedded.schedule import LAYER_NAMES
from codec.embedded.slices import (
    Box,
    as_layers,
    boxes,
    check_slice_side,
    chosen_side,
    received_streams,
)
from codec.embedded.versions import STEPPED_VERSION, VERSIONS, version_of
from codec.picture_header import PictureHeader


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
        self.bitstream_version = version_of(reversible=reversible)

    # ------------------------------------------------------------------------------- encoding

    def encode_batch(
        self, images: Sequence[Image], budget_bytes: int | None = None
    ) -> list[EncodedImage | None]:
        """See ImageCodec. The budget is ignored: the stream may be cut at any byte."""
        del budget_bytes
        headers = []
        groups: dict[Alike, list[tuple[int, Box]]] = defaultdict(list)
        for b, image in enumerate(images):
            check_image(image)
            height, width = image.shape[:2]
            side = chosen_side(height, width, self.slice_side)
            header = PictureHeader(
                height, width, 0, is_grey(image), side, self.reversible, self.bitstream_version
            )
            headers.append(header)
            for box in boxes(height, width, side):
                groups[alike_of(box, header, self.profile)].append((b, box))
        streams: dict[tuple[int, Box], list[bytes]] = {}
        for alike, some in in_batches(groups):
            pictures = np.stack([images[b][box.place] for b, box in some])
            found = encode_alike(self.profile, pictures, alike, self.layers)
            streams.update(zip(some, found, strict=True))
        return [
            as_layers(
                LAYER_NAMES,
                header,
                [streams[b, box] for box in boxes(header.height, header.width, header.slice_side)],
            )
            for b, header in enumerate(headers)
        ]

    # ------------------------------------------------------------------------------- decoding

    def decode_batch(self, received: Sequence[Sequence[ReceivedLayer]]) -> list[DecodedImage]:
        """See ImageCodec. Of damaged layers, what comes before the first damaged packet is used.

        Of a picture in slices, those of which nothing came are filled with the others' mean colour.
        """
        works = [_Work.of(layers) for layers in received]
        groups: dict[Alike, list[_Job]] = defaultdict(list)
        for work in works:
            if work is not None:
                for job in work.jobs:
                    groups[alike_of(job.box, work.header, self.profile)].append(job)
        for alike, jobs in in_batches(groups):
            shown = decode_alike(self.profile, [job.data for job in jobs], alike)
            for job, picture in zip(jobs, shown, strict=True):
                job.picture = picture
        return [DecodedImage(None, 0) if work is None else work.joined() for work in works]


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
        found = received_streams(received, VERSIONS)
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


def alike_of(box: Box, header: PictureHeader, profile: EmbeddedProfile) -> Alike:
    """How a slice of a picture with this header is coded."""
    whole = (header.height, header.width)
    return Alike(
        box.height,
        box.width,
        header.grey,
        header.reversible,
        header.version == STEPPED_VERSION,
        profile.predictor_for(*whole, reversible=header.reversible),
        profile.adaptive_for(*whole, reversible=header.reversible),
    )


def is_grey(image: Image) -> bool:
    """Whether the three colours of a picture are equal everywhere."""
    return bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())
