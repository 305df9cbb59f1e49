"""Flat channels: white noise, and a gain on top.

    y  =  h x  +  sqrt(no) w,      w circular complex normal of variance 1, h the gain

The receiver knows h (perfect channel state information) and hands the demapper y / h with the
effective noise power no / |h|^2. The mean of |h|^2 is 1, and `no` does not follow the fade: a weak
gain is a low SNR.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from channels.channel import FADING_BLOCKS, Channel, check_choice, register_channel
from channels.randomness import ChannelRandomness


@register_channel("awgn")
@dataclass(frozen=True)
class Awgn(Channel):
    """Additive white Gaussian noise; the gain is 1."""

    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """See `Channel.transmit`."""
        received = randomness.noise(packet, len(symbols))
        received *= np.sqrt(no)
        received += symbols
        return received, np.full(len(symbols), no)


@register_channel("rayleigh_block")
@dataclass(frozen=True)
class RayleighBlock(Channel):
    """Flat Rayleigh fading, constant over a packet or over all packets of an image.

    The gain is circular complex normal of mean power 1, so |h|^2 is exponentially distributed:
    P(|h|^2 < x) = 1 - exp(-x).

    Raises:
        ChannelError: `fading_block` is neither "packet" nor "image".
    """

    fading_block: str = "packet"

    def __post_init__(self) -> None:
        check_choice("fading_block", self.fading_block, FADING_BLOCKS)

    def gain(self, randomness: ChannelRandomness, packet: int) -> complex:
        """The complex gain that a packet meets."""
        return randomness.fading(packet if self.fading_block == "packet" else 0)

    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """See `Channel.transmit`."""
        gain = self.gain(randomness, packet)
        # (h x + sqrt(no) w) / h, in place.
        equalised = randomness.noise(packet, len(symbols))
        equalised *= np.sqrt(no) / gain
        equalised += symbols
        return equalised, np.full(len(symbols), no / abs(gain) ** 2)
