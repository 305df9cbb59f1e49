"""Conventional codecs: headers rebuilt byte for byte, the best quality found, damage as stated."""

from __future__ import annotations

import io
import os
import re
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage
from running import simulated
from test_codec_contract import picture

from codec.base import CodecError, EncodedImage, ReceivedLayer
from codec.conventional import FORMATS, ConventionalCodec, FileFormat, UnsupportedPolicy
from codec.conventional.file_format import Headers
from codec.conventional.jpeg import Jpeg
from codec.conventional.jpeg2000 import Jpeg2000, _lengths
from codec.conventional.jpegxl_size import image_header, read_size
from codec.conventional.png import Png
from codec.conventional.rate_search import best_fitting
from codec.conventional.webp import WebP
from codec.picture_header import (
    ALL_CODES,
    MAX_PIXELS,
    pack_picture_header,
    unpack_picture_header,
)
from testbed.commands.check_command import print_choices
from testbed.errors import ScenarioError
from testbed.evaluation.metrics import psnr_db
from testbed.images import DATA_VARIABLE, load_images
from testbed.language.codec_sections import CODEC_SECTIONS, ConventionalSection
from testbed.language.scenario_loading import check_document
from testbed.language.yaml_source import parse_document
from testbed.running.plan import plan
from testbed.sending.packets import Packet, reassemble

SIZES = [(32, 32), (1, 1), (33, 47), (300, 17)]


def made(name: str, **settings: object) -> FileFormat:
    """The format; the test is skipped where its library is missing."""
    try:
        return FORMATS[name](**settings)
    except CodecError as error:
        pytest.skip(str(error))


def stream_of(codec: ConventionalCodec, image: np.ndarray, budget: int | None = None) -> bytes:
    [encoded] = codec.encode_batch([image], budget)
    assert encoded is not None
    return encoded.layers[0].data


def shown(codec: ConventionalCodec, layer: ReceivedLayer) -> np.ndarray | None:
    [decoded] = codec.decode_batch([[layer]])
    return decoded.image


def pillow_file(image: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(buffer, **options)
    return buffer.getvalue()


# ---------------------------------------------------------------------------- headers


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("quality", [1, 50, 100])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_abbreviated_jpeg_rebuilds_pillow_s_file(
    size: tuple[int, int], quality: int, subsampling: str
) -> None:
    image = picture(*size)
    jpeg = Jpeg(subsampling=subsampling)  # type: ignore[arg-type]
    stream = jpeg.abbreviate(image, quality)
    file = pillow_file(image, format="JPEG", quality=quality, subsampling=subsampling)
    assert b"".join(jpeg.restore(stream)) == file
    picture_header_bytes = 1 if size == (32, 32) else 5
    n_scan_bytes = len(file) - file.index(b"\xff\xda") - 14 - 2
    assert len(stream) == picture_header_bytes + 1 + n_scan_bytes
    with PillowImage.open(io.BytesIO(file)) as expected:
        assert np.array_equal(jpeg.decode(file), np.array(expected))


@pytest.mark.parametrize("size", [*SIZES, (8, 256), (256, 8), (600, 300)])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("jpeg2000", {}),
        ("jpeg2000", {"resolutions": 6, "quality_layers": 3, "packet_lengths": True}),
        ("jpeg2000", {"lossless": True}),
        ("webp", {}),
        ("webp", {"lossless": True}),
        ("jpegxl", {"effort": 1}),
        ("jpegxl", {"lossless": True, "effort": 1}),
    ],
)
def test_abbreviated_streams_rebuild_their_files(
    size: tuple[int, int], name: str, settings: dict[str, object]
) -> None:
    file_format = made(name, **settings)
    steps = file_format.settings(*size)
    for image in (picture(*size), np.full((*size, 3), 200, np.uint8)):
        for setting in {steps[0], steps[-1]}:
            file = file_format.encode(image, setting)
            stream = file_format.abbreviate(image, setting)
            assert b"".join(file_format.restore(stream)) == file
            assert len(stream) < len(file) + 2


@pytest.mark.parametrize(
    ("name", "settings", "fixed_bytes"),
    # Of a 32 x 32 picture, counted with other code: file less payload.
    [
        ("jpeg", {}, range(250, 420)),
        ("jpeg2000", {}, range(133, 158)),
        ("jpeg2000", {"container": "jp2"}, range(210, 231)),
        ("heif", {}, range(410, 431)),
        ("avif", {}, range(285, 296)),
        ("webp", {}, range(30, 32)),
        ("jpegxl", {}, range(4, 5)),
    ],
)
def test_payloads_leave_out_what_formats_are_known_to_spend(
    name: str, settings: dict[str, object], fixed_bytes: range
) -> None:
    file_format = made(name, **settings)
    image = picture(32, 32)
    charged = ConventionalCodec(file_format, "payload")
    for setting in (file_format.default_setting, file_format.settings(32, 32)[-1]):
        file = file_format.encode(image, setting)
        parts = file_format.split(file)
        assert b"".join(parts) == file
        assert len(file) - len(parts.payload) in fixed_bytes
    [encoded] = charged.encode_batch([image])
    assert encoded is not None
    whole = file_format.decode(file_format.encode(image, file_format.default_setting))
    assert np.array_equal(shown(charged, encoded.layers[0].whole), whole)
    # Without what is known beforehand there is no picture.
    assert shown(charged, replace(encoded.layers[0].whole, known=b"")) is None


def test_payload_bytes_are_charged_and_headers_still_arrive() -> None:
    text = """\
        images: {source: samples32, limit: 2}
        codecs: [{type: jpeg, headers: payload}, {type: jpeg, name: file, headers: file}]
        link: {snr_db: 30, cbr: 1/2}
        """
    planned = plan(check_document(parse_document(text.encode(), "f.yaml"), Path()))
    rows = list(simulated(planned).values())
    assert len(rows) == 4
    assert not any(row["failed"] for row in rows)
    psnr = {
        name: [row["psnr_db"] for row in rows if row["codec"] == name] for name in ("jpeg", "file")
    }
    # About 300 bytes of a budget of 384 go into the file's headers.
    assert min(psnr["jpeg"]) > max(psnr["file"]) + 3


@given(st.integers(1, 1 << 20), st.integers(1, 1 << 20), st.booleans())
def test_jpeg_xl_sizes_come_back(height: int, width: int, lossless: bool) -> None:
    assert read_size(image_header(height, width, lossless=lossless) + bytes(12)) == (height, width)


def test_the_quantiser_is_that_of_annex_k() -> None:
    """Quality 50 is T.81's Table K.1 itself, whatever library is underneath."""
    with PillowImage.open(io.BytesIO(Jpeg().encode(picture(8, 8), 50))) as file:
        luminance, chrominance = file.quantization[0], file.quantization[1]  # type: ignore[attr-defined]
    assert luminance[:8] == [16, 11, 10, 16, 24, 40, 51, 61]
    assert chrominance[:8] == [17, 18, 24, 47, 99, 99, 99, 99]


@pytest.mark.parametrize(
    ("name", "pillow_name"),
    [
        ("jpeg", "JPEG"),
        ("jpeg2000", "JPEG2000"),
        ("avif", "AVIF"),
        ("webp", "WEBP"),
        ("png", "PNG"),
    ],
)
def test_whole_files_are_any_decoder_s(name: str, pillow_name: str) -> None:
    file = stream_of(ConventionalCodec(made(name)), picture(20, 30))
    with PillowImage.open(io.BytesIO(file)) as opened:
        assert (opened.format, opened.size) == (pillow_name, (30, 20))


@pytest.mark.parametrize(
    ("name", "settings"),
    [("png", {}), *((name, {"lossless": True}) for name in ("jpeg2000", "webp", "jpegxl"))],
)
def test_lossless_is_exact_or_nothing(name: str, settings: dict[str, object]) -> None:
    codec = ConventionalCodec(made(name, **settings))
    for image in (picture(32, 32), picture(7, 45), np.zeros((9, 9, 3), np.uint8)):
        stream = stream_of(codec, image)
        assert np.array_equal(shown(codec, ReceivedLayer(stream, True)), image)
        assert codec.encode_batch([image], len(stream) - 1) == [None]
        assert stream_of(codec, image, len(stream)) == stream


@pytest.mark.parametrize(
    ("name", "settings", "qualities", "expected_db"),
    [
        ("jpeg2000", {}, (13, 11, 8.5, 7.5), (25.69, 30.72)),
        ("avif", {"tune": "psnr"}, (29, 33, 49, 54), (28.02, 32.98)),
        ("webp", {}, (6, 12, 52, 60), (25.73, 30.46)),
        ("jpegxl", {"effort": 9}, (13, 10, 3.6, 3.0), (23.21, 28.43)),
        ("heif", {"tune": "psnr"}, (16, 20, 30, 34), (26.75, 31.81)),
    ],
)
def test_payload_curves_agree_with_independent_measurements_on_cifar10(
    name: str, settings: dict[str, object], qualities: tuple[float, ...], expected_db: tuple[float]
) -> None:
    """dB at 1 and 2 bpp, means over images 0-199, measured with a script of its own."""
    if not os.environ.get(DATA_VARIABLE):
        pytest.skip(f"needs CIFAR-10 in the folder that {DATA_VARIABLE} names")
    file_format = made(name, **settings)
    pictures = [image.pixels for image in load_images("cifar10_test", Path(), 200)]
    bpp, psnr = [], []
    for quality in qualities:
        files = [file_format.encode(image, quality) for image in pictures]
        bpp.append(np.mean([8 * len(file_format.split(file).payload) / 1024 for file in files]))
        pairs = zip(pictures, map(file_format.decode, files), strict=True)
        psnr.append(np.mean([psnr_db(*pair) for pair in pairs]))
    assert bpp[0] < 1 < bpp[1] < bpp[2] < 2.1
    assert np.interp([1, 2], bpp, psnr) == pytest.approx(expected_db, abs=0.3)


# ---------------------------------------------------------------------------- rate


@pytest.mark.parametrize(
    ("name", "headers", "settings"),
    [
        ("jpeg", "file", {}),
        ("jpeg", "abbreviated", {}),
        ("jpeg", "payload", {"progressive": True}),
        ("jpeg2000", "payload", {}),
        ("heif", "payload", {"tune": "psnr"}),
        ("avif", "payload", {}),
        ("webp", "abbreviated", {}),
        ("jpegxl", "file", {"effort": 3}),
    ],
)
def test_the_highest_fitting_quality_is_taken(
    name: str, headers: Headers, settings: dict[str, object]
) -> None:
    """Against all qualities of the format, on real and on drawn pictures."""
    file_format = made(name, **settings)
    codec = ConventionalCodec(file_format, headers)
    real = load_images("samples32", Path())
    for image in (real[0].pixels, real[9].pixels, picture(20, 26)):
        # JPEG2000 has a setting for every byte that may be aimed at: every few of them will do.
        steps = file_format.settings(*image.shape[:2])
        every = max(1, len(steps) // 300)
        layers = [codec._layer(image, setting) for setting in steps[::every]]
        sizes = [len(layer.data) for layer in layers]
        budgets = sorted(set(sizes))[:: max(1, len(set(sizes)) // 12)]
        for budget in (*budgets, min(sizes) - 1, max(sizes) + 1):
            best = max((k for k, size in enumerate(sizes) if size <= budget), default=None)
            [found] = codec.encode_batch([image], budget)
            if every == 1:
                assert found == (None if best is None else EncodedImage((layers[best],)))
            elif best is not None:
                assert found is not None
                assert sizes[best] <= found.payload_bits // 8 <= budget


def test_an_order_of_budgets_changes_no_choice() -> None:
    images = [picture(32, 32, seed) for seed in range(3)]
    budgets = [150, 400, 90, 1000, 399]
    at_once = [ConventionalCodec(WebP()).encode_batch(images, budget) for budget in budgets]
    codec = ConventionalCodec(WebP())
    later = [codec.encode_batch(images[::-1], budget)[::-1] for budget in reversed(budgets)]
    assert later[::-1] == at_once


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(0, 250), st.integers(0, 8))
def test_the_search_misses_nothing_within_its_reach(
    rises: list[int], budget: int, reach: int
) -> None:
    sizes = np.cumsum(rises).tolist()
    asked: set[int] = set()

    def size_bytes(step: int) -> int:
        asked.add(step)
        return sizes[step]

    best = max((k for k, size in enumerate(sizes) if size <= budget), default=None)
    # Rising sizes need no reach; a dip within reach of where bisection ends is found.
    assert best_fitting(size_bytes, len(sizes), budget, reach) == best
    assert len(asked) <= len(sizes).bit_length() + reach
    if best is not None and best + reach < len(sizes) and reach:
        sizes[best + reach] = budget
        assert best_fitting(sizes.__getitem__, len(sizes), budget, len(sizes)) == best + reach


def test_quality_without_a_budget_is_the_default() -> None:
    image = picture(32, 32)
    default = pillow_file(image, format="JPEG", quality=75, subsampling="4:4:4", optimize=True)
    assert stream_of(ConventionalCodec(Jpeg()), image) == default


# ---------------------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    return load_images("samples_large", Path())[0].pixels[:128, :192]


@pytest.mark.parametrize(
    ("file_format", "headers"),
    [
        (file_format, headers)
        for file_format in (Jpeg(progressive=True), Jpeg2000(quality_layers=6, packet_lengths=True))
        for headers in file_format.headers
        if headers != "mosaic"
    ],
    ids=str,
)
def test_every_prefix_is_a_coarser_picture(
    file_format: FileFormat, headers: Headers, photograph: np.ndarray
) -> None:
    codec = ConventionalCodec(file_format, headers, "truncate")
    [encoded] = codec.encode_batch([photograph], 6000)
    assert encoded is not None
    layer = encoded.layers[0].whole
    quality = []
    for share in (0.3, 0.45, 0.6, 0.8, 0.95):
        data = layer.data[: int(share * len(layer.data))]
        image = shown(codec, replace(layer, data=data, complete=False))
        assert image is not None
        quality.append(psnr_db(photograph, image))
        # Damaged packets end what is used of a stream as missing ones do.
        damaged = replace(layer, intact_bytes=len(data))
        assert np.array_equal(shown(codec, damaged), image)
    whole = shown(codec, layer)
    assert whole is not None
    assert (np.diff([*quality, psnr_db(photograph, whole)]) >= 0).all()
    assert 18 < quality[0] < quality[-1] - 3


def test_jpeg2000_up_to_a_layer_is_what_openjpeg_makes_of_that_layer(
    photograph: np.ndarray,
) -> None:
    """Cut where a layer ends, or just before the next packet does: as if told to read no more."""
    file_format = Jpeg2000(quality_layers=3, packet_lengths=True)
    file = file_format.encode(photograph, file_format.default_setting)
    head = file_format.split(file).head
    lengths = _lengths(head[head.index(b"\xff\x58") : -2])

    def half_size(data: bytes, layers: int) -> np.ndarray:
        with PillowImage.open(io.BytesIO(data)) as opened:
            # Pillow heeds the number of layers only where it is to reduce the picture.
            opened.reduce, opened.layers = 1, layers  # type: ignore[assignment, attr-defined]
            return np.array(opened)

    pictures = [half_size(file, layers) for layers in (1, 2, 3)]
    assert not np.array_equal(pictures[0], pictures[1])
    for layers in (1, 2):
        packets = layers * len(lengths) // 3
        for more in (0, lengths[packets] - 1):
            cut = file[: len(head) + sum(lengths[:packets]) + more]
            mended = file_format.mend(file_format.split(cut))
            assert np.array_equal(half_size(mended, 3), pictures[layers - 1])


def test_the_first_scan_of_a_progressive_jpeg_is_its_means(photograph: np.ndarray) -> None:
    codec = ConventionalCodec(Jpeg(progressive=True), on_loss="truncate")
    file = stream_of(codec, photograph)
    second_scan = file.index(b"\xff\xda", file.index(b"\xff\xda") + 2)
    image = shown(codec, ReceivedLayer(file[:second_scan], complete=False))
    assert image is not None
    means = photograph.reshape(16, 8, 24, 8, 3).mean(axis=(1, 3))
    blocks = image.reshape(16, 8, 24, 8, 3).mean(axis=(1, 3))
    # Successive approximation leaves the last bit of the DC coefficients to a later scan.
    assert np.abs(blocks - means).mean() < 6


def test_restart_markers_end_an_error(photograph: np.ndarray) -> None:
    """A row of 24 MCUs between markers: rows that lie apart from the error are untouched."""
    marked = ConventionalCodec(Jpeg(restart_interval=24), "abbreviated", "conceal")
    plain = ConventionalCodec(Jpeg(), "abbreviated", "conceal")
    wrong_rows = {}
    for codec in (marked, plain):
        stream = bytearray(stream_of(codec, photograph))
        right = shown(codec, ReceivedLayer(bytes(stream), True))
        middle = len(stream) // 2
        # Among the wrong bytes a marker that has no place there: SOF0.
        stream[middle : middle + 4] = b"\x55\xff\xc0\x55"
        damaged = shown(codec, ReceivedLayer(bytes(stream), True, intact_bytes=middle))
        assert right is not None
        assert damaged is not None
        differs = (right != damaged).any(axis=(1, 2))
        wrong_rows[codec.file_format] = differs.reshape(16, 8).any(axis=1).sum()
    assert wrong_rows[marked.file_format] <= 2
    assert wrong_rows[plain.file_format] >= 6


def test_the_rest_of_a_broken_jpeg_is_grey(photograph: np.ndarray) -> None:
    codec = ConventionalCodec(Jpeg(), "abbreviated", "conceal")
    stream = stream_of(codec, photograph)
    right = shown(codec, ReceivedLayer(stream, True))
    half = shown(codec, ReceivedLayer(stream[: len(stream) // 2], False))
    assert right is not None
    assert half is not None
    assert np.array_equal(half[:40], right[:40])
    assert np.ptp(half[-8:]) <= 2


@pytest.mark.parametrize("name", FORMATS)
def test_drop_shows_nothing_that_is_not_complete_and_intact(name: str) -> None:
    codec = ConventionalCodec(made(name))
    stream = stream_of(codec, picture(32, 32))
    assert shown(codec, ReceivedLayer(stream, True)) is not None
    assert shown(codec, ReceivedLayer(stream, False)) is None
    assert shown(codec, ReceivedLayer(stream, True, intact_bytes=len(stream) - 1)) is None


def test_reassembly_says_where_damage_begins() -> None:
    packets = [Packet(0, k, k == 3, bytes([k]) * 10).to_bytes() for k in range(4)]
    (layer,) = reassemble([packets[0], packets[1], packets[3]], damaged=[packets[2]])
    assert (layer.complete, layer.intact_bytes, len(layer.data)) == (True, 20, 40)
    (layer,) = reassemble(packets, damaged=[packets[2]])
    assert layer.intact_bytes is None
    (layer,) = reassemble([packets[2]], damaged=packets[:2])
    assert (layer.complete, layer.intact_bytes) == (False, 0)


def test_absurd_sizes_are_refused_before_decoding() -> None:
    file = bytearray(Jpeg().encode(picture(8, 8), 75))
    frame = file.index(b"\xff\xc0")
    file[frame + 5 : frame + 9] = b"\xff\xdc\xff\xdc"
    with pytest.raises(CodecError, match="pixels"):
        Jpeg().decode(bytes(file))
    jpegxl = made("jpegxl")
    with pytest.raises(CodecError, match="pixels"):
        jpegxl.decode(image_header(8192, 8192, lossless=False) + bytes(20))
    giant_abbreviated = bytes([0x11, 0xFF, 0xFF, 0xFF, 0xFF, 75]) + b"\x00" * 20
    for file_format in (Jpeg(), Jpeg2000(), WebP(), jpegxl):
        codec = ConventionalCodec(file_format, "abbreviated")
        assert shown(codec, ReceivedLayer(giant_abbreviated, True)) is None


# ---------------------------------------------------------------------------- in a scenario


def problem_of(codec: str) -> str:
    text = f"images: samples32\ncodecs:\n  - {codec}\nlink: {{snr_db: 3}}\n"
    with pytest.raises(ScenarioError) as caught:
        check_document(parse_document(text.encode(), "f.yaml"), Path())
    return str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
def test_sections_have_the_keys_of_their_formats(name: str) -> None:
    section = CODEC_SECTIONS[name]
    assert issubclass(section, ConventionalSection)
    common = set(ConventionalSection.model_fields)
    own = {key: f.default for key, f in section.model_fields.items() if key not in common}
    assert own == {field.name: field.default for field in fields(FORMATS[name])}
    assert section.model_fields["headers"].default in made(name).headers


def test_the_list_shows_codecs_with_their_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    print_choices()
    printed = capsys.readouterr().out
    assert "{type: webp, headers: abbreviated, on_loss: drop, lossless: false}\n" in printed
    assert all(f"  {{type: {name}, headers: " in printed for name in FORMATS)


@pytest.mark.parametrize(
    ("codec", "message"),
    [
        (
            "{type: jpeg, headers: mosaic, progressive: true, on_loss: truncate}",
            "expected on_loss among drop, conceal for headers: mosaic",
        ),
        ("{type: webp, on_loss: truncate}", "expected on_loss among drop, conceal for webp"),
        ("{type: jpeg, on_loss: truncate}", "set progressive: true to have it"),
        ("{type: png, headers: payload}", "expected headers among file, mosaic for png"),
        ("{type: jpeg, progressive: true}", "file, payload, mosaic for jpeg (progressive: true)"),
        ("{type: avif, speed: 11}", "codecs[0].speed: expected a whole number from 0 to 10"),
        ("{type: jpeg2000, resolution: 3}", "did you mean 'resolutions'?"),
        ("{type: jpeg2000, container: jp2}", "for jpeg2000 (container: jp2), found abbreviated"),
    ],
)
def test_what_a_format_does_not_have_is_refused_with_the_line(codec: str, message: str) -> None:
    problem = problem_of(codec)
    assert re.match(r"f\.yaml:3:[0-9]+: codecs\[0\]", problem), problem
    assert message in problem


@pytest.mark.parametrize(
    ("name", "module", "extra"), [("heif", "pillow_heif", "heif"), ("jpegxl", "imagecodecs", "jxl")]
)
def test_a_missing_library_names_its_extra(
    name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert f"{module} is not installed: pip install -e .[{extra}]" in problem_of(f"type: {name}")


def test_wrong_settings_are_refused() -> None:
    for message, make in (
        ("restart_interval", lambda: Jpeg(restart_interval=65536)),
        ("resolutions", lambda: Jpeg2000(resolutions=7)),
        ("quality_layers", lambda: Jpeg2000(quality_layers=0)),
    ):
        with pytest.raises(CodecError, match=message):
            make()
    with pytest.raises(UnsupportedPolicy, match="file"):
        ConventionalCodec(Png(), "abbreviated")
    with pytest.raises(CodecError, match="too large"):
        ConventionalCodec(Jpeg()).encode_batch([np.zeros((1, 65501, 3), dtype=np.uint8)])


# ---------------------------------------------------------------------------- picture header


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (65535, 1), (1, 65535), (4096, 4096), (32, 33)])
@pytest.mark.parametrize("version", [0, 1, 15])
def test_picture_headers_come_back(size: tuple[int, int], version: int) -> None:
    header = pack_picture_header(*size, version)
    assert len(header) == (1 if size == (32, 32) else 5)
    assert header[0] >> 4 == version
    found = unpack_picture_header(header + b"tail", version)
    assert found == (*size, len(header), False, 0, True, version)
    assert unpack_picture_header(header + b"tail", version, allow=ALL_CODES) == found


@pytest.mark.parametrize("size", [(32, 32), (1, 7), (4096, 4096)])
def test_picture_headers_say_what_is_grey_and_only_to_those_who_ask(size: tuple[int, int]) -> None:
    plain = pack_picture_header(*size, 8)
    header = pack_picture_header(*size, 8, grey=True)
    # A grey picture's costs no byte more.
    assert header == bytes([plain[0] | 2]) + plain[1:]
    found = unpack_picture_header(header + b"tail", 8, allow=ALL_CODES)
    assert found == (*size, len(header), True, 0, True, 8)
    for cut in range(len(header)):
        with pytest.raises(CodecError):
            unpack_picture_header(header[:cut], 8, allow=ALL_CODES)
    with pytest.raises(CodecError, match="size code"):
        unpack_picture_header(header, 8)
    with pytest.raises(CodecError, match="version 2, found 8"):
        unpack_picture_header(header, 2, allow=ALL_CODES)


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
