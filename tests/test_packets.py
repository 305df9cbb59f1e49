"""Packets: budgets kept to the channel use, layers back from any packets that arrive."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.link import LinkSetting
from channels.ofdm import Ofdm
from channels.spatial_multiplexing import SpatialMultiplexing
from codec.base import EncodedImage, Layer
from testbed.sending.packets import (
    HEADER_BYTES,
    MAX_FRAGMENTS,
    LayerLink,
    Ledger,
    Packet,
    capacity_bytes,
    counts_of,
    layer_uses,
    ledger_of,
    packetise,
    reassemble,
)

SETTINGS = [
    LinkSetting(modulation=modulation, code_rate=rate)
    for modulation in ("qpsk", "16qam", "64qam", "256qam")
    for rate in (0.25, 0.5, 0.9)
]
SETTINGS += [
    LinkSetting(modulation="qpsk", code_rate=0.05),
    LinkSetting(modulation="16qam", coding="none"),
    LinkSetting(Ofdm()),
    LinkSetting(SpatialMultiplexing()),
]
any_links = st.builds(LayerLink, st.sampled_from(SETTINGS), st.sampled_from([1.0, 0.9, 0.5, 1 / 3]))
tables = st.lists(any_links, min_size=1, max_size=4)
sizes = st.lists(st.integers(1, 900), min_size=1, max_size=9)
PLAIN = LayerLink(LinkSetting())
KINDS = [
    field.name for field in dataclasses.fields(Ledger)
    if field.name.endswith("_bits") and field.name != "coded_bits"
]  # fmt: skip


def image(layer_sizes: list[int]) -> EncodedImage:
    random = np.random.default_rng(sum(layer_sizes))
    return EncodedImage(tuple(Layer(f"l{i}", random.bytes(n)) for i, n in enumerate(layer_sizes)))


@given(st.integers(0, 15), st.integers(0, MAX_FRAGMENTS - 1), st.booleans(), st.binary(max_size=9))
def test_a_header_comes_back(layer: int, fragment: int, is_last: bool, payload: bytes) -> None:
    packet = Packet(layer, fragment, is_last, payload)
    assert Packet.from_bytes(packet.to_bytes()) == packet
    assert packet.to_bytes() == packet.header + payload
    assert len(packet.header) == HEADER_BYTES


@settings(max_examples=200, deadline=None)
@given(sizes, st.integers(8, 400), st.integers(0, 6000), tables)
def test_a_scalable_stream_fills_its_budget(
    layer_sizes: list[int], max_bytes: int, budget: int, links: list[LayerLink]
) -> None:
    encoded = image(layer_sizes)
    packets = packetise(encoded, max_bytes, budget, links, may_cut=True)
    ledger = ledger_of(packets, links)
    assert ledger.channel_uses <= budget
    assert sum(getattr(ledger, kind) for kind in KINDS) == ledger.coded_bits
    assert ledger.retransmission_bits == 0
    data = [packet for packet in packets if not packet.is_parity]
    parity = [packet for packet in packets if packet.is_parity]
    assert ledger.payload_bits == 8 * sum(len(packet.payload) for packet in data)
    assert ledger.erasure_bits == 8 * sum(len(packet.payload) for packet in parity)
    assert ledger.header_bits == 8 * HEADER_BYTES * len(packets)
    assert all(1 <= len(packet.payload) <= max_bytes for packet in data)
    sent = b"".join(packet.payload for packet in data)
    stream = b"".join(layer.data for layer in encoded.layers)
    assert stream.startswith(sent)
    received = reassemble((packet.to_bytes() for packet in packets), counts_of(packets))
    assert b"".join(layer.data for layer in received) == sent
    whole = [layer.complete for layer in received]
    assert whole == [
        len(got.data) == len(layer.data)
        for got, layer in zip(received, encoded.layers, strict=False)
    ]
    if sent != stream:
        # Nothing more would have fitted: not a byte more of the layer at which it ends.
        last = received[-1] if received and not received[-1].complete else None
        index = len(received) - (last is not None)
        begun = len(last.data) if last else 0
        link = links[min(index, len(links) - 1)]
        others = ledger.channel_uses - layer_uses(begun, max_bytes, link)
        assert others + layer_uses(begun + 1, max_bytes, link) > budget


@settings(max_examples=200, deadline=None)
@given(st.integers(8, 300), st.integers(0, 5000), any_links)
def test_capacity_is_the_longest_layer_that_fits(
    max_bytes: int, budget: int, link: LayerLink
) -> None:
    capacity = capacity_bytes(max_bytes, budget, link)
    if capacity:
        packets = packetise(image([capacity]), max_bytes, budget, [link], may_cut=False)
        assert sum(len(p.payload) for p in packets if not p.is_parity) == capacity
        uses = ledger_of(packets, [link]).channel_uses
        assert uses == layer_uses(capacity, max_bytes, link) <= budget
    assert not packetise(image([capacity + 1]), max_bytes, budget, [link], may_cut=False)


@pytest.mark.parametrize(("rate", "max_bytes"), [(1.0, 64), (0.8, 64), (1 / 200, 16), (0.01, 256)])
@pytest.mark.parametrize("setting", [SETTINGS[0], SETTINGS[5], LinkSetting(Ofdm())])
def test_capacity_is_what_trying_all_sizes_gives(
    rate: float, max_bytes: int, setting: LinkSetting
) -> None:
    link = LayerLink(setting, rate)
    budgets = [0, 50, 333, 2000, 20_000]
    most = 4 * max_bytes
    uses = [layer_uses(size, max_bytes, link) for size in range(most + 1)]
    for budget in budgets:
        if uses[most] > budget:
            expected = max(size for size in range(most + 1) if uses[size] <= budget)
            assert capacity_bytes(max_bytes, budget, link) == expected


@settings(max_examples=100, deadline=None)
@given(sizes, st.integers(20, 200), st.randoms(use_true_random=False))
def test_any_packets_in_any_order_give_the_prefix_without_gaps(
    layer_sizes: list[int], max_bytes: int, random
) -> None:
    encoded = image(layer_sizes)
    packets = packetise(encoded, max_bytes, 10**6, [PLAIN], may_cut=True)
    kept = [packet for packet in packets if random.random() < 0.9]
    arrived = kept + kept[:2]
    random.shuffle(arrived)
    received = reassemble(packet.to_bytes() for packet in arrived)
    missing = next((p for p in packets if p not in kept), None)
    expected = b"".join(p.payload for p in packets[: packets.index(missing) if missing else None])
    assert b"".join(layer.data for layer in received) == expected
    assert all(layer.complete for layer in received[:-1])


@settings(max_examples=100, deadline=None)
@given(sizes, st.integers(20, 200), st.integers(0, 5000), st.randoms(use_true_random=False))
def test_any_packets_of_a_layer_as_many_as_its_data_give_it_back(
    layer_sizes: list[int], max_bytes: int, budget: int, random
) -> None:
    link = LayerLink(LinkSetting(), 0.6)
    packets = packetise(image(layer_sizes), max_bytes, budget, [link], may_cut=True)
    counts = counts_of(packets)
    arrived = []
    for layer, (data, parity) in counts.items():
        own = [packet for packet in packets if packet.layer == layer]
        assert data + parity == len(own)
        arrived += random.sample(own, data)
    random.shuffle(arrived)
    everything = reassemble((packet.to_bytes() for packet in packets), counts)
    assert reassemble((packet.to_bytes() for packet in arrived), counts) == everything
    assert [layer.complete for layer in everything[:-1]] == [True] * (len(everything) - 1)


def test_with_too_few_packets_there_is_what_arrived() -> None:
    packets = packetise(image([400]), 100, 10**6, [LayerLink(LinkSetting(), 0.8)], may_cut=True)
    assert [packet.is_parity for packet in packets] == [False] * 4 + [True]
    arrived = [packets[0].to_bytes(), packets[3].to_bytes(), packets[4].to_bytes()]
    (layer,) = reassemble(arrived, counts_of(packets))
    assert (layer.data, layer.complete) == (packets[0].payload, False)


def test_damaged_packets_stand_in_only_where_nothing_better_is() -> None:
    packets = packetise(image([300]), 100, 10**6, [PLAIN], may_cut=True)
    wrong = [packet.header + bytes(len(packet.payload)) for packet in packets]
    right = [packet.to_bytes() for packet in packets]
    (layer,) = reassemble([right[0], right[2]], damaged=[wrong[1], wrong[2]])
    expected = packets[0].payload + bytes(100) + packets[2].payload
    assert (layer.data, layer.complete) == (expected, True)
    protected = packetise(image([300]), 100, 10**6, [LayerLink(LinkSetting(), 0.75)], may_cut=True)
    right = [packet.to_bytes() for packet in protected]
    wrong = [packet.header + bytes(len(packet.payload)) for packet in protected]
    counts = counts_of(protected)
    whole = reassemble(right, counts)
    # One error is mended by the parity packet; of two, the one that is missing stays missing.
    assert reassemble([right[0], right[2], right[3]], counts, damaged=[wrong[1]]) == whole
    (layer,) = reassemble([right[0], right[3]], counts, damaged=[wrong[1]])
    assert layer.data == protected[0].payload + bytes(100)
    (layer,) = reassemble(right[:3], counts, damaged=[wrong[3]])
    assert layer == whole[0]


def test_wrong_bytes_that_passed_their_crc_never_raise() -> None:
    random = np.random.default_rng(3)
    packets = packetise(image([300]), 100, 10**6, [LayerLink(LinkSetting(), 0.5)], may_cut=True)
    counts = counts_of(packets)
    assert counts == {0: (3, 3)}
    for _ in range(200):
        arrived = [packet.to_bytes() for packet in packets if random.random() < 0.7]
        fragment = int(random.integers(0, 12))
        stray = Packet(0, fragment, bool(fragment & 1), random.bytes(int(random.integers(0, 200))))
        layers = reassemble([stray.to_bytes(), *arrived], counts)
        assert all(isinstance(layer.data, bytes) for layer in layers)


def test_a_layer_ends_where_its_fragments_can_no_longer_be_numbered() -> None:
    encoded = image([8 * MAX_FRAGMENTS + 1, 5])
    packets = packetise(encoded, 8, 10**9, [PLAIN], may_cut=True)
    assert len(packets) == MAX_FRAGMENTS
    assert not packets[-1].is_last
    assert packetise(encoded, 8, 10**9, [PLAIN], may_cut=False) == []
    assert capacity_bytes(8, 10**9, PLAIN) == 8 * MAX_FRAGMENTS
    half = LayerLink(LinkSetting(), 0.5)
    packets = packetise(encoded, 8, 10**9, [half], may_cut=True)
    assert len(packets) == MAX_FRAGMENTS
    assert sum(packet.is_parity for packet in packets) == MAX_FRAGMENTS // 2
    assert capacity_bytes(8, 10**9, half) == 4 * MAX_FRAGMENTS


def test_the_last_link_serves_all_layers_that_follow() -> None:
    strong = LayerLink(LinkSetting(modulation="qpsk", code_rate=0.2))
    encoded = image([100, 100, 100])
    uses = [layer_uses(100, 100, link) for link in (strong, PLAIN)]
    packets = packetise(encoded, 100, 10**6, [strong, PLAIN], may_cut=True)
    assert ledger_of(packets, [strong, PLAIN]).channel_uses == uses[0] + 2 * uses[1]


def test_stray_bytes_are_no_layer() -> None:
    assert reassemble([b"", b"\x00", b"\xf0\x00abc"]) == ()
