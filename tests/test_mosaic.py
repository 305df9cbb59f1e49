"""Header policy `mosaic`: what a picture is charged, and that true mosaics come to the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from test_codec_contract import picture

import codec.conventional
from codec.base import CodecError, Image, Layer, ReceivedLayer
from codec.conventional import ConventionalCodec
from codec.conventional.jpeg import Jpeg
from codec.conventional.jpeg2000 import Jpeg2000
from codec.conventional.mosaic import MAX_SIDE, Mosaic, _bytes, _point
from codec.conventional.webp import WebP
from testbed.commands.anchors_command import mosaic_table
from testbed.errors import ScenarioError
from testbed.evaluation.metrics import psnr_db
from testbed.images import DATA_VARIABLE, load_images
from testbed.language.scenario_loading import check_document
from testbed.language.yaml_source import parse_document
from testbed.running.plan import plan
from testbed.studies import mosaic_check
from testbed.studies.mosaic_check import PICTURES, MosaicCheck, check_mosaics, mosaic_codecs

FORMATS = mosaic_codecs(quick=False)


@pytest.fixture(scope="module")
def companions() -> list[Image]:
    folder = Path(codec.conventional.__file__).parent
    with PillowImage.open(folder / "companions.png") as opened:
        return list(np.array(opened).reshape(15, 32, 32, 3))


@pytest.fixture(scope="module")
def samples() -> list[Image]:
    return [image.pixels for image in load_images("samples32", Path())]


def in_rows(tiles: list[Image]) -> Image:
    """Two tiles a row."""
    pairs = zip(tiles[::2], tiles[1::2], strict=True)
    return np.concatenate([np.concatenate(pair, axis=1) for pair in pairs])


def squared_error(image: Image, seen: Image) -> int:
    return int(np.sum((image.astype(int) - seen) ** 2))


def layer_of(codec: ConventionalCodec, image: Image, budget: int | None = None) -> Layer:
    [encoded] = codec.encode_batch([image], budget)
    assert encoded is not None
    return encoded.layers[0]


def shown(codec: ConventionalCodec, layer: Layer) -> Image:
    [decoded] = codec.decode_batch([[layer.whole]])
    assert decoded.image is not None
    return decoded.image


@pytest.mark.parametrize("name", FORMATS)
def test_the_file_is_the_mosaic_s_and_the_picture_its_last_tile(
    name: str, companions: list[Image], samples: list[Image]
) -> None:
    file_format, settings = FORMATS[name]
    setting = settings[len(settings) // 2]
    stream, known = Mosaic(file_format).encode(samples[2], setting)
    file = file_format.encode(in_rows([*companions, samples[2]]), setting)
    assert known + stream == file
    seen = Mosaic(file_format).decode(stream, known, whole=True)
    assert np.array_equal(seen, file_format.decode(file)[-32:, -32:])
    assert psnr_db(samples[2], seen) > 20


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "jpeg2000"])
def test_what_is_charged_is_the_file_less_that_of_the_companions(
    name: str, companions: list[Image], samples: list[Image]
) -> None:
    """The last companion counts as half of what it and its mirror image add."""
    file_format, settings = FORMATS[name]
    setting = settings[len(settings) // 2]

    def size(tiles: list[Image]) -> int:
        return len(file_format.encode(in_rows(tiles), setting))

    last = companions[-1]
    others = (size(companions[:-1]) + size([*companions, last[:, ::-1]])) / 2
    stream, _ = Mosaic(file_format).encode(samples[2], setting)
    assert abs(len(stream) - (size([*companions, samples[2]]) - others)) <= 0.5


def test_where_a_setting_is_a_size_rich_pictures_are_charged_more() -> None:
    """At one ratio all mosaics of JPEG2000 are about as large, whatever the last picture is."""
    jpeg2000 = Jpeg2000(resolutions=3)
    noise = np.random.default_rng(1).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    pictures = [np.full((32, 32, 3), 90, np.uint8), picture(32, 32), noise]
    coded = [Mosaic(jpeg2000).encode(each, 8) for each in pictures]
    files = [len(stream) + len(known) for stream, known in coded]
    assert max(files) < 1.02 * min(files)
    charged = [len(stream) for stream, _ in coded]
    assert 1.5 * charged[0] < charged[1] < charged[2] / 1.5


def test_companions_are_held_to_the_error_that_they_have(companions: list[Image]) -> None:
    """With the last companion's mirror image for a picture W and B are one: (W - A) / 2 is charged,
    A a size at which c1 .. c14 have the error that they have in W."""
    jpeg2000 = Jpeg2000(resolutions=3)
    rows = in_rows(companions[:-1])
    for ratio in (20, 8, 4):
        mirrored = np.ascontiguousarray(companions[-1][:, ::-1])
        stream, known = Mosaic(jpeg2000).encode(mirrored, ratio)
        whole = known + stream
        error = squared_error(rows, jpeg2000.decode(whole)[:224])
        files = [jpeg2000.encode(rows, each) for each in np.geomspace(ratio / 1.3, ratio * 1.3, 60)]
        better = [len(f) for f in files if squared_error(rows, jpeg2000.decode(f)) < error]
        nearest = min(better)
        assert max(better) > nearest > min(map(len, files))
        assert len(stream) == pytest.approx((len(whole) - nearest) / 2, abs=0.02 * nearest)


@pytest.mark.parametrize("size", [(32, 32), (1, 1), (8, 64), (33, 47), (64, 64)])
def test_sizes_come_back(size: tuple[int, int]) -> None:
    image = picture(*size)
    for file_format in (Jpeg(), WebP(lossless=True)):
        codec = ConventionalCodec(file_format, "mosaic")
        layer = layer_of(codec, image)
        assert layer.data
        assert shown(codec, layer).shape == image.shape
    assert np.array_equal(shown(codec, layer), image)


def test_larger_pictures_are_refused_before_anything_runs() -> None:
    with pytest.raises(CodecError, match="at most 64 x 64"):
        ConventionalCodec(Jpeg(), "mosaic").encode_batch([picture(8, MAX_SIDE + 1)])
    text = """\
        images: samples_large
        codecs:
          - {type: jpeg}
          - {type: webp, headers: mosaic}
        link: {snr_db: 3}
        """
    with pytest.raises(ScenarioError, match=r"f\.yaml:4:13: codecs\[1\]: image .* at most 64 x 64"):
        plan(check_document(parse_document(text.encode(), "f.yaml"), Path()))


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000", "webp"])
def test_neither_batch_nor_history_changes_a_stream(name: str, samples: list[Image]) -> None:
    file_format, _ = FORMATS[name]
    budgets = (250, 120)
    streams = []
    for order in (1, -1):
        _bytes.cache_clear()
        _point.cache_clear()
        codec = ConventionalCodec(file_format, "mosaic")
        coded = {b: codec.encode_batch(samples[3:5][::order], b)[::order] for b in budgets[::order]}
        streams.append([coded[budget] for budget in budgets])
        for budget in budgets:
            assert all(e is not None and e.payload_bits <= 8 * budget for e in coded[budget])
    assert streams[0] == streams[1]


def test_what_determines_a_stream_names_the_companions() -> None:
    """A run goes on from a journal only where streams would come out the same."""
    assert ConventionalCodec(Jpeg(), "mosaic").versions.startswith("mosaic 1, ")
    assert ConventionalCodec(Jpeg(), "file").versions == Jpeg().versions


def test_headers_are_shared(samples: list[Image]) -> None:
    """JPEG's 289 bytes or more of headers are not in a stream, its own code is."""
    image = samples[1]
    sizes = {
        headers: len(layer_of(ConventionalCodec(Jpeg(), headers), image).data)
        for headers in Jpeg().headers
    }
    assert sizes["mosaic"] < sizes["file"] - 280
    assert sizes["mosaic"] == pytest.approx(sizes["payload"], rel=0.1)


def test_no_companion_is_a_picture_that_scenarios_send(
    companions: list[Image], samples: list[Image]
) -> None:
    for tile in companions:
        assert min(np.abs(tile.astype(int) - sample).mean() for sample in samples) > 5


def test_what_is_cut_off_is_missing_at_the_bottom(samples: list[Image]) -> None:
    """JPEG's blocks come row by row: the upper rows of the picture are before the charged bytes."""
    codec = ConventionalCodec(Jpeg(), "mosaic", "conceal")
    layer = layer_of(codec, samples[1])
    right = shown(codec, layer)
    half = layer.data[: len(layer.data) // 2]
    cut = ReceivedLayer(half, complete=False, known=layer.known)
    [decoded] = codec.decode_batch([[cut]])
    assert decoded.image is not None
    [dropped] = ConventionalCodec(Jpeg(), "mosaic").decode_batch([[cut]])
    assert dropped.image is None
    assert np.array_equal(decoded.image[:8], right[:8])
    assert not np.array_equal(decoded.image[-8:], right[-8:])


# ---------------------------------------------------------------------------- true mosaics


@pytest.mark.parametrize(
    ("name", "size_bytes", "percent", "within"),
    [
        ("webp", 100.0, 0.0, True),
        ("webp", 112.0, 12.0, True),
        ("webp", 87.0, -13.0, False),
        ("jpegxl", 130.0, 30.0, True),
        ("jpegxl", 131.0, 31.0, False),
    ],
)
def test_verdicts(name: str, size_bytes: float, percent: float, within: bool) -> None:
    check = MosaicCheck(name, "50", 90.0, 30.0, size_bytes, 31.0, 100.0)
    assert (check.difference_percent, check.within) == (percent, within)
    [row] = mosaic_table([check]).to_dict("records")
    assert (row["bytes"], row["difference_percent"]) == (size_bytes, percent)


def test_differences_are_taken_at_equal_quality(
    samples: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Straight lines over the log of the bytes, between the settings on both sides."""
    monkeypatch.setattr(mosaic_check, "ROWS", 2)
    monkeypatch.setattr(mosaic_check, "COLUMNS", 2)
    steps: list[int] = []
    settings = (10, 50, 90)
    [check] = check_mosaics("jpeg", Jpeg(), settings, samples[:4], steps.append)
    assert len(steps) == 3
    assert check.setting == "50"
    # A JPEG picture looks the same wherever it stands.
    assert check.psnr_db == pytest.approx(check.true_psnr_db)
    assert check.equal_bytes == pytest.approx(check.true_bytes)
    file = Jpeg().encode(in_rows(samples[:4]), 50)
    assert check.true_bytes == len(file) / 4


@pytest.mark.parametrize("name", FORMATS)
def test_true_mosaics_of_cifar10_come_to_the_same_bytes(name: str) -> None:
    """Two settings of each; `testbed verify-anchors` has more."""
    if not os.environ.get(DATA_VARIABLE):
        pytest.skip(f"needs CIFAR-10 in the folder that {DATA_VARIABLE} names")
    file_format, settings = FORMATS[name]
    pictures = [image.pixels for image in load_images("cifar10_test", Path(), PICTURES)]
    for check in check_mosaics(name, file_format, settings[1:5] or settings, pictures):
        assert check.within, check


def test_true_mosaics_of_the_samples_come_to_about_the_same_bytes(
    samples: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The samples are a few photographs, windows in windows: rougher than CIFAR-10."""
    monkeypatch.setattr(mosaic_check, "ROWS", 5)
    monkeypatch.setattr(mosaic_check, "COLUMNS", 6)
    for name in ("jpeg", "jpeg2000", "webp", "png"):
        file_format, settings = FORMATS[name]
        for check in check_mosaics(name, file_format, settings[-4:], samples):
            assert abs(check.difference_percent) < 15, check
