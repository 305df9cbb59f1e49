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
from channels.channel_estimation import (
    ChannelEstimator,
    ChannelMoments,
    LeastSquares,
    LinearMinimumMeanSquareError,
)
from channels.errors import ChannelError
from channels.gain_histogram import GAINS, gain_meter, information_of_gains
from channels.mismatch import least_squares_noise, linear_estimate_noise
from channels.mutual_information import information_of_each
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

#: Error power of an LMMSE estimate without noise up to which errors count by their mean. Of packets
#: of one slot, of which about half fail, .01 more fail that way at .07, .03 more at .13.
_MOST_MISSED = 0.02
_HARDLY_ANY_NOISE = 1e-9


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
        if self.estimation == "perfect":
            return None
        return _least_squares(self) if self.estimation == "ls" else _best_linear(self)

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
        received = randomness.noise(packet, len(symbols))
        received *= np.sqrt(no)
        received += self._data(response, len(symbols)) * symbols
        gain, noise = self._equaliser(response, len(symbols), no, randomness, packet)
        received /= gain
        return received, noise

    def _equaliser(
        self,
        response: NDArray[np.complex128],
        n: int,
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """What a packet's n symbols are divided by, and their noise powers after that."""
        gain = self._data(response, n)
        noise = np.full(n, no)
        estimator = self.estimator()
        if estimator is not None:
            pilots = response[:, list(self.pilot_symbols)]
            pilots += np.sqrt(no) * self._pilot_noise(randomness, packet, pilots.shape)
            estimate, error = estimator.estimate(pilots, no)
            gain = self._data(estimate, n)
            noise += self._data(np.broadcast_to(error, estimate.shape), n)
        noise /= gain.real**2 + gain.imag**2
        return gain, noise

    def noise_powers(
        self, symbols: int, no: float, randomness: ChannelRandomness, packet: int
    ) -> NDArray[np.float64]:
        """See `Channel.noise_powers`."""
        slots = -(-symbols // self.data_elements)
        response = self.response(randomness, packet, slots)
        return self._equaliser(response, symbols, no, randomness, packet)[1]

    def effective_noise(
        self,
        modulation: str,
        symbols: int,
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> NDArray[np.float64]:
        """See `Channel.effective_noise`; of estimates it is a mean over their errors."""
        if not self._told_by_gains(symbols):
            return self.noise_powers(symbols, no, randomness, packet)
        gains = _remembered_gains(self, symbols, randomness, packet)
        return self._noise_of_gains(gains, modulation, self._first_slot(symbols), no)

    def snr_meter(self, modulation: str, symbols: int, blocks: int, no: float) -> SnrMeter | None:
        """See `Channel.snr_meter`."""
        if not self._told_by_gains(symbols):
            return None
        information = (
            information_of_gains(modulation, no)
            if self.estimation == "perfect"
            else _information_of_estimates(self, modulation, self._first_slot(symbols), no)
        )
        return gain_meter(self, modulation, symbols, blocks, information)

    def _told_by_gains(self, symbols: int) -> bool:
        """Whether |H|^2 at an element tells what a packet of so many symbols gets through it.

        Not with "lmmse" where the channel changes so much that its pilots miss some of it without
        any noise: a packet's errors then have too much in common to count by their mean.
        """
        if self.estimation != "lmmse":
            return True
        return bool(_missed(self)[list(self._first_slot(symbols))].max() <= _MOST_MISSED)

    def _first_slot(self, symbols: int) -> tuple[int, ...]:
        """OFDM symbols of the first slot that carry a packet of so many symbols."""
        return tuple(_data_symbols(self)[: -(-symbols // self.subcarriers)].tolist())

    def _noise_of_gains(
        self,
        gains: NDArray[np.float64],
        modulation: str,
        first_slot: tuple[int, ...],
        no: float,
    ) -> NDArray[np.float64]:
        """Noise powers that stand for what the receiver makes of these |H|^2."""
        noise: NDArray[np.float64] = no / gains
        if self.estimation == "perfect":
            return noise
        if self.estimation == "ls":
            return least_squares_noise(noise, _least_squares(self), first_slot, modulation, no)
        return linear_estimate_noise(noise, _best_linear(self), first_slot, modulation, no)

    def errors_are(self) -> ErrorKind:
        """See `Channel.errors_are`."""
        return "white" if self.estimation == "perfect" else "mean"

    def power_gain(self, randomness: ChannelRandomness, packet: int) -> float:
        """See `Channel.power_gain`: |H|^2 of the first data element, as it is, not as estimated."""
        start_s = packet * self.packet_interval_ms * 1e-3 if self.fading_block == "image" else 0.0
        start_s += float(_data_symbols(self)[0]) * self.symbol_s
        taps = self.fade(randomness, packet).taps(np.array([start_s]), np.zeros(1))[:, 0, 0]
        return float(abs(taps @ _steering(self)[:, 0]) ** 2)

    def power_gain_distribution(self) -> Distribution | None:
        """See `Channel.power_gain_distribution`.

        The taps of the tapped models are complex normal, one beside a line of sight of uniform
        phase; so H is on every element. Those of the clustered models are only nearly normal.
        """
        profile = delay_profile(self.model)
        if profile.arrivals is not None:
            return None
        # Imported here since it takes longer than all else that a link needs.
        from scipy.stats import ncx2

        scattered = 1.0 - profile.los_power
        frozen: Distribution = ncx2(2, 2 * profile.los_power / scattered, scale=scattered / 2)
        return frozen

    def sampled_gains(
        self, symbols: int, randomness: ChannelRandomness, packet: int
    ) -> NDArray[np.float64]:
        """See `channels.gain_histogram.GainSource`: |H|^2 at some data elements.

        Of one subcarrier in each fiftieth of the inverse delay spread, within which the response
        hardly changes; linear in time within each fortieth of the shortest Doppler period, which
        is off by .3 % of its amplitude.
        """
        rows = -(-symbols // self.subcarriers)
        first_s, step_s, weights = _sparse_times(self, rows)
        if self.fading_block == "image":
            first_s += packet * self.packet_interval_ms * 1e-3
        fade = self.fade(randomness, packet)
        taps = fade.taps_evenly(first_s, step_s, weights.shape[1])
        # Of a short packet every symbol counts.
        steering = _steering(self) if rows <= 2 else _sparse_steering(self)
        response = weights @ (taps @ steering)
        gains: NDArray[np.float64] = response.real**2 + response.imag**2
        return gains.reshape(-1)[: -(-symbols * gains.shape[1] // self.subcarriers)]

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


@lru_cache(maxsize=REMEMBERED_FADES)
def _remembered_gains(
    channel: Ofdm, symbols: int, randomness: ChannelRandomness, packet: int
) -> NDArray[np.float64]:
    """`Ofdm.sampled_gains`, remembered, as all SNRs of a sweep meet the same fades."""
    gains = channel.sampled_gains(symbols, randomness, packet)
    gains.setflags(write=False)
    return gains


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


@lru_cache(maxsize=256)
def _sparse_times(setting: Ofdm, rows: int) -> tuple[float, float, NDArray[np.float64]]:
    """Times within a packet of so many data OFDM symbols: the first, the step to the next, and the
    weights of linear interpolation between them, float64[rows, times].
    """
    slot, place = np.divmod(np.arange(rows), setting.slot_symbols - len(setting.pilot_symbols))
    rows_s = np.asarray(
        (slot * setting.slot_symbols + _data_symbols(setting)[place]) * setting.symbol_s, np.float64
    )
    stretches = int(np.ceil(40.0 * setting.max_doppler_hz * (rows_s[-1] - rows_s[0])))
    times_s, step_s = np.linspace(rows_s[0], rows_s[-1], stretches + 1, retstep=True)
    units = np.eye(len(times_s))
    weights = np.stack([np.interp(rows_s, times_s, unit) for unit in units], axis=1)
    return float(rows_s[0]), float(step_s) if stretches else 0.0, weights


@lru_cache(maxsize=64)
def _sparse_steering(setting: Ofdm) -> NDArray[np.complex128]:
    """`_steering` of one in so many subcarriers, each in the middle of those it stands for."""
    spacing_hz = setting.subcarrier_spacing_khz * 1e3
    widest = 0.02 / max(setting.delay_spread_ns * 1e-9 * spacing_hz, 1e-9)
    count = -(-setting.subcarriers // max(1, int(widest)))
    middle = ((2 * np.arange(count) + 1) * setting.subcarriers) // (2 * count)
    return np.ascontiguousarray(_steering(setting)[:, middle])


# An estimator of this kind takes up to some hundred MB.
@lru_cache(maxsize=8)
def _best_linear(setting: Ofdm) -> LinearMinimumMeanSquareError:
    return LinearMinimumMeanSquareError(_moments(setting), setting.pilot_symbols)


@lru_cache(maxsize=256)
def _information_of_estimates(
    setting: Ofdm, modulation: str, first_slot: tuple[int, ...], no: float
) -> NDArray[np.float64]:
    """`information_of_gains` where the receiver divides by estimates."""
    noise = setting._noise_of_gains(GAINS, modulation, first_slot, no)
    information = information_of_each(noise, modulation)
    information.setflags(write=False)
    return information


@lru_cache(maxsize=64)
def _missed(setting: Ofdm) -> NDArray[np.float64]:
    """Error power of the best linear estimate without noise, float64[symbols], at its worst."""
    return np.asarray(_best_linear(setting).error_power(_HARDLY_ANY_NOISE).max(axis=1))


@lru_cache(maxsize=256)
def _least_squares(setting: Ofdm) -> LeastSquares:
    return LeastSquares(_moments(setting), setting.pilot_symbols)


def _moments(setting: Ofdm) -> ChannelMoments:
    times_s = np.arange(setting.slot_symbols) * setting.symbol_s
    lags_s = times_s[:, None] - times_s
    profile = delay_profile(setting.model)
    return ChannelMoments(
        time_correlation(profile, setting.max_doppler_hz, lags_s), _steering(setting)
    )
