"""Stated figures computed again: the arithmetic on packaged pictures, the figures on the data."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as PillowImage
from typer.testing import CliRunner

from codec.base import Image
from codec.conventional import ConventionalCodec, FileFormat
from codec.conventional.jpeg import Jpeg
from testbed.cli import app
from testbed.commands import anchors_command
from testbed.commands.anchors_command import as_table, verify_anchors
from testbed.evaluation.metrics import psnr_db
from testbed.images import DATA_VARIABLE, ImageSourceError, load_images
from testbed.studies.anchor_formats import CoarseJpeg, CoarseJpeg2000, cifar10_codecs, kodak_formats
from testbed.studies.anchors import (
    TOLERANCE_DB,
    Anchor,
    Check,
    capacity_bits,
    check_curves,
    check_kodak,
    fitting_psnr_db,
    kodak_pictures,
    read_anchors,
)
from testbed.studies.rate_distortion import RatePoint


@pytest.fixture(scope="module")
def photographs() -> list[Image]:
    return [image.pixels[:128, :192] for image in load_images("samples_large", Path())]


def anchor(rate: str, stated_db: float, codec: str = "jpeg") -> Anchor:
    return Anchor("cifar10", codec, "file", rate, stated_db, "a test")


# ------------------------------------------------------------------------------------ the figures


def test_every_anchor_is_stated_once_and_more_bits_buy_more() -> None:
    anchors = read_anchors()
    curves: dict[tuple[str, str, str], dict[Fraction, float]] = {}
    for each in anchors:
        curve = curves.setdefault((each.data_set, each.codec, each.accounting), {})
        assert Fraction(each.rate) not in curve
        curve[Fraction(each.rate)] = each.psnr_db
        assert each.source
        assert each.data_set in TOLERANCE_DB
    for (data_set, codec, accounting), curve in curves.items():
        assert all(a < b for a, b in pairwise(curve[rate] for rate in sorted(curve)))
        if accounting == "payload":
            whole = curves.get((data_set, codec, "file"), {})
            assert all(curve[rate] > psnr for rate, psnr in whole.items() if rate in curve)
    assert {each.codec for each in anchors if each.data_set == "kodak"} == set(kodak_formats())


def test_each_cifar10_anchor_has_a_codec_or_a_reason() -> None:
    codecs, left_out = cifar10_codecs()
    named = {each.codec for each in read_anchors() if each.data_set == "cifar10"}
    assert named >= {codec.name for codec in codecs}
    assert left_out or named == {codec.name for codec in codecs}
    for codec in codecs:
        assert 11 <= len(set(codec.settings)) < 70


@pytest.mark.parametrize(
    ("measured_db", "verdict", "within"),
    [
        (30.1, "within 0.1 dB", True),
        (29.9, "within 0.1 dB", True),
        (30.104, "within 0.1 dB", True),
        (30.106, "within 0.3 dB", True),
        (29.7, "within 0.3 dB", True),
        (30.31, "outside", False),
        (None, "not reached", False),
    ],
)
def test_verdicts(measured_db: float | None, verdict: str, within: bool) -> None:
    check = Check(anchor("1", 30.0), measured_db)
    assert (check.verdict, check.within) == (verdict, within)


# --------------------------------------------------------------------------------- the arithmetic


@pytest.mark.parametrize("cbr", ["1/24", "1/16", "1/12", "1/8", "1/7"])
def test_capacity_is_exact(cbr: str) -> None:
    """At 10 dB C = log2 11, so that 2^bits <= 11^uses < 2^(bits + 1): in integers."""
    picture = np.zeros((64, 97, 3), np.uint8)
    uses = int(Fraction(cbr) * picture.size)
    bits = capacity_bits(cbr, picture, 10.0)
    assert 1 << bits <= 11**uses < 1 << (bits + 1)
    assert capacity_bits(cbr, picture, 0.0) == uses


def pillow_file(image: Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(buffer, file_format, **options)
    return buffer.getvalue()


def test_coarse_formats_are_the_libraries_defaults(photographs: list[Image]) -> None:
    """Pillow's JPEG as it comes; OpenJPEG's 5/3 wavelet, with a colour transform, by ratio."""
    image = photographs[0]
    jpeg, jpeg2000 = CoarseJpeg(subsampling="4:2:0"), CoarseJpeg2000()
    for quality in (5, 50, 100):
        assert jpeg.encode(image, quality) == pillow_file(image, "JPEG", quality=quality)
    for ratio in (40, 15):
        file = jpeg2000.encode(image, ratio)
        assert file == pillow_file(
            image, "JPEG2000", no_jp2=True, quality_mode="rates", quality_layers=[ratio], mct=1,
            num_resolutions=5,
        )  # fmt: skip
        assert len(file) <= image.size / ratio + 20


@pytest.mark.parametrize("made", [CoarseJpeg(subsampling="4:2:0"), CoarseJpeg2000()], ids=str)
def test_the_best_setting_that_fits_is_taken(made: FileFormat, photographs: list[Image]) -> None:
    image = photographs[0]
    settings = list(made.settings(*image.shape[:2]))
    assert all(setting % 5 == 0 for setting in settings)
    files = [made.encode(image, setting) for setting in settings]
    for budget_bits in (15_007, 40_000):
        best = max(k for k, file in enumerate(files) if 8 * len(file) <= budget_bits)
        found = fitting_psnr_db(ConventionalCodec(made), image, budget_bits)
        assert found == psnr_db(image, made.decode(files[best]))
    with pytest.raises(ValueError, match="fit 80 bits"):
        fitting_psnr_db(ConventionalCodec(made), image, 80)


def test_kodak_checks_are_means_over_pictures(photographs: list[Image]) -> None:
    formats = (CoarseJpeg(subsampling="4:2:0"), Jpeg())
    asked = [Anchor("kodak", "jpeg", "file", rate, 30.0, "a test") for rate in ("1/12", "1/6")]
    steps: list[int] = []
    checks = check_kodak(asked, formats, photographs, steps.append)
    assert sum(steps) == 2 * len(photographs)
    for check in checks:
        for made, found in zip(formats, (check.measured_db, check.default_db), strict=True):
            quality = [
                fitting_psnr_db(
                    ConventionalCodec(made), image, capacity_bits(check.anchor.rate, image, 10.0)
                )
                for image in photographs
            ]
            assert found == pytest.approx(np.mean(quality))
    assert checks[0].measured_db is not None
    assert checks[1].measured_db is not None
    assert checks[0].measured_db < checks[1].measured_db


def test_curves_are_read_at_the_stated_rates() -> None:
    points = [
        RatePoint("jpeg", "file", str(k), bpp, psnr, 0.9, 1)
        for k, (bpp, psnr) in enumerate([(1.0, 30.0), (3.0, 34.0)])
    ]
    asked = [anchor("1.5", 31.0), anchor("4", 35.0), anchor("2", 30.0, codec="webp")]
    checks = check_curves(asked, points)
    assert [check.measured_db for check in checks] == [31.0, None]
    table = as_table(checks)
    assert table["difference_db"].tolist()[0] == 0
    assert table["verdict"].tolist() == ["within 0.1 dB", "not reached"]


# ------------------------------------------------------------------------------------ the command


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    with pytest.raises(ImageSourceError, match=r"kodak: .* not set(.|\n)*cifar10_test: .* not set"):
        verify_anchors(None, quick=True)
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    with pytest.raises(ImageSourceError, match=r"expected the folder .*kodak"):
        kodak_pictures()
    (tmp_path / "kodak").mkdir()
    with pytest.raises(ImageSourceError, match="found 0 PNG files"):
        kodak_pictures()
    (tmp_path / "kodak" / "1.png").write_bytes(pillow_file(np.zeros((8, 8, 3), np.uint8), "PNG"))
    with pytest.raises(ImageSourceError, match=r"expected the 24 pictures .* found 1"):
        kodak_pictures()


def test_strict_wants_everything_measured_and_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photographs: list[Image]
) -> None:
    """Other pictures than Kodak's, and no CIFAR-10: a table all the same, but no strict success."""
    monkeypatch.setenv(DATA_VARIABLE, str(tmp_path))
    monkeypatch.setattr(anchors_command, "kodak_pictures", lambda: photographs[:1])
    command = ["verify-anchors", "--quick", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert "cifar10_test: expected the folder" in done.output
    assert "of 4 anchors are within tolerance" in done.output
    table = pd.read_csv(tmp_path / "out" / "anchors.csv")
    assert table["rate"].tolist() == ["1/24", "1/16", "1/12", "1/8"]
    assert np.allclose(table["measured_db"] - table["stated_db"], table["difference_db"])
    assert pd.read_csv(tmp_path / "out" / "mosaics.csv").empty
    assert CliRunner().invoke(app, [*command, "--strict"]).exit_code == 1


def test_jpegs_anchors_hold() -> None:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder or not (Path(folder) / "kodak").is_dir():
        pytest.skip(f"needs CIFAR-10 and Kodak (kodak/*.png) in the folder of {DATA_VARIABLE}")
    assert verify_anchors(None, quick=True)
