"""The few bytes at the head of a stream: which version of the bitstream, and how large a picture.

    one byte:   version (4 bits) | 0        a picture of 32 x 32, the size of CIFAR's
    five bytes: version (4 bits) | 1        height and width, 16 bits each, the higher byte first

On a 32 x 32 picture a byte is .008 bits per pixel, which is why that size has a code of its own.
"""

from __future__ import annotations

from codec.base import CodecError

MAX_SIDE = (1 << 16) - 1
MAX_PIXELS = 1 << 24
"""Larger pictures are refused, so that a few damaged bytes cannot ask for gigabytes of memory."""

_SIZE_32X32, _SIZE_EXPLICIT = 0, 1


def _check_size(height: int, width: int) -> None:
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise CodecError(f"expected sides of 1 .. {MAX_SIDE} pixels, found {height} x {width}")
    if height * width > MAX_PIXELS:
        raise CodecError(f"expected at most {MAX_PIXELS} pixels, found {height} x {width}")


def _check_version(version: int) -> None:
    if not 0 <= version <= 15:
        raise CodecError(f"expected a bitstream version of 0 .. 15, found {version}")


def pack_picture_header(height: int, width: int, version: int = 0) -> bytes:
    """The header of a picture of `height` x `width` pixels: 1 byte for 32 x 32, else 5.

    Raises CodecError for sides outside of 1 .. MAX_SIDE, more than MAX_PIXELS pixels, or a version
    outside of 0 .. 15.
    """
    _check_version(version)
    _check_size(height, width)
    if (height, width) == (32, 32):
        return bytes([version << 4 | _SIZE_32X32])
    return (
        bytes([version << 4 | _SIZE_EXPLICIT])
        + height.to_bytes(2, "big")
        + width.to_bytes(2, "big")
    )


def unpack_picture_header(data: bytes, version: int = 0) -> tuple[int, int, int]:
    """(height, width, bytes used) from the head of `data`; the inverse of `pack_picture_header`.

    Raises CodecError if `data` is cut inside the header, is of another version than `version`, or
    names a size that `pack_picture_header` refuses.
    """
    _check_version(version)
    if not data:
        raise CodecError("expected a picture header, found no bytes")
    found_version, size_code = data[0] >> 4, data[0] & 15
    if found_version != version:
        raise CodecError(f"expected bitstream version {version}, found {found_version}")
    if size_code == _SIZE_32X32:
        return 32, 32, 1
    if size_code != _SIZE_EXPLICIT:
        raise CodecError(f"expected a size code of 0 or 1, found {size_code}")
    if len(data) < 5:
        raise CodecError(f"expected a picture header of 5 bytes, found {len(data)}")
    height, width = int.from_bytes(data[1:3], "big"), int.from_bytes(data[3:5], "big")
    _check_size(height, width)
    return height, width, 5
