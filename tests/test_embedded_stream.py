"""Streams by their hashes: any change of the bitstream is noticed, retrained weights change none.

The weights are made here, of a counter's hash, and predict nothing; their networks are of sizes of
their own, for photographs of others than for small pictures; everything else is the codec's.
Who changes the bitstream on purpose raises the version and writes the new hashes.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from codec.base import ReceivedLayer
from codec.convolution import ExactConv
from codec.embedded.codec import EmbeddedCodec
from codec.embedded.fitted import FittedCodec
from codec.embedded.knowledge import DETAIL_LINEAR_SHAPE, LINEAR_SHAPE
from codec.embedded.networks import ExactLevelBias, PictureEstimator, PlanePredictor, Size
from codec.embedded.profile import EmbeddedProfile, embedded_profile_from_tensors
from codec.embedded.versions import IRREVERSIBLE_VERSION, REVERSIBLE_VERSION, STEPPED_VERSION
from testbed.images import load_images

STREAMS = {
    "00_astronaut_512": "a96aea717bb19c916e1093cc5bc075a48e695c767e683bbd968439a7d13e5800",
    "10_chelsea_288": "7f20020a3fcb748089673b8e09d441fdd2e6d89ca8c5e0485e7ae1740b2ca061",
    "grey": "f576d17590e6dc8ad6109d826744e4da6079a058f646191f3ac88d24e99a320b",
    "odd size": "a084c1f3f87c2a80ef9ae5c5c50b32e82c049f333ed336df2871644170d814a8",
    "photograph": "ee4e61e1caa80bcef84a03977570103de45205745601558ebd9409885eb3ef64",
}
IRREVERSIBLE = "a0d717f0291694e06669bfde8cb2ee709d5f4d57be400e8e9810b09d074e450c"
FITTED = "0c965df55ba623f1bf3106963f6c2ca2528b795afa8d2edc9b4749b232a187fe"
CUT_PICTURES = "01e3f44134b02d01aa8005764356b08c1220d6eb13137f6555c6d83410c8c312"


class Counter:
    """Integers from SplitMix64 (Steele, Lea, Flood, 2014): the same with any version of numpy."""

    def __init__(self) -> None:
        self.used = 0

    def integers(self, limit: int, *shape: int) -> Tensor:
        """Evenly from -limit .. limit."""
        count = int(np.prod(shape))
        z = (np.arange(self.used + 1, self.used + count + 1, dtype=np.uint64)
             * np.uint64(0x9E3779B97F4A7C15))  # fmt: skip
        self.used += count
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        values = (z >> np.uint64(33)) % np.uint64(2 * limit + 1)
        return torch.from_numpy(values.astype(np.int64) - limit).reshape(shape)


def synthetic_profile() -> EmbeddedProfile:
    """Weights whose activations use their range and whose logits lie around -3 .. 3."""
    counter, tensors = Counter(), {}
    networks = {
        "predictor": PlanePredictor(ExactConv, ExactLevelBias, Size(48, 2, 32), Size(32, 2, 24)),
        "photographs": PlanePredictor(ExactConv, ExactLevelBias, Size(32, 1, 48), Size(24, 1, 32)),
        "estimator": PictureEstimator(ExactConv, ExactLevelBias, 48, 2),
    }
    for prefix, network in networks.items():
        for name, module in sorted(network.named_modules()):
            if isinstance(module, ExactConv):
                shape = tuple(module.weight.shape)
                key = f"{prefix}.{name}"
                tensors[f"{key}.weight"] = counter.integers(15, *shape).to(torch.int16)
                tensors[f"{key}.bias"] = counter.integers(9000, shape[0]).to(torch.int32)
                shift = 8 if module.target.unit == 64 else 6
                tensors[f"{key}.shift"] = torch.full((shape[0],), shift, dtype=torch.int8)
            elif isinstance(module, ExactLevelBias):
                shape = tuple(module.table.shape)
                tensors[f"{prefix}.{name}.table"] = counter.integers(64, *shape).to(torch.int16)
    tensors["linear"] = counter.integers(60, *LINEAR_SHAPE).to(torch.int16)
    tensors["detail_linear"] = counter.integers(60, *DETAIL_LINEAR_SHAPE).to(torch.int16)
    return embedded_profile_from_tensors("synthetic", "", tensors)


@pytest.fixture(scope="module")
def codec() -> EmbeddedCodec:
    return EmbeddedCodec(synthetic_profile())


@pytest.fixture(scope="module")
def pictures() -> dict[str, np.ndarray]:
    samples = {image.name: image.pixels for image in load_images("samples32", Path())}
    named = {name: samples[name] for name in list(STREAMS)[:2]}
    first = named["00_astronaut_512"]
    return named | {
        "grey": np.ascontiguousarray(np.repeat(first[..., 1:2], 3, axis=2)),
        "odd size": np.ascontiguousarray(first[3:22, 1:30]),
        "photograph": np.tile(first, (3, 2, 1)),
    }


def layers_hash(layers: list[bytes]) -> str:
    """Also of where the layers end."""
    lengths = b"".join(len(layer).to_bytes(4, "big") for layer in layers)
    return sha256(lengths + b"".join(layers)).hexdigest()


def test_streams_are_the_pinned_ones(codec, pictures) -> None:
    assert REVERSIBLE_VERSION == 11
    encoded = codec.encode_batch(list(pictures.values()))
    found = {
        name: layers_hash([layer.data for layer in each.layers])
        for name, each in zip(pictures, encoded, strict=True)
    }
    assert found == STREAMS


def test_irreversible_streams_and_what_they_show_are_the_pinned_ones(codec, pictures) -> None:
    assert IRREVERSIBLE_VERSION == 9
    encoded = EmbeddedCodec(codec.profile, reversible=False).encode_batch(list(pictures.values()))
    streams = [[layer.data for layer in each.layers] for each in encoded]
    received = [[layer.whole for layer in each.layers] for each in encoded]
    received += [layers[:6] for layers in received]
    shown = b"".join(each.image.tobytes() for each in codec.decode_batch(received))
    assert sha256(shown + "".join(map(layers_hash, streams)).encode()).hexdigest() == IRREVERSIBLE


def test_fitted_streams_and_what_they_show_are_the_pinned_ones(codec, pictures) -> None:
    assert STEPPED_VERSION == 10
    some = list(pictures.values())
    fitted = FittedCodec(codec.profile)
    encoded = [*fitted.encode_batch(some), *fitted.encode_batch(some, 300)]
    shown = fitted.decode_batch([[layer.whole for layer in each.layers] for each in encoded])
    streams = [layer.data for each in encoded for layer in each.layers]
    pixels = b"".join(each.image.tobytes() for each in shown)
    assert sha256(pixels + layers_hash(streams).encode()).hexdigest() == FITTED


def test_synthetic_weights_make_streams_that_come_back(codec, pictures) -> None:
    encoded = codec.encode_batch(list(pictures.values()))
    decoded = codec.decode_batch([[layer.whole for layer in each.layers] for each in encoded])
    for picture, found in zip(pictures.values(), decoded, strict=True):
        assert np.array_equal(found.image, picture)


def test_cut_streams_show_the_pinned_pictures(codec, pictures) -> None:
    """The estimator is not needed to decode on, but its pictures are part of every result."""
    (encoded,) = codec.encode_batch([pictures["10_chelsea_288"]])
    stream = b"".join(layer.data for layer in encoded.layers)
    cuts = [len(stream) * k // 8 for k in range(1, 8)]
    decoded = codec.decode_batch([[ReceivedLayer(stream[:cut], False)] for cut in cuts])
    assert sha256(b"".join(each.image.tobytes() for each in decoded)).hexdigest() == CUT_PICTURES
