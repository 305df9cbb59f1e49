"""JPEG (ITU-T T.81) by libjpeg-turbo.

A file of a 32 x 32 picture is mostly tables: some 620 bytes before the first coefficient with the
typical Huffman tables of Annex K.3, 290 with tables of the picture's own; whichever makes the file
shorter is taken. In the spirit of T.81's abbreviated format (B.5) the abbreviated stream has
neither: both ends know the typical tables and the quantiser that follows from the quality.

    | picture header: 1 or 5 | quality: 1 | entropy-coded scan |   bytes
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from codec.base import CodecError, Image
from codec.conventional import pillow
from codec.conventional.file_format import (
    HEADERS,
    OWN_HEADERS,
    FileFormat,
    Headers,
    Parts,
    Subsampling,
)
from codec.picture_header import pack_picture_header, unpack_picture_header

BITSTREAM_VERSION = 1
_QUALITIES = range(1, 101)
_MAX_RESTART_INTERVAL = 65535
_START_OF_FRAME, _START_OF_SCAN, _END_OF_IMAGE = 0xC0, 0xDA, b"\xff\xd9"

_FALSE_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


@dataclass(frozen=True)
class Jpeg(FileFormat):
    """A setting is libjpeg's quality, 1 .. 100.

    The payload is what follows the first scan's header; a progressive file has several scans, and
    those that follow count with their headers and tables.

    progressive: spectral selection and successive approximation (Annex G) in libjpeg's ten scans.
    restart_interval: MCUs between restart markers (B.2.4.4), 0 .. 65535; 0: no markers. Errors
        end at the next marker.
    """

    subsampling: Subsampling = "4:4:4"
    progressive: bool = False
    restart_interval: int = 0

    name: ClassVar[str] = "jpeg"
    truncates_with: ClassVar[str] = "progressive: true"
    max_side: ClassVar[int] = 65500  # JPEG_MAX_DIMENSION
    default_setting: ClassVar[float] = 75
    uneven_steps: ClassVar[int] = 16

    def __post_init__(self) -> None:
        if not 0 <= self.restart_interval <= _MAX_RESTART_INTERVAL:
            raise CodecError(
                f"expected a restart_interval of 0 .. {_MAX_RESTART_INTERVAL}, "
                f"found {self.restart_interval}"
            )

    @property
    def headers(self) -> tuple[Headers, ...]:
        return OWN_HEADERS if self.progressive else HEADERS

    @property
    def truncates(self) -> bool:
        return self.progressive

    @property
    def versions(self) -> str:
        return f"bitstream {BITSTREAM_VERSION}, {pillow.versions('libjpeg_turbo', 'jpg')}"

    def settings(self, height: int, width: int) -> Sequence[float]:
        del height, width
        return _QUALITIES

    def encode(self, image: Image, setting: float) -> bytes:
        own = self._file(image, setting, own_tables=True)
        # A progressive file has tables of its own always.
        if self.progressive:
            return own
        return min(self._file(image, setting, own_tables=False), own, key=len)

    def read(self, file: bytes) -> Image:
        return pillow.read_file(file, "JPEG")

    def split(self, file: bytes) -> Parts:
        start = _find_segment(file, _START_OF_SCAN)
        start += 2 + int.from_bytes(file[start + 2 : start + 4], "big")
        end = len(file) - len(_END_OF_IMAGE) * file.endswith(_END_OF_IMAGE)
        if start > end:
            raise CodecError("expected a scan after its header")
        return Parts(file[:start], file[start:end], file[end:])

    def mend(self, parts: Parts) -> bytes:
        # The library fills in coefficients of zero for what is missing, but gives up at a marker
        # that cannot be there: in a single scan all but RST0 .. RST7.
        payload = parts.payload
        if not self.progressive:
            payload = _FALSE_MARKER.sub(b"\xff\x00", payload)
        return parts.head + payload + _END_OF_IMAGE

    def abbreviate(self, image: Image, setting: float) -> bytes:
        header = pack_picture_header(image.shape[0], image.shape[1], BITSTREAM_VERSION)
        scan = self.split(self._file(image, setting, own_tables=False)).payload
        return header + bytes([int(setting)]) + scan

    def restore(self, stream: bytes) -> Parts:
        height, width, used, *_ = unpack_picture_header(stream, BITSTREAM_VERSION)
        if stream[used] not in _QUALITIES:
            raise CodecError(f"expected a JPEG quality of 1 .. 100, found {stream[used]}")
        head = bytearray(_typical_head(self, stream[used]))
        # Frame header (T.81, B.2.2): marker (2 bytes), length (2), precision (1), height, width.
        frame = _find_segment(bytes(head), _START_OF_FRAME)
        head[frame + 5 : frame + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
        return Parts(bytes(head), stream[used + 1 :], _END_OF_IMAGE)

    def _file(self, image: Image, quality: float, *, own_tables: bool) -> bytes:
        return pillow.write_file(
            image,
            "JPEG",
            quality=int(quality),
            subsampling=self.subsampling,
            optimize=own_tables,
            progressive=self.progressive,
            restart_marker_blocks=self.restart_interval,
        )


@lru_cache(maxsize=512)
def _typical_head(jpeg: Jpeg, quality: int) -> bytes:
    """All before the scan, from a picture of 8 x 8: of the rest, only the size is the picture's."""
    blank = np.zeros((8, 8, 3), dtype=np.uint8)
    return jpeg.split(jpeg._file(blank, quality, own_tables=False)).head


def _find_segment(file: bytes, marker: int) -> int:
    """Where the first marker segment of a kind begins (T.81, B.1.1.4)."""
    position = 2
    while file[position + 1] != marker:
        position += 2 + int.from_bytes(file[position + 2 : position + 4], "big")
    return position
