"""One payload as a coded transport block: CRC, segmentation, LDPC code, and back.

    payload -> CRC -> segments, each with CRC24B -> LDPC -> rate matching, interleaving -> bits

It follows 3GPP TS 38.212, 7.2, and differs from it in three points, as any payload is accepted and
not only the sizes of TS 38.214:

  - segments of unequal size are made equal by zeros after the block's CRC (the standard's sizes
    come out equal); payloads too short for the smallest code get zeros as well, both counted as
    padding;
  - the base graph is chosen for each code block's own size and rate;
  - the number of sent bits follows from the code rate, not from an allocation.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.crc import CRC_BITS, CRC_POLYNOMIALS, CrcKind, crc_remainder, write_crc
from channels.errors import ChannelError
from channels.harq import SoftBuffer
from channels.ldpc_decoder import DEFAULT_ITERATIONS, decode_ldpc
from channels.ldpc_encoder import encode_ldpc
from channels.ldpc_graph import LdpcGraph, ldpc_graph
from channels.transport_sizes import (
    SEGMENT_CRC_BITS,
    CrcRule,
    SizedBlock,
    TransportSizes,
    largest_payload_bits,
    transport_crc,
    transport_sizes,
)

__all__ = ["CrcRule", "TransportBlockCode", "largest_payload_bits", "transport_block_code"]


@dataclass(frozen=True)
class TransportBlockCode(SizedBlock):
    """The code for payloads of one size; immutable, to be had cached from `transport_block_code`.

    Attributes:
        payload_bits: 1 or more.
        code_rate: 0.025 .. 0.95, upper bound of k / n of every code block. Below 1/5 (1/3 for
            some long blocks) bits are repeated. Above 0.9 some blocks of up to 31 bytes cannot be
            decoded even without noise, as too few parities are left to recover the two columns
            that are never sent; `decode` then reports a failure. (The standard's modulation and
            coding schemes end at 948/1024 = 0.926.)
        bits_per_symbol: modulation order, for the bit interleaver and whole symbols.
        crc: which CRC protects the payload as a whole: "5g" (CRC16 up to 3824 bits, else CRC24A),
            "crc16", "crc24a" or "none".
        sizes: the bits and channel uses of the block, by purpose.

    Raises:
        ChannelError: values outside these ranges.
    """

    payload_bits: int
    code_rate: float
    bits_per_symbol: int
    crc: CrcRule = "5g"
    sizes: TransportSizes = field(init=False, repr=False, compare=False)
    _graph: LdpcGraph = field(init=False, repr=False, compare=False)
    _crc_kind: CrcKind | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sizes = transport_sizes(self.payload_bits, self.code_rate, self.bits_per_symbol, self.crc)
        graph = ldpc_graph(
            sizes.block_information_bits, sizes.block_coded_bits, self.bits_per_symbol
        )
        object.__setattr__(self, "sizes", sizes)
        object.__setattr__(self, "_graph", graph)
        object.__setattr__(self, "_crc_kind", transport_crc(self.payload_bits, self.crc))

    def graph(self, rv: int = 0) -> LdpcGraph:
        """The LDPC code of every code block for one redundancy version, 0 .. 3."""
        if rv == 0:
            return self._graph
        k, n = self.sizes.block_information_bits, self.sizes.block_coded_bits
        return ldpc_graph(k, n, self.bits_per_symbol, rv)

    def encode(self, payload: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Encode one payload: its first transmission, redundancy version 0.

        Args:
            payload: uint8[payload_bits], each 0 or 1.

        Returns:
            uint8[coded_bits], one code block after the other.

        Raises:
            ChannelError: `payload` has another size.
        """
        return self.encode_version(payload, 0)

    def encode_version(self, payload: NDArray[np.uint8], rv: int) -> NDArray[np.uint8]:
        """Encode one payload and select the bits of one redundancy version.

        Args:
            payload: uint8[payload_bits], each 0 or 1.
            rv: 0 .. 3 (3GPP TS 38.212, 5.4.2.1). All have the same size.

        Returns:
            uint8[coded_bits], one code block after the other.

        Raises:
            ChannelError: `payload` has another size, or there is no such version.
        """
        if payload.shape != (self.payload_bits,):
            raise ChannelError(
                f"transport block: expected bits[{self.payload_bits}], found {payload.shape}"
            )
        blocks, k = self.sizes.code_blocks, self.sizes.block_information_bits
        if blocks == 1:
            information = np.zeros((1, k), np.uint8)
            self._write_payload(payload, information[0])
        else:
            piece = k - SEGMENT_CRC_BITS
            joined = np.zeros(blocks * piece, np.uint8)
            self._write_payload(payload, joined)
            information = np.empty((blocks, k), np.uint8)
            information[:, :piece] = joined.reshape(blocks, piece)
            for block in information:
                write_crc(block, piece, CRC_POLYNOMIALS["crc24b"], SEGMENT_CRC_BITS)
        return encode_ldpc(information, self.graph(rv)).reshape(-1)

    def decode(
        self, llr: NDArray[np.float32], max_iterations: int = DEFAULT_ITERATIONS
    ) -> tuple[NDArray[np.uint8], bool]:
        """Decode one received block of redundancy version 0.

        Args:
            llr: float32[coded_bits], log p(1) / p(0) of each sent bit.
            max_iterations: of the LDPC decoder, which stops once all parity checks hold.

        Returns:
            uint8[payload_bits], the decided payload, and whether every CRC holds (for a block
            without any CRC: whether the parity checks of the code hold).

        Raises:
            ChannelError: `llr` has another size, or no iteration is allowed.
        """
        return self.decode_words(self.words(llr), self._graph, max_iterations)

    def reception(self, max_iterations: int = DEFAULT_ITERATIONS) -> SoftBuffer:
        """A receiver that has heard nothing yet. `max_iterations`: of the LDPC decoder."""
        return SoftBuffer(self, max_iterations)

    def words(self, llr: NDArray[np.float32]) -> NDArray[np.float32]:
        """The LLRs of one reception, float32[coded_bits], by code block: float32[blocks, n].

        Raises:
            ChannelError: `llr` has another size.
        """
        if llr.shape != (self.coded_bits,):
            raise ChannelError(
                f"transport block: expected llr[{self.coded_bits}], found {llr.shape}"
            )
        return llr.reshape(self.sizes.code_blocks, self.sizes.block_coded_bits)

    def decode_words(
        self,
        words: NDArray[np.float32],
        graph: LdpcGraph,
        max_iterations: int = DEFAULT_ITERATIONS,
    ) -> tuple[NDArray[np.uint8], bool]:
        """Decode the code blocks and check every CRC, as `decode` does.

        Args:
            words: float32[code_blocks, graph.n], LLRs of what `graph` sends.
            graph: of one redundancy version, or of several combined.
            max_iterations: of the LDPC decoder.
        """
        blocks, k = self.sizes.code_blocks, self.sizes.block_information_bits
        information, parity_ok = decode_ldpc(words, graph, max_iterations)
        if blocks == 1:
            joined = information[0]
            ok = True
        else:
            polynomial = CRC_POLYNOMIALS["crc24b"]
            ok = all(
                crc_remainder(block, 0, k, polynomial, SEGMENT_CRC_BITS) == 0
                for block in information
            )
            joined = information[:, : k - SEGMENT_CRC_BITS].reshape(-1)
        if self._crc_kind is not None:
            length = CRC_BITS[self._crc_kind]
            polynomial = CRC_POLYNOMIALS[self._crc_kind]
            ok = (
                ok and crc_remainder(joined, 0, self.payload_bits + length, polynomial, length) == 0
            )
        elif blocks == 1:
            ok = bool(parity_ok[0])
        return joined[: self.payload_bits], ok

    def _write_payload(self, payload: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        out[: self.payload_bits] = payload
        if self._crc_kind is not None:
            kind = self._crc_kind
            write_crc(out, self.payload_bits, CRC_POLYNOMIALS[kind], CRC_BITS[kind])


@lru_cache(maxsize=512)
def transport_block_code(
    payload_bits: int, code_rate: float, bits_per_symbol: int, crc: CrcRule = "5g"
) -> TransportBlockCode:
    """The same `TransportBlockCode` for the same arguments; the graph is built only once."""
    return TransportBlockCode(payload_bits, code_rate, bits_per_symbol, crc)
