"""Several antennas against closed forms, and the linear receiver against Sionna's.

Seeds are fixed, so that each test always gives the same answer; intervals are those within which
a right implementation falls for 99 seeds in 100.
"""

from math import comb
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import gamma, kstest

from channels.diversity import COMBININGS
from channels.fading import Antennas, FlatFading, Nakagami, Rayleigh, Rician
from channels.link import LinkSetting, packet_cost, send_packet
from channels.modulation import BITS_PER_SYMBOL, demodulate, modulate
from channels.randomness import ChannelRandomness, derive_key
from channels.snr import noise_power
from channels.spatial_multiplexing import SpatialMultiplexing, part_streams

WITHIN_99_PERCENT = 2.576
RANDOMNESS = ChannelRandomness(derive_key("antennas"))
#: Diversity branches, and the share of the transmit power that each gets.
BRANCHES = {
    "1x1": (1, 1.0),
    "1x2": (2, 1.0),
    "1x4": (4, 1.0),
    "2x1_alamouti": (2, 0.5),
    "2x2_alamouti": (4, 0.5),
}


def bit_errors(
    channel: FlatFading | SpatialMultiplexing, snr_db: float, packets: int, symbols: int
) -> NDArray[np.float64]:
    """Hard decisions that are wrong, as float64[packets, 2 symbols], with QPSK."""
    randomness = ChannelRandomness(derive_key("bit errors", str(snr_db), repr(channel)))
    bits = randomness.generator("bits", 0).integers(0, 2, (packets, 2 * symbols), np.uint8)
    wrong = np.empty(bits.shape)
    for packet, sent in enumerate(bits):
        received, noise = channel.transmit(
            modulate(sent, "qpsk"), noise_power(snr_db), randomness, packet
        )
        wrong[packet] = (demodulate(received, noise, "qpsk") > 0) != sent
    return wrong


def rayleigh_diversity_rate(branches: int, snr: float) -> float:
    """Error rate of BPSK with `branches` Rayleigh branches of mean `snr` each, combined.

    J. G. Proakis, M. Salehi, "Digital Communications", 5th ed., (13.4-15).
    """
    root = np.sqrt(snr / (1 + snr))
    terms = [comb(branches - 1 + k, k) * ((1 + root) / 2) ** k for k in range(branches)]
    return float(((1 - root) / 2) ** branches * sum(terms))


def test_scenario_names_are_those_of_the_combinings() -> None:
    assert tuple(COMBININGS) == get_args(Antennas) == tuple(BRANCHES)


@pytest.mark.parametrize("antennas", list(BRANCHES))
@pytest.mark.parametrize("snr_db", [0.0, 6.0])
def test_error_rates_over_rayleigh(antennas: Antennas, snr_db: float) -> None:
    branches, share = BRANCHES[antennas]
    # QPSK: half of Es/N0 for each bit.
    expected = rayleigh_diversity_rate(branches, share * 10 ** (snr_db / 10) / 2)
    interleaved = bit_errors(Rayleigh(variation="symbol", antennas=antennas), snr_db, 1, 200_000)
    block = bit_errors(Rayleigh(antennas=antennas), snr_db, 2500, 20)
    # A pair of symbols shares its gains with Alamouti's code, a packet with block fading.
    for samples in (interleaved.reshape(-1, 4).mean(axis=1), block.mean(axis=1)):
        deviation = samples.std() / np.sqrt(len(samples))
        assert abs(samples.mean() - expected) < WITHIN_99_PERCENT * deviation


@pytest.mark.parametrize("antennas", ["1x2", "2x2_alamouti"])
def test_error_rates_with_doppler(antennas: Antennas) -> None:
    branches, share = BRANCHES[antennas]
    channel = Rayleigh(variation="doppler", doppler=0.02, antennas=antennas)
    samples = bit_errors(channel, 3.0, 300, 200).mean(axis=1)
    deviation = samples.std() / np.sqrt(len(samples))
    expected = rayleigh_diversity_rate(branches, share * 10**0.3 / 2)
    assert abs(samples.mean() - expected) < WITHIN_99_PERCENT * deviation


@pytest.mark.parametrize("antennas", ["1x4", "2x1_alamouti"])
@pytest.mark.parametrize("channel", ["rician", "nakagami"])
def test_error_rates_by_the_mgf(antennas: Antennas, channel: str) -> None:
    """Independent branches: the product of their moment-generating functions."""
    branches, share = BRANCHES[antennas]
    k, m, snr = 2.0, 0.7, share * 10**0.4 / 2
    fading: FlatFading
    if channel == "rician":
        fading = Rician(k_db=10 * np.log10(k), variation="symbol", antennas=antennas)
    else:
        fading = Nakagami(m=m, variation="symbol", antennas=antennas)

    def integrand(angle: float) -> float:
        s = -snr / np.sin(angle) ** 2
        if channel == "rician":
            one = (1 + k) / (1 + k - s) * np.exp(k * s / (1 + k - s))
        else:
            one = (1 - s / m) ** -m
        return float(one**branches / np.pi)

    samples = bit_errors(fading, 4.0, 1, 100_000).reshape(-1, 4).mean(axis=1)
    deviation = samples.std() / np.sqrt(len(samples))
    expected = quad(integrand, 0.0, np.pi / 2)[0]
    assert abs(samples.mean() - expected) < WITHIN_99_PERCENT * deviation


@pytest.mark.parametrize("antennas", list(BRANCHES))
def test_snr_and_outage(antennas: Antennas) -> None:
    """The SNR after combining is gamma distributed; `no` is that of one receive antenna."""
    branches, share = BRANCHES[antennas]
    snr_db = 5.0
    channel = Rayleigh(variation="symbol", antennas=antennas)
    symbols = modulate(np.arange(40_000, dtype=np.uint8) // 3 % 2, "qpsk")
    received, noise = channel.transmit(symbols, noise_power(snr_db), RANDOMNESS, 0)
    snr = 1 / noise[::2]
    mean = branches * share * 10 ** (snr_db / 10)
    assert kstest(snr, gamma(branches, scale=mean / branches).cdf).pvalue > 0.01
    assert abs(snr.mean() - mean) < WITHIN_99_PERCENT * snr.std() / np.sqrt(len(snr))
    # The error has the power that is handed to the demapper, and is circular.
    whitened = (received - symbols) / np.sqrt(noise)
    power = np.abs(whitened) ** 2
    assert kstest(power, "expon").pvalue > 0.01
    assert abs(np.mean(whitened**2)) < 2 * WITHIN_99_PERCENT / np.sqrt(len(power))


def test_more_antennas_add_to_fewer() -> None:
    channel = Rayleigh(variation="symbol")
    four = channel.gains(RANDOMNESS, 1, receive=4, count=10)
    np.testing.assert_array_equal(channel.gains(RANDOMNESS, 1, receive=2, count=10), four[:2])
    two_by_two = channel.gains(RANDOMNESS, 1, receive=2, transmit=2, count=10)
    np.testing.assert_array_equal(two_by_two[:, :1], four[:2])
    flat = two_by_two.reshape(4, -1)
    assert len(np.unique(flat)) == flat.size


def test_antennas_fade_independently() -> None:
    gains = Rayleigh(variation="symbol").gains(RANDOMNESS, 0, receive=2, transmit=2, count=20_000)
    flat = gains.reshape(4, -1)
    covariance = flat @ flat.conj().T / flat.shape[1]
    np.testing.assert_allclose(covariance, np.eye(4), atol=3.5 / np.sqrt(flat.shape[1]))


# ---- spatial multiplexing


@pytest.mark.parametrize("detector", ["lmmse", "zf"])
@pytest.mark.parametrize("snr_db", [-3.0, 8.0, 25.0])
@pytest.mark.parametrize("modulation", ["qpsk", "64qam"])
def test_error_power_is_the_reported_one(detector: str, snr_db: float, modulation: str) -> None:
    channel = SpatialMultiplexing(variation="symbol", detector=detector, correlation=0.4)  # type: ignore[arg-type]
    n = 30_000
    bits = RANDOMNESS.generator("bits", 0).integers(0, 2, n * BITS_PER_SYMBOL[modulation], np.uint8)
    symbols = modulate(bits, modulation)
    received, noise = channel.transmit(symbols, noise_power(snr_db), RANDOMNESS, 0)
    for stream in (0, 1):
        error = (received - symbols)[stream::2]
        ratio = np.abs(error) ** 2 / noise[stream::2]
        assert abs(ratio.mean() - 1) < WITHIN_99_PERCENT * ratio.std() / np.sqrt(len(ratio))
        # Unbiased: the error has nothing of the symbol.
        overlap = (error * symbols[stream::2].conj() / np.sqrt(noise[stream::2])).real
        assert abs(overlap.mean()) < WITHIN_99_PERCENT * overlap.std() / np.sqrt(len(overlap))


@pytest.mark.parametrize("receive", [2, 4])
@pytest.mark.parametrize("snr_db", [-5.0, 10.0, 30.0])
def test_lmmse_is_that_of_sionna(receive: int, snr_db: float) -> None:
    torch = pytest.importorskip("torch")
    mimo = pytest.importorskip("sionna.phy.mimo")
    no, uses = noise_power(snr_db), 200
    channel = SpatialMultiplexing(variation="symbol", receive_antennas=receive)
    gains = channel.gains(RANDOMNESS, 0, receive=receive, transmit=2, count=uses)
    g1, g2 = gains.transpose(1, 0, 2) * np.sqrt(0.5)
    received = np.random.default_rng(1).standard_normal((receive, 2 * uses)).view(np.complex128)
    ours, noise = part_streams(received, g1, g2, no, load=no)
    theirs, their_noise = mimo.lmmse_equalizer(
        torch.from_numpy(received.T.copy()),
        torch.from_numpy(np.stack([g1.T, g2.T], axis=-1)),
        no * torch.eye(receive, dtype=torch.complex128).expand(uses, -1, -1),
        precision="double",
    )
    np.testing.assert_allclose(ours.T, theirs.numpy(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(noise.T, their_noise.numpy(), rtol=1e-6)


@pytest.mark.parametrize("receive", [2, 3])
def test_zero_forcing_leaves_one_branch_fewer(receive: int) -> None:
    """Gamma distributed with receive - 1 branches (Tse, Viswanath, 8.3.1), half the power each."""
    channel = SpatialMultiplexing(variation="symbol", detector="zf", receive_antennas=receive)
    _, noise = channel.transmit(np.ones(20_000, np.complex128), 0.1, RANDOMNESS, 0)
    for stream in (0, 1):
        law = gamma(receive - 1, scale=0.5 / 0.1).cdf
        assert kstest(1 / noise[stream::2], law).pvalue > 0.01


def test_zero_forcing_error_rate() -> None:
    channel = SpatialMultiplexing(variation="symbol", detector="zf")
    samples = bit_errors(channel, 10.0, 1, 200_000).reshape(-1, 4).mean(axis=1)
    expected = rayleigh_diversity_rate(1, 0.5 * 10.0 / 2)
    deviation = samples.std() / np.sqrt(len(samples))
    assert abs(samples.mean() - expected) < WITHIN_99_PERCENT * deviation


@pytest.mark.parametrize("snr_db", [0.0, 15.0])
def test_lmmse_keeps_the_capacity(snr_db: float) -> None:
    """One stream after the LMMSE receiver, the other once the first is known: nothing is lost.

    (1 + SINR_1) (1 + |g2|^2 / no) = det(I + G* G / no) (Tse, Viswanath, 8.3.4), whose mean log2 is
    the ergodic capacity of E. Telatar, "Capacity of multi-antenna Gaussian channels", 1999, (8).
    """
    no, n = noise_power(snr_db), 40_000
    channel = SpatialMultiplexing(variation="symbol")
    _, noise = channel.transmit(np.ones(n, np.complex128), no, RANDOMNESS, 0)
    gains = channel.gains(RANDOMNESS, 0, receive=2, transmit=2, count=n // 2) * np.sqrt(0.5)
    matrices = gains.transpose(2, 0, 1)
    gram = np.eye(2) + matrices.conj().transpose(0, 2, 1) @ matrices / no
    determinant = np.linalg.det(gram).real
    alone = 1 + np.sum(np.abs(gains) ** 2, axis=0) / no
    np.testing.assert_allclose((1 + 1 / noise[0::2]) * alone[1], determinant, rtol=1e-9)
    np.testing.assert_allclose((1 + 1 / noise[1::2]) * alone[0], determinant, rtol=1e-9)

    def integrand(eigenvalue: float) -> float:
        density = (1 + (1 - eigenvalue) ** 2) * np.exp(-eigenvalue)
        return float(np.log2(1 + eigenvalue / (2 * no)) * density)

    capacity = np.log2(determinant)
    deviation = capacity.std() / np.sqrt(len(capacity))
    expected = quad(integrand, 0.0, np.inf)[0]
    assert abs(capacity.mean() - expected) < WITHIN_99_PERCENT * deviation


def test_lmmse_is_never_worse_than_zero_forcing() -> None:
    symbols = np.ones(5000, np.complex128)
    for no in (1.0, 0.01):
        lmmse, zf = (
            SpatialMultiplexing(variation="symbol", detector=detector).transmit(
                symbols, no, RANDOMNESS, 0
            )[1]
            for detector in ("lmmse", "zf")
        )
        assert np.all(lmmse < zf)


def test_receive_correlation() -> None:
    channel = SpatialMultiplexing(variation="symbol", receive_antennas=3, correlation=0.8)
    gains = channel.gains(RANDOMNESS, 0, receive=3, transmit=2, count=20_000)
    flat = gains.transpose(1, 0, 2).reshape(6, -1)
    covariance = flat @ flat.conj().T / flat.shape[1]
    one = np.array([[1.0, 0.8, 0.64], [0.8, 1.0, 0.8], [0.64, 0.8, 1.0]])
    expected = np.kron(np.eye(2), one)
    np.testing.assert_allclose(covariance, expected, atol=4 / np.sqrt(flat.shape[1]))


def test_two_symbols_per_channel_use() -> None:
    channel = SpatialMultiplexing()
    assert [channel.uses(n) for n in (1, 2, 3, 1000)] == [1, 1, 2, 500]
    assert [channel.symbols_within(n) for n in (0, 1, 500)] == [0, 2, 1000]
    setting = LinkSetting(channel, 30.0, "16qam", 0.5)
    cost = packet_cost(100, setting)
    assert cost.channel_uses == -(-cost.symbols // 2)
    packets = [bytes([number]) * 100 for number in range(10)]
    received = [
        outcome.data
        for outcome in [send_packet(p, setting, RANDOMNESS, n) for n, p in enumerate(packets)]
    ]
    assert received == packets
