"""An ideal code: a packet arrives if its symbols bear as much information as it has, or else not.

A packet of k bits in n complex symbols is one codeword of a Gaussian codebook. It arrives if

    k  <=  sum over its symbols of  log2(1 + 1 / N_i)   bits

N_i being the noise power that the receiver is left with in symbol i at a symbol power of 1
(`Channel.noise_powers`). Over white noise that is capacity, over a fade that lasts for the packet
the outage event R > log2(1 + |h|^2 Es/N0), R = k / n (L. H. Ozarow, S. Shamai, A. D. Wyner,
"Information theoretic considerations for cellular mobile radio", IEEE Trans. Veh. Technol. 43(2),
1994). Codewords are taken for long, and errors are noticed without a CRC: no code does better, but
by the luck of short ones. Bits are never sent.

Of a packet that is sent again, "incremental" adds up the information of the transmissions and
"chase" the SNRs of each symbol (G. Caire, D. Tuninetti, "The throughput of hybrid-ARQ protocols for
the Gaussian collision channel", IEEE Trans. Inf. Theory 47(5), 2001).

What a receiver does before it decodes is no part of the code: behind linear detection, or with an
estimated channel, the information is that of the noise powers that this receiver states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from channels.channel import Channel, check_range
from channels.errors import ChannelError
from channels.harq import HarqMode
from channels.transport_sizes import fewest_coded_bits, most_information_bits

#: The modulation of an ideal code, whose symbols are no constellation's.
GAUSSIAN = "gaussian"
MIN_SPECTRAL_EFFICIENCY = 1e-12
MAX_SPECTRAL_EFFICIENCY = 100.0
#: Relative. A code rate that is meant to be capacity may be rounded up by less.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class IdealSizes:
    """Sizes of a packet, as those of a `channels.block.BlockSizes`.

    Attributes:
        payload_bits: k, all that a codeword says.
        channel_uses: n, complex symbols.
        crc_bits: none.
        padding_bits: none.
        parity_bits: none: a codeword is symbols, not bits.
    """

    payload_bits: int
    channel_uses: int
    crc_bits: int = 0
    padding_bits: int = 0
    parity_bits: int = 0

    @property
    def coded_bits(self) -> int:
        """The payload, which is all bits that there are."""
        return self.payload_bits


def ideal_sizes(payload_bits: int, spectral_efficiency: float) -> IdealSizes:
    """The shortest codeword of at most so many bits per complex symbol.

    `payload_bits`: at least 1. `spectral_efficiency`: > 0.
    """
    return IdealSizes(payload_bits, fewest_coded_bits(payload_bits, spectral_efficiency, 1))


def largest_ideal_payload_bits(symbols: int, spectral_efficiency: float) -> int:
    """The largest payload in whole bytes that so many symbols carry; 0 if none."""
    return most_information_bits(symbols, spectral_efficiency) // 8 * 8


def check_ideal_channel(channel: Channel) -> None:
    """Raises ChannelError for a channel whose receiver does not know of all its noise."""
    if channel.untold() is not None or channel.errors_are() == "untold":
        found = channel.untold() or "noise that the receiver does not know of"
        raise ChannelError(
            "coding ideal: expected a channel whose noise powers tell what its symbols bear, "
            f"found {found} in {channel}"
        )


def check_ideal(channel: Channel, modulation: str, spectral_efficiency: float, damage: str) -> None:
    """Raises ChannelError for a link that an ideal code cannot be used on."""
    if modulation != GAUSSIAN:
        raise ChannelError(f"coding ideal: expected modulation {GAUSSIAN}, found {modulation!r}")
    check_range("code_rate", spectral_efficiency, MIN_SPECTRAL_EFFICIENCY, MAX_SPECTRAL_EFFICIENCY)
    if damage != "drop":
        raise ChannelError(f"coding ideal: expected damage drop, found {damage!r}")
    check_ideal_channel(channel)


def information_bits(
    received: Sequence[NDArray[np.float64] | float], symbols: int, mode: HarqMode
) -> float:
    """What the transmissions of a packet say of it together, in bits.

    Args:
        received: of each transmission the noise powers, float64[symbols] or one for all, > 0.
        symbols: of one transmission.
        mode: "incremental", a codeword for each transmission, or "chase", the same one again.
    """
    snrs = [np.broadcast_to(1.0 / np.asarray(noise), symbols) for noise in received]
    if mode == "chase":
        snrs = [np.sum(snrs, axis=0)]
    return float(sum(np.log1p(snr).sum() for snr in snrs)) / log(2.0)


def arrives(
    payload_bits: int,
    received: Sequence[NDArray[np.float64] | float],
    symbols: int,
    mode: HarqMode,
) -> bool:
    """Whether a packet is decoded; see `information_bits`."""
    return payload_bits <= information_bits(received, symbols, mode) * (1.0 + _ROUNDING)
