"""Packets: budgets kept to the channel use, layers back from any packets that arrive."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.link import LinkSetting
from codec.base import EncodedImage, Layer
from testbed.packets import (
    HEADER_BYTES,
    MAX_FRAGMENTS,
    Packet,
    capacity_bytes,
    ledger_of,
    packetise,
    reassemble,
)

SETTINGS = [
    LinkSetting(modulation=modulation, code_rate=rate)
    for modulation in ("qpsk", "16qam", "64qam", "256qam")
    for rate in (0.25, 0.5, 0.9)
]
sizes = st.lists(st.integers(1, 900), min_size=1, max_size=9)


def image(layer_sizes: list[int]) -> EncodedImage:
    random = np.random.default_rng(sum(layer_sizes))
    return EncodedImage(tuple(Layer(f"l{i}", random.bytes(n)) for i, n in enumerate(layer_sizes)))


@given(st.integers(0, 15), st.integers(0, MAX_FRAGMENTS - 1), st.booleans(), st.binary(max_size=9))
def test_a_header_comes_back(layer: int, fragment: int, is_last: bool, payload: bytes) -> None:
    packet = Packet(layer, fragment, is_last, payload)
    assert Packet.from_bytes(packet.to_bytes()) == packet
    assert len(packet.to_bytes()) == HEADER_BYTES + len(payload)


@settings(max_examples=200, deadline=None)
@given(sizes, st.integers(8, 400), st.integers(0, 6000), st.sampled_from(SETTINGS))
def test_a_scalable_stream_fills_its_budget(
    layer_sizes: list[int], max_bytes: int, budget: int, link: LinkSetting
) -> None:
    encoded = image(layer_sizes)
    packets = packetise(encoded, max_bytes, budget, link, may_cut=True)
    ledger = ledger_of(packets, link)
    assert ledger.channel_uses <= budget
    bits = (
        ledger.payload_bits + ledger.header_bits + ledger.crc_bits
        + ledger.parity_bits + ledger.padding_bits
    )  # fmt: skip
    assert bits == ledger.channel_uses * link.bits_per_symbol
    assert ledger.payload_bits == 8 * sum(len(packet.payload) for packet in packets)
    assert all(1 <= len(packet.payload) <= max_bytes for packet in packets)
    sent = b"".join(packet.payload for packet in packets)
    stream = b"".join(layer.data for layer in encoded.layers)
    assert stream.startswith(sent)
    received = reassemble(packet.to_bytes() for packet in packets)
    assert b"".join(layer.data for layer in received) == sent
    whole = [layer.complete for layer in received]
    assert whole == [
        len(got.data) == len(layer.data)
        for got, layer in zip(received, encoded.layers, strict=False)
    ]
    if sent != stream:
        # Nothing more would have fitted: not a packet of one byte after what was sent.
        left = budget - ledger.channel_uses
        one_more = Packet(0, 0, False, b"x")
        assert ledger_of([one_more], link).channel_uses > left or not whole[-1]


@settings(max_examples=200, deadline=None)
@given(st.integers(8, 300), st.integers(0, 5000), st.sampled_from(SETTINGS))
def test_capacity_is_the_longest_layer_that_fits(
    max_bytes: int, budget: int, link: LinkSetting
) -> None:
    capacity = capacity_bytes(max_bytes, budget, link)
    if capacity:
        packets = packetise(image([capacity]), max_bytes, budget, link, may_cut=False)
        assert sum(len(packet.payload) for packet in packets) == capacity
    assert not packetise(image([capacity + 1]), max_bytes, budget, link, may_cut=False)


@settings(max_examples=100, deadline=None)
@given(sizes, st.integers(20, 200), st.randoms(use_true_random=False))
def test_any_packets_in_any_order_give_the_prefix_without_gaps(
    layer_sizes: list[int], max_bytes: int, random
) -> None:
    encoded = image(layer_sizes)
    packets = packetise(encoded, max_bytes, 10**6, LinkSetting(), may_cut=True)
    kept = [packet for packet in packets if random.random() < 0.9]
    arrived = kept + kept[:2]
    random.shuffle(arrived)
    received = reassemble(packet.to_bytes() for packet in arrived)
    missing = next((p for p in packets if p not in kept), None)
    expected = b"".join(p.payload for p in packets[: packets.index(missing) if missing else None])
    assert b"".join(layer.data for layer in received) == expected
    assert all(layer.complete for layer in received[:-1])


def test_a_layer_ends_where_its_fragments_can_no_longer_be_numbered() -> None:
    encoded = image([8 * MAX_FRAGMENTS + 1, 5])
    packets = packetise(encoded, 8, 10**9, LinkSetting(), may_cut=True)
    assert len(packets) == MAX_FRAGMENTS
    assert not packets[-1].is_last
    assert packetise(encoded, 8, 10**9, LinkSetting(), may_cut=False) == []
    assert capacity_bytes(8, 10**9, LinkSetting()) == 8 * MAX_FRAGMENTS


def test_stray_bytes_are_no_layer() -> None:
    assert reassemble([b"", b"\x00", b"\xf0\x00abc"]) == ()
