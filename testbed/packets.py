"""Layers to packets and back.

A packet carries a piece of one layer behind a header of two bytes:

    layer (4 bits) | fragment within the layer (11 bits) | last fragment of the layer (1 bit)

Layers are packed in order, each into packets of its own, until the budget of channel uses is
spent. A scalable codec's stream is cut at the byte that fills the budget; any other stream is
sent whole or not at all.

A layer that is protected against erasures is followed by parity packets, whose fragments count on
from its own. Each is a header and a Reed-Solomon symbol (channels/erasure.py) over the layer's

    1 if this is the last fragment of the layer, else 0 (1 byte) | payload

so that a packet that is brought back says, too, whether the layer ends with it.

Sizes of packets, their order, and how many of a layer are data and parity are known to the receiver
(as 5G's control channel tells them); everything else is in the header, and charged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from channels.erasure import parity_for, parity_sizes, protect, recover
from channels.errors import ChannelError
from channels.link import LinkSetting, PacketCost, largest_packet_bytes, packet_cost
from codec.base import EncodedImage, ReceivedLayer

HEADER_BYTES = 2
FLAG_BYTES = 1
"""What a parity packet protects beside the payload."""
MAX_LAYERS = 1 << 4
MAX_FRAGMENTS = 1 << 11


@dataclass(frozen=True, slots=True)
class LayerLink:
    """How one layer is sent.

    `erasure_rate`: data packets per packet of the layer, 1/256 .. 1 (no parity packets).
    """

    setting: LinkSetting
    erasure_rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Packet:
    """A piece of a layer. `is_last`: it ends with the layer's last byte.

    `is_parity`: a parity packet instead; the receiver knows from its fragment.
    """

    layer: int
    fragment: int
    is_last: bool
    payload: bytes
    is_parity: bool = False

    @property
    def header(self) -> bytes:
        """HEADER_BYTES bytes."""
        number = self.layer << 12 | self.fragment << 1 | self.is_last
        return number.to_bytes(HEADER_BYTES, "big")

    def to_bytes(self) -> bytes:
        return self.header + self.payload

    @classmethod
    def from_bytes(cls, data: bytes) -> Packet:
        """The inverse of to_bytes, for at least HEADER_BYTES bytes, but for `is_parity`."""
        header = int.from_bytes(data[:HEADER_BYTES], "big")
        fragment = header >> 1 & (MAX_FRAGMENTS - 1)
        return cls(header >> 12, fragment, bool(header & 1), data[HEADER_BYTES:])


@dataclass(frozen=True, slots=True)
class Ledger:
    """Coded bits by what they are for, and the channel uses that carried them:

    payload + header + crc + parity + padding + erasure + retransmission bits = coded bits

    payload_bits         of the codec's stream
    header_bits          of the packets
    crc_bits             of the physical layer
    parity_bits          of the channel code
    padding_bits         known zeros
    erasure_bits         payload of parity packets
    retransmission_bits  everything that was sent again
    symbols              complex symbols
    channel_uses         complex channel uses, with pilots and prefixes
    """

    payload_bits: int = 0
    header_bits: int = 0
    crc_bits: int = 0
    parity_bits: int = 0
    padding_bits: int = 0
    erasure_bits: int = 0
    retransmission_bits: int = 0
    coded_bits: int = 0
    symbols: int = 0
    channel_uses: int = 0

    def plus(self, packet: Packet, cost: PacketCost, transmissions: int = 1) -> Ledger:
        """With one more packet, sent so many times."""
        own_bits = cost.payload_bits - 8 * HEADER_BYTES
        return Ledger(
            self.payload_bits + (0 if packet.is_parity else own_bits),
            self.header_bits + 8 * HEADER_BYTES,
            self.crc_bits + cost.crc_bits,
            self.parity_bits + cost.parity_bits,
            self.padding_bits + cost.padding_bits,
            self.erasure_bits + (own_bits if packet.is_parity else 0),
            self.retransmission_bits + (transmissions - 1) * cost.coded_bits,
            self.coded_bits + transmissions * cost.coded_bits,
            self.symbols + transmissions * cost.symbols,
            self.channel_uses + transmissions * cost.channel_uses,
        )


def link_of(layer: int, links: Sequence[LayerLink]) -> LayerLink:
    """The link of a layer: the last one serves all layers that follow."""
    return links[min(layer, len(links) - 1)]


def cost_of(packet: Packet, links: Sequence[LayerLink]) -> PacketCost:
    """What one transmission of the packet costs."""
    size = HEADER_BYTES + len(packet.payload)
    return packet_cost(size, link_of(packet.layer, links).setting)


def packetise(
    encoded: EncodedImage,
    max_bytes: int,
    budget_uses: int,
    links: Sequence[LayerLink],
    *,
    may_cut: bool,
) -> list[Packet]:
    """The packets that fit into `budget_uses`, each sent once, of at most `max_bytes` of payload.

    `links` by layer. Parity packets are 3 bytes longer than the longest of what they protect.
    Without `may_cut` the result is empty unless all layers fit. A layer of more than MAX_FRAGMENTS
    packets, parity included, ends there, as if the budget did. Raises ValueError for more than
    MAX_LAYERS layers.
    """
    if len(encoded.layers) > MAX_LAYERS:
        raise ValueError(f"expected at most {MAX_LAYERS} layers, found {len(encoded.layers)}")
    packets: list[Packet] = []
    left = budget_uses
    for index, layer in enumerate(encoded.layers):
        link = link_of(index, links)
        fits = bytes_within(len(layer.data), max_bytes, left, link)
        if fits < len(layer.data) and not may_cut:
            return []
        packets += _layer_packets(index, layer.data, fits, max_bytes, link)
        if fits < len(layer.data):
            break
        left -= layer_uses(fits, max_bytes, link)
    return packets


def layer_uses(size: int, max_bytes: int, link: LayerLink) -> int:
    """Channel uses of a layer of `size` bytes, its parity packets included; 0 for no bytes."""
    return sum(
        count * _packet_uses(payload, link) for payload, count in _payloads(size, max_bytes, link)
    )


def bytes_within(size: int, max_bytes: int, budget_uses: int, link: LayerLink) -> int:
    """How many leading bytes of a layer of `size` bytes can be sent within the budget."""
    fits = min(size, capacity_bytes(max_bytes, budget_uses, link))
    # Rounding to whole symbols can make a byte less cost more.
    while layer_uses(fits, max_bytes, link) > budget_uses:
        fits -= 1
    return fits


def capacity_bytes(max_bytes: int, budget_uses: int, link: LayerLink) -> int:
    """The longest single layer, in bytes, that `packetise` sends whole within the budget."""

    def fits(size: int) -> bool:
        return layer_uses(size, max_bytes, link) <= budget_uses

    full = _most(MAX_FRAGMENTS, lambda count: _numbers_fit(count, link) and fits(count * max_bytes))
    size = full * max_bytes
    if not _numbers_fit(full + 1, link):
        return size
    # One more packet, as long as can be. With it grow the parity packets of its block, if it is
    # alone there; all others cost the same whatever its size.
    short, long = (_payloads(size + more, max_bytes, link) for more in (1, max_bytes))
    same = Counter(dict(short)) & Counter(dict(long))
    growing = sum(count for _, count in short) - same.total()
    left = budget_uses - sum(count * _packet_uses(payload, link) for payload, count in same.items())
    if left <= 0:
        return size
    more = min(largest_packet_bytes(left // growing, link.setting) - HEADER_BYTES, max_bytes)
    while more > 0 and not fits(size + more):
        more -= 1
    return size + max(more, 0)


def ledger_of(packets: Iterable[Packet], links: Sequence[LayerLink]) -> Ledger:
    """What sending the packets once costs."""
    ledger = Ledger()
    for packet in packets:
        ledger = ledger.plus(packet, cost_of(packet, links))
    return ledger


def counts_of(packets: Iterable[Packet]) -> dict[int, tuple[int, int]]:
    """Data and parity packets of each layer that has parity packets: the receiver knows them."""
    counts: dict[int, tuple[int, int]] = {}
    for packet in packets:
        data, parity = counts.get(packet.layer, (0, 0))
        counts[packet.layer] = (data + (not packet.is_parity), parity + packet.is_parity)
    return {layer: count for layer, count in counts.items() if count[1]}


def reassemble(
    arrived: Iterable[bytes],
    counts: Mapping[int, tuple[int, int]] | None = None,
    damaged: Iterable[bytes] = (),
) -> tuple[ReceivedLayer, ...]:
    """Layers from the packets that arrived, in any order; duplicates do no harm.

    Of each layer, the leading fragments without a gap; layers after the first that is not complete
    are of no use to a decoder and are left out.

    counts: data and parity packets of layers that have parity packets.
    damaged: packets with wrong bytes behind a right header. They stand in for what neither arrived
        whole nor can be brought back, and bring nothing back themselves.
    """
    whole, with_errors = _by_fragment(arrived), _by_fragment(damaged)
    layers: list[ReceivedLayer] = []
    for layer in range(MAX_LAYERS):
        intact, stand_ins = whole.get(layer, {}), with_errors.get(layer, {})
        if counts and layer in counts:
            data, parity = counts[layer]
            intact = _recovered(layer, intact, data, parity)
            stand_ins = {number: p for number, p in stand_ins.items() if number < data}
        found = stand_ins | intact
        pieces: list[bytes] = []
        intact_bytes = None
        complete = False
        while not complete and (piece := found.get(len(pieces))) is not None:
            if intact_bytes is None and len(pieces) not in intact:
                intact_bytes = sum(map(len, pieces))
            pieces.append(piece.payload)
            complete = piece.is_last
        if pieces:
            layers.append(ReceivedLayer(b"".join(pieces), complete, intact_bytes))
        if not complete:
            break
    return tuple(layers)


def _by_fragment(packets: Iterable[bytes]) -> dict[int, dict[int, Packet]]:
    """By layer and fragment; of several the first."""
    found: dict[int, dict[int, Packet]] = {}
    for data in packets:
        if len(data) >= HEADER_BYTES:
            packet = Packet.from_bytes(data)
            found.setdefault(packet.layer, {}).setdefault(packet.fragment, packet)
    return found


def _layer_packets(
    layer: int, data: bytes, size: int, max_bytes: int, link: LayerLink
) -> list[Packet]:
    """The first `size` bytes of a layer's data in packets, and their parity packets."""
    packets = []
    for fragment, start in enumerate(range(0, size, max_bytes)):
        end = min(start + max_bytes, size)
        packets.append(Packet(layer, fragment, end == len(data), data[start:end]))
    return packets + _parity_packets(packets, link)


def _protected(packet: Packet) -> bytes:
    """What a parity packet protects of a data packet."""
    return bytes([packet.is_last]) + packet.payload


def _parity_packets(data: Sequence[Packet], link: LayerLink) -> list[Packet]:
    parity = _parity_count(len(data), link)
    if not parity:
        return []
    return [
        Packet(data[0].layer, fragment, False, payload, is_parity=True)
        for fragment, payload in enumerate(protect([*map(_protected, data)], parity), len(data))
    ]


def _recovered(
    layer: int, found: Mapping[int, Packet], data: int, parity: int
) -> dict[int, Packet]:
    """The data packets of a layer, with those that its parity packets bring back."""
    arrived = {number: packet for number, packet in found.items() if number < data}
    received = {
        number: _protected(packet) if number < data else packet.payload
        for number, packet in found.items()
        if number < data + parity
    }
    try:
        pieces = recover(received, data, parity)
    except ChannelError:
        # A CRC let wrong bytes through: packets that do not belong together.
        return arrived
    back = {
        number: Packet(layer, number, bool(piece[0]), piece[FLAG_BYTES:])
        for number, piece in enumerate(pieces)
        if piece
    }
    return back | arrived


def _numbers_fit(data: int, link: LayerLink) -> bool:
    """Whether so many data packets and their parity packets can be numbered."""
    return data + _parity_count(data, link) <= MAX_FRAGMENTS


def _payloads(size: int, max_bytes: int, link: LayerLink) -> list[tuple[int, int]]:
    """(bytes, how many) of the payloads of a layer's packets."""
    full, rest = divmod(size, max_bytes)
    data = [max_bytes] * full + [rest] * (rest > 0)
    parity = _parity_count(len(data), link)
    # Without parity packets nothing is asked of the erasure code: most links have none.
    sizes = parity_sizes([FLAG_BYTES + n for n in data], parity) if parity else []
    return list(Counter(data + sizes).items())


def _parity_count(data: int, link: LayerLink) -> int:
    return parity_for(data, link.erasure_rate) if data else 0


def _packet_uses(payload: int, link: LayerLink) -> int:
    return packet_cost(HEADER_BYTES + payload, link.setting).channel_uses


def _most(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest number up to `limit` that fits; 0 does, and with any number all below it."""
    low, high = 0, 1
    while high <= limit and fits(high):
        low, high = high, 2 * high
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
