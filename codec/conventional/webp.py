"""WebP by libwebp: lossy (VP8, RFC 6386) and lossless (VP8L, RFC 9649), in the simple file format:

    | RIFF: 12 | chunk: 8 | frame header: 10 (VP8) or 5 (VP8L) | data | padding: 0 or 1 |   bytes

Of the frame header only VP8's first three bytes (type, size of the first partition: RFC 6386, 9.1)
are more than the picture's size, so the abbreviated stream is

    | picture header: 1 or 5 | 3 (VP8) or 0 (VP8L) | data |   bytes

and the payload is the data. Lossy WebP has no chroma but 4:2:0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from codec.base import CodecError, Image
from codec.conventional import pillow
from codec.conventional.file_format import HEADERS, FileFormat, Headers, Parts
from codec.picture_header import pack_picture_header, unpack_picture_header

BITSTREAM_VERSION = 1
_QUANTISERS = 128
_CHUNK_START = 20
_VP8_TAG_BYTES = 3
_VP8_START_CODE = b"\x9d\x01\x2a"
_VP8L_SIGNATURE = b"\x2f"
_LOSSY_METHOD, _LOSSLESS_METHOD = 6, 4
"""libwebp's effort. On pictures of 32 x 32 more than 4 makes lossless files longer."""


@dataclass(frozen=True)
class WebP(FileFormat):
    """A setting is libwebp's quality, 0 .. 100, one for each of its 128 quantisers."""

    lossless: bool = False

    name: ClassVar[str] = "webp"
    max_side: ClassVar[int] = (1 << 14) - 1
    default_setting: ClassVar[float] = 75
    uneven_steps: ClassVar[int] = 16

    def __post_init__(self) -> None:
        pillow.check_support("webp")

    @property
    def headers(self) -> tuple[Headers, ...]:
        return HEADERS

    @property
    def versions(self) -> str:
        return f"bitstream {BITSTREAM_VERSION}, {pillow.versions('webp')}"

    def settings(self, height: int, width: int) -> Sequence[float]:
        del height, width
        return (self.default_setting,) if self.lossless else _QUALITIES

    def encode(self, image: Image, setting: float) -> bytes:
        return pillow.write_file(
            image,
            "WEBP",
            lossless=self.lossless,
            quality=setting,
            method=_LOSSLESS_METHOD if self.lossless else _LOSSY_METHOD,
        )

    def read(self, file: bytes) -> Image:
        return pillow.read_file(file, "WEBP")

    def split(self, file: bytes) -> Parts:
        start = _CHUNK_START + len(self._frame_header(b"\0\0\0", 1, 1))
        if len(file) <= start or file[12:16] != self._chunk:
            raise CodecError(f"expected a WebP file that begins with a chunk {self._chunk!r}")
        end = min(_CHUNK_START + int.from_bytes(file[16:20], "little"), len(file))
        return Parts(file[:start], file[start:end], file[end:])

    def abbreviate(self, image: Image, setting: float) -> bytes:
        parts = self.split(self.encode(image, setting))
        tag = b"" if self.lossless else parts.head[_CHUNK_START:][:_VP8_TAG_BYTES]
        return (
            pack_picture_header(image.shape[0], image.shape[1], BITSTREAM_VERSION)
            + tag
            + parts.payload
        )

    def restore(self, stream: bytes) -> Parts:
        height, width, used, *_ = unpack_picture_header(stream, BITSTREAM_VERSION)
        if max(height, width) > self.max_side:
            raise CodecError(f"a picture of {height} x {width} pixels is too large for WebP")
        start = used + (0 if self.lossless else _VP8_TAG_BYTES)
        if len(stream) <= start:
            raise CodecError("expected a frame after the picture header")
        payload = stream[start:]
        frame = self._frame_header(stream[used:start], height, width)
        size = len(frame) + len(payload)
        padding = bytes(size % 2)
        riff_size = _CHUNK_START - 8 + size + len(padding)
        head = b"RIFF" + riff_size.to_bytes(4, "little") + b"WEBP"
        head += self._chunk + size.to_bytes(4, "little") + frame
        return Parts(head, payload, padding)

    @property
    def _chunk(self) -> bytes:
        return b"VP8L" if self.lossless else b"VP8 "

    def _frame_header(self, tag: bytes, height: int, width: int) -> bytes:
        if self.lossless:
            # Sides less one in 14 bits each, no alpha, version 0 (RFC 9649, 3.4).
            return _VP8L_SIGNATURE + (width - 1 | (height - 1) << 14).to_bytes(4, "little")
        return tag + _VP8_START_CODE + width.to_bytes(2, "little") + height.to_bytes(2, "little")


def _quality(step: int) -> float:
    """The quality with quantiser 127 - step: libwebp's QualityToCompression and back."""
    linear = (step / (_QUANTISERS - 1)) ** 3
    return 100 * (1.5 * linear if linear < 0.5 else (linear + 1) / 2)


_QUALITIES = tuple(_quality(step) for step in range(_QUANTISERS))
