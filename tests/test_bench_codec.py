"""`testbed bench codec`: speed of exact round trips, PSNR where all codecs get the same bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from codec.base import DecodedImage, Image
from codec.bench_codec import bench_codec
from codec.layered import LayeredCodec, cut_layers, open_layered
from testbed.commands.bench_codec_command import (
    conventional_codecs,
    fitted_codecs,
    run_bench_codec,
    timed_pictures,
)
from testbed.errors import TestbedError
from testbed.evaluation.metrics import EXACT_PSNR_DB, FAILED_LEVEL, psnr_db
from testbed.images import load_images
from testbed.studies.equal_rates import budget_bytes, layered_points, recoded_points

RATES_BPP = (0.5, 2.0, 6.0, 24.0)


@pytest.fixture(scope="module")
def images() -> list[Image]:
    pictures = [image.pixels for image in load_images("samples32", Path(), 4)]
    return [*pictures, pictures[0][:20, :27], np.full((32, 32, 3), 7, np.uint8)]


@pytest.fixture(params=["paper", "embedded"])
def codec(request: pytest.FixtureRequest) -> LayeredCodec:
    return open_layered(request.param)


def test_budgets_are_whole_bytes_that_fit() -> None:
    picture = np.zeros((33, 47, 3), np.uint8)
    assert budget_bytes(picture, 0.25) == 33 * 47 // 32
    assert budget_bytes(picture[:2, :2], 1.0) == 0


def test_layered_points_are_those_of_the_cut_streams(
    codec: LayeredCodec, images: list[Image]
) -> None:
    steps: list[int] = []
    points, lossless = layered_points("x", codec, images, RATES_BPP, steps.append)
    assert sum(steps) == len(images)
    streams = [encoded for encoded in codec.encode_batch(images) if encoded]
    assert lossless == pytest.approx(
        sum(each.payload_bits for each in streams) / sum(image.size for image in images)
    )
    for rate_bpp, point in zip(RATES_BPP, points, strict=True):
        psnr, spent = [], []
        for image, encoded in zip(images, streams, strict=True):
            n_bytes = min(int(rate_bpp * image[..., 0].size / 8), encoded.payload_bits // 8)
            [decoded] = codec.decode_batch([cut_layers(encoded, n_bytes)])
            assert decoded.image is not None
            psnr.append(min(psnr_db(image, decoded.image), EXACT_PSNR_DB))
            spent.append(8 * n_bytes / image[..., 0].size)
        assert point.psnr_db == pytest.approx(np.mean(psnr))
        assert point.bpp == pytest.approx(np.mean(spent))
        assert (point.codec, point.rate_bpp, point.failed) == ("x", rate_bpp, 0)
    assert points[-1].psnr_db == EXACT_PSNR_DB


def test_conventional_codecs_get_no_more_bytes_and_fail_as_grey(images: list[Image]) -> None:
    [(label, jpeg)] = conventional_codecs("jpeg:file").items()
    assert label == "jpeg (file)"
    points = recoded_points(label, jpeg, images, RATES_BPP)
    assert all(point.bpp <= point.rate_bpp for point in points)
    # A whole JPEG file of 64 bytes there is not.
    assert points[0].failed == 1
    grey = [psnr_db(image, np.full_like(image, FAILED_LEVEL)) for image in images]
    assert points[0].psnr_db == pytest.approx(np.mean(grey))
    assert points[-1].failed == 0
    assert points[-1].psnr_db > points[-2].psnr_db


def test_codecs_that_code_anew_are_batched_and_counted_one_by_one(images: list[Image]) -> None:
    ours = {"embedded": open_layered("embedded")}
    [(label, fitted)] = fitted_codecs(ours, 2).items()
    assert label == "embedded, fitted (best of 2)"
    assert fitted_codecs(ours, None) == {}
    rates_bpp = (0.015, 1.0, 24.0)
    points = recoded_points(label, fitted, images, rates_bpp)
    for rate_bpp, point in zip(rates_bpp, points, strict=True):
        psnr, spent, failed = [], [], 0
        for image in images:
            [encoded] = fitted.encode_batch([image], budget_bytes(image, rate_bpp))
            shown = np.full_like(image, FAILED_LEVEL)
            if encoded is None:
                failed += 1
            else:
                [decoded] = fitted.decode_batch([[layer.whole for layer in encoded.layers]])
                shown = decoded.image
            psnr.append(min(psnr_db(image, shown), EXACT_PSNR_DB))
            spent.append(8 * sum(len(each.data) for each in encoded.layers) if encoded else 0)
        assert point.psnr_db == pytest.approx(np.mean(psnr))
        sizes = [image[..., 0].size for image in images]
        assert point.bpp == pytest.approx(np.mean(np.array(spent) / sizes))
        assert point.failed == failed / len(images)
    assert points[0].failed > 0 == points[1].failed
    with pytest.raises(TestbedError, match="none of the profiles paper can be fitted"):
        fitted_codecs({"paper": open_layered("paper")}, 2)


def test_a_picture_too_large_to_be_fitted_is_said_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PIL.Image.new("RGB", (1025, 2)).save(tmp_path / "wide.png")
    PIL.Image.new("RGB", (2, 2)).save(tmp_path / "small.png")
    monkeypatch.setattr(
        "testbed.commands.bench_codec_command.bench_codec", lambda *_: pytest.fail("measured")
    )
    with pytest.raises(TestbedError, match=r"^wide.*found 2 x 1025; leave --fit out"):
        run_bench_codec(["embedded"], str(tmp_path), None, "none", None, fit=1)


def test_speed_is_of_exact_round_trips(images: list[Image]) -> None:
    codec = open_layered("paper")
    speed = bench_codec(codec, images, repeats=2)
    assert (speed.pictures, speed.pixels) == (12, 2 * (5 * 1024 + 20 * 27))
    assert min(speed.encode_s, speed.decode_s) > 0
    codec.decode_batch = lambda received: [DecodedImage(images[0], 9)] * len(received)
    with pytest.raises(RuntimeError, match="did not come back exactly"):
        bench_codec(codec, images)


def test_as_many_pictures_are_timed_as_take_seconds(images: list[Image]) -> None:
    assert timed_pictures(images[:4]) == (images[:4], 64)
    large = [np.zeros((512, 768, 3), np.uint8)] * 3
    some, repeats = timed_pictures(large)
    assert (len(some), repeats) == (1, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jpg", "expected some of jpeg, jpeg2000, .*, or none"),
        ("jpeg:all", "expected one of file, abbreviated"),
        ("png:abbreviated", "expected headers among"),
        ("semantic", "expected some of"),
    ],
)
def test_a_mistaken_codec_is_one_line(text: str, words: str) -> None:
    with pytest.raises(TestbedError, match=words) as caught:
        conventional_codecs(f"jpeg,{text}")
    assert "\n" not in str(caught.value)


def test_codecs_beside_it_can_be_chosen() -> None:
    assert conventional_codecs("none") == {}
    assert list(conventional_codecs("webp, jpeg2000:payload")) == [
        "webp (abbreviated)",
        "jpeg2000 (payload)",
    ]


def test_the_command_prints_and_writes_the_same_rates_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testbed.commands.bench_codec_command.TIMED_PIXELS", 2048)
    for folder in ("a", "b"):
        run_bench_codec([], "samples32", 2, "jpeg2000", tmp_path / folder, fit=1)
    printed = capsys.readouterr().out
    fitted = "embedded, fitted (best of 1)"
    for words in ("embedded", "paper", fitted, "jpeg2000 (abbreviated)", "bits per sub-pixel"):
        assert words in printed
    rates = pd.read_csv(tmp_path / "a" / "codec_rates.csv")
    assert list(rates.columns) == ["codec", "rate_bpp", "bpp", "psnr_db", "failed", "images"]
    assert set(rates["codec"]) >= {"embedded", "paper", fitted, "jpeg2000 (abbreviated)"}
    assert (rates.groupby("codec").size() == 8).all()
    speed = pd.read_csv(tmp_path / "a" / "codec_speed.csv")
    assert (speed["lossless_bits_per_subpixel"] < 8).all()
    for name in ("codec_rates.csv", "codec_rates.png", "codec_rates.pdf"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
