"""HEVC intra pictures in HEIF files (ISO/IEC 23008-12) by x265 and libde265.

The library is optional: its wheels bring x265, which is under the GPL.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from codec.base import CodecError, Image
from codec.conventional.boxes import find_box
from codec.conventional.file_format import (
    OWN_HEADERS,
    FileFormat,
    Headers,
    Parts,
    Subsampling,
    library,
)
from codec.conventional.pillow import check_pixels

_CHROMA = {"4:4:4": 444, "4:2:2": 422, "4:2:0": 420}
_FOR_PSNR = {"tune": "psnr", "x265:psy-rd": "0", "x265:psy-rdoq": "0"}
_FIRST_NOT_VCL = 32


@dataclass(frozen=True)
class Heif(FileFormat):
    """A setting is libheif's quality, 0 .. 100, of which two and two give one quantiser.

    tune: psnr turns x265's psychovisual decisions off as well, which `tune=psnr` does not do by
        itself here, and which cost .4 dB. Otherwise the library's defaults.

    The payload is the NAL units of the picture itself (types 0-31, ITU-T H.265, table 7-1), from
    the first one's header on.
    """

    subsampling: Subsampling = "4:4:4"
    tune: Literal["default", "psnr"] = "default"

    name: ClassVar[str] = "heif"
    default_setting: ClassVar[float] = 50
    uneven_steps: ClassVar[int] = 6

    def __post_init__(self) -> None:
        library("pillow_heif", "heif")

    @property
    def headers(self) -> tuple[Headers, ...]:
        return OWN_HEADERS

    @property
    def versions(self) -> str:
        module = library("pillow_heif", "heif")
        info = module.libheif_info()
        return f"pillow-heif {module.__version__}, libheif {info['libheif']}, {info['HEIF']}"

    def settings(self, height: int, width: int) -> Sequence[float]:
        del height, width
        return range(0, 101, 2)

    def encode(self, image: Image, setting: float) -> bytes:
        height, width, _ = image.shape
        buffer = io.BytesIO()
        options = {"enc_params": _FOR_PSNR} if self.tune == "psnr" else {}
        pixels = np.ascontiguousarray(image).tobytes()
        library("pillow_heif", "heif").from_bytes("RGB", (width, height), pixels).save(
            buffer, quality=int(setting), chroma=_CHROMA[self.subsampling], **options
        )
        return buffer.getvalue()

    def read(self, file: bytes) -> Image:
        picture = library("pillow_heif", "heif").open_heif(io.BytesIO(file))
        width, height = picture.size
        check_pixels(height, width)
        image: Image = np.array(picture, dtype=np.uint8)
        return image

    def split(self, file: bytes) -> Parts:
        position, end = find_box(file, b"mdat")
        # NAL units behind lengths of four bytes (ISO/IEC 14496-15, 4.3); nal_unit_type: six bits
        # behind the forbidden zero bit (H.265, 7.3.1.2).
        while (file[position + 4] >> 1) & 0x3F >= _FIRST_NOT_VCL:
            position += 4 + int.from_bytes(file[position : position + 4], "big")
        start = position + 4
        if start > end:
            raise CodecError("expected the NAL unit of a picture in mdat")
        return Parts(file[:start], file[start:end], file[end:])
