"""Streams that no encoder made: they decode to something or nothing, soon and in little memory."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.base import DecodedImage, ReceivedLayer
from codec.embedded.codec import BITSTREAM_VERSION, EmbeddedCodec
from codec.picture_header import pack_picture_header
from codec.profile import load_profile

SIZES = [(8, 8), (1, 1), (32, 32), (5, 19)]


@pytest.fixture(scope="module")
def codec() -> EmbeddedCodec:
    return EmbeddedCodec(load_profile("embedded"))


@pytest.fixture(scope="module")
def streams(codec: EmbeddedCodec) -> list[list[bytes]]:
    """The layers of a few small pictures."""
    random = np.random.default_rng(0)
    pictures = [random.normal(128, 40, (*size, 3)).clip(0, 255).astype(np.uint8) for size in SIZES]
    return [[layer.data for layer in each.layers] for each in codec.encode_batch(pictures)]


def cut_anywhere(data: bytes, random: np.random.Generator) -> list[ReceivedLayer]:
    """Some layers of any lengths, whole or not as it falls."""
    places = np.sort(random.integers(0, len(data) + 1, random.integers(0, 12))).tolist()
    return [
        ReceivedLayer(data[a:b], bool(random.random() < 0.8))
        for a, b in pairwise([0, *places, len(data)])
    ]


def damaged(layers: list[bytes], random: np.random.Generator) -> list[ReceivedLayer]:
    """One of the ways in which a stream can go wrong."""
    data = bytearray(b"".join(layers))
    kind = random.integers(0, 7)
    if kind == 0:
        header = pack_picture_header(*SIZES[random.integers(0, len(SIZES))], BITSTREAM_VERSION)
        return cut_anywhere(header + random.bytes(random.integers(0, 300)), random)
    if kind == 1:
        return cut_anywhere(random.bytes(random.integers(0, 40)), random)
    if kind == 2:
        for place in random.integers(5, len(data), random.integers(1, 30)):
            data[place] ^= 1 << random.integers(0, 8)
        return cut_anywhere(bytes(data), random)
    if kind == 3:
        return cut_anywhere(bytes(data[: random.integers(0, len(data))]), random)
    if kind == 4:
        order = random.permutation(len(layers))
        return [ReceivedLayer(layers[i], bool(random.random() < 0.9)) for i in order]
    if kind == 5:
        place = random.integers(5, len(data))
        data[place:] = bytes([random.choice([0, 255])]) * (len(data) - place)
        return cut_anywhere(bytes(data), random)
    start, length = random.integers(5, len(data)), random.integers(1, 20)
    del data[start : start + length]
    return cut_anywhere(bytes(data), random)


def check(found: DecodedImage, received: list[ReceivedLayer]) -> None:
    if found.image is None:
        assert found.layers_decoded == 0
    else:
        assert found.image.dtype == np.uint8
        assert found.image.ndim == 3
        assert 0 <= found.layers_decoded <= sum(layer.complete for layer in received)


def run_damaged(codec: EmbeddedCodec, streams: list[list[bytes]], seed: int, count: int) -> int:
    """Decodes `count` damaged streams together; returns how many show a picture."""
    random = np.random.default_rng(seed)
    cases = [damaged(streams[random.integers(0, len(streams))], random) for _ in range(count)]
    results = codec.decode_batch(cases)
    for found, received in zip(results, cases, strict=True):
        check(found, received)
    return sum(found.image is not None for found in results)


@pytest.mark.parametrize("seed", range(6))
def test_damaged_streams_decode_to_something(codec, streams, seed) -> None:
    assert 10 < run_damaged(codec, streams, seed, 50) < 50


def test_damage_in_a_batch_does_not_spread(codec, streams) -> None:
    random = np.random.default_rng(1)
    good = [ReceivedLayer(data, complete=True) for data in streams[0]]
    (expected,) = codec.decode_batch([good])
    batch = [damaged(streams[0], random) for _ in range(20)]
    batch.insert(7, good)
    found = codec.decode_batch(batch)[7]
    assert np.array_equal(found.image, expected.image)
    assert found.layers_decoded == expected.layers_decoded


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=60), complete=st.booleans(), grey=st.booleans())
def test_any_bytes_behind_a_header_decode(codec, data, complete, grey) -> None:
    header = pack_picture_header(6, 5, BITSTREAM_VERSION, grey=grey)
    layer = ReceivedLayer(header + data, complete)
    (found,) = codec.decode_batch([[layer]])
    check(found, [layer])
    assert found.image is None or found.image.shape == (6, 5, 3)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=12))
def test_any_bytes_at_all_decode_or_do_not(codec, data) -> None:
    # Sizes are left to the tests below: here the header is foreign or that of a 32 x 32 picture.
    layer = ReceivedLayer(bytes([data[0] & 0xF2 if data else 0]) + data[1:], True)
    check(codec.decode_batch([[layer]])[0], [layer])


def test_other_versions_and_codes_show_nothing(codec, streams) -> None:
    data = b"".join(streams[2])
    for first in range(256):
        if first in (data[0], data[0] | 1, data[0] | 2, data[0] | 3) or first & 4:
            continue
        (found,) = codec.decode_batch([[ReceivedLayer(bytes([first]) + data[1:], True)]])
        assert found == DecodedImage(None, 0)


HUGE = """
import resource, sys
import numpy as np, torch
from codec.base import ReceivedLayer
from codec.embedded.codec import EmbeddedCodec
from codec.profile import load_profile
torch.set_num_threads(1)
codec = EmbeddedCodec(load_profile("embedded"))
picture = np.zeros((32, 32, 3), np.uint8)
(encoded,) = codec.encode_batch([picture])
codec.decode_batch([[layer.whole for layer in encoded.layers]])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for line in sys.stdin:
    codec.decode_batch([[ReceivedLayer(bytes.fromhex(line), False)]])
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * (1 if sys.platform == "darwin" else 1024))
"""


def grown_bytes(streams: list[bytes]) -> int:
    """By how much the memory of a process grows at most that decodes these streams."""
    lines = "\n".join(data.hex() for data in streams)
    done = subprocess.run(
        [sys.executable, "-c", HUGE],
        input=lines, capture_output=True, text=True, check=True, timeout=90,
    )  # fmt: skip
    return int(done.stdout)


def test_a_few_bytes_cannot_ask_for_much_memory_or_time() -> None:
    tail = b"\x3a\x91\xc4"
    claims = [(65535, 1), (1, 65535), (2048, 2048), (4096, 4096), (8192, 2048), (65535, 256)]
    streams = [pack_picture_header(*size, BITSTREAM_VERSION) + tail for size in claims]
    sliced = [pack_picture_header(4096, 4096, BITSTREAM_VERSION, slice_side=s) + tail
              for s in (8, 64, 1024, 2040)]  # fmt: skip
    # The canvas of the largest picture allowed is 50 MB; the subprocess has a time limit.
    assert grown_bytes([*streams, *sliced]) < 700e6
