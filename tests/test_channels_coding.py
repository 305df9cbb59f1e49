"""Transport blocks: sizes that add up, round trips, and the search for the largest payload."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from channels.coding import TransportBlockCode, largest_payload_bits, transport_block_code
from channels.errors import ChannelError
from channels.ldpc_graph import ldpc_graph
from channels.modulation import demodulate, modulate
from channels.transport_sizes import CrcRule, transport_sizes

RATES = st.one_of(
    st.sampled_from([0.025, 0.05, 0.1, 0.2, 0.25, 0.251, 0.3, 1 / 3, 0.5, 0.67, 0.75, 0.9, 0.95]),
    st.floats(0.025, 0.95),
)
ORDERS = st.sampled_from([1, 2, 4, 6, 8, 10])
CRCS: st.SearchStrategy[CrcRule] = st.sampled_from(["5g", "crc16", "crc24a", "none"])


@given(st.integers(1, 24_000), RATES, ORDERS, CRCS)
@settings(deadline=None, max_examples=400)
def test_ledger_adds_up(payload: int, rate: float, order: int, crc: CrcRule) -> None:
    sizes = transport_sizes(payload, rate, order, crc)
    parts = sizes.payload_bits + sizes.crc_bits + sizes.padding_bits + sizes.parity_bits
    assert parts == sizes.coded_bits == sizes.channel_uses * order
    k, n, blocks = sizes.block_information_bits, sizes.block_coded_bits, sizes.code_blocks
    assert sizes.coded_bits == blocks * n
    assert sizes.padding_bits >= 0
    # The smallest whole number of symbols that keeps the rate, and a code that exists.
    assert k / n <= rate
    assert n == order or k / (n - order) > rate
    assert 12 <= k <= (3840 if rate <= 0.25 else 8448)


@given(st.integers(1, 3000), RATES, ORDERS)
@settings(deadline=None, max_examples=60)
def test_noiseless_round_trip_at_any_size(payload_bytes: int, rate: float, order: int) -> None:
    # Above a rate of 0.9 the shortest blocks cannot be decoded at all; see TransportBlockCode.
    assume(rate <= 0.9 or payload_bytes >= 32)
    code = transport_block_code(8 * payload_bytes, rate, order)
    payload = np.random.default_rng(payload_bytes).integers(0, 2, 8 * payload_bytes, np.uint8)
    coded = code.encode(payload)
    assert coded.shape == (code.coded_bits,)
    decided, ok = code.decode(10.0 * coded.astype(np.float32) - 5.0)
    assert ok
    np.testing.assert_array_equal(decided, payload)


@pytest.mark.parametrize(
    ("payload_bits", "rate", "blocks", "crc_bits", "padding_bits"),
    [
        (3824, 0.5, 1, 16, 0),
        (3825, 0.5, 1, 24, 0),
        (8424, 0.5, 1, 24, 0),
        (8425, 0.5, 2, 24 * 3, 1),
        (24_000, 0.5, 3, 24 * 4, 0),
        (24_001, 0.5, 3, 24 * 4, 2),
        (3824, 0.2, 1, 16, 0),
        (3832, 0.2, 2, 24 * 3, 0),
        (3824, 0.05, 1, 16, 0),
        (12_000, 0.05, 4, 24 * 5, 0),
    ],
)
def test_segmentation(
    payload_bits: int, rate: float, blocks: int, crc_bits: int, padding_bits: int
) -> None:
    code = TransportBlockCode(payload_bits, rate, 4)
    assert code.sizes.code_blocks == blocks
    assert code.crc_bits == crc_bits
    assert code.padding_bits == padding_bits
    payload = np.random.default_rng(1).integers(0, 2, payload_bits, np.uint8)
    decided, ok = code.decode(10.0 * code.encode(payload).astype(np.float32) - 5.0)
    assert ok
    np.testing.assert_array_equal(decided, payload)


def test_one_bad_segment_fails_the_block() -> None:
    code = TransportBlockCode(24_000, 0.5, 2)
    llr = 10.0 * code.encode(np.zeros(24_000, np.uint8)).astype(np.float32) - 5.0
    n = code.sizes.block_coded_bits
    llr[n : 2 * n] = np.random.default_rng(0).standard_normal(n)
    assert not code.decode(llr)[1]


@pytest.mark.parametrize("payload_bits", [1, 5, 11, 12])
def test_payloads_below_the_smallest_code_are_padded(payload_bits: int) -> None:
    code = TransportBlockCode(payload_bits, 0.5, 2, "none")
    assert code.crc_bits == 0
    assert code.padding_bits == 12 - payload_bits
    payload = np.ones(payload_bits, np.uint8)
    decided, ok = code.decode(10.0 * code.encode(payload).astype(np.float32) - 5.0)
    assert ok
    np.testing.assert_array_equal(decided, payload)


@given(st.integers(0, 12_000), RATES, ORDERS, CRCS)
@settings(deadline=None, max_examples=100)
def test_largest_payload_is_the_largest(uses: int, rate: float, order: int, crc: CrcRule) -> None:
    best = largest_payload_bits(uses, rate, order, crc)
    assert best % 8 == 0
    if best:
        assert transport_sizes(best, rate, order, crc).channel_uses <= uses
    # Every payload carries at least its own bits at the code rate, so beyond this none can fit;
    # the cost is not monotonic where the number of code blocks steps up.
    for payload in range(best + 8, int(uses * order * rate) + 16, 8):
        assert transport_sizes(payload, rate, order, crc).channel_uses > uses


def block_errors(payload_bits: int, code_rate: float, esn0_db: float, words: int) -> float:
    """Block error rate over QPSK and AWGN; the noise of a word is the same at every SNR."""
    code = transport_block_code(payload_bits, code_rate, 2)
    rng = np.random.default_rng(payload_bits)
    no = 10 ** (-esn0_db / 10)
    errors = 0
    for _ in range(words):
        payload = rng.integers(0, 2, payload_bits, np.uint8)
        symbols = modulate(code.encode(payload), "qpsk")
        noise = rng.standard_normal((len(symbols), 2)) @ np.array([1, 1j])
        llr = demodulate(symbols + np.sqrt(no / 2) * noise, no, "qpsk")
        errors += not code.decode(llr)[1]
    return errors / words


def test_repetition_to_half_the_rate_gains_3_db() -> None:
    """Two receptions of a bit add up to one at twice the SNR, so the error rates must be equal.

    720 bits with the CRC fill base graph 2 without filler bits: the mother code's rate is 1/5.
    """
    words = 500
    at_fifth = block_errors(704, 1 / 5, -3.9, words)
    at_tenth = block_errors(704, 1 / 10, -3.9 - 10 * np.log10(2), words)
    assert 0.1 < at_fifth < 0.6
    deviation = np.sqrt((at_fifth * (1 - at_fifth) + at_tenth * (1 - at_tenth)) / words)
    assert abs(at_fifth - at_tenth) < 2.576 * deviation
    # The test can tell: half a decibel more or less is far outside.
    assert block_errors(704, 1 / 10, -4.4 - 10 * np.log10(2), words) > at_fifth + 5 * deviation


@pytest.mark.parametrize("rv", [0, 1, 2, 3])
def test_versions_have_one_size_and_carry_the_payload(rv: int) -> None:
    code = TransportBlockCode(24_000, 0.25, 4)
    payload = np.random.default_rng(2).integers(0, 2, 24_000, np.uint8)
    bits = code.encode_version(payload, rv)
    assert bits.shape == (code.coded_bits,)
    assert np.array_equal(bits, code.encode(payload)) == (rv == 0)
    words = code.words(10.0 * bits.astype(np.float32) - 5.0)
    decided, ok = code.decode_words(words, code.graph(rv))
    assert ok
    np.testing.assert_array_equal(decided, payload)


def test_sizes_build_no_graph() -> None:
    before = ldpc_graph.cache_info().misses
    largest_payload_bits(5000, 0.37, 4)
    transport_sizes(12_344, 0.37, 4)
    assert ldpc_graph.cache_info().misses == before


def test_the_factory_remembers() -> None:
    assert transport_block_code(800, 0.5, 4) is transport_block_code(800, 0.5, 4)


def test_errors() -> None:
    for rate in (0.024, 0.951, float("nan")):
        with pytest.raises(ChannelError, match=r"expected 0\.025 \.\. 0\.95, found"):
            TransportBlockCode(800, rate, 2)
        with pytest.raises(ChannelError, match="code rate"):
            largest_payload_bits(100, rate, 2)
    with pytest.raises(ChannelError, match="payload_bits >= 1, found 0"):
        TransportBlockCode(0, 0.5, 2)
    with pytest.raises(ChannelError, match="bits_per_symbol >= 1, found 0"):
        TransportBlockCode(8, 0.5, 0)
    with pytest.raises(ChannelError, match="found 'crc8'"):
        TransportBlockCode(8, 0.5, 2, "crc8")  # type: ignore[arg-type]
    code = TransportBlockCode(800, 0.5, 2)
    with pytest.raises(ChannelError, match=r"bits\[800\], found \(801,\)"):
        code.encode(np.zeros(801, np.uint8))
    with pytest.raises(ChannelError, match=r"llr\[1632\], found \(800,\)"):
        code.decode(np.zeros(800, np.float32))
