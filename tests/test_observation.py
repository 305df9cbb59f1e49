"""What symbols met: errors counted as the demapper decides, and expected as theory has them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import erfc
from scipy.stats import chi2

from channels.fading import Awgn, Rayleigh, RayleighBlock
from channels.link import LinkSetting, packet_cost, send_packet
from channels.modulation import BITS_PER_SYMBOL, bits_per_symbol, demodulate, modulate
from channels.observation import Observation, observe, wrong_bits_per_symbol
from channels.randomness import ChannelRandomness, derive_key

MODULATIONS = tuple(BITS_PER_SYMBOL)
CHANNELS = (Awgn(), Rayleigh(variation="symbol"))


def q(x: float) -> float:
    return 0.5 * float(erfc(x / math.sqrt(2.0)))


def sent_over(channel, modulation: str, snr_db: float, n: int, key: int = 0):
    """(bits, symbols, received, noise) and the noise power."""
    randomness = ChannelRandomness(derive_key("observation", key))
    bits = randomness.generator("bits", 0).integers(0, 2, n * bits_per_symbol(modulation), np.uint8)
    symbols = modulate(bits, modulation)
    no = 10 ** (-snr_db / 10)
    return bits, symbols, *channel.transmit(symbols, no, randomness, 0), no


@pytest.mark.parametrize("snr_db", [-3.0, 6.0, 14.0])
def test_mean_errors_are_those_of_the_literature(snr_db: float) -> None:
    """Exact Gray-QAM error rates: Cho and Yoon 2002, equations for 4, 16 and 64 points."""
    snr = 10 ** (snr_db / 10)
    a16, a64 = math.sqrt(snr / 5), math.sqrt(snr / 21)
    expected = {
        "bpsk": q(math.sqrt(2 * snr)),
        "qpsk": q(math.sqrt(snr)),
        "16qam": 0.75 * q(a16) + 0.5 * q(3 * a16) - 0.25 * q(5 * a16),
        "64qam": (7 * q(a64) + 6 * q(3 * a64) - q(5 * a64) + q(9 * a64) - q(13 * a64)) / 12,
    }
    for modulation, rate in expected.items():
        mean, _, _ = wrong_bits_per_symbol(np.array([1 / snr]), modulation)[0]
        assert mean / bits_per_symbol(modulation) == pytest.approx(rate, rel=1e-10, abs=1e-300)


@pytest.mark.parametrize("modulation", MODULATIONS)
@pytest.mark.parametrize("channel", CHANNELS, ids=["equal", "unequal"])
def test_decisions_are_the_demappers_and_their_number_is_as_expected(channel, modulation) -> None:
    for snr_db in (0.0, 10.0, 20.0):
        bits, x, y, noise, no = sent_over(channel, modulation, snr_db, 6000)
        seen = observe(x, y, noise, no, modulation)
        llr = demodulate(y, noise, modulation, "maxlog")
        assert seen.bit_errors == np.count_nonzero((llr > 0) != bits)
        assert (seen.symbols, seen.bits) == (len(x), len(bits))
        # Of 36 such comparisons none should fail in a thousand runs of other keys.
        spread = math.sqrt(seen.bit_error_variance)
        assert abs(seen.bit_errors - seen.expected_bit_errors) < 5 * spread + 1
        assert seen.energy == pytest.approx(np.sum(np.abs(x) ** 2))
        assert seen.signal == pytest.approx(np.sum(np.abs(x) ** 2 / noise))
        assert seen.error == pytest.approx(np.sum(np.abs(y - x) ** 2 / noise))
        low, high = chi2.ppf((1e-5, 1 - 1e-5), 2 * len(x)) / 2
        assert low < seen.error < high


def test_unequal_noise_is_summed_symbol_by_symbol() -> None:
    """Against Q of each symbol's own noise power; the table between is fine enough."""
    noise = np.geomspace(0.05, 20.0, 999)
    x = modulate(np.zeros(2 * len(noise), np.uint8), "qpsk")
    seen = observe(x, x, noise, 1.0, "qpsk")
    rate = 0.5 * erfc(np.sqrt(1 / noise) / math.sqrt(2))
    assert seen.expected_bit_errors == pytest.approx(np.sum(2 * rate), rel=1e-5)
    assert seen.bit_error_variance == pytest.approx(np.sum(2 * rate * (1 - rate)), rel=1e-5)
    assert (seen.bit_errors, seen.error) == (0, 0.0)


def test_equal_and_unequal_noise_agree() -> None:
    """A packet of one noise power takes a shorter way to the same sums."""
    for modulation in MODULATIONS:
        _, x, y, noise, no = sent_over(Awgn(), modulation, 9.0, 500)
        short = observe(x, y, noise, no, modulation)
        varied = noise.copy()
        varied[0] *= 1 + 1e-12
        long = observe(x, y, varied, no, modulation)
        for name in Observation.__slots__:
            assert getattr(long, name) == pytest.approx(getattr(short, name), rel=1e-9)


def test_variance_is_that_of_repeated_noise() -> None:
    """Given the symbols: 600 draws of noise over the same ones, in a 99.99 % interval."""
    _, x, *_ = sent_over(Awgn(), "64qam", 12.0, 200)
    no = 10**-1.2
    seen = []
    for key in range(600):
        noise = ChannelRandomness(derive_key("repeated", key)).noise(0, len(x)) * math.sqrt(no)
        seen.append(observe(x, x + noise, np.full(len(x), no), no, "64qam"))
    errors = np.array([each.bit_errors for each in seen])
    variance = seen[0].bit_error_variance
    assert all(each.bit_error_variance == variance for each in seen)
    low, high = chi2.ppf((5e-5, 1 - 5e-5), 599) / 599
    assert low < errors.var(ddof=1) / variance < high


def test_variance_over_symbols_counts_their_levels() -> None:
    """Inner levels of 16QAM err twice as often as outer ones, nearly, at a high SNR."""
    mean, within, between = wrong_bits_per_symbol(np.array([0.02]), "16qam")[0]
    edge = q(1 / math.sqrt(5) / math.sqrt(0.02))
    assert mean == pytest.approx(2 * 1.5 * edge, rel=1e-3)
    assert between == pytest.approx(2 * (edge / 2) ** 2, rel=1e-2)
    assert within == pytest.approx(mean, rel=1e-2)


def test_observations_add_up() -> None:
    _, x, y, noise, no = sent_over(CHANNELS[1], "16qam", 8.0, 400)
    whole = observe(x, y, noise, no, "16qam")
    parts = observe(x[:150], y[:150], noise[:150], no, "16qam")
    parts += observe(x[150:], y[150:], noise[150:], no, "16qam", retransmission=True)
    for name in Observation.__slots__:
        assert getattr(parts, name) == pytest.approx(getattr(whole, name))
    assert whole.uncoded_ber == whole.bit_errors / 1600


def test_nothing_sent_is_not_a_number() -> None:
    assert math.isnan(Observation().delivered_snr_db)
    assert math.isnan(Observation().uncoded_ber)


def test_the_snr_of_white_noise_is_delivered() -> None:
    """Three standard deviations of 10^5 symbols are .04 dB."""
    _, x, y, noise, no = sent_over(Awgn(), "qpsk", 7.0, 100_000)
    assert observe(x, y, noise, no, "qpsk").delivered_snr_db == pytest.approx(7.0, abs=0.04)


def test_a_packet_is_observed_with_all_its_transmissions() -> None:
    setting = LinkSetting(RayleighBlock(), snr_db=-5.0, transmissions=3)
    randomness = ChannelRandomness(derive_key("packet", 3))
    outcome = send_packet(bytes(50), setting, randomness, 4)
    assert outcome.transmissions == 3
    seen = outcome.observed
    assert seen is not None
    assert seen.symbols == 3 * packet_cost(50, setting).symbols
    assert seen.bits == 4 * seen.symbols
    # Of the first transmission alone.
    assert seen.opening_gain == pytest.approx(abs(randomness.fading(4)) ** 2)
