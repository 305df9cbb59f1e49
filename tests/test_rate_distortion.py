"""Rate-distortion points and curves, on the packaged pictures with few settings."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from codec.base import Image, ReceivedLayer
from codec.layered import open_layered
from testbed.errors import OutputError
from testbed.evaluation.metrics import EXACT_PSNR_DB, psnr_db
from testbed.images import DATA_VARIABLE, load_images
from testbed.studies import figure2
from testbed.studies.claims_markdown import as_markdown
from testbed.studies.conventional_rd import StillCodec, available_codecs
from testbed.studies.figure2 import as_table, draw_figure2, reproduce_figure2
from testbed.studies.rate_curve import Curve, gain, rate_ratio, read_curve
from testbed.studies.rate_distortion import (
    ACCOUNTINGS,
    OURS,
    RatePoint,
    as_mosaic,
    as_tiles,
    layered_points,
    mosaic_grid,
    steps_of,
    still_points,
)

FEW_SETTINGS = {"jpeg": (5.0, 50.0, 95.0), "jpeg2000": (20.0, 6.0, 2.5), "heif": (10.0, 50.0, 90.0)}


@pytest.fixture(scope="module")
def images() -> list[Image]:
    return [image.pixels for image in load_images("samples32", Path())]


def _codec(name: str) -> StillCodec:
    if name == "heif":
        pytest.importorskip("pillow_heif", reason="HEIF needs pillow-heif")
    [codec] = [codec for codec in available_codecs()[0] if codec.name == name]
    return replace(codec, settings=FEW_SETTINGS[name])


@pytest.mark.parametrize("name", FEW_SETTINGS)
def test_more_bits_buy_more_quality_in_every_accounting(name: str, images) -> None:
    codec, steps = _codec(name), []
    points = still_points(codec, images, steps.append)
    assert sum(steps) == steps_of(codec, images)
    for accounting in ACCOUNTINGS:
        curve = [point for point in points if point.accounting == accounting]
        assert len(curve) == 3
        for column in ("bpp", "psnr_db", "ssim"):
            assert (np.diff([getattr(point, column) for point in curve]) > 0).all()
    by_accounting = {p.accounting: p for p in points if p.setting == f"{codec.settings[1]:g}"}
    assert by_accounting["payload"].bpp < by_accounting["file"].bpp
    assert by_accounting["payload"].psnr_db == by_accounting["file"].psnr_db
    # Thirty pictures share one picture's headers.
    assert by_accounting["mosaic"].bpp < by_accounting["file"].bpp


@pytest.mark.parametrize("name", FEW_SETTINGS)
def test_headers_cost_what_the_formats_are_known_for(name: str, images) -> None:
    # Measured with other code on CIFAR-10: JPEG 289-338, JPEG2000 133-157, HEIF 421 bytes.
    least, most = {"jpeg": (250, 420), "jpeg2000": (130, 160), "heif": (410, 440)}[name]
    codec = _codec(name)
    for setting in codec.settings:
        files = [codec.file_format.encode(image, setting) for image in images]
        overhead = np.mean([len(f) - len(codec.file_format.split(f).payload) for f in files])
        assert least <= overhead <= most


@pytest.mark.parametrize("name", FEW_SETTINGS)
def test_files_decode_to_their_picture_at_full_chroma(name: str) -> None:
    codec = _codec(name)
    made = codec.file_format
    red_and_blue = np.zeros((32, 32, 3), np.uint8)
    red_and_blue[:, ::2, 0] = red_and_blue[:, 1::2, 2] = 200
    decoded = made.decode(made.encode(red_and_blue, codec.settings[-1]))
    # Columns of one pixel: with the chroma halved they would all be violet, at 11 dB.
    assert psnr_db(red_and_blue, decoded) > 25


def test_heif_is_left_out_and_said_so_where_it_cannot_run(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    codecs, left_out = available_codecs()
    assert [codec.name for codec in codecs] == ["jpeg", "jpeg2000"]
    assert "pip install -e .[heif]" in left_out[0]


@pytest.mark.parametrize("profile", ["paper", "embedded"])
def test_our_points_are_the_codecs_own_sizes(images, profile: str) -> None:
    few = images[:5]
    codec = open_layered(profile)
    names = codec.layer_names
    points = layered_points(codec, few)
    assert [(p.accounting, p.setting) for p in points] == [
        (accounting, name) for accounting in ACCOUNTINGS for name in names
    ]
    streams = [encoded.layers for encoded in codec.encode_batch(few) if encoded]
    for count, point in enumerate(points[: len(names)], start=1):
        sizes = [sum(len(layer.data) for layer in layers[:count]) for layers in streams]
        assert point.bpp == pytest.approx(8 * np.mean(sizes) / 1024)
        received = [[ReceivedLayer(x.data, True) for x in layers[:count]] for layers in streams]
        decoded = [d.image for d in codec.decode_batch(received)]
        psnr = [min(psnr_db(a, b), EXACT_PSNR_DB) for a, b in zip(few, decoded, strict=True)]
        assert point.psnr_db == pytest.approx(np.mean(psnr))
    assert points[8].ssim == 1
    assert points[8].psnr_db == EXACT_PSNR_DB
    psnr = [point.psnr_db for point in points[: len(names)]]
    assert (np.diff(psnr) > 0).all()


@pytest.mark.parametrize(
    ("count", "grid"),
    [(1, (1, 1)), (2, (1, 2)), (30, (5, 6)), (200, (10, 20)), (1000, (25, 40)), (10000, (80, 125))],
)
def test_mosaic_grids(count: int, grid: tuple[int, int]) -> None:
    assert mosaic_grid(count) == grid


def test_any_number_of_tiles_nearly_fills_a_mosaic() -> None:
    for count in range(1, 300):
        rows, columns = mosaic_grid(count)
        assert 0 <= count - rows * columns < columns
        assert rows <= columns <= max(2.5 * rows, 1)


def test_tiles_come_out_of_a_mosaic_as_they_went_in(images) -> None:
    tiles = np.stack(images)
    mosaic = as_mosaic(tiles, 5, 6)
    assert mosaic.shape == (160, 192, 3)
    np.testing.assert_array_equal(mosaic[32:64, 64:96], images[6 + 2])
    np.testing.assert_array_equal(as_tiles(mosaic, 5, 6), tiles)


# -------------------------------------------------------------------------------------- curves


def test_interpolation_is_exact_on_a_toy_table(tmp_path: Path) -> None:
    text = "codec,accounting,setting,bpp,psnr_db,ssim,images\n"
    text += "x,file,b,3,34,.98,1\nx,file,a,1,30,.9,1\nx,file,c,5,40,.99,1\nx,file,d,5,38,.99,1\n"
    (tmp_path / "toy.csv").write_text(text)
    table = pd.read_csv(tmp_path / "toy.csv")
    curve = read_curve(table, "x", "file", "psnr_db")
    assert curve is not None
    assert (curve.at(1), curve.at(2), curve.at(4), curve.at(5)) == (30, 32, 37, 40)
    assert curve.at(0.99) is None
    assert curve.at(5.01) is None
    assert (curve.rate_for(32), curve.rate_for(34), curve.rate_for(37)) == (2, 3, 4)
    assert curve.rate_for(20) == 1
    assert curve.rate_for(40.1) is None
    assert read_curve(table, "x", "mosaic", "psnr_db") is None


def _curve(*points: tuple[float, float]) -> Curve:
    bpp, quality = np.array(points).T
    return Curve(bpp, quality)


def test_gain_is_largest_at_a_corner_of_either_curve() -> None:
    ours, theirs = _curve((0.5, 25), (1.5, 31), (4, 36)), _curve((1, 20), (3, 30))
    found = gain(ours, theirs, 2)
    assert found is not None
    assert (found.largest, found.largest_bpp) == pytest.approx((8.5, 1.5))
    assert (found.from_bpp, found.to_bpp) == (1, 2)
    # 8 at 1 bpp, 8.5 at 1.5, 7 at 2, straight between.
    assert found.mean == pytest.approx((8 + 2 * 8.5 + 7) / 4)
    assert gain(ours, theirs, 0.9) is None
    flipped = gain(theirs, ours, 2)
    assert flipped is not None
    assert flipped.largest == pytest.approx(-7)


def test_rate_ratio_of_a_curve_at_twice_the_rate_is_one_half() -> None:
    ours, theirs = _curve((0.5, 25), (1, 31), (3, 36)), _curve((1, 25), (2, 31), (6, 36))
    ratio = rate_ratio(ours, theirs, 8)
    assert ratio is not None
    assert (ratio.mean, ratio.least) == pytest.approx((0.5, 0.5))
    assert (ratio.from_quality, ratio.to_quality) == (25, 36)
    assert rate_ratio(ours, _curve((1, 40), (2, 45)), 8) is None
    assert rate_ratio(ours, _curve((9, 25), (12, 36)), 8) is None


# ----------------------------------------------------------------------------------- the command


def _only_jpeg() -> tuple[list[StillCodec], list[str]]:
    return [_codec("jpeg")], ["HEIF is left out: for this test"]


def test_command_writes_table_figures_and_claims(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(figure2, "available_codecs", _only_jpeg)
    reproduce_figure2("paper", "samples32", 4, tmp_path)
    table = pd.read_csv(tmp_path / "figure2.csv")
    columns = ["codec", "accounting", "setting", "bpp", "psnr_db", "ssim", "images"]
    assert list(table.columns) == columns
    assert (table["codec"] == OURS).sum() == 27
    assert (table["codec"] == "jpeg").sum() == 9
    assert (tmp_path / "figure2.png").stat().st_size > 10_000
    assert (tmp_path / "figure2.pdf").is_file()
    claims = (tmp_path / "claims.md").read_text()
    assert "4 images of samples32" in claims
    assert "Not measured, and so not judged: JPEG2000, HEIF" in claims
    printed = capsys.readouterr().out
    assert "HEIF is left out" in printed
    assert "claims.md" in printed


def test_conventional_curves_can_be_taken_from_an_earlier_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(figure2, "available_codecs", _only_jpeg)
    reproduce_figure2("paper", "samples32", 4, tmp_path / "first")
    earlier = tmp_path / "first" / "figure2.csv"
    monkeypatch.setattr(figure2, "available_codecs", lambda: ([], []))
    reproduce_figure2("paper", "samples32", 4, tmp_path / "second", earlier)
    assert (tmp_path / "second" / "figure2.csv").read_bytes() == earlier.read_bytes()
    with pytest.raises(OutputError, match=r"expected curves over 3 images, found 4"):
        reproduce_figure2("paper", "samples32", 3, tmp_path / "third", earlier)
    with pytest.raises(OutputError, match=r"expected an earlier figure2\.csv"):
        reproduce_figure2("paper", "samples32", 3, tmp_path / "third", tmp_path / "none.csv")


def test_the_embedded_profile_has_a_figure_but_not_beside_the_papers_table(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(figure2, "available_codecs", _only_jpeg)
    reproduce_figure2("embedded", "samples32", 2, tmp_path)
    table = pd.read_csv(tmp_path / "figure2.csv")
    ours = table[(table["codec"] == OURS) & (table["accounting"] == "file")]
    assert list(ours["setting"]) == list(open_layered("embedded").layer_names)
    assert (np.diff(ours["psnr_db"]) > 0).all()
    (tmp_path / "table1.csv").write_text("")
    with pytest.raises(
        OutputError, match=r"table1\.csv of the paper's scheme; name another folder"
    ):
        reproduce_figure2("embedded", "samples32", 2, tmp_path)


def test_a_plain_picture_with_fewer_layers_has_a_point_for_each(images) -> None:
    """Of a picture in one colour nothing is left to say after the first layers."""
    plain = np.full((64, 64, 3), 90, np.uint8)
    points = layered_points(open_layered("embedded"), [plain, images[0]])
    assert len(points) == 9 * len(ACCOUNTINGS)
    assert points[8].psnr_db == EXACT_PSNR_DB


def test_figure_and_claims_do_without_ssim_on_tiny_pictures() -> None:
    points = [
        RatePoint(codec, accounting, str(k), k + 1.0, 30.0 + k, float("nan"), 1)
        for codec in (OURS, "jpeg")
        for accounting in ACCOUNTINGS
        for k in range(3)
    ]
    table = as_table(points)
    assert len(draw_figure2(table, "note").axes) == 3
    assert "| base" not in as_markdown(table, None, "note")


def test_curves_agree_with_independent_measurements_on_cifar10() -> None:
    if not os.environ.get(DATA_VARIABLE):
        pytest.skip(f"needs CIFAR-10 in the folder that {DATA_VARIABLE} names")
    pictures = [image.pixels for image in load_images("cifar10_test", Path(), 200)]
    codec = replace(_codec("jpeg"), settings=(18.0, 25.0, 45.0, 55.0, 75.0, 82.0))
    payload = [p for p in still_points(codec, pictures) if p.accounting == "payload"]
    curve = Curve(np.array([p.bpp for p in payload]), np.array([p.psnr_db for p in payload]))
    # dB at 1, 2 and 3 bpp, images 0-199, measured with a script of its own.
    for bpp, expected in ((1.0, 26.38), (2.0, 30.01), (3.0, 32.83)):
        assert curve.at(bpp) == pytest.approx(expected, abs=0.3)
