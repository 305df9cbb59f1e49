"""An ideal code against closed forms of capacity and outage, and beside real codes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import exp1, gammainc
from scipy.stats import binom

from channels.binary_channels import BinarySymmetricChannel
from channels.channel import Channel
from channels.errors import ChannelError
from channels.fading import Awgn, Rayleigh, RayleighBlock, Rician
from channels.harq import HarqMode
from channels.impairments import Impaired
from channels.link import (
    LinkSetting,
    PacketOutcome,
    largest_packet_bytes,
    packet_cost,
    send_packet,
)
from channels.mcs import mcs
from channels.ofdm import Ofdm
from channels.randomness import ChannelRandomness, derive_key
from channels.spatial_multiplexing import SpatialMultiplexing
from channels.table_link import send_packet_by_table

RANDOMNESS = ChannelRandomness(derive_key("ideal tests"))


def ideal(channel: Channel, snr_db: float, spectral_efficiency: float) -> LinkSetting:
    return LinkSetting(channel, snr_db, "gaussian", spectral_efficiency, "ideal")


def fates(setting: LinkSetting, size: int, count: int) -> list[PacketOutcome]:
    return [send_packet(bytes(size), setting, RANDOMNESS, number) for number in range(count)]


def assert_lost_as_often(outcomes: list[PacketOutcome], outage: float) -> None:
    """Within the 99 % interval of independent packets."""
    low, high = binom.interval(0.99, len(outcomes), outage)
    assert low <= sum(not each.decoded for each in outcomes) <= high


@given(st.floats(-20.0, 40.0), st.integers(1, 4000), st.sampled_from([-1.0, 0.0, 1.0]))
@settings(deadline=None)
def test_white_noise_lets_capacity_through_and_no_more(
    snr_db: float, size: int, off: float
) -> None:
    """Whichever way the last digits of the rate are rounded."""
    capacity = math.log2(1.0 + 10.0 ** (snr_db / 10.0))
    met = ideal(Awgn(), snr_db, capacity * (1.0 + off * 5e-11))
    assert fates(met, size, 1) == [PacketOutcome(bytes(size), True)]
    # So long that a symbol more or less is not 1 %.
    assert not any(each.decoded for each in fates(ideal(Awgn(), snr_db, 1.01 * capacity), 4000, 2))


@given(st.integers(1, 1100), st.floats(0.01, 30.0))
@settings(deadline=None)
def test_a_packet_costs_the_fewest_symbols_and_budgets_are_filled(
    size: int, spectral_efficiency: float
) -> None:
    setting = ideal(Awgn(), 10.0, spectral_efficiency)
    cost = packet_cost(size, setting)
    assert cost.payload_bits == cost.coded_bits == 8 * size
    assert cost.crc_bits == cost.parity_bits == cost.padding_bits == 0
    assert cost.symbols == cost.channel_uses
    assert 8 * size / cost.symbols <= spectral_efficiency
    assert cost.symbols == 1 or 8 * size / (cost.symbols - 1) > spectral_efficiency
    largest = largest_packet_bytes(cost.symbols, setting)
    assert largest >= size
    assert packet_cost(largest, setting).symbols == cost.symbols
    assert packet_cost(largest + 1, setting).symbols > cost.symbols


@pytest.mark.parametrize(("snr_db", "rate"), [(0.0, 0.5), (10.0, 2.0), (20.0, 3.0)])
def test_block_fading_has_the_outage_of_rayleigh(snr_db: float, rate: float) -> None:
    outcomes = fates(ideal(RayleighBlock(), snr_db, rate), 250, 3000)
    assert_lost_as_often(outcomes, 1.0 - math.exp(-(2.0**rate - 1.0) / 10.0 ** (snr_db / 10.0)))
    # Packet by packet, by the gain that the channel states.
    threshold = (2.0**rate - 1.0) / 10.0 ** (snr_db / 10.0)
    for number, outcome in enumerate(outcomes[:300]):
        assert outcome.decoded == (RayleighBlock().power_gain(RANDOMNESS, number) >= threshold)


def test_two_antennas_have_the_outage_of_their_sum() -> None:
    """|h1|^2 + |h2|^2 is Erlang distributed."""
    outcomes = fates(ideal(Rayleigh(antennas="1x2"), 8.0, 3.0), 300, 3000)
    assert_lost_as_often(outcomes, float(gammainc(2, (2.0**3 - 1.0) / 10.0**0.8)))


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_fast_fading_lets_its_ergodic_capacity_through(snr_db: float) -> None:
    """E[log2(1 + |h|^2 SNR)] = exp(1 / SNR) E1(1 / SNR) / ln 2, of exponential |h|^2."""
    inverse = 10.0 ** (-snr_db / 10.0)
    capacity = math.exp(inverse) * float(exp1(inverse)) / math.log(2.0)
    fast = Rayleigh(variation="symbol")
    assert all(each.decoded for each in fates(ideal(fast, snr_db, 0.95 * capacity), 8000, 10))
    assert not any(each.decoded for each in fates(ideal(fast, snr_db, 1.05 * capacity), 8000, 10))


@pytest.mark.parametrize("mode", ["incremental", "chase"])
def test_transmissions_add_information_or_snr(mode: HarqMode) -> None:
    rate, snr = 3.0, 10.0
    setting = replace(ideal(RayleighBlock(), 10.0, rate), transmissions=2, harq=mode)
    outcomes = fates(setting, 300, 3000)
    once = 1.0 - math.exp(-(2.0**rate - 1.0) / snr)
    if mode == "chase":
        outage = float(gammainc(2, (2.0**rate - 1.0) / snr))
    else:
        # The second gain falls short of what the first one, g, leaves over.
        def missed(g: float) -> float:
            left = 2.0**rate / (1.0 + g * snr)
            return -math.expm1(-(left - 1.0) / snr) * math.exp(-g)

        outage = quad(missed, 0.0, (2.0**rate - 1.0) / snr)[0]
    assert_lost_as_often(outcomes, outage)
    again = sum(each.transmissions == 2 for each in outcomes)
    low, high = binom.interval(0.99, len(outcomes), once)
    assert low <= again <= high
    assert all(each.transmissions == 2 for each in outcomes if not each.decoded)


@pytest.mark.parametrize(
    "channel",
    [
        Rician(variation="doppler", doppler=0.01),
        Rayleigh(antennas="2x2_alamouti"),
        Ofdm(),
        Ofdm(estimation="lmmse"),
        SpatialMultiplexing(),
    ],
    ids=str,
)
def test_information_is_that_of_the_noise_in_each_symbol(channel: Channel) -> None:
    """As the exact link's receiver would be told it."""
    fate = set()
    for number in range(40):
        setting = ideal(channel, 6.0, 2.0)
        symbols = np.ones(packet_cost(501, setting).symbols, np.complex128)
        _, noise = channel.transmit(symbols, setting.no, RANDOMNESS, number)
        enough = float(np.sum(np.log2(1.0 + 1.0 / noise))) >= 8 * 501
        assert send_packet(bytes(501), setting, RANDOMNESS, number).decoded == enough
        fate.add(enough)
    assert fate == {True, False}


@pytest.mark.parametrize("index", [2, 9, 16, 26])
def test_no_packet_of_a_real_code_arrives_where_an_ideal_one_is_lost(index: int) -> None:
    """Over the same fades, with as many bits in as many symbols."""
    scheme = mcs(1, index)
    snr_db = 10.0 * math.log10(2.0 ** packet_rate(scheme.modulation, float(scheme.code_rate)) - 1.0)
    real = LinkSetting(
        RayleighBlock(), snr_db + 3.0, scheme.modulation, float(scheme.code_rate), "ldpc"
    )
    cost = packet_cost(1000, real)
    bound = ideal(RayleighBlock(), real.snr_db, cost.payload_bits / cost.symbols)
    assert packet_cost(1000, bound).symbols == cost.symbols
    pairs = [
        (one.decoded, other.decoded)
        for one, other in zip(fates(real, 1000, 60), fates(bound, 1000, 60), strict=True)
    ]
    assert (True, False) not in pairs
    assert (False, False) in pairs
    assert (True, True) in pairs


def packet_rate(modulation: str, code_rate: float) -> float:
    """Bits of a packet of 1000 bytes per symbol, without its CRC."""
    cost = packet_cost(1000, LinkSetting(modulation=modulation, code_rate=code_rate))
    return cost.payload_bits / cost.symbols


def test_what_an_ideal_code_cannot_be_used_for() -> None:
    good = ideal(Awgn(), 10.0, 2.0)
    for change, message in [
        ({"modulation": "qpsk"}, "expected modulation gaussian"),
        ({"code_rate": 0.0}, "code_rate: expected"),
        ({"code_rate": math.nan}, "code_rate: expected"),
        ({"damage": "deliver"}, "expected damage drop"),
        ({"coding": "ldpc", "code_rate": 0.5}, "found 'gaussian'"),
        ({"channel": BinarySymmetricChannel()}, "found bits that are flipped or erased in"),
        ({"channel": Impaired(phase_noise_deg=1.0)}, "noise that the receiver does not know of"),
    ]:
        with pytest.raises(ChannelError, match=message):
            replace(good, **change)
    for use in (good.code, good.block):
        with pytest.raises(ChannelError, match="found 'ideal'"):
            use(800)
    with pytest.raises(ChannelError, match="'ideal'"):
        send_packet_by_table(b"abc", good, RANDOMNESS, 0)
