"""The physical layer against closed forms and known answers.

Seeds are fixed, so that each test always gives the same answer; intervals are those within which
a right implementation falls for 99 seeds in 100.
"""

import numpy as np
import pytest
from scipy.stats import norm

from channels.channel import Channel
from channels.coding import transport_block_code
from channels.fading import Awgn, RayleighBlock
from channels.modulation import BITS_PER_SYMBOL, demodulate, modulate
from channels.randomness import ChannelRandomness, derive_key
from channels.snr import ebn0_db_from_esn0_db, esn0_db_from_ebn0_db, noise_power

WITHIN_99_PERCENT = 2.576


@pytest.mark.parametrize("ebn0_db", [0.0, 4.0, 7.0])
def test_uncoded_qpsk_over_awgn(ebn0_db: float) -> None:
    randomness = ChannelRandomness(derive_key("qpsk awgn", str(ebn0_db)))
    count = 400_000
    bits = randomness.generator("bits", 0).integers(0, 2, count, np.uint8)
    no = noise_power(esn0_db_from_ebn0_db(ebn0_db, 1.0, 2))
    received, noise = Awgn().transmit(modulate(bits, "qpsk"), no, randomness, 0)
    measured = np.mean((demodulate(received, noise, "qpsk") > 0) != bits)
    expected = norm.sf(np.sqrt(2 * 10 ** (ebn0_db / 10)))
    deviation = np.sqrt(expected * (1 - expected) / count)
    assert abs(measured - expected) < WITHIN_99_PERCENT * deviation


@pytest.mark.parametrize("ebn0_db", [0.0, 10.0])
def test_uncoded_qpsk_over_rayleigh(ebn0_db: float) -> None:
    randomness = ChannelRandomness(derive_key("qpsk rayleigh", str(ebn0_db)))
    packets, per_packet = 10_000, 20
    no = noise_power(esn0_db_from_ebn0_db(ebn0_db, 1.0, 2))
    channel = RayleighBlock()
    bits = randomness.generator("bits", 0).integers(0, 2, (packets, per_packet), np.uint8)
    rates = np.empty(packets)
    for packet in range(packets):
        sent = modulate(bits[packet], "qpsk")
        received, noise = channel.transmit(sent, no, randomness, packet)
        rates[packet] = np.mean((demodulate(received, noise, "qpsk") > 0) != bits[packet])
    g = 10 ** (ebn0_db / 10)
    expected = (1 - np.sqrt(g / (1 + g))) / 2
    # The bits of a packet share its fade: packets are the independent samples.
    deviation = rates.std() / np.sqrt(packets)
    assert abs(rates.mean() - expected) < WITHIN_99_PERCENT * deviation


@pytest.mark.parametrize("modulation", list(BITS_PER_SYMBOL))
@pytest.mark.parametrize("snr_db", [-3.0, 10.0, 25.0])
def test_measured_snr_is_the_asked_one(modulation: str, snr_db: float) -> None:
    randomness = ChannelRandomness(derive_key("snr", modulation))
    count = 100_000 * BITS_PER_SYMBOL[modulation]
    sent = modulate(randomness.generator("bits", 0).integers(0, 2, count, np.uint8), modulation)
    received, noise = Awgn().transmit(sent, noise_power(snr_db), randomness, 0)
    power, noise_measured = np.mean(np.abs(sent) ** 2), np.mean(np.abs(received - sent) ** 2)
    assert 10 * np.log10(power / noise_measured) == pytest.approx(snr_db, abs=0.05)
    assert 10 * np.log10(1 / noise.mean()) == pytest.approx(snr_db, abs=1e-9)


def test_rayleigh_snr_is_right_on_average_and_varies() -> None:
    randomness = ChannelRandomness(derive_key("rayleigh snr"))
    no = noise_power(10.0)
    symbols = np.ones(50, np.complex128)
    snr = np.empty(20_000)
    whitened = np.empty(len(snr))
    for packet in range(len(snr)):
        received, noise = RayleighBlock().transmit(symbols, no, randomness, packet)
        assert np.all(noise == noise[0])
        snr[packet] = 1 / noise[0]
        whitened[packet] = np.mean(np.abs(received - symbols) ** 2) / noise[0]
    assert 10 * np.log10(snr.mean()) == pytest.approx(10.0, abs=0.05)
    # The effective noise handed to the demapper is the noise that is there.
    assert 10 * np.log10(whitened.mean()) == pytest.approx(0.0, abs=0.05)
    # P(gain < .1 mean) = 9.5 %.
    assert np.mean(snr < 1.0) == pytest.approx(1 - np.exp(-0.1), abs=0.006)


def block_error_rate(modulation: str, esn0_db: float, channel: Channel, words: int) -> float:
    """CRC24A and LDPC at rate 1/2, 1024 bits into the LDPC code."""
    code = transport_block_code(1000, 0.5, BITS_PER_SYMBOL[modulation], "crc24a")
    assert (code.sizes.block_information_bits, code.coded_bits) == (1024, 2048)
    randomness = ChannelRandomness(derive_key("block errors", modulation, str(esn0_db)))
    payloads = randomness.generator("bits", 0).integers(0, 2, (words, 1000), np.uint8)
    errors = 0
    for packet, payload in enumerate(payloads):
        symbols = modulate(code.encode(payload), modulation)
        received, noise = channel.transmit(symbols, noise_power(esn0_db), randomness, packet)
        decided, ok = code.decode(demodulate(received, noise, modulation))
        errors += not ok
        assert not ok or np.array_equal(decided, payload)
    return errors / words


# Block error rates of Sionna's default decoder (boxplus-phi, flooding, 20 iterations). The layered
# schedule gets further in 20 iterations: ours is between 0 and 0.2 dB better and never worse.
@pytest.mark.parametrize(
    ("modulation", "ebn0_db", "known"),
    [
        ("qpsk", 1.0, 0.53),
        ("qpsk", 1.5, 0.03),
        ("qpsk", 2.0, 0.0),
        ("16qam", 3.0, 0.58),
        ("16qam", 3.5, 0.06),
        ("16qam", 4.0, 0.0),
    ],
)
def test_known_block_error_rates_over_awgn(modulation: str, ebn0_db: float, known: float) -> None:
    words = 400
    m = BITS_PER_SYMBOL[modulation]
    esn0_db = esn0_db_from_ebn0_db(ebn0_db, 0.5, m)
    margin = WITHIN_99_PERCENT * np.sqrt(max(known, 1 / words) * (1 - known) / words)
    assert block_error_rate(modulation, esn0_db, Awgn(), words) < known + margin
    assert block_error_rate(modulation, esn0_db - 0.2, Awgn(), words) > known - margin


@pytest.mark.parametrize("esn0_db", [0.0, 10.0, 20.0])
def test_block_error_rate_with_one_rayleigh_fade_per_codeword(esn0_db: float) -> None:
    """A long code fails when the fade takes the SNR below its threshold, and only then.

    16QAM at rate 1/2 has its threshold, half the blocks wrong over AWGN, at Es/N0 = 6.0 dB, so the
    block error rate is P(|h|^2 < threshold / mean SNR) = 1 - exp(-threshold / mean SNR).
    """
    words = 800
    expected = 1 - np.exp(-(10 ** ((6.0 - esn0_db) / 10)))
    deviation = np.sqrt(expected * (1 - expected) / words)
    measured = block_error_rate("16qam", esn0_db, RayleighBlock(), words)
    assert abs(measured - expected) < WITHIN_99_PERCENT * deviation + 0.005


def test_ebn0_and_esn0() -> None:
    assert esn0_db_from_ebn0_db(3.0, 0.5, 4) == pytest.approx(6.0103, abs=1e-4)
    assert ebn0_db_from_esn0_db(esn0_db_from_ebn0_db(1.7, 0.75, 6), 0.75, 6) == pytest.approx(1.7)
    assert noise_power(10.0) == pytest.approx(0.1)
