"""JPEG2000 (ITU-T T.800) by OpenJPEG, one tile, packets in the order layer, resolution, component.

    lossy     9/7 wavelet, irreversible colour transform
    lossless  5/3 wavelet, reversible colour transform

Of the main header only the picture's size is the picture's, so the abbreviated stream of a
codestream is

    | picture header: 1 or 5 | marker segment PLT, if packet_lengths | packets |   bytes

and the payload what lies between the markers SOD (A.4.3) and EOC (A.4.4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np

from codec.base import CodecError, Image
from codec.conventional import pillow
from codec.conventional.boxes import find_box
from codec.conventional.file_format import HEADERS, OWN_HEADERS, FileFormat, Headers, Parts
from codec.picture_header import pack_picture_header, unpack_picture_header

BITSTREAM_VERSION = 1
_MAX_RESOLUTIONS, _MAX_LAYERS = 6, 16
_START_OF_CODESTREAM, _END_OF_CODESTREAM = b"\xff\x4f", b"\xff\xd9"
_START_OF_TILE_PART, _PACKET_LENGTHS, _START_OF_DATA = 0xFF90, 0xFF58, 0xFF93
_TILE_PART_BYTES = 14
"""Markers SOT and SOD."""
_LAST_RESOLUTION_SIDE = 8


@dataclass(frozen=True)
class Jpeg2000(FileFormat):
    """A setting is the ratio of 24 bits a pixel to the size aimed at.

    resolutions: 1 .. 6, or None: as many as leave the coarsest a side of 8, which on pictures of
        32 x 32 gains some 3 dB over the customary six. Never more than the picture can have.
    quality_layers: 1 .. 16, each of half the rate of the next.
    packet_lengths: tells where each packet ends (marker PLT, A.7.3), so that a stream that breaks
        off can be decoded up to there.
    container: the bare codestream, or a JP2 file (Annex I).
    """

    resolutions: int | None = None
    quality_layers: int = 1
    packet_lengths: bool = False
    lossless: bool = False
    container: Literal["j2k", "jp2"] = "j2k"

    name: ClassVar[str] = "jpeg2000"
    truncates_with: ClassVar[str] = "packet_lengths: true"
    default_setting: ClassVar[float] = 8
    uneven_steps: ClassVar[int] = 4

    def __post_init__(self) -> None:
        pillow.check_support("jpg_2000")
        for key, most in (("resolutions", _MAX_RESOLUTIONS), ("quality_layers", _MAX_LAYERS)):
            value = getattr(self, key)
            if value is not None and not 1 <= value <= most:
                raise CodecError(f"expected {key} of 1 .. {most}, found {value}")

    @property
    def headers(self) -> tuple[Headers, ...]:
        return HEADERS if self.container == "j2k" else OWN_HEADERS

    @property
    def truncates(self) -> bool:
        return self.packet_lengths

    @property
    def setting_is_size(self) -> bool:
        return not self.lossless

    @property
    def versions(self) -> str:
        return f"bitstream {BITSTREAM_VERSION}, {pillow.versions('jpg_2000')}"

    def settings(self, height: int, width: int) -> Sequence[float]:
        """Ratios for sizes of 1, 2, 3 ... bytes, from 1,000 on in steps of a thousandth."""
        return (1.0,) if self.lossless else _ratios(3 * height * width)

    def encode(self, image: Image, setting: float) -> bytes:
        height, width, _ = image.shape
        ratio = 1.0 if self.lossless else setting
        return pillow.write_file(
            image,
            "JPEG2000",
            no_jp2=self.container == "j2k",
            num_resolutions=self._resolutions(height, width),
            irreversible=not self.lossless,
            mct=1,
            progression="LRCP",
            plt=self.packet_lengths,
            quality_mode="rates",
            quality_layers=self._layer_ratios(height, width, ratio),
        )

    def read(self, file: bytes) -> Image:
        return pillow.read_file(file, "JPEG2000")

    def split(self, file: bytes) -> Parts:
        start = _tile_part(file)[1]
        end = len(file) - len(_END_OF_CODESTREAM) * file.endswith(_END_OF_CODESTREAM)
        return Parts(file[:start], file[start:end], file[end:])

    def mend(self, parts: Parts) -> bytes:
        """The bare codestream up to the last packet that is whole, if `packet_lengths` tell it."""
        if not self.packet_lengths:
            return b"".join(parts)
        tile_part, start = _tile_part(parts.head)
        whole = 0
        for length in _lengths(parts.head[tile_part + 12 : start - 2]):
            if whole + length > len(parts.payload):
                break
            whole += length
        head = bytearray(parts.head)
        _set_tile_part_size(head, tile_part, whole)
        return bytes(head[_codestream(parts.head) :]) + parts.payload[:whole] + _END_OF_CODESTREAM

    def abbreviate(self, image: Image, setting: float) -> bytes:
        parts = self.split(self.encode(image, setting))
        tile_part, start = _tile_part(parts.head)
        lengths = parts.head[tile_part + 12 : start - 2]
        return (
            pack_picture_header(image.shape[0], image.shape[1], BITSTREAM_VERSION)
            + lengths
            + parts.payload
        )

    def restore(self, stream: bytes) -> Parts:
        height, width, used, *_ = unpack_picture_header(stream, BITSTREAM_VERSION)
        start = used
        if self.packet_lengths:
            start += 2 + int.from_bytes(stream[used + 2 : used + 4], "big")
        head = bytearray(_main_header(self, self._resolutions(height, width)))
        # Marker SIZ (A.5.1): the sizes of the picture and of its only tile.
        for position in (8, 24):
            size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
            head[position : position + 8] = size
        tile_part = len(head)
        # Marker SOT (A.4.2): length 10, tile 0, the size set below, part 0 of 1.
        head += _START_OF_TILE_PART.to_bytes(2, "big") + bytes([0, 10, 0, 0, 0, 0, 0, 0, 0, 1])
        head += stream[used:start] + _START_OF_DATA.to_bytes(2, "big")
        payload = stream[start:]
        _set_tile_part_size(head, tile_part, len(payload))
        return Parts(bytes(head), payload, _END_OF_CODESTREAM)

    def _layer_ratios(self, height: int, width: int, last: float) -> list[float]:
        """The ratios of the layers, by what they leave for packets beside the headers."""
        if self.quality_layers == 1:
            return [last]
        one_layer = Jpeg2000(lossless=self.lossless)
        headers = len(_main_header(one_layer, self._resolutions(height, width))) + _TILE_PART_BYTES
        raw = 3 * height * width
        payload = max(raw / last - headers, 1.0)
        sizes = [headers + payload / 2**k for k in reversed(range(self.quality_layers))]
        return [*(raw / size for size in sizes[:-1]), last]

    def _resolutions(self, height: int, width: int) -> int:
        side = min(height, width)
        most = min(_MAX_RESOLUTIONS, 1 + int(math.log2(side)))
        wanted = self.resolutions
        if wanted is None:
            wanted = 1 + int(math.log2(max(side / _LAST_RESOLUTION_SIDE, 1)))
        return min(wanted, most)


@lru_cache(maxsize=16)
def _ratios(raw_bytes: int) -> tuple[float, ...]:
    sizes = [1]
    while sizes[-1] < raw_bytes:
        sizes.append(max(sizes[-1] + 1, int(sizes[-1] * 1.001)))
    return tuple(raw_bytes / size for size in sizes)


@lru_cache(maxsize=64)
def _main_header(jpeg2000: Jpeg2000, resolutions: int) -> bytes:
    """All before the tile part, from a blank picture that has so many resolutions."""
    side = 1 << (resolutions - 1)
    fixed = replace(jpeg2000, resolutions=resolutions)
    file = fixed.encode(np.zeros((side, side, 3), np.uint8), fixed.default_setting)
    return file[: _tile_part(file)[0]]


def _codestream(file: bytes) -> int:
    """Where the codestream begins: in a JP2 file it is the content of a box (I.5.4)."""
    return 0 if file.startswith(_START_OF_CODESTREAM) else find_box(file, b"jp2c")[0]


def _tile_part(file: bytes) -> tuple[int, int]:
    """Where the tile part's header and its data begin. CodecError for another than the only one."""
    position, tile_part = _codestream(file) + 2, None
    while (marker := int.from_bytes(file[position : position + 2], "big")) != _START_OF_DATA:
        if marker < 0xFF00:
            raise CodecError(f"expected a marker of JPEG2000, found {marker:#06x}")
        if marker == _START_OF_TILE_PART:
            tile_part = position
        position += 2 + int.from_bytes(file[position + 2 : position + 4], "big")
    if tile_part is None:
        raise CodecError("expected a tile part's header before its data")
    return tile_part, position + 2


def _set_tile_part_size(head: bytearray, tile_part: int, payload_bytes: int) -> None:
    """Psot (A.4.2): bytes from the marker SOT to the end of the data."""
    size = len(head) - tile_part + payload_bytes
    head[tile_part + 6 : tile_part + 10] = size.to_bytes(4, "big")


def _lengths(segment: bytes) -> list[int]:
    """Bytes of each packet, from a segment PLT (A.7.3): seven bits a byte, the last without bit 8.

    Layout: marker (2 bytes), length (2), index (1), lengths.
    """
    if int.from_bytes(segment[:2], "big") != _PACKET_LENGTHS:
        raise CodecError("expected a marker segment PLT")
    lengths, length = [], 0
    for byte in segment[5:]:
        length = length << 7 | byte & 0x7F
        if byte < 0x80:
            lengths.append(length)
            length = 0
    return lengths
