"""The polar codes of 5G's uplink: which bits carry information, and what is sent of them.

    information bits -> the most reliable inputs of a polar transform -> N bits
    N bits -> 32 sub-blocks permuted -> first, last or repeated bits: n -> triangular interleaver

The transform of length N = 2^s multiplies by the s-th Kronecker power of | 1 0 |
                                                                          | 1 1 |
over GF(2); it is its own inverse. Its inputs become almost perfect or almost useless channels
(E. Arikan, "Channel polarization", IEEE Trans. Inf. Theory 55(7), 2009); the useless ones are
frozen to zero. Of what does not fit, n < N, either the first bits are not sent (punctured, at rates
up to 7/16: the receiver knows nothing of them) or the last ones are not (shortened: the frozen
inputs make them zeros, which the receiver knows). Where n > N, bits are repeated.

Source: 3GPP TS 38.212, 5.3.1 and 5.4.1, with n_max = 10, I_IL = 0, I_BIL = 1 and no parity-check
bits (n_PC = 0). The CRC is no part of it: see polar_block.py. The reliability sequence (table
5.3.1.2-1) is read from the installed Sionna distribution, without importing Sionna. Sionna's own
encoder freezes one input less with punctured bits than 5.4.1.1 says: about one in a hundred of its
punctured codes uses another input.
"""

import csv
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, isqrt

import numpy as np
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.kernels import kernel
from channels.sionna_tables import sionna_folder

MAX_INFORMATION_BITS = 1023
"""CRC included: the standard cuts longer messages into two (5.2.1), which is not done here."""
MIN_CODED_BITS = 18
MAX_CODED_BITS = 8192
"""Of the triangular interleaver (5.4.1.3)."""
MIN_MOTHER_BITS = 32
MAX_MOTHER_BITS = 1024
#: Up to this rate what does not fit is punctured, above it is shortened.
PUNCTURING_RATE = 7 / 16

#: Sub-blocks in the order of sending (TS 38.212, table 5.4.1.1-1).
SUB_BLOCKS = (
    0, 1, 2, 4, 3, 5, 6, 7, 8, 16, 9, 17, 10, 18, 11, 19,
    12, 20, 13, 21, 14, 22, 15, 23, 24, 25, 26, 28, 27, 29, 30, 31,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class PolarCode:
    """One polar code with its rate matching.

    Attributes:
        k: information bits per codeword, CRC included.
        n: sent bits per codeword.
        mother_bits: N, length of the polar transform, a power of two.
        information: int32[k]; the inputs of the transform that carry information, ascending.
        sent: int32[n]; the output of the transform behind each sent bit, in the order of sending.
        known_zeros: int32[]; outputs that are zero in every codeword and not sent.
    """

    k: int
    n: int
    mother_bits: int
    information: NDArray[np.int32]
    sent: NDArray[np.int32]
    known_zeros: NDArray[np.int32]


@lru_cache(maxsize=512)
def polar_code(k: int, n: int) -> PolarCode:
    """The 5G polar code that carries k information bits in n sent bits.

    Args:
        k: 1 .. 1023, any CRC included.
        n: 18 .. 8192, at least k.

    Raises:
        ChannelError: sizes outside these limits, or Sionna is not installed.
    """
    if not 1 <= k <= MAX_INFORMATION_BITS:
        raise ChannelError(f"polar: expected 1 <= k <= {MAX_INFORMATION_BITS}, found k = {k}")
    if not max(k, MIN_CODED_BITS) <= n <= MAX_CODED_BITS:
        raise ChannelError(
            f"polar: expected {max(k, MIN_CODED_BITS)} <= n <= {MAX_CODED_BITS}, found n = {n}"
        )
    length = mother_bits(k, n)
    # Output number i of the transform is sent in place interleaver[i] of the circular buffer.
    interleaver = sub_block_interleaver(length)
    unsent = max(length - n, 0)
    punctured = k / n <= PUNCTURING_RATE
    frozen = np.zeros(length, np.bool_)
    if unsent and punctured:
        frozen[interleaver[:unsent]] = True
        frozen[: _extra_frozen(length, n)] = True
        buffer = interleaver[unsent:]
    else:
        frozen[interleaver[length - unsent :]] = True
        buffer = interleaver[: length - unsent]
    ranking = reliability_sequence(length)
    usable = ranking[~frozen[ranking]]
    sent = buffer[np.arange(n) % len(buffer)]
    return PolarCode(
        k=k,
        n=n,
        mother_bits=length,
        information=np.sort(usable[len(usable) - k :]),
        sent=np.ascontiguousarray(sent[_triangular_interleaver(n)]),
        known_zeros=interleaver[:0] if punctured else interleaver[length - unsent :],
    )


def mother_bits(k: int, n: int) -> int:
    """Length N of the transform for k information and n sent bits (TS 38.212, 5.3.1)."""
    power = 1 << (n - 1).bit_length()
    # A little more than a power of two is rather repeated than punctured, unless the rate is high.
    if 8 * n <= 9 * (power // 2) and 16 * k < 9 * n:
        power //= 2
    lowest_rate = 1 << (8 * k - 1).bit_length()
    return max(min(power, lowest_rate, MAX_MOTHER_BITS), MIN_MOTHER_BITS)


def _extra_frozen(length: int, n: int) -> int:
    """How many of the first inputs puncturing freezes as well (TS 38.212, 5.4.1.1)."""
    if 4 * n >= 3 * length:
        return ceil(3 / 4 * length - n / 2)
    return ceil(9 / 16 * length - n / 4)


@lru_cache(maxsize=8)
def sub_block_interleaver(length: int) -> NDArray[np.int32]:
    """J(i) of TS 38.212, 5.4.1.1: int32[length], for a length that is a multiple of 32."""
    blocks = np.array(SUB_BLOCKS, np.int32)[:, np.newaxis] * np.int32(length // len(SUB_BLOCKS))
    places = blocks + np.arange(length // len(SUB_BLOCKS), dtype=np.int32)
    return np.ascontiguousarray(places, np.int32).reshape(-1)


def _triangular_interleaver(n: int) -> NDArray[np.intp]:
    """Which of n bits is sent in each place (TS 38.212, 5.4.1.3).

    They are written row by row into a triangle whose first row is the longest, and read column by
    column.
    """
    side = (isqrt(8 * n - 7) + 1) // 2
    row, column = np.nonzero(np.arange(side)[:, np.newaxis] + np.arange(side) < side)
    return np.lexsort((row[:n], column[:n]))


@lru_cache(maxsize=8)
def reliability_sequence(length: int) -> NDArray[np.int32]:
    """Inputs of a transform of `length` bits, from the least to the most reliable: int32[length].

    Source: 3GPP TS 38.212, table 5.3.1.2-1, as it is shipped with Sionna.

    Raises:
        ChannelError: Sionna is not installed.
    """
    folder = sionna_folder("polar table", "fec", "polar", "codes")
    with (folder / "polar_5G.csv").open(newline="", encoding="utf-8-sig") as table:
        rows = sorted((int(rank), int(place)) for rank, place in csv.reader(table, delimiter=";"))
    return np.array([place for _, place in rows if place < length], np.int32)


@kernel
def transform(bits: NDArray[np.uint8]) -> None:
    """The polar transform of uint8[2^s], each 0 or 1, in place; it is its own inverse."""
    half = 1
    # The longer of the two loops is the inner one.
    while half < min(len(bits), 8):
        for first in range(half):
            for i in range(first, len(bits), 2 * half):
                bits[i] ^= bits[i + half]
        half *= 2
    while half < len(bits):
        for first in range(0, len(bits), 2 * half):
            for i in range(first, first + half):
                bits[i] ^= bits[i + half]
        half *= 2


@kernel
def _encode_words(
    information_bits: NDArray[np.uint8],
    information: NDArray[np.int32],
    mother: NDArray[np.uint8],
    sent: NDArray[np.int32],
    out: NDArray[np.uint8],
) -> None:
    for word in range(len(out)):
        mother[:] = 0
        for i in range(len(information)):
            mother[information[i]] = information_bits[word, i]
        transform(mother)
        for i in range(len(sent)):
            out[word, i] = mother[sent[i]]


def encode_polar(bits: NDArray[np.uint8], code: PolarCode) -> NDArray[np.uint8]:
    """Encode words and select the bits to send.

    Args:
        bits: uint8[words, k], each 0 or 1, any CRC included.
        code: from `polar_code(k, n)`.

    Returns:
        uint8[words, n] in the order of sending.

    Raises:
        ChannelError: `bits` has another shape.
    """
    if bits.ndim != 2 or bits.shape[1] != code.k:
        raise ChannelError(f"polar: expected bits[words, {code.k}], found {bits.shape}")
    out = np.empty((len(bits), code.n), np.uint8)
    mother = np.empty(code.mother_bits, np.uint8)
    _encode_words(np.ascontiguousarray(bits, np.uint8), code.information, mother, code.sent, out)
    return out
