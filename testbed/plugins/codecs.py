"""Codecs of plug-ins, held to what codecs promise.

What breaks a promise would be a wrong result without a word: it is an error instead. Damaged bytes
are another matter, of which codecs promise nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.analog import ReceivedSymbols
from codec.base import (
    CodecError,
    DecodedImage,
    EncodedImage,
    Image,
    Layer,
    ReceivedLayer,
    check_image,
)

MOST_LAYERS = 16
POWER_TOLERANCE = 1e-6


class PluginCodec:
    """See `codec.base.ImageCodec`. Raises CodecError for a promise that is broken."""

    def __init__(self, name: str, codec: Any) -> None:
        self.name: str = name
        self.scalable: bool = bool(codec.scalable)
        self._codec = codec

    def encode_batch(
        self, images: Sequence[Image], budget_bytes: int | None = None
    ) -> list[EncodedImage | None]:
        """See `ImageCodec.encode_batch`."""
        for image in images:
            check_image(image)
        encoded = list(self._codec.encode_batch(images, budget_bytes))
        _check_count("encode_batch", len(images), encoded)
        for each in encoded:
            if each is not None:
                self._check(each, budget_bytes)
        return encoded

    def decode_batch(self, received: Sequence[Sequence[ReceivedLayer]]) -> list[DecodedImage]:
        """See `ImageCodec.decode_batch`."""
        decoded = list(self._codec.decode_batch(received))
        _check_count("decode_batch", len(received), decoded)
        for each in decoded:
            if not isinstance(each, DecodedImage):
                raise CodecError(f"decode_batch: expected a DecodedImage, found {type(each)}")
            if each.image is not None:
                check_image(each.image)
        return decoded

    def _check(self, encoded: Any, budget_bytes: int | None) -> None:
        layers = getattr(encoded, "layers", None)
        if not isinstance(encoded, EncodedImage) or not isinstance(layers, tuple):
            raise CodecError("encode_batch: expected an EncodedImage with a tuple of layers")
        if not 1 <= len(layers) <= MOST_LAYERS:
            raise CodecError(
                f"encode_batch: expected 1 to {MOST_LAYERS} layers, found {len(layers)}"
            )
        for each in layers:
            if not isinstance(each, Layer) or not isinstance(each.data, bytes) or not each.data:
                raise CodecError("encode_batch: expected layers of at least one byte")
        sent = encoded.payload_bits // 8
        if not self.scalable and budget_bytes is not None and sent > budget_bytes:
            raise CodecError(f"encode_batch: expected at most {budget_bytes} bytes, found {sent}")


class PluginAnalogCodec:
    """See `codec.analog.AnalogCodec`. Raises CodecError for a promise that is broken."""

    versions = ""

    def __init__(self, name: str, codec: Any) -> None:
        self.name: str = name
        self._codec = codec

    def encode_symbols(
        self, images: Sequence[Image], budget_uses: int, snr_db: float
    ) -> list[NDArray[np.complex128] | None]:
        """See `AnalogCodec.encode_symbols`."""
        for image in images:
            check_image(image)
        encoded = list(self._codec.encode_symbols(images, budget_uses, snr_db))
        _check_count("encode_symbols", len(images), encoded)
        for symbols in encoded:
            if symbols is not None:
                _check_symbols(symbols, budget_uses)
        return encoded

    def decode_symbols(self, received: Sequence[ReceivedSymbols]) -> list[Image]:
        """See `AnalogCodec.decode_symbols`."""
        pictures = list(self._codec.decode_symbols(received))
        _check_count("decode_symbols", len(received), pictures)
        for picture, of in zip(pictures, received, strict=True):
            check_image(picture)
            if picture.shape[:2] != (of.height, of.width):
                raise CodecError(
                    f"decode_symbols: expected a picture of {of.height} x {of.width}, found "
                    f"{picture.shape[0]} x {picture.shape[1]}"
                )
        return pictures


def _check_symbols(symbols: NDArray[np.complex128], budget_uses: int) -> None:
    if symbols.dtype != np.complex128 or symbols.ndim != 1 or not 1 <= len(symbols) <= budget_uses:
        raise CodecError(
            f"encode_symbols: expected 1 to {budget_uses} symbols in one row of complex128, found "
            f"{symbols.dtype} {symbols.shape}"
        )
    power = float(np.mean(np.abs(symbols) ** 2))
    if not abs(power - 1) < POWER_TOLERANCE:
        raise CodecError(f"encode_symbols: expected a mean power of 1, found {power:.7g}")


def _check_count(method: str, expected: int, found: Sequence[object]) -> None:
    if len(found) != expected:
        raise CodecError(f"{method}: expected {expected} results, found {len(found)}")
