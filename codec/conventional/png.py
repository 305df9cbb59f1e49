"""PNG (ISO/IEC 15948) by libpng's deflate: lossless, a single setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from codec.base import Image
from codec.conventional import pillow
from codec.conventional.file_format import FileFormat, Headers


@dataclass(frozen=True)
class Png(FileFormat):
    """Lossless; 8 bits a sample, RGB."""

    name: ClassVar[str] = "png"
    default_setting: ClassVar[float] = 9
    uneven_steps: ClassVar[int] = 0

    @property
    def headers(self) -> tuple[Headers, ...]:
        return ("file", "mosaic")

    @property
    def versions(self) -> str:
        return pillow.versions("zlib", "zlib_ng")

    def settings(self, height: int, width: int) -> Sequence[float]:
        del height, width
        return (self.default_setting,)

    def encode(self, image: Image, setting: float) -> bytes:
        return pillow.write_file(image, "PNG", optimize=True, compress_level=int(setting))

    def read(self, file: bytes) -> Image:
        return pillow.read_file(file, "PNG")
