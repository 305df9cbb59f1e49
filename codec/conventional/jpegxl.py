"""JPEG XL codestreams (ISO/IEC 18181-1) by libjxl, through the optional library imagecodecs.

The codestream's first bytes tell the picture's size and are otherwise known (jpegxl_size.py), so
the abbreviated stream is

    | picture header: 1 or 5 | all from the first frame's header on |   bytes

and the payload is the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from codec.base import CodecError, Image
from codec.conventional.file_format import HEADERS, FileFormat, Headers, Parts, library
from codec.conventional.jpegxl_size import image_header, read_size
from codec.conventional.pillow import check_pixels
from codec.picture_header import pack_picture_header, unpack_picture_header

BITSTREAM_VERSION = 1
_DISTANCES = tuple(float(each) for each in np.geomspace(25, 0.025, 121).round(4))
"""In steps of 6 %."""


@dataclass(frozen=True)
class JpegXl(FileFormat):
    """A setting is libjxl's distance, 25 .. .025: in units of what is just noticeable.

    effort: libjxl's, 1 .. 9 (best).
    """

    lossless: bool = False
    effort: int = 7

    name: ClassVar[str] = "jpegxl"
    default_setting: ClassVar[float] = _DISTANCES[56]
    uneven_steps: ClassVar[int] = 16

    def __post_init__(self) -> None:
        library("imagecodecs", "jxl")
        if not 1 <= self.effort <= 9:
            raise CodecError(f"expected an effort of 1 .. 9, found {self.effort}")

    @property
    def headers(self) -> tuple[Headers, ...]:
        return HEADERS

    @property
    def versions(self) -> str:
        module = library("imagecodecs", "jxl")
        return (
            f"bitstream {BITSTREAM_VERSION}, imagecodecs {module.__version__}, "
            f"{module.jpegxl_version()}"
        )

    def settings(self, height: int, width: int) -> Sequence[float]:
        del height, width
        return (0.0,) if self.lossless else _DISTANCES

    def encode(self, image: Image, setting: float) -> bytes:
        quality = {"lossless": True} if self.lossless else {"distance": setting}
        file = library("imagecodecs", "jxl").jpegxl_encode(
            np.ascontiguousarray(image), effort=self.effort, numthreads=1, **quality
        )
        return cast("bytes", file)

    def read(self, file: bytes) -> Image:
        check_pixels(*read_size(file))
        return cast("Image", library("imagecodecs", "jxl").jpegxl_decode(file, numthreads=1))

    def split(self, file: bytes) -> Parts:
        head = image_header(*read_size(file), lossless=self.lossless)
        if not file.startswith(head):
            raise CodecError("expected a JPEG XL codestream with libjxl's usual header")
        return Parts(head, file[len(head) :], b"")

    def abbreviate(self, image: Image, setting: float) -> bytes:
        payload = self.split(self.encode(image, setting)).payload
        return pack_picture_header(image.shape[0], image.shape[1], BITSTREAM_VERSION) + payload

    def restore(self, stream: bytes) -> Parts:
        height, width, used, *_ = unpack_picture_header(stream, BITSTREAM_VERSION)
        return Parts(image_header(height, width, lossless=self.lossless), stream[used:], b"")
