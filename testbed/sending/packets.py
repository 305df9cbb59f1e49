"""Layers to packets and back.

A packet carries a piece of one layer behind a header of two bytes:

    layer (4 bits) | fragment within the layer (11 bits) | last fragment of the layer (1 bit)

and, if the picture is cut into slices that decode alone, of a third:

    first fragment of the slice's part of the layer (1 bit) | slice (7 bits)

Then a packet holds bytes of one slice only, "last fragment" speaks of its part of the layer, and
what is lost of one slice does no harm to the others.

Layers are packed in order, each into packets of its own, until the budget of channel uses is
spent. A scalable codec's stream is cut at the byte that fills the budget; any other stream is
sent whole or not at all.

A layer that is protected against erasures is followed by parity packets, whose fragments count on
from its own. Each is a header and a Reed-Solomon symbol (channels/erasure.py) over the layer's

    1 if this is the last fragment of the layer, else 0 (1 byte) | the slice's byte | payload

so that a packet that is brought back says, too, whether the layer ends with it.

Sizes of packets, their order, how many of a layer are data and parity and whether there are slices
are known to the receiver (as 5G's control channel tells them); everything else is in the header,
and charged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from channels.erasure import parity_for, parity_sizes, protect, recover
from channels.errors import ChannelError
from channels.link import LinkSetting, PacketCost, largest_packet_bytes, packet_cost
from codec.base import EncodedImage, Layer, ReceivedLayer, ReceivedPart

HEADER_BYTES = 2
SLICE_BYTES = 1
"""More of a packet's header, if the picture is in slices."""
FLAG_BYTES = 1
"""What a parity packet protects beside the payload and the slice's byte."""
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

    `is_parity`: a parity packet instead; the receiver knows from its fragment. Of a picture in
    slices, `slice` is the number of the slice, `opens` whether its part of the layer begins here,
    and `is_last` speaks of that part.
    """

    layer: int
    fragment: int
    is_last: bool
    payload: bytes
    is_parity: bool = False
    slice: int | None = None
    opens: bool = False

    @property
    def header(self) -> bytes:
        """HEADER_BYTES bytes, and SLICE_BYTES more if there are slices."""
        number = self.layer << 12 | self.fragment << 1 | self.is_last
        return number.to_bytes(HEADER_BYTES, "big") + self.slice_byte

    @property
    def slice_byte(self) -> bytes:
        """Which slice, and whether its part begins here; nothing without slices."""
        return b"" if self.slice is None else bytes([self.opens << 7 | self.slice])

    def to_bytes(self) -> bytes:
        return self.header + self.payload

    @classmethod
    def from_bytes(cls, data: bytes, sliced: bool = False) -> Packet:
        """The inverse of to_bytes, for at least the header's bytes, but for `is_parity`."""
        header = int.from_bytes(data[:HEADER_BYTES], "big")
        fragment = header >> 1 & (MAX_FRAGMENTS - 1)
        if not sliced:
            return cls(header >> 12, fragment, bool(header & 1), data[HEADER_BYTES:])
        number, payload = data[HEADER_BYTES], data[HEADER_BYTES + SLICE_BYTES :]
        return cls(
            header >> 12, fragment, bool(header & 1), payload,
            slice=number & 127, opens=number > 127,
        )  # fmt: skip


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
        header_bits = 8 * len(packet.header)
        own_bits = cost.payload_bits - header_bits
        return Ledger(
            self.payload_bits + (0 if packet.is_parity else own_bits),
            self.header_bits + header_bits,
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
    size = len(packet.header) + len(packet.payload)
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
        size = len(layer.data)
        fits = bytes_within(size, max_bytes, left, link, layer.parts)
        if fits < size and not may_cut:
            return []
        packets += _layer_packets(index, layer, fits, max_bytes, link)
        if fits < size:
            break
        left -= layer_uses(fits, max_bytes, link, layer.parts)
    return packets


def layer_uses(size: int, max_bytes: int, link: LayerLink, parts: Sequence[int] = ()) -> int:
    """Channel uses of the first `size` bytes of a layer, its parity packets included.

    parts: bytes of each slice's part of the layer; none without slices.
    """
    header = HEADER_BYTES + SLICE_BYTES * bool(parts)
    return sum(
        count * packet_cost(header + payload, link.setting).channel_uses
        for payload, count in _payloads(size, max_bytes, link, parts)
    )


def bytes_within(
    size: int, max_bytes: int, budget_uses: int, link: LayerLink, parts: Sequence[int] = ()
) -> int:
    """How many leading bytes of a layer of `size` bytes can be sent within the budget."""
    if parts:
        fits = _most(size, lambda some: _slices_fit(some, max_bytes, budget_uses, link, parts))
    else:
        fits = min(size, capacity_bytes(max_bytes, budget_uses, link))
    # Rounding to whole symbols can make a byte less cost more.
    while layer_uses(fits, max_bytes, link, parts) > budget_uses:
        fits -= 1
    return fits


def _slices_fit(
    size: int, max_bytes: int, budget_uses: int, link: LayerLink, parts: Sequence[int]
) -> bool:
    count = sum(1 for _ in _data_sizes(size, max_bytes, parts))
    return _numbers_fit(count, link) and layer_uses(size, max_bytes, link, parts) <= budget_uses


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
    *,
    sliced: bool = False,
) -> tuple[ReceivedLayer, ...]:
    """Layers from the packets that arrived, in any order; duplicates do no harm.

    Of each layer, the leading fragments without a gap; layers after the first that is not complete
    are of no use to a decoder and are left out.

    counts: data and parity packets of layers that have parity packets.
    damaged: packets with wrong bytes behind a right header. They stand in for what neither arrived
        whole nor can be brought back, and bring nothing back themselves.
    sliced: whether the picture is in slices. Then of each slice's part of every layer the leading
        fragments are kept: which parts are of use is for the decoder to say.
    """
    whole, with_errors = _by_fragment(arrived, sliced), _by_fragment(damaged, sliced)
    layers: list[ReceivedLayer] = []
    for layer in range(MAX_LAYERS):
        intact, stand_ins = whole.get(layer, {}), with_errors.get(layer, {})
        if counts and layer in counts:
            data, parity = counts[layer]
            intact = _recovered(layer, intact, data, parity)
            stand_ins = {number: p for number, p in stand_ins.items() if number < data}
        found = stand_ins | intact
        if sliced:
            layers.append(_layer_in_parts(found, intact))
            continue
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
    while layers and sliced and not layers[-1].parts:
        layers.pop()
    return tuple(layers)


def _layer_in_parts(found: Mapping[int, Packet], intact: Mapping[int, Packet]) -> ReceivedLayer:
    """What came of each slice's part of a layer."""
    parts: list[ReceivedPart] = []
    for start in sorted(number for number, packet in found.items() if packet.opens):
        pieces: list[bytes] = []
        intact_bytes = None
        complete = False
        number = found[start].slice
        assert number is not None
        while (
            not complete
            and (piece := found.get(start + len(pieces))) is not None
            and piece.slice == number
            and piece.opens == (not pieces)
        ):
            if intact_bytes is None and start + len(pieces) not in intact:
                intact_bytes = sum(map(len, pieces))
            pieces.append(piece.payload)
            complete = piece.is_last
        parts.append(ReceivedPart(number, b"".join(pieces), complete, intact_bytes))
    # Whether a part is missing altogether only the decoder knows, who knows how many there are.
    whole = bool(parts) and all(part.complete for part in parts)
    return ReceivedLayer(b"".join(part.data for part in parts), whole, parts=tuple(parts))


def _by_fragment(packets: Iterable[bytes], sliced: bool) -> dict[int, dict[int, Packet]]:
    """By layer and fragment; of several the first."""
    found: dict[int, dict[int, Packet]] = {}
    for data in packets:
        if len(data) >= HEADER_BYTES + SLICE_BYTES * sliced:
            packet = Packet.from_bytes(data, sliced)
            found.setdefault(packet.layer, {}).setdefault(packet.fragment, packet)
    return found


def _layer_packets(
    number: int, layer: Layer, size: int, max_bytes: int, link: LayerLink
) -> list[Packet]:
    """The first `size` bytes of a layer's data in packets, and their parity packets."""
    packets: list[Packet] = []
    at = 0
    for slice_number, part in enumerate(layer.parts or (len(layer.data),)):
        part_end = at + part
        start = at
        while at < min(part_end, size):
            end = min(at + max_bytes, part_end, size)
            packet = Packet(number, len(packets), end == part_end, layer.data[at:end])
            if layer.parts:
                packet = replace(packet, slice=slice_number, opens=at == start)
            packets.append(packet)
            at = end
    return packets + _parity_packets(packets, link)


def _protected(packet: Packet) -> bytes:
    """What a parity packet protects of a data packet."""
    return bytes([packet.is_last]) + packet.slice_byte + packet.payload


def _parity_packets(data: Sequence[Packet], link: LayerLink) -> list[Packet]:
    parity = _parity_count(len(data), link)
    if not parity:
        return []
    return [
        Packet(data[0].layer, fragment, False, payload, is_parity=True, slice=data[0].slice and 0)
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
    sliced = any(packet.slice is not None for packet in found.values())
    header = (layer << 12).to_bytes(HEADER_BYTES, "big")
    back = {
        number: replace(
            Packet.from_bytes(header + piece[FLAG_BYTES:], sliced),
            fragment=number,
            is_last=bool(piece[0]),
        )
        for number, piece in enumerate(pieces)
        if piece and len(piece) >= FLAG_BYTES + SLICE_BYTES * sliced
    }
    return back | arrived


def _numbers_fit(data: int, link: LayerLink) -> bool:
    """Whether so many data packets and their parity packets can be numbered."""
    return data + _parity_count(data, link) <= MAX_FRAGMENTS


def _data_sizes(size: int, max_bytes: int, parts: Sequence[int]) -> Iterator[int]:
    """Payloads of the data packets of a layer's first `size` bytes."""
    left = size
    for part in parts or (size,):
        full, rest = divmod(min(part, left), max_bytes)
        yield from [max_bytes] * full + [rest] * (rest > 0)
        left -= min(part, left)


def _payloads(
    size: int, max_bytes: int, link: LayerLink, parts: Sequence[int] = ()
) -> list[tuple[int, int]]:
    """(bytes, how many) of the payloads of a layer's packets."""
    data = list(_data_sizes(size, max_bytes, parts))
    parity = _parity_count(len(data), link)
    # Without parity packets nothing is asked of the erasure code: most links have none.
    protected = FLAG_BYTES + SLICE_BYTES * bool(parts)
    sizes = parity_sizes([protected + n for n in data], parity) if parity else []
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
