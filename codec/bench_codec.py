"""Speed of the layered codec, one core: `bench_codec()`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from codec.base import Image, ReceivedLayer
from codec.layered import LayeredCodec


@dataclass(frozen=True, slots=True)
class CodecSpeed:
    """How long `pictures` of so many `pixels` in all took each way, all layers."""

    pictures: int
    pixels: int
    encode_s: float
    decode_s: float


def bench_codec(codec: LayeredCodec, images: Sequence[Image], repeats: int = 1) -> CodecSpeed:
    """Codes `images`, `repeats` times over, as one batch. Raises RuntimeError if not exact."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measured(codec, _different(images, repeats))
    finally:
        torch.set_num_threads(threads)


def _different(images: Sequence[Image], repeats: int) -> list[Image]:
    """Equal pictures would be predicted only once in decoding: each copy's values are shifted."""
    return [image + np.uint8(k) for k in range(repeats) for image in images]


def _measured(codec: LayeredCodec, batch: list[Image]) -> CodecSpeed:
    # Compiled code is loaded, or made, on the way through a small picture.
    _decoded(codec, _encoded(codec, [batch[0][:32, :32]]))
    start_s = time.perf_counter()
    streams = _encoded(codec, batch)
    encoded_s = time.perf_counter()
    decoded = _decoded(codec, streams)
    decoded_s = time.perf_counter()
    for image, result in zip(batch, decoded, strict=True):
        if result is None or not np.array_equal(result, image):
            raise RuntimeError("a picture did not come back exactly")
    pixels = sum(image.shape[0] * image.shape[1] for image in batch)
    return CodecSpeed(len(batch), pixels, encoded_s - start_s, decoded_s - encoded_s)


def _encoded(codec: LayeredCodec, images: Sequence[Image]) -> list[list[ReceivedLayer]]:
    return [
        [layer.whole for layer in encoded.layers]
        for encoded in codec.encode_batch(images)
        if encoded is not None
    ]


def _decoded(codec: LayeredCodec, streams: Sequence[Sequence[ReceivedLayer]]) -> list[Image | None]:
    return [decoded.image for decoded in codec.decode_batch(streams)]
