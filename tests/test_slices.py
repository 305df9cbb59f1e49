"""Slices: a lost packet costs its slice what follows in it, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from channels.link import LinkSetting
from codec.base import (
    MAX_SLICES,
    CodecError,
    EncodedImage,
    Layer,
    ReceivedLayer,
    ReceivedPart,
)
from codec.embedded.slices import (
    as_layers,
    boxes,
    check_slice_side,
    chosen_side,
    received_streams,
)
from codec.embedded.versions import REVERSIBLE_VERSION
from codec.picture_header import PictureHeader
from testbed.sending.packets import (
    LayerLink,
    counts_of,
    layer_uses,
    ledger_of,
    packetise,
    reassemble,
)

VERSION = REVERSIBLE_VERSION
NAMES = ("base", "more", "most")
SIDE, HEIGHT, WIDTH = 32, 70, 100
COUNT = 3 * 4
PLAIN = LayerLink(LinkSetting())


def streams(seed: int) -> list[list[bytes]]:
    """A stream of three pieces for each slice, some of them empty, one long."""
    random = np.random.default_rng(seed)
    sizes = random.integers(0, 60, (COUNT, 3))
    sizes[:, 0] += 1
    sizes[5, 1] = 700
    return [[random.bytes(size) for size in row] for row in sizes]


def coded(seed: int = 0) -> tuple[list[list[bytes]], EncodedImage]:
    pieces = streams(seed)
    header = PictureHeader(HEIGHT, WIDTH, 0, False, SIDE, version=VERSION)
    return pieces, as_layers(NAMES, header, pieces)


def test_boxes_tile_the_picture() -> None:
    seen = np.zeros((HEIGHT, WIDTH), int)
    for box in boxes(HEIGHT, WIDTH, SIDE):
        seen[box.place] += 1
        assert seen[box.place].shape == (box.height, box.width)
    assert (seen == 1).all()
    assert len(boxes(HEIGHT, WIDTH, SIDE)) == COUNT
    assert len(boxes(HEIGHT, WIDTH, 0)) == 1


def test_few_enough_slices_for_packets_to_number() -> None:
    for height, width in ((32, 32), (512, 768), (4000, 3000), (1, 16000), (1025, 8)):
        for side in (None, 32, 128):
            chosen = chosen_side(height, width, side)
            assert len(boxes(height, width, chosen)) <= MAX_SLICES
            assert chosen == 0 or chosen < max(height, width)
    assert chosen_side(1024, 1024, None) == 0
    assert chosen_side(1024, 1025, None) == 1024


@pytest.mark.parametrize("side", [0, 8, 33, 36, 1032, -32])
def test_other_sides_are_refused(side: int) -> None:
    with pytest.raises(CodecError, match="slices with a side of"):
        check_slice_side(side)


def test_layers_give_the_streams_back() -> None:
    pieces, encoded = coded()
    assert all(sum(layer.parts) == len(layer.data) for layer in encoded.layers)
    found = received_streams([layer.whole for layer in encoded.layers], [VERSION])
    assert found is not None
    header, received = found
    assert (header.height, header.width, header.slice_side) == (HEIGHT, WIDTH, SIDE)
    assert [each.data for each in received] == [b"".join(each) for each in pieces]
    assert all(each.whole_layers == 3 for each in received)


def test_any_prefix_gives_prefixes_of_the_streams() -> None:
    pieces, encoded = coded(1)
    whole = [b"".join(each) for each in pieces]
    for number, layer in enumerate(encoded.layers):
        before = [each.whole for each in encoded.layers[:number]]
        for size in range(0, len(layer.data), 7):
            cut = ReceivedLayer(layer.data[:size], False)
            found = received_streams([*before, cut], [VERSION])
            for each in found[1] if found else []:
                assert whole[each.index].startswith(each.data)
                assert number <= each.whole_layers <= number + 1 or not before


@pytest.mark.parametrize("erasure_rate", [1.0, 0.6])
@pytest.mark.parametrize("max_bytes", [20, 64, 1000])
def test_lost_packets_cost_their_slices_only(max_bytes: int, erasure_rate: float) -> None:
    random = np.random.default_rng(max_bytes)
    link = LayerLink(LinkSetting(), erasure_rate)
    pieces, encoded = coded(2)
    packets = packetise(encoded, max_bytes, 10**7, [link], may_cut=True)
    counts = counts_of(packets)
    everything = reassemble([p.to_bytes() for p in packets], counts, sliced=True)
    assert received_streams(everything, [VERSION]) == received_streams(
        [layer.whole for layer in encoded.layers], [VERSION]
    )
    data = [packet for packet in packets if not packet.is_parity]
    for _ in range(20):
        lost = {int(i) for i in random.integers(len(packets), size=random.integers(1, 4))}
        arrived = [packet.to_bytes() for i, packet in enumerate(packets) if i not in lost]
        layers = reassemble(arrived, counts, sliced=True)
        found = received_streams(layers, [VERSION])
        assert found is not None
        hurt = {packets[i].slice for i in lost if not packets[i].is_parity}
        whole = {each.index: each for each in found[1]}
        for index in set(range(COUNT)) - hurt:
            assert whole[index].data == b"".join(pieces[index])
            assert whole[index].whole_layers == 3
        for index in hurt & set(whole):
            assert b"".join(pieces[int(index or 0)]).startswith(whole[index].data)
    assert {packet.slice for packet in data} == set(range(COUNT))


def test_erasure_parities_bring_slices_back() -> None:
    _, encoded = coded(3)
    link = LayerLink(LinkSetting(), 0.5)
    packets = packetise(encoded, 40, 10**7, [link], may_cut=True)
    counts = counts_of(packets)
    firsts = {next(i for i, p in enumerate(packets) if p.layer == layer) for layer in range(3)}
    arrived = [p.to_bytes() for i, p in enumerate(packets) if i not in firsts]
    assert reassemble(arrived, counts, sliced=True) == reassemble(
        [p.to_bytes() for p in packets], counts, sliced=True
    )


@pytest.mark.parametrize("budget", [0, 50, 300, 1000, 5000, 20000])
def test_packets_keep_to_the_budget(budget: int) -> None:
    _, encoded = coded(4)
    for link in (PLAIN, LayerLink(LinkSetting(), 0.7)):
        packets = packetise(encoded, 50, budget, [link], may_cut=True)
        ledger = ledger_of(packets, [link])
        assert ledger.channel_uses <= budget
        sent = [sum(len(p.payload) for p in packets if p.layer == n and not p.is_parity)
                for n in range(3)]  # fmt: skip
        assert ledger.payload_bits == 8 * sum(sent)
        assert ledger.channel_uses == sum(
            layer_uses(size, 50, link, layer.parts)
            for size, layer in zip(sent, encoded.layers, strict=True)
        )
        assert ledger.header_bits == 24 * len(packets)


def test_damaged_packets_end_their_slice() -> None:
    pieces, encoded = coded(5)
    packets = packetise(encoded, 50, 10**7, [PLAIN], may_cut=True)
    bad = next(i for i, p in enumerate(packets) if p.layer == 1 and p.slice == 5 and not p.opens)
    arrived = [p.to_bytes() for i, p in enumerate(packets) if i != bad]
    garbled = packets[bad].header + bytes(len(packets[bad].payload))
    layers = reassemble(arrived, damaged=[garbled], sliced=True)
    found = received_streams(layers, [VERSION])
    assert found is not None
    for each in found[1]:
        whole = b"".join(pieces[each.index])
        assert (each.data == whole) == (each.index != 5)
        assert whole.startswith(each.data)
        assert each.whole_layers == (1 if each.index == 5 else 3)


def test_garbage_makes_no_error() -> None:
    random = np.random.default_rng(6)
    _, encoded = coded(6)
    for _ in range(500):
        layers = []
        for layer in encoded.layers:
            data = bytearray(layer.data)
            for at in random.integers(len(data), size=3):
                data[at] = random.integers(256)
            parts = tuple(
                ReceivedPart(int(random.integers(128)), random.bytes(9), True) for _ in range(3)
            )
            layers.append(
                ReceivedLayer(bytes(data), True, parts=parts if random.random() < 0.5 else ())
            )
        found = received_streams([each for each in layers if random.random() < 0.9], [VERSION])
        if found is not None:
            header, streams_found = found
            count = len(boxes(header.height, header.width, header.slice_side))
            assert all(each.index < count for each in streams_found)


def test_a_picture_without_slices_drops_empty_layers() -> None:
    header = PictureHeader(32, 32, 0, False, 0, version=VERSION)
    encoded = as_layers(NAMES, header, [[b"ab", b"", b"c"]])
    assert encoded.layers == (Layer("base", header.pack() + b"ab"), Layer("most", b"c"))
