"""The first bytes of a JPEG XL codestream: what libjxl writes there (ISO/IEC 18181-1, Annex D).

    FF 0A | SizeHeader | ImageMetadata | default transform | zeros up to the byte

Bits are packed from the least significant on.
"""

from __future__ import annotations

from codec.base import CodecError

_SIGNATURE = b"\xff\x0a"
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width to height, from ratio code 1 on."""
_SIDE_BITS = (9, 13, 18, 30)
_LOSSY = "11"
"""ImageMetadata all_default, default transform."""
_LOSSLESS = "0000010001001"
"""Not all_default, no extra fields, 8 bits an integer sample, 16-bit buffers will do, no extra
channels, not XYB, sRGB, no extensions; default transform."""


def image_header(height: int, width: int, *, lossless: bool) -> bytes:
    """All before the first frame of a picture of 8 bits a sample in sRGB."""
    bits = _size_bits(height, width) + (_LOSSLESS if lossless else _LOSSY)
    number = int(bits[::-1], 2)
    return _SIGNATURE + number.to_bytes(-(-len(bits) // 8), "little")


def read_size(codestream: bytes) -> tuple[int, int]:
    """(height, width) that a codestream says. Raises CodecError if it is none."""
    if not codestream.startswith(_SIGNATURE) or len(codestream) < 12:
        raise CodecError("expected a JPEG XL codestream")
    bits = int.from_bytes(codestream[2:12], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take(1)

    def side() -> int:
        return 8 * (1 + take(5)) if small else 1 + take(_SIDE_BITS[take(2)])

    height = side()
    ratio = take(3)
    if ratio:
        times, over = _RATIOS[ratio - 1]
        return height, height * times // over
    return height, side()


def _size_bits(height: int, width: int) -> str:
    ratio = next(
        (
            code
            for code, (times, over) in enumerate(_RATIOS, start=1)
            if height * times // over == width
        ),
        0,
    )
    sides = [height] if ratio else [height, width]
    small = all(side <= 256 and side % 8 == 0 for side in sides)
    coded = [_number(side // 8 - 1, 5) if small else _side_bits(side) for side in sides]
    return "".join([str(int(small)), coded[0], _number(ratio, 3), *coded[1:]])


def _side_bits(side: int) -> str:
    selector = next(n for n, count in enumerate(_SIDE_BITS) if side <= 1 << count)
    return _number(selector, 2) + _number(side - 1, _SIDE_BITS[selector])


def _number(value: int, count: int) -> str:
    """The `count` low bits of a value, the lowest first."""
    return f"{value:0{count}b}"[::-1]
