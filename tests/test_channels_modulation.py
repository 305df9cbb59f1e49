"""QAM mapping and demapping against the standard's formulas and against Sionna."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.modulation import (
    BITS_PER_SYMBOL,
    DemappingMethod,
    axis_levels,
    bits_per_symbol,
    demodulate,
    modulate,
)

NAMES = tuple(BITS_PER_SYMBOL)


def random_bits(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 2, count, np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_unit_power_and_gray_neighbours(name: str) -> None:
    levels = axis_levels(name)
    parts = 1 if name == "bpsk" else 2
    assert parts * np.mean(levels**2) == pytest.approx(1.0, abs=1e-12)
    order = np.argsort(levels)
    np.testing.assert_allclose(np.diff(levels[order]), levels.max() * 2 / (len(levels) - 1))
    assert all((a ^ b).bit_count() == 1 for a, b in pairwise(order))


def test_16qam_of_the_standard() -> None:
    # 3GPP TS 38.211, 5.1.4.
    bits = random_bits(400).reshape(-1, 4)
    s = 1.0 - 2.0 * bits
    expected = (s[:, 0] * (2 - s[:, 2]) + 1j * s[:, 1] * (2 - s[:, 3])) / np.sqrt(10)
    np.testing.assert_allclose(modulate(bits.reshape(-1), "16qam"), expected, atol=1e-12)


def test_1024qam_of_the_standard() -> None:
    # 3GPP TS 38.211, 5.1.7.
    bits = random_bits(20_000).reshape(-1, 10)
    s = 1.0 - 2.0 * bits

    def part(b: NDArray[np.float64]) -> NDArray[np.float64]:
        return b[:, 0] * (16 - b[:, 2] * (8 - b[:, 4] * (4 - b[:, 6] * (2 - b[:, 8]))))

    expected = (part(s) + 1j * part(s[:, 1:])) / np.sqrt(682)
    np.testing.assert_allclose(modulate(bits.reshape(-1), "1024qam"), expected, atol=1e-12)


@pytest.mark.parametrize("method", ["app", "maxlog"])
def test_bpsk_is_real(method: DemappingMethod) -> None:
    bits = np.array([0, 1, 1, 0], np.uint8)
    symbols = modulate(bits, "bpsk")
    np.testing.assert_array_equal(symbols, [1, -1, -1, 1])
    received = symbols * np.array([0.5, 2.0, -0.25, 0.0]) + np.array([3j, -1j, 0, 1j])
    llr = demodulate(received, np.array([1.0, 2.0, 0.5, 0.1]), "bpsk", method)
    np.testing.assert_allclose(llr, [-2.0, 4.0, -2.0, 0.0], atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["app", "maxlog"])
def test_equal_to_sionna(name: str, method: DemappingMethod) -> None:
    import torch
    from sionna.phy.mapping import Demapper, Mapper

    m = BITS_PER_SYMBOL[name]
    bits = random_bits(m * 500)
    symbols = modulate(bits, name)
    # Its QAM begins at two bits; the real constellation of one bit is called "pam" there.
    kind = "pam" if m == 1 else "qam"
    mapped = Mapper(kind, m)(torch.tensor(bits, dtype=torch.float32)[None]).numpy()[0]
    np.testing.assert_allclose(symbols, mapped, atol=1e-6)

    # Another noise power for every symbol, from far below to far above the signal.
    rng = np.random.default_rng(1)
    no = 10.0 ** rng.uniform(-4, 1, len(symbols))
    noise = rng.standard_normal((len(symbols), 2)) @ np.array([1, 1j])
    received = symbols + np.sqrt(no / 2) * noise
    demapper = Demapper(method, kind, m, precision="double")
    expected = demapper(torch.from_numpy(received)[None], torch.from_numpy(no)[None]).numpy()[0]
    llr = demodulate(received, no, name, method)
    assert llr.dtype == np.float32
    np.testing.assert_allclose(llr, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_hard_decisions_return_the_bits(name: str) -> None:
    bits = random_bits(BITS_PER_SYMBOL[name] * 300)
    for no in (1e-12, 1e-3):
        llr = demodulate(modulate(bits, name), no, name)
        assert np.isfinite(llr).all()
        np.testing.assert_array_equal(llr > 0, bits == 1)


@pytest.mark.parametrize("name", ["bpsk", "qpsk", "16qam"])
def test_llr_is_the_logarithm_of_the_odds(name: str) -> None:
    """Among bits with LLR near l, the share of ones is 1 / (1 + exp(-l))."""
    bits = random_bits(BITS_PER_SYMBOL[name] * 100_000)
    rng = np.random.default_rng(2)
    symbols = modulate(bits, name)
    noise = rng.standard_normal((len(symbols), 2)) @ np.array([1, 1j])
    llr = demodulate(symbols + np.sqrt(0.5 / 2) * noise, 0.5, name)
    for low in (-3.0, -1.5, -0.5, 0.5, 1.5, 3.0):
        near = np.abs(llr - low) < 0.1
        expected = np.mean(1 / (1 + np.exp(-llr[near].astype(float))))
        deviation = np.sqrt(expected * (1 - expected) / near.sum())
        assert abs(bits[near].mean() - expected) < 4 * deviation


def test_errors() -> None:
    with pytest.raises(ChannelError, match="found '8psk'"):
        bits_per_symbol("8psk")
    with pytest.raises(ChannelError, match="multiple of 4 bits, found 6"):
        modulate(np.zeros(6, np.uint8), "16qam")
    with pytest.raises(ChannelError, match=r"no\(3,\), found no\(2,\)"):
        demodulate(np.zeros(3, np.complex128), np.ones(2), "qpsk")
    with pytest.raises(ChannelError, match="app or maxlog, found 'exact'"):
        demodulate(np.zeros(3, np.complex128), 1.0, "qpsk", "exact")  # type: ignore[arg-type]
