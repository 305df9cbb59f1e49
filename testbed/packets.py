"""Layers to packets and back.

A packet carries a piece of one layer behind a header of two bytes:

    layer (4 bits) | fragment within the layer (11 bits) | last fragment of the layer (1 bit)

Layers are packed in order, each into packets of its own, until the budget of channel uses is
spent. A scalable codec's stream is cut at the byte that fills the budget; any other stream is
sent whole or not at all. Sizes of packets are known to the receiver (as 5G's control channel
tells them); everything else that it needs is in the header, and charged.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from channels.link import LinkSetting, PacketCost, largest_packet_bytes, packet_cost
from codec.base import EncodedImage, ReceivedLayer

HEADER_BYTES = 2
MAX_LAYERS = 1 << 4
MAX_FRAGMENTS = 1 << 11


@dataclass(frozen=True, slots=True)
class Packet:
    """A piece of a layer. `is_last`: it ends with the layer's last byte."""

    layer: int
    fragment: int
    is_last: bool
    payload: bytes

    def to_bytes(self) -> bytes:
        header = self.layer << 12 | self.fragment << 1 | self.is_last
        return header.to_bytes(HEADER_BYTES, "big") + self.payload

    @classmethod
    def from_bytes(cls, data: bytes) -> Packet:
        """The inverse of to_bytes, for at least HEADER_BYTES bytes."""
        header = int.from_bytes(data[:HEADER_BYTES], "big")
        fragment = header >> 1 & (MAX_FRAGMENTS - 1)
        return cls(header >> 12, fragment, bool(header & 1), data[HEADER_BYTES:])


@dataclass(frozen=True, slots=True)
class Ledger:
    """Coded bits by what they are for; over a link of m bits per use they fill the channel uses:

    payload + header + crc + parity + padding bits = m * channel_uses
    """

    payload_bits: int = 0
    header_bits: int = 0
    crc_bits: int = 0
    parity_bits: int = 0
    padding_bits: int = 0
    channel_uses: int = 0

    def plus(self, cost: PacketCost) -> Ledger:
        """With one more packet, of which HEADER_BYTES are header."""
        return Ledger(
            self.payload_bits + cost.payload_bits - 8 * HEADER_BYTES,
            self.header_bits + 8 * HEADER_BYTES,
            self.crc_bits + cost.crc_bits,
            self.parity_bits + cost.parity_bits,
            self.padding_bits + cost.padding_bits,
            self.channel_uses + cost.channel_uses,
        )


def packetise(
    encoded: EncodedImage, max_bytes: int, budget_uses: int, link: LinkSetting, *, may_cut: bool
) -> list[Packet]:
    """The packets that fit into `budget_uses`, at most `max_bytes` of payload each.

    Without `may_cut` the result is empty unless all layers fit. A layer of more than MAX_FRAGMENTS
    packets ends there, as if the budget did. Raises ValueError for more than MAX_LAYERS layers.
    """
    if len(encoded.layers) > MAX_LAYERS:
        raise ValueError(f"expected at most {MAX_LAYERS} layers, found {len(encoded.layers)}")
    packets: list[Packet] = []
    left = budget_uses
    for layer_index, layer in enumerate(encoded.layers):
        for fragment, start in enumerate(range(0, len(layer.data), max_bytes)):
            if fragment >= MAX_FRAGMENTS:
                return packets if may_cut else []
            piece = layer.data[start : start + max_bytes]
            fits = len(piece)
            if packet_cost(HEADER_BYTES + len(piece), link).channel_uses > left:
                if not may_cut:
                    return []
                fits = largest_packet_bytes(left, link) - HEADER_BYTES
                if fits < 1:
                    return packets
            is_last = start + fits == len(layer.data)
            packets.append(Packet(layer_index, fragment, is_last, piece[:fits]))
            left -= packet_cost(HEADER_BYTES + fits, link).channel_uses
            if fits < len(piece):
                return packets
    return packets


def capacity_bytes(max_bytes: int, budget_uses: int, link: LinkSetting) -> int:
    """The longest single layer, in bytes, that `packetise` sends whole within the budget."""
    full_uses = packet_cost(HEADER_BYTES + max_bytes, link).channel_uses
    full = min(budget_uses // full_uses, MAX_FRAGMENTS)
    if full == MAX_FRAGMENTS:
        return MAX_FRAGMENTS * max_bytes
    rest = largest_packet_bytes(budget_uses - full * full_uses, link) - HEADER_BYTES
    return full * max_bytes + min(max(rest, 0), max_bytes)


def ledger_of(packets: Iterable[Packet], link: LinkSetting) -> Ledger:
    """What sending the packets costs."""
    ledger = Ledger()
    for packet in packets:
        ledger = ledger.plus(packet_cost(HEADER_BYTES + len(packet.payload), link))
    return ledger


def reassemble(arrived: Iterable[bytes]) -> tuple[ReceivedLayer, ...]:
    """Layers from the packets that arrived, in any order; duplicates do no harm.

    Of each layer, the leading fragments without a gap; layers after the first that is not
    complete are of no use to a decoder and are left out.
    """
    fragments: dict[tuple[int, int], Packet] = {}
    for data in arrived:
        if len(data) >= HEADER_BYTES:
            packet = Packet.from_bytes(data)
            fragments.setdefault((packet.layer, packet.fragment), packet)
    layers: list[ReceivedLayer] = []
    for layer in range(MAX_LAYERS):
        pieces: list[bytes] = []
        complete = False
        while not complete and (piece := fragments.get((layer, len(pieces)))) is not None:
            pieces.append(piece.payload)
            complete = piece.is_last
        if pieces:
            layers.append(ReceivedLayer(b"".join(pieces), complete))
        if not complete:
            break
    return tuple(layers)
