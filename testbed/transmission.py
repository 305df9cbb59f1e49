"""The whole way of one image: layers -> packets -> link -> packets -> layers.

    EncodedImage --packetise--> packets --channels.link--> some of them --reassemble--> layers

The draws of the channel are keyed by (scenario seed, image, repetition) and the packet's number,
not by the codec, the SNR or anything else: every codec meets the same noise and the same fades,
and so does every link setting, so that differences between them are paired.
"""

from __future__ import annotations

from dataclasses import dataclass

from channels.link import LinkSetting, send_packets
from channels.randomness import ChannelRandomness, derive_key
from codec.base import EncodedImage, ReceivedLayer
from testbed.link_parts import make_part
from testbed.packets import Ledger, ledger_of, packetise, reassemble
from testbed.trials import LinkPoint


@dataclass(frozen=True, slots=True)
class Transmission:
    """What was sent, what it cost and what arrived.

    `layers_sent` counts layers of which at least a part was sent; `packets_lost` those that did
    not arrive, for whatever reason.
    """

    ledger: Ledger
    layers_sent: int
    packets_sent: int
    packets_lost: int
    received: tuple[ReceivedLayer, ...]


def link_setting(point: LinkPoint) -> LinkSetting:
    """The link of a scenario's point; its budget of channel uses is not part of it."""
    return LinkSetting(
        channel=make_part("channel", point.channel, fading_block=point.fading_block),
        snr_db=point.snr_db,
        modulation=point.modulation,
        code_rate=point.code_rate,
        loss=make_part("packet loss", point.packet_loss),
    )


def image_randomness(seed: int, image_sha256: str, repetition: int) -> ChannelRandomness:
    """All draws of one image's journey; the same for every codec and every link setting."""
    return ChannelRandomness(derive_key("image", seed, image_sha256, repetition))


def transmit(
    encoded: EncodedImage | None,
    link: LinkSetting,
    randomness: ChannelRandomness,
    *,
    max_bytes: int,
    budget_uses: int,
    may_cut: bool,
) -> Transmission:
    """Sends what fits of `encoded` (None: nothing did) within `budget_uses` channel uses."""
    packets = packetise(encoded, max_bytes, budget_uses, link, may_cut=may_cut) if encoded else []
    outcomes = send_packets([packet.to_bytes() for packet in packets], link, randomness)
    arrived = [outcome.data for outcome in outcomes if outcome.data is not None]
    return Transmission(
        ledger=ledger_of(packets, link),
        layers_sent=len({packet.layer for packet in packets}),
        packets_sent=len(packets),
        packets_lost=len(packets) - len(arrived),
        received=reassemble(arrived),
    )
