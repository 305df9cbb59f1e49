"""The few bytes at the head of a stream: which version of the bitstream, and how large a picture.

    one byte:   version (4 bits) | 0        a picture of 32 x 32, the size of CIFAR's
    five bytes: version (4 bits) | 1        height and width, 16 bits each, the higher byte first

Added to the code: 2 where a picture is grey, its three colours equal; 4 where it is cut into square
slices, and then a byte follows, their side in units of 8 pixels; 8 where its transform is not
reversible. Only profiles that make use of these allow them. On a 32 x 32 picture a byte is .008
bits per pixel, which is why that size has a code of its own.
"""

from __future__ import annotations

from typing import NamedTuple

from codec.base import CodecError

MAX_SIDE = (1 << 16) - 1
MAX_PIXELS = 1 << 24
"""Larger pictures are refused, so that a few damaged bytes cannot ask for gigabytes of memory."""

_SIZE_EXPLICIT, _GREY, _SLICED, _IRREVERSIBLE = 1, 2, 4, 8
ALL_CODES = _GREY | _SLICED | _IRREVERSIBLE
SLICE_UNIT = 8


class PictureHeader(NamedTuple):
    """A header: `bytes_used` is its length as read, `slice_side` 0 unless there are slices.

    version: of the bitstream, 0 .. 15.
    """

    height: int
    width: int
    bytes_used: int
    grey: bool
    slice_side: int
    reversible: bool = True
    version: int = 0

    def pack(self) -> bytes:
        """See pack_picture_header."""
        return pack_picture_header(
            self.height, self.width, self.version,
            grey=self.grey, slice_side=self.slice_side, reversible=self.reversible,
        )  # fmt: skip


def _check_size(height: int, width: int) -> None:
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise CodecError(f"expected sides of 1 .. {MAX_SIDE} pixels, found {height} x {width}")
    if height * width > MAX_PIXELS:
        raise CodecError(f"expected at most {MAX_PIXELS} pixels, found {height} x {width}")


def _check_version(version: int) -> None:
    if not 0 <= version <= 15:
        raise CodecError(f"expected a bitstream version of 0 .. 15, found {version}")


def pack_picture_header(
    height: int,
    width: int,
    version: int = 0,
    *,
    grey: bool = False,
    slice_side: int = 0,
    reversible: bool = True,
) -> bytes:
    """The header of a picture of `height` x `width` pixels: 1 byte for 32 x 32, else 5.

    `slice_side`: a multiple of SLICE_UNIT up to 255 times that, for one byte more; 0: no slices.
    Raises CodecError for sides outside of 1 .. MAX_SIDE, more than MAX_PIXELS pixels, a version
    outside of 0 .. 15, or another `slice_side`.
    """
    _check_version(version)
    _check_size(height, width)
    if slice_side % SLICE_UNIT or not 0 <= slice_side // SLICE_UNIT <= 255:
        raise CodecError(f"expected slices of 8, 16 .. 2040 pixels, found {slice_side}")
    explicit = (height, width) != (32, 32)
    code = _SIZE_EXPLICIT * explicit | _GREY * grey | _SLICED * (slice_side > 0)
    code |= _IRREVERSIBLE * (not reversible)
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big") if explicit else b""
    sliced = bytes([slice_side // SLICE_UNIT]) if slice_side else b""
    return bytes([version << 4 | code]) + size + sliced


def unpack_picture_header(data: bytes, version: int = 0, *, allow: int = 0) -> PictureHeader:
    """The header at the head of `data`; the inverse of `pack_picture_header`.

    Raises CodecError if `data` is cut inside the header, is of another version than `version`,
    has another code than 0 or 1 where the caller does not `allow` ALL_CODES or some of them, or
    names a size that `pack_picture_header` refuses.
    """
    _check_version(version)
    if not data:
        raise CodecError("expected a picture header, found no bytes")
    found_version, code = data[0] >> 4, data[0] & 15
    if found_version != version:
        raise CodecError(f"expected bitstream version {version}, found {found_version}")
    if code & ~(_SIZE_EXPLICIT | allow):
        raise CodecError(f"expected a size code of 0 or 1, found {code}")
    explicit, grey, sliced = (bool(code & bit) for bit in (_SIZE_EXPLICIT, _GREY, _SLICED))
    length = 1 + 4 * explicit + sliced
    if len(data) < length:
        raise CodecError(f"expected a picture header of {length} bytes, found {len(data)}")
    height, width = 32, 32
    if explicit:
        height, width = int.from_bytes(data[1:3], "big"), int.from_bytes(data[3:5], "big")
    _check_size(height, width)
    slice_side = data[length - 1] * SLICE_UNIT if sliced else 0
    if sliced and slice_side == 0:
        raise CodecError("expected slices of at least 8 pixels, found 0")
    reversible = not code & _IRREVERSIBLE
    return PictureHeader(height, width, length, grey, slice_side, reversible, version)
