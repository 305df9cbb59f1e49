"""Streams by their hashes: any change of the bitstream is noticed, retrained weights change none.

The weights are made here, of a counter's hash, and predict nothing; everything else is the codec's.
Who changes the bitstream on purpose raises BITSTREAM_VERSION and writes the new hashes.
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
from codec.embedded.codec import BITSTREAM_VERSION, EmbeddedCodec
from codec.embedded.knowledge import LINEAR_SHAPE
from codec.embedded.networks import ExactLevelBias, PictureEstimator, PlanePredictor
from codec.embedded.profile import EmbeddedProfile, embedded_profile_from_tensors
from testbed.images import load_images

STREAMS = {
    "00_astronaut_512": "3ca85ad910849a54194b1dee38c182811781bd042d1c47722426d15a4ccf7693",
    "10_chelsea_288": "f149b8f8b3532eff8317d62a0b2c48186e83748b6cbbec6566e94b790800f9f3",
    "grey": "4277f7e499f8606786e2c50ac479e7262289345de790d8692c154a92e432f2eb",
    "odd size": "30b6d24711b9e2b1b5ac2c4edb957a1ee04aec7ca0944fa97e85ae59007c1722",
}
CUT_PICTURES = "75def0fdc88633791c70738038c3291872ceb2e129ef8511af40d7263fc115b5"


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
        "predictor": PlanePredictor(ExactConv, ExactLevelBias),
        "estimator": PictureEstimator(ExactConv, ExactLevelBias),
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
    }


def layers_hash(layers: list[bytes]) -> str:
    """Also of where the layers end."""
    lengths = b"".join(len(layer).to_bytes(4, "big") for layer in layers)
    return sha256(lengths + b"".join(layers)).hexdigest()


def test_streams_are_the_pinned_ones(codec, pictures) -> None:
    assert BITSTREAM_VERSION == 8
    encoded = codec.encode_batch(list(pictures.values()))
    found = {
        name: layers_hash([layer.data for layer in each.layers])
        for name, each in zip(pictures, encoded, strict=True)
    }
    assert found == STREAMS


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
