"""Streams that no encoder made: what the fuzzing of the profile (test_fuzz_targets) leaves open."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from codec.base import DecodedImage, ReceivedLayer
from codec.embedded.codec import EmbeddedCodec
from codec.embedded.versions import IRREVERSIBLE_VERSION, REVERSIBLE_VERSION, STEPPED_VERSION
from codec.picture_header import pack_picture_header
from codec.profile import load_profile
from testbed.fuzz.damage import damaged

SIZES = [(8, 8), (1, 1), (32, 32), (5, 19), (3, 5), (100, 3), (40, 24), (66, 65)]


@pytest.fixture(scope="module")
def codec() -> EmbeddedCodec:
    return EmbeddedCodec(load_profile("embedded"))


@pytest.fixture(scope="module")
def streams(codec: EmbeddedCodec) -> list[list[bytes]]:
    """The layers of a few small pictures."""
    random = np.random.default_rng(0)
    pictures = [random.normal(128, 40, (*size, 3)).clip(0, 255).astype(np.uint8) for size in SIZES]
    return [[layer.data for layer in each.layers] for each in codec.encode_batch(pictures)]


def test_damage_in_a_batch_does_not_spread(codec, streams) -> None:
    random = np.random.default_rng(1)
    good = [ReceivedLayer(data, complete=True) for data in streams[0]]
    (expected,) = codec.decode_batch([good])
    data = b"".join(streams[0])
    batch = [[ReceivedLayer(damaged(data, random), True)] for _ in range(20)]
    batch.insert(7, good)
    found = codec.decode_batch(batch)[7]
    assert np.array_equal(found.image, expected.image)
    assert found.layers_decoded == expected.layers_decoded


@pytest.mark.parametrize("number", range(len(SIZES)))
def test_damage_shows_another_picture_or_none(codec, streams, number) -> None:
    """Also such as tells of larger coefficients than any picture has: sums may wrap, not fail."""
    random = np.random.default_rng(number)
    data = b"".join(streams[number])
    header = 1 if SIZES[number] == (32, 32) else 5
    batch = [data[:header] + bytes([value]) * 60 for value in (0, 1, 127, 254, 255)]
    batch += [data[:header] + random.bytes(200) for _ in range(4)]
    batch += [data[:header] + damaged(data[header:], random) for _ in range(4)]
    with np.errstate(all="raise"):
        found = codec.decode_batch([[ReceivedLayer(each, True)] for each in batch])
    for each in found:
        assert each.image is None or each.image.shape == (*SIZES[number], 3)


def test_other_versions_show_nothing(codec, streams) -> None:
    """Of its own versions every code means something that says by which transform they are."""
    data = b"".join(streams[2])
    for first in range(256):
        if first >> 4 in (
            (IRREVERSIBLE_VERSION, STEPPED_VERSION) if first & 8 else (REVERSIBLE_VERSION,)
        ):
            continue
        (found,) = codec.decode_batch([[ReceivedLayer(bytes([first]) + data[1:], True)]])
        assert found == DecodedImage(None, 0)


HUGE = """
import resource, sys
import numpy as np, torch
from codec.base import ReceivedLayer
from codec.embedded.codec import EmbeddedCodec
from codec.profile import load_profile
from testbed.fuzz.damage import damaged
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
    streams = [pack_picture_header(*size, REVERSIBLE_VERSION) + tail for size in claims]
    sliced = [pack_picture_header(4096, 4096, REVERSIBLE_VERSION, slice_side=s) + tail
              for s in (8, 64, 1024, 2040)]  # fmt: skip
    # The canvas of the largest picture allowed is 50 MB; the subprocess has a time limit.
    assert grown_bytes([*streams, *sliced]) < 700e6
