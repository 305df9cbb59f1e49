"""Packets in any order, number and state; and pictures from any of their packets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from channels.link import LinkSetting
from codec.base import DecodedImage, EncodedImage, Image, Layer, ReceivedLayer
from codec.layered import LayeredCodec, open_layered
from testbed.fuzz.damage import damaged
from testbed.fuzz.pictures import some_pictures
from testbed.fuzz.target import Cases, Random, one_by_one, probably, whole
from testbed.sending.packets import LayerLink, Packet, counts_of, packetise, reassemble

_ENOUGH_USES = 1 << 40
_RATES = (1.0, 1.0, 1.0, 1.0, 0.8, 0.5)


def prepare_packets(folder: Path) -> Cases:
    """Cases for the reassembly alone, with layers of random bytes."""
    del folder
    return one_by_one(_packets)


def _packets(random: Random) -> None:
    encoded = _random_layers(random)
    sliced = bool(encoded.layers[0].parts)
    packets = _packets_of(encoded, whole(random, 8, 120), random)
    counts = counts_of(packets)
    kept = [packet.to_bytes() for packet in packets if probably(random, 0.8)]
    arrived = [kept[i] for i in random.permutation(len(kept))] + _some(kept, random)
    received = reassemble(arrived, counts, sliced=sliced)
    _check_prefixes(received, encoded)
    if len(kept) == len(packets):
        assert [layer.data for layer in received] == [layer.data for layer in encoded.layers]
        assert all(layer.complete for layer in received)
    # Now with packets that nobody sent, and wrong numbers of parity packets.
    hurt = [damaged(each, random, kept or [b""]) for each in arrived if probably(random, 0.3)]
    foreign = [random.bytes(whole(random, 0, 40)) for _ in range(whole(random, 0, 5))]
    if probably(random, 0.2):
        counts = {
            whole(random, 0, 15): (whole(random, 0, 300), whole(random, 0, 300)) for _ in range(3)
        }
    mixed = [*arrived, *hurt, *foreign] if probably(random, 0.5) else arrived
    stand_ins = [*hurt, *foreign] if mixed is arrived else _some(hurt, random)
    for layer in reassemble(mixed, counts, stand_ins, sliced=sliced or probably(random, 0.1)):
        assert layer.intact_bytes is None or 0 <= layer.intact_bytes <= len(layer.data)
        assert all(0 <= part.slice < 128 for part in layer.parts)


def _some(packets: Sequence[bytes], random: Random) -> list[bytes]:
    return [each for each in packets if probably(random, 0.1)]


def _random_layers(random: Random) -> EncodedImage:
    sliced = probably(random, 0.4)
    slices = whole(random, 1, 8)
    layers = []
    for number in range(whole(random, 1, 16 if probably(random, 0.1) else 4)):
        parts = tuple(int(n) for n in random.integers(1, 60, slices)) if sliced else ()
        size = sum(parts) or whole(random, 1, 300)
        layers.append(Layer(f"l{number}", random.bytes(size), parts=parts))
    return EncodedImage(tuple(layers))


def _packets_of(encoded: EncodedImage, max_bytes: int, random: Random) -> list[Packet]:
    links = [
        LayerLink(LinkSetting(), _RATES[whole(random, 0, len(_RATES) - 1)])
        for _ in range(whole(random, 1, 3))
    ]
    return packetise(encoded, max_bytes, _ENOUGH_USES, links, may_cut=True)


def _check_prefixes(received: Sequence[ReceivedLayer], encoded: EncodedImage) -> None:
    """What came is the beginning of what was sent, and whole if it says so."""
    for number, (layer, sent) in enumerate(zip(received, encoded.layers, strict=False)):
        if not layer.parts:
            assert sent.data.startswith(layer.data)
            assert layer.complete == (layer.data == sent.data)
            assert layer.complete or number == len(received) - 1 or bool(sent.parts)
            continue
        ends = np.cumsum([0, *sent.parts]).tolist()
        pieces = [sent.data[a:b] for a, b in pairwise(ends)]
        for part in layer.parts:
            assert pieces[part.slice].startswith(part.data)
            assert part.complete == (pieces[part.slice] == part.data)


# ------------------------------------------------------------------------- pictures from packets


@dataclass(frozen=True, slots=True)
class _Sent:
    """A picture on its way. `top_planes`: whole layers mean whole planes of the pixels."""

    codec: LayeredCodec
    picture: Image
    encoded: EncodedImage
    top_planes: bool

    def shown(self, receptions: Sequence[Sequence[Packet]], random: Random) -> list[DecodedImage]:
        """What comes of packets, in any order, some of them doubled."""
        received = []
        for packets in receptions:
            data = [packet.to_bytes() for packet in packets]
            data += _some(data, random)
            order = random.permutation(len(data))
            received.append(reassemble([data[i] for i in order], sliced=self.sliced))
        return self.codec.decode_batch(received)

    @property
    def sliced(self) -> bool:
        return bool(self.encoded.layers[0].parts)


def prepare_losses(folder: Path) -> Cases:
    """Cases for both schemes, with and without slices, on small pictures."""
    del folder
    sent = []
    for profile, slice_side in (("paper", None), ("embedded", None), ("embedded", 32)):
        codec = open_layered(profile, slice_side=slice_side)
        pictures = some_pictures(((8, 8), (5, 7)) if slice_side is None else ((33, 8),))
        for picture, encoded in zip(pictures, codec.encode_batch(pictures), strict=True):
            assert encoded is not None
            sent.append(_Sent(codec, picture, encoded, profile == "paper"))

    def case(random: Random) -> None:
        _losses(sent[whole(random, 0, len(sent) - 1)], random)

    return one_by_one(case)


def _losses(sent: _Sent, random: Random) -> None:
    """What holds for every set of packets:

    all of them give the exact picture; whatever is missing, the decoder does not fail; whole
    layers, of the paper's scheme, are whole planes of every pixel; a longer beginning of the
    stream never has fewer whole layers; and what follows the first gap changes nothing.
    """
    max_bytes = whole(random, 8, 80)
    packets = packetise(
        sent.encoded, max_bytes, _ENOUGH_USES, [LayerLink(LinkSetting())], may_cut=True
    )
    gap = whole(random, 0, len(packets) - 1)
    further = whole(random, gap, len(packets) - 1)
    behind = [packet for packet in packets[gap + 1 :] if probably(random, 0.5)]
    some = [packet for packet in packets if probably(random, 0.7)]
    everything, before, and_behind, longer, any_of_them = sent.shown(
        [packets, packets[:gap], [*packets[:gap], *behind], packets[:further], some], random
    )
    assert everything.image is not None and np.array_equal(everything.image, sent.picture)
    assert everything.layers_decoded == len(sent.encoded.layers)
    for found in (before, and_behind, longer, any_of_them):
        assert (found.image is None) <= (found.layers_decoded == 0)
        if found.image is not None:
            assert found.image.shape == sent.picture.shape
            if sent.top_planes and found.layers_decoded > 1:
                open_planes = len(sent.codec.layer_names) - found.layers_decoded
                assert np.array_equal(found.image >> open_planes, sent.picture >> open_planes)
    assert before.layers_decoded <= longer.layers_decoded <= everything.layers_decoded
    assert before.image is None or longer.image is not None
    if not sent.sliced:
        assert before.layers_decoded == and_behind.layers_decoded
        assert _same(before.image, and_behind.image)


def _same(one: Image | None, other: Image | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
