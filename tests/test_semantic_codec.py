"""The layered codec with the weights that ship: exactness, prefixes, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from codec.base import CodecError, ReceivedLayer
from codec.profile import load_profile
from codec.semantic_codec import LAYER_NAMES, SemanticCodec
from testbed.evaluation.metrics import psnr_db
from testbed.images import load_images


@pytest.fixture(scope="module")
def codec() -> SemanticCodec:
    return SemanticCodec()


@pytest.fixture(scope="module")
def samples() -> list[np.ndarray]:
    return [image.pixels for image in load_images("samples32", Path())]


def whole(encoded, count: int | None = None) -> list[ReceivedLayer]:
    return [ReceivedLayer(layer.data, True) for layer in encoded.layers[:count]]


def test_all_layers_give_the_exact_pictures(codec, samples) -> None:
    encoded = codec.encode_batch(samples)
    decoded = codec.decode_batch([whole(each) for each in encoded])
    for sample, result in zip(samples, decoded, strict=True):
        assert result.layers_decoded == 9
        assert np.array_equal(result.image, sample)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (33, 47), (5, 3)])
@pytest.mark.parametrize("kind", ["noise", "grey", "white"])
def test_any_size_and_content_is_exact(codec, shape, kind) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (*shape, 3)).astype(np.uint8)
    if kind == "grey":
        image = np.repeat(image[:, :, :1], 3, axis=2)
    elif kind == "white":
        image[:] = 255
    (encoded,) = codec.encode_batch([image])
    (result,) = codec.decode_batch([whole(encoded)])
    assert np.array_equal(result.image, image)


def test_every_further_layer_improves_the_mean_quality(codec, samples) -> None:
    encoded = codec.encode_batch(samples)
    means = []
    for count in range(1, 9):
        decoded = codec.decode_batch([whole(each, count) for each in encoded])
        assert all(result.layers_decoded == count for result in decoded)
        quality = [psnr_db(s, d.image) for s, d in zip(samples, decoded, strict=True)]
        means.append(np.mean(np.minimum(quality, 60)))
    assert means[0] > 20
    assert np.all(np.diff(means) > 0)


def test_cut_layers_improve_on_the_layers_before_them(codec, samples) -> None:
    """Also half of a layer is worth having: the mean error falls with every quarter of a plane."""
    encoded = codec.encode_batch(samples)
    for layer in (1, 3, 6):
        errors = []
        for share in (0, 0.25, 0.5, 0.75):
            received = []
            for each in encoded:
                data = each.layers[layer].data
                cut = ReceivedLayer(data[: int(share * len(data))], False)
                received.append([*whole(each, layer), cut])
            decoded = codec.decode_batch(received)
            assert all(result.layers_decoded == layer for result in decoded)
            errors.append(
                np.mean([
                    np.square(s.astype(float) - d.image).mean()
                    for s, d in zip(samples, decoded, strict=True)
                ])
            )  # fmt: skip
        assert errors == sorted(errors, reverse=True)


def test_a_cut_base_layer_still_gives_a_picture(codec, samples) -> None:
    (encoded,) = codec.encode_batch(samples[:1])
    data = encoded.layers[0].data
    (result,) = codec.decode_batch([[ReceivedLayer(data[: len(data) // 2], False)]])
    assert result.layers_decoded == 0
    assert psnr_db(samples[0], result.image) > 10
    (nothing,) = codec.decode_batch([[ReceivedLayer(b"", False)]])
    assert nothing.image is None


def test_threads_and_batches_change_no_byte(codec, samples) -> None:
    reference = codec.encode_batch(samples[:6])
    assert [codec.encode_batch([each])[0] for each in samples[:6]] == reference
    torch.set_num_threads(2)
    try:
        assert codec.encode_batch(samples[:6]) == reference
    finally:
        torch.set_num_threads(1)


def test_what_comes_before_a_damaged_packet_is_used(codec, samples) -> None:
    (encoded,) = codec.encode_batch(samples[:1])
    layers = whole(encoded)
    data = bytearray(layers[2].data)
    data[40:] = bytes(len(data) - 40)
    damaged = [*layers[:2], ReceivedLayer(bytes(data), True, intact_bytes=40), *layers[3:]]
    cut = [*layers[:2], ReceivedLayer(layers[2].data[:40], complete=False)]
    shown, expected = codec.decode_batch([damaged, cut])
    assert np.array_equal(shown.image, expected.image)
    assert shown.layers_decoded == expected.layers_decoded == 2
    nothing = [ReceivedLayer(layers[0].data, True, intact_bytes=0)]
    assert codec.decode_batch([nothing])[0].image is None


def test_a_damaged_layer_is_refused_and_ends_the_refinement(codec, samples) -> None:
    (encoded,) = codec.encode_batch(samples[:1])
    for layer in (1, 4, 8):
        layers = whole(encoded)
        data = bytearray(layers[layer].data)
        data[len(data) // 2] ^= 0x5A
        layers[layer] = ReceivedLayer(bytes(data), True)
        (result,) = codec.decode_batch([layers])
        (expected,) = codec.decode_batch([layers[:layer]])
        assert result.layers_decoded == layer
        assert psnr_db(samples[0], result.image) > psnr_db(samples[0], expected.image) - 3


def test_both_correction_rules_are_lossless(samples) -> None:
    one_sided = SemanticCodec(correction="one_sided")
    encoded = one_sided.encode_batch(samples[:4])
    decoded = one_sided.decode_batch([whole(each) for each in encoded])
    assert all(np.array_equal(d.image, s) for d, s in zip(decoded, samples[:4], strict=True))


def test_layers_limits_what_is_sent(samples) -> None:
    (encoded,) = SemanticCodec(layers=3).encode_batch(samples[:1])
    assert [layer.name for layer in encoded.layers] == list(LAYER_NAMES[:3])
    with pytest.raises(CodecError, match="1 to 9 layers"):
        SemanticCodec(layers=10)


def test_unknown_weights_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CodecError, match="no weights for the profile 'nonesuch'"):
        load_profile("nonesuch")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"not a safetensors file")
    with pytest.raises(CodecError, match="not a weights file"):
        load_profile(str(damaged))


def test_the_manifest_names_the_weights_that_ship() -> None:
    import json

    from codec.profile import WEIGHTS_FOLDER

    profile = load_profile("paper")
    manifest = json.loads((WEIGHTS_FOLDER / "paper.json").read_text())
    assert manifest["sha256"] == profile.sha256
    assert manifest["validation"]["psnr_db"][-1] is None


def test_weights_whose_tables_do_not_fit_are_refused() -> None:
    """Compiled code reads the tables unchecked, so a wrong shape must stop at loading."""
    from safetensors.torch import load

    from codec.profile import WEIGHTS_FOLDER, profile_from_tensors

    tensors = load((WEIGHTS_FOLDER / "paper.safetensors").read_bytes())
    for key in ("latent.p1", "plane8.p1", "plane3.weights", "plane1.slope_steps"):
        with pytest.raises(ValueError, match="expected shape"):
            profile_from_tensors("x", "", tensors | {key: tensors[key][..., :2]})
    reversed_steps = tensors["plane2.residual_steps"].flip(0)
    with pytest.raises(ValueError, match="ascending"):
        profile_from_tensors("x", "", tensors | {"plane2.residual_steps": reversed_steps})


def test_a_few_bytes_cannot_ask_for_a_huge_picture(codec) -> None:
    from codec.picture_header import pack_picture_header

    header = pack_picture_header(4096, 4096, version=1)
    for complete in (False, True):
        (nothing,) = codec.decode_batch([[ReceivedLayer(header, complete)]])
        assert nothing.image is None
    (nothing,) = codec.decode_batch([[ReceivedLayer(header + bytes(50), True)]])
    assert nothing.image is None
