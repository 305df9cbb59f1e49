"""The link by tables against the link by bits.

Seeds are fixed, so that each test always gives the same answer; intervals are those within which
the bit-exact link's error rate falls for 99 seeds in 100.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from channels import catalogue
from channels.binary_channels import BinaryErasureChannel, BinarySymmetricChannel
from channels.block_errors import error_curve
from channels.channel import Channel
from channels.errors import ChannelError
from channels.fading import Awgn, Nakagami, Rayleigh, RayleighBlock, Rician
from channels.impairments import Impaired
from channels.link import MAX_PACKETS, LinkSetting, PacketOutcome, send_packet
from channels.mutual_information import effective_snrs_db
from channels.ofdm import Ofdm
from channels.randomness import ChannelRandomness, derive_key
from channels.spatial_multiplexing import SpatialMultiplexing
from channels.table_link import (
    MeasuredRate,
    compare,
    packet_error_rate,
    prepare_tables,
    send_packet_by_table,
)

#: Blocks per point of the tables here: what a rate of 10 % needs, no more.
WORDS = 1000
#: A size of the grid: one table per code.
BYTES = 32


@pytest.fixture(autouse=True, scope="module")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTBED_TABLES", str(tmp_path_factory.mktemp("tables")))
        yield


def randomness_of(*parts: int | str) -> ChannelRandomness:
    return ChannelRandomness(derive_key("table link", *parts))


AGREEMENTS = [
    *((Awgn(), snr_db, "16qam", 1) for snr_db in (6.0, 6.5, 7.0)),
    *((RayleighBlock(), snr_db, "16qam", 1) for snr_db in (3.0, 8.0, 14.0)),
    *((Ofdm(delay_spread_ns=200.0), snr_db, "16qam", 1) for snr_db in (4.0, 8.0, 12.0)),
    (Ofdm(model="TDL-C", estimation="lmmse"), 8.0, "16qam", 1),
    (Ofdm(estimation="ls"), 5.0, "qpsk", 1),
    (Ofdm(model="TDL-C", estimation="ls", pilot_symbols=(3,), speed_m_s=30.0), 17.0, "64qam", 1),
    (Impaired(cfo=5e-4, mean_phase_known=True), 2.0, "qpsk", 1),
    (Impaired(phase_noise_deg=1.0), 8.0, "16qam", 1),
    (Rayleigh(variation="symbol"), 9.0, "16qam", 1),
    (Rician(variation="doppler", doppler=0.01), 4.0, "qpsk", 1),
    (Rayleigh(antennas="2x1_alamouti"), 3.0, "qpsk", 1),
    (SpatialMultiplexing(), 6.0, "qpsk", 1),
]


@pytest.mark.parametrize(("channel", "snr_db", "modulation", "transmissions"), AGREEMENTS)
def test_both_tiers_agree(
    channel: Channel, snr_db: float, modulation: str, transmissions: int
) -> None:
    setting = LinkSetting(channel, snr_db, modulation, transmissions=transmissions)
    done = compare(setting, BYTES, 400, 1, WORDS)
    low, high = done.exact.interval(0.99)
    assert low <= done.expected <= high
    # The draws follow the rates they are drawn from.
    assert binomtest(done.table.errors, 400, done.expected).pvalue > 0.01


@pytest.mark.parametrize("harq", ["chase", "incremental"])
@pytest.mark.parametrize(
    ("channel", "snr_db"), [(Awgn(), 0.0), (Awgn(), -1.0), (RayleighBlock(), 0.0)]
)
def test_both_tiers_agree_on_retransmissions(harq: str, channel: Channel, snr_db: float) -> None:
    setting = LinkSetting(channel, snr_db, "qpsk", transmissions=2, harq=harq)  # type: ignore[arg-type]
    done = compare(setting, BYTES, 400, 1, WORDS)
    low, high = done.exact.interval(0.99)
    assert low <= done.expected <= high
    assert done.table_transmissions == pytest.approx(done.exact_transmissions, abs=0.12)


CHANNELS = [
    Awgn(),
    RayleighBlock(),
    RayleighBlock("image"),
    Rayleigh(),
    Rayleigh(variation="symbol", antennas="1x4"),
    Rayleigh(variation="doppler", antennas="2x2_alamouti"),
    Rician(antennas="2x1_alamouti", shadowing_db=4.0),
    Nakagami(variation="symbol", antennas="1x2"),
    SpatialMultiplexing(variation="symbol"),
    Ofdm(),
    Ofdm(model="CDL-B", pilot_symbols=(3,), fading_block="image"),
    Ofdm(estimation="lmmse"),
    Ofdm(estimation="ls", pilot_symbols=(0,)),
    Impaired(),
    Impaired(cfo=0.01, phase_noise_deg=2.0),
    BinarySymmetricChannel(),
    BinaryErasureChannel(),
]


def test_every_registered_channel_is_among_those_here() -> None:
    assert set(map(type, CHANNELS)) >= {
        kind for kind in catalogue.CHANNELS.values() if kind.__module__.startswith("channels.")
    }


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("symbols", [1, 1301])
def test_noise_powers_are_those_of_sending(channel: Channel, symbols: int) -> None:
    randomness = randomness_of("noise powers")
    sent = np.exp(0.5j * np.pi * np.arange(symbols))
    for packet in (0, 7):
        _, expected = channel.transmit(sent, 0.2, randomness, packet)
        found = channel.noise_powers(symbols, 0.2, randomness, packet)
        assert np.broadcast_to(found, symbols) == pytest.approx(expected, rel=1e-9)


SPARSE = [
    Rayleigh(variation="doppler", doppler=0.003),
    Rician(variation="doppler", doppler=0.01, antennas="2x1_alamouti"),
    Rayleigh(variation="symbol", antennas="2x2_alamouti"),
    SpatialMultiplexing(),
    SpatialMultiplexing(variation="doppler", doppler=0.003),
    Ofdm(),
    Ofdm(model="TDL-C", speed_m_s=30.0, fading_block="image"),
    Ofdm(model="CDL-A", delay_spread_ns=240.0, speed_m_s=60.0, pilot_symbols=()),
]


@pytest.mark.parametrize("channel", SPARSE)
@pytest.mark.parametrize(("symbols", "blocks"), [(50, 1), (150, 1), (3000, 3)])
def test_few_samples_tell_as_much_as_all(channel: Channel, symbols: int, blocks: int) -> None:
    difference_db = []
    for packet in range(40):
        randomness = randomness_of("sparse", packet)
        few, every = (
            effective_snrs_db(np.atleast_1d(noise), "16qam", blocks)
            for noise in (
                channel.effective_noise("16qam", symbols, 0.1, randomness, packet),
                channel.noise_powers(symbols, 0.1, randomness, packet),
            )
        )
        difference_db.append(few - every)
    assert np.mean(difference_db) == pytest.approx(0.0, abs=0.04)
    assert np.std(difference_db) < 0.15


@dataclass(frozen=True)
class TwiceTheNoise(Awgn):
    """A channel of one's own, which sends in another way than its base class."""

    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        return super().transmit(symbols, 2 * no, randomness, packet)


def test_channels_of_ones_own_are_asked() -> None:
    randomness = randomness_of("own")
    for found in (
        TwiceTheNoise().noise_powers(5, 0.2, randomness, 0),
        TwiceTheNoise().effective_noise("qpsk", 5, 0.2, randomness, 0),
    ):
        assert found == pytest.approx(np.full(5, 0.4))


@dataclass(frozen=True)
class NoisyPilots(Ofdm):
    """Knows a shorter way beside its own way of sending."""

    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        return Ofdm.transmit(self, symbols, 3 * no, randomness, packet)

    def noise_powers(
        self, symbols: int, no: float, randomness: ChannelRandomness, packet: int
    ) -> NDArray[np.float64]:
        return Ofdm.noise_powers(self, symbols, 3 * no, randomness, packet)


def test_a_shorter_way_of_ones_own_is_taken() -> None:
    randomness = randomness_of("own")
    expected = Ofdm().noise_powers(100, 0.6, randomness, 0)
    assert NoisyPilots().noise_powers(100, 0.2, randomness, 0) == pytest.approx(expected)
    found = NoisyPilots().effective_noise("qpsk", 100, 0.2, randomness, 0)
    assert found == pytest.approx(expected)


def test_outcomes_depend_on_number_and_key_only() -> None:
    setting = LinkSetting(RayleighBlock(), 8.0, "qpsk")
    packet = bytes(range(BYTES))
    numbers = [*range(100), MAX_PACKETS - 1]

    def outcomes(order: list[int], key: int) -> dict[int, PacketOutcome]:
        randomness = randomness_of(key)
        return {n: send_packet_by_table(packet, setting, randomness, n, WORDS) for n in order}

    forward = outcomes(numbers, 1)
    assert outcomes(numbers[::-1], 1) == forward
    assert outcomes(numbers, 2) != forward
    assert {outcome.decoded for outcome in forward.values()} == {True, False}
    for outcome in forward.values():
        assert outcome.data == (packet if outcome.decoded else None)
        assert outcome.transmissions == 1 and outcome.bit_error_estimate == 0.0


@pytest.mark.parametrize("harq", ["chase", "incremental"])
def test_more_snr_or_more_transmissions_never_hurt(harq: str) -> None:
    packet = bytes(BYTES)
    before = np.zeros(100, np.bool_)
    sent_before = np.full(100, 99)
    for snr_db in np.arange(-4.0, 12.0, 0.5):
        randomness = randomness_of("monotone")
        setting = LinkSetting(RayleighBlock(), float(snr_db), "qpsk", transmissions=2, harq=harq)  # type: ignore[arg-type]
        once = LinkSetting(RayleighBlock(), float(snr_db), "qpsk")
        twice = [send_packet_by_table(packet, setting, randomness, n, WORDS) for n in range(100)]
        single = [send_packet_by_table(packet, once, randomness, n, WORDS) for n in range(100)]
        decoded = np.array([outcome.decoded for outcome in twice])
        sent = np.array([outcome.transmissions for outcome in twice])
        assert np.all(decoded >= before) and np.all(sent <= sent_before)
        assert np.array_equal([o.decoded for o in single], decoded & (sent == 1))
        before, sent_before = decoded, sent
    assert before.sum() > 90


def test_several_code_blocks_fail_independently() -> None:
    setting = LinkSetting(Awgn(), 4.2, "16qam", 0.25)
    # 2800 bytes are 6 code blocks at rate 1/4; 5 words are enough for the arithmetic.
    curve = error_curve("16qam", 0.25, 22_400, 5)
    snr_db = curve.threshold_db
    setting = LinkSetting(Awgn(), snr_db, "16qam", 0.25)
    rate = packet_error_rate(2800, setting, randomness_of("blocks"), 0, 5)
    assert rate == pytest.approx(1 - 0.9**6, rel=1e-6)
    # As does a channel whose noise powers are listed one by one.
    listed = LinkSetting(TwiceTheNoise(), snr_db + 10 * np.log10(2), "16qam", 0.25)
    assert packet_error_rate(2800, listed, randomness_of("blocks"), 0, 5) == pytest.approx(
        rate, rel=1e-3
    )


@dataclass(frozen=True, kw_only=True)
class Unmetered(Rayleigh):
    """Rayleigh fading that only says its noise powers."""

    snr_meter = Channel.snr_meter


@pytest.mark.parametrize(
    ("transmissions", "harq", "snr_db"),
    [(1, "chase", 3.0), (2, "chase", -1.5), (2, "incremental", -1.5)],
)
def test_the_quicker_way_changes_nothing(transmissions: int, harq: str, snr_db: float) -> None:
    quick, plain = (
        [
            packet_error_rate(size, setting, randomness_of("quick"), number, 5)
            for setting in (
                LinkSetting(kind(variation="symbol"), snr_db + offset, "qpsk",
                            transmissions=transmissions, harq=harq)  # type: ignore[arg-type]
                for offset in (-0.6, 0.0, 0.6)
            )
            for size in (BYTES, 3 * BYTES, 1500)
            for number in range(5)
        ]
        for kind in (Rayleigh, Unmetered)
    )  # fmt: skip
    assert quick == pytest.approx(plain, abs=2e-3)
    assert min(quick) < 0.2 and max(quick) > 0.8


def test_what_tables_cannot_stand_for_is_refused() -> None:
    randomness = randomness_of("refused")
    for setting, message in (
        (LinkSetting(coding="none"), "expected a code"),
        (LinkSetting(damage="deliver"), "expected damage drop"),
        (LinkSetting(Impaired(phase_noise_deg=2.1)), "noise powers tell all.* above 2 degrees"),
        (LinkSetting(BinarySymmetricChannel(), modulation="bpsk"), "noise powers tell all"),
        (LinkSetting(BinaryErasureChannel(), modulation="bpsk"), "noise powers tell all"),
    ):
        with pytest.raises(ChannelError, match=message):
            send_packet_by_table(b"packet", setting, randomness, 0, WORDS)
    with pytest.raises(ChannelError, match="at least 1 byte"):
        send_packet_by_table(b"", LinkSetting(), randomness, 0, WORDS)
    with pytest.raises(ChannelError, match="packet number"):
        send_packet_by_table(b"packet", LinkSetting(), randomness, MAX_PACKETS, WORDS)
    with pytest.raises(ChannelError, match="at least 1 byte"):
        packet_error_rate(0, LinkSetting(), randomness, 0, WORDS)
    with pytest.raises(ChannelError, match="packets"):
        compare(LinkSetting(), BYTES, 0, 1, WORDS)


def test_wilson_interval() -> None:
    """Against scipy's."""
    for errors, packets in ((0, 50), (3, 40), (25, 50), (50, 50)):
        for confidence in (0.95, 0.99):
            expected = binomtest(errors, packets).proportion_ci(confidence, "wilson")
            found = MeasuredRate(errors, packets).interval(confidence)
            assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(
    ("channel", "snr_db", "times"),
    [
        (Awgn(), 7.0, 100),
        (Rayleigh(variation="doppler"), 14.0, 8),
        (Ofdm(), 14.0, 3),
        (Ofdm(estimation="ls"), 16.0, 3),
    ],
)
def test_many_times_faster(channel: Channel, snr_db: float, times: int) -> None:
    """1000 bytes of 16QAM at rate 1/2 in one run; most packets arrive."""
    setting = LinkSetting(channel, snr_db, "16qam", 0.5)
    packet = bytes(range(250)) * 4
    prepare_tables(setting, [len(packet)], words=5)
    randomness = randomness_of("speed")
    exact, table = [], []
    send_packet(packet, setting, randomness, 0)
    send_packet_by_table(packet, setting, randomness, 0, words=5)
    for _ in range(10):
        start = time.process_time()
        for number in range(5):
            send_packet(packet, setting, randomness, number)
        middle = time.process_time()
        for number in range(50):
            send_packet_by_table(packet, setting, randomness, number, words=5)
        exact.append((middle - start) / 5)
        table.append((time.process_time() - middle) / 50)
    assert min(exact) > times * min(table)
