"""A codec: cosine coefficients of blocks of 8x8x3, rounded to multiples of a step, behind zlib.

Each picture is coded anew for every budget, with the finest step whose stream fits. What is lost of
a stream cannot be told from zlib's bytes, so a stream with a gap gives no picture.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from testbed.plugin_api import (
    CodecError,
    DecodedImage,
    EncodedImage,
    Image,
    ImageCodec,
    Layer,
    ReceivedLayer,
    check_image,
    register_codec,
)

BLOCK = 8
HEADER_BYTES = 5  # height and width, 2 bytes each, and the number of the step
MOST_PIXELS = 1 << 24  # damaged headers may ask for anything

_FREQUENCIES = np.indices((BLOCK, BLOCK, 3)).reshape(3, -1)
ORDER = tuple(_FREQUENCIES[:, np.argsort(_FREQUENCIES.sum(0), kind="stable")])
"""Positions within a block, from low frequencies to high ones."""


@register_codec("dct_zlib")
@dataclass(frozen=True)
class DctZlib(ImageCodec):
    """A transform codec of one layer.

    Attributes:
        steps_per_octave: how finely the quantiser's step follows the budget, 1 to 16.
    """

    # Every field needs a type and a default. It becomes a key of the codec in the scenario.
    steps_per_octave: int = 4

    # Not fields: what every codec says of itself.
    name = "dct_zlib"
    scalable = False

    def __post_init__(self) -> None:
        # A ValueError here is shown with the line of the scenario. CodecError is one.
        if not 1 <= self.steps_per_octave <= 16:
            raise CodecError(f"steps_per_octave: expected 1 to 16, found {self.steps_per_octave}")

    def encode_batch(
        self, images: Sequence[Image], budget_bytes: int | None = None
    ) -> list[EncodedImage | None]:
        for image in images:
            check_image(image)
        return [self._encode(image, budget_bytes) for image in images]

    def decode_batch(self, received: Sequence[Sequence[ReceivedLayer]]) -> list[DecodedImage]:
        return [self._decode(layers) for layers in received]

    def _encode(self, image: Image, budget_bytes: int | None) -> EncodedImage | None:
        coefficients = _coefficients(image)
        if budget_bytes is None:
            return EncodedImage((Layer("dct", self._stream(image, coefficients, 0)),))
        # Coarser steps make shorter streams, as a rule: the finest that fits is searched for.
        low, high, best = 0, 8 * self.steps_per_octave, None
        while low <= high:
            middle = (low + high) // 2
            stream = self._stream(image, coefficients, middle)
            if len(stream) <= budget_bytes:
                best, high = stream, middle - 1
            else:
                low = middle + 1
        return None if best is None else EncodedImage((Layer("dct", best),))

    def _stream(self, image: Image, coefficients: NDArray[np.float64], number: int) -> bytes:
        levels = np.rint(coefficients / self._step(number)).astype("<i2")
        # By frequency, so that zlib meets long runs of zeros; low bytes first, high bytes behind.
        planes = levels[ORDER].view(np.uint8).reshape(-1, 2).T
        deflate = zlib.compressobj(9, wbits=-15)
        body = deflate.compress(planes.tobytes()) + deflate.flush()
        height, width, _ = image.shape
        stream: bytes = (
            height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes([number]) + body
        )
        return stream

    def _decode(self, layers: Sequence[ReceivedLayer]) -> DecodedImage:
        if not layers or not layers[0].complete or layers[0].intact_bytes is not None:
            return DecodedImage(None, 0)
        data = layers[0].data
        height, width = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
        rows, columns = -(-height // BLOCK), -(-width // BLOCK)
        size = 2 * 3 * BLOCK * BLOCK * rows * columns
        if len(data) <= HEADER_BYTES or not 0 < size <= 6 * MOST_PIXELS:
            return DecodedImage(None, 0)
        try:
            body = zlib.decompressobj(wbits=-15).decompress(data[HEADER_BYTES:], size)
        except zlib.error:
            return DecodedImage(None, 0)
        if len(body) != size:
            return DecodedImage(None, 0)
        planes = np.frombuffer(body, np.uint8).reshape(2, -1)
        coefficients = np.empty((BLOCK, BLOCK, 3, rows, columns))
        levels = np.ascontiguousarray(planes.T).view("<i2").reshape(-1, rows, columns)
        coefficients[ORDER] = levels * self._step(data[4])
        pixels = idctn(coefficients, axes=(0, 1, 2), norm="ortho").transpose(3, 0, 4, 1, 2)
        picture = pixels.reshape(BLOCK * rows, BLOCK * columns, 3)[:height, :width] + 128
        return DecodedImage(np.clip(np.rint(picture), 0, 255).astype(np.uint8), 1)

    def _step(self, number: int) -> float:
        return float(2.0 ** (number / self.steps_per_octave + 1))


def _coefficients(image: Image) -> NDArray[np.float64]:
    """float64[8, 8, 3, rows, columns]."""
    height, width, _ = image.shape
    margins = [(0, -side % BLOCK) for side in (height, width)]
    padded = np.pad(image, [*margins, (0, 0)], mode="edge").astype(np.float64) - 128
    rows, columns = padded.shape[0] // BLOCK, padded.shape[1] // BLOCK
    blocks = padded.reshape(rows, BLOCK, columns, BLOCK, 3).transpose(1, 3, 4, 0, 2)
    # Over the three colours, too: that takes grey and two differences of colour apart.
    coefficients: NDArray[np.float64] = dctn(blocks, axes=(0, 1, 2), norm="ortho")
    return coefficients
