"""Channels that are given by what they do to bits, for BPSK only: the SNR plays no part.

Each hands over a y and a noise power from which the demapper, whose LLR is -4 Re(y) / noise power,
takes exactly the channel's own LLR

    log p(1) / p(0)  =  -+ L,     L = log((1 - p) / p),     or 0 where nothing was received.

This fixes the ratio of y and noise power only. The scale is chosen so that the noise power is also
the mean squared error of y, as for every channel: y = +-a x with a the smaller root of

    E|y - x|^2  =  1 - 2 a (1 - 2 p) + a^2  =  4 a / L

Source: T. Richardson, R. Urbanke, "Modern Coding Theory", 2008, sections 3.1 and 4.1.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from channels.channel import Channel, check_range, register_channel
from channels.randomness import ChannelRandomness

#: Nothing is surer than this: a log-likelihood ratio of 27.6, beyond what the LDPC decoder heeds.
SMALLEST_FLIP_PROBABILITY = 1e-12


def bpsk_equivalent(flip_probability: float) -> tuple[float, float]:
    """Amplitude and noise power of a BPSK symbol that is wrong with this probability, 0 .. 0.5.

    4 amplitude / noise power = log((1 - p) / p), and the noise power is the mean squared error.
    """
    p = max(flip_probability, SMALLEST_FLIP_PROBABILITY)
    certainty = np.log1p(-p) - np.log(p)
    if certainty <= 0.0:
        return 0.0, 1.0
    half_sum = 1.0 - 2.0 * p + 2.0 / certainty
    # The product of the roots is 1. They are real: p log((1 - p) / p) < 1 for every p.
    amplitude = 1.0 / (half_sum + np.sqrt(half_sum**2 - 1.0))
    return float(amplitude), float(4.0 * amplitude / certainty)


class BinaryChannel(Channel):
    """What the channels here have in common: each is what becomes of a bit."""

    modulations: ClassVar[tuple[str, ...]] = ("bpsk",)
    #: What the uniform variates are drawn for, see `ChannelRandomness.generator`.
    purpose: ClassVar[str]

    @abstractmethod
    def fates(
        self, uniform: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Amplitude and noise power of each bit, both float64[n], by its own uniform variate."""

    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,  # noqa: ARG002
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """See `Channel.transmit`."""
        uniform = randomness.generator(self.purpose, packet).random(len(symbols))
        amplitudes, noise = self.fates(uniform)
        return amplitudes * symbols, noise

    def untold(self) -> str | None:
        """See `Channel.untold`."""
        return "bits that are flipped or erased"


@register_channel("bsc")
@dataclass(frozen=True)
class BinarySymmetricChannel(BinaryChannel):
    """Each bit is flipped with `flip_probability`, 0 .. 0.5, independently; the SNR is ignored.

    A bit that is flipped at one probability is flipped at every higher one.

    Raises:
        ChannelError: a probability outside 0 .. 0.5.
    """

    purpose: ClassVar[str] = "bit flips"

    flip_probability: float = 0.05

    def __post_init__(self) -> None:
        check_range("flip_probability", self.flip_probability, 0.0, 0.5)

    def fates(
        self, uniform: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `BinaryChannel.fates`."""
        amplitude, noise_power = bpsk_equivalent(self.flip_probability)
        flipped = uniform < self.flip_probability
        return np.where(flipped, -amplitude, amplitude), np.full(len(uniform), noise_power)


@register_channel("bec")
@dataclass(frozen=True)
class BinaryErasureChannel(BinaryChannel):
    """Each bit is erased with `erasure_probability`, 0 .. 1, independently; the SNR is ignored.

    The others are known for certain. A bit that is erased at one probability is erased at every
    higher one.

    Raises:
        ChannelError: a probability outside 0 .. 1.
    """

    purpose: ClassVar[str] = "bit erasures"

    erasure_probability: float = 0.1

    def __post_init__(self) -> None:
        check_range("erasure_probability", self.erasure_probability, 0.0, 1.0)

    def fates(
        self, uniform: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `BinaryChannel.fates`."""
        amplitude, noise_power = bpsk_equivalent(0.0)
        erased = uniform < self.erasure_probability
        return np.where(erased, 0.0, amplitude), np.where(erased, 1.0, noise_power)
