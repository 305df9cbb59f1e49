"""Draws depend on key, purpose and packet, and have the distributions that they claim."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.errors import ChannelError
from channels.randomness import ChannelRandomness, derive_key

RANDOMNESS = ChannelRandomness(derive_key("tests", 1))

VECTOR_KEY = 0xF8A585A2764F5C87363353293138491D
VECTOR_NOISE = [
    (-0.9284444624606583 + 1.5404802198497447j),
    (0.9673317916292474 + 0.10454651906800787j),
]
VECTOR_FADING = 0.9819514239050756 - 0.8729896132391032j
VECTOR_UNIFORM = 0.12859106573887824


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 200), st.integers(0, 200))
def test_a_shorter_draw_is_the_beginning_of_a_longer_one(packet: int, n: int, more: int) -> None:
    short, long = RANDOMNESS.noise(packet, n), RANDOMNESS.noise(packet, n + more)
    np.testing.assert_array_equal(short, long[:n])


def test_draws_do_not_depend_on_order() -> None:
    forwards = [(RANDOMNESS.noise(p, 5).tolist(), RANDOMNESS.fading(p)) for p in range(10)]
    again = ChannelRandomness(RANDOMNESS.key)
    backwards = [(again.noise(p, 5).tolist(), again.fading(p)) for p in reversed(range(10))]
    assert forwards == backwards[::-1]


def test_draws_are_the_same_today_as_when_this_was_written() -> None:
    """A change here changes every published number: it needs a new version."""
    randomness = ChannelRandomness(derive_key("vector", 7))
    assert randomness.key == VECTOR_KEY
    assert randomness.noise(3, 2).tolist() == pytest.approx(VECTOR_NOISE, abs=1e-12)
    assert randomness.fading(3) == pytest.approx(VECTOR_FADING, abs=1e-12)
    assert randomness.uniform(3) == VECTOR_UNIFORM


def test_keys_purposes_and_packets_differ() -> None:
    other = ChannelRandomness(RANDOMNESS.key ^ (1 << 127))
    draws = {
        complex(RANDOMNESS.noise(0, 1)[0]),
        complex(RANDOMNESS.noise(1, 1)[0]),
        complex(RANDOMNESS.noise(-1, 1)[0]),
        complex(RANDOMNESS.noise(2**63 - 1, 1)[0]),
        complex(RANDOMNESS.noise(-(2**63), 1)[0]),
        complex(other.noise(0, 1)[0]),
        RANDOMNESS.fading(0),
    }
    assert len(draws) == 7


def test_a_negative_number_is_its_twos_complement() -> None:
    """Philox with the counter written out, its words in numpy's order."""
    word = int.from_bytes(hashlib.sha256(b"noise").digest()[:8], "big")
    key = [RANDOMNESS.key & (2**64 - 1), RANDOMNESS.key >> 64]
    stream = np.random.Philox(
        key=np.array(key, np.uint64), counter=np.array([0, 0, 2**64 - 3, word], np.uint64)
    )
    expected = np.random.Generator(stream).standard_normal(8)
    assert RANDOMNESS.generator("noise", -3).standard_normal(8).tolist() == expected.tolist()


def test_noise_is_circular_and_of_unit_variance() -> None:
    noise = RANDOMNESS.noise(0, 200_000)
    assert abs(noise.mean()) < 0.01
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(1.0, abs=0.01)
    assert noise.real.var() == pytest.approx(0.5, abs=0.01)
    assert abs(np.mean(noise**2)) < 0.01


def test_fading_is_rayleigh() -> None:
    gains = np.array([RANDOMNESS.fading(block) for block in range(20_000)])
    power = np.abs(gains) ** 2
    assert power.mean() == pytest.approx(1.0, abs=0.02)
    # Exponential distribution: P(power < .1) = 9.5 %, not what a product of real normals gives.
    for x in (0.1, 1.0, 3.0):
        expected = 1 - np.exp(-x)
        deviation = np.sqrt(expected * (1 - expected) / len(gains))
        assert abs(np.mean(power < x) - expected) < 2.58 * deviation
    assert abs(np.mean(gains**2)) < 0.02


def test_keys_are_unambiguous() -> None:
    parts: list[tuple[int | str, ...]] = [
        (),
        (1,),
        ("1",),
        (1, 1),
        (11,),
        ("1", "1"),
        ("11",),
        (-1,),
        ("", "11"),
        ("11", ""),
        (1 << 200,),
    ]
    keys = [derive_key(*each) for each in parts]
    assert len(set(keys)) == len(keys)
    assert all(0 <= key < 1 << 128 for key in keys)


def test_errors() -> None:
    with pytest.raises(ChannelError, match=r"found 1\.5"):
        derive_key(1.5)  # type: ignore[arg-type]
    with pytest.raises(ChannelError, match="found True"):
        derive_key(True)
    for key in (-1, 1 << 128):
        with pytest.raises(ChannelError, match="key: expected"):
            ChannelRandomness(key)
    for number in (-(2**63) - 1, 2**63):
        with pytest.raises(ChannelError, match=f"found {number}"):
            RANDOMNESS.noise(number, 1)
