"""Random code words and their decoding, for many blocks of one size at once."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from channels.crc import CRC_BITS, CRC_POLYNOMIALS, write_crc
from channels.ldpc_decoder import decode_ldpc
from channels.ldpc_encoder import encode_ldpc
from channels.ldpc_graph import combined_graph, ldpc_graph, mother_code, received_positions
from channels.polar_block import POLAR_CRC
from channels.polar_code import encode_polar, polar_code
from channels.polar_decoder import decode_polar
from channels.transport_sizes import TransportSizes

TableCode = Literal["ldpc", "polar"]

Bits = NDArray[np.uint8]
Llrs = NDArray[np.float32]


class RandomWords(Protocol):
    """Words of one code that are received several times."""

    def draw(self, generator: np.random.Generator, count: int) -> Bits:
        """Random information bits, CRC included: uint8[count, k]."""

    def encode(self, words: Bits, transmission: int) -> Bits:
        """The bits of a transmission, 0 being the first: uint8[count, n]."""

    def decode(self, received: Sequence[Llrs], max_iterations: int) -> Bits:
        """From one float32[count, n] for each transmission: uint8[count, k]."""


def random_words(
    code: TableCode, sizes: TransportSizes, bits_per_symbol: int, versions: Sequence[int]
) -> RandomWords:
    """Words of a code.

    Args:
        code: which one.
        sizes: of a transport block of one code block.
        bits_per_symbol: modulation order.
        versions: the redundancy version of each transmission.
    """
    k, n = sizes.block_information_bits, sizes.block_coded_bits
    return _PolarWords(k, n) if code == "polar" else _LdpcWords(k, n, bits_per_symbol, versions)


class _LdpcWords:
    def __init__(self, k: int, n: int, m: int, versions: Sequence[int]) -> None:
        received = frozenset(versions)
        self._k = k
        self._graphs = [ldpc_graph(k, n, m, rv) for rv in versions]
        self._combined = combined_graph(k, n, m, received)
        # Place of each version's bits among all that are received.
        mother = mother_code(k, n)
        positions = received_positions(k, n, m, received)
        self._places = [
            np.searchsorted(positions, mother.sent_positions(n, m, rv)) for rv in versions
        ]

    def draw(self, generator: np.random.Generator, count: int) -> Bits:
        # Random bits stand for payload and CRC; a CRC that holds by chance, one failed block in
        # 2^16, is not seen.
        return generator.integers(0, 2, (count, self._k), np.uint8)

    def encode(self, words: Bits, transmission: int) -> Bits:
        return encode_ldpc(words, self._graphs[transmission])

    def decode(self, received: Sequence[Llrs], max_iterations: int) -> Bits:
        llr = np.zeros((len(received[0]), self._combined.n), np.float32)
        for heard, places in zip(received, self._places, strict=True):
            _add_columns(llr, places, heard)
        return decode_ldpc(llr, self._combined, max_iterations)[0]


class _PolarWords:
    def __init__(self, k: int, n: int) -> None:
        self._code = polar_code(k, n)

    def draw(self, generator: np.random.Generator, count: int) -> Bits:
        # The CRC is needed, as it chooses among the candidates.
        words = generator.integers(0, 2, (count, self._code.k), np.uint8)
        length = CRC_BITS[POLAR_CRC]
        for word in words:
            write_crc(word, self._code.k - length, CRC_POLYNOMIALS[POLAR_CRC], length)
        return words

    def encode(self, words: Bits, transmission: int) -> Bits:  # noqa: ARG002
        return encode_polar(words, self._code)

    def decode(self, received: Sequence[Llrs], max_iterations: int) -> Bits:  # noqa: ARG002
        total = np.zeros_like(received[0])
        for heard in received:
            total += heard
        return decode_polar(total, self._code, POLAR_CRC)[0]


def _add_columns(total: Llrs, columns: NDArray[np.intp], part: Llrs) -> None:
    """total[:, columns[i]] += part[:, i] for every i; a column may come up several times."""
    # Where numpy is to add to several columns at once, they have to be different ones: first each
    # column's first occurrence, then its second ...
    order = np.argsort(columns, kind="stable")
    ordered = columns[order]
    occurrence = np.arange(len(columns)) - np.searchsorted(ordered, ordered)
    for which in range(int(occurrence.max()) + 1):
        chosen = order[occurrence == which]
        total[:, columns[chosen]] += part[:, chosen]
