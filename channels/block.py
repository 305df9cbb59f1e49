"""What a packet becomes in the physical layer: the interface of its block, whatever its code.

    payload -> Block.encode_version -> bits    LLRs -> Reception.add, .decode -> payload, CRC holds

LDPC: `channels.coding`; polar: `channels.polar_block`; none: `channels.uncoded`.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class BlockSizes(Protocol):
    """payload + crc + padding + parity == coded bits, which fill `channel_uses` symbols."""

    @property
    def payload_bits(self) -> int:
        """What the sender wanted to send."""

    @property
    def crc_bits(self) -> int:
        """All checks."""

    @property
    def padding_bits(self) -> int:
        """Known zeros that are sent."""

    @property
    def parity_bits(self) -> int:
        """Redundancy of the code."""

    @property
    def coded_bits(self) -> int:
        """Everything that is sent."""

    @property
    def channel_uses(self) -> int:
        """Complex symbols of the modulation."""


class Reception(Protocol):
    """What a receiver has heard of one block so far."""

    def add(self, llr: NDArray[np.float32], rv: int) -> None:
        """Combine one more transmission with those before it.

        Args:
            llr: float32[coded_bits], log p(1) / p(0) of each sent bit.
            rv: the redundancy version that was sent.
        """

    def decode(self) -> tuple[NDArray[np.uint8], bool]:
        """uint8[payload_bits], the decided payload, and whether every CRC holds."""


class Block(BlockSizes, Protocol):
    """Encodes and decodes packets of one size."""

    def encode_version(self, payload: NDArray[np.uint8], rv: int) -> NDArray[np.uint8]:
        """The bits of one transmission, uint8[coded_bits], of uint8[payload_bits], each 0 or 1.

        `rv`: redundancy version, 0 .. 3; a block without any sends the same bits again.
        """

    def reception(self, max_iterations: int) -> Reception:
        """A receiver that has heard nothing yet. `max_iterations`: of a decoder that iterates."""


class OneShotBlock(BlockSizes, Protocol):
    """A block that is always sent with the same bits."""

    def decode(self, llr: NDArray[np.float32]) -> tuple[NDArray[np.uint8], bool]:
        """float32[coded_bits], log p(1) / p(0) -> payload, and whether the CRC holds."""


class RepeatedReception:
    """Of a block that is sent with the same bits again: their LLRs add up (Chase combining)."""

    def __init__(self, block: OneShotBlock) -> None:
        """Nothing heard yet of one block of this kind."""
        self._block = block
        self._llr = np.zeros(block.coded_bits, np.float32)

    def add(self, llr: NDArray[np.float32], rv: int) -> None:  # noqa: ARG002
        """See `Reception`."""
        self._llr += llr

    def decode(self) -> tuple[NDArray[np.uint8], bool]:
        """See `Reception`."""
        return self._block.decode(self._llr)
