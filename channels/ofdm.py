"""OFDM over the delay line channels of 3GPP TR 38.901.

A packet's symbols fill the data elements of slots of its own, frequency first:

                     one slot: 14 OFDM symbols (12 with the extended prefix)
                     0   1   2   3   4   5   6   7   8   9  10  11  12  13
    subcarrier 0     0  72   P 144 ...                           P            P: pilots, known
               1     1  73   P 145                               P
              ..                                                             | cyclic prefix before
              71    71 143   P 215                               P             each symbol, unseen

On every element y = H x + sqrt(no) w, H being the frequency response at the middle of the OFDM
symbol. That holds while the longest delay is within the cyclic prefix, which is checked, and while
the channel hardly changes within an OFDM symbol: the interference between subcarriers is neglected.
For the Jakes spectrum it is at most 1.65 (f_d / spacing)^2 of the signal (Y. Li, L. J. Cimini,
"Bounds on the interchannel interference of OFDM in time-varying impairments", IEEE Trans. Commun.
49, 2001), below -28 dB up to the Doppler shift that is allowed here.

Pilots have the power of data. A packet that fills its last slot in part pays for its share of that
slot only (the rest of it carries others' data), but its receiver uses all pilots of the slot.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from channels.channel import FADING_BLOCKS, Channel, check_choice, check_range, register_channel
from channels.channel_estimation import (
    ChannelEstimator,
    ChannelMoments,
    LeastSquares,
    LinearMinimumMeanSquareError,
)
from channels.errors import ChannelError
from channels.randomness import ChannelRandomness
from channels.tapped_delay import Fade, delay_profile, draw_fade, time_correlation

AnyNumber = TypeVar("AnyNumber", np.float64, np.complex128)

SPEED_OF_LIGHT_M_S = 299_792_458.0

ESTIMATIONS = ("perfect", "ls", "lmmse")

#: OFDM symbols per slot, and length of the prefix as a share of the symbol without it
#: (3GPP TS 38.211, 4.3.2 and 5.3.1: 144 or 512 of 2048 samples; the normal prefix of the first
#: symbol of each half millisecond is a little longer there, and is not here).
CYCLIC_PREFIXES: dict[str, tuple[int, Fraction]] = {
    "normal": (14, Fraction(9, 128)),
    "extended": (12, Fraction(1, 4)),
}

#: Largest Doppler shift in units of the subcarrier spacing.
MAX_DOPPLER = 0.03


@register_channel("ofdm")
@dataclass(frozen=True)
class Ofdm(Channel):
    """OFDM with one antenna at either end, a one-tap equaliser and pilots.

    The mean of |H|^2 is 1, and `no` does not follow the fade. Data are divided by the estimated
    response, which is the LMMSE equaliser of one tap without its bias; the noise power that is
    reported is (no + error power of the estimate) / |estimate|^2, so that LLRs are honest.

    Attributes:
        model: "TDL-A" .. "TDL-E" or "CDL-A" .. "CDL-E".
        delay_spread_ns: rms delay spread, by which the model's delays are scaled, 0 .. 100000;
            TR 38.901, 7.7.3 has 10 (very short) .. 1000 (very long).
        speed_m_s: of the receiver, at least 0.
        carrier_ghz: 0.5 .. 100, where the models hold.
        subcarrier_spacing_khz: 1 .. 1000.
        subcarriers: 1 .. 3300, side by side around the carrier. Unused ones of the FFT carry
            nothing and cost nothing, so its size does not matter.
        cyclic_prefix: "normal", 9/128 of an OFDM symbol, or "extended", 1/4.
        pilot_symbols: OFDM symbols of a slot, ascending from 0, that hold pilots on all
            subcarriers; none only with perfect estimation. They cost as much whether or not they
            are used.
        estimation: "perfect", "ls" or "lmmse": see `channels.channel_estimation`. Each slot is
            estimated from its own pilots.
        fading_block: "packet": each packet has a fade of its own. "image": packet n starts at
            n * packet_interval_ms of one fade; a packet that lasts longer overlaps with the next,
            as if that were sent beside it.
        packet_interval_ms: see `fading_block`; at least 0.

    Raises:
        ChannelError: a value outside its range, pilots outside the slot or without any data beside
            them, a longest delay above the cyclic prefix, a Doppler shift above 3 % of the
            spacing, or Sionna, whose tables are read, is not installed.
    """

    model: str = "TDL-A"
    delay_spread_ns: float = 100.0
    speed_m_s: float = 3.0
    carrier_ghz: float = 3.5
    subcarrier_spacing_khz: float = 30.0
    subcarriers: int = 72
    cyclic_prefix: str = "normal"
    pilot_symbols: tuple[int, ...] = (2, 11)
    estimation: str = "perfect"
    fading_block: str = "packet"
    packet_interval_ms: float = 1.0

    def __post_init__(self) -> None:
        profile = delay_profile(self.model)
        check_range("delay_spread_ns", self.delay_spread_ns, 0.0, 100_000.0)
        check_range("speed_m_s", self.speed_m_s, 0.0, 10_000.0)
        check_range("carrier_ghz", self.carrier_ghz, 0.5, 100.0)
        check_range("subcarrier_spacing_khz", self.subcarrier_spacing_khz, 1.0, 1000.0)
        check_range("subcarriers", self.subcarriers, 1, 3300)
        if not _is_whole(self.subcarriers):
            raise ChannelError(f"subcarriers: expected a whole number, found {self.subcarriers}")
        check_choice("cyclic_prefix", self.cyclic_prefix, tuple(CYCLIC_PREFIXES))
        check_choice("estimation", self.estimation, ESTIMATIONS)
        check_choice("fading_block", self.fading_block, FADING_BLOCKS)
        check_range("packet_interval_ms", self.packet_interval_ms, 0.0, 1e6)
        # A list would be no key of a cache.
        object.__setattr__(self, "pilot_symbols", tuple(self.pilot_symbols))
        self._check_pilots()
        longest_ns = float(profile.delays.max()) * self.delay_spread_ns
        prefix_ns = float(self._prefix_share) / self.subcarrier_spacing_khz * 1e6
        if longest_ns > prefix_ns:
            raise ChannelError(
                f"delay_spread_ns: expected {self.model}'s longest delay within the cyclic prefix "
                f"of {prefix_ns:.0f} ns, found {longest_ns:.0f} ns"
            )
        limit_hz = MAX_DOPPLER * self.subcarrier_spacing_khz * 1e3
        if self.max_doppler_hz > limit_hz:
            raise ChannelError(
                f"speed_m_s: expected a Doppler shift of at most {limit_hz:.0f} Hz, 3 % of the "
                f"subcarrier spacing, found {self.max_doppler_hz:.0f} Hz"
            )

    def _check_pilots(self) -> None:
        pilots = self.pilot_symbols
        ascending = all(a < b for a, b in pairwise(pilots))
        inside = all(_is_whole(p) and 0 <= p < self.slot_symbols for p in pilots)
        if not (inside and ascending):
            raise ChannelError(
                f"pilot_symbols: expected ascending whole numbers of 0 .. {self.slot_symbols - 1}, "
                f"found {list(pilots)}"
            )
        if len(pilots) == self.slot_symbols:
            raise ChannelError(
                f"pilot_symbols: expected at most {self.slot_symbols - 1}, found {len(pilots)}, "
                "which leave no data"
            )
        if not pilots and self.estimation != "perfect":
            raise ChannelError(
                f"pilot_symbols: expected at least one for estimation {self.estimation}, found none"
            )

    @property
    def max_doppler_hz(self) -> float:
        """Doppler shift of a ray from straight ahead."""
        return self.speed_m_s / SPEED_OF_LIGHT_M_S * self.carrier_ghz * 1e9

    @property
    def slot_symbols(self) -> int:
        """OFDM symbols per slot, pilots included."""
        return CYCLIC_PREFIXES[self.cyclic_prefix][0]

    @property
    def data_elements(self) -> int:
        """Elements of a slot that carry data."""
        return self.subcarriers * (self.slot_symbols - len(self.pilot_symbols))

    @property
    def symbol_s(self) -> float:
        """Duration of an OFDM symbol with its prefix, in seconds."""
        return (1.0 + float(self._prefix_share)) / (self.subcarrier_spacing_khz * 1e3)

    @property
    def overhead(self) -> Fraction:
        """Complex channel uses per data symbol: all of a slot over its data elements."""
        everything = self.subcarriers * self.slot_symbols * (1 + self._prefix_share)
        return Fraction(everything) / self.data_elements

    @property
    def _prefix_share(self) -> Fraction:
        return CYCLIC_PREFIXES[self.cyclic_prefix][1]

    def uses(self, symbols: int) -> int:
        """See `Channel.uses`: the share of pilots and prefixes, rounded up once per packet."""
        return -(-symbols * self.overhead.numerator // self.overhead.denominator)

    def symbols_within(self, uses: int) -> int:
        """See `Channel.symbols_within`."""
        return max(0, uses * self.overhead.denominator // self.overhead.numerator)

    def fade(self, randomness: ChannelRandomness, packet: int) -> Fade:
        """The fade that a packet meets, or is a part of."""
        block = packet if self.fading_block == "packet" else 0
        generator = randomness.generator("ofdm fade", block)
        return draw_fade(delay_profile(self.model), self.max_doppler_hz, generator)

    def response(
        self, randomness: ChannelRandomness, packet: int, slots: int
    ) -> NDArray[np.complex128]:
        """Frequency response that a packet meets, complex128[slots, symbols, subcarriers].

        A shorter packet of the same number meets the first slots of it.
        """
        start_s = packet * self.packet_interval_ms * 1e-3 if self.fading_block == "image" else 0.0
        starts_s = start_s + np.arange(slots, dtype=np.float64) * self.slot_symbols * self.symbol_s
        offsets_s = np.arange(self.slot_symbols, dtype=np.float64) * self.symbol_s
        taps = self.fade(randomness, packet).taps(starts_s, offsets_s)
        response = taps.reshape(len(taps), slots * self.slot_symbols).T @ _steering(self)
        return response.reshape(slots, self.slot_symbols, self.subcarriers)

    def estimator(self) -> ChannelEstimator | None:
        """What the receiver estimates the response with; None if it knows it."""
        return None if self.estimation == "perfect" else _estimator(self)

    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """See `Channel.transmit`."""
        slots = -(-len(symbols) // self.data_elements)
        response = self.response(randomness, packet, slots)
        gain = self._data(response, len(symbols))
        received = randomness.noise(packet, len(symbols))
        received *= np.sqrt(no)
        received += gain * symbols

        estimator = self.estimator()
        noise = np.full(len(symbols), no)
        if estimator is not None:
            pilots = response[:, list(self.pilot_symbols)]
            pilots += np.sqrt(no) * self._pilot_noise(randomness, packet, pilots.shape)
            estimate, error = estimator.estimate(pilots, no)
            gain = self._data(estimate, len(symbols))
            noise += self._data(np.broadcast_to(error, estimate.shape), len(symbols))
        received /= gain
        noise /= gain.real**2 + gain.imag**2
        return received, noise

    def _data(self, grid: NDArray[AnyNumber], n: int) -> NDArray[AnyNumber]:
        """The first n data elements of a grid [slots, symbols, subcarriers]."""
        return grid[:, _data_symbols(self)].reshape(-1)[:n]

    @staticmethod
    def _pilot_noise(
        randomness: ChannelRandomness, packet: int, shape: tuple[int, ...]
    ) -> NDArray[np.complex128]:
        parts = randomness.generator("ofdm pilot noise", packet).standard_normal((*shape, 2))
        parts *= np.sqrt(0.5)
        return parts.view(np.complex128)[..., 0]


def _is_whole(found: object) -> bool:
    return isinstance(found, int | np.integer)


@lru_cache(maxsize=64)
def _data_symbols(setting: Ofdm) -> NDArray[np.intp]:
    return np.setdiff1d(np.arange(setting.slot_symbols), setting.pilot_symbols)


@lru_cache(maxsize=64)
def _steering(setting: Ofdm) -> NDArray[np.complex128]:
    """exp(-j 2 pi f tau), complex128[taps, subcarriers]; f = 0 is the middle of the band."""
    place = np.arange(setting.subcarriers) - (setting.subcarriers - 1) / 2
    frequency_hz = place * setting.subcarrier_spacing_khz * 1e3
    delays_s = delay_profile(setting.model).delays * setting.delay_spread_ns * 1e-9
    return np.exp(-2j * np.pi * np.outer(delays_s, frequency_hz))


@lru_cache(maxsize=8)
def _estimator(setting: Ofdm) -> ChannelEstimator:
    times_s = np.arange(setting.slot_symbols) * setting.symbol_s
    lags_s = times_s[:, None] - times_s
    profile = delay_profile(setting.model)
    moments = ChannelMoments(
        time_correlation(profile, setting.max_doppler_hz, lags_s), _steering(setting)
    )
    if setting.estimation == "ls":
        return LeastSquares(moments, setting.pilot_symbols)
    return LinearMinimumMeanSquareError(moments, setting.pilot_symbols)
