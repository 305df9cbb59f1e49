"""Opening the layered codec by profile: the right scheme, what each has not, cuts at any byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from codec.base import CodecError, EncodedImage, Image, Layer, ReceivedLayer
from codec.embedded.codec import EmbeddedCodec
from codec.layered import cut_layers, open_layered, scheme_words
from codec.profile import WEIGHTS_FOLDER, load_paper_profile, profile_names, profile_scheme
from codec.semantic_codec import SemanticCodec
from testbed.evaluation.metrics import psnr_db
from testbed.images import load_images
from testbed.language.codec_sections import SemanticCodecSection
from testbed.registry import CodecSetupError, codec_fingerprint, make_codec

SCHEMES = {"paper": SemanticCodec, "embedded": EmbeddedCodec}


@pytest.fixture(scope="module")
def images() -> list[Image]:
    return [image.pixels for image in load_images("samples32", Path(), 3)]


def section(**keys: object) -> SemanticCodecSection:
    return SemanticCodecSection.model_validate({"type": "semantic", **keys})


def test_both_schemes_ship() -> None:
    assert set(SCHEMES) <= set(profile_names())


@pytest.mark.parametrize("profile", SCHEMES)
def test_the_weights_decide_on_the_scheme_not_their_name(profile: str, tmp_path: Path) -> None:
    other = tmp_path / "mine.safetensors"
    shutil.copy(WEIGHTS_FOLDER / f"{profile}.safetensors", other)
    for name in (profile, str(other)):
        assert profile_scheme(name) == profile
        codec = open_layered(name)
        assert type(codec) is SCHEMES[profile]
        assert codec.profile.name == Path(name).stem
        assert codec.profile.sha256 == open_layered(profile).profile.sha256
        assert (codec.name, codec.scalable) == ("semantic", True)
        assert codec.layers == len(codec.layer_names) == 9
    assert scheme_words(profile)


def test_no_scheme_reads_the_others_streams(images: list[Image]) -> None:
    codecs = [open_layered(profile) for profile in SCHEMES]
    assert len({codec.bitstream_version for codec in codecs}) == len(codecs)
    for codec, other in (codecs, codecs[::-1]):
        [encoded] = codec.encode_batch(images[:1])
        assert encoded is not None
        assert encoded.layers[0].data[0] >> 4 == codec.bitstream_version
        [decoded] = other.decode_batch([[layer.whole for layer in encoded.layers]])
        assert decoded.image is None


def test_what_a_scheme_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CodecError, match="'embedded' has no correction rule"):
        open_layered("embedded", correction="one_sided")
    with pytest.raises(CodecError, match="'paper' cuts no picture into slices"):
        open_layered("paper", slice_side=64)
    for profile in SCHEMES:
        for layers in (0, 10):
            with pytest.raises(CodecError, match=f"'{profile}' has 9 layers.*found {layers}"):
                open_layered(profile, layers)
    with pytest.raises(CodecError, match="not of the paper's scheme"):
        load_paper_profile("embedded")
    with pytest.raises(CodecError, match=r"no weights for the profile 'none': there are .*paper"):
        open_layered("none")
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(CodecError, match="not a weights file"):
        open_layered(str(tmp_path / "x.safetensors"))


@pytest.mark.parametrize("profile", SCHEMES)
def test_any_number_of_bytes_is_a_picture_and_all_of_them_the_exact_one(
    profile: str, images: list[Image]
) -> None:
    codec = open_layered(profile)
    [encoded] = codec.encode_batch(images[:1])
    assert encoded is not None
    total = encoded.payload_bits // 8
    cuts = [cut_layers(encoded, n_bytes) for n_bytes in (150, 300, 600, total)]
    psnr = []
    for decoded, cut in zip(codec.decode_batch(cuts), cuts, strict=True):
        assert decoded.image is not None
        assert decoded.layers_decoded == sum(layer.complete for layer in cut)
        psnr.append(psnr_db(images[0], decoded.image))
    assert (np.diff(psnr) > 0).all()
    assert psnr[-1] == np.inf


def test_a_cut_keeps_whole_layers_and_the_beginning_of_the_next() -> None:
    encoded = EncodedImage((Layer("a", b"abc"), Layer("b", b"de", known=b"k"), Layer("c", b"f")))
    assert cut_layers(encoded, 0) == ()
    assert cut_layers(encoded, 2) == (ReceivedLayer(b"ab", False),)
    assert cut_layers(encoded, 3) == (ReceivedLayer(b"abc", True),)
    assert cut_layers(encoded, 4) == (
        ReceivedLayer(b"abc", True),
        ReceivedLayer(b"d", False, known=b"k"),
    )
    assert cut_layers(encoded, 99) == tuple(layer.whole for layer in encoded.layers)


# ------------------------------------------------------------------------------- scenarios


def test_sections_make_the_codec_of_their_profile() -> None:
    codec = make_codec(section(profile="embedded", layers=5, slice_side=64))
    assert isinstance(codec, EmbeddedCodec)
    assert (codec.layers, codec.slice_side) == (5, 64)
    assert isinstance(make_codec(section()), SemanticCodec)
    for keys in ({"slice_side": 64}, {"profile": "embedded", "correction": "one_sided"}):
        with pytest.raises(CodecSetupError, match="codec semantic: the profile"):
            make_codec(section(**keys))


@pytest.mark.parametrize("slice_side", [33, 24, 2000, "64", 64.0, True])
def test_slices_are_of_sizes_that_the_stream_can_say(slice_side: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        section(profile="embedded", slice_side=slice_side)


def test_fingerprints_cover_stream_and_weights() -> None:
    for profile in SCHEMES:
        codec = open_layered(profile)
        expected = f"bitstream {codec.bitstream_version}, weights {codec.profile.sha256}"
        assert codec_fingerprint(section(profile=profile)) == expected


def test_the_key_slice_side_changed_no_ids() -> None:
    """Trials and scenarios are known by a hash of this; as it was before there was the key."""
    assert section().model_dump(mode="json") == {
        "type": "semantic",
        "name": "semantic",
        "profile": "paper",
        "correction": "interval",
        "layers": None,
    }
    assert section(profile="embedded", slice_side=64).model_dump(mode="json")["slice_side"] == 64
