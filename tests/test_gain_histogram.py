"""Effective SNRs by histograms of gains and turns against sums over the symbols."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.channel import Channel
from channels.fading import FlatFading, Nakagami, Rayleigh, Rician
from channels.gain_histogram import GAINS, gain_histogram
from channels.impairments import Impaired
from channels.modulation import BITS_PER_SYMBOL
from channels.mutual_information import effective_snrs_db, information_curve
from channels.ofdm import Ofdm
from channels.randomness import ChannelRandomness, derive_key
from channels.snr import noise_power
from channels.spatial_multiplexing import SpatialMultiplexing

METERED = [
    Rayleigh(variation="symbol"),
    Rayleigh(variation="symbol", antennas="2x2_alamouti", shadowing_db=8.0),
    Rician(variation="doppler", doppler=0.01, antennas="1x2"),
    Nakagami(variation="symbol", m=0.5),
    SpatialMultiplexing(),
    SpatialMultiplexing(variation="symbol", detector="zf"),
    SpatialMultiplexing(variation="doppler", correlation=0.5, receive_antennas=3),
    Ofdm(),
    Ofdm(model="CDL-A", speed_m_s=60.0, fading_block="image", pilot_symbols=()),
    Ofdm(estimation="ls", pilot_symbols=(3,)),
    Ofdm(model="TDL-D", estimation="lmmse"),
    Impaired(cfo=1e-4, mean_phase_known=True),
    Impaired(phase_noise_deg=1.0),
]


def randomness_of(number: int) -> ChannelRandomness:
    return ChannelRandomness(derive_key("gain histogram", number))


@pytest.mark.parametrize("channel", METERED)
@pytest.mark.parametrize(("symbols", "blocks"), [(1, 1), (17, 1), (1301, 1), (5003, 3)])
def test_meters_tell_what_a_sum_over_the_symbols_tells(
    channel: Channel, symbols: int, blocks: int
) -> None:
    for number, (modulation, snr_db) in enumerate(
        [("qpsk", 0.0), ("16qam", 10.0), ("256qam", 24.0)]
    ):
        no = noise_power(snr_db)
        meter = channel.snr_meter(modulation, symbols, blocks, no)
        assert meter is not None
        for packet in (0, 5):
            noise = channel.effective_noise(modulation, symbols, no, randomness_of(number), packet)
            expected = effective_snrs_db(np.atleast_1d(noise), modulation, blocks)
            found = meter(randomness_of(number), packet)
            assert found.shape == (blocks,)
            # Sums cut 256 samples of alternating streams into three.
            cut = isinstance(channel, SpatialMultiplexing) and blocks > 1
            close_db = 0.05 if cut else 0.003
            assert found == pytest.approx(expected, abs=close_db)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    modulation=st.sampled_from(sorted(BITS_PER_SYMBOL)),
    snr_db=st.floats(-10.0, 35.0),
    n=st.integers(1, 3000),
    blocks=st.integers(1, 4),
)
def test_any_fading_by_histogram(
    seed: int, modulation: str, snr_db: float, n: int, blocks: int
) -> None:
    channel = Rayleigh(variation="symbol")
    no = noise_power(snr_db)
    meter = channel.snr_meter(modulation, n, blocks, no)
    assert meter is not None
    noise = np.atleast_1d(channel.effective_noise(modulation, n, no, randomness_of(seed), 0))
    expected = effective_snrs_db(noise, modulation, blocks)
    found = meter(randomness_of(seed), 0)
    # Where a curve ends, SNRs say no more than that.
    end_db = information_curve(modulation).snr_db[-1] - 6.0
    assert np.minimum(found, end_db) == pytest.approx(np.minimum(expected, end_db), abs=0.002)


def test_shares_keep_number_and_mean() -> None:
    gains = np.random.default_rng(1).exponential(size=1000)
    first, shares = gain_histogram(gains, 3)
    assert shares.sum(axis=1) == pytest.approx(np.ones(3))
    # Linear parts keep the mean, exactly.
    bins = GAINS[first : first + shares.shape[1]]
    means = shares @ bins
    assert means.mean() == pytest.approx(gains.mean(), rel=1e-12)
    # A stretch of 333 1/3 gains counts a third of the one on its border.
    assert means[0] == pytest.approx((gains[:333].sum() + gains[333] / 3) * 3 / 1000, rel=1e-12)
    assert np.all(np.abs(bins / GAINS[first - 1 : first - 1 + len(bins)] - 1) < 1 / 63)


def test_gains_beyond_the_bins_count_as_the_ends() -> None:
    first, shares = gain_histogram(np.array([1e-300, 0.0, 1e300, np.inf]), 1)
    assert first == 0 and shares.shape == (1, len(GAINS))
    assert shares[0, 0] == shares[0, -1] == 0.5


@pytest.mark.parametrize("channel", METERED)
def test_meters_depend_on_key_and_packet_only(channel: Channel) -> None:
    no = noise_power(8.0)
    meter = channel.snr_meter("16qam", 900, 2, no)
    again = replace(channel).snr_meter("16qam", 900, 2, no)  # type: ignore[type-var]
    other = channel.snr_meter("64qam", 900, 2, no)
    assert meter is not None and again is not None and other is not None
    forward = [meter(randomness_of(1), packet) for packet in range(4)]
    # Another noise power or modulation in between, which shares the fades, changes nothing.
    other(randomness_of(1), 2)
    backward = [again(randomness_of(1), packet) for packet in reversed(range(4))]
    assert np.array_equal(forward, backward[::-1])


@pytest.mark.parametrize(
    "channel", [METERED[0], SpatialMultiplexing(), Ofdm(), Ofdm(model="TDL-D", estimation="lmmse")]
)
def test_more_snr_never_tells_less(channel: Channel) -> None:
    steps = [noise_power(float(snr_db)) for snr_db in np.arange(-4.0, 25.0, 1.0)]
    meters = [channel.snr_meter("16qam", 700, 1, no) for no in steps]
    for packet in range(3):
        told = [meter(randomness_of(2), packet)[0] for meter in meters if meter is not None]
        assert len(told) == len(steps)
        assert all(low <= high for low, high in pairwise(told))


def test_fast_draws_are_numpys() -> None:
    """Both tiers meet the fades of one stream, however it is drawn."""
    for count in (1, 255, 256, 4000):
        channel = Rayleigh(variation="symbol")
        drawn = randomness_of(3).generator("fading", 7).standard_normal(2 * count)
        expected = drawn.view(np.complex128) * np.sqrt(0.5)
        gains = channel.gains(randomness_of(3), 7, count=count)
        assert np.array_equal(gains[0, 0], expected)


def test_constant_fades_need_no_meter() -> None:
    for channel in (Rayleigh(), Rician(), Impaired()):
        assert channel.snr_meter("qpsk", 100, 1, 0.1) is None


def test_estimates_that_miss_much_are_looked_at_themselves() -> None:
    slow = Ofdm(estimation="lmmse", pilot_symbols=(2,))
    fast = replace(slow, speed_m_s=60.0)
    assert slow.snr_meter("qpsk", 500, 1, 0.1) is not None
    assert fast.snr_meter("qpsk", 500, 1, 0.1) is None
    noise = fast.effective_noise("qpsk", 500, 0.1, randomness_of(4), 0)
    assert np.array_equal(noise, fast.noise_powers(500, 0.1, randomness_of(4), 0))


@pytest.mark.parametrize(
    "estimated", [Ofdm(estimation="lmmse"), Ofdm(estimation="lmmse", subcarriers=12)]
)
@pytest.mark.parametrize("snr_db", [0.0, 8.0, 16.0])
def test_linear_estimates_tell_what_they_tell_on_average(estimated: Ofdm, snr_db: float) -> None:
    """Against estimates from noisy pilots; information is what averages."""
    no = noise_power(snr_db)
    curve = information_curve("16qam")

    def mean_information(noise: np.ndarray) -> float:  # type: ignore[type-arg]
        return float(np.interp(-10 * np.log10(noise), curve.snr_db, curve.information).mean())

    found, expected = (
        np.array([mean_information(np.asarray(ask(number))) for number in range(150)])
        for ask in (
            lambda n: estimated.effective_noise("16qam", 800, no, randomness_of(n), 0),
            lambda n: estimated.noise_powers(800, no, randomness_of(n), 0),
        )
    )
    difference = found - expected
    assert abs(difference.mean()) < 3.5 * difference.std() / np.sqrt(150) + 5e-4


class OwnNoise(Rayleigh):
    """Says that all its symbols have one noise power, and no more."""

    def effective_noise(self, *_: object, **__: object) -> float:
        return 0.5


def test_who_overrides_a_method_gets_no_meter_of_its_base() -> None:
    assert issubclass(OwnNoise, FlatFading)
    assert OwnNoise(variation="symbol").snr_meter("qpsk", 10, 1, 0.1) is None
