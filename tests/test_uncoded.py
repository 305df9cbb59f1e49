"""Blocks without coding: whole symbols, a CRC that tells, bit error rates as theory has them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from channels.errors import ChannelError
from channels.fading import RayleighBlock
from channels.link import LinkSetting, packet_cost, send_packet
from channels.randomness import ChannelRandomness, derive_key
from channels.uncoded import UncodedBlock, largest_uncoded_payload_bits, uncoded_block

RANDOMNESS = ChannelRandomness(derive_key("uncoded tests"))


@given(st.integers(1, 9000), st.integers(1, 10))
@settings(deadline=None)
def test_blocks_come_back_and_fill_whole_symbols(payload_bits: int, bits_per_symbol: int) -> None:
    block = UncodedBlock(payload_bits, bits_per_symbol)
    payload = np.random.default_rng(payload_bits).integers(0, 2, payload_bits).astype(np.uint8)
    coded = block.encode(payload)
    assert len(coded) == block.coded_bits == block.channel_uses * bits_per_symbol
    assert block.crc_bits == (16 if payload_bits <= 3824 else 24)
    assert payload_bits + block.crc_bits + block.padding_bits == block.coded_bits
    assert 0 <= block.padding_bits < bits_per_symbol
    decided, ok = block.decode((2.0 * coded - 1.0).astype(np.float32))
    assert ok
    np.testing.assert_array_equal(decided, payload)


@given(st.integers(0, 9000), st.integers(1, 10))
@settings(deadline=None)
def test_the_largest_payload_is_the_largest(symbols: int, bits_per_symbol: int) -> None:
    largest = largest_uncoded_payload_bits(symbols, bits_per_symbol)
    assert largest % 8 == 0
    if largest:
        assert uncoded_block(largest, bits_per_symbol).channel_uses <= symbols
    assert uncoded_block(largest + 8, bits_per_symbol).channel_uses > symbols


def test_any_error_is_noticed() -> None:
    """A CRC finds every single error, and every burst no longer than itself."""
    block = UncodedBlock(400, 4)
    payload = np.random.default_rng(1).integers(0, 2, 400).astype(np.uint8)
    sent = block.encode(payload)
    for start in range(416):
        for length in (1, 2, 16):
            llr = (2.0 * sent - 1.0).astype(np.float32)
            llr[start : min(start + length, 416)] *= -1
            assert not block.decode(llr)[1]


def bit_error_rate(setting: LinkSetting, count: int, size: int) -> tuple[float, int]:
    packets = [np.random.default_rng(i).bytes(size) for i in range(count)]
    outcomes = [send_packet(p, setting, RANDOMNESS, n) for n, p in enumerate(packets)]
    wrong = sum(
        (int.from_bytes(a, "big") ^ int.from_bytes(b.data or b"", "big")).bit_count()
        for a, b in zip(packets, outcomes, strict=True)
    )
    bits = 8 * size * count
    return wrong / bits, bits


@pytest.mark.parametrize("modulation", ["bpsk", "qpsk"])
@pytest.mark.parametrize("ebn0_db", [2.0, 5.0])
def test_errors_in_white_noise_are_those_of_theory(modulation: str, ebn0_db: float) -> None:
    m = LinkSetting(modulation=modulation).bits_per_symbol
    snr_db = ebn0_db + 10 * np.log10(m)
    setting = LinkSetting(snr_db=snr_db, modulation=modulation, coding="none", damage="deliver")
    assert setting.ebn0_db == pytest.approx(ebn0_db)
    found, bits = bit_error_rate(setting, 40, 1000)
    expected = ndtr(-np.sqrt(2 * 10 ** (ebn0_db / 10)))
    assert abs(found - expected) < 2.576 * np.sqrt(expected / bits)


def test_errors_in_rayleigh_fading_are_those_of_theory() -> None:
    setting = LinkSetting(
        RayleighBlock(), snr_db=10.0, modulation="bpsk", coding="none", damage="deliver"
    )
    found, _ = bit_error_rate(setting, 6000, 10)
    expected = (1 - np.sqrt(10 / 11)) / 2
    # One gain per packet: the spread is that of Q(sqrt(2 g)), below the mean of it for each draw.
    gains = np.random.default_rng(0).exponential(10.0, 100_000)
    deviation = np.std(ndtr(-np.sqrt(2 * gains)))
    assert abs(found - expected) < 2.576 * np.sqrt(deviation**2 / 6000 + expected / (6000 * 80))


def test_without_coding_there_is_no_parity() -> None:
    cost = packet_cost(100, LinkSetting(modulation="64qam", coding="none"))
    assert (cost.parity_bits, cost.crc_bits, cost.symbols) == (0, 16, 136)


def test_errors() -> None:
    with pytest.raises(ChannelError, match="expected payload_bits >= 1"):
        UncodedBlock(0, 2)
    with pytest.raises(ChannelError, match=r"expected bits\[8\], found \(9,\)"):
        UncodedBlock(8, 2).encode(np.zeros(9, np.uint8))
    with pytest.raises(ChannelError, match=r"expected llr\[24\], found \(8,\)"):
        UncodedBlock(8, 2).decode(np.zeros(8, np.float32))
