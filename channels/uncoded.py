"""A transport block without forward error correction: the payload and its CRC, as they are.

payload | CRC | padding up to a whole symbol
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.block import RepeatedReception
from channels.crc import CRC_BITS, CRC_POLYNOMIALS, CrcKind, crc_remainder, write_crc
from channels.errors import ChannelError
from channels.transport_sizes import SHORT_CRC_PAYLOAD_BITS, transport_crc


@dataclass(frozen=True)
class UncodedBlock:
    """Payloads of `payload_bits` in whole symbols; sizes as those of a `TransportBlockCode`.

    Attributes:
        payload_bits: 1 or more.
        bits_per_symbol: 1 or more.
        crc_bits: CRC16 up to 3824 payload bits, else CRC24A (3GPP TS 38.212, 7.2.1).
        parity_bits: none.
        padding_bits: known zeros that fill the last symbol.
        coded_bits: everything that is sent.
        channel_uses: complex symbols.

    Raises:
        ChannelError: values outside these ranges.
    """

    payload_bits: int
    bits_per_symbol: int
    crc_bits: int = field(init=False)
    parity_bits: int = field(init=False, default=0)
    padding_bits: int = field(init=False)
    coded_bits: int = field(init=False)
    channel_uses: int = field(init=False)

    def __post_init__(self) -> None:
        if self.payload_bits < 1 or self.bits_per_symbol < 1:
            raise ChannelError(
                "uncoded block: expected payload_bits >= 1 and bits_per_symbol >= 1, "
                f"found {self.payload_bits} and {self.bits_per_symbol}"
            )
        crc_bits = CRC_BITS[self._crc()]
        symbols = -(-(self.payload_bits + crc_bits) // self.bits_per_symbol)
        coded_bits = symbols * self.bits_per_symbol
        for name, value in (
            ("crc_bits", crc_bits),
            ("coded_bits", coded_bits),
            ("padding_bits", coded_bits - self.payload_bits - crc_bits),
            ("channel_uses", symbols),
        ):
            object.__setattr__(self, name, value)

    def encode(self, payload: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8[payload_bits], each 0 or 1 -> uint8[coded_bits]. ChannelError for another size."""
        if payload.shape != (self.payload_bits,):
            raise ChannelError(
                f"uncoded block: expected bits[{self.payload_bits}], found {payload.shape}"
            )
        out = np.zeros(self.coded_bits, np.uint8)
        out[: self.payload_bits] = payload
        write_crc(out, self.payload_bits, CRC_POLYNOMIALS[self._crc()], self.crc_bits)
        return out

    def decode(self, llr: NDArray[np.float32]) -> tuple[NDArray[np.uint8], bool]:
        """Hard decisions: float32[coded_bits], log p(1)/p(0) -> payload, and if the CRC holds."""
        if llr.shape != (self.coded_bits,):
            raise ChannelError(f"uncoded block: expected llr[{self.coded_bits}], found {llr.shape}")
        decided = (llr > 0).astype(np.uint8)
        checked = self.payload_bits + self.crc_bits
        polynomial = CRC_POLYNOMIALS[self._crc()]
        ok = crc_remainder(decided, 0, checked, polynomial, self.crc_bits) == 0
        return decided[: self.payload_bits], ok

    def encode_version(self, payload: NDArray[np.uint8], rv: int) -> NDArray[np.uint8]:  # noqa: ARG002
        """`encode`: every transmission has the same bits."""
        return self.encode(payload)

    def reception(self, max_iterations: int = 0) -> RepeatedReception:  # noqa: ARG002
        """A receiver that has heard nothing yet; nothing iterates."""
        return RepeatedReception(self)

    def _crc(self) -> CrcKind:
        kind = transport_crc(self.payload_bits, "5g")
        assert kind is not None
        return kind


@lru_cache(maxsize=512)
def uncoded_block(payload_bits: int, bits_per_symbol: int) -> UncodedBlock:
    """The same `UncodedBlock` for the same arguments."""
    return UncodedBlock(payload_bits, bits_per_symbol)


def largest_uncoded_payload_bits(symbols: int, bits_per_symbol: int) -> int:
    """The largest payload in whole bytes that fits into so many symbols; 0 if none does."""
    bits = symbols * bits_per_symbol
    long = (bits - CRC_BITS["crc24a"]) // 8 * 8
    if long > SHORT_CRC_PAYLOAD_BITS:
        return long
    return max(0, min((bits - CRC_BITS["crc16"]) // 8 * 8, SHORT_CRC_PAYLOAD_BITS))
