"""Lifting: whatever integers go in come back, and the result is near the real transform."""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.embedded.lifting import (
    hadamard,
    hadamard_back,
    rotate,
    rotate_back,
    rotate_both,
    rotate_both_back,
    shear_factors,
)

ANGLES = (pi / 8, -0.3)
# Twice the largest coefficient, in sixteenths: what decoding a cut stream works with.
VALUES = st.integers(-(1 << 14), 1 << 14)
FOURS = st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), min_size=1, max_size=20)


def columns(rows: list[tuple[int, ...]]) -> list[np.ndarray]:
    return list(np.array(rows, np.int32).T)


@pytest.mark.parametrize("angle", [*ANGLES, 2 * ANGLES[0], 2 * ANGLES[1]])
@given(rows=FOURS)
def test_rotations_come_back(angle: float, rows: list[tuple[int, ...]]) -> None:
    a, b, _, _ = columns(rows)
    rotated = rotate(a, b, angle)
    assert np.array_equal(rotate_back(*rotated, angle), (a, b))
    exact = a * cos(angle) + b * sin(angle), b * cos(angle) - a * sin(angle)
    # Three roundings of a half, and factors rounded to 2^-14 of values up to 2^15.
    assert np.abs(np.subtract(rotated, exact)).max() < 5


@given(rows=FOURS)
def test_the_hadamard_transform_comes_back(rows: list[tuple[int, ...]]) -> None:
    four = columns(rows)
    forward = hadamard(*four)
    assert np.array_equal(hadamard_back(*forward), four)
    signs = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    assert np.abs(np.array(forward) - signs @ np.array(four) / 2).max() <= 1


@pytest.mark.parametrize("angle", ANGLES)
@given(rows=FOURS)
def test_rotations_of_rows_and_columns_come_back(angle: float, rows: list[tuple[int, ...]]) -> None:
    four = columns(rows)
    forward = rotate_both(*four, angle=angle)
    assert np.array_equal(rotate_both_back(*forward, angle=angle), four)
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    block = np.array(four, float).reshape(2, 2, -1)
    exact = np.einsum("ij,jkn,lk->iln", turn, block, turn).reshape(4, -1)
    assert np.abs(np.array(forward) - exact).max() < 8


def test_transforms_leave_their_arguments_alone() -> None:
    four = columns([(1, -2, 3, -4), (5, 6, 7, 8)])
    before = [each.copy() for each in four]
    hadamard_back(*hadamard(*four))
    rotate_back(*rotate(four[0], four[1], 0.4), 0.4)
    rotate_both_back(*rotate_both(*four, angle=0.4), angle=0.4)
    assert np.array_equal(four, before)


def test_shear_factors_are_tangents_and_sines() -> None:
    outer, inner = shear_factors(pi / 8)
    assert outer / (1 << 14) == pytest.approx(sin(pi / 16) / cos(pi / 16), abs=2**-15)
    assert inner / (1 << 14) == pytest.approx(sin(pi / 8), abs=2**-15)
