"""The cyclic redundancy checks of 5G (3GPP TS 38.212, 5.1) over arrays of bits.

The parity bits of a message a(D) are the remainder of a(D) D^L divided by the generator g(D),
highest power first; register and output are neither inverted nor reflected, so that a message
with its parity bits appended leaves the remainder zero.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.kernels import kernel

CrcKind = Literal["crc16", "crc24a", "crc24b"]

#: Number of parity bits of each kind.
CRC_BITS: dict[str, int] = {"crc16": 16, "crc24a": 24, "crc24b": 24}

#: Generator polynomials without their leading term D^L, bit i standing for D^i.
CRC_POLYNOMIALS: dict[str, int] = {"crc16": 0x1021, "crc24a": 0x864CFB, "crc24b": 0x800063}


@kernel
def crc_remainder(
    bits: NDArray[np.uint8], first: int, stop: int, polynomial: int, length: int
) -> int:
    """Remainder of bits[first:stop] times D^length; `length` bits, the highest power first."""
    top = length - 1
    mask = (1 << length) - 1
    register = 0
    for i in range(first, stop):
        feedback = ((register >> top) & 1) ^ bits[i]
        register = ((register << 1) & mask) ^ (polynomial * feedback)
    return register


@kernel
def write_crc(bits: NDArray[np.uint8], stop: int, polynomial: int, length: int) -> None:
    """Write the parity bits of bits[:stop] to bits[stop : stop + length], in place."""
    register = crc_remainder(bits, 0, stop, polynomial, length)
    for i in range(length):
        bits[stop + i] = (register >> (length - 1 - i)) & 1


def append_crc(bits: NDArray[np.uint8], kind: CrcKind) -> NDArray[np.uint8]:
    """Return `bits` followed by their parity bits.

    Args:
        bits: uint8[k], each 0 or 1, first transmitted bit first; k may be 0.
        kind: "crc16", "crc24a" or "crc24b".

    Returns:
        uint8[k + CRC_BITS[kind]], a new array.

    Raises:
        ChannelError: unknown `kind`.

    Source: 3GPP TS 38.212, 5.1.
    """
    length = _crc_bits(kind)
    out = np.empty(len(bits) + length, np.uint8)
    out[: len(bits)] = bits
    write_crc(out, len(bits), CRC_POLYNOMIALS[kind], length)
    return out


def check_crc(bits: NDArray[np.uint8], kind: CrcKind) -> bool:
    """Tell whether the last CRC_BITS[kind] of `bits` are the parity bits of those before them.

    Args:
        bits: uint8[k + CRC_BITS[kind]], each 0 or 1.
        kind: "crc16", "crc24a" or "crc24b".

    Raises:
        ChannelError: unknown `kind`, or fewer bits than the check itself has.
    """
    length = _crc_bits(kind)
    if len(bits) < length:
        raise ChannelError(f"{kind}: expected at least {length} bits, found {len(bits)}")
    word = np.ascontiguousarray(bits, np.uint8)
    return crc_remainder(word, 0, len(word), CRC_POLYNOMIALS[kind], length) == 0


def _crc_bits(kind: str) -> int:
    if kind not in CRC_BITS:
        raise ChannelError(f"CRC: expected one of {', '.join(CRC_BITS)}, found {kind!r}")
    return CRC_BITS[kind]
