"""Hybrid ARQ: a block that fails is sent again, and the receiver keeps what it has heard.

LLRs of all receptions are added up bit by bit in a buffer of the LDPC mother code, then decoded
with the part of the code that has been received so far. Two ways to choose what is sent again:

    chase         0, 0, 0, 0    the same bits: their SNRs add up
    incremental   0, 2, 3, 1    other parities: the code rate falls as well

Blocks without redundancy versions, as those of polar codes, repeat the same bits either way.

Source: 3GPP TS 38.212, 5.4.2.1 (redundancy versions); D. Chase, "Code combining: a maximum-
likelihood decoding approach for combining an arbitrary number of noisy packets", IEEE Trans.
Commun. 33(5), 1985.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from channels.block import Block
from channels.errors import ChannelError
from channels.kernels import kernel
from channels.ldpc_decoder import DEFAULT_ITERATIONS
from channels.ldpc_graph import check_version, combined_graph, mother_code, received_positions

if TYPE_CHECKING:
    from channels.coding import TransportBlockCode

HarqMode = Literal["chase", "incremental"]

#: Redundancy versions in the order of sending; the sequence starts again after its last.
VERSION_SEQUENCES: dict[HarqMode, tuple[int, ...]] = {
    "chase": (0, 0, 0, 0),
    "incremental": (0, 2, 3, 1),
}


def redundancy_version(mode: HarqMode, transmission: int) -> int:
    """The redundancy version of a block's transmission, the first being number 0.

    Raises:
        ChannelError: unknown mode or a negative number.
    """
    if mode not in VERSION_SEQUENCES:
        expected = " or ".join(VERSION_SEQUENCES)
        raise ChannelError(f"HARQ mode: expected {expected}, found {mode!r}")
    if transmission < 0:
        raise ChannelError(f"HARQ: expected transmission >= 0, found {transmission}")
    sequence = VERSION_SEQUENCES[mode]
    return sequence[transmission % len(sequence)]


@kernel
def _add_words(
    words: NDArray[np.float32], positions: NDArray[np.int32], buffer: NDArray[np.float32]
) -> None:
    for word in range(len(words)):
        for i in range(len(positions)):
            buffer[word, positions[i]] += words[word, i]


class SoftBuffer:
    """What a receiver remembers of one transport block: the sum of all LLRs of each coded bit.

    With a single reception of version 0 it decides exactly as `TransportBlockCode.decode`.
    """

    def __init__(self, code: TransportBlockCode, max_iterations: int = DEFAULT_ITERATIONS) -> None:
        """An empty buffer for one block of `code`. `max_iterations`: of the decoder, at least 1."""
        self._code = code
        self._max_iterations = max_iterations
        self._block = (
            code.sizes.block_information_bits,
            code.sizes.block_coded_bits,
            code.bits_per_symbol,
        )
        self._mother = mother_code(*self._block[:2])
        shape = (code.sizes.code_blocks, self._mother.codeword_bits)
        self._llr = np.zeros(shape, np.float32)
        self._versions: list[int] = []

    @property
    def versions(self) -> tuple[int, ...]:
        """The redundancy versions added so far, in their order."""
        return tuple(self._versions)

    def add(self, llr: NDArray[np.float32], rv: int = 0) -> None:
        """Combine one more reception with those before it.

        Args:
            llr: float32[coded_bits], log p(1) / p(0) of each sent bit.
            rv: the redundancy version that was sent, 0 .. 3.

        Raises:
            ChannelError: `llr` has another size, or there is no such version.
        """
        check_version(rv)
        words = np.ascontiguousarray(self._code.words(llr), np.float32)
        _add_words(words, self._mother.sent_positions(*self._block[1:], rv), self._llr)
        self._versions.append(rv)

    def words(self) -> NDArray[np.float32]:
        """The combined LLRs of all bits received so far: float32[code_blocks, bits].

        Their order is that of `channels.ldpc_graph.combined_graph`.

        Raises:
            ChannelError: nothing has been received.
        """
        return self._llr[:, received_positions(*self._block, frozenset(self._versions))]

    def decode(self) -> tuple[NDArray[np.uint8], bool]:
        """Decode all receptions together; more can be added afterwards.

        Returns:
            uint8[payload_bits] and whether every CRC holds, as `TransportBlockCode.decode`.

        Raises:
            ChannelError: nothing has been received, or no iteration is allowed.
        """
        words = self.words()
        graph = combined_graph(*self._block, frozenset(self._versions))
        return self._code.decode_words(words, graph, self._max_iterations)


@dataclass(frozen=True, eq=False)
class HarqOutcome:
    """What became of one transport block.

    Attributes:
        payload: uint8[payload_bits], as decided after the last transmission.
        ok: every CRC held after the last transmission.
        transmissions: how often the block was sent, at least 1.
    """

    payload: NDArray[np.uint8]
    ok: bool
    transmissions: int


def send_with_harq(
    block: Block,
    payload: NDArray[np.uint8],
    transmit: Callable[[NDArray[np.uint8], int], NDArray[np.float32]],
    mode: HarqMode = "incremental",
    max_transmissions: int = 4,
    max_iterations: int = DEFAULT_ITERATIONS,
) -> HarqOutcome:
    """Send one block until it is decoded or may not be sent again; the answers come for free.

    Args:
        block: of any code; those without redundancy versions repeat the same bits.
        payload: uint8[payload_bits], each 0 or 1.
        transmit: takes the coded bits, uint8[coded_bits], and the number of the transmission, the
            first being 0; gives their LLRs, float32[coded_bits].
        mode: what is sent again, "chase" or "incremental".
        max_transmissions: the first included, at least 1.
        max_iterations: of a decoder that iterates, at each attempt.

    Raises:
        ChannelError: a payload of another size, an unknown mode, or no transmission allowed.
    """
    if max_transmissions < 1:
        raise ChannelError(f"HARQ: expected max_transmissions >= 1, found {max_transmissions}")
    reception = block.reception(max_iterations)
    for transmission in range(max_transmissions):
        rv = redundancy_version(mode, transmission)
        reception.add(transmit(block.encode_version(payload, rv), transmission), rv)
        decided, ok = reception.decode()
        if ok:
            break
    return HarqOutcome(decided, ok, transmission + 1)
