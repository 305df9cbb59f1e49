"""The laws that every image codec keeps: see `codec.base.ImageCodec`. Add a codec to CODECS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codec.base import CodecError, DecodedImage, EncodedImage, ImageCodec, ReceivedLayer
from codec.conventional import FORMATS, ConventionalCodec
from codec.conventional.file_format import Headers, OnLoss
from codec.layered import open_layered
from codec.semantic_codec import SemanticCodec
from testbed.language.link_parts import LinkPart, make_part
from testbed.plugins.loading import named_plugins


def conventional(
    name: str, headers: Headers = "file", on_loss: OnLoss = "drop", **fields: object
) -> Callable[[], ImageCodec]:
    """A codec, made in the test: where an optional library is missing the test is skipped."""

    def make() -> ImageCodec:
        try:
            file_format = FORMATS[name](**fields)
        except CodecError as error:
            if "is not installed" in str(error):
                pytest.skip(str(error))
            raise
        return ConventionalCodec(file_format, headers, on_loss)

    return make


def of_a_plugin(stem: str, name: str) -> ImageCodec:
    named_plugins([f"{stem}.py"], Path(__file__).parent.parent / "docs" / "plugins")
    made: ImageCodec = make_part("codec", LinkPart(name))
    return made


CODECS: dict[str, Callable[[], ImageCodec]] = {
    "jpeg": conventional("jpeg", "abbreviated"),
    "jpeg-file": conventional("jpeg"),
    "jpeg-420": conventional("jpeg", "abbreviated", subsampling="4:2:0"),
    "jpeg-progressive": conventional("jpeg", "payload", "truncate", progressive=True),
    "jpeg-restart": conventional("jpeg", "abbreviated", "conceal", restart_interval=4),
    "jpeg2000": conventional("jpeg2000", "abbreviated"),
    "jpeg2000-layers": conventional(
        "jpeg2000", "abbreviated", "truncate", quality_layers=4, packet_lengths=True
    ),
    "jpeg2000-jp2": conventional("jpeg2000", container="jp2", lossless=True),
    "heif": conventional("heif", "payload"),
    "avif": conventional("avif", "payload", "conceal"),
    "webp": conventional("webp", "abbreviated", "conceal"),
    "webp-lossless": conventional("webp", "abbreviated", lossless=True),
    "jpegxl": conventional("jpegxl", "abbreviated", "conceal"),
    "jpegxl-lossless": conventional("jpegxl", "payload", lossless=True),
    "png": conventional("png", on_loss="conceal"),
    "semantic": SemanticCodec,
    "semantic-base": lambda: SemanticCodec(layers=1),
    "semantic-one-sided": lambda: SemanticCodec(correction="one_sided"),
    "embedded": lambda: open_layered("embedded"),
    "embedded-base": lambda: open_layered("embedded", layers=1),
    "embedded-four": lambda: open_layered("embedded", layers=4),
    "embedded-fitted": lambda: open_layered("embedded", fit=2),
    "plug-in": lambda: of_a_plugin("dct_codec", "dct_zlib"),
}
SIZES = [(32, 32), (1, 1), (1, 7), (9, 1), (33, 47), (16, 100)]


@pytest.fixture(params=CODECS, scope="module")
def codec(request: pytest.FixtureRequest) -> ImageCodec:
    return CODECS[request.param]()


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth picture with some texture, so that codecs have something to gain."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    phases = random.uniform(0, 6, size=3)
    waves = np.stack([np.sin(x / 9 + phase) + np.cos(y / 7 - phase) for phase in phases], axis=2)
    noisy = 128 + 50 * waves + random.normal(0, 6, size=waves.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def received(encoded: EncodedImage) -> list[ReceivedLayer]:
    return [layer.whole for layer in encoded.layers]


def encode_one(codec: ImageCodec, image: np.ndarray, budget: int | None = None) -> EncodedImage:
    [encoded] = codec.encode_batch([image], budget)
    assert encoded is not None
    return encoded


def assert_same(one: DecodedImage, other: DecodedImage) -> None:
    assert one.layers_decoded == other.layers_decoded
    if one.image is None or other.image is None:
        assert one.image is other.image
    else:
        assert np.array_equal(one.image, other.image)


def test_it_has_a_name(codec: ImageCodec) -> None:
    assert codec.name
    assert isinstance(codec.scalable, bool)


@pytest.mark.parametrize("size", SIZES)
def test_whole_streams_decode_to_the_picture(codec: ImageCodec, size: tuple[int, int]) -> None:
    image = picture(*size)
    before = image.copy()
    encoded = encode_one(codec, image)
    assert np.array_equal(image, before)
    assert encoded.payload_bits == sum(8 * len(layer.data) for layer in encoded.layers)
    [decoded] = codec.decode_batch([received(encoded)])
    assert decoded.image is not None
    assert decoded.image.dtype == np.uint8
    assert decoded.image.shape == image.shape
    assert decoded.layers_decoded == len(encoded.layers)
    error = decoded.image.astype(float) - image
    # A base layer knows little of pictures that are smaller than what its network looks at.
    assert np.sqrt(np.mean(error**2)) < (25 if min(size) >= 8 else 60)


def test_a_batch_is_its_pictures_one_by_one(codec: ImageCodec) -> None:
    images = [picture(32, 32, seed) for seed in range(3)] + [picture(17, 40)]
    together = codec.encode_batch(images)
    alone = [codec.encode_batch([image])[0] for image in images]
    assert together == alone
    assert codec.encode_batch(images[::-1]) == together[::-1]
    streams = [received(encoded) for encoded in together if encoded is not None]
    assert len(streams) == len(images)
    for decoded, stream in zip(codec.decode_batch(streams), streams, strict=True):
        assert_same(decoded, codec.decode_batch([stream])[0])


def test_no_pictures_make_no_streams(codec: ImageCodec) -> None:
    assert codec.encode_batch([]) == []
    assert codec.decode_batch([]) == []


def test_coding_is_deterministic(codec: ImageCodec) -> None:
    image = picture(32, 32)
    assert codec.encode_batch([image]) == codec.encode_batch([image.copy()])
    assert codec.encode_batch([image]) == codec.encode_batch([np.asfortranarray(image)])


@pytest.mark.parametrize(
    "not_an_image",
    [
        np.zeros((8, 8, 3), dtype=np.float32),
        np.zeros((8, 8), dtype=np.uint8),
        np.zeros((8, 8, 4), dtype=np.uint8),
        np.zeros((0, 8, 3), dtype=np.uint8),
        np.zeros((1, 8, 8, 3), dtype=np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_what_is_no_image_is_refused(codec: ImageCodec, not_an_image: np.ndarray) -> None:
    with pytest.raises(CodecError):
        codec.encode_batch([not_an_image])


def test_nothing_received_is_no_picture(codec: ImageCodec) -> None:
    # A receiver that got no layer, and one that got none of the first layer's bytes.
    for layers in ([], [ReceivedLayer(b"", complete=False)]):
        [decoded] = codec.decode_batch([layers])
        assert decoded.image is None
        assert decoded.layers_decoded == 0


@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
def test_budgets_are_kept(codec: ImageCodec, size: tuple[int, int]) -> None:
    image = picture(*size)
    for budget_bytes in (0, 1, 60, 150, 400, 700, 1000, 5000):
        [encoded] = codec.encode_batch([image], budget_bytes)
        if codec.scalable:
            assert encoded == encode_one(codec, image)
        elif encoded is not None:
            assert encoded.payload_bits <= 8 * budget_bytes


def test_streams_cut_at_every_byte(codec: ImageCodec) -> None:
    encoded = encode_one(codec, picture(32, 32))
    for number, layer in enumerate(encoded.layers):
        whole = received(encoded)[:number]
        step = max(1, len(layer.data) // 60)
        cuts = [
            [*whole, replace(layer.whole, data=layer.data[:n_bytes], complete=False)]
            for n_bytes in range(0, len(layer.data), step)
        ]
        for decoded in codec.decode_batch(cuts):
            assert decoded.layers_decoded == number
            if decoded.image is not None:
                assert decoded.image.shape == (32, 32, 3)


def test_foreign_bytes_never_raise(codec: ImageCodec) -> None:
    random = np.random.default_rng(4)
    first = encode_one(codec, picture(32, 32)).layers[0]
    for _ in range(60):
        noise = random.bytes(int(random.integers(0, 300)))
        damaged = bytearray(first.data)
        for position in random.integers(0, len(damaged), 5):
            damaged[position] ^= int(random.integers(1, 256))
        grafted = first.data[: int(random.integers(0, 12))] + noise
        layers = [
            ReceivedLayer(data, complete, known=known)
            for data in (noise, bytes(damaged), grafted)
            for complete in (True, False)
            for known in (first.known, noise)
        ]
        for decoded in codec.decode_batch([[layer] for layer in layers]):
            assert decoded.image is None or decoded.image.dtype == np.uint8
