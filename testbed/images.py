"""The pictures of a scenario: packaged samples, CIFAR-10, Kodak, or the user's own.

source           packaged set | CIFAR-10 set | Kodak | file | folder | glob
  -> load_images -> [SourceImage(name, pixels, sha256, label), ...]   always in the same order
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from codec.picture_header import MAX_PIXELS
from testbed.errors import ImageError

DATA_VARIABLE = "TESTBED_DATA"
"""The environment variable that names the folder of data sets."""

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""The files that are taken from a folder; a file or a glob may name others."""

_SAMPLES_FOLDER = Path(__file__).parent / "samples"
_PACKAGED_SETS = {"samples32": "32x32", "samples_large": "large"}

_CIFAR10_FOLDER = "cifar-10-batches-bin"
_CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CIFAR10_IMAGES_PER_FILE = 10_000
_CIFAR10_RECORD_BYTES = 1 + 3 * 32 * 32
_CIFAR10_MD5 = {
    "cifar10_train": {
        "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
        "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
        "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
        "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
        "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    },
    "cifar10_test": {"test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d"},
}

KODAK = "kodak"
KODAK_PICTURES = 24
_KODAK_URL = "http://r0k.us/graphics/kodak/"


class ImageSourceError(ImageError, ValueError):
    """A source of pictures cannot be used: one line with what was expected, found, how to mend."""


@dataclass(frozen=True, eq=False)
class SourceImage:
    """A picture to send. `pixels`: uint8 (height, width, 3), RGB, read-only.

    `sha256` is that of the picture's size and pixels, whatever file or format it came in.
    `label` is the class that the data set says it shows: of CIFAR-10 0 .. 9, else None.
    """

    name: str
    pixels: NDArray[np.uint8]
    sha256: str
    label: int | None = None


def load_images(
    source: str, base_folder: Path, limit: int | None = None, skip: int = 0
) -> list[SourceImage]:
    """The pictures of `source`, without the first `skip`, at most `limit` of them.

    source: "samples32" or "samples_large" (packaged), "cifar10_test" or "cifar10_train" (in the
    folder cifar-10-batches-bin inside the one that TESTBED_DATA names, checked by md5), "kodak" (24
    PNG files in the folder kodak there), or the path of an image file, of a folder (its files with
    IMAGE_SUFFIXES, subfolders left out) or a glob, relative to `base_folder` and sorted by path.

    Grey pictures get three equal channels, transparent ones are laid over white, a camera's
    orientation is applied, and of an animation the first frame counts.
    Raises ImageSourceError for a source without pictures, a file that is no picture, has 16 bits
    per channel or more than MAX_PIXELS pixels, or data that are missing or not the official ones.
    """
    if skip < 0 or (limit is not None and limit < 1):
        raise ImageSourceError(
            f"{source}: expected skip >= 0 and limit >= 1, found {skip} and {limit}"
        )
    if source in _CIFAR10_MD5:
        images = _cifar10_images(source, skip)
    elif source == KODAK:
        images = islice(_kodak_images(), skip, None)
    else:
        images = islice(_file_images(source, base_folder), skip, None)
    chosen = list(islice(images, limit))
    if not chosen:
        raise ImageSourceError(f"{source}: no pictures are left after skipping {skip}")
    return chosen


def load_same_size(source: str, limit: int | None = None) -> list[SourceImage]:
    """The pictures of `source`, as load_images from here. ImageSourceError if sizes differ."""
    images = load_images(source, Path(), limit)
    shapes = {image.pixels.shape for image in images}
    if len(shapes) > 1:
        raise ImageSourceError(f"{source}: expected pictures of one size, found {len(shapes)}")
    return images


def make_source_image(
    name: str, pixels: NDArray[np.uint8], label: int | None = None
) -> SourceImage:
    """A SourceImage of uint8 (height, width, 3) pixels, of which it keeps a read-only copy."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ImageSourceError(
            f"{name}: expected uint8 (height, width, 3), found {pixels.dtype} {pixels.shape}"
        )
    own = np.array(pixels, order="C")
    own.setflags(write=False)
    digest = hashlib.sha256(f"{own.shape[0]}x{own.shape[1]}x3:".encode() + own.tobytes())
    return SourceImage(name, own, digest.hexdigest(), label)


# ------------------------------------------------------------------------------------- files


def _file_images(source: str, base_folder: Path) -> Iterator[SourceImage]:
    try:
        files = _find_files(source, base_folder)
    except OSError as error:
        raise ImageSourceError(f"{source}: cannot be read ({error})") from error
    for name, path in files:
        yield make_source_image(name, read_picture(path))


def _find_files(source: str, base_folder: Path) -> list[tuple[str, Path]]:
    """(name, path) of each file; names are unique: the path below the folder that they share."""
    if source in _PACKAGED_SETS:
        folder = _SAMPLES_FOLDER / _PACKAGED_SETS[source]
        files = [(path.stem, path) for path in sorted(folder.glob("*.png"))]
        if not files:
            raise ImageSourceError(f"{source}: {folder} has no PNG files; reinstall the package")
        return files
    path = base_folder / Path(source).expanduser()
    if path.is_file():
        return [(path.name, path)]
    if path.is_dir():
        files = [
            (child.name, child)
            for child in sorted(path.iterdir())
            if child.suffix.lower() in IMAGE_SUFFIXES and child.is_file()
        ]
        if not files:
            raise ImageSourceError(
                f"{source}: expected files with {', '.join(IMAGE_SUFFIXES)} in the folder {path}, "
                "found none; for others, name a glob"
            )
        return files
    if any(character in source for character in "*?["):
        matches = _glob(source, base_folder)
        if not matches:
            raise ImageSourceError(f"{source}: expected files that match {path}, found none")
        shared = Path(os.path.commonpath([match.parent for match in matches]))
        return [(match.relative_to(shared).as_posix(), match) for match in matches]
    known = ", ".join([*_PACKAGED_SETS, *_CIFAR10_MD5, KODAK])
    raise ImageSourceError(
        f"{source}: expected {known}, or a file, folder or glob; {path} does not exist"
    )


def _glob(source: str, base_folder: Path) -> list[Path]:
    pattern = Path(source).expanduser()
    # Only the source is a pattern: a bracket in the folder's own path is just a bracket.
    folder = Path(pattern.anchor) if pattern.is_absolute() else base_folder
    relative = str(pattern.relative_to(pattern.anchor))
    try:
        return sorted(match for match in folder.glob(relative) if match.is_file())
    except ValueError as error:
        raise ImageSourceError(f"{source}: not a glob ({error})") from error


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The picture of a file as uint8 (height, width, 3); see `load_images` for conversions."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures and of damaged metadata: the first is answered below,
            # the second does not concern the pixels.
            warnings.simplefilter("ignore")
            with PillowImage.open(path) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise ImageSourceError(
                        f"{path}: expected at most {MAX_PIXELS} pixels, found {picture.width} x "
                        f"{picture.height}; scale it down or crop it"
                    )
                if _has_deep_channels(picture):
                    raise ImageSourceError(
                        f"{path}: expected 8 bits per channel, found more (mode {picture.mode}); "
                        "convert it to 8 bits first"
                    )
                return np.array(_to_rgb(ImageOps.exif_transpose(picture)))
    except ImageSourceError:
        raise
    except UnidentifiedImageError as error:
        raise ImageSourceError(f"{path}: not an image, or of a format that is unknown") from error
    except Exception as error:
        # Besides OSError, damaged files make Pillow raise nearly anything.
        raise ImageSourceError(f"{path}: cannot be read as an image ({error})") from error


def _has_deep_channels(picture: PillowImage.Image) -> bool:
    """Pillow cuts 16-bit RGB down to 8 bits without a word; how it will unpack shows them."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return True
    for tile in getattr(picture, "tile", []):
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        for argument in arguments:
            if isinstance(argument, str) and ";16" in argument:
                return True
            # The largest value of a PPM.
            if picture.format == "PPM" and isinstance(argument, int) and argument > 255:
                return True
    return False


def _to_rgb(picture: PillowImage.Image) -> PillowImage.Image:
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = PillowImage.new("RGBA", picture.size, "white")
        return PillowImage.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


# --------------------------------------------------------------------------- sets in TESTBED_DATA


def _data_folder(source: str, name: str, how: str) -> Path:
    """The folder `name` inside the one that TESTBED_DATA names; `how` it gets there."""
    data_folder = os.environ.get(DATA_VARIABLE)
    if not data_folder:
        raise ImageSourceError(
            f"{source}: the environment variable {DATA_VARIABLE} is not set; set it to the folder "
            f"that holds the folder {name}: {how}"
        )
    folder = Path(data_folder).expanduser() / name
    if not folder.is_dir():
        raise ImageSourceError(
            f"{source}: expected the folder {folder} (from {DATA_VARIABLE}), found none; {how}"
        )
    return folder


def _kodak_images() -> Iterator[SourceImage]:
    folder = _data_folder(KODAK, KODAK, f"put Kodak's PNG files there, from {_KODAK_URL}")
    pictures = [
        make_source_image(f"{KODAK}/{path.stem}", read_picture(path))
        for path in sorted(folder.glob("*.png"))
    ]
    sizes = {picture.pixels.size for picture in pictures}
    if len(pictures) != KODAK_PICTURES or sizes != {3 * 512 * 768}:
        raise ImageSourceError(
            f"{KODAK}: expected the {KODAK_PICTURES} pictures of 768 x 512 or 512 x 768 in "
            f"{folder}, found {len(pictures)} PNG files, or others"
        )
    yield from pictures


def _cifar10_images(source: str, skip: int) -> Iterator[SourceImage]:
    folder = _data_folder(source, _CIFAR10_FOLDER, f"unpack {_CIFAR10_URL} there")
    for file_number, (file_name, md5) in enumerate(_CIFAR10_MD5[source].items()):
        first = file_number * _CIFAR10_IMAGES_PER_FILE
        if skip >= first + _CIFAR10_IMAGES_PER_FILE:
            continue
        records = _cifar10_records(source, folder / file_name, md5)
        for index in range(max(skip - first, 0), _CIFAR10_IMAGES_PER_FILE):
            label, planes = int(records[index, 0]), records[index, 1:]
            pixels = planes.reshape(3, 32, 32).transpose(1, 2, 0)
            yield make_source_image(f"{source}/{first + index:05d}", pixels, label)


def _cifar10_records(source: str, path: Path, md5: str) -> NDArray[np.uint8]:
    """uint8 (10000, 3073): a record is a label's byte and three colour planes of 32 x 32."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageSourceError(f"{source}: cannot read {path} ({error.strerror})") from error
    found_md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found_md5 != md5:
        raise ImageSourceError(
            f"{source}: {path} is not the official file: expected md5 {md5}, found {found_md5}; "
            f"unpack {_CIFAR10_URL} again"
        )
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, _CIFAR10_RECORD_BYTES)
