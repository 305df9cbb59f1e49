"""One image's journey: noise common to all codecs, losses where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from channels.fading import RayleighBlock
from channels.jitter import Jitter
from channels.link import LinkSetting
from channels.packet_loss import IidPacketLoss
from codec.base import EncodedImage, Layer
from testbed.sending.packets import LayerLink, ledger_of, packetise
from testbed.sending.transmission import at_unit_power, image_randomness, transmit


def encoded(*sizes: int) -> EncodedImage:
    random = np.random.default_rng(1)
    return EncodedImage(tuple(Layer(str(i), random.bytes(n)) for i, n in enumerate(sizes)))


def send(
    what,
    *links: LinkSetting | LayerLink,
    repetition: int = 0,
    budget: int = 10**6,
    may_cut: bool = True,
):
    randomness = image_randomness(7, "ab" * 32, repetition)
    layers = [link if isinstance(link, LayerLink) else LayerLink(link) for link in links]
    return transmit(what, layers, randomness, max_bytes=100, budget_uses=budget, may_cut=may_cut)


def test_a_good_link_delivers_everything() -> None:
    what = encoded(80, 150, 30)
    sent = send(what, LinkSetting(snr_db=30))
    assert [layer.data for layer in sent.received] == [layer.data for layer in what.layers]
    assert (sent.layers_sent, sent.packets_sent, sent.packets_lost) == (3, 4, 0)


def test_a_hopeless_link_delivers_nothing_and_costs_the_same() -> None:
    what = encoded(80, 150, 30)
    good, bad = send(what, LinkSetting(snr_db=30)), send(what, LinkSetting(snr_db=-20))
    assert bad.received == ()
    assert bad.packets_lost == bad.packets_sent
    assert bad.ledger == good.ledger


def test_nothing_to_send_costs_nothing() -> None:
    sent = send(None, LinkSetting())
    assert (sent.ledger.channel_uses, sent.packets_sent, sent.received) == (0, 0, ())


def test_two_codecs_meet_the_same_fades() -> None:
    """A packet's fate hangs on its number and its image, whoever's bytes it carries.

    Codecs with channels of their own would agree in about half of the cases at this SNR; with
    the same fades only those near the threshold hang on the bytes.
    """
    link = LinkSetting(RayleighBlock(), snr_db=8)
    one, other = encoded(60), EncodedImage((Layer("x", bytes(63)),))
    fates = [
        [bool(send(what, link, repetition=repetition).received) for repetition in range(80)]
        for what in (one, other)
    ]
    agreeing = sum(a == b for a, b in zip(*fates, strict=True))
    assert agreeing >= 68
    assert 20 < sum(fates[0]) < 60


@pytest.mark.parametrize("loss", [0.3])
def test_packet_loss_is_what_was_asked(loss: float) -> None:
    what = encoded(*[20] * 10)
    lost = sent_packets = 0
    for repetition in range(200):
        sent = send(what, LinkSetting(snr_db=30, loss=IidPacketLoss(loss)), repetition=repetition)
        lost += sent.packets_lost
        sent_packets += sent.packets_sent
    # 99 % interval of a binomial share over 2,000 packets.
    assert abs(lost / sent_packets - loss) < 2.58 * (loss * (1 - loss) / sent_packets) ** 0.5


# --- Hybrid ARQ -----------------------------------------------------------------------------


HARQ = LinkSetting(snr_db=4.5, transmissions=4)
"""What fails on its first transmission, nearly always, and never on its third."""


def test_failed_packets_are_sent_again_and_charged() -> None:
    what = encoded(80, 150, 30)
    once = send(what, LinkSetting(snr_db=4.5))
    again = send(what, HARQ)
    assert once.received == ()
    assert [layer.data for layer in again.received] == [layer.data for layer in what.layers]
    assert again.transmissions > again.packets_sent == again.packets_decoded == 4
    ledger = again.ledger
    assert ledger.retransmission_bits == ledger.coded_bits - once.ledger.coded_bits > 0
    assert ledger.channel_uses == ledger.coded_bits // 4
    assert ledger.payload_bits == once.ledger.payload_bits


@pytest.mark.parametrize("budget", [100, 300, 700, 1000, 1500])
def test_a_scalable_stream_gives_way_to_retransmissions(budget: int) -> None:
    what = encoded(80, 150, 300, 300)
    for repetition in range(5):
        sent = send(what, HARQ, repetition=repetition, budget=budget)
        assert sent.ledger.channel_uses <= budget
        planned = send(what, LinkSetting(snr_db=30.0), repetition=repetition, budget=budget)
        assert sent.packets_sent <= planned.packets_sent
        assert sent.ledger.payload_bits <= planned.ledger.payload_bits
        data = b"".join(layer.data for layer in sent.received)
        assert b"".join(layer.data for layer in what.layers).startswith(data)
        # The budget is spent to what one more byte would need.
        if sent.packets_sent < planned.packets_sent:
            assert budget - sent.ledger.channel_uses < 20


def test_a_codec_that_may_not_be_cut_sends_again_from_what_is_left() -> None:
    what = encoded(300)
    uses = ledger_of(
        packetise(what, 100, 10**6, [LayerLink(HARQ)], may_cut=False), [LayerLink(HARQ)]
    ).channel_uses
    tight = send(what, HARQ, budget=uses, may_cut=False)
    assert (tight.packets_sent, tight.transmissions) == (3, 3)
    assert tight.ledger.channel_uses == uses
    some = send(what, HARQ, budget=uses + uses // 3, may_cut=False)
    assert (some.packets_sent, some.transmissions) == (3, 4)
    plenty = send(what, HARQ, budget=5 * uses, may_cut=False)
    assert plenty.received[0].complete
    assert send(what, HARQ, budget=uses - 1, may_cut=False).packets_sent == 0


# --- Erasures and protection ----------------------------------------------------------------


def test_parity_packets_bring_lost_packets_back() -> None:
    what = encoded(600, 300)
    loss = IidPacketLoss(0.15)
    share = {}
    for rate in (1.0, 0.6):
        link = LayerLink(LinkSetting(snr_db=30, loss=loss), rate)
        sent = [send(what, link, repetition=repetition) for repetition in range(60)]
        share[rate] = sum(len(each.received) == 2 and each.received[1].complete for each in sent)
        assert all(each.packets_damaged == 0 for each in sent)
    assert share[1.0] < 30
    assert share[0.6] > 50


def test_a_protected_layer_is_not_cut_by_retransmissions() -> None:
    what = encoded(900)
    link = LayerLink(HARQ, 0.75)
    sent = send(what, link, budget=2000)
    assert sent.ledger.channel_uses <= 2000
    (layer,) = sent.received
    assert what.layers[0].data.startswith(layer.data)
    # Whole packets only: parities were made for them.
    assert len(layer.data) % 100 == 0


def test_each_layer_has_its_own_link() -> None:
    what = encoded(90, 90, 90)
    strong = LinkSetting(snr_db=4.0, modulation="qpsk", code_rate=0.3)
    weak = LinkSetting(snr_db=4.0, modulation="16qam", code_rate=0.5)
    sent = send(what, strong, weak)
    assert [layer.data for layer in sent.received] == [what.layers[0].data]
    assert (sent.packets_sent, sent.packets_lost) == (3, 2)


def test_power_is_shifted_and_never_added() -> None:
    what = encoded(90, 300)
    links = [LayerLink(LinkSetting(power_db=power)) for power in (6.0, -1.0)]
    packets = packetise(what, 100, 10**6, links, may_cut=True)
    scaled = at_unit_power(packets, links)
    uses = [ledger_of([p for p in packets if p.layer == i], links).channel_uses for i in (0, 1)]
    power = [10 ** (link.setting.power_db / 10) for link in scaled]
    assert np.dot(uses, power) / sum(uses) == pytest.approx(1.0)
    assert power[0] / power[1] == pytest.approx(10**0.7)
    # What all layers have in common is no power at all.
    equal = [LayerLink(LinkSetting(power_db=9.0))]
    assert at_unit_power(packets, equal)[0].setting.power_db == pytest.approx(0.0, abs=1e-12)
    assert len(send(what, *links).received) == 2


# --- Damage and order -----------------------------------------------------------------------


def test_damage_is_delivered_under_the_true_header() -> None:
    what = encoded(80, 150, 30)
    link = LinkSetting(snr_db=6.0, coding="none", damage="deliver")
    sent = send(what, link)
    assert sent.packets_damaged == sent.packets_sent == 4
    assert (sent.packets_lost, sent.packets_decoded) == (0, 0)
    assert [len(layer.data) for layer in sent.received] == [80, 150, 30]
    assert all(layer.complete for layer in sent.received)
    bits = [
        (int.from_bytes(got.data, "big") ^ int.from_bytes(layer.data, "big")).bit_count()
        for got, layer in zip(sent.received, what.layers, strict=True)
    ]
    # 16QAM at Es/N0 6 dB: (3/4) Q(sqrt(Es / 5 N0)) + (1/2) Q(3 sqrt(..)) ... about 14 %.
    assert 0.10 < sum(bits) / (8 * 260) < 0.18
    dropped = send(what, LinkSetting(snr_db=6.0, coding="none"))
    assert (dropped.received, dropped.packets_lost, dropped.packets_damaged) == ((), 4, 0)


def test_packets_that_come_late_twice_or_in_disorder_make_the_same_layers() -> None:
    what = encoded(*[150] * 6)
    loss = Jitter(interval_ms=0.1, jitter_ms=5.0, deadline_ms=1e6, duplicate_probability=0.5)
    sent = send(what, LinkSetting(snr_db=30, loss=loss))
    assert [layer.data for layer in sent.received] == [layer.data for layer in what.layers]
    assert sent.packets_lost == 0
    assert sent.packets_sent == 12
