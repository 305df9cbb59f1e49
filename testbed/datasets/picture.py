"""A picture to send, and how one is read from an image file."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from codec.picture_header import MAX_PIXELS
from testbed.datasets.png_chunks import png_damage
from testbed.errors import ImageError


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


def make_source_image(
    name: str, pixels: NDArray[np.uint8], label: int | None = None
) -> SourceImage:
    """A SourceImage of uint8 (height, width, 3) pixels, of which it keeps a read-only copy."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ImageSourceError(
            f"{name}: expected uint8 (height, width, 3), found {pixels.dtype} {pixels.shape}"
        )
    return adopted(name, np.array(pixels, order="C"), label)


def adopted(name: str, pixels: NDArray[np.uint8], label: int | None = None) -> SourceImage:
    """A SourceImage of contiguous uint8 (height, width, 3) pixels that nobody else will change.

    They are not copied, and become read-only.
    """
    pixels.setflags(write=False)
    digest = hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}x3:".encode())
    digest.update(pixels.data)
    return SourceImage(name, pixels, digest.hexdigest(), label)


_FORMATS = (
    "AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "QOI", "TGA", "TIFF", "WEBP",
)  # fmt: skip
"""What files are read as. Not all that Pillow knows: EPS, for one, would start another program."""


@cache
def _formats() -> list[str]:
    PillowImage.init()
    return [name for name in _FORMATS if name in PillowImage.OPEN]


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The picture of a file as uint8 (height, width, 3); see `load_images` for conversions."""
    try:
        if damage := png_damage(path):
            raise ImageSourceError(f"{path}: cannot be read as an image ({damage}); get it again")
        with warnings.catch_warnings():
            # Pillow warns of large pictures and of damaged metadata: the first is answered below,
            # the second does not concern the pixels.
            warnings.simplefilter("ignore")
            with PillowImage.open(path, formats=_formats()) as picture:
                _check_header(path, picture)
                return np.array(_to_rgb(ImageOps.exif_transpose(picture)))
    except ImageSourceError:
        raise
    except UnidentifiedImageError as error:
        raise ImageSourceError(f"{path}: not an image, or of a format that is unknown") from error
    except Exception as error:
        # Besides OSError, damaged files make Pillow raise nearly anything.
        words = " ".join(str(error).split())
        raise ImageSourceError(f"{path}: cannot be read as an image ({words})") from error


def _check_header(path: Path, picture: PillowImage.Image) -> None:
    """Raises ImageSourceError for what shows before a pixel is decoded."""
    if picture.width * picture.height > MAX_PIXELS:
        raise ImageSourceError(
            f"{path}: expected at most {MAX_PIXELS} pixels, found {picture.width} x "
            f"{picture.height}; scale it down or crop it"
        )
    if 0 in picture.size:
        raise ImageSourceError(
            f"{path}: expected at least one pixel, found {picture.width} x {picture.height}"
        )
    if _has_deep_channels(picture):
        raise ImageSourceError(
            f"{path}: expected 8 bits per channel, found more (mode {picture.mode}); "
            "convert it to 8 bits first"
        )
    # The further pictures of an MPO are a camera's previews of the first.
    frames = getattr(picture, "n_frames", 1)
    if frames > 1 and picture.format != "MPO":
        raise ImageSourceError(
            f"{path}: expected a single picture, found {frames} frames or pages; "
            "save the one that is meant as a file of its own"
        )


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
