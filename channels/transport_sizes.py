"""How many bits and channel uses a transport block costs. Arithmetic only, cheap to search over.

    payload | CRC                                    one code block, k <= 8448 (3840 at low rates)
    payload | CRC24A | padding   cut into C pieces of equal size, each with a CRC24B of its own

Every code block of k bits becomes n sent bits, n being the smallest multiple of the modulation
order with k / n <= code rate.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from channels.crc import CRC_BITS, CrcKind
from channels.errors import ChannelError
from channels.ldpc_graph import (
    MAX_INFORMATION_BITS,
    MAX_INFORMATION_BITS_BG2,
    MIN_INFORMATION_BITS,
)

#: "5g" is the rule of 3GPP TS 38.212, 7.2.1: CRC16 up to 3824 payload bits, CRC24A above.
CrcRule = Literal["5g", "crc16", "crc24a", "none"]

#: Below 1/5 the circular buffer starts again and bits are repeated. The lowest rate of the
#: standard's modulation and coding schemes is 30/1024 = 0.029.
MIN_CODE_RATE = 0.025
MAX_CODE_RATE = 0.95
#: Up to this payload the 5G rule attaches the short CRC.
SHORT_CRC_PAYLOAD_BITS = 3824
#: Up to this code rate every code block uses base graph 2 and is at most 3840 bits long.
LOW_CODE_RATE = 0.25
SEGMENT_CRC_BITS = CRC_BITS["crc24b"]


@dataclass(frozen=True)
class TransportSizes:
    """Sizes of one coded transport block, all in bits but for the last two.

    payload + crc + padding + parity == coded == channel_uses * bits_per_symbol.

    Attributes:
        payload_bits: what the sender wanted to send.
        crc_bits: the block's CRC and those of its segments.
        padding_bits: known zeros that are sent: up to the smallest code (12 bits), or to make
            segments equally long.
        parity_bits: the LDPC code's redundancy.
        coded_bits: everything that is sent.
        block_information_bits: k of each code block, CRCs and padding included.
        block_coded_bits: n of each code block.
        code_blocks: C.
        channel_uses: complex symbols.
    """

    payload_bits: int
    crc_bits: int
    padding_bits: int
    parity_bits: int
    coded_bits: int
    block_information_bits: int
    block_coded_bits: int
    code_blocks: int
    channel_uses: int


class SizedBlock:
    """What a block says of its sizes, by those of its transport block."""

    sizes: TransportSizes

    @property
    def crc_bits(self) -> int:
        """All CRC bits, those of segments included."""
        return self.sizes.crc_bits

    @property
    def padding_bits(self) -> int:
        """Known zeros that are sent."""
        return self.sizes.padding_bits

    @property
    def parity_bits(self) -> int:
        """Redundancy of the code."""
        return self.sizes.parity_bits

    @property
    def coded_bits(self) -> int:
        """Everything that is sent: payload + CRC + padding + parity."""
        return self.sizes.coded_bits

    @property
    def channel_uses(self) -> int:
        """Complex symbols that the coded bits fill exactly."""
        return self.sizes.channel_uses


def transport_crc(payload_bits: int, crc: CrcRule) -> CrcKind | None:
    """The CRC that `crc` attaches to a payload as a whole; None for none."""
    if crc == "5g":
        return "crc16" if payload_bits <= SHORT_CRC_PAYLOAD_BITS else "crc24a"
    if crc == "none":
        return None
    if crc in ("crc16", "crc24a"):
        return crc
    raise ChannelError(f"CRC rule: expected 5g, crc16, crc24a or none, found {crc!r}")


@lru_cache(maxsize=8192)
def transport_sizes(
    payload_bits: int, code_rate: float, bits_per_symbol: int, crc: CrcRule = "5g"
) -> TransportSizes:
    """Sizes of the coded block for a payload.

    Args:
        payload_bits: at least 1.
        code_rate: 0.025 .. 0.95, upper bound of k / n of every code block.
        bits_per_symbol: bits per complex symbol, at least 1.
        crc: which CRC protects the block as a whole.

    Raises:
        ChannelError: values outside these ranges.
    """
    _check(code_rate, bits_per_symbol)
    if payload_bits < 1:
        raise ChannelError(f"transport block: expected payload_bits >= 1, found {payload_bits}")
    kind = transport_crc(payload_bits, crc)
    crc_bits = CRC_BITS[kind] if kind else 0
    checked_bits = payload_bits + crc_bits
    limit = _largest_block(code_rate)
    if checked_bits <= limit:
        blocks = 1
        k = max(checked_bits, MIN_INFORMATION_BITS)
    else:
        blocks = -(-checked_bits // (limit - SEGMENT_CRC_BITS))
        k = -(-checked_bits // blocks) + SEGMENT_CRC_BITS
        crc_bits += blocks * SEGMENT_CRC_BITS
    n = fewest_coded_bits(k, code_rate, bits_per_symbol)
    return TransportSizes(
        payload_bits=payload_bits,
        crc_bits=crc_bits,
        padding_bits=blocks * k - payload_bits - crc_bits,
        parity_bits=blocks * (n - k),
        coded_bits=blocks * n,
        block_information_bits=k,
        block_coded_bits=n,
        code_blocks=blocks,
        channel_uses=blocks * n // bits_per_symbol,
    )


def largest_payload_bits(
    channel_uses: int, code_rate: float, bits_per_symbol: int, crc: CrcRule = "5g"
) -> int:
    """The largest payload in whole bytes that needs at most `channel_uses`.

    With one more byte the cost may also fall (one code block more can round up to fewer symbols),
    so this is not a bisection: for each possible number of code blocks, from the largest down,
    the largest payload is known in closed form.

    Returns:
        A multiple of 8; 0 if not even one byte fits.

    Raises:
        ChannelError: code rate or modulation order out of range.
    """
    _check(code_rate, bits_per_symbol)
    limit = _largest_block(code_rate)
    most_information = math.floor(channel_uses * bits_per_symbol * code_rate) + 1
    most_blocks = max(1, -(-most_information // (limit - SEGMENT_CRC_BITS)))
    for blocks in range(most_blocks, 0, -1):
        n = channel_uses // blocks * bits_per_symbol
        k = min(limit, most_information_bits(n, code_rate))
        checked_bits = k if blocks == 1 else blocks * (k - SEGMENT_CRC_BITS)
        best = 0
        for payload in _payloads_within(checked_bits, crc):
            if payload >= 8:
                sizes = transport_sizes(payload, code_rate, bits_per_symbol, crc)
                if sizes.code_blocks == blocks and sizes.channel_uses <= channel_uses:
                    best = max(best, payload)
        if best:
            return best
    return 0


def _payloads_within(checked_bits: int, crc: CrcRule) -> list[int]:
    """Candidates for the largest payload that makes `checked_bits` with its CRC, whole bytes."""
    if crc == "5g":
        short = min(checked_bits - CRC_BITS["crc16"], SHORT_CRC_PAYLOAD_BITS)
        return [short // 8 * 8, (checked_bits - CRC_BITS["crc24a"]) // 8 * 8]
    kind = transport_crc(0, crc)
    return [(checked_bits - (CRC_BITS[kind] if kind else 0)) // 8 * 8]


def _check(code_rate: float, bits_per_symbol: int) -> None:
    if not MIN_CODE_RATE <= code_rate <= MAX_CODE_RATE:
        raise ChannelError(
            f"code rate: expected {MIN_CODE_RATE} .. {MAX_CODE_RATE}, found {code_rate}"
        )
    if bits_per_symbol < 1:
        raise ChannelError(f"modulation: expected bits_per_symbol >= 1, found {bits_per_symbol}")


def _largest_block(code_rate: float) -> int:
    return MAX_INFORMATION_BITS_BG2 if code_rate <= LOW_CODE_RATE else MAX_INFORMATION_BITS


# Both use the same comparison k / n <= code_rate in double precision, so that each is the exact
# inverse of the other; the first guess may be one off.


def fewest_coded_bits(k: int, code_rate: float, bits_per_symbol: int) -> int:
    """The smallest n, a positive multiple of `bits_per_symbol`, with k / n <= code_rate."""
    symbols = max(1, math.ceil(k / (code_rate * bits_per_symbol)) - 1)
    while k / (symbols * bits_per_symbol) > code_rate:
        symbols += 1
    return symbols * bits_per_symbol


def most_information_bits(n: int, code_rate: float) -> int:
    """The largest k with k / n <= code_rate."""
    if n <= 0:
        return 0
    k = math.floor(n * code_rate) + 1
    while k / n > code_rate:
        k -= 1
    return k
