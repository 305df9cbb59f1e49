"""AV1 intra pictures in AVIF files (AV1 Image File Format) by libaom and dav1d, through Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from codec.base import CodecError, Image
from codec.conventional import pillow
from codec.conventional.boxes import find_box
from codec.conventional.file_format import OWN_HEADERS, FileFormat, Headers, Parts, Subsampling

_QUANTISERS = 64
_OBU_FRAME = 6


@dataclass(frozen=True)
class Avif(FileFormat):
    """A setting is libavif's quality, 0 .. 100, one for each of its 64 quantisers.

    speed: libavif's, 0 (best) .. 10.
    The payload is the frame's OBU (AV1, 5.10) without the OBU's own header.
    """

    subsampling: Subsampling = "4:4:4"
    tune: Literal["default", "psnr"] = "default"
    speed: int = 6

    name: ClassVar[str] = "avif"
    default_setting: ClassVar[float] = 75
    uneven_steps: ClassVar[int] = 12

    def __post_init__(self) -> None:
        pillow.check_support("avif")
        if not 0 <= self.speed <= 10:
            raise CodecError(f"expected a speed of 0 .. 10, found {self.speed}")

    @property
    def headers(self) -> tuple[Headers, ...]:
        return OWN_HEADERS

    @property
    def versions(self) -> str:
        return pillow.versions("avif")

    def settings(self, height: int, width: int) -> Sequence[float]:
        del height, width
        last = _QUANTISERS - 1
        return [round(100 * step / last) for step in range(_QUANTISERS)]

    def encode(self, image: Image, setting: float) -> bytes:
        return pillow.write_file(
            image,
            "AVIF",
            quality=int(setting),
            subsampling=self.subsampling,
            speed=self.speed,
            # Several threads would share a picture's tiles out among them.
            max_threads=1,
            advanced={"tune": "psnr"} if self.tune == "psnr" else None,
        )

    def read(self, file: bytes) -> Image:
        return pillow.read_file(file, "AVIF")

    def split(self, file: bytes) -> Parts:
        position, end = find_box(file, b"mdat")
        # OBU header (AV1, 5.3.2): forbidden bit, type (4 bits), extension, has a size, reserved.
        while True:
            size, used = _leb128(file[position + 1 : position + 9])
            start = position + 1 + used
            if start > end:
                raise CodecError("expected a frame's OBU in mdat")
            if (file[position] >> 3) & 15 == _OBU_FRAME:
                return Parts(file[:start], file[start:end], file[end:])
            position = start + size


def _leb128(data: bytes) -> tuple[int, int]:
    """(value, bytes used) of AV1's leb128 (4.10.5)."""
    value = 0
    for used in range(8):
        value |= (data[used] & 0x7F) << 7 * used
        if data[used] < 0x80:
            return value, used + 1
    raise CodecError("expected a number of at most eight bytes")
