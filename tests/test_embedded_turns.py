"""Turns of the transform: elementary steps and rotations against what they stand for."""

from __future__ import annotations

from dataclasses import fields
from math import cos, pi, sin
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from codec.embedded.elementary import BITS, elementary_lifts, exact_factors
from codec.embedded.turns import FINE, FINE_BACK, ORDERS, WHOLE, WHOLE_BACK, Turns, lifts, matrices

NAMES = [field.name for field in fields(Turns)]


def border() -> NDArray[np.float64]:
    """Written out: half of the sums stays, half of the differences is turned by -.3."""
    found = np.zeros((4, 4))
    for k in (0, 1):
        for i in (k, 3 - k):
            for j in (k, 3 - k):
                same = 1 if i == j else -1
                found[i, j] = 0.5 + 0.5 * same * cos(-0.3)
    # The outer difference a - d takes sin of the inner one b - c, and that -sin of the outer.
    for i, j, sign in ((0, 1, 1), (0, 2, -1), (3, 1, -1), (3, 2, 1)):
        found[i, j] = 0.5 * sign * sin(-0.3)
        found[j, i] = -0.5 * sign * sin(-0.3)
    return found


def odd() -> NDArray[np.float64]:
    """Frequencies 1 and 3 of the differences of opposite pixels, the latter negated."""
    dct = [[cos(pi * (2 * i + 1) * v / 8) for i in range(2)] for v in (1, 3)]
    return np.array(dct)


def real(name: str) -> NDArray[np.float64]:
    """What a turn stands for."""
    if name in ("border", "corner"):
        return border() if name == "border" else np.kron(border(), border())
    # X11, X13, X31, X33: frequency 3 has the sign turned, so X33 has it turned twice.
    turned = odd() * [[1], [-1]]
    return np.kron(turned, turned)


def test_the_matrices_are_those_of_the_lapped_dct() -> None:
    found = matrices()
    assert np.allclose(found["border"], real("border"))
    assert np.allclose(found["corner"], real("corner"))
    # Of both differences the pixels come as had leaves them, turned by pi / 8 along each.
    c, s = cos(pi / 8), sin(pi / 8)
    assert np.allclose(found["odd"], np.kron([[c, s], [-s, c]], [[c, s], [-s, c]]))


def with_signs(name: str) -> NDArray[np.float64]:
    """The matrix that the steps make, some outputs negated."""
    matrix = matrices()[name]
    matrix[ORDERS[name][2]] *= -1
    return matrix


@pytest.mark.parametrize("name", NAMES)
def test_exact_steps_make_the_matrix(name: str) -> None:
    inputs, outputs, _ = ORDERS[name]
    matrix = with_signs(name)
    product = np.eye(len(matrix))
    steps = exact_factors(matrix, inputs, outputs)
    assert len(steps) == len(matrix) + 1
    for target, factors in steps:
        assert factors[target] == 0
        step = np.eye(len(matrix))
        step[target] += factors
        product = step @ product
    assert np.allclose(product[inputs], matrix[outputs])


@pytest.mark.parametrize("name", NAMES)
def test_no_factor_is_near_a_tie(name: str) -> None:
    inputs, outputs, _ = ORDERS[name]
    for _, factors in exact_factors(with_signs(name), inputs, outputs):
        assert np.abs(factors * (1 << BITS) % 1 - 0.5).min() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_both_versions_are_near_the_matrix(name: str) -> None:
    """Whole numbers by elementary steps within a noise of 1.5 roundings a number."""
    matrix = real(name)
    x = np.random.default_rng(1).integers(-400, 400, (len(matrix), 40_000)).astype(np.int32)
    product = matrix @ x
    whole = np.stack(getattr(WHOLE, name)(list(x))) - product
    assert 12 * whole.var() < 1.5
    fine = np.stack(getattr(FINE, name)(list(x << 4))) / 16 - product
    assert np.abs(fine).max() < 0.25


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_numbers_come_back(name: str, data: st.DataObject) -> None:
    size = len(real(name))
    values = data.draw(st.lists(st.integers(-2000, 2000), min_size=size, max_size=size))
    x = [np.array([value], np.int32) for value in values]
    for forward, back in ((WHOLE, WHOLE_BACK), (FINE, FINE_BACK)):
        found = getattr(back, name)(getattr(forward, name)(x))
        assert [int(each[0]) for each in found] == values
        assert all(each.dtype == np.int32 for each in found)


def test_the_bitstream_s_description_has_these_steps() -> None:
    text = (Path(__file__).parents[1] / "docs" / "bitstream.md").read_text()
    for name, found in lifts().items():
        signs = ["-" if sign < 0 else "" for sign in found.signs]
        outputs = [f"{sign}x{at}" for sign, at in zip(signs, found.places, strict=True)]
        lines = [f"    {name}"]
        for step in found.steps:
            factors = " ".join(f"{int(factor)}" for factor in step.factors)
            lines.append(f"    {step.target:4d}  {factors}")
        lines.append("    out   " + " ".join(outputs))
        assert "\n".join([*lines, ""]) in text


def test_an_order_without_steps_is_refused() -> None:
    exchange = np.array([[0.0, 1.0], [-1.0, 0.0]])
    with pytest.raises(ValueError, match="order"):
        elementary_lifts(np.diag([2.0, 0.5]), [0, 1], [0, 1])
    with pytest.raises(ValueError, match="determinant"):
        elementary_lifts(2 * exchange, [0, 1], [0, 1])
