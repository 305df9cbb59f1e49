"""Pictures from every kind of source, and one clear line for every way that one can be wrong."""

from __future__ import annotations

import hashlib
import runpy
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from testbed import images
from testbed.errors import TestbedError
from testbed.images import ImageSourceError, load_images, make_source_image, read_picture


def pixels(height: int = 6, width: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def save(array: np.ndarray, path: Path, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(array).save(path, **options)


def refused(source: str, folder: Path, match: str, **options: int) -> None:
    with pytest.raises(ImageSourceError, match=match) as caught:
        load_images(source, folder, **options)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, TestbedError)
    assert isinstance(caught.value, ValueError)


# ---------------------------------------------------------------------------- packaged samples


def test_the_small_samples(tmp_path: Path) -> None:
    samples = load_images("samples32", tmp_path)
    assert 24 <= len(samples) <= 32
    assert len({sample.name for sample in samples}) == len(samples)
    assert len({sample.sha256 for sample in samples}) == len(samples)
    for sample in samples:
        assert sample.pixels.shape == (32, 32, 3)
        assert sample.pixels.dtype == np.uint8
        assert sample.pixels.std() > 5


def test_the_large_samples(tmp_path: Path) -> None:
    shapes = {sample.pixels.shape for sample in load_images("samples_large", tmp_path)}
    assert shapes == {(384, 256, 3), (256, 384, 3)}


def test_the_samples_are_small_and_named_with_their_licences() -> None:
    folder = Path(images.__file__).parent / "samples"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 1_000_000
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for path in folder.rglob("*.png"):
        source = path.stem.split("_")[-2]
        assert f"| {source} |" in readme


def test_the_script_makes_these_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Path(images.__file__).parent.parent / "scripts" / "make_samples.py"
    monkeypatch.setattr("sys.argv", [str(script), "--folder", str(tmp_path)])
    runpy.run_path(str(script), run_name="__main__")
    for name, folder in (("samples32", "32x32"), ("samples_large", "large")):
        packaged = load_images(name, tmp_path)
        made = load_images(folder, tmp_path)
        assert [image.name + ".png" for image in packaged] == [image.name for image in made]
        for one, other in zip(packaged, made, strict=True):
            # JPEG decoders differ by a level or two in what they make of the same file.
            assert np.abs(one.pixels.astype(int) - other.pixels).max() <= 2


# --------------------------------------------------------------------------- files and folders


def test_a_file_a_folder_and_a_glob(tmp_path: Path) -> None:
    for number, name in enumerate(["set/b.png", "set/a.PNG", "set/c.bmp", "other/a.png"]):
        save(pixels(seed=number), tmp_path / name)
    (tmp_path / "set" / "notes.txt").write_text("not a picture")

    [one] = load_images("set/b.png", tmp_path)
    assert one.name == "b.png"
    assert np.array_equal(one.pixels, pixels(seed=0))
    [same] = load_images(str(tmp_path / "set" / "b.png"), Path("/nowhere"))
    assert same.sha256 == one.sha256

    def names(source: str, folder: Path = tmp_path) -> list[str]:
        return [image.name for image in load_images(source, folder)]

    assert names("set") == ["a.PNG", "b.png", "c.bmp"]
    assert names("*/*.png") == ["other/a.png", "set/b.png"]
    assert names("**/b.png") == ["b.png"]
    assert names("set/[bc].*") == ["b.png", "c.bmp"]
    assert names("../set/?.bmp", tmp_path / "other") == ["c.bmp"]
    assert names(str(tmp_path / "set" / "*.png"), Path("/nowhere")) == ["b.png"]


def test_brackets_in_the_folder_are_just_brackets(tmp_path: Path) -> None:
    save(pixels(), tmp_path / "[1]" / "a.png")
    assert len(load_images("*.png", tmp_path / "[1]")) == 1
    assert len(load_images("[1]", tmp_path)) == 1


def test_limit_and_skip(tmp_path: Path) -> None:
    for number in range(4):
        save(pixels(seed=number), tmp_path / f"{number}.png")
    (tmp_path / "9.png").write_bytes(b"never read")

    def names(**options: int) -> list[str]:
        return [image.name for image in load_images(".", tmp_path, **options)]

    assert names(limit=2) == ["0.png", "1.png"]
    assert names(limit=2, skip=1) == ["1.png", "2.png"]
    refused(".", tmp_path, "9.png: not an image")
    refused(".", tmp_path, "limit >= 1", limit=0)
    refused("0.png", tmp_path, "no pictures are left after skipping 1", skip=1)


def test_the_digest_is_of_size_and_pixels(tmp_path: Path) -> None:
    array = pixels(6, 4)
    save(array, tmp_path / "a.png")
    save(array, tmp_path / "b.bmp")
    digests = {image.sha256 for image in load_images(".", tmp_path)}
    assert digests == {hashlib.sha256(b"6x4x3:" + array.tobytes()).hexdigest()}
    assert make_source_image("c", array.reshape(4, 6, 3)).sha256 not in digests


def test_pixels_are_a_read_only_copy() -> None:
    array = pixels()
    image = make_source_image("a", array)
    with pytest.raises(ValueError, match="read-only"):
        image.pixels[0, 0, 0] = 1
    array[:] = 0
    assert image.pixels.any()


# --------------------------------------------------------------------------------- conversions


def test_grey_gets_three_equal_channels(tmp_path: Path) -> None:
    grey = pixels()[..., 0]
    save(grey, tmp_path / "grey.png")
    assert np.array_equal(read_picture(tmp_path / "grey.png"), np.stack([grey] * 3, axis=2))


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[0, :, 3] = 255
    rgba[1, 0, 3] = 51
    save(rgba, tmp_path / "rgba.png")
    found = read_picture(tmp_path / "rgba.png")
    assert found[:, :, 0].tolist() == [[0, 0], [204, 255]]
    palette = PillowImage.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.save(tmp_path / "palette.png", transparency=1)
    assert read_picture(tmp_path / "palette.png").tolist() == [[[10, 20, 30], [255, 255, 255]]]


def test_a_camera_s_orientation_is_applied(tmp_path: Path) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    save(pixels(8, 16), tmp_path / "turned.jpg", exif=exif)
    assert read_picture(tmp_path / "turned.jpg").shape == (16, 8, 3)


def png_of_16_bits(path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\x00" + b"\x12\x34" * 6))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))


def test_deep_pictures_are_refused(tmp_path: Path) -> None:
    png_of_16_bits(tmp_path / "rgb16.png")
    save(np.full((2, 2), 40_000, np.uint16), tmp_path / "grey16.png")
    save(np.full((2, 2), 0.5, np.float32), tmp_path / "float.tif")
    (tmp_path / "deep.ppm").write_bytes(b"P6 1 1 65535\n" + b"\x12\x34" * 3)
    for name in ("rgb16.png", "grey16.png", "float.tif", "deep.ppm"):
        refused(name, tmp_path, "8 bits per channel")


# -------------------------------------------------------------------------------------- errors


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused("missing.png", tmp_path, "samples32.*missing.png does not exist")
    refused("sample32", tmp_path, "expected samples32, samples_large")
    refused("empty", tmp_path, "found none")
    refused("*.png", tmp_path, "found none")
    refused("a**.png", tmp_path, "glob")


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "nothing.png").write_bytes(b"")
    save(pixels(64, 64), tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:3000])
    refused("text.png", tmp_path, "not an image")
    refused("nothing.png", tmp_path, "not an image")
    refused("half.png", tmp_path, "cannot be read")


def test_pictures_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(pixels(8, 8), tmp_path / "a.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 63)
    refused("a.png", tmp_path, "at most 63 pixels, found 8 x 8")


# ------------------------------------------------------------------------------------ CIFAR-10


@pytest.fixture
def cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Files in the official layout, with random pictures and the md5 that go with them."""
    records = np.random.default_rng(5).integers(0, 256, (6, 4, 3073)).astype(np.uint8)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    names = [f"data_batch_{n}.bin" for n in range(1, 6)] + ["test_batch.bin"]
    md5 = {}
    for name, file_records in zip(names, records, strict=True):
        (folder / name).write_bytes(file_records.tobytes())
        md5[name] = hashlib.md5(file_records.tobytes()).hexdigest()
    test_md5 = {"test_batch.bin": md5.pop("test_batch.bin")}
    monkeypatch.setattr(images, "_CIFAR10_MD5", {"cifar10_train": md5, "cifar10_test": test_md5})
    monkeypatch.setattr(images, "_CIFAR10_IMAGES_PER_FILE", 4)
    monkeypatch.setenv("TESTBED_DATA", str(tmp_path))
    return records


def test_cifar10_pictures(cifar10: np.ndarray, tmp_path: Path) -> None:
    test = load_images("cifar10_test", tmp_path)
    assert [image.name for image in test] == [f"cifar10_test/{n:05d}" for n in range(4)]
    planes = cifar10[5, 2, 1:].reshape(3, 32, 32)
    for channel in range(3):
        assert np.array_equal(test[2].pixels[:, :, channel], planes[channel])
    assert [image.label for image in test] == cifar10[5, :, 0].tolist()
    train = load_images("cifar10_train", tmp_path, limit=6, skip=3)
    assert [image.label for image in train] == cifar10[:, :, 0].ravel()[3:9].tolist()
    assert [image.name[-5:] for image in train] == [f"{n:05d}" for n in range(3, 9)]
    assert len(load_images("cifar10_train", tmp_path)) == 20
    assert train[1].pixels[0, 0].tolist() == cifar10[1, 0, [1, 1025, 2049]].tolist()


@pytest.mark.usefixtures("cifar10")
def test_cifar10_data_that_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cifar-10-batches-bin" / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    refused("cifar10_test", tmp_path, "not the official file: expected md5")
    path.unlink()
    refused("cifar10_test", tmp_path, "cannot read .*test_batch.bin")
    refused("cifar10_train", tmp_path, "after skipping 20", skip=20)
    monkeypatch.setenv("TESTBED_DATA", str(tmp_path / "nowhere"))
    refused("cifar10_test", tmp_path, "expected the folder")
    monkeypatch.delenv("TESTBED_DATA")
    refused("cifar10_test", tmp_path, "TESTBED_DATA is not set")
