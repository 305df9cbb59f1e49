"""Erasure coding across packets: parity packets that bring lost packets back.

    data packets 0 .. k-1, sent as they are  |  parity packets k .. k+m-1

A systematic Reed-Solomon code over GF(256): the parity part of its generator is a Cauchy matrix,
whose square submatrices are all invertible, so that any k of the k + m packets give everything
back (R. M. Roth, G. Seroussi, "On generator matrices of MDS codes", IEEE Transactions on
Information Theory 31, 1985). Its columns are scaled so that the first parity packet is the XOR of
the data packets. Parity i is

    sum over j:  c[i, j] s[j],    c[i, j] = (255 - j) / ((255 - i) - j),    - and + being XOR,

in every byte position, modulo x^8 + x^4 + x^3 + x^2 + 1, and does not depend on m.

What it costs. The packets may differ in length: the code works on symbols

    s[j]  =  length of data packet j (2 bytes, most significant first) | its bytes | zeros

as RFC 5109 does with its length recovery field. Data packets are sent without length and zeros;
each parity packet is a whole symbol, 2 bytes longer than the longest data packet of its block.
That is all that is added, and what `parity_sizes` says.

What the receiver must know, and is not charged here: the number of each packet that arrived, and
the two counts. It needs no lengths but those of the packets that did arrive.

Limits. A block has at most 256 packets. More are split into the smallest number b of blocks that
suffices, dealt out in turn: packet n of all k + m belongs to block n mod b. So blocks differ by at
most one packet of each kind, and a burst is spread evenly over them; "any k" then holds within each
block. With fewer parity packets than blocks some blocks have none.

Field arithmetic is galois (MIT licence, one wheel for all platforms, on numpy and numba as this
project is). zfec is faster, but under the GPL and without wheels for Linux on arm64; reedsolo is
pure Python and a hundred times slower at long blocks; raptorq is not MDS. galois takes up
to two seconds to start: it is imported when the first parity is computed, and only then.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from channels.channel import check_range
from channels.errors import ChannelError

#: Data and parity packets together.
MAX_BLOCK_PACKETS = 256
LENGTH_BYTES = 2
MAX_PIECE_BYTES = (1 << 8 * LENGTH_BYTES) - 1

_POLYNOMIAL = 0x11D


def parity_for(data_count: int, erasure_rate: float) -> int:
    """Parity packets of an erasure code of rate at most `erasure_rate`: as few as there can be.

    Args:
        data_count: data packets, at least 1.
        erasure_rate: data packets per packet sent, 1/256 .. 1 (no parity).

    Raises:
        ChannelError: a value outside its range.
    """
    _check_counts(data_count, 0)
    check_range("erasure_rate", erasure_rate, 1.0 / MAX_BLOCK_PACKETS, 1.0)
    # A rate such as 0.7 is a little off in binary and must not cost a packet more.
    return math.ceil(data_count / erasure_rate * (1.0 - 1e-12)) - data_count


def residual_loss(data_count: int, parity_count: int, loss_probability: float) -> float:
    """The expected share of data packets that are lost and do not come back.

    A packet of a block of n, m of them parity, stays lost if at least m of the others are lost as
    well: p P(Binomial(n - 1, p) >= m). Several blocks count by their data packets.

    Args:
        data_count: data packets, at least 1.
        parity_count: parity packets, at least 0.
        loss_probability: p, 0 .. 1, of each packet independently of the others.

    Raises:
        ChannelError: a value outside its range.
    """
    _check_counts(data_count, parity_count)
    check_range("loss_probability", loss_probability, 0.0, 1.0)
    lost = 0.0
    for data, parity in _blocks(data_count, parity_count):
        k, m = len(data), len(parity)
        too_many = float(bdtrc(m - 1, k + m - 1, loss_probability)) if m else 1.0
        lost += k * loss_probability * too_many
    return lost / data_count


def parity_sizes(sizes: Sequence[int], parity: int) -> list[int]:
    """Bytes of each of the `parity` packets that `protect` makes for data packets of such sizes.

    Raises:
        ChannelError: as `protect`.
    """
    _check_counts(len(sizes), parity)
    for number, size in enumerate(sizes):
        if not 0 <= size <= MAX_PIECE_BYTES:
            raise ChannelError(
                f"data packet {number}: expected 0 .. {MAX_PIECE_BYTES} bytes, found {size}"
            )
    found = [0] * parity
    for data_numbers, parity_numbers in _blocks(len(sizes), parity):
        for number in parity_numbers:
            found[number] = LENGTH_BYTES + max(sizes[j] for j in data_numbers)
    return found


def protect(pieces: Sequence[bytes], parity: int) -> list[bytes]:
    """The parity packets.

    Args:
        pieces: the data packets, at least one, of 0 .. 65535 bytes each.
        parity: how many parity packets, 0 .. 255 for each data packet.

    Returns:
        `parity` packets of `parity_sizes` bytes.

    Raises:
        ChannelError: no data packet, one that is too long, or a number outside its range.
    """
    sizes = parity_sizes([len(piece) for piece in pieces], parity)
    packets = [b""] * parity
    for data, parities in _blocks(len(pieces), parity):
        if not parities:
            continue
        symbol_bytes = sizes[parities[0]]
        symbols = np.stack([_symbol(pieces[j], symbol_bytes) for j in data])
        coded = _product(_coefficients(range(len(parities)), range(len(data))), symbols)
        for i, row in zip(parities, coded, strict=True):
            packets[i] = row.tobytes()
    return packets


def recover(
    received: Mapping[int, bytes], data_count: int, parity_count: int
) -> list[bytes | None]:
    """The data packets, as far as they arrived or can be computed.

    Args:
        received: packets by number: data packets 0 .. data_count - 1, then the parity packets in
            the order of `protect`.
        data_count: data packets sent, at least 1.
        parity_count: parity packets sent, at least 0.

    Returns:
        `data_count` packets; None for one that is lost for good. A block of which as many packets
        arrived as it has data packets is complete. Of any other block, there is what arrived.

        Received packets are taken to be right. One that is not makes wrong packets of those that
        are computed; a computed packet that cannot be a symbol (its length or its zeros) is None.

    Raises:
        ChannelError: a number that was not sent, or sizes that do not belong together.
    """
    _check_counts(data_count, parity_count)
    for number in received:
        if not 0 <= number < data_count + parity_count:
            raise ChannelError(
                f"packet number: expected 0 .. {data_count + parity_count - 1}, found {number}"
            )
    pieces = [received.get(number) for number in range(data_count)]
    for data, parities in _blocks(data_count, parity_count):
        lost = [j for j in range(len(data)) if pieces[data[j]] is None]
        coded = {
            i: received[data_count + number]
            for i, number in enumerate(parities)
            if data_count + number in received
        }
        if lost and len(lost) <= len(coded):
            for j, piece in _solved([pieces[number] for number in data], coded).items():
                pieces[data[j]] = piece
    return pieces


def _solved(pieces: list[bytes | None], coded: dict[int, bytes]) -> dict[int, bytes | None]:
    """The missing pieces of one block by their places, from at least as many parity symbols."""
    lost = [j for j, piece in enumerate(pieces) if piece is None]
    kept = [(j, piece) for j, piece in enumerate(pieces) if piece is not None]
    rows = sorted(coded)[: len(lost)]
    symbol_bytes = len(coded[rows[0]])
    longest = max((len(piece) for _, piece in kept), default=0)
    if any(len(packet) != symbol_bytes for packet in coded.values()) or (
        symbol_bytes < LENGTH_BYTES + longest
    ):
        raise ChannelError(
            f"parity packets: expected one size, at least {LENGTH_BYTES + longest} bytes, found "
            f"{', '.join(str(size) for size in sorted({len(p) for p in coded.values()}))}"
        )
    # What the lost pieces contributed to the parities, and from that the pieces.
    rest = np.stack([np.frombuffer(coded[i], np.uint8) for i in rows])
    if kept:
        symbols = np.stack([_symbol(piece, symbol_bytes) for _, piece in kept])
        rest = rest ^ _product(_coefficients(rows, [j for j, _ in kept]), symbols)
    solved = _product(_inverse(_coefficients(rows, lost)), rest)
    return {j: _piece(symbol) for j, symbol in zip(lost, solved, strict=True)}


def _symbol(piece: bytes, symbol_bytes: int) -> NDArray[np.uint8]:
    content = len(piece).to_bytes(LENGTH_BYTES, "big") + piece
    return np.frombuffer(content.ljust(symbol_bytes, b"\0"), np.uint8)


def _piece(symbol: NDArray[np.uint8]) -> bytes | None:
    end = LENGTH_BYTES + int.from_bytes(symbol[:LENGTH_BYTES].tobytes(), "big")
    if end > len(symbol) or symbol[end:].any():
        return None
    return symbol[LENGTH_BYTES:end].tobytes()


def _blocks(data_count: int, parity_count: int) -> list[tuple[range, range]]:
    """The numbers of each block's data packets and parity packets, both counted from 0."""
    blocks = -(-(data_count + parity_count) // MAX_BLOCK_PACKETS)
    return [
        (range(b, data_count, blocks), range((b - data_count) % blocks, parity_count, blocks))
        for b in range(blocks)
    ]


def _check_counts(data_count: int, parity_count: int) -> None:
    if data_count < 1:
        raise ChannelError(f"data packets: expected at least 1, found {data_count}")
    # A block has at least one data packet.
    most = (MAX_BLOCK_PACKETS - 1) * data_count
    if not 0 <= parity_count <= most:
        raise ChannelError(f"parity packets: expected 0 .. {most}, found {parity_count}")


@lru_cache(maxsize=1)
def _field() -> tuple[Any, NDArray[np.uint8]]:
    """GF(256) and all its products, uint8[256, 256]."""
    import galois
    import numba

    # With its other layer numba would set the number of OpenMP's threads for all of the process,
    # and torch's small operations then wait 10 to 50 times as long for each other.
    numba.config.THREADING_LAYER = "workqueue"
    field = galois.GF(2**8, irreducible_poly=_POLYNOMIAL)
    return field, np.asarray(np.multiply.outer(field.elements, field.elements)).view(np.ndarray)


def _coefficients(rows: Sequence[int], columns: Sequence[int]) -> NDArray[np.uint8]:
    """c[i, j] for some parity and data packets of a block, uint8[rows, columns]."""
    field, _ = _field()
    top = MAX_BLOCK_PACKETS - 1
    i, j = np.asarray(rows)[:, None], np.asarray(columns)[None, :]
    quotient = field(top ^ j) / field((top - i) ^ j)
    return np.asarray(quotient, np.uint8).view(np.ndarray)


def _inverse(matrix: NDArray[np.uint8]) -> NDArray[np.uint8]:
    field, _ = _field()
    return np.asarray(np.linalg.inv(field(matrix)), np.uint8).view(np.ndarray)


def _product(matrix: NDArray[np.uint8], symbols: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8[m, k] times uint8[k, bytes] over GF(256)."""
    _, products = _field()
    product = np.empty((len(matrix), symbols.shape[1]), np.uint8)
    for i, row in enumerate(matrix):
        np.bitwise_xor.reduce(products[row[:, None], symbols], axis=0, out=product[i])
    return product
