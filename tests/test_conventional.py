"""JPEG: the abbreviated form is the file without what both ends know; the best quality is found."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image as PillowImage
from test_codec_contract import picture

from codec.base import CodecError, EncodedImage, ReceivedLayer
from codec.conventional import DEFAULT_QUALITY, JpegCodec
from codec.picture_header import MAX_PIXELS, pack_picture_header, unpack_picture_header


def size_bytes(encoded: EncodedImage | None) -> int:
    assert encoded is not None
    return encoded.payload_bits // 8


def decode(codec: JpegCodec, encoded: EncodedImage | None) -> np.ndarray:
    assert encoded is not None
    [decoded] = codec.decode_batch([[ReceivedLayer(encoded.layers[0].data, complete=True)]])
    assert decoded.image is not None
    return decoded.image


def pillow_file(image: np.ndarray, quality: int, subsampling: str) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(
        buffer, format="JPEG", quality=quality, subsampling=subsampling
    )
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (33, 47), (300, 17)])
@pytest.mark.parametrize("quality", [1, 50, 100])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_the_abbreviated_form_rebuilds_the_file(
    size: tuple[int, int], quality: int, subsampling: str
) -> None:
    image = picture(*size)
    codec = JpegCodec(quality, subsampling=subsampling)  # type: ignore[arg-type]
    [encoded] = codec.encode_batch([image])
    assert encoded is not None
    file = pillow_file(image, quality, subsampling)
    assert codec._rebuild_file(encoded.layers[0].data) == file
    picture_header_bytes = 1 if size == (32, 32) else 5
    n_scan_bytes = len(file) - len(file[: file.index(b"\xff\xda")]) - 14 - 2
    assert size_bytes(encoded) == picture_header_bytes + 1 + n_scan_bytes
    with PillowImage.open(io.BytesIO(file)) as expected:
        assert np.array_equal(decode(codec, encoded), np.array(expected))


def test_the_quantiser_is_that_of_annex_k() -> None:
    """Quality 50 is T.81's Table K.1 itself, whatever library is underneath."""
    with PillowImage.open(io.BytesIO(pillow_file(picture(8, 8), 50, "4:4:4"))) as file:
        luminance, chrominance = file.quantization[0], file.quantization[1]  # type: ignore[attr-defined]
    assert luminance[:8] == [16, 11, 10, 16, 24, 40, 51, 61]
    assert chrominance[:8] == [17, 18, 24, 47, 99, 99, 99, 99]


def test_a_whole_file_is_any_decoder_s() -> None:
    image = picture(32, 32)
    [encoded] = JpegCodec(quality=80, headers="file").encode_batch([image])
    assert encoded is not None
    with PillowImage.open(io.BytesIO(encoded.layers[0].data)) as opened:
        assert opened.format == "JPEG"
        assert opened.size == (32, 32)
    assert size_bytes(encoded) < len(pillow_file(image, 80, "4:4:4"))


@pytest.mark.parametrize("headers", ["file", "abbreviated"])
@pytest.mark.parametrize("seed", range(3))
def test_the_highest_fitting_quality_is_taken(headers: str, seed: int) -> None:
    images = [picture(32, 32, seed), picture(20, 45, seed), np.full((32, 32, 3), seed, np.uint8)]
    budgeted = JpegCodec(headers=headers)  # type: ignore[arg-type]
    fixed = [JpegCodec(quality, headers=headers) for quality in range(1, 101)]  # type: ignore[arg-type]
    for image in images:
        streams = [codec.encode_batch([image])[0] for codec in fixed]
        for budget_bytes in (90, 130, 256, 330, 512, 700, 1500):
            fitting = [stream for stream in streams if size_bytes(stream) <= budget_bytes]
            [found] = budgeted.encode_batch([image], budget_bytes)
            assert found == (fitting[-1] if fitting else None)


def test_quality_without_and_with_budget() -> None:
    image = picture(32, 32)
    [default] = JpegCodec().encode_batch([image])
    [same] = JpegCodec(DEFAULT_QUALITY).encode_batch([image])
    assert default == same
    n_bytes = size_bytes(default)
    assert JpegCodec(DEFAULT_QUALITY).encode_batch([image], n_bytes) == [default]
    assert JpegCodec(DEFAULT_QUALITY).encode_batch([image], n_bytes - 1) == [None]
    assert JpegCodec().encode_batch([image], 10) == [None]


def test_names_tell_the_settings() -> None:
    assert JpegCodec().name == "jpeg"
    assert JpegCodec(90, "file", "4:2:0").name == "jpeg-file-420-q90"


def test_wrong_settings_are_refused() -> None:
    for quality in (0, 101, -1):
        with pytest.raises(CodecError, match="quality"):
            JpegCodec(quality)
    with pytest.raises(CodecError, match="headers"):
        JpegCodec(headers="none")  # type: ignore[arg-type]
    with pytest.raises(CodecError, match="subsampling"):
        JpegCodec(subsampling="4:1:1")  # type: ignore[arg-type]
    with pytest.raises(CodecError, match="too large"):
        JpegCodec().encode_batch([np.zeros((1, 65501, 3), dtype=np.uint8)])


def test_absurd_sizes_are_refused_at_once() -> None:
    start_s = time.perf_counter()
    giant_abbreviated = bytes([0x11, 0xFF, 0xFF, 0xFF, 0xFF, 75]) + b"\x00" * 20
    file = bytearray(pillow_file(picture(8, 8), 75, "4:4:4"))
    frame = file.index(b"\xff\xc0")
    file[frame + 5 : frame + 9] = b"\xff\xdc\xff\xdc"
    for codec, data in (
        (JpegCodec(), giant_abbreviated),
        (JpegCodec(headers="file"), bytes(file)),
    ):
        [decoded] = codec.decode_batch([[ReceivedLayer(data, complete=True)]])
        assert decoded.image is None
    assert time.perf_counter() - start_s < 1


# ---------------------------------------------------------------------------- picture header


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (65535, 1), (1, 65535), (4096, 4096), (32, 33)])
@pytest.mark.parametrize("version", [0, 1, 15])
def test_picture_headers_come_back(size: tuple[int, int], version: int) -> None:
    header = pack_picture_header(*size, version)
    assert len(header) == (1 if size == (32, 32) else 5)
    assert header[0] >> 4 == version
    assert unpack_picture_header(header + b"tail", version) == (*size, len(header))


def test_picture_headers_refuse_what_they_cannot_say() -> None:
    for size in ((0, 1), (1, 65536), (4097, 4096)):
        with pytest.raises(CodecError):
            pack_picture_header(*size)
    assert MAX_PIXELS == 4096 * 4096
    with pytest.raises(CodecError, match="version"):
        pack_picture_header(1, 1, 16)
    for data, message in (
        (b"", "no bytes"),
        (b"\x10", "version 0, found 1"),
        (b"\x02", "size code"),
        (b"\x01\x00\x01\x00", "5 bytes"),
        (b"\x01\x00\x00\x00\x01", "sides"),
        (b"\x01\xff\xff\xff\xff", "pixels"),
    ):
        with pytest.raises(CodecError, match=message):
            unpack_picture_header(data)
