"""The boxes that HEIF, AVIF and JP2 files are made of (ISO/IEC 14496-12, 4.2; T.800, I.4)."""

from __future__ import annotations

from codec.base import CodecError

_HEADER_BYTES = 8


def find_box(file: bytes, kind: bytes) -> tuple[int, int]:
    """Where the content of the first box of a kind begins and ends.

    The box may be cut short by the end of the file. Raises CodecError if there is none.
    """
    position = 0
    while position + _HEADER_BYTES <= len(file):
        size = int.from_bytes(file[position : position + 4], "big")
        if size < _HEADER_BYTES:
            raise CodecError(f"expected a plain box, found a box of {size} bytes")
        if file[position + 4 : position + _HEADER_BYTES] == kind:
            return position + _HEADER_BYTES, min(position + size, len(file))
        position += size
    raise CodecError(f"expected a box {kind.decode()}, found none")
