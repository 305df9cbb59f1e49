"""Flat channels: white noise, and a gain on top.

    y  =  h x  +  sqrt(no) w,      w circular complex normal of variance 1, h the gain

The receiver knows h (perfect channel state information) and hands the demapper y / h with the
effective noise power no / |h|^2. The mean of |h|^2 is 1, and `no` does not follow the fade: a weak
gain is a low SNR. With several antennas 1 / no is the mean Es/N0 at each receive antenna, and the
transmit antennas share the transmit power of 1, so that gains by more antennas are seen as such.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainccinv, gammaincinv

from channels.channel import (
    FADING_BLOCKS,
    REMEMBERED_FADES,
    Channel,
    Distribution,
    ErrorKind,
    SnrMeter,
    check_choice,
    check_range,
    register_channel,
)
from channels.diversity import COMBININGS, antenna_noise
from channels.gain_histogram import gain_meter, information_of_gains
from channels.gains import FadingChannel
from channels.kernels import kernel
from channels.randomness import ChannelRandomness

Antennas = Literal["1x1", "1x2", "1x4", "2x1_alamouti", "2x2_alamouti"]


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

    def noise_powers(
        self,
        symbols: int,  # noqa: ARG002
        no: float,
        randomness: ChannelRandomness,  # noqa: ARG002
        packet: int,  # noqa: ARG002
    ) -> float:
        """See `Channel.noise_powers`."""
        return float(no)

    def errors_are(self) -> ErrorKind:
        """See `Channel.errors_are`."""
        return "white"

    def power_gain(
        self,
        randomness: ChannelRandomness,  # noqa: ARG002
        packet: int,  # noqa: ARG002
    ) -> float:
        """See `Channel.power_gain`."""
        return 1.0


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

    def noise_powers(
        self,
        symbols: int,  # noqa: ARG002
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> float:
        """See `Channel.noise_powers`."""
        return no / self.power_gain(randomness, packet)

    def errors_are(self) -> ErrorKind:
        """See `Channel.errors_are`."""
        return "white"

    def power_gain(self, randomness: ChannelRandomness, packet: int) -> float:
        """See `Channel.power_gain`."""
        return _rayleigh_power(randomness, packet if self.fading_block == "packet" else 0)

    def power_gain_distribution(self) -> Distribution:
        """See `Channel.power_gain_distribution`."""
        return _gamma(1.0, 1.0)


@lru_cache(maxsize=REMEMBERED_FADES)
def _rayleigh_power(randomness: ChannelRandomness, block: int) -> float:
    """|h|^2 of one block; remembered, as all SNRs of a sweep meet the same fades."""
    return float(abs(randomness.fading(block)) ** 2)


@dataclass(frozen=True, kw_only=True)
class FlatFading(FadingChannel):
    """A fading channel for one stream of symbols over one or more antennas.

    Attributes:
        antennas: transmit x receive: "1x1", "1x2" or "1x4" with maximal-ratio combining,
            "2x1_alamouti" or "2x2_alamouti" with Alamouti's code, whose gains are constant for a
            pair of symbols whatever the variation.

    Raises:
        ChannelError: unknown antennas; see also `FadingChannel`.
    """

    antennas: Antennas = "1x1"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("antennas", self.antennas, get_args(Antennas))

    def uses(self, symbols: int) -> int:
        """See `Channel.uses`; Alamouti's code takes an even number."""
        each = COMBININGS[self.antennas].symbols_per_gain
        return -(-symbols // each) * each

    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """See `Channel.transmit`."""
        combining = COMBININGS[self.antennas]
        gains = self._gains(len(symbols), randomness, packet)
        uses = self.uses(len(symbols))
        noise = antenna_noise(randomness, packet, combining.receive_antennas, uses)
        return combining.transfer(symbols, gains, noise, no)

    def noise_powers(
        self, symbols: int, no: float, randomness: ChannelRandomness, packet: int
    ) -> NDArray[np.float64] | float:
        """See `Channel.noise_powers`."""
        power = self._power_gains(symbols, 1, randomness, packet)
        if len(power) == 1:
            return no / float(power[0])
        return np.repeat(no / power, COMBININGS[self.antennas].symbols_per_gain)[:symbols]

    def effective_noise(
        self,
        modulation: str,  # noqa: ARG002
        symbols: int,
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> NDArray[np.float64] | float:
        """See `Channel.effective_noise`."""
        power = _sparse_power_gains(self, symbols, randomness, packet)
        return no / power if isinstance(power, float) else np.asarray(no / power)

    def snr_meter(self, modulation: str, symbols: int, blocks: int, no: float) -> SnrMeter | None:
        """See `Channel.snr_meter`; of a fade that is one number `effective_noise` is quick."""
        if self.variation == "block":
            return None
        information = information_of_gains(modulation, no)
        return gain_meter(self, modulation, symbols, blocks, information)

    def sampled_gains(
        self, symbols: int, randomness: ChannelRandomness, packet: int
    ) -> NDArray[np.float64]:
        """See `channels.gain_histogram.GainSource`."""
        return self._power_gains(symbols, self.sparse_uses(symbols), randomness, packet)

    def _power_gains(
        self, symbols: int, every: int, randomness: ChannelRandomness, packet: int
    ) -> NDArray[np.float64]:
        """Power gains of a packet's symbols, or of one in `every` of them."""
        gains = self._gains(symbols, randomness, packet, every)
        # Maximal-ratio combining, and Alamouti's code with half the power at each antenna.
        return _mean_power(gains)

    def errors_are(self) -> ErrorKind:
        """See `Channel.errors_are`."""
        return "white"

    def power_gain(self, randomness: ChannelRandomness, packet: int) -> float:
        """See `Channel.power_gain`: that of maximal-ratio combining, or of Alamouti's code."""
        gains = self._gains(1, randomness, packet)[..., 0]
        return float(np.sum(np.abs(gains) ** 2) / gains.shape[1])

    def power_gain_distribution(self) -> Distribution | None:
        """See `Channel.power_gain_distribution`."""
        combining = COMBININGS[self.antennas]
        transmit = combining.transmit_antennas
        if self.shadowing_db > 0.0:
            return None
        return self._sum_distribution(combining.receive_antennas * transmit, 1.0 / transmit)

    def _sum_distribution(
        self,
        gains: int,  # noqa: ARG002
        scale: float,  # noqa: ARG002
    ) -> Distribution | None:
        """The distribution of `scale` times the sum of |h|^2 over so many antenna pairs."""
        return None

    @property
    def scattered_power(self) -> float | None:
        """With "doppler", the share of a gain's mean power whose autocorrelation is Clarke's.

        The rest of it stands still. None where another autocorrelation comes of it. Shadows, which
        stand still as well, are not counted.
        """
        return None

    def _gains(
        self, symbols: int, randomness: ChannelRandomness, packet: int, every: int = 1
    ) -> NDArray[np.complex128]:
        combining = COMBININGS[self.antennas]
        uses_each = combining.symbols_per_gain * every
        return self.gains(
            randomness,
            packet,
            receive=combining.receive_antennas,
            transmit=combining.transmit_antennas,
            count=-(-symbols // uses_each),
            uses_each=uses_each,
        )


@kernel
def _mean_power(gains: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Of gains[receive, transmit, n]: summed over receive, mean over transmit antennas."""
    receive, transmit, n = gains.shape
    power = np.zeros(n)
    for r in range(receive):
        for t in range(transmit):
            for place in range(n):
                gain = gains[r, t, place]
                power[place] += gain.real * gain.real + gain.imag * gain.imag
    if transmit > 1:
        power /= transmit
    return power


@lru_cache(maxsize=REMEMBERED_FADES)
def _sparse_power_gains(
    channel: FlatFading, symbols: int, randomness: ChannelRandomness, packet: int
) -> NDArray[np.float64] | float:
    """Remembered, as all SNRs of a sweep meet the same fades."""
    power = channel.sampled_gains(symbols, randomness, packet)
    power.setflags(write=False)
    return float(power[0]) if len(power) == 1 else power


@register_channel("rayleigh")
@dataclass(frozen=True, kw_only=True)
class Rayleigh(FlatFading):
    """Rayleigh fading: |h|^2 is exponentially distributed, no path stands out.

    With its defaults it is `RayleighBlock`, draw for draw.
    """

    def fade(self, scattered: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """See `FadingChannel.fade`."""
        return scattered

    def _sum_distribution(self, gains: int, scale: float) -> Distribution:
        return _gamma(gains, scale)

    @property
    def scattered_power(self) -> float | None:
        """See `FlatFading.scattered_power`."""
        return 1.0


@register_channel("rician")
@dataclass(frozen=True, kw_only=True)
class Rician(FlatFading):
    """Rician fading: one steady path among the scattered ones, as with a line of sight.

        h  =  sqrt(K / (K + 1))  +  sqrt(1 / (K + 1)) g,       g as in Rayleigh fading

    2 (K + 1) |h|^2 is noncentral chi-squared with 2 degrees of freedom and noncentrality 2 K. The
    steady path comes at right angles to the motion: it has no Doppler shift.

    Attributes:
        k_db: K in dB, power of the steady path over that of all others; -100 .. 100. Rayleigh
            fading at the lower end, none at the upper.

    Raises:
        ChannelError: K outside its range; see also `FlatFading`.
    """

    k_db: float = 6.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("k_db", self.k_db, -100.0, 100.0)

    def fade(self, scattered: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """See `FadingChannel.fade`."""
        k = self._k
        return np.asarray(np.sqrt(k / (k + 1.0)) + np.sqrt(1.0 / (k + 1.0)) * scattered)

    def _sum_distribution(self, gains: int, scale: float) -> Distribution | None:
        # Beyond, the gain is as good as constant, and the distribution's series fail.
        if self.k_db > 40.0:
            return None
        from scipy.stats import ncx2

        k = self._k
        frozen: Distribution = ncx2(2 * gains, 2 * k * gains, scale=scale / (2 * (k + 1.0)))
        return frozen

    @property
    def scattered_power(self) -> float | None:
        """See `FlatFading.scattered_power`."""
        return 1.0 / (self._k + 1.0)

    @property
    def _k(self) -> float:
        return float(10.0 ** (self.k_db / 10.0))


@register_channel("nakagami")
@dataclass(frozen=True, kw_only=True)
class Nakagami(FlatFading):
    """Nakagami fading: |h|^2 is gamma distributed with shape m and mean 1; the phase is uniform.

    Rayleigh fading at m = 1, worse below, milder above. The power |g|^2 of Rayleigh fading becomes
    the quantile of the gamma distribution of the same rank, the phase stays: N. C. Beaulieu,
    C. Cheng, "Efficient Nakagami-m fading channel simulation", IEEE Trans. Veh. Technol. 54(2),
    2005. So the distribution is exact with any variation, a fade is a fade at every m, and with
    "doppler" the autocorrelation is Clarke's at m = 1 only, about that elsewhere.

    Attributes:
        m: shape, 0.5 .. 1000.

    Raises:
        ChannelError: m outside its range; see also `FlatFading`.
    """

    m: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("m", self.m, 0.5, 1000.0)

    def fade(self, scattered: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """See `FadingChannel.fade`."""
        power = scattered.real**2 + scattered.imag**2
        quantile = np.asarray(gammaincinv(self.m, -np.expm1(-power)))
        # 1 - exp(-power) loses its digits where it nears 1.
        high = power > 20.0
        quantile[high] = gammainccinv(self.m, np.exp(-power[high]))
        return np.asarray(np.sqrt(quantile / (self.m * power)) * scattered)

    def _sum_distribution(self, gains: int, scale: float) -> Distribution:
        return _gamma(self.m * gains, scale / self.m)

    @property
    def scattered_power(self) -> float | None:
        """See `FlatFading.scattered_power`."""
        return 1.0 if self.m == 1.0 else None


def _gamma(shape: float, scale: float) -> Distribution:
    # Imported here since it takes longer than all else that a link needs.
    from scipy.stats import gamma

    frozen: Distribution = gamma(shape, scale=scale)
    return frozen
