"""Parity packets bring lost packets back: against other arithmetic, search and enumeration."""

import itertools
import math
import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.erasure import (
    LENGTH_BYTES,
    MAX_BLOCK_PACKETS,
    MAX_PIECE_BYTES,
    parity_for,
    parity_sizes,
    protect,
    recover,
    residual_loss,
)
from channels.errors import ChannelError
from channels.packet_loss import IidPacketLoss
from channels.randomness import ChannelRandomness, derive_key


def random_pieces(count: int, longest: int = 40) -> list[bytes]:
    rng = np.random.default_rng(count)
    return [rng.bytes(int(size)) for size in rng.integers(0, longest + 1, count)]


def without(packets: Sequence[bytes], lost: set[int]) -> dict[int, bytes]:
    return {number: packet for number, packet in enumerate(packets) if number not in lost}


def times(a: int, b: int) -> int:
    """Product in GF(256) by shift and XOR, modulo x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    while b:
        product ^= a * (b & 1)
        a = a << 1 ^ (0x11D if a & 0x80 else 0)
        b >>= 1
    return product


def divided(a: int, b: int) -> int:
    return next(quotient for quotient in range(256) if times(quotient, b) == a)


@st.composite
def losses_within_parity(draw: st.DrawFn) -> tuple[list[bytes], int, set[int]]:
    pieces = draw(st.lists(st.binary(max_size=30), min_size=1, max_size=24))
    parity = draw(st.integers(0, min(12, 255 * len(pieces))))
    numbers = st.integers(0, len(pieces) + parity - 1)
    lost = draw(st.sets(numbers, max_size=parity))
    return pieces, parity, lost


@given(losses_within_parity())
@settings(deadline=None, max_examples=120)
def test_as_many_losses_as_parity_packets_do_no_harm(
    case: tuple[list[bytes], int, set[int]],
) -> None:
    pieces, parity, lost = case
    packets = [*pieces, *protect(pieces, parity)]
    assert recover(without(packets, lost), len(pieces), parity) == pieces


@given(losses_within_parity(), st.data())
@settings(deadline=None, max_examples=80)
def test_of_too_few_packets_there_is_what_arrived(
    case: tuple[list[bytes], int, set[int]], data: st.DataObject
) -> None:
    pieces, parity, _ = case
    packets = [*pieces, *protect(pieces, parity)]
    one_data_packet = data.draw(st.integers(0, len(pieces) - 1))
    rest = [number for number in range(len(packets)) if number != one_data_packet]
    lost = {one_data_packet, *data.draw(st.permutations(rest))[:parity]}
    kept = [None if number in lost else piece for number, piece in enumerate(pieces)]
    assert recover(without(packets, lost), len(pieces), parity) == kept


@pytest.mark.parametrize(("data", "parity"), [(1, 4), (2, 3), (5, 3), (4, 4)])
def test_every_loss_pattern_of_small_blocks(data: int, parity: int) -> None:
    pieces = random_pieces(data)
    packets = [*pieces, *protect(pieces, parity)]
    for arrived in itertools.product([False, True], repeat=data + parity):
        received = {n: packets[n] for n, there in enumerate(arrived) if there}
        complete = sum(arrived) >= data
        expected = [
            piece if there or complete else None
            for piece, there in zip(pieces, arrived, strict=False)
        ]
        assert recover(received, data, parity) == expected


def test_parity_bytes_by_other_arithmetic() -> None:
    pieces = random_pieces(7)
    size = LENGTH_BYTES + max(map(len, pieces))
    symbols = [(len(p).to_bytes(2, "big") + p).ljust(size, b"\0") for p in pieces]
    for i, packet in enumerate(protect(pieces, 5)):
        expected = bytearray(size)
        for j, symbol in enumerate(symbols):
            coefficient = divided(255 ^ j, (255 - i) ^ j)
            for at, byte in enumerate(symbol):
                expected[at] ^= times(coefficient, byte)
        assert packet == bytes(expected)


def test_the_first_parity_packet_is_an_exclusive_or() -> None:
    assert protect([b"\x01\x02", b"\x04"], 1) == [b"\x00\x03\x05\x02"]


def test_parity_packets_are_the_same_however_many_there_are() -> None:
    pieces = random_pieces(30)
    most = protect(pieces, 20)
    assert [protect(pieces, parity) for parity in range(20)] == [most[:n] for n in range(20)]


def test_what_is_recovered_is_the_only_solution() -> None:
    """Two lost packets of one byte and two parity packets: all 65536 pairs are tried."""
    pieces = [b"\x5a", b"\xc3", b"\x77"]
    parity = protect(pieces, 2)
    c = [[divided(255 ^ j, (255 - i) ^ j) for j in range(3)] for i in range(2)]
    pairs = [
        bytes([x, y])
        for x in range(256)
        for y in range(256)
        if all(
            times(c[i][0], x) ^ times(c[i][1], y) == parity[i][2] ^ times(c[i][2], 0x77)
            for i in range(2)
        )
    ]
    assert pairs == [b"\x5a\xc3"]
    received = {2: pieces[2], 3: parity[0], 4: parity[1]}
    assert recover(received, 3, 2) == pieces


@pytest.mark.parametrize(("data", "parity"), [(1, 255), (255, 1), (128, 128), (200, 56)])
def test_the_largest_blocks(data: int, parity: int) -> None:
    assert data + parity == MAX_BLOCK_PACKETS
    pieces = random_pieces(data)
    packets = [*pieces, *protect(pieces, parity)]
    rng = np.random.default_rng(parity)
    for _ in range(3):
        lost = set(rng.permutation(data + parity)[:parity].tolist())
        assert recover(without(packets, lost), data, parity) == pieces


@pytest.mark.parametrize(("data", "parity", "blocks"), [(200, 57, 2), (500, 60, 3), (2, 500, 2)])
def test_more_packets_are_split_into_blocks(data: int, parity: int, blocks: int) -> None:
    pieces = random_pieces(data)
    packets = [*pieces, *protect(pieces, parity)]
    assert [len(packet) for packet in packets[data:]] == parity_sizes(
        [len(piece) for piece in pieces], parity
    )
    # A burst is spread over the blocks: none has more losses than parity packets.
    burst = blocks * (parity // blocks)
    for first in range(0, data + parity - burst + 1, 23):
        lost = set(range(first, first + burst))
        assert recover(without(packets, lost), data, parity) == pieces
    # One block loses one packet too many, and only that one fails.
    in_block = range(0, data + parity, blocks)
    data_in_block = len(range(0, data, blocks))
    lost = set(in_block[: len(in_block) - data_in_block + 1])
    kept = [None if number in lost else piece for number, piece in enumerate(pieces)]
    assert recover(without(packets, lost), data, parity) == kept


def test_fewer_parity_packets_than_blocks() -> None:
    pieces = random_pieces(600)
    packets = [*pieces, *protect(pieces, 1)]
    assert recover(without(packets, {0}), 600, 1) == pieces
    assert recover(without(packets, {1}), 600, 1)[:3] == [pieces[0], None, pieces[2]]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=300), st.integers(0, 40))
@settings(deadline=None, max_examples=30)
def test_parity_sizes_are_those_of_the_parity_packets(sizes: list[int], parity: int) -> None:
    pieces = [bytes(size) for size in sizes]
    found = [len(packet) for packet in protect(pieces, parity)]
    assert parity_sizes(sizes, parity) == found
    assert all(size <= LENGTH_BYTES + max(sizes) for size in found)
    if len(sizes) + parity <= MAX_BLOCK_PACKETS:
        assert found == [LENGTH_BYTES + max(sizes)] * parity


def test_the_longest_packets() -> None:
    pieces = [bytes(range(256)) * 255 + b"x" * 255, b""]
    assert len(pieces[0]) == MAX_PIECE_BYTES
    packets = [*pieces, *protect(pieces, 2)]
    assert recover({2: packets[2], 3: packets[3]}, 2, 2) == pieces


def test_wrong_packets_do_not_pass_for_packets_of_impossible_length() -> None:
    pieces = [b"abc", b"def"]
    packets = [*pieces, *protect(pieces, 1)]
    # The lost packet's length becomes 3 XOR 0xff00, then its padding becomes other than zeros.
    too_long = b"\xff" + packets[2][1:]
    assert recover({0: pieces[0], 2: too_long}, 2, 1) == [pieces[0], None]
    shorter = bytes([0, packets[2][1] ^ 1]) + packets[2][2:]
    assert recover({0: pieces[0], 2: shorter}, 2, 1) == [pieces[0], None]


@given(st.integers(1, 2000), st.integers(4, 1000))
def test_parity_for_is_the_fewest_within_the_rate(data: int, thousandths: int) -> None:
    parity = parity_for(data, thousandths / 1000)
    assert 1000 * data <= thousandths * (data + parity)
    assert parity == 0 or 1000 * data > thousandths * (data + parity - 1)


@pytest.mark.parametrize(("data", "parity", "p"), [(1, 0, 0.3), (4, 2, 0.1), (3, 4, 0.5)])
def test_residual_loss_by_enumeration(data: int, parity: int, p: float) -> None:
    pieces = random_pieces(data)
    packets = [*pieces, *protect(pieces, parity)]
    expected = 0.0
    for lost in itertools.product([False, True], repeat=data + parity):
        received = without(packets, {n for n, gone in enumerate(lost) if gone})
        missing = recover(received, data, parity).count(None)
        expected += math.prod(p if gone else 1 - p for gone in lost) * missing / data
    assert residual_loss(data, parity, p) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("data", "parity", "p"), [(10, 3, 0.15), (300, 60, 0.16)])
def test_residual_loss_by_simulation(data: int, parity: int, p: float) -> None:
    pieces = [bytes([n % 256]) for n in range(data)]
    packets = [*pieces, *protect(pieces, parity)]
    images = 30_000 // data
    missing = np.empty(images)
    for image in range(images):
        randomness = ChannelRandomness(derive_key("erasure", data, image))
        lost = IidPacketLoss(p).losses(0, len(packets), randomness)
        received = without(packets, set(np.flatnonzero(lost).tolist()))
        missing[image] = recover(received, data, parity).count(None) / data
    deviation = missing.std() / math.sqrt(images)
    assert deviation > 0
    assert abs(missing.mean() - residual_loss(data, parity, p)) < 2.576 * deviation


def test_residual_loss_at_its_ends() -> None:
    assert residual_loss(20, 0, 0.2) == pytest.approx(0.2)
    assert residual_loss(20, 5, 0.0) == 0.0
    assert residual_loss(20, 5, 1.0) == 1.0
    shares = [residual_loss(20, parity, 0.1) for parity in range(10)]
    assert shares == sorted(shares, reverse=True)


def test_torch_keeps_its_one_thread() -> None:
    """numba's OpenMP layer would give it as many as there are cores, in the whole process."""
    code = (
        "import torch; torch.set_num_threads(1); torch.nn.Conv2d(8, 8, 3)(torch.ones(1, 8, 9, 9));"
        "from channels.erasure import protect; protect([b'ab', b'cd'], 1);"
        "print(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: protect([], 1), "data packets: expected at least 1, found 0"),
        (lambda: protect([b"a"], -1), r"parity packets: expected 0 \.\. 255, found -1"),
        (lambda: protect([b"a"], 256), r"parity packets: expected 0 \.\. 255, found 256"),
        (lambda: protect([b"", bytes(65536)], 1), "data packet 1: expected .* found 65536"),
        (lambda: parity_sizes([3, -1], 1), "data packet 1: expected .* found -1"),
        (lambda: recover({3: b""}, 2, 1), r"packet number: expected 0 \.\. 2, found 3"),
        (lambda: recover({-1: b""}, 2, 1), r"packet number: expected 0 \.\. 2, found -1"),
        (lambda: recover({}, 0, 0), "data packets: expected at least 1"),
        (lambda: recover({1: b"abc", 2: b"abcd"}, 2, 1), "at least 5 bytes, found 4"),
        (lambda: recover({2: b"abc", 3: b"abcd"}, 2, 2), "expected one size, .* found 3, 4"),
        (lambda: recover({1: b""}, 1, 1), "at least 2 bytes, found 0"),
        (lambda: parity_for(0, 0.5), "data packets: expected at least 1"),
        (lambda: parity_for(4, 1.1), r"erasure_rate: expected .* found 1\.1"),
        (lambda: parity_for(4, 0.0), r"erasure_rate: expected .* found 0\.0"),
        (lambda: residual_loss(4, 1, -0.1), "loss_probability: expected"),
    ],
)
def test_errors(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ChannelError, match=message):
        call()
