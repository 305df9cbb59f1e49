"""Fading, impaired and binary channels against closed forms.

Seeds are fixed, so that each test always gives the same answer; intervals are those within which
a right implementation falls for 99 seeds in 100.
"""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import exp1, j0
from scipy.stats import gamma, kstest, ncx2, norm

from channels.binary_channels import BinaryErasureChannel, BinarySymmetricChannel
from channels.channel import Channel
from channels.errors import ChannelError
from channels.fading import Awgn, FlatFading, Nakagami, Rayleigh, RayleighBlock, Rician
from channels.impairments import Impaired
from channels.link import LinkSetting, packet_cost, send_packet
from channels.modulation import BITS_PER_SYMBOL, demodulate, modulate
from channels.randomness import ChannelRandomness, derive_key
from channels.snr import noise_power
from channels.spatial_multiplexing import SpatialMultiplexing

WITHIN_99_PERCENT = 2.576
RANDOMNESS = ChannelRandomness(derive_key("flat channels"))

ALL_KINDS: list[Channel] = [
    *(
        kind(variation=variation, fading_block=block, antennas=antennas, shadowing_db=4.0)
        for kind in (Rayleigh, Rician, Nakagami)
        for variation in ("block", "symbol", "doppler")
        for block in ("packet", "image")
        for antennas in ("1x1", "1x2", "2x2_alamouti")
    ),
    *(SpatialMultiplexing(variation=variation) for variation in ("block", "symbol", "doppler")),
    SpatialMultiplexing(detector="zf", correlation=0.7, receive_antennas=3),
    Impaired(),
    Impaired(cfo=0.003, phase_noise_deg=1.0),
    BinarySymmetricChannel(),
    BinaryErasureChannel(),
]


def random_symbols(n: int, modulation: str = "qpsk") -> NDArray[np.complex128]:
    bits = RANDOMNESS.generator("bits", n).integers(0, 2, n * BITS_PER_SYMBOL[modulation], np.uint8)
    return modulate(bits, modulation)


def packet_gains(channel: FlatFading, packets: int, **sizes: int) -> NDArray[np.complex128]:
    """complex128[packets, count] of a channel with one antenna at either end."""
    return np.array([channel.gains(RANDOMNESS, p, **sizes)[0, 0] for p in range(packets)])


def error_rate(
    channel: Channel, snr_db: float, modulation: str, packets: int, symbols: int, per_gain: int
) -> tuple[float, float]:
    """Bit error rate of hard decisions, and its standard error.

    The bits of `per_gain` symbols may share a gain: their means are the independent samples.
    """
    m = BITS_PER_SYMBOL[modulation]
    randomness = ChannelRandomness(derive_key("bit errors", modulation, str(snr_db), repr(channel)))
    bits = randomness.generator("bits", 0).integers(0, 2, (packets, symbols * m), np.uint8)
    wrong = np.empty((packets, symbols * m))
    for packet, sent in enumerate(bits):
        received, noise = channel.transmit(
            modulate(sent, modulation), noise_power(snr_db), randomness, packet
        )
        wrong[packet] = (demodulate(received, noise, modulation) > 0) != sent
    samples = wrong.reshape(-1, per_gain * m).mean(axis=1)
    return float(samples.mean()), float(samples.std() / np.sqrt(len(samples)))


def rate_by_mgf(moments: Callable[[float], float], snr: float) -> float:
    """BPSK's mean error rate from M(s) = E[exp(s |h|^2)].

    M. K. Simon, M.-S. Alouini, "Digital Communication over Fading Channels", 2005, (8.103).
    """
    integral = quad(lambda angle: moments(-snr / np.sin(angle) ** 2), 0.0, np.pi / 2)[0]
    return float(integral / np.pi)


def rician_mgf(k_db: float) -> Callable[[float], float]:
    k = 10 ** (k_db / 10)
    return lambda s: (1 + k) / (1 + k - s) * np.exp(k * s / (1 + k - s))


def nakagami_mgf(m: float) -> Callable[[float], float]:
    return lambda s: (1 - s / m) ** -m


# ---- distribution of the gains


def power_law(channel: FlatFading) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """P(|h|^2 < x)."""
    if isinstance(channel, Rician):
        k = 10 ** (channel.k_db / 10)
        return lambda x: ncx2.cdf(2 * (k + 1) * x, 2, 2 * k)
    m = channel.m if isinstance(channel, Nakagami) else 1.0
    return lambda x: gamma.cdf(x, m, scale=1 / m)


DISTRIBUTIONS: list[Callable[..., FlatFading]] = [
    Rayleigh,
    lambda **fields: Rician(k_db=-3.0, **fields),
    lambda **fields: Rician(k_db=10.0, **fields),
    lambda **fields: Nakagami(m=0.5, **fields),
    lambda **fields: Nakagami(m=4.3, **fields),
]


@pytest.mark.parametrize("kind", DISTRIBUTIONS)
@pytest.mark.parametrize("variation", ["block", "symbol", "doppler"])
def test_gains_are_distributed_as_they_should(
    kind: Callable[..., FlatFading], variation: str
) -> None:
    channel = kind(variation=variation)
    if variation == "symbol":
        gains = channel.gains(RANDOMNESS, 3, count=20_000).reshape(-1)
    else:
        # One gain of each packet: those within it are dependent. Not the first: waves have moved.
        gains = packet_gains(channel, 4000, count=50)[:, -1]
    power = np.abs(gains) ** 2
    assert kstest(power, power_law(channel)).pvalue > 0.01
    assert abs(power.mean() - 1) < WITHIN_99_PERCENT * power.std() / np.sqrt(len(power))
    if not isinstance(channel, Rician):
        phase = np.angle(gains) / (2 * np.pi) + 0.5
        assert kstest(phase, "uniform").pvalue > 0.01


def test_high_nakagami_powers_are_finite() -> None:
    scattered = np.array([1e-9, 0.1, 4.4, 4.5, 6.5, 9.0], np.complex128)
    for m in (0.5, 1.0, 1000.0):
        power = np.abs(Nakagami(m=m).fade(scattered)) ** 2
        assert np.all(np.diff(power) > 0)
        # Same rank: the upper tails are equal.
        tails = gamma.sf(power, m, scale=1 / m)
        np.testing.assert_allclose(tails, np.exp(-(np.abs(scattered) ** 2)), rtol=1e-6)
    np.testing.assert_allclose(Nakagami(m=1.0).fade(scattered), scattered, rtol=1e-9)


def test_the_ends_of_rician_fading() -> None:
    symbols = random_symbols(200)
    weak, _ = Rician(k_db=-100.0).transmit(symbols, 0.1, RANDOMNESS, 5)
    rayleigh, _ = Rayleigh().transmit(symbols, 0.1, RANDOMNESS, 5)
    np.testing.assert_allclose(weak, rayleigh, atol=1e-3)
    strong, _ = Rician(k_db=100.0).transmit(symbols, 0.1, RANDOMNESS, 5)
    np.testing.assert_allclose(strong, Awgn().transmit(symbols, 0.1, RANDOMNESS, 5)[0], atol=1e-3)


def test_shadowing_is_log_normal_with_a_mean_power_of_one() -> None:
    deviation_db = 6.0
    steady = Rician(k_db=100.0, shadowing_db=deviation_db)
    power_db = 20 * np.log10(np.abs(packet_gains(steady, 5000)[:, 0]))
    mean_db = -(deviation_db**2) * np.log(10) / 20
    assert kstest(power_db, norm(mean_db, deviation_db).cdf).pvalue > 0.01
    # E[10^(X / 10)] of a normal X.
    assert mean_db + deviation_db**2 * np.log(10) / 20 == pytest.approx(0.0)
    power = 10 ** (power_db / 10)
    assert abs(power.mean() - 1) < WITHIN_99_PERCENT * power.std() / np.sqrt(len(power))


def test_a_shadow_is_common_to_antennas_and_lasts_for_its_block() -> None:
    for block in ("packet", "image"):
        plain = Rayleigh(variation="symbol", fading_block=block)
        shaded = Rayleigh(variation="symbol", fading_block=block, shadowing_db=8.0)
        shadows = [
            shaded.gains(RANDOMNESS, packet, receive=2, transmit=2, count=5)
            / plain.gains(RANDOMNESS, packet, receive=2, transmit=2, count=5)
            for packet in range(3)
        ]
        for shadow in shadows:
            np.testing.assert_allclose(shadow, shadow[0, 0, 0], rtol=1e-12)
        assert len({round(s[0, 0, 0].real, 9) for s in shadows}) == (3 if block == "packet" else 1)


# ---- variation in time


@pytest.mark.parametrize("spacing", [1, 3])
def test_clarke_autocorrelation(spacing: int) -> None:
    doppler = 0.01
    lags = np.array([1, 5, 12, 24, 38, 61, 90])
    channel = Rayleigh(variation="doppler", doppler=doppler)
    gains = packet_gains(channel, 4000, count=100, uses_each=spacing)
    products = gains[:, 4 + lags] * gains[:, 4:5].conj()
    expected = j0(2 * np.pi * doppler * spacing * lags)
    allowed = norm.isf(0.005 / (2 * len(lags))) / np.sqrt(len(gains))
    error = products.mean(axis=0) - expected
    assert np.all(np.abs(error.real) < allowed * products.real.std(axis=0))
    assert np.all(np.abs(error.imag) < allowed * products.imag.std(axis=0))


@pytest.mark.parametrize("level", [0.3, 1.0])
def test_clarke_level_crossings(level: float) -> None:
    """sqrt(2 pi) f r exp(-r^2) upward crossings of r times the RMS level (S. O. Rice, 1948)."""
    doppler, count = 0.004, 4000
    channel = Rayleigh(variation="doppler", doppler=doppler)
    above = np.abs(packet_gains(channel, 400, count=count)) > level
    crossings = np.sum(~above[:, :-1] & above[:, 1:], axis=1) / (count - 1)
    expected = np.sqrt(2 * np.pi) * doppler * level * np.exp(-(level**2))
    deviation = crossings.std() / np.sqrt(len(crossings))
    # Between two samples a fade can come and go unseen: about 1 % of them at this rate.
    assert abs(crossings.mean() - expected) < WITHIN_99_PERCENT * deviation + 0.01 * expected


def test_one_process_runs_through_an_image() -> None:
    channel = Rayleigh(
        variation="doppler", fading_block="image", doppler=0.013, packet_spacing_uses=100
    )
    whole = channel.gains(RANDOMNESS, 0, count=1000)[0, 0]
    for packet in (1, 4, 9):
        part = channel.gains(RANDOMNESS, packet, count=100)[0, 0]
        np.testing.assert_allclose(part, whole[100 * packet :][:100], atol=1e-9)
    pairs = channel.gains(RANDOMNESS, 4, count=50, uses_each=2)[0, 0]
    np.testing.assert_allclose(pairs, whole[400:500:2], atol=1e-9)
    far = channel.gains(RANDOMNESS, 2**40, count=100)[0, 0]
    assert np.mean(np.abs(far[1:] - far[:-1]) ** 2) < 0.02


def test_variations_differ_in_how_long_a_gain_lasts() -> None:
    symbols = np.ones(64, np.complex128)

    def distinct(variation: str, block: str) -> int:
        channel = Rayleigh(variation=variation, fading_block=block)  # type: ignore[arg-type]
        noise = [channel.transmit(symbols, 0.1, RANDOMNESS, packet)[1] for packet in range(4)]
        return len(np.unique(noise))

    assert distinct("block", "packet") == 4
    assert distinct("block", "image") == 1
    assert distinct("symbol", "packet") == distinct("symbol", "image") == 4 * 64
    assert distinct("doppler", "packet") == distinct("doppler", "image") == 4 * 64


def test_without_doppler_nothing_moves() -> None:
    noise = Rayleigh(variation="doppler", doppler=0.0).transmit(
        np.ones(9, np.complex128), 0.1, RANDOMNESS, 2
    )[1]
    np.testing.assert_allclose(noise, noise[0], rtol=1e-12)


# ---- error rates and outage


@pytest.mark.parametrize("snr_db", [2.0, 8.0])
@pytest.mark.parametrize(
    ("kind", "moments"),
    [
        (Rayleigh, nakagami_mgf(1.0)),
        (lambda **fields: Rician(k_db=3.0, **fields), rician_mgf(3.0)),
        (lambda **fields: Nakagami(m=0.5, **fields), nakagami_mgf(0.5)),
        (lambda **fields: Nakagami(m=3.0, **fields), nakagami_mgf(3.0)),
    ],
)
@pytest.mark.parametrize("modulation", ["bpsk", "qpsk"])
def test_error_rates_by_the_mgf(
    kind: Callable[..., FlatFading],
    moments: Callable[[float], float],
    snr_db: float,
    modulation: str,
) -> None:
    # 99 % for the 32 comparisons of this test together.
    within = norm.isf(0.005 / 32)
    # Es/N0 is shared by the bits of a symbol.
    expected = rate_by_mgf(moments, 10 ** (snr_db / 10) / BITS_PER_SYMBOL[modulation])
    interleaved = kind(variation="symbol")
    rate, deviation = error_rate(interleaved, snr_db, modulation, 1, 200_000, per_gain=1)
    assert abs(rate - expected) < within * deviation
    rate, deviation = error_rate(kind(), snr_db, modulation, 1500, 20, per_gain=20)
    assert abs(rate - expected) < within * deviation


def test_error_rate_with_doppler() -> None:
    channel = Rayleigh(variation="doppler", doppler=0.02)
    expected = rate_by_mgf(nakagami_mgf(1.0), 10.0)
    rate, deviation = error_rate(channel, 10.0, "bpsk", 500, 200, per_gain=200)
    assert abs(rate - expected) < WITHIN_99_PERCENT * deviation


@pytest.mark.parametrize("snr_db", [5.0, 15.0])
def test_outage_of_block_fading(snr_db: float) -> None:
    """A rate of R bits per use is beyond the channel with probability 1 - exp(-(2^R - 1) / SNR)."""
    bits_per_use, packets = 2.0, 4000
    symbols = np.ones(1, np.complex128)
    noise = [
        Rayleigh().transmit(symbols, noise_power(snr_db), RANDOMNESS, packet)[1][0]
        for packet in range(packets)
    ]
    measured = np.mean(np.log2(1 + 1 / np.array(noise)) < bits_per_use)
    expected = 1 - np.exp(-(2**bits_per_use - 1) / 10 ** (snr_db / 10))
    deviation = np.sqrt(expected * (1 - expected) / packets)
    assert abs(measured - expected) < WITHIN_99_PERCENT * deviation


def test_ergodic_capacity_of_interleaved_rayleigh_fading() -> None:
    """E log2(1 + SNR |h|^2) = exp(1 / SNR) E1(1 / SNR) / ln 2."""
    _, noise = Rayleigh(variation="symbol").transmit(
        np.ones(100_000, np.complex128), 0.1, RANDOMNESS, 0
    )
    capacity = np.log2(1 + 1 / noise)
    deviation = capacity.std() / np.sqrt(len(capacity))
    expected = np.exp(0.1) * exp1(0.1) / np.log(2)
    assert abs(capacity.mean() - expected) < WITHIN_99_PERCENT * deviation


# ---- what holds for every channel


@pytest.mark.parametrize("channel", ALL_KINDS, ids=repr)
def test_the_contract(channel: Channel) -> None:
    symbols = np.exp(1j * np.arange(401))
    no = 0.01
    forwards = [channel.transmit(symbols, no, RANDOMNESS, packet) for packet in range(4)]
    again = ChannelRandomness(RANDOMNESS.key)
    backwards = [channel.transmit(symbols, no, again, packet) for packet in (3, 2, 1, 0)]
    for (received, noise), (received_again, noise_again) in zip(
        forwards, backwards[::-1], strict=True
    ):
        assert received.dtype == np.complex128
        assert noise.dtype == np.float64
        assert received.shape == noise.shape == symbols.shape
        assert np.all(noise > 0)
        assert np.all(np.isfinite(received) & np.isfinite(noise))
        np.testing.assert_array_equal(received, received_again)
        np.testing.assert_array_equal(noise, noise_again)
    assert len({received.tobytes() for received, _ in forwards}) == 4
    if not (isinstance(channel, Impaired) and channel.cfo):
        error = [np.mean(np.abs(received - symbols) ** 2 / noise) for received, noise in forwards]
        assert np.mean(error) == pytest.approx(1.0, abs=0.13)
    np.testing.assert_array_equal(symbols, np.exp(1j * np.arange(401)))


@pytest.mark.parametrize("channel", ALL_KINDS, ids=repr)
def test_a_short_packet_meets_what_a_long_one_begins_with(channel: Channel) -> None:
    symbols = random_symbols(300)
    long, long_noise = channel.transmit(symbols, 0.1, RANDOMNESS, 6)
    for n in (1, 2, 101):
        short, noise = channel.transmit(symbols[:n], 0.1, RANDOMNESS, 6)
        # The last symbol may have been paired with a filler.
        whole = n - n % 2 if isinstance(channel, SpatialMultiplexing) else n
        np.testing.assert_allclose(short[:whole], long[:whole], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(noise, long_noise[:n], rtol=1e-9)


@pytest.mark.parametrize("channel", ALL_KINDS, ids=repr)
def test_uses_and_symbols_within(channel: Channel) -> None:
    for symbols in range(1, 60):
        assert symbols <= channel.symbols_within(channel.uses(symbols)) < symbols + 2
    for uses in range(60):
        assert channel.uses(channel.symbols_within(uses)) <= uses
        assert channel.uses(channel.symbols_within(uses) + 1) > uses


def test_rayleigh_by_default_is_rayleigh_block() -> None:
    symbols = random_symbols(100)
    for block in ("packet", "image"):
        for packet in range(5):
            ours = Rayleigh(fading_block=block).transmit(symbols, 0.1, RANDOMNESS, packet)
            known = RayleighBlock(block).transmit(symbols, 0.1, RANDOMNESS, packet)
            # A turn of the phase by the known gain is all that they could differ in.
            np.testing.assert_allclose(ours[0], known[0], rtol=1e-9)
            np.testing.assert_allclose(ours[1], known[1], rtol=1e-12)


VECTOR_GAINS = {
    "block": [1.1144728518949947 - 0.9908058588805951j, -0.6123590482314234 + 0.9605994445896411j],
    "symbol": [-0.4677909524831333 + 0.1195768030631254j, 0.2166337421502821 + 0.9190191066626001j],
    "doppler": [
        -0.501925690746441 + 1.5512583170790621j,
        -0.3293621789624952 + 0.3255652384276537j,
    ],
}


@pytest.mark.parametrize("variation", list(VECTOR_GAINS))
def test_gains_are_the_same_today_as_when_this_was_written(variation: str) -> None:
    """A change here changes every published number: it needs a new version."""
    channel = Rayleigh(variation=variation, shadowing_db=3.0)  # type: ignore[arg-type]
    randomness = ChannelRandomness(derive_key("vector", 7))
    gains = channel.gains(randomness, 3, receive=2, count=200)[:, 0, -1]
    assert gains.tolist() == pytest.approx(VECTOR_GAINS[variation], abs=1e-9)


# ---- oscillators


def test_without_impairments_it_is_awgn() -> None:
    symbols = random_symbols(500)
    for ours, known in zip(
        Impaired().transmit(symbols, 0.2, RANDOMNESS, 4),
        Awgn().transmit(symbols, 0.2, RANDOMNESS, 4),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, known)


def test_carrier_frequency_offset() -> None:
    symbols = random_symbols(1000)
    received, noise = Impaired(cfo=-0.01).transmit(symbols, 1e-20, RANDOMNESS, 0)
    np.testing.assert_allclose(
        received, symbols * np.exp(-0.02j * np.pi * np.arange(1000)), atol=1e-8
    )
    assert np.all(noise == 1e-20)


def test_error_rate_with_carrier_frequency_offset() -> None:
    cfo, symbols, snr_db = 0.0004, 200, 6.0
    rate, deviation = error_rate(Impaired(cfo=cfo), snr_db, "qpsk", 400, symbols, per_gain=1)
    phase = 2 * np.pi * cfo * np.arange(symbols)
    amplitude = np.sqrt(10 ** (snr_db / 10))
    expected = np.mean(
        [norm.sf(amplitude * (np.cos(phase) + sign * np.sin(phase))) for sign in (1, -1)]
    )
    assert abs(rate - expected) < WITHIN_99_PERCENT * deviation


def test_phase_noise_is_a_wiener_process() -> None:
    """E[exp(j phi_n)] = exp(-n sigma^2 / 2)."""
    deviation_deg, n = 3.0, 200
    channel = Impaired(phase_noise_deg=deviation_deg)
    rotation = np.array([channel.rotation(RANDOMNESS, packet, n) for packet in range(3000)])
    assert np.all(rotation[:, 0] == 1)
    steps = np.angle(rotation[:, 1:] / rotation[:, :-1])
    assert kstest(steps[:, ::50].reshape(-1), norm(0, np.deg2rad(3.0)).cdf).pvalue > 0.01
    for step in (10, 60, 199):
        expected = np.exp(-step * np.deg2rad(deviation_deg) ** 2 / 2)
        at_step = rotation[:, step].real
        deviation = at_step.std() / np.sqrt(len(at_step))
        assert abs(at_step.mean() - expected) < WITHIN_99_PERCENT * deviation
    assert np.abs(np.abs(rotation) - 1).max() < 1e-12


def test_a_genie_takes_the_mean_phase_off() -> None:
    blind = Impaired(cfo=0.0003, phase_noise_deg=1.0)
    helped = Impaired(cfo=0.0003, phase_noise_deg=1.0, mean_phase_known=True)
    errors = []
    for channel in (blind, helped):
        rotation = channel.rotation(RANDOMNESS, 2, 500)
        errors.append(np.mean(np.abs(rotation - 1) ** 2))
    assert np.angle(helped.rotation(RANDOMNESS, 2, 500).mean()) == pytest.approx(0, abs=1e-12)
    assert errors[1] < 0.5 * errors[0]


# ---- binary channels


@pytest.mark.parametrize("probability", [0.0, 1e-6, 0.02, 0.11, 0.3, 0.4999, 0.5])
def test_binary_symmetric_channel(probability: float) -> None:
    bits = RANDOMNESS.generator("bits", 1).integers(0, 2, 50_000, np.uint8)
    channel = BinarySymmetricChannel(probability)
    symbols = modulate(bits, "bpsk")
    received, noise = channel.transmit(symbols, 0.5, RANDOMNESS, 0)
    llr = demodulate(received, noise, "bpsk")
    certainty = np.log((1 - probability) / probability) if probability else np.log(1e12)
    np.testing.assert_allclose(np.abs(llr), certainty, rtol=1e-6, atol=1e-12)
    if probability < 0.5:
        wrong = np.mean((llr > 0) != bits)
        deviation = np.sqrt(probability * (1 - probability) / len(bits))
        assert abs(wrong - probability) <= WITHIN_99_PERCENT * deviation
    # The noise power is the mean squared error, exactly so in the mean.
    amplitude = np.abs(received[0])
    error = (1 - probability) * (1 - amplitude) ** 2 + probability * (1 + amplitude) ** 2
    assert noise[0] == pytest.approx(error, rel=1e-9)


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.7, 1.0])
def test_binary_erasure_channel(probability: float) -> None:
    bits = RANDOMNESS.generator("bits", 2).integers(0, 2, 50_000, np.uint8)
    channel = BinaryErasureChannel(probability)
    symbols = modulate(bits, "bpsk")
    received, noise = channel.transmit(symbols, 0.5, RANDOMNESS, 0)
    llr = demodulate(received, noise, "bpsk")
    erased = llr == 0
    deviation = np.sqrt(probability * (1 - probability) / len(bits))
    assert abs(erased.mean() - probability) <= WITHIN_99_PERCENT * deviation
    assert np.all((llr > 0)[~erased] == bits[~erased])
    np.testing.assert_allclose(np.abs(llr[~erased]), np.log(1e12), rtol=1e-6)
    np.testing.assert_allclose(np.abs(received - symbols) ** 2, noise, rtol=1e-9)


def test_more_noise_is_more_of_the_same() -> None:
    symbols = modulate(np.zeros(5000, np.uint8), "bpsk")
    few, many = (
        BinarySymmetricChannel(p).transmit(symbols, 1.0, RANDOMNESS, 0)[0] < 0 for p in (0.1, 0.2)
    )
    assert not np.any(few & ~many)
    few, many = (
        BinaryErasureChannel(p).transmit(symbols, 1.0, RANDOMNESS, 0)[0] == 0 for p in (0.1, 0.2)
    )
    assert not np.any(few & ~many)


# Shannon's limit for rate 1/2: p = 0.11 flipped, 0.5 erased.
@pytest.mark.parametrize(
    ("channel", "arrives"),
    [
        (BinarySymmetricChannel(0.06), True),
        (BinarySymmetricChannel(0.11), False),
        (BinaryErasureChannel(0.4), True),
        (BinaryErasureChannel(0.5), False),
    ],
)
def test_coded_packets_over_binary_channels(channel: Channel, arrives: bool) -> None:
    packets = [bytes([number]) * 200 for number in range(20)]
    outcomes = [
        send_packet(p, LinkSetting(channel, 0.0, "bpsk", 0.5), RANDOMNESS, n)
        for n, p in enumerate(packets)
    ]
    assert [outcome.decoded for outcome in outcomes] == [arrives] * 20


def test_alamouti_pairs_are_charged() -> None:
    one = LinkSetting(Rayleigh(antennas="1x1"), 20.0, "64qam", 0.5)
    pairs = LinkSetting(Rayleigh(antennas="2x1_alamouti"), 20.0, "64qam", 0.5)
    costs = [(packet_cost(n, one), packet_cost(n, pairs)) for n in range(20, 60)]
    assert {cost.symbols % 2 for cost, _ in costs} == {0, 1}
    for single, paired in costs:
        assert paired.symbols == single.symbols == single.channel_uses
        assert paired.channel_uses == single.symbols + single.symbols % 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Rayleigh(variation="slow"),  # type: ignore[arg-type]
            "variation: expected one of block, symbol, doppler, found 'slow'",
        ),
        (lambda: Rayleigh(fading_block="symbol"), "fading_block: expected one of packet, image"),
        (lambda: Rayleigh(doppler=0.6), r"doppler: expected 0\.0 \.\. 0\.5, found 0\.6"),
        (lambda: Rayleigh(packet_spacing_uses=0), "packet_spacing_uses: expected 1"),
        (lambda: Rayleigh(shadowing_db=-1.0), r"shadowing_db: expected 0\.0 \.\. 20\.0, found -1"),
        (
            lambda: Rayleigh(antennas="3x3"),  # type: ignore[arg-type]
            "antennas: expected one of 1x1, 1x2, .* found '3x3'",
        ),
        (lambda: Rician(k_db=float("nan")), "k_db: expected .*, found nan"),
        (lambda: Nakagami(m=0.4), r"m: expected 0\.5 \.\. 1000\.0, found 0\.4"),
        (lambda: SpatialMultiplexing(receive_antennas=1), r"receive_antennas: expected 2 \.\. 8"),
        (
            lambda: SpatialMultiplexing(detector="ml"),  # type: ignore[arg-type]
            "detector: expected one of lmmse, zf",
        ),
        (lambda: SpatialMultiplexing(correlation=1.0), r"correlation: expected 0\.0 \.\. 0\.99"),
        (lambda: BinarySymmetricChannel(0.6), "flip_probability: expected .*, found 0.6"),
        (lambda: BinaryErasureChannel(1.1), "erasure_probability: expected .*, found 1.1"),
        (lambda: Impaired(cfo=0.7), r"cfo: expected -0\.5 \.\. 0\.5, found 0\.7"),
        (lambda: Impaired(phase_noise_deg=-1.0), "phase_noise_deg: expected .*, found -1"),
    ],
)
def test_errors(make: Callable[[], Channel], message: str) -> None:
    with pytest.raises(ChannelError, match=message):
        make()
