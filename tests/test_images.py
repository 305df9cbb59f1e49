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
from testbed.datasets import picture
from testbed.errors import TestbedError
from testbed.images import ImageSourceError, load_images, make_source_image, read_picture


def pixels(height: int = 6, width: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def save(array: np.ndarray, path: Path, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(array).save(path, **options)


def refused(source: str, folder: Path, match: str, limit: int | None = None) -> None:
    with pytest.raises(ImageSourceError, match=match) as caught:
        load_images(source, folder, limit)
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


def test_what_is_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    for number in range(4):
        save(pixels(seed=number), tmp_path / f"{number}.png")
    (tmp_path / "9.png").write_bytes(b"never read")
    assert [image.name for image in load_images(".", tmp_path, 2)] == ["0.png", "1.png"]
    assert len(load_images(".", tmp_path, 4)) == 4
    refused(".", tmp_path, "9.png: not an image")
    refused(".", tmp_path, "limit >= 1", limit=0)


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


def png_chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def png(width: int, height: int, depth: int, content: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(content))
    return b"\x89PNG\r\n\x1a\n" + body + png_chunk(b"IEND", b"")


def test_deep_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "rgb16.png").write_bytes(png(2, 1, 16, b"\x00" + b"\x12\x34" * 6))
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
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    refused("gone.png", tmp_path, "gone.png does not exist")
    refused("folder.jpg", tmp_path, "found none")
    refused("text.png", tmp_path, "not an image")
    refused("nothing.png", tmp_path, "not an image")
    refused("half.png", tmp_path, "cannot be read")


def test_every_flipped_bit_of_a_png_is_noticed(tmp_path: Path) -> None:
    """Pillow alone lets most of those in the pixels pass, and shows another picture."""
    path = tmp_path / "a.png"
    save(pixels(4, 4), path)
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :])
        refused("a.png", tmp_path, "not an image|cannot be read")
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refused("a.png", tmp_path, "not an image|cannot be read")
    path.write_bytes(whole + b"more")
    assert np.array_equal(read_picture(path), pixels(4, 4))


def test_animations_and_pages_are_refused(tmp_path: Path) -> None:
    frames = [PillowImage.fromarray(pixels(seed=seed)) for seed in range(3)]
    for name in ("a.png", "a.gif", "a.webp", "a.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        refused(name, tmp_path, f"{name}: expected a single picture, found 3")
    # A camera's file with a preview in it.
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert read_picture(tmp_path / "a.jpg").shape == (6, 5, 3)


def test_pictures_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A few bytes that would unpack to gigabytes.
    (tmp_path / "bomb.png").write_bytes(png(60_000, 60_000, 8, bytes(1000)))
    refused("bomb.png", tmp_path, "bomb.png: .*60000|exceeds limit")
    (tmp_path / "large.png").write_bytes(png(5000, 5000, 8, bytes(1000)))
    refused("large.png", tmp_path, "at most 16777216 pixels, found 5000 x 5000; scale it down")
    (tmp_path / "none.ppm").write_bytes(b"P6 0 4 255\n")
    refused("none.ppm", tmp_path, "none.ppm: ")
    save(pixels(8, 8), tmp_path / "a.png")
    monkeypatch.setattr(picture, "MAX_PIXELS", 63)
    refused("a.png", tmp_path, "at most 63 pixels, found 8 x 8")


def test_a_picture_twice_is_two_pictures(tmp_path: Path) -> None:
    save(pixels(), tmp_path / "a.png")
    save(pixels(), tmp_path / "b.png")
    one, other = load_images(".", tmp_path)
    assert one.sha256 == other.sha256
    assert one.name != other.name


def test_formats_that_would_start_a_program_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "drawing.png"
    PillowImage.new("RGB", (8, 8)).save(path, format="EPS")
    with pytest.raises(ImageSourceError, match="not an image, or of a format that is unknown"):
        read_picture(path)
