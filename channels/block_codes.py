"""Which code a packet gets: the one place that knows them all.

    ldpc         LDPC for every packet
    polar        polar for every packet, which limits their size
    ldpc_polar   polar for packets up to `SHORT_PAYLOAD_BITS`, LDPC for longer ones
    none         a CRC only

At one code rate, a polar block costs what an LDPC block of the same payload costs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from channels.block import Block, BlockSizes
from channels.coding import transport_block_code
from channels.polar_block import (
    SHORT_PAYLOAD_BITS,
    largest_polar_payload_bits,
    polar_block,
    polar_sizes,
)
from channels.transport_sizes import largest_payload_bits, transport_sizes
from channels.uncoded import largest_uncoded_payload_bits, uncoded_block

CodeName = Literal["ldpc", "polar", "none"]
Coding = Literal["ldpc", "polar", "ldpc_polar", "none"]
CODINGS: tuple[Coding, ...] = get_args(Coding)


@dataclass(frozen=True)
class BlockCode:
    """One code, for packets of any size that it takes.

    Each function has the code rate and the bits per symbol as its last arguments.

    Attributes:
        name: of the code.
        block: the block for so many payload bits.
        sizes: its sizes, which is cheaper.
        largest_payload_bits: in whole bytes, that so many symbols can carry; 0 if none.
        has_versions: retransmissions can bring other bits; else they repeat the same.
    """

    name: CodeName
    block: Callable[[int, float, int], Block]
    sizes: Callable[[int, float, int], BlockSizes]
    largest_payload_bits: Callable[[int, float, int], int]
    has_versions: bool


def _largest_polar(symbols: int, code_rate: float, bits_per_symbol: int) -> int:
    most = largest_polar_payload_bits(code_rate, bits_per_symbol) // 8 * 8
    return min(largest_payload_bits(symbols, code_rate, bits_per_symbol), most)


LDPC = BlockCode("ldpc", transport_block_code, transport_sizes, largest_payload_bits, True)
POLAR = BlockCode("polar", polar_block, polar_sizes, _largest_polar, False)
UNCODED = BlockCode(
    "none",
    lambda payload_bits, _, bits_per_symbol: uncoded_block(payload_bits, bits_per_symbol),
    lambda payload_bits, _, bits_per_symbol: uncoded_block(payload_bits, bits_per_symbol),
    lambda symbols, _, bits_per_symbol: largest_uncoded_payload_bits(symbols, bits_per_symbol),
    False,
)


_CODES: dict[CodeName, BlockCode] = {code.name: code for code in (LDPC, POLAR, UNCODED)}


def block_code(
    coding: Coding, payload_bits: int, code_rate: float, bits_per_symbol: int
) -> BlockCode:
    """The code for packets of so many bits."""
    if coding != "ldpc_polar":
        return _CODES[coding]
    largest = min(SHORT_PAYLOAD_BITS, largest_polar_payload_bits(code_rate, bits_per_symbol))
    return POLAR if payload_bits <= largest else LDPC


def largest_code(coding: Coding) -> BlockCode:
    """The code for the largest packets."""
    return LDPC if coding == "ldpc_polar" else _CODES[coding]
