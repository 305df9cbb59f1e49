"""How the complex gains of a flat channel vary: in distribution, in time, among antennas.

A channel has one gain for each pair of a transmit and a receive antenna. All start from circular
complex normal variates g of variance 1, which a channel's own `fade` turns into gains of mean power
1: unchanged they are Rayleigh. `variation` says how g runs through a packet:

    block      one g for a packet, or for all packets of an image, as `fading_block` says
    symbol     a new g for each symbol, as if an interleaver of any depth were there
    doppler    Clarke's process: scatterers all around a moving receiver, so that
               E[g(t) conj(g(t + k))] = J0(2 pi f k),   f = `doppler`, k in symbols
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from channels.channel import FADING_BLOCKS, Channel, check_choice, check_range
from channels.kernels import kernel
from channels.randomness import ChannelRandomness

Variation = Literal["block", "symbol", "doppler"]

#: Waves that make up a Clarke process. More of them bring one process's own time average nearer to
#: that of all; distribution and mean autocorrelation are exact with any number.
_WAVES = 64
#: The fewest samples that `FadingChannel.sparse_uses` leaves of a packet.
_SPARSEST_SAMPLES = 32
#: To hand a generator to compiled code costs as much as to draw so many complex normal variates.
_FEWEST_COMPILED = 256
_NEPERS_PER_DB = np.log(10.0) / 10.0


@dataclass(frozen=True, kw_only=True)
class FadingChannel(Channel):
    """What all fading channels have: how gains vary in time, and log-normal shadowing.

    Each gain has mean power 1, shadowing included. Gains of different antenna pairs, of different
    packets (but for `fading_block` "image") and of different images are independent.

    Attributes:
        variation: "block", "symbol" or "doppler", see above.
        fading_block: "packet" or "image": how long a gain of "block" and a shadow last; with
            "doppler", whether each packet starts at a time of its own, unrelated to the others, or
            one process runs through the image.
        doppler: with "doppler", the largest Doppler frequency times the duration of a channel use,
            0 .. 0.5; a coherence time is about 0.4 / doppler channel uses.
        packet_spacing_uses: with "doppler" and fading_block "image", packet p starts p times so
            many channel uses after packet 0, whatever their lengths; at least 1. Packets that are
            longer see a part of the next one's gains.
        shadowing_db: standard deviation in dB of log-normal shadowing, common to all antennas, one
            value per fading_block; 0 .. 20. The mean power, not the median, stays 1.

    Raises:
        ChannelError: a value outside these.
    """

    variation: Variation = "block"
    fading_block: str = "packet"
    doppler: float = 0.001
    packet_spacing_uses: int = 4096
    shadowing_db: float = 0.0

    def __post_init__(self) -> None:
        check_choice("variation", self.variation, get_args(Variation))
        check_choice("fading_block", self.fading_block, FADING_BLOCKS)
        check_range("doppler", self.doppler, 0.0, 0.5)
        check_range("packet_spacing_uses", self.packet_spacing_uses, 1, 1 << 32)
        check_range("shadowing_db", self.shadowing_db, 0.0, 20.0)

    @abstractmethod
    def fade(self, scattered: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Gains of mean power 1 out of circular complex normal variates of variance 1."""

    def gains(
        self,
        randomness: ChannelRandomness,
        packet: int,
        *,
        receive: int = 1,
        transmit: int = 1,
        count: int = 1,
        uses_each: int = 1,
    ) -> NDArray[np.complex128]:
        """The gains that a packet meets.

        Args:
            randomness: the image's draws.
            packet: the packet's number within the image.
            receive: receive antennas.
            transmit: transmit antennas.
            count: gains in time, one after another.
            uses_each: channel uses for which each of them stays constant.

        Returns:
            complex128[receive, transmit, count], or [receive, transmit, 1] with "block", whose
            gain holds for all. Fewer antennas or fewer gains in time are a part of more.
        """
        block = packet if self.fading_block == "packet" else 0
        length = 1 if self.variation == "block" else count
        scattered = np.empty((transmit, receive, length), np.complex128)
        for pair, out in enumerate(scattered.reshape(transmit * receive, length)):
            name = f" {pair}" if pair else ""
            if self.variation == "doppler":
                start = 0 if self.fading_block == "packet" else packet * self.packet_spacing_uses
                generator = randomness.generator("doppler" + name, block)
                _clarke(generator, self.doppler, start, uses_each, out)
            else:
                index = packet if self.variation == "symbol" else block
                generator = randomness.generator("fading" + name, index)
                _fill_complex_normal(generator, out)
        gains = self.fade(scattered.transpose(1, 0, 2))
        return gains if self.shadowing_db == 0.0 else self._shadow(randomness, block) * gains

    def sparse_uses(self, symbols: int) -> int:
        """Every so manieth gain of a packet of so many symbols shows how all of them vary.

        Clarke's process hardly changes in a fiftieth of its shortest period.
        """
        if self.variation != "doppler":
            return 1
        period_part = int(min(0.02 / max(self.doppler, 1e-9), symbols / _SPARSEST_SAMPLES))
        return max(1, period_part)

    def _shadow(self, randomness: ChannelRandomness, block: int) -> float:
        """Amplitude of the shadow: 10^(X / 20), X normal, over the root of its mean square."""
        deviation = self.shadowing_db * _NEPERS_PER_DB
        normal = randomness.generator("shadowing", block).standard_normal()
        return float(np.exp((deviation * normal - deviation**2 / 2) / 2))


def _fill_complex_normal(generator: np.random.Generator, out: NDArray[np.complex128]) -> None:
    """Fill `out`, variance 1; drawn as `ChannelRandomness.fading` and `noise` do."""
    if len(out) < _FEWEST_COMPILED:
        parts = generator.standard_normal(2 * len(out)) * np.sqrt(0.5)
        out[:] = parts.view(np.complex128)
    else:
        _fill_many(generator, out)


@kernel
def _fill_many(generator: np.random.Generator, out: NDArray[np.complex128]) -> None:
    """The same draws, in half the time."""
    for place in range(len(out)):
        real = generator.standard_normal() * np.sqrt(0.5)
        out[place] = complex(real, generator.standard_normal() * np.sqrt(0.5))


def _clarke(
    generator: np.random.Generator,
    doppler: float,
    start: int,
    step: int,
    out: NDArray[np.complex128],
) -> None:
    """Fill `out` with a Clarke process at the times start, start + step, start + 2 step ...

    g(t) = sum a_n exp(2 pi j f t cos((2 pi n + u_n) / N)) / sqrt(N),  u_n uniform in 0 .. 2 pi

    The angles of arrival are those of Y. R. Xiao, Y. R. Zheng, N. C. Beaulieu, "Novel sum-of-
    sinusoids simulation models for Rayleigh and Rician fading channels", IEEE Trans. Wireless
    Commun. 5(12), 2006: one in each of N equal sectors, so that the mean autocorrelation is J0. The
    amplitudes a_n are complex normal instead of phasors, so that g(t) is exactly complex normal.
    """
    amplitude = np.empty(_WAVES, np.complex128)
    _fill_complex_normal(generator, amplitude)
    angle = 2.0 * np.pi * (np.arange(_WAVES) + generator.random(_WAVES)) / _WAVES
    frequency = doppler * np.cos(angle)
    # Whole turns are taken off before they cost digits.
    wave = amplitude * np.exp(2j * np.pi * (frequency * start % 1.0)) / np.sqrt(_WAVES)
    _sum_of_waves(wave, np.exp(2j * np.pi * frequency * step), out)


@kernel
def _sum_of_waves(
    wave: NDArray[np.complex128], turn: NDArray[np.complex128], out: NDArray[np.complex128]
) -> None:
    """out[t] = sum over n of wave[n] turn[n]^t; `wave` is used up."""
    for t in range(len(out)):
        total = 0j
        for n in range(len(wave)):
            total += wave[n]
            wave[n] *= turn[n]
        out[t] = total
