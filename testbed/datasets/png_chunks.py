"""Whether a PNG file is whole, by the checksums of its chunks.

Pillow does not look at those of the pixels: a file with a flipped bit may come out as another
picture without a word. Source: PNG specification (W3C, third edition), section 5.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIECE_BYTES = 1 << 20


def png_damage(path: Path) -> str:
    """What is wrong with the chunks of a PNG file, in words; "" for nothing, or another format.

    Raises OSError.
    """
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return ""
        while True:
            start = file.tell()
            head = file.read(8)
            length, kind = int.from_bytes(head[:4]), head[4:]
            checksum = _checksum(file, length, zlib.crc32(kind))
            stored = file.read(4)
            if len(head) < 8 or checksum is None or len(stored) < 4:
                return f"the file ends in the chunk at byte {start}"
            if checksum != int.from_bytes(stored):
                return f"the checksum of the chunk at byte {start} is not that of its content"
            if kind == b"IEND":
                return ""


def _checksum(file: BinaryIO, length: int, checksum: int) -> int | None:
    """The CRC-32 with `length` further bytes; None if there are fewer."""
    while length:
        piece = file.read(min(length, _PIECE_BYTES))
        if not piece:
            return None
        checksum = zlib.crc32(piece, checksum)
        length -= len(piece)
    return checksum
