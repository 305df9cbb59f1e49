"""Packets over a link: what arrives, what it costs, and what it does not depend on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from channels.catalogue import CHANNELS, PACKET_LOSSES
from channels.channel import Channel, register_channel
from channels.errors import ChannelError
from channels.fading import Awgn, RayleighBlock
from channels.link import (
    MAX_PACKETS,
    LinkSetting,
    PacketOutcome,
    largest_packet_bytes,
    packet_cost,
    send_packet,
)
from channels.modulation import BITS_PER_SYMBOL
from channels.ofdm import Ofdm
from channels.packet_loss import IidPacketLoss, PacketLoss, register_packet_loss
from channels.randomness import ChannelRandomness, derive_key

RANDOMNESS = ChannelRandomness(derive_key("link tests"))


def random_packets(*sizes: int) -> list[bytes]:
    rng = np.random.default_rng(sum(sizes))
    return [rng.bytes(size) for size in sizes]


def send_packets(
    packets: list[bytes], setting: LinkSetting, randomness: ChannelRandomness
) -> list[PacketOutcome]:
    return [
        send_packet(packet, setting, randomness, number) for number, packet in enumerate(packets)
    ]


@pytest.mark.parametrize("modulation", list(BITS_PER_SYMBOL))
@pytest.mark.parametrize("channel", [Awgn(), RayleighBlock()])
@pytest.mark.parametrize("code_rate", [0.2, 0.5, 0.9])
def test_without_noise_everything_arrives(
    modulation: str, channel: Channel, code_rate: float
) -> None:
    packets = random_packets(1, 2, 10, 100, 477, 479, 1100)
    setting = LinkSetting(channel, 80.0, modulation, code_rate)
    outcomes = send_packets(packets, setting, RANDOMNESS)
    assert outcomes == [PacketOutcome(packet, True) for packet in packets]


def test_in_noise_nothing_wrong_arrives() -> None:
    packets = random_packets(*[60] * 200)
    outcomes = send_packets(packets, LinkSetting(snr_db=6.0), RANDOMNESS)
    decoded = [outcome.decoded for outcome in outcomes]
    assert 20 < sum(decoded) < 180
    for packet, outcome in zip(packets, outcomes, strict=True):
        assert outcome.data == (packet if outcome.decoded else None)


@pytest.mark.parametrize("fading_block", ["packet", "image"])
def test_a_packet_depends_on_its_number_only(fading_block: str) -> None:
    packets = random_packets(*range(20, 60))
    setting = LinkSetting(RayleighBlock(fading_block), 9.0, transmissions=2, damage="deliver")
    together = send_packets(packets, setting, RANDOMNESS)
    if fading_block == "packet":
        assert {outcome.transmissions for outcome in together} == {1, 2}
    for number in reversed(range(len(packets))):
        alone = send_packet(packets[number], setting, RANDOMNESS, number)
        assert alone == together[number]


def test_fading_blocks() -> None:
    per_packet, per_image = RayleighBlock("packet"), RayleighBlock("image")
    assert len({per_packet.gain(RANDOMNESS, packet) for packet in range(5)}) == 5
    assert len({per_image.gain(RANDOMNESS, packet) for packet in range(5)}) == 1
    other = ChannelRandomness(RANDOMNESS.key ^ 1)
    assert per_image.gain(RANDOMNESS, 0) != per_image.gain(other, 0)


@given(
    st.integers(1, 3000),
    st.floats(0.025, 0.95),
    st.sampled_from(list(BITS_PER_SYMBOL)),
    st.sampled_from(["ldpc", "none"]),
    st.sampled_from([Awgn(), Ofdm()]),
)
@settings(deadline=None)
def test_cost_adds_up(
    payload_bytes: int, code_rate: float, modulation: str, coding: str, channel: Channel
) -> None:
    setting = LinkSetting(channel, modulation=modulation, code_rate=code_rate, coding=coding)
    cost = packet_cost(payload_bytes, setting)
    assert cost.payload_bits == 8 * payload_bytes
    parts = cost.payload_bits + cost.crc_bits + cost.parity_bits + cost.padding_bits
    assert parts == cost.coded_bits == cost.symbols * setting.bits_per_symbol
    assert channel.uses(cost.symbols) == cost.channel_uses >= cost.symbols
    fits = largest_packet_bytes(cost.channel_uses, setting)
    assert fits >= payload_bytes
    assert packet_cost(fits, setting).channel_uses <= cost.channel_uses


def test_largest_packet_when_none_fits() -> None:
    assert largest_packet_bytes(0, LinkSetting()) == 0
    assert largest_packet_bytes(11, LinkSetting()) == 0
    assert largest_packet_bytes(12, LinkSetting()) == 1


def test_packet_loss_is_a_share_that_only_grows_with_its_probability() -> None:
    count = 5000
    lost = {p: IidPacketLoss(p).losses(0, count, RANDOMNESS) for p in (0.0, 0.05, 0.3, 1.0)}
    assert not lost[0.0].any()
    assert lost[1.0].all()
    for probability in (0.05, 0.3):
        deviation = np.sqrt(probability * (1 - probability) / count)
        assert abs(lost[probability].mean() - probability) < 2.576 * deviation
    assert not np.any(lost[0.05] & ~lost[0.3])
    part = IidPacketLoss(0.3).losses(100, 50, RANDOMNESS)
    np.testing.assert_array_equal(part, lost[0.3][100:150])


def test_a_packet_that_fails_is_sent_again_until_it_is_decoded() -> None:
    packets = random_packets(*[60] * 60)
    shares = []
    for times in (1, 2, 4):
        setting = LinkSetting(snr_db=4.5, transmissions=times)
        outcomes = send_packets(packets, setting, RANDOMNESS)
        assert all(1 <= outcome.transmissions <= times for outcome in outcomes)
        assert all(outcome.decoded or outcome.transmissions == times for outcome in outcomes)
        shares.append(sum(outcome.decoded for outcome in outcomes))
        for packet, outcome in zip(packets, outcomes, strict=True):
            assert outcome.data == (packet if outcome.decoded else None)
    assert shares[0] < 10
    assert shares[1:] == [60, 60]


def test_two_receptions_of_the_same_bits_are_worth_3_db() -> None:
    """Chase combining adds SNRs, with QPSK exactly: failing twice is failing once 3 dB higher."""
    packets = random_packets(*[40] * 400)
    high = LinkSetting(snr_db=1.3, modulation="qpsk")
    low = LinkSetting(
        snr_db=1.3 - 10 * np.log10(2), modulation="qpsk", transmissions=2, harq="chase"
    )
    failed = [
        sum(not outcome.decoded for outcome in send_packets(packets, setting, RANDOMNESS))
        for setting in (high, low)
    ]
    assert 60 < failed[0] < 340
    # 99 % interval of the difference of two binomial counts.
    share = sum(failed) / 800
    assert abs(failed[0] - failed[1]) < 2.576 * np.sqrt(800 * share * (1 - share))


def test_a_fade_of_the_whole_image_is_that_of_every_transmission() -> None:
    """Sending again adds SNR to a fade that stays, and new chances to one of a packet's own."""
    packets = random_packets(*[40] * 3)
    decoded = {"packet": 0, "image": 0, "6 dB": 0}
    for image in range(80):
        randomness = ChannelRandomness(derive_key("image fades", image))
        for block in ("packet", "image"):
            again = LinkSetting(RayleighBlock(block), -3.0, "qpsk", transmissions=4, harq="chase")
            outcomes = send_packets(packets, again, randomness)
            decoded[block] += sum(outcome.decoded for outcome in outcomes)
        once = LinkSetting(RayleighBlock("image"), -3.0 + 20 * np.log10(2), "qpsk")
        outcomes = send_packets(packets, once, randomness)
        decoded["6 dB"] += sum(outcome.decoded for outcome in outcomes)
    # The same fades: only those near the threshold hang on the noise.
    assert decoded["image"] == pytest.approx(decoded["6 dB"], abs=6)
    assert 60 < decoded["image"] < decoded["packet"] - 15


def test_damage_is_delivered_as_it_is_or_not_at_all() -> None:
    packets = random_packets(*[60] * 40)
    for coding in ("ldpc", "none"):
        dropped = LinkSetting(snr_db=5.0, coding=coding)
        delivered = LinkSetting(snr_db=5.0, coding=coding, damage="deliver")
        for number, packet in enumerate(packets):
            one = send_packet(packet, dropped, RANDOMNESS, number)
            other = send_packet(packet, delivered, RANDOMNESS, number)
            assert one.decoded == other.decoded
            assert one.data == (packet if one.decoded else None)
            assert other.data is not None
            assert len(other.data) == len(packet)
            assert (other.data == packet) == other.decoded


def test_the_bit_error_estimate_is_the_bit_error_rate() -> None:
    """Of uncoded bits; the demapper's LLRs are exact in white noise."""
    packets = random_packets(*[500] * 10)
    for snr_db in (4.0, 10.0):
        setting = LinkSetting(snr_db=snr_db, coding="none", damage="deliver")
        outcomes = send_packets(packets, setting, RANDOMNESS)
        wrong = sum(
            (int.from_bytes(a, "big") ^ int.from_bytes(b.data or b"", "big")).bit_count()
            for a, b in zip(packets, outcomes, strict=True)
        )
        share = wrong / 40_000
        estimate = float(np.mean([outcome.bit_error_estimate for outcome in outcomes]))
        assert abs(estimate - share) < 2.576 * np.sqrt(share * (1 - share) / 40_000) + 2e-4


def test_power_is_snr() -> None:
    packets = random_packets(*[60] * 20)
    strong = LinkSetting(snr_db=3.0, power_db=3.0)
    assert strong.no == pytest.approx(LinkSetting(snr_db=6.0).no)
    assert send_packets(packets, strong, RANDOMNESS) == send_packets(
        packets, LinkSetting(snr_db=6.0), RANDOMNESS
    )


@pytest.fixture
def registries() -> Iterator[None]:
    """Puts the registries back to what they were."""
    channels, losses = dict(CHANNELS), dict(PACKET_LOSSES)
    yield
    for registry, before in ((CHANNELS, channels), (PACKET_LOSSES, losses)):
        registry.clear()
        registry.update(before)  # type: ignore[arg-type]


@pytest.mark.usefixtures("registries")
def test_a_channel_and_a_loss_model_from_elsewhere() -> None:
    @register_channel("every_other_symbol_is_weak")
    @dataclass(frozen=True)
    class EveryOtherSymbolIsWeak(Channel):
        def transmit(
            self,
            symbols: NDArray[np.complex128],
            no: float,
            randomness: ChannelRandomness,
            packet: int,
        ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
            noise_power = np.where(np.arange(len(symbols)) % 2, no, 4 * no)
            noise = randomness.noise(packet, len(symbols)) * np.sqrt(noise_power)
            return symbols + noise, noise_power

    @register_packet_loss("first_packet")
    @dataclass(frozen=True)
    class FirstPacket(PacketLoss):
        def losses(
            self, first_packet: int, count: int, randomness: ChannelRandomness
        ) -> NDArray[np.bool_]:
            assert randomness == RANDOMNESS
            return np.array([i == 0 for i in range(first_packet, first_packet + count)])

    packets = random_packets(50, 50, 50)
    setting = LinkSetting(EveryOtherSymbolIsWeak(), 15.0, loss=FirstPacket())
    outcomes = send_packets(packets, setting, RANDOMNESS)
    assert [outcome.data for outcome in outcomes] == packets
    assert setting.loss.arrivals(0, 3, RANDOMNESS).tolist() == [1, 2]


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_every_channel_keeps_the_contract(name: str) -> None:
    channel = CHANNELS[name]()
    symbols = np.exp(1j * np.arange(400))
    for packet in (0, 7):
        received, noise = channel.transmit(symbols, 0.01, RANDOMNESS, packet)
        again, _ = CHANNELS[name]().transmit(symbols, 0.01, RANDOMNESS, packet)
        assert received.dtype == np.complex128
        assert noise.dtype == np.float64
        assert received.shape == noise.shape == symbols.shape
        assert np.all(noise > 0)
        np.testing.assert_array_equal(received, again)
        # Equalised: what is left is noise of the stated power.
        assert np.mean(np.abs(received - symbols) ** 2 / noise) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (lambda: LinkSetting(modulation="8psk"), "found '8psk'"),
        (lambda: LinkSetting(code_rate=0.01), r"code_rate: expected 0\.025 \.\. 0\.95, found 0"),
        (lambda: LinkSetting(transmissions=33), "transmissions: expected 1 .. 32, found 33"),
        (lambda: LinkSetting(coding="none", transmissions=2), "expected 1 without coding"),
        (lambda: LinkSetting(coding="turbo"), "ldpc_polar, none, ideal, found 'turbo'"),  # type: ignore
        (lambda: LinkSetting(harq="stop"), "harq: expected one of chase, incremental"),  # type: ignore
        (lambda: LinkSetting(damage="keep"), "damage: expected one of drop, deliver"),  # type: ignore
        (
            lambda: send_packet(b"a", LinkSetting(), RANDOMNESS, MAX_PACKETS),
            "packet number: expected 0",
        ),
        (lambda: LinkSetting(snr_db=float("nan")), "snr_db: expected .*, found nan"),
        (lambda: LinkSetting(max_iterations=0), "max_iterations: expected 1"),
        (lambda: packet_cost(0, LinkSetting()), "at least 1 byte, found 0"),
        (lambda: send_packet(b"", LinkSetting(), RANDOMNESS, 1), "packet 1: expected at"),
        (lambda: LinkSetting(snr_db="high"), "snr_db: expected .* found 'high'"),  # type: ignore
        (lambda: IidPacketLoss(-0.1), r"packet_loss: expected 0\.0 \.\. 1\.0, found -0\.1"),
        (
            lambda: RayleighBlock("symbol"),
            "fading_block: expected one of packet, image, found 'symbol'",
        ),
        (lambda: register_channel("awgn")(RayleighBlock), "'awgn': expected a new name"),
        (lambda: register_packet_loss("iid")(list), "'iid': expected a new name"),  # type: ignore
    ],
)
def test_errors(setting: Callable[[], object], message: str) -> None:
    with pytest.raises(ChannelError, match=message):
        setting()


def test_ebn0() -> None:
    setting = LinkSetting(snr_db=10.0, modulation="16qam", code_rate=0.5)
    assert setting.ebn0_db == pytest.approx(6.9897, abs=1e-4)
    assert setting.no == pytest.approx(0.1)
    # Without coding every bit is an information bit.
    uncoded = LinkSetting(snr_db=10.0, modulation="16qam", coding="none")
    assert uncoded.ebn0_db == pytest.approx(3.9794, abs=1e-4)
