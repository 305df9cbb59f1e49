"""How often a layer arrives and what it takes: against counting every case, and the real sender."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.fading import Awgn, RayleighBlock
from channels.gilbert_elliott import GilbertElliott
from channels.link import LinkSetting
from channels.packet_loss import IidPacketLoss
from channels.randomness import ChannelRandomness, derive_key
from channels.table_link import send_packet_by_table
from codec.base import EncodedImage, Layer
from testbed.sending import layer_chances
from testbed.sending.layer_chances import Reckoning, chance_of_enough, fading_kind, packet_payloads
from testbed.sending.packets import LayerLink, cost_of, layer_uses, packetise


@pytest.fixture(autouse=True, scope="module")
def small_tables(tmp_path_factory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTBED_TABLES", str(tmp_path_factory.mktemp("tables")))
        patch.setattr(layer_chances, "TABLE_WORDS", 60)
        layer_chances._planning_error_rates.cache_clear()
        yield
        layer_chances._planning_error_rates.cache_clear()


def test_which_channels_fade_together() -> None:
    assert fading_kind(Awgn()) == "none"
    assert fading_kind(RayleighBlock("packet")) == "own"
    assert fading_kind(RayleighBlock("image")) == "common"


def test_planning_fades_are_spaced_evenly_in_rank() -> None:
    """Rayleigh fading: the powers are within sampling error of the exponential's quantiles."""
    channel = RayleighBlock("image")
    draws = layer_chances._planning_draws(channel, 0.1)
    power = np.array([abs(channel.gain(layer_chances._draws(draw), 0)) ** 2 for draw in draws])
    assert np.all(np.diff(power) > 0)
    below = 1 - np.exp(-power)
    ranks = (np.arange(len(draws)) + 0.5) / len(draws)
    # Kolmogorov-Smirnov, 99.9 %.
    assert np.abs(below - ranks).max() < 1.95 / np.sqrt(layer_chances.RANKED_FADES)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 4)), min_size=1, max_size=3),
    st.integers(0, 12),
    st.floats(0, 1),
)
def test_enough_packets_arrive_as_often_as_all_cases_say(groups, missing: int, loss: float) -> None:
    chances = [p for p, count in groups for _ in range(count)]
    needed = max(len(chances) - missing, 0)
    expected = 0.0
    for arrive in itertools.product([True, False], repeat=len(chances)):
        if sum(arrive) >= needed:
            each = (1 - loss) * np.array(chances)
            expected += np.prod(np.where(arrive, each, 1 - each))
    found = chance_of_enough(
        needed, [(np.array([p]), count) for p, count in groups], IidPacketLoss(loss)
    )
    assert found == pytest.approx(expected)


def test_long_layers_are_protected_block_by_block() -> None:
    """300 + 300 packets in three blocks of 200: any 100 of the 200."""
    arrive = np.array([0.4, 0.52, 0.6])
    found = chance_of_enough(300, [(arrive, 600)], IidPacketLoss())
    from scipy.stats import binom

    assert found == pytest.approx(binom.sf(99, 200, arrive) ** 3)


def test_bursts_are_counted_as_they_come() -> None:
    """Gilbert's chain: P(no loss among n) is P(good) (1 - p)^(n - 1)."""
    loss = GilbertElliott(mean_loss=0.2, mean_burst=4)
    found = float(chance_of_enough(6, [(np.ones(1), 6)], loss).mean())
    expected = 0.8 * (1 - loss.chain.good_to_bad) ** 5
    sigma = np.sqrt(expected * (1 - expected) / layer_chances.PLANNING_FADES)
    assert abs(found - expected) < 2.576 * sigma
    # Bursts spare whole layers more often than independent losses do, and spoil parities more.
    independent = IidPacketLoss(0.2)
    assert found > float(chance_of_enough(6, [(np.ones(1), 6)], independent)[0])
    groups = [(np.ones(1), 9)]
    assert chance_of_enough(6, groups, loss).mean() < chance_of_enough(6, groups, independent)[0]
    # One burst hits two packets in a row: 1 - p at the second, not 1 - mean loss.
    first, second = (chance_of_enough(1, [(np.ones(1), 1)], loss, place) for place in (0, 1))
    both = float((first * second).mean())
    expected = 0.8 * (1 - loss.chain.good_to_bad)
    assert abs(both - expected) < 2.576 * np.sqrt(expected * (1 - expected) / len(first))
    assert both > float(first.mean() * second.mean())


@pytest.mark.parametrize("rate", [1.0, 0.8, 0.5, 0.01])
@pytest.mark.parametrize("size", [1, 64, 65, 700])
def test_packets_are_those_that_are_sent(size: int, rate: float) -> None:
    link = LayerLink(LinkSetting(), rate)
    data, parity = packet_payloads(size, 64, rate)
    image = EncodedImage((Layer("only", bytes(size)),))
    sent = packetise(image, 64, 10**9, [link], may_cut=True)
    assert data + parity == [len(packet.payload) for packet in sent]


def layer(link: LayerLink, size: int, **more) -> tuple[np.ndarray, np.ndarray]:
    offers = Reckoning(link.setting.channel, loss=link.setting.loss, **more).offers(
        size, [link], 60, first_packet=0, number=0
    )
    return offers.uses[0], offers.success[0]


CASES = {
    "awgn": (Awgn(), 1, 1.0, IidPacketLoss()),
    "harq": (Awgn(), 3, 1.0, IidPacketLoss()),
    "common fade, harq": (RayleighBlock("image"), 3, 1.0, IidPacketLoss()),
    "own fades, harq, erasure": (RayleighBlock("packet"), 2, 0.6, IidPacketLoss(0.1)),
    "common fade, erasure": (RayleighBlock("image"), 1, 0.6, IidPacketLoss(0.1)),
    "bursts, erasure": (Awgn(), 1, 0.5, GilbertElliott(0.2, 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_reckoned_with_comes_true(name: str) -> None:
    """P(arrives) and mean channel uses of a layer of three packets, sent by tables."""
    channel, times, rate, loss = CASES[name]
    snr_db = 0.4 if channel == Awgn() else 3.0
    setting = LinkSetting(
        channel, snr_db, modulation="qpsk", code_rate=0.5, transmissions=times, loss=loss
    )
    link = LayerLink(setting, rate)
    uses, success = layer(link, 150)
    cases = 400 if channel == RayleighBlock("image") or isinstance(loss, GilbertElliott) else 1
    assert uses.shape == (times, cases)
    packets = packetise(EncodedImage((Layer("only", bytes(150)),)), 60, 10**6, [link], may_cut=True)
    cost = [cost_of(packet, [link]).channel_uses for packet in packets]
    trials = 1500
    arrived, used = np.zeros(trials), np.zeros(trials)
    for n in range(trials):
        draws = ChannelRandomness(derive_key("chances", n))
        sent = [
            send_packet_by_table(packet.to_bytes(), setting, draws, i, layer_chances.TABLE_WORDS)
            for i, packet in enumerate(packets)
        ]
        lost = loss.losses(0, len(packets), draws)
        # The erasure code brings a layer back from any three packets of it.
        arrived[n] = (
            sum(each.decoded for each, gone in zip(sent, lost, strict=True) if not gone) >= 3
        )
        used[n] = np.dot(cost, [each.transmissions for each in sent])
    expected = success[-1].mean()
    sampled = np.sqrt(
        expected * (1 - expected) * (1 / trials + 1 / 4000 + 1 / 400 * ("burst" in name))
    )
    # Sizes are rounded up to reckon with, which takes up to a tenth of a dB.
    assert abs(arrived.mean() - expected) < 3 * sampled + 0.02
    assert used.mean() == pytest.approx(uses[-1].mean(), rel=0.03)
    assert layer_uses(150, 60, link) <= uses[0].min() + 1e-9


def test_an_oracle_knows_which_packet_meets_which_fade() -> None:
    known = ChannelRandomness(derive_key("oracle", 5))
    channel = RayleighBlock("packet")
    setting = LinkSetting(channel, 8.0, modulation="qpsk", code_rate=0.5)
    for number in range(12):
        offers = Reckoning(channel, known).offers(
            40, [LayerLink(setting), LayerLink(setting, 0.5)], 60, first_packet=0, number=number
        )
        power_db = 8 + 20 * np.log10(abs(channel.gain(known, number)))
        assert offers.success[0, 0, 0] == pytest.approx(float(power_db > 1.0), abs=0.4)
        assert offers.packets == (1, 2)
        assert offers.success[1, 0, 0] >= offers.success[0, 0, 0] - 1e-12
