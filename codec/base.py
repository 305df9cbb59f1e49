"""What a codec is: an image in, layers of bytes out; any prefix of layers in, an image out.

Plain frozen dataclasses and numpy arrays cross this border, so that the testbed can treat the
semantic codec, JPEG and a user's own codec alike.

    image --encode--> EncodedImage(layers) ~~~ link ~~~ ReceivedLayer, ... --decode--> DecodedImage
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""A picture: uint8 of shape (height, width, 3), RGB, values 0-255."""


MAX_SLICES = 1 << 7
"""Packets number slices in seven bits."""


class CodecError(ValueError):
    """A codec was asked for something it cannot do, or given bytes that are not its own."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a coded image.

    `data` goes to the link, every byte of it charged. `known` reaches the receiver free of charge
    and always, if any of `data` does: only for what a study declares known, such as headers.
    `parts`: bytes of each slice's part of `data`, in order, if the picture is cut into slices that
    decode alone. A packet then holds bytes of one part only. At most MAX_SLICES.
    """

    name: str
    data: bytes
    known: bytes = b""
    parts: tuple[int, ...] = ()

    @property
    def whole(self) -> ReceivedLayer:
        """What a receiver has of it if nothing is lost."""
        return ReceivedLayer(self.data, complete=True, known=self.known)


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A coded image. Layer `l` is of use only to a receiver that has layers 0 .. l-1 whole.

    No layer is empty, and there are at most 16: packets number them in four bits.
    """

    layers: tuple[Layer, ...]

    @property
    def payload_bits(self) -> int:
        return 8 * sum(len(layer.data) for layer in self.layers)


@dataclass(frozen=True, slots=True)
class ReceivedPart:
    """The leading bytes of one slice's part of a layer; `intact_bytes` as of ReceivedLayer."""

    slice: int
    data: bytes
    complete: bool
    intact_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ReceivedLayer:
    """The leading bytes of one layer as they came through; `complete` if none is missing.

    What is missing is missing at the end. The bytes are intact (each packet's CRC held), unless the
    link delivers damaged packets: then a codec may show anything or fail, but not crash.
    `intact_bytes` says how many bytes come before the first damaged packet; None: there is none.
    `known` is that of the `Layer`. `parts`: of a layer in slices, what came of each, in order of
    the slices; `data` is all of that joined, and it is complete if every part is.
    """

    data: bytes
    complete: bool
    intact_bytes: int | None = None
    known: bytes = b""
    parts: tuple[ReceivedPart, ...] = ()


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """What the receiver sees. `image` is None if nothing could be decoded."""

    image: Image | None
    layers_decoded: int
    """Whole layers that contributed to the picture."""


class ImageCodec(Protocol):
    """Implemented by every codec; `tests/test_codec_contract.py` holds each to the same laws."""

    name: str

    scalable: bool
    """True: one stream serves every budget and may be cut at any byte. False: the image is coded
    anew for every budget; what is shown of a stream with bytes missing is the codec's choice."""

    def encode_batch(
        self, images: Sequence[Image], budget_bytes: int | None = None
    ) -> list[EncodedImage | None]:
        """Codes each image; the result never depends on which images share the batch.

        `budget_bytes` bounds the sum of an image's layers. A scalable codec ignores it (the
        packetiser cuts); any other returns the best picture that fits, or None if none does.
        Raises CodecError for an array that is not an Image.
        """
        ...

    def decode_batch(self, received: Sequence[Sequence[ReceivedLayer]]) -> list[DecodedImage]:
        """Decodes each image from its received layers: `received[b][l]` is layer l of image b.

        An entry may hold fewer layers than were sent, also none. Never raises on bytes that were
        cut short: it stops at the last thing that they determine.
        """
        ...


def with_known(
    received: Sequence[ReceivedLayer], encoded: EncodedImage | None
) -> tuple[ReceivedLayer, ...]:
    """The received layers of an image with what is known of each beforehand."""
    layers = encoded.layers if encoded else ()
    return tuple(
        replace(layer, known=sent.known) if sent.known else layer
        for layer, sent in zip(received, layers, strict=False)
    )


def intact_layers(received: Sequence[ReceivedLayer]) -> list[ReceivedLayer]:
    """What comes before the first damaged packet of an image's layers, as if no more had come."""
    layers: list[ReceivedLayer] = []
    for layer in received:
        if layer.intact_bytes is not None:
            data = layer.data[: layer.intact_bytes]
            return [*layers, replace(layer, data=data, complete=False, intact_bytes=None)]
        layers.append(layer)
    return layers


def check_image(image: Image) -> None:
    """Raises CodecError unless `image` is uint8 of shape (H >= 1, W >= 1, 3)."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise CodecError(
            f"expected an image of dtype uint8 and shape (height, width, 3), "
            f"found {image.dtype} {tuple(image.shape)}"
        )
