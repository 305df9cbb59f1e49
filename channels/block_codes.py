"""Which code a packet gets: the one place that knows them all.

    ldpc         LDPC for every packet
    polar        polar for every packet, which limits their size
    ldpc_polar   polar for packets up to `SHORT_PAYLOAD_BITS`, LDPC for longer ones
    none         a CRC only
    ideal        none: whether a packet arrives follows from the noise (channels/ideal.py)

At one code rate, a polar block costs what an LDPC block of the same payload costs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from channels.block import Block, BlockSizes
from channels.coding import transport_block_code
from channels.errors import ChannelError
from channels.ideal import ideal_sizes, largest_ideal_payload_bits
from channels.polar_block import (
    SHORT_PAYLOAD_BITS,
    largest_polar_payload_bits,
    polar_block,
    polar_sizes,
)
from channels.transport_sizes import largest_payload_bits, transport_sizes
from channels.uncoded import largest_uncoded_payload_bits, uncoded_block

CodeName = Literal["ldpc", "polar", "none"]
Coding = Literal["ldpc", "polar", "ldpc_polar", "none", "ideal"]
CODINGS: tuple[Coding, ...] = get_args(Coding)


@dataclass(frozen=True)
class CodeSizes:
    """What packets of any size that a code takes cost.

    Each function has the code rate and the bits per symbol as its last arguments.

    Attributes:
        sizes: of the block for so many payload bits.
        largest_payload_bits: in whole bytes, that so many symbols can carry; 0 if none.
    """

    sizes: Callable[[int, float, int], BlockSizes]
    largest_payload_bits: Callable[[int, float, int], int]


@dataclass(frozen=True)
class BlockCode(CodeSizes):
    """One code that bits are sent with.

    Attributes:
        name: of the code.
        block: as `sizes`, the block itself, which takes longer.
        has_versions: retransmissions can bring other bits; else they repeat the same.
    """

    name: CodeName
    block: Callable[[int, float, int], Block]
    has_versions: bool


def _largest_polar(symbols: int, code_rate: float, bits_per_symbol: int) -> int:
    most = largest_polar_payload_bits(code_rate, bits_per_symbol) // 8 * 8
    return min(largest_payload_bits(symbols, code_rate, bits_per_symbol), most)


LDPC = BlockCode(transport_sizes, largest_payload_bits, "ldpc", transport_block_code, True)
POLAR = BlockCode(polar_sizes, _largest_polar, "polar", polar_block, False)
UNCODED = BlockCode(
    lambda payload_bits, _, bits_per_symbol: uncoded_block(payload_bits, bits_per_symbol),
    lambda symbols, _, bits_per_symbol: largest_uncoded_payload_bits(symbols, bits_per_symbol),
    "none",
    lambda payload_bits, _, bits_per_symbol: uncoded_block(payload_bits, bits_per_symbol),
    False,
)
IDEAL = CodeSizes(
    lambda payload_bits, code_rate, _: ideal_sizes(payload_bits, code_rate),
    lambda symbols, code_rate, _: largest_ideal_payload_bits(symbols, code_rate),
)


_CODES: dict[CodeName, BlockCode] = {code.name: code for code in (LDPC, POLAR, UNCODED)}


def block_code(
    coding: Coding, payload_bits: int, code_rate: float, bits_per_symbol: int
) -> BlockCode:
    """The code for packets of so many bits. ChannelError for an ideal one, which has no blocks."""
    if coding == "ideal":
        raise ChannelError("coding: expected a code that bits are sent with, found 'ideal'")
    if coding != "ldpc_polar":
        return _CODES[coding]
    largest = min(SHORT_PAYLOAD_BITS, largest_polar_payload_bits(code_rate, bits_per_symbol))
    return POLAR if payload_bits <= largest else LDPC


def code_sizes(
    coding: Coding, payload_bits: int, code_rate: float, bits_per_symbol: int
) -> CodeSizes:
    """What tells the cost of packets of so many bits."""
    if coding == "ideal":
        return IDEAL
    return block_code(coding, payload_bits, code_rate, bits_per_symbol)


def largest_code(coding: Coding) -> CodeSizes:
    """The code for the largest packets."""
    if coding == "ideal":
        return IDEAL
    return LDPC if coding == "ldpc_polar" else _CODES[coding]
