"""Polar codes against the standard's pseudocode, Sionna, plain list decoding, exhaustive search."""

from math import ceil, floor, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from channels.bench_polar import polar_gain, polar_speed, polar_words, sionna_decoder
from channels.crc import append_crc, check_crc
from channels.errors import ChannelError
from channels.harq import send_with_harq
from channels.link import LinkSetting, largest_packet_bytes, packet_cost, send_packet
from channels.polar_block import (
    SHORT_PAYLOAD_BITS,
    PolarBlock,
    largest_polar_payload_bits,
    polar_block,
)
from channels.polar_code import (
    SUB_BLOCKS,
    PolarCode,
    encode_polar,
    polar_code,
    reliability_sequence,
    transform,
)
from channels.polar_decoder import decode_polar
from channels.randomness import ChannelRandomness, derive_key
from channels.uncoded import uncoded_block

Bits = NDArray[np.uint8]
Llrs = NDArray[np.float32]


def written_out(k: int, n: int) -> tuple[int, list[int], list[int]]:
    """N, information inputs and sent outputs as TS 38.212, 5.3.1, 5.3.1.2 and 5.4.1 write them."""
    if n <= 9 / 8 * 2 ** (ceil(log2(n)) - 1) and k / n < 9 / 16:
        n1 = ceil(log2(n)) - 1
    else:
        n1 = ceil(log2(n))
    length = 2 ** max(min(n1, ceil(log2(8 * k)), 10), 5)
    j = [
        SUB_BLOCKS[floor(32 * i / length)] * (length // 32) + i % (length // 32)
        for i in range(length)
    ]
    frozen: set[int] = set()
    if n < length:
        if k / n <= 7 / 16:
            frozen |= {j[i] for i in range(length - n)}
            if n >= 3 * length / 4:
                frozen |= set(range(ceil(3 * length / 4 - n / 2)))
            else:
                frozen |= set(range(ceil(9 * length / 16 - n / 4)))
        else:
            frozen |= {j[i] for i in range(n, length)}
    usable = [int(i) for i in reliability_sequence(1024) if i < length and i not in frozen]
    if n >= length:
        e = [j[i % length] for i in range(n)]
    elif k / n <= 7 / 16:
        e = [j[i + length - n] for i in range(n)]
    else:
        e = [j[i] for i in range(n)]
    t = next(t for t in range(1, n + 1) if t * (t + 1) / 2 >= n)
    v: dict[tuple[int, int], int] = {}
    place = 0
    for row in range(t):
        for column in range(t - row):
            if place < n:
                v[row, column] = e[place]
            place += 1
    sent = [
        v[row, column] for column in range(t) for row in range(t - column) if (row, column) in v
    ]
    return length, sorted(usable[-k:]), sent


@given(st.integers(18, 2400), st.floats(0.02, 1.0))
@settings(max_examples=150, deadline=None)
def test_the_code_is_the_standards(n: int, rate: float) -> None:
    k = min(max(1, round(rate * n)), 1023)
    code = polar_code(k, n)
    length, information, sent = written_out(k, n)
    assert code.mother_bits == length
    assert code.information.tolist() == information
    assert code.sent.tolist() == sent


SIZES = [
    (31, 40), (31, 100), (31, 1088), (40, 64), (64, 72), (64, 128), (64, 129), (100, 143),
    (100, 256), (111, 300), (120, 288), (140, 320), (150, 342), (150, 344), (200, 512), (256, 560),
    (256, 580), (260, 773), (300, 700), (400, 600), (450, 1024), (512, 1088), (700, 1000),
    (1000, 1088), (1023, 1088),
]  # fmt: skip


@pytest.mark.parametrize(("k", "n"), SIZES)
def test_encoder_equals_sionna(k: int, n: int) -> None:
    """With the CRC of 11 bits that Sionna attaches, bit by bit."""
    import torch
    from sionna.phy.fec.polar import Polar5GEncoder

    encoder = Polar5GEncoder(k - 11, n)
    bits = torch.tensor(
        np.random.default_rng(k + n).integers(0, 2, (5, k - 11)), dtype=torch.float32
    )
    checked = encoder.enc_crc(bits).numpy().astype(np.uint8)
    code = polar_code(k, n)
    assert code.mother_bits == encoder.n_polar
    np.testing.assert_array_equal(code.sent, encoder._ind_rate_matching)
    if (k, n) == (260, 773):
        # Sionna does not freeze input 381, the last of those behind punctured bits.
        assert set(encoder.info_pos) - set(code.information.tolist()) == {381}
        return
    np.testing.assert_array_equal(encode_polar(checked, code), encoder(bits).numpy())


def test_every_known_zero_is_one() -> None:
    for k, n in SIZES:
        code = polar_code(k, n)
        words = np.random.default_rng(n).integers(0, 2, (20, k), np.uint8)
        unsent = np.setdiff1d(np.arange(code.mother_bits), code.sent)
        assert set(code.known_zeros.tolist()) <= set(unsent.tolist())
        for word in words:
            mother = np.zeros(code.mother_bits, np.uint8)
            mother[code.information] = word
            transform(mother)
            assert not mother[code.known_zeros].any()


def bit_llr(llr: NDArray[np.float64], before: list[int]) -> float:
    """LLR of the input after those of `before`, by the recursion as it stands in the papers."""
    half = len(llr) // 2
    if half == 0:
        return float(llr[0])
    first, second = llr[:half], llr[half:]
    if len(before) < half:
        smaller = np.minimum(np.abs(first), np.abs(second))
        return bit_llr(np.sign(first) * np.sign(second) * smaller, before)
    left = np.array(before[:half], np.uint8)
    transform(left)
    return bit_llr(second + (1.0 - 2.0 * left) * first, before[half:])


def plain_list_decoder(llr: Llrs, code: PolarCode, list_size: int) -> tuple[Bits, bool]:
    """Input by input, every path copied: nothing but the definition."""
    mother = np.zeros(code.mother_bits)
    np.add.at(mother, code.sent, -llr.astype(np.float64))
    mother[code.known_zeros] = 1e6
    free = set(code.information.tolist())
    paths: list[tuple[float, list[int]]] = [(0.0, [])]
    for i in range(code.mother_bits):
        grown = []
        for cost, bits in paths:
            value = bit_llr(mother, bits)
            for bit in (0, 1) if i in free else (0,):
                grown.append((cost + max(0.0, -value if bit == 0 else value), [*bits, bit]))
        paths = sorted(grown)[:list_size]
    words = [np.array(bits, np.uint8)[code.information] for _, bits in paths]
    for word in words:
        if check_crc(word, "crc16"):
            return word, True
    return words[0], False


@pytest.mark.parametrize("list_size", [1, 2, 8])
@pytest.mark.parametrize(
    ("k", "n", "esn0_db"), [(24, 36, 4.0), (30, 70, 0.5), (40, 126, -2.0), (50, 64, 5.0)]
)
def test_decoder_equals_plain_list_decoding(k: int, n: int, esn0_db: float, list_size: int) -> None:
    """Punctured, shortened, repeated; a list of one is successive cancellation as Arikan has it."""
    code = polar_code(k, n)
    _, llr = polar_words(code, esn0_db, 16)
    decided, ok = decode_polar(llr, code, list_size=list_size)
    for word, word_llr, word_ok in zip(decided, llr, ok, strict=True):
        expected, expected_ok = plain_list_decoder(word_llr, code, list_size)
        assert word_ok == expected_ok
        np.testing.assert_array_equal(word, expected)


@pytest.mark.parametrize(("k", "n", "esn0_db"), [(56, 164, -0.7), (96, 192, 1.6), (136, 180, 4.3)])
def test_block_errors_are_sionnas(k: int, n: int, esn0_db: float) -> None:
    """The list of 8 of both on the same words; words that only one of them loses are as many."""
    code = polar_code(k, n)
    bits, llr = polar_words(code, esn0_db, 400)
    ours = (decode_polar(llr, code)[0] != bits).any(axis=1)
    theirs = (sionna_decoder(code)(llr) != bits).any(axis=1)
    assert 10 < theirs.sum() < 200
    only_ours, only_theirs = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    # A fair coin for each such word; one false alarm in 10,000.
    assert binom.cdf(only_theirs, only_ours + only_theirs, 0.5) > 1e-4


def test_what_a_long_list_finds_is_what_exhaustive_search_finds() -> None:
    """k = 24: the 256 words whose CRC holds are all compared. Many are not found at this SNR."""
    code = polar_code(24, 48)
    payloads = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1)
    words = np.stack([append_crc(payload, "crc16") for payload in payloads])
    signs = 2.0 * encode_polar(words, code) - 1.0
    bits, llr = polar_words(code, -2.0, 1000)
    best = words[np.argmax(llr @ signs.T, axis=1)]
    decided, ok = decode_polar(llr, code, list_size=64)
    assert 0.3 < ok.mean() < 0.95
    assert (decided[ok] == best[ok]).all(axis=1).mean() > 0.99
    assert (decided != bits).any(axis=1).sum() > (best != bits).any(axis=1).sum() > 10


def test_a_longer_list_loses_fewer_words() -> None:
    code = polar_code(80, 160)
    bits, llr = polar_words(code, 1.5, 2000)
    errors = [
        int((decode_polar(llr, code, list_size=size)[0] != bits).any(axis=1).sum())
        for size in (1, 2, 8, 32)
    ]
    assert errors[0] > 2 * errors[1] > 2 * errors[2] > 2 * errors[3] > 0


@given(st.integers(1, 1007), st.floats(0.025, 0.95), st.integers(1, 10))
@settings(max_examples=300, deadline=None)
def test_blocks_come_back_and_cost_what_they_say(payload_bits: int, rate: float, m: int) -> None:
    payload_bits = min(payload_bits, largest_polar_payload_bits(rate, m))
    block = PolarBlock(payload_bits, rate, m)
    payload = np.random.default_rng(payload_bits).integers(0, 2, payload_bits, np.uint8)
    coded = block.encode(payload)
    assert len(coded) == block.coded_bits == m * block.channel_uses
    assert block.crc_bits == 16 and block.padding_bits == 0
    assert payload_bits + 16 + block.parity_bits == block.coded_bits
    assert (payload_bits + 16) / block.coded_bits <= rate
    # One symbol less would be too few.
    assert (payload_bits + 16) / max(block.coded_bits - m, 1) > rate
    decided, ok = block.decode((8.0 * coded - 4.0).astype(np.float32))
    assert ok
    np.testing.assert_array_equal(decided, payload)


def test_a_wrong_word_seldom_passes_the_crc() -> None:
    """At most 8 candidates of 16 bits each: noise alone passes no more often."""
    for k, n in ((40, 80), (120, 160)):
        code = polar_code(k, n)
        noise = np.random.default_rng(k).standard_normal((15_000, n)).astype(np.float32)
        passed = int(decode_polar(noise, code)[1].sum())
        assert passed <= binom.ppf(1 - 1e-5, 15_000, 8 / 65536)
    # The zeros, which satisfy every CRC, are not what silence is taken for.
    for k, n in SIZES:
        silence = np.zeros((1, n), np.float32)
        assert not decode_polar(silence, polar_code(k, n))[1].any()


def test_words_do_not_depend_on_their_batch() -> None:
    code = polar_code(90, 200)
    _, llr = polar_words(code, -0.5, 60)
    together, ok = decode_polar(llr, code)
    alone = [decode_polar(word[np.newaxis], code) for word in llr]
    np.testing.assert_array_equal(together, np.concatenate([bits for bits, _ in alone]))
    np.testing.assert_array_equal(ok, np.concatenate([each for _, each in alone]))
    backwards, _ = decode_polar(llr[::-1], code)
    np.testing.assert_array_equal(backwards[::-1], together)


def test_any_scale_of_llrs() -> None:
    """Min-sum knows no scale, up to the limit; beyond it only certainty is left."""
    code = polar_code(60, 100)
    bits, llr = polar_words(code, 2.0, 50)
    decided, _ = decode_polar(llr, code)
    np.testing.assert_array_equal(decode_polar(llr * np.float32(0.125), code)[0], decided)
    certain = (2.0 * encode_polar(bits, code) - 1.0).astype(np.float32) * np.float32(1e30)
    np.testing.assert_array_equal(decode_polar(certain, code)[0], bits)


def test_short_blocks_need_less_snr_than_with_ldpc() -> None:
    """Up to the limit of `ldpc_polar`, and most for the shortest."""
    assert polar_gain(40, 1 / 3, words=600).gain_db > 0.5
    assert polar_gain(SHORT_PAYLOAD_BITS, 3 / 4, words=600).gain_db > 0.1


def test_faster_than_sionna() -> None:
    assert polar_speed(144, 288, 2.0, words=50).ratio > 5


# In the link

RANDOMNESS = ChannelRandomness(derive_key("polar tests"))


def error_rate(setting: LinkSetting, size: int, count: int) -> float:
    outcomes = [send_packet(bytes(size), setting, RANDOMNESS, i) for i in range(count)]
    return sum(not outcome.decoded for outcome in outcomes) / count


def test_the_mixed_coding_is_polar_for_short_packets_and_ldpc_for_long_ones() -> None:
    for size in (1, 20, SHORT_PAYLOAD_BITS // 8, SHORT_PAYLOAD_BITS // 8 + 1, 600):
        code = "polar" if 8 * size <= SHORT_PAYLOAD_BITS else "ldpc"
        mixed = LinkSetting(snr_db=5.0, coding="ldpc_polar")
        alone = LinkSetting(snr_db=5.0, coding=code)  # type: ignore[arg-type]
        packet = np.random.default_rng(size).bytes(size)
        assert mixed.code(8 * size).name == code
        assert packet_cost(size, mixed) == packet_cost(size, LinkSetting(coding="ldpc"))
        for number in range(5):
            assert send_packet(packet, mixed, RANDOMNESS, number) == send_packet(
                packet, alone, RANDOMNESS, number
            )


@given(
    st.integers(0, 3000),
    st.floats(0.025, 0.95),
    st.sampled_from(["bpsk", "16qam", "64qam"]),
    st.sampled_from(["polar", "ldpc_polar"]),
)
@settings(max_examples=100, deadline=None)
def test_the_largest_packet_is_the_largest(
    uses: int, rate: float, modulation: str, coding: str
) -> None:
    setting = LinkSetting(code_rate=rate, modulation=modulation, coding=coding)  # type: ignore[arg-type]
    largest = largest_packet_bytes(uses, setting)
    if largest:
        assert packet_cost(largest, setting).channel_uses <= uses
    if coding == "polar" and 8 * (largest + 1) > largest_polar_payload_bits(
        rate, setting.bits_per_symbol
    ):
        with pytest.raises(ChannelError, match="at most"):
            packet_cost(largest + 1, setting)
    else:
        assert packet_cost(largest + 1, setting).channel_uses > uses


def test_retransmissions_repeat_the_same_bits() -> None:
    """Whatever `harq` says; two receptions are one with twice the power."""
    once = LinkSetting(snr_db=5.2, modulation="qpsk", code_rate=0.75, coding="polar")
    assert once.harq_of(320) == "chase"
    block = polar_block(320, 0.75, 2)
    payload = np.random.default_rng(1).integers(0, 2, 320, np.uint8)
    heard: list[Bits] = []

    def transmit(coded: Bits, transmission: int) -> Llrs:
        heard.append(coded)
        noise = np.random.default_rng(transmission).standard_normal(len(coded))
        return (2.0 * coded - 1.0 + 1.2 * noise).astype(np.float32)

    outcome = send_with_harq(block, payload, transmit, "incremental", 8)
    assert outcome.ok and 1 < outcome.transmissions == len(heard)
    assert all(np.array_equal(coded, heard[0]) for coded in heard)
    np.testing.assert_array_equal(outcome.payload, payload)

    twice = LinkSetting(
        snr_db=5.2 - 10 * np.log10(2), modulation="qpsk", code_rate=0.75, coding="polar",
        transmissions=2,
    )  # fmt: skip
    count = 600
    a, b = error_rate(once, 40, count), error_rate(twice, 40, count)
    assert abs(a - b) < 3.3 * np.sqrt((a + b) / count) and a > 0


def test_blocks_without_coding_go_the_same_way() -> None:
    block = uncoded_block(40, 2)
    payload = np.ones(40, np.uint8)
    done = send_with_harq(block, payload, lambda bits, _: 2.0 * bits.astype(np.float32) - 1.0)
    assert done.ok and done.transmissions == 1
    np.testing.assert_array_equal(done.payload, payload)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: polar_code(0, 40), "expected 1 <= k <= 1023, found k = 0"),
        (lambda: polar_code(1024, 2000), "found k = 1024"),
        (lambda: polar_code(40, 39), "expected 40 <= n <= 8192, found n = 39"),
        (lambda: polar_code(4, 17), "expected 18 <= n"),
        (lambda: encode_polar(np.zeros((1, 3), np.uint8), polar_code(40, 80)), "words, 40"),
        (lambda: decode_polar(np.zeros((1, 3), np.float32), polar_code(40, 80)), "words, 80"),
        (
            lambda: decode_polar(np.zeros((1, 80), np.float32), polar_code(40, 80), list_size=0),
            r"list_size 1 \.\. 64, found 0",
        ),
        (lambda: decode_polar(np.zeros((1, 80), np.float32), polar_code(16, 80)), "more than 16"),
        (lambda: polar_block(1008, 0.5, 2), "at most 1007 payload bits at .* 0.5, found 1008"),
        (lambda: polar_block(40, 0.5, 2).encode(np.zeros(3, np.uint8)), r"bits\[40\]"),
        (lambda: polar_block(40, 0.5, 2).decode(np.zeros(3, np.float32)), r"llr\[112\]"),
        (lambda: packet_cost(126, LinkSetting(coding="polar")), "at most 1007"),
    ],
)  # fmt: skip
def test_errors(call: object, message: str) -> None:
    with pytest.raises(ChannelError, match=message):
        call()  # type: ignore[operator]
