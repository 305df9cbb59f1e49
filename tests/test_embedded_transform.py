"""The transform: exactly reversible, near the real lapped transform, errors of the stated power."""

from __future__ import annotations

from math import cos, pi, sin, tan

import numpy as np
import pytest
from extreme_pictures import structured
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from codec.embedded.lifting import shear_factors
from codec.embedded.transform import (
    CHANNELS,
    GAIN,
    _colours,
    _planes,
    coefficients,
    expected_pixels,
    padded,
    pixels,
)
from codec.embedded.turns import FINE_BACK

OVERLAP_ANGLE = -0.3
NEGATED = (4 * 1 + 3, 4 * 3 + 1)
"""Frequencies (1, 3) and (3, 1) come out with the opposite sign of the DCT's."""


@pytest.mark.parametrize("height", range(1, 21))
def test_every_size_and_content_comes_back(height: int) -> None:
    random = np.random.default_rng(height)
    for width in range(1, 21):
        noise = random.integers(0, 256, (2, height, width, 3))
        extreme = 255 * random.integers(0, 2, (2, height, width, 3))
        pictures = np.concatenate([noise, extreme, structured(height, width)]).astype(np.uint8)
        found = coefficients(pictures)
        assert found.dtype == np.int32
        assert found.shape == (len(pictures), -(-height // 4), -(-width // 4), CHANNELS)
        assert np.array_equal(pixels(found, height, width), pictures)


@settings(max_examples=80, deadline=None)
@given(st.binary(min_size=3 * 81, max_size=3 * 81), st.integers(1, 9), st.integers(1, 9))
def test_any_bytes_come_back(data: bytes, height: int, width: int) -> None:
    values = np.frombuffer(data, np.uint8)[: 3 * height * width]
    picture = values.reshape(1, height, width, 3)
    assert np.array_equal(pixels(coefficients(picture), height, width), picture)


def test_a_batch_is_its_pictures_one_by_one() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 12, 20, 3)).astype(np.uint8)
    before = pictures.copy()
    together = coefficients(pictures)
    assert np.array_equal(pictures, before)
    for picture, found in zip(pictures, together, strict=True):
        assert np.array_equal(coefficients(picture[None])[0], found)
    kept = together.copy()
    pixels(together, 12, 20)
    assert np.array_equal(together, kept)


def test_padding_repeats_the_last_row_and_column() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1, 6, 9, 3)).astype(np.uint8)
    wide = padded(picture)
    assert wide.shape == (1, 8, 12, 3)
    assert np.array_equal(wide[:, :6, :9], picture)
    assert np.array_equal(wide[:, 6:, :9], picture[:, [5, 5]])
    assert np.array_equal(wide[:, :, 9:], wide[:, :, [8, 8, 8]])


# ---------------------------------------------------------- the same in real numbers, as matrices


def lapped_dct(size: int) -> np.ndarray:
    """(size, size) orthonormal: the filter across borders of blocks, then 4-point DCTs."""
    dct = np.array([[cos(pi * (2 * i + 1) * v / 8) for i in range(4)] for v in range(4)])
    dct *= np.sqrt(np.array([1, 2, 2, 2]) / 4)[:, None]
    sums_and_differences = np.array([[1, 0, 0, 1], [0, 1, 1, 0], [1, 0, 0, -1], [0, 1, -1, 0]])
    turn = np.eye(4)
    c, s = cos(OVERLAP_ANGLE), sin(OVERLAP_ANGLE)
    turn[2:, 2:] = [[c, s], [-s, c]]
    border = sums_and_differences.T @ turn @ sums_and_differences / 2
    overlap = np.eye(size)
    for start in range(2, size - 4, 4):
        overlap[start : start + 4, start : start + 4] = border
    return np.kron(np.eye(size // 4), dct) @ overlap


def real_coefficients(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) in multiples of 4 -> (H / 4, W / 4, 48), by matrices in double precision."""
    height, width = picture.shape[:2]
    colours = np.array([[1 / 4, 1 / 2, 1 / 4], [1, 0, -1], [-1 / 2, 1, -1 / 2]])
    planes = picture.astype(float) @ colours.T - [128, 0, 0]
    both = np.einsum("yi,ijk,xj->yxk", lapped_dct(height), planes, lapped_dct(width))
    blocks = both.reshape(height // 4, 4, width // 4, 4, 3).transpose(0, 2, 4, 1, 3)
    found = blocks.reshape(height // 4, width // 4, 3, 16)
    found[..., NEGATED] *= -1
    return found.reshape(height // 4, width // 4, CHANNELS)


def test_the_reference_is_orthonormal() -> None:
    matrix = lapped_dct(24)
    assert np.allclose(matrix @ matrix.T, np.eye(24))


@pytest.mark.parametrize("size", [(4, 4), (4, 16), (12, 4), (8, 8), (24, 32)])
def test_it_is_the_lapped_dct_within_a_few_units(size: tuple[int, int]) -> None:
    random = np.random.default_rng(size)
    noise = random.integers(0, 256, (8, *size, 3)).astype(np.uint8)
    for picture in [*noise, *structured(*size)]:
        error = coefficients(picture[None])[0] - real_coefficients(picture)
        assert np.abs(error).max() < 5
    errors = coefficients(noise) - np.stack([real_coefficients(each) for each in noise])
    assert np.sqrt(np.mean(errors**2)) < 0.75
    assert abs(errors.mean()) < 0.2


def test_the_largest_coefficients_come_back_and_stay_below_what_the_schedule_can_tell() -> None:
    """Colour differences of +-255 arranged like the steepest basis function."""
    matrix = lapped_dct(32)
    steepest = matrix[np.argmax(np.abs(matrix).sum(1))]
    assert np.abs(steepest).sum() ** 2 * 255 == pytest.approx(1292, abs=1)
    signs = np.sign(np.outer(steepest, steepest))[None]
    for positive, negative in (((0,), (2,)), ((1,), (0, 2))):
        picture = np.zeros((1, 32, 32, 3), np.uint8)
        picture[..., positive] = 255 * (signs > 0)[..., None]
        picture[..., negative] = 255 * (signs < 0)[..., None]
        found = coefficients(picture)
        assert 1285 < np.abs(found).max() < 1300
        assert np.array_equal(pixels(found, 32, 32), picture)


# ------------------------------------------------------------------------------ errors and tables


def test_what_rounding_moved_is_taken_back() -> None:
    """Of coefficients that are known exactly: no place in a block is off on average."""
    for seed, kind in enumerate(("noise", "smooth")):
        random = np.random.default_rng(seed)
        picture = random.integers(20, 236, (300, 24, 24, 3))
        if kind == "smooth":
            small = random.integers(40, 216, (300, 3, 3, 3))
            wide = small.repeat(8, 1).repeat(8, 2) + np.arange(24)[:, None, None] % 8
            picture = wide + random.integers(0, 4, picture.shape)
        shown = expected_pixels(coefficients(picture.astype(np.uint8)) << 4, 24, 24, grey=False)
        error = shown.astype(int) - picture
        assert np.abs(error).max() <= 4
        inside = error[:, 4:-4, 4:-4].reshape(300, 4, 4, 4, 4, 3).mean((0, 1, 3))
        # Left alone, a block's corner is off by more than one.
        assert np.abs(inside).max() < 0.2
        assert np.mean(error**2) < 0.66


def test_grey_stays_grey() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1)).astype(np.uint8)
    found = coefficients(picture.repeat(3, -1)) << 4
    shown = expected_pixels(found, 16, 16, grey=True)
    assert np.array_equal(shown[..., 0], shown[..., 1])
    assert np.array_equal(shown[..., 0], shown[..., 2])
    assert abs((shown.astype(int) - picture).mean()) < 0.1


def unrounded(fine: NDArray[np.int32]) -> NDArray[np.float64]:
    """The inverse of coefficients in sixteenths, without any correction."""
    return np.asarray(_colours(*_planes(fine, FINE_BACK), middle=128 * 16, quarter=0) / 16)


@pytest.mark.parametrize("colour", range(3))
@pytest.mark.parametrize("sigma", [3, 8])
def test_errors_have_the_power_that_the_gain_says(colour: int, sigma: float) -> None:
    random = np.random.default_rng(colour)
    grey = np.full((6, 64, 64, 3), 128, np.uint8)
    found = coefficients(grey) << 4
    noise = np.zeros(found.shape)
    channels = slice(16 * colour, 16 * colour + 16)
    noise[..., channels] = random.normal(0, sigma, noise[..., channels].shape)
    shown = unrounded(found + np.rint(16 * noise).astype(np.int32))
    power = np.sum((shown - grey) ** 2)
    assert power == pytest.approx(np.sum((noise * GAIN) ** 2), rel=0.03)


def test_every_single_frequency_has_the_gain_of_its_colour() -> None:
    for channel in range(CHANNELS):
        found = np.zeros((1, 6, 6, CHANNELS), np.int32)
        found[0, 3, 2, channel] = 64 * 16
        shown = unrounded(found) - 128
        assert np.sum(shown**2) == pytest.approx((64 * GAIN[channel]) ** 2, rel=0.06)


@pytest.mark.parametrize("angle", [pi / 8, pi / 4, OVERLAP_ANGLE, 2 * OVERLAP_ANGLE])
def test_no_shear_factor_is_near_a_tie(angle: float) -> None:
    exact = np.array([tan(angle / 2), sin(angle)]) * (1 << 14)
    assert np.abs(exact % 1 - 0.5).min() > 0.01
    assert shear_factors(angle) == tuple(np.floor(exact + 0.5))
