"""The CABAC engine: bit-exact with an independent implementation, and exact on cut streams."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.base import CodecError
from codec.bench_cabac import bench_cabac
from codec.cabac import (
    BYPASS,
    TERMINATE,
    cabacDecoder,
    cabacEncoder,
    context_states,
    context_states_from_p1_15bit,
    decode_bins,
    encode_bin,
    encode_bins,
    encode_terminate,
    finish_encoder,
    start_encoder,
    worst_case_bytes,
)

SHIFTS = [*range(11), 12, 13]


@cache
def load_vectors() -> list[dict[str, Any]]:
    path = Path(__file__).parent / "vectors" / "cabac_vectors.json"
    vectors: list[dict[str, Any]] = json.loads(path.read_text())["vectors"]
    for vector in vectors:
        contexts, bins = [], []
        for word in vector["ops"].split():
            repeats, _, op = word.rpartition("x")
            kind, bin_text = op[0], op[-1]
            context = int(op[1:-2]) if kind == "c" else {"e": BYPASS, "t": TERMINATE}[kind]
            contexts += [context] * int(repeats or 1)
            bins += [int(bin_text)] * int(repeats or 1)
        assert (contexts.pop(), bins.pop()) == (TERMINATE, 1)
        vector["context_ids"], vector["bins"] = contexts, bins
    return vectors


def states_of(contexts: list[tuple[float, int]]) -> np.ndarray:
    if not contexts:
        return np.zeros((0, 4), dtype=np.int32)
    return context_states([p1 for p1, _ in contexts], [shift for _, shift in contexts])


@pytest.mark.parametrize("vector", load_vectors(), ids=lambda vector: vector["name"])
def test_batch_calls_match_the_reference(vector: dict[str, Any]) -> None:
    states = states_of(vector["contexts"])
    stream = encode_bins(vector["bins"], vector["context_ids"], states)
    assert stream.hex() == vector["output_hex"]
    bins, n_valid = decode_bins(stream, vector["context_ids"], states)
    assert bins.tolist() == vector["bins"]
    assert n_valid == len(vector["bins"])


@pytest.mark.parametrize("vector", load_vectors(), ids=lambda vector: vector["name"])
def test_classes_match_the_reference(vector: dict[str, Any]) -> None:
    encoder = cabacEncoder()
    encoder.initCtx([(p1, shift) for p1, shift in vector["contexts"]])
    encoder.start()
    for context, b in zip(vector["context_ids"], vector["bins"], strict=True):
        if context == BYPASS:
            encoder.encodeBinEP(b)
        elif context == TERMINATE:
            encoder.encodeBinTrm(b)
        else:
            encoder.encodeBin(b, context)
    encoder.encodeBinTrm(1)
    encoder.finish()
    encoder.writeByteAlignment()
    assert encoder.getBitstream().hex() == vector["output_hex"]

    decoder = cabacDecoder(encoder.getBitstream())
    decoder.initCtx([(p1, shift) for p1, shift in vector["contexts"]])
    decoder.start()
    for context, b in zip(vector["context_ids"], vector["bins"], strict=True):
        if context == BYPASS:
            assert decoder.decodeBinEP() == b
        elif context == TERMINATE:
            assert decoder.decodeBinTrm() == b
        else:
            assert decoder.decodeBin(context) == b
    assert decoder.decodeBinTrm() == 1
    decoder.finish()
    assert not decoder.overrun


# ------------------------------------------------------------------------------- properties


@st.composite
def coded_bins(draw: st.DrawFn, max_bins: int = 300) -> tuple[list[int], list[int], np.ndarray]:
    contexts = draw(
        st.lists(st.tuples(st.floats(0, 1), st.sampled_from(SHIFTS)), min_size=1, max_size=5)
    )
    ops = draw(
        st.lists(
            st.tuples(st.integers(TERMINATE, len(contexts) - 1), st.integers(0, 1)),
            max_size=max_bins,
        )
    )
    ids = [context for context, _ in ops]
    # A terminate bin 1 in the middle would end the stream.
    bins = [0 if context == TERMINATE else b for context, b in ops]
    return bins, ids, states_of(contexts)


@settings(deadline=None, max_examples=200)
@given(coded_bins())
def test_round_trip(case: tuple[list[int], list[int], np.ndarray]) -> None:
    bins, ids, states = case
    before = states.copy()
    stream = encode_bins(bins, ids, states)
    assert len(stream) <= worst_case_bytes(len(bins))
    decoded, n_valid = decode_bins(stream, ids, states)
    assert decoded.tolist() == bins
    assert n_valid == len(bins)
    assert np.array_equal(states, before)


@settings(deadline=None, max_examples=60)
@given(coded_bins(max_bins=120), st.binary(max_size=4))
def test_a_stream_cut_at_any_byte(
    case: tuple[list[int], list[int], np.ndarray], other_tail: bytes
) -> None:
    bins, ids, states = case
    stream = encode_bins(bins, ids, states)
    last = 0
    for n_bytes in range(len(stream) + 1):
        decoded, n_valid = decode_bins(stream[:n_bytes], ids, states)
        assert decoded[:n_valid].tolist() == bins[:n_valid]
        assert last <= n_valid
        last = n_valid
        # Certain means certain: whatever else may follow decodes to the same bins.
        others, _ = decode_bins(stream[:n_bytes] + other_tail, ids, states)
        assert others[:n_valid].tolist() == bins[:n_valid]
    assert last == len(bins)


@pytest.mark.parametrize("vector", load_vectors(), ids=lambda vector: vector["name"])
def test_reference_streams_cut_at_every_byte(vector: dict[str, Any]) -> None:
    states, ids = states_of(vector["contexts"]), vector["context_ids"]
    stream = bytes.fromhex(vector["output_hex"])
    last = 0
    for n_bytes in range(len(stream) + 1):
        decoded, n_valid = decode_bins(stream[:n_bytes], ids, states)
        assert decoded[:n_valid].tolist() == vector["bins"][:n_valid]
        assert last <= n_valid <= len(ids)
        last = n_valid
    assert last == len(ids)


def test_cut_bypass_bins_are_certain_to_the_last_bit_that_is_there() -> None:
    bins = np.random.default_rng(1).integers(0, 2, 800)
    ids = np.full(800, BYPASS)
    empty = np.zeros((0, 4), dtype=np.int32)
    stream = encode_bins(bins, ids, empty)
    n_valid = [decode_bins(stream[:n], ids, empty)[1] for n in range(1, 100)]
    # The range of 510 makes a bypass bin a little less than a bit; the window holds one bin back.
    gaps = [8 * n - valid for n, valid in enumerate(n_valid, start=1)]
    assert np.mean(gaps) < 3
    assert min(gaps) >= 0


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=60), st.integers(0, 500))
def test_foreign_bytes_decode_to_something(data: bytes, n_bins: int) -> None:
    states = context_states([0.5, 0.02, 0.99], 5)
    ids = np.arange(n_bins) % 5 - 2
    bins, n_valid = decode_bins(data, ids, states)
    assert bins.shape == (n_bins,)
    assert 0 <= n_valid <= n_bins


# ------------------------------------------------------------------------------ compression


def test_a_million_bins_come_near_the_entropy() -> None:
    """Slow contexts that start at the true probability cost about half a per cent."""
    random = np.random.default_rng(2)
    p1 = np.linspace(0.05, 0.95, 64)
    ids = random.integers(0, 64, 1_000_000)
    bins = (random.random(1_000_000) < p1[ids]).astype(np.uint8)
    ideal_bits = -np.log2(np.where(bins == 1, p1[ids], 1 - p1[ids])).sum()

    class_of_bin = (p1[ids] * 2**15).astype(np.int64)
    n_bits_static = 8 * len(encode_static(bins, class_of_bin))
    assert n_bits_static < 1.005 * ideal_bits
    n_bits_adaptive = 8 * len(encode_bins(bins, ids, context_states(p1, 13)))
    assert n_bits_adaptive < 1.02 * ideal_bits


def encode_static(bins: np.ndarray, p1_15bit: np.ndarray) -> bytes:
    """Every bin in a context of its own, so that no adaptation moves its probability."""
    states = context_states_from_p1_15bit(p1_15bit, 8)
    return encode_bins(bins, np.arange(bins.size), states)


# --------------------------------------------------------------------------------- contexts


@settings(deadline=None)
@given(st.integers(0, 1 << 15), st.sampled_from(SHIFTS), st.lists(st.integers(0, 1), max_size=40))
def test_contexts_learn_by_the_update_law(p1_15bit: int, shift: int, bins: list[int]) -> None:
    states = context_states_from_p1_15bit([p1_15bit], shift)
    v = min(p1_15bit, 32767)
    s0, s1 = v >> 5, v >> 1
    r0 = 2 + ((shift >> 2) & 3)
    r1 = 3 + r0 + (shift & 3)
    assert states.tolist() == [[s0, s1, r0, r1]]
    state, buffer = start_encoder(), np.empty(worst_case_bytes(len(bins)), dtype=np.uint8)
    for b in bins:
        encode_bin(state, buffer, states, 0, b)
        s0 += ((1023 * b) >> r0) - (s0 >> r0)
        s1 += ((16383 * b) >> r1) - (s1 >> r1)
        assert states.tolist() == [[s0, s1, r0, r1]]
        assert 0 <= s0 < 1 << 10
        assert 0 <= s1 < 1 << 14


def test_float_and_integer_probabilities_agree() -> None:
    p1_15bit = np.arange(0, (1 << 15) + 1)
    assert np.array_equal(
        context_states(p1_15bit / 2**15, 8), context_states_from_p1_15bit(p1_15bit, 8)
    )


def test_a_short_buffer_is_told_by_the_length() -> None:
    states, buffer = context_states([0.5], 8), np.zeros(3, dtype=np.uint8)
    state = start_encoder()
    for _ in range(100):
        encode_bin(state, buffer[:2], states, 0, 1)
        encode_bin(state, buffer[:2], states, 0, 0)
    encode_terminate(state, buffer[:2], 1)
    assert finish_encoder(state, buffer[:2]) > 2
    assert buffer[2] == 0


# ------------------------------------------------------------------------- errors and classes


@pytest.mark.parametrize(
    ("bins", "ids", "message"),
    [
        ([0, 1], [0], "one context per bin"),
        ([0, 2], [0, 0], "bins of 0 or 1"),
        ([0], [1], "context ids"),
        ([0], [-3], "context ids"),
    ],
)
def test_wrong_arguments_are_refused(bins: list[int], ids: list[int], message: str) -> None:
    with pytest.raises(CodecError, match=message):
        encode_bins(bins, ids, context_states([0.5], 8))


def test_wrong_contexts_are_refused() -> None:
    for shift in (-1, 11, 14, 15, 16):
        with pytest.raises(CodecError, match="shifts"):
            context_states([0.5], shift)
    with pytest.raises(CodecError, match="between 0 and 1"):
        context_states([1.5], 8)
    with pytest.raises(CodecError, match="15-bit"):
        context_states_from_p1_15bit([40_000], 8)
    with pytest.raises(CodecError, match="integers"):
        context_states_from_p1_15bit([0.5], 8)
    with pytest.raises(CodecError, match="int32"):
        encode_bins([0], [0], np.zeros((1, 4)))  # type: ignore[arg-type]
    with pytest.raises(CodecError, match="out of range"):
        encode_bins([0], [0], np.full((1, 4), 60_000, dtype=np.int32))


def test_classes_code_numbers_and_grow_their_buffer() -> None:
    numbers = np.random.default_rng(3).integers(0, 1 << 20, 2000).tolist()
    encoder = cabacEncoder()
    encoder.initCtx(3, 0.5, 8)
    encoder.start()
    for number in numbers:
        encoder.encodeBinsEP(number, 20)
        encoder.encodeBin(number & 1, 2)
    encoder.encodeBinTrm(1)
    encoder.finish()
    encoder.writeByteAlignment()
    decoder = cabacDecoder(list(encoder.getBitstream()))
    decoder.initCtx(3, 0.5, 8)
    decoder.start()
    for number in numbers:
        assert decoder.decodeBinsEP(20) == number
        assert decoder.decodeBin(2) == number & 1
    assert decoder.decodeBinTrm() == 1
    decoder.finish()


def test_classes_refuse_what_makes_no_stream() -> None:
    encoder = cabacEncoder()
    with pytest.raises(CodecError, match="context of"):
        encoder.encodeBin(0, 0)
    with pytest.raises(CodecError, match="bin of 0 or 1"):
        encoder.encodeBinEP(2)
    with pytest.raises(CodecError, match="before encodeBinTrm"):
        encoder.finish()
    encoder.encodeBinTrm(1)
    with pytest.raises(CodecError, match="before writeByteAlignment"):
        encoder.getBitstream()
    with pytest.raises(CodecError, match="after the terminate bin"):
        encoder.encodeBinEP(0)


def test_the_decoder_class_tells_a_damaged_end() -> None:
    decoder = cabacDecoder(bytes.fromhex("fec0"))
    assert decoder.decodeBinEP() == 1
    with pytest.raises(CodecError, match="before a terminate bin"):
        decoder.finish()
    assert decoder.decodeBinTrm() == 1
    decoder.finish()
    damaged = cabacDecoder(bytes.fromhex("fee0"))
    damaged.decodeBinEP()
    assert damaged.decodeBinTrm() == 1
    with pytest.raises(CodecError, match="stop bit"):
        damaged.finish()
    empty = cabacDecoder(b"")
    empty.decodeBinsEP(8)
    assert empty.overrun


def test_bench_measures_both_ways() -> None:
    speed = bench_cabac(n_bins=20_000, n_runs=1)
    assert speed.encode_mbin_per_s > 0
    assert speed.decode_mbin_per_s > 0
    assert 0.7 < speed.bits_per_bin < 0.8
