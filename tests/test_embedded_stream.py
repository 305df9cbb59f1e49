"""Streams by their hashes: any change of the bitstream is noticed, retrained weights change none.

The weights are made here, of a counter's hash, and predict nothing; their networks are of sizes of
their own, for photographs of others than for small pictures; everything else is the codec's.
Who changes the bitstream on purpose raises the version and writes the new hashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from codec.base import ReceivedLayer
from codec.convolution import ExactConv
from codec.embedded.adaptation import CHANNEL_ROWS, INPUTS, ROWS
from codec.embedded.codec import EmbeddedCodec, alike_of
from codec.embedded.fitted import FittedCodec
from codec.embedded.knowledge import DETAIL_LINEAR_SHAPE, LINEAR_SHAPE
from codec.embedded.networks import ExactLevelBias, PictureEstimator, PlanePredictor, Size
from codec.embedded.profile import EmbeddedProfile, embedded_profile_from_tensors
from codec.embedded.slices import Box
from codec.embedded.versions import IRREVERSIBLE_VERSION, REVERSIBLE_VERSION, STEPPED_VERSION
from codec.picture_header import PictureHeader
from testbed.images import load_images

STREAMS = {
    "00_astronaut_512": "580fe12959929c8a9a65bdc496b701d8c0e0d2e3cb3c90ff82ba8930b40d9913",
    "10_chelsea_288": "67d5be81c1e5658e2f0cb5d163868fd3c1e7ef0b7cf48bdf43fd284fa41ba129",
    "grey": "aee08570a57fa8e197995d840b46326f4bcf09b223499caeb4d96cd1d1619512",
    "odd size": "ae70c47be45ba4a1fa8a10b1129d9cfa6dc8d09fe5957bf9eab649661436b8d2",
    "photograph": "c662a1921ccf8445d41afa1677f030029e0d7c344d6b7c546999a054e8bb097d",
}
IRREVERSIBLE = "709535edfab5ba2c7747a86184faea0919926f2e01ddf9ff0159d82accaf1632"
FITTED = "c481e34ba6603d95e16321a4bf09631dab62dc766d8524ba01230f8468f0eea2"
CORRECTED = [
    "7917e714376bdaff4a1b909772b82b1fdc7b0af141e0731d0cb917c7ad242f75",
    "2d9675dc942a1edeb0201ebbf07dabcbf92932bca5d1de8255dabf001753cf19",
    "9213517e4b9063da20f996345c9ccbcceed16ccf6559d04df7fc74793075db7f",
]
CUT_PICTURES = "f8cdd24af6f0a72d9d610cf9c93e202eb616dfa6da1c0e4f562c14fbc643b57b"


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


def synthetic_profile(more: Mapping[str, Tensor] | None = None) -> EmbeddedProfile:
    """Weights whose activations use their range and whose logits lie around -3 .. 3."""
    counter, tensors = Counter(), {}
    networks = {
        "predictor": PlanePredictor(ExactConv, ExactLevelBias, Size(48, 2, 32), Size(32, 2, 24)),
        "photographs": PlanePredictor(
            ExactConv, ExactLevelBias, Size(32, 1, 48, heads_see_features=False), Size(24, 1, 32)
        ),
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
    return embedded_profile_from_tensors("synthetic", "", {**tensors, **(more or {})})


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
    assert REVERSIBLE_VERSION == 14
    encoded = codec.encode_batch(list(pictures.values()))
    found = {
        name: layers_hash([layer.data for layer in each.layers])
        for name, each in zip(pictures, encoded, strict=True)
    }
    assert found == STREAMS


def test_irreversible_streams_and_what_they_show_are_the_pinned_ones(codec, pictures) -> None:
    assert IRREVERSIBLE_VERSION == 12
    encoded = EmbeddedCodec(codec.profile, reversible=False).encode_batch(list(pictures.values()))
    streams = [[layer.data for layer in each.layers] for each in encoded]
    received = [[layer.whole for layer in each.layers] for each in encoded]
    received += [layers[:6] for layers in received]
    shown = b"".join(each.image.tobytes() for each in codec.decode_batch(received))
    assert sha256(shown + "".join(map(layers_hash, streams)).encode()).hexdigest() == IRREVERSIBLE


def test_fitted_streams_and_what_they_show_are_the_pinned_ones(codec, pictures) -> None:
    assert STEPPED_VERSION == 13
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


def test_slices_of_photographs_and_thumbnails_with_a_correction_are_the_pinned_ones(
    codec, pictures
) -> None:
    """Slices are corrected as parts of a photograph, however small they are."""
    profile = codec.profile
    photograph = np.tile(pictures["10_chelsea_288"], (3, 3, 1))[:65, :66]
    header = PictureHeader(65, 66, 0, False, 32, True, REVERSIBLE_VERSION)
    assert alike_of(Box(0, 0, 32, 32), header, profile).adaptive
    thumbnail = header._replace(height=64, width=64)
    assert not alike_of(Box(0, 0, 32, 32), thumbnail, profile).adaptive
    (sliced,) = EmbeddedCodec(profile, slice_side=32).encode_batch([photograph])

    begun = deepcopy(profile.predictors["predictor"])
    begun.correction = Counter().integers(1 << 17, ROWS, INPUTS).numpy()
    begun.correction[:CHANNEL_ROWS, 0] += 1 << 20
    learnt = replace(profile, predictors={**profile.predictors, "reversible": begun})
    assert alike_of(Box(0, 0, 32, 32), thumbnail, learnt).adaptive
    assert not alike_of(Box(0, 0, 32, 32), thumbnail._replace(reversible=False), learnt).adaptive
    small = EmbeddedCodec(learnt).encode_batch([pictures["10_chelsea_288"], pictures["grey"]])
    plain = EmbeddedCodec(replace(learnt, corrects=False)).encode_batch([pictures["grey"]])
    assert plain[0].layers == codec.encode_batch([pictures["grey"]])[0].layers

    for coder, each, picture in (
        (codec, sliced, photograph),
        (EmbeddedCodec(learnt), small[0], pictures["10_chelsea_288"]),
        (EmbeddedCodec(learnt), small[1], pictures["grey"]),
    ):
        (found,) = coder.decode_batch([[layer.whole for layer in each.layers]])
        assert np.array_equal(found.image, picture)
    hashes = [layers_hash([layer.data for layer in each.layers]) for each in (sliced, *small)]
    assert hashes == CORRECTED


@pytest.mark.parametrize(
    "wrong", [torch.zeros(ROWS, INPUTS), torch.zeros(ROWS - 1, INPUTS, dtype=torch.int32),
              torch.full((ROWS, INPUTS), -(1 << 24) - 1, dtype=torch.int32)],
)  # fmt: skip
def test_a_correction_that_does_not_fit_is_refused(wrong: Tensor) -> None:
    with pytest.raises(ValueError, match=r"photographs\.correction: "):
        synthetic_profile({"photographs.correction": wrong})
