"""One image's journey: noise common to all codecs, losses where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from channels.fading import RayleighBlock
from channels.link import LinkSetting
from channels.packet_loss import IidPacketLoss
from codec.base import EncodedImage, Layer
from testbed.transmission import image_randomness, transmit


def encoded(*sizes: int) -> EncodedImage:
    random = np.random.default_rng(1)
    return EncodedImage(tuple(Layer(str(i), random.bytes(n)) for i, n in enumerate(sizes)))


def send(what, link: LinkSetting, repetition: int = 0, budget: int = 10**6):
    randomness = image_randomness(7, "ab" * 32, repetition)
    return transmit(what, link, randomness, max_bytes=100, budget_uses=budget, may_cut=True)


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
        [bool(send(what, link, repetition).received) for repetition in range(80)]
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
        sent = send(what, LinkSetting(snr_db=30, loss=IidPacketLoss(loss)), repetition)
        lost += sent.packets_lost
        sent_packets += sent.packets_sent
    # 99 % interval of a binomial share over 2,000 packets.
    assert abs(lost / sent_packets - loss) < 2.58 * (loss * (1 - loss) / sent_packets) ** 0.5
