"""The arithmetic coder, held against exact integers of any size and against brute force."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.cabac import context_states, encode_bins
from codec.cabac_engine import MOST_BINS_PER_BYTE
from codec.embedded.bin_engine import (
    PROBABILITY_ONE,
    boundary,
    bytes_written,
    decode_bin,
    decoder_input,
    encode_bin,
    finish_encoder,
    overrun,
    start_decoder,
    start_encoder,
    worst_case_bytes,
)

PROBABILITIES = st.one_of(
    st.integers(1, PROBABILITY_ONE - 1),
    st.sampled_from([1, 2, PROBABILITY_ONE // 2, PROBABILITY_ONE - 2, PROBABILITY_ONE - 1]),
)
BINS = st.lists(st.tuples(PROBABILITIES, st.integers(0, 1)), max_size=200)


def encode(bins: list[tuple[int, int]]) -> bytes:
    """Each bin with P(1)."""
    state, buffer = start_encoder(), np.full(worst_case_bytes(len(bins)), 0xAA, np.uint8)
    for p1, b in bins:
        encode_bin(state, buffer, p1, b)
    return buffer[: finish_encoder(state, buffer)].tobytes()


def decode(data: bytes, probabilities: list[int]) -> tuple[list[int], int]:
    """All bins, and how many of them are certain."""
    given = decoder_input(data)
    state = start_decoder(given)
    bins, certain = [], 0
    for p1 in probabilities:
        bins.append(int(decode_bin(state, given, p1)))
        certain += not overrun(state)
    return bins, certain


def interval(bins: list[tuple[int, int]]) -> tuple[int, int, int]:
    """(low, length, bits): the bins' interval in units of 2^-bits, in integers of any size.

    Independent of the coder's registers: the number is never cut into bytes and carries nothing.
    """
    low, length, bits = 0, 1 << 48, 48
    for p1, b in bins:
        share = (length >> 16) * p1
        if b:
            length = share
        else:
            low, length = low + share, length - share
        while length < 1 << 40:
            low, length, bits = low << 8, length << 8, bits + 8
    return low, length, bits


def shortest_stream(bins: list[tuple[int, int]]) -> bytes:
    """The fewest bytes whose every continuation lies in the interval; the least such number."""
    low, length, bits = interval(bins)
    for n_bytes in range(bits // 8 + 1):
        rest = bits - 8 * n_bytes
        number = -(-low >> rest)
        if (number + 1) << rest <= low + length:
            return number.to_bytes(n_bytes, "big")
    raise AssertionError("the interval holds a number of its own precision")


@settings(max_examples=150, deadline=None)
@given(BINS)
def test_bins_come_back_from_the_shortest_stream(bins: list[tuple[int, int]]) -> None:
    data = encode(bins)
    assert data == shortest_stream(bins)
    assert decode(data, [p1 for p1, _ in bins]) == ([b for _, b in bins], len(bins))


@pytest.mark.parametrize("p1", [1, 6, 300, 20000, 32768, 65000, 65530, 65535])
def test_streams_are_as_long_as_the_bins_information(p1: int) -> None:
    random = np.random.default_rng(p1)
    for probabilities in (np.full(100_000, p1), random.permutation(np.arange(1, 65536))):
        ones = random.random(probabilities.size) < probabilities / PROBABILITY_ONE
        bins = list(zip(probabilities.tolist(), ones.astype(int).tolist(), strict=True))
        data = encode(bins)
        likelihood = np.where(ones, probabilities, PROBABILITY_ONE - probabilities)
        ideal_bytes = -np.log2(likelihood / PROBABILITY_ONE).sum() / 8
        # One byte of rounding up, and less than one for the end to be unambiguous.
        assert ideal_bytes - 1e-3 <= len(data) <= 1.001 * ideal_bytes + 2
        if p1 == 20000:
            found, certain = decode(data, probabilities.tolist())
            assert certain == len(bins)
            assert found == ones.tolist()


@settings(max_examples=100, deadline=None)
@given(BINS.filter(lambda bins: len(bins) > 0))
def test_no_bins_outgrow_the_buffer(bins: list[tuple[int, int]]) -> None:
    unlikely = [(p1, int(p1 < PROBABILITY_ONE // 2)) for p1, _ in bins]
    assert len(encode(unlikely)) <= worst_case_bytes(len(bins))
    rarest = [(1, 1)] * len(bins)
    assert len(encode(rarest)) <= worst_case_bytes(len(bins))


@pytest.mark.parametrize("seed", range(25))
def test_a_prefix_decodes_exactly_the_bins_that_it_determines(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(5, 60))
    skew = random.choice([0.5, 2, 8])
    chances = 1 / (1 + np.exp(-random.normal(0, skew, count)))
    probabilities = np.clip(chances * PROBABILITY_ONE, 1, PROBABILITY_ONE - 1).astype(int).tolist()
    truth = (random.random(count) < chances).astype(int).tolist()
    data = encode(list(zip(probabilities, truth, strict=True)))
    for length in range(len(data) + 1):
        prefix = data[:length]
        _, certain = decode(prefix, probabilities)
        # Numbers fall into intervals in order, so the least and the greatest continuation differ
        # first where any two do; the random ones are there to doubt that.
        tails = [bytes(12), b"\xff" * 12, *(random.bytes(12) for _ in range(6))]
        decoded = [decode(prefix + tail, probabilities)[0] for tail in tails]
        agreed = next(
            (i for i in range(count) if len({bins[i] for bins in decoded}) > 1),
            count,
        )
        assert certain == agreed
        assert decoded[0][:certain] == truth[:certain]
    assert certain == count


def straddling(head: int) -> list[tuple[int, int]]:
    """Bins whose interval narrows around the number 0.head 00 00 ..., which it contains inside."""
    random = np.random.default_rng(head)
    target = bytes([head]) + bytes(40)
    probabilities = [int(p) for p in random.integers(2000, 63000, 150)]
    bins, _ = decode(target, probabilities)
    return list(zip(probabilities, bins, strict=True))


@pytest.mark.parametrize("head", [0x01, 0x80, 0xFF])
def test_carries_run_through_any_number_of_bytes(head: int) -> None:
    bins = straddling(head)
    longest = 0
    for count in range(len(bins)):
        # The bin that takes the part above `head`, whatever it is: its low end is beyond.
        ending = [*bins[:count], (60000, 0)]
        state, buffer = start_encoder(), np.zeros(worst_case_bytes(count + 1), np.uint8)
        for p1, b in ending[:-1]:
            encode_bin(state, buffer, p1, b)
        before = buffer[: bytes_written(state)].copy()
        encode_bin(state, buffer, *ending[-1])
        data = buffer[: finish_encoder(state, buffer)].tobytes()
        assert data == shortest_stream(ending)
        assert decode(data, [p1 for p1, _ in ending]) == ([b for _, b in ending], count + 1)
        run = before.size > 1 and before[0] == head - 1 and (before[1:] == 255).all()
        if run and data[0] == head:
            assert not any(data[1 : before.size])
            longest = max(longest, before.size - 1)
    assert longest >= 8


def test_the_boundary_is_where_the_bins_so_far_end() -> None:
    random = np.random.default_rng(1)
    probabilities = random.integers(1, PROBABILITY_ONE, 400)
    truth = (random.random(400) < probabilities / PROBABILITY_ONE).astype(int)
    state, buffer = start_encoder(), np.zeros(worst_case_bytes(400), np.uint8)
    places = []
    for p1, b in zip(probabilities.tolist(), truth.tolist(), strict=True):
        encode_bin(state, buffer, p1, b)
        places.append(boundary(state))
    data = buffer[: finish_encoder(state, buffer)].tobytes()
    assert places == sorted(places)
    for count in range(20, 400, 20):
        low, length, bits = interval(
            list(zip(probabilities[:count].tolist(), truth[:count].tolist(), strict=True))
        )
        assert low >= 0
        assert 0 <= 8 * places[count - 1] - (bits - log2(length)) < 8
        _, certain = decode(data[: places[count - 1] + 1], probabilities.tolist())
        assert certain >= count - 1


def test_no_bins_make_no_bytes() -> None:
    assert encode([]) == b""
    assert decode(b"", [1 << 15] * 3)[1] == 0


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40), st.lists(PROBABILITIES, max_size=400))
def test_foreign_bytes_decode_to_something(data: bytes, probabilities: list[int]) -> None:
    bins, certain = decode(data, probabilities)
    assert set(bins) <= {0, 1}
    # A coder that knows these bins finds the number within their interval.
    low, length, bits = interval(list(zip(probabilities, bins, strict=True))[:certain])
    for tail in (b"\x00", b"\xff"):
        number = int.from_bytes((data + tail * (bits // 8))[: bits // 8], "big")
        assert low <= number < low + length


def test_skewed_bins_cost_less_than_with_cabac() -> None:
    """H.266's coder takes .0114 bits or more for a bin (MOST_BINS_PER_BYTE); this one need not.

    Measured on bins with P(1) = 1/2048, .0068 bits of information each: this coder .0068 bits,
    CABAC, which goes on adapting and so pays more than its floor, .0404.
    """
    random = np.random.default_rng(0)
    count, p1 = 100_000, PROBABILITY_ONE // 2048
    bins = (random.random(count) < p1 / PROBABILITY_ONE).astype(int)
    mine = 8 * len(encode([(p1, int(b)) for b in bins])) / count
    # The slowest adaptation that there is, from the right start.
    states = context_states([p1 / PROBABILITY_ONE], 13)
    cabac = 8 * len(encode_bins(bins, np.zeros(count, int), states)) / count
    ones = bins.mean()
    information = -ones * log2(p1 / PROBABILITY_ONE) - (1 - ones) * log2(1 - p1 / PROBABILITY_ONE)
    assert mine < 1.001 * information + 16 / count
    assert cabac > 8 / MOST_BINS_PER_BYTE > 1.5 * mine
