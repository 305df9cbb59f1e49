"""Streams of the embedded profile that end near the exact picture, and are better before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from extreme_pictures import extreme_pictures
from test_embedded_codec import first_bytes, stream_of, whole
from test_embedded_transform import real_coefficients, structured
from typer.testing import CliRunner

from codec.base import CodecError, EncodedImage, Image, ReceivedLayer
from codec.embedded.ablation import with_one_for_all_streams
from codec.embedded.codec import EmbeddedCodec
from codec.embedded.transform import coefficients, expected_pixels
from codec.embedded.versions import IRREVERSIBLE_VERSION
from codec.layered import open_layered
from testbed.cli import app
from testbed.evaluation.metrics import psnr_db
from testbed.images import load_images, read_picture
from testbed.language.codec_sections import SemanticCodecSection
from testbed.registry import CodecSetupError, make_codec

SIXTEENTHS = 4


@pytest.fixture(scope="module")
def codec() -> EmbeddedCodec:
    opened = open_layered("embedded", reversible=False)
    assert isinstance(opened, EmbeddedCodec)
    return opened


@pytest.fixture(scope="module")
def reversible(codec: EmbeddedCodec) -> EmbeddedCodec:
    """By the same networks."""
    return EmbeddedCodec(with_one_for_all_streams(codec.profile))


@pytest.fixture(scope="module")
def samples() -> list[Image]:
    return [image.pixels for image in load_images("samples32", Path())[::2]]


def cut(encoded: EncodedImage, n_bytes: int) -> list[ReceivedLayer]:
    return first_bytes(stream_of(encoded), n_bytes)


def mse(one: Image | None, other: Image) -> float:
    assert one is not None
    return float(np.mean((one.astype(float) - other) ** 2))


# -------------------------------------------------------------------------------- the transform


@pytest.mark.parametrize("size", [(4, 4), (4, 16), (12, 4), (24, 32)])
def test_coefficients_are_the_rounded_lapped_dct(size: tuple[int, int]) -> None:
    random = np.random.default_rng(size)
    noise = random.integers(0, 256, (8, *size, 3)).astype(np.uint8)
    found = coefficients(np.stack([*noise, *structured(*size)]), reversible=False)
    real = np.stack([real_coefficients(each) for each in [*noise, *structured(*size)]])
    error = found - real
    assert np.abs(error).max() < 0.5 + 5 / 16
    # Rounding to whole numbers alone has a variance of 1/12; reversible steps have nine times it.
    assert np.mean(error[:8] ** 2) == pytest.approx(1 / 12, rel=0.12)
    assert abs(error.mean()) < 0.05


def test_its_inverse_is_near_the_picture_everywhere() -> None:
    picture = np.random.default_rng(1).integers(5, 251, (300, 24, 24, 3)).astype(np.uint8)
    found = coefficients(picture, reversible=False) << SIXTEENTHS
    error = expected_pixels(found, 24, 24, grey=False, reversible=False).astype(int) - picture
    assert np.abs(error).max() <= 3
    assert np.mean(error**2) < 0.2
    # Steps round down by sixteenths: no place in a block is off by more than three on average.
    assert np.abs(error.reshape(300, 6, 4, 6, 4, 3).mean((0, 1, 3))).max() < 3 / 16


# ---------------------------------------------------------------------------------- the streams


def test_whole_streams_are_near_the_picture_whatever_it_is(
    codec: EmbeddedCodec, reversible: EmbeddedCodec
) -> None:
    random = np.random.default_rng(4)
    coloured: list[Image] = []
    for size in ((1, 1), (3, 5), (32, 32), (40, 24)):
        coloured += [*extreme_pictures(*size)]
        coloured += [random.integers(0, 256, (*size, 3)).astype(np.uint8)]
    pictures = [*coloured, *(np.repeat(each[..., :1], 3, axis=2) for each in coloured)]
    encoded = codec.encode_batch(pictures)
    # A decoder reads from the stream which transform it is of.
    for picture, stream, found in zip(
        pictures, encoded, reversible.decode_batch([*map(whole, encoded)]), strict=True
    ):
        assert stream is not None
        assert found.layers_decoded == len(stream.layers)
        assert found.image is not None
        assert mse(found.image, picture) < 0.4
        assert np.abs(found.image.astype(int) - picture).max() <= 4
        if (picture == picture[..., :1]).all():
            assert (found.image == found.image[..., :1]).all()


def test_the_header_says_it_at_no_cost(codec: EmbeddedCodec, samples: list[Image]) -> None:
    (small,), (grey,) = (
        codec.encode_batch([picture])
        for picture in (samples[0], np.repeat(samples[0][..., :1], 3, axis=2))
    )
    assert small.layers[0].data[0] == IRREVERSIBLE_VERSION << 4 | 8
    assert grey.layers[0].data[0] == IRREVERSIBLE_VERSION << 4 | 8 | 2
    (other,) = codec.encode_batch([samples[0][:20]])
    assert other.layers[0].data[:5] == bytes([IRREVERSIBLE_VERSION << 4 | 8 | 1, 0, 20, 0, 32])


@pytest.mark.parametrize(("rate_bpp", "gain_db"), [(0.5, -0.1), (3.2, 0.05), (4, 0.2), (6, 0.7)])
def test_cut_streams_are_better_the_longer_they_are(
    codec: EmbeddedCodec, reversible: EmbeddedCodec, samples: list[Image], rate_bpp: float,
    gain_db: float,
) -> None:  # fmt: skip
    mean_db = [
        np.mean(
            [
                psnr_db(picture, found.image)
                for picture, found in zip(
                    samples,
                    each.decode_batch(
                        [cut(stream, int(128 * rate_bpp)) for stream in each.encode_batch(samples)]
                    ),
                    strict=True,
                )
            ]
        )
        for each in (codec, reversible)
    ]
    assert mean_db[0] - mean_db[1] > gain_db


def test_every_prefix_decodes_and_more_bytes_show_more(
    codec: EmbeddedCodec, samples: list[Image]
) -> None:
    (encoded,) = codec.encode_batch([samples[3][:24, :28]])
    n_bytes = encoded.payload_bits // 8
    ends = [n_bytes * k // 12 for k in range(1, 13)]
    pictures = [found.image for found in codec.decode_batch([cut(encoded, end) for end in ends])]
    errors = [mse(picture, samples[3][:24, :28]) for picture in pictures]
    assert errors == sorted(errors, reverse=True)


def test_slices_and_few_layers_are_as_ever(codec: EmbeddedCodec, samples: list[Image]) -> None:
    picture = np.tile(samples[1], (2, 3, 1))[:50, :90]
    sliced = EmbeddedCodec(codec.profile, 5, 32, reversible=False)
    (encoded,), (alone,) = sliced.encode_batch([picture]), codec.encode_batch([picture[32:, :32]])
    assert len(encoded.layers) == 5
    assert all(len(layer.parts) == 6 for layer in encoded.layers)
    (found,) = codec.decode_batch([whole(encoded)])
    assert found.image is not None
    # As the same part alone, but for its header and the predictor and correction of photographs.
    assert mse(found.image[32:, :32], picture[32:, :32]) < 40
    assert mse(found.image, picture) < 40
    together = codec.encode_batch([samples[0], picture[32:, :32], samples[2]])
    assert together[1] == alone


# ------------------------------------------------------------------------------- how it is chosen


def section(**keys: object) -> SemanticCodecSection:
    return SemanticCodecSection.model_validate({"type": "semantic", **keys})


def test_scenarios_choose_it_and_only_where_there_is_a_choice() -> None:
    chosen = make_codec(section(profile="embedded", reversible=False))
    assert isinstance(chosen, EmbeddedCodec)
    assert not chosen.reversible
    with pytest.raises(CodecError, match="'paper' has no choice of transforms"):
        open_layered("paper", reversible=False)
    with pytest.raises(CodecSetupError, match=r"codec semantic: .*\(reversible\)"):
        make_codec(section(reversible=False))
    with pytest.raises(ValueError, match="reversible"):
        section(profile="embedded", reversible="no")
    # Trials are known by a hash of this; as it was before there was the key.
    assert "reversible" not in section(profile="embedded").model_dump(mode="json")
    assert section(reversible=False).model_dump(mode="json")["reversible"] is False


def test_testbed_encode_chooses_it_too(tmp_path: Path, samples: list[Image]) -> None:
    from PIL import Image as Pillow

    Pillow.fromarray(samples[0]).save(tmp_path / "one.png")
    picture, out = str(tmp_path / "one.png"), str(tmp_path)
    run = CliRunner().invoke
    refused = run(app, ["encode", picture, "--out", out, "--irreversible"])
    assert refused.exit_code != 0
    assert "no choice of transforms" in str(refused.exception)
    asked = ["encode", picture, "--out", out, "--profile", "embedded", "--irreversible"]
    assert run(app, asked).exit_code == 0
    (coded,) = tmp_path.glob("one.*[!g]")
    assert run(app, ["decode", str(coded), "--out", str(tmp_path / "back")]).exit_code == 0
    found = read_picture(tmp_path / "back" / "one.png")
    assert 0 < mse(found, samples[0]) < 0.3
