"""The whole way of one image: layers -> packets -> link -> packets -> layers.

    EncodedImage --packetise--> packets --channels.link--> what is delivered
        --packet loss--> what arrives, in any order --reassemble--> layers

Packets are planned within the budget, each sent once, and sent in their order. One that fails may
be sent again at once, as often as its link allows and the budget bears: what a scalable codec had
planned last gives way, a codec that may not be cut uses what all its packets leave over.

The draws of the channel are keyed by (scenario seed, image, repetition) and the packet's number,
not by the codec, the SNR or anything else: every codec meets the same noise and the same fades,
and so does every link setting, so that differences between them are paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Literal

from channels.link import (
    LinkSetting,
    PacketOutcome,
    largest_packet_bytes,
    packet_cost,
    send_packet,
)
from channels.observation import Observation
from channels.randomness import ChannelRandomness, derive_key
from channels.table_link import send_packet_by_table
from codec.base import EncodedImage, ReceivedLayer, with_known
from testbed.language.link_parts import make_part
from testbed.running.trials import LinkPoint
from testbed.sending.packets import (
    LayerLink,
    Ledger,
    Packet,
    cost_of,
    counts_of,
    link_of,
    packetise,
    reassemble,
)


@dataclass(frozen=True, slots=True)
class Transmission:
    """What was sent, what it cost and what arrived. Counts are of packets, parity included.

    layers_sent      layers of which at least a part was sent
    packets_sent     each once, however often it was sent
    packets_decoded  every CRC held, whatever became of them above the physical layer
    packets_damaged  delivered with errors
    packets_lost     of which nothing arrived, for whatever reason
    transmissions    all of all packets
    observed         what their symbols met; None where none are sent: by tables, with ideal codes
    """

    ledger: Ledger
    layers_sent: int
    packets_sent: int
    packets_decoded: int
    packets_damaged: int
    packets_lost: int
    transmissions: int
    received: tuple[ReceivedLayer, ...]
    observed: Observation | None


@lru_cache(maxsize=1024)
def layer_links(point: LinkPoint) -> tuple[LayerLink, ...]:
    """The links of a scenario's point, by layer; its budget of channel uses is no part of them.

    Of an analog codec's point one link, which tells channel, SNR and packet loss.
    """
    link = partial(
        LinkSetting,
        channel=make_part("channel", point.channel, fading_block=point.fading_block),
        snr_db=point.snr_db,
        coding=point.coding,
        harq=point.harq,
        damage=point.damage,
        loss=make_part("packet loss", point.packet_loss),
    )
    if not point.layers:
        return (LayerLink(link()),)
    return tuple(
        LayerLink(
            link(
                modulation=layer.modulation,
                # Without coding there is no rate, and 1 is what a point says.
                code_rate=LinkSetting.code_rate if point.coding == "none" else layer.code_rate,
                transmissions=layer.transmissions,
                power_db=layer.power_db,
            ),
            layer.erasure_rate,
        )
        for layer in point.layers
    )


def image_randomness(seed: int, image_sha256: str, repetition: int) -> ChannelRandomness:
    """All draws of one image's journey; the same for every codec and every link setting."""
    return ChannelRandomness(derive_key("image", seed, image_sha256, repetition))


def transmit(
    encoded: EncodedImage | None,
    links: Sequence[LayerLink],
    randomness: ChannelRandomness,
    *,
    max_bytes: int,
    budget_uses: int,
    may_cut: bool,
    fidelity: Literal["exact", "tables"] = "exact",
) -> Transmission:
    """Sends what fits of `encoded` (None: nothing did) within `budget_uses` channel uses.

    fidelity: every bit over the link, or the fate of packets from block error tables; the same for
    an ideal code.

    `links` by layer, the last one for all that follow; packet loss is that of the first.
    """
    planned = packetise(encoded, max_bytes, budget_uses, links, may_cut=may_cut) if encoded else []
    links = at_unit_power(planned, links)
    # An ideal code sends no bits, and has no tables.
    by_tables = fidelity == "tables" and links[0].setting.coding != "ideal"
    send = send_packet_by_table if by_tables else send_packet
    sent, outcomes = _send(send, planned, links, randomness, budget_uses, may_cut)
    ledger = Ledger()
    for packet, outcome in zip(sent, outcomes, strict=True):
        ledger = ledger.plus(packet, cost_of(packet, links), outcome.transmissions)
    whole: list[bytes] = []
    damaged: list[bytes] = []
    arrived = set()
    for number in links[0].setting.loss.arrivals(0, len(sent), randomness).tolist():
        packet, outcome = sent[number], outcomes[number]
        if outcome.data is None:
            continue
        arrived.add(number)
        if outcome.decoded:
            whole.append(outcome.data)
        else:
            # Control information tells which packet it is; its own header may be wrong.
            damaged.append(packet.header + outcome.data[len(packet.header) :])
    return Transmission(
        ledger=ledger,
        layers_sent=len({packet.layer for packet in sent}),
        packets_sent=len(sent),
        packets_decoded=sum(outcome.decoded for outcome in outcomes),
        packets_damaged=sum(not outcomes[number].decoded for number in arrived),
        packets_lost=len(sent) - len(arrived),
        transmissions=sum(outcome.transmissions for outcome in outcomes),
        received=with_known(
            reassemble(whole, counts_of(planned), damaged, sliced=_sliced(encoded)), encoded
        ),
        observed=_sum_of([outcome.observed for outcome in outcomes]),
    )


def _sliced(encoded: EncodedImage | None) -> bool:
    return encoded is not None and any(layer.parts for layer in encoded.layers)


def _sum_of(observed: Sequence[Observation | None]) -> Observation | None:
    total = Observation()
    for each in observed:
        if each is None:
            return None
        total += each
    return total


def _send(
    send: Callable[[bytes, LinkSetting, ChannelRandomness, int], PacketOutcome],
    planned: Sequence[Packet],
    links: Sequence[LayerLink],
    randomness: ChannelRandomness,
    budget_uses: int,
    may_cut: bool,
) -> tuple[list[Packet], list[PacketOutcome]]:
    """The packets that were sent, the last one perhaps shortened, and what became of each."""
    sent: list[Packet] = []
    outcomes: list[PacketOutcome] = []
    left = budget_uses
    reserved = 0 if may_cut else sum(cost_of(packet, links).channel_uses for packet in planned)
    for number, whole in enumerate(planned):
        link = link_of(whole.layer, links)
        uses = cost_of(whole, links).channel_uses
        reserved -= 0 if may_cut else uses
        packet = whole if uses <= left else _cut(whole, left, link)
        if packet is None:
            break
        uses = cost_of(packet, links).channel_uses
        times = min(link.setting.transmissions, (left - reserved) // uses)
        setting = link.setting
        if times < setting.transmissions:
            setting = replace(setting, transmissions=times)
        outcome = send(packet.to_bytes(), setting, randomness, number)
        sent.append(packet)
        outcomes.append(outcome)
        left -= uses * outcome.transmissions
        if packet is not whole:
            break
    return sent, outcomes


def _cut(packet: Packet, uses: int, link: LayerLink) -> Packet | None:
    """The packet with as much of its payload as fits into `uses`; None if nothing does.

    Nor if its layer is protected against erasures: parities are made for what was planned.
    """
    if link.erasure_rate < 1.0:
        return None
    header = len(packet.header)
    fits = largest_packet_bytes(uses, link.setting) - header
    fits = min(fits, len(packet.payload) - 1)
    # Rounding to whole symbols can make a byte less cost more.
    while fits > 0 and packet_cost(header + fits, link.setting).channel_uses > uses:
        fits -= 1
    return replace(packet, payload=packet.payload[:fits], is_last=False) if fits > 0 else None


def at_unit_power(packets: Sequence[Packet], links: Sequence[LayerLink]) -> tuple[LayerLink, ...]:
    """The links with powers scaled to a mean of 1 over the channel uses of `packets`.

    So `snr_db` keeps its meaning whichever layers are sent, and no protection gains by power that
    others do not have. It holds for what is really sent if every packet is sent once.
    """
    if not packets or all(link.setting.power_db == 0.0 for link in links):
        return tuple(links)
    uses = [cost_of(packet, links).channel_uses for packet in packets]
    powers = [10 ** (link_of(each.layer, links).setting.power_db / 10) for each in packets]
    mean = sum(n * power for n, power in zip(uses, powers, strict=True)) / sum(uses)
    excess_db = 10 * math.log10(mean)
    return tuple(
        replace(link, setting=replace(link.setting, power_db=link.setting.power_db - excess_db))
        for link in links
    )
