"""Speed of the layered codec, one core: `bench_codec()`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from codec.base import DecodedImage, EncodedImage, Image, ReceivedLayer
from codec.semantic_codec import SemanticCodec


@dataclass(frozen=True, slots=True)
class CodecSpeed:
    """Pictures per second each way, all nine layers; `bits_per_subpixel` is the lossless rate."""

    pictures: int
    encoded_per_s: float
    decoded_per_s: float
    bits_per_subpixel: float


def bench_codec(images: Sequence[Image], profile: str = "paper", repeats: int = 8) -> CodecSpeed:
    """Codes `images`, `repeats` times over, as one batch. Raises RuntimeError if not exact."""
    torch.set_num_threads(1)
    codec = SemanticCodec(profile)
    # Equal pictures would be predicted only once in decoding: shift each copy's values.
    batch = [image + np.uint8(k) for k in range(repeats) for image in images]
    warm = codec.encode_batch(batch[:1])
    codec.decode_batch(
        [[ReceivedLayer(x.data, True) for x in each.layers] for each in warm if each]
    )
    start_s = time.perf_counter()
    encoded = _encode(codec, batch)
    encode_s = time.perf_counter() - start_s
    start_s = time.perf_counter()
    decoded = _decode(codec, encoded)
    decode_s = time.perf_counter() - start_s
    for image, result in zip(batch, decoded, strict=True):
        if result.image is None or not np.array_equal(result.image, image):
            raise RuntimeError("a picture did not come back exactly")
    bits = sum(each.payload_bits for each in encoded[: len(images)])
    return CodecSpeed(
        len(batch),
        len(batch) / encode_s,
        len(batch) / decode_s,
        bits / sum(image.size for image in images),
    )


def _encode(codec: SemanticCodec, images: Sequence[Image]) -> list[EncodedImage]:
    return [each for each in codec.encode_batch(images) if each is not None]


def _decode(codec: SemanticCodec, encoded: Sequence[EncodedImage]) -> list[DecodedImage]:
    return codec.decode_batch(
        [[ReceivedLayer(layer.data, True) for layer in each.layers] for each in encoded]
    )
