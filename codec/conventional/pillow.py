"""Pictures to files and back by Pillow."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as PillowImage
from PIL import __version__, features

from codec.base import CodecError, Image
from codec.picture_header import MAX_PIXELS


def write_file(image: Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(buffer, format=file_format, **options)
    return buffer.getvalue()


def read_file(file: bytes, file_format: str) -> Image:
    """CodecError for more than MAX_PIXELS pixels; nearly any exception for damaged files."""
    with PillowImage.open(io.BytesIO(file), formats=[file_format]) as picture:
        check_pixels(picture.height, picture.width)
        return np.array(picture.convert("RGB"))


def check_pixels(height: int, width: int) -> None:
    """Raises CodecError for a size that only a damaged header can say."""
    if height * width > MAX_PIXELS:
        raise CodecError(f"expected at most {MAX_PIXELS} pixels, found {height} x {width}")


def check_support(feature: str) -> None:
    """Raises CodecError if Pillow is without a format."""
    if not features.check(feature):
        raise CodecError(f"this build of Pillow is without {feature}: install Pillow 11.3 or later")


def versions(*libraries: str) -> str:
    """Such as "Pillow 13.0.0, webp 1.6.0"."""
    return ", ".join(
        [f"Pillow {__version__}", *(f"{each} {features.version(each)}" for each in libraries)]
    )
