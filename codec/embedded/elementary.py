"""Reversible integer versions of orthonormal matrices, with hardly more roundings than numbers.

A matrix of determinant 1 is a product of *elementary* steps, each of which adds to one number a
sum of multiples of all others: n + 1 steps for n numbers, if the last number begins. Rounded, each
sum moves one number by a whole one, and is undone by subtracting it again. Plane rotations need
three such steps for every two numbers and every angle, and the noise of every rounding stays.

In which order the numbers are taken, and which outputs come out negated, is free; it decides how
large the multiples are, and so how much of a step's noise the later ones spread.

Source: Hao and Shi, "Matrix factorizations for reversible integer mapping" (IEEE Transactions on
Signal Processing, 2001): single-row elementary reversible matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codec.embedded.lifting import Integers

BITS = 14
"""Fractional bits of the factors. None that is used lies within .001 of a tie, so they are rounded
alike on every machine (tests/test_embedded_turns.py)."""


@dataclass(frozen=True, slots=True)
class Step:
    """Adds round(sum of factors[k] 2^-BITS x[k]) to x[target].

    factors: (n,), whole numbers; factors[target] is 0.
    """

    target: int
    factors: NDArray[np.float64]

    def shift(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """By how much it moves x[target]. Exact: sums of integers below 2^53."""
        sums = np.tensordot(self.factors, x, 1)
        moved: NDArray[np.float64] = np.floor((sums + (1 << BITS >> 1)) / (1 << BITS))
        return moved


@dataclass(frozen=True, slots=True)
class ElementaryLifts:
    """A matrix as steps: output k is signs[k] times the number that is then at places[k]."""

    steps: tuple[Step, ...]
    places: NDArray[np.int64]
    signs: NDArray[np.float64]

    def forward(self, x: Sequence[Integers]) -> list[Integers]:
        """n arrays of one shape, magnitudes below 2^15 -> near the matrix times them."""
        numbers = np.stack(x).astype(np.float64)
        for step in self.steps:
            numbers[step.target] += step.shift(numbers)
        return list((numbers[self.places].T * self.signs).T.astype(np.int32))

    def back(self, y: Sequence[Integers]) -> list[Integers]:
        """The exact inverse of `forward`; any numbers of magnitudes below 2^20 are taken."""
        numbers = np.empty((len(y), *y[0].shape))
        numbers[self.places] = (np.stack(y).T * self.signs).T
        for step in reversed(self.steps):
            numbers[step.target] -= step.shift(numbers)
        return list(numbers.astype(np.int32))


def exact_factors(
    matrix: NDArray[np.float64], inputs: Sequence[int], outputs: Sequence[int]
) -> list[tuple[int, NDArray[np.float64]]]:
    """Each step's target and its factors in real numbers, (n,).

    The k-th step but the first makes of x[inputs[k]] what will be output outputs[k]. The first one
    prepares x[inputs[-1]] such that all others can add a whole one of the number that they move.

    Raises ValueError if this order has no such steps, or the determinant is not 1.
    """
    wanted = matrix[np.ix_(outputs, inputs)]
    n = len(wanted)
    first, left = np.zeros(n), wanted.copy()
    for m in range(n - 1):
        if abs(left[m, m] - 1) > 1e-9:
            if abs(left[m, -1]) < 1e-9:
                raise ValueError("no elementary steps in this order")
            first[m] = (left[m, m] - 1) / left[m, -1]
        left[:, m] -= first[m] * left[:, -1]
        left[m + 1 :] -= np.outer(left[m + 1 :, m], left[m])
    if abs(left[-1, -1] - 1) > 1e-6:
        raise ValueError("expected a determinant of 1")
    found = [(n - 1, first)]
    rows = wanted - np.outer(wanted[:, -1], first)
    state = np.eye(n)
    for m in range(n):
        factors = np.linalg.solve(state.T, rows[m])
        factors[m] = 0
        found.append((m, factors))
        state[m] = rows[m]
    order = np.argsort(inputs)
    return [(inputs[m], factors[order]) for m, factors in found]


def elementary_lifts(
    matrix: NDArray[np.float64],
    inputs: Sequence[int],
    outputs: Sequence[int],
    negated: Sequence[int] = (),
) -> ElementaryLifts:
    """Of an (n, n) matrix. inputs, outputs: the order of both; negated: outputs come so.

    With the outputs `negated` its determinant is 1. Raises ValueError as `exact_factors` does.
    """
    signs = np.ones(len(matrix))
    signs[list(negated)] = -1
    steps = exact_factors(signs[:, None] * matrix, inputs, outputs)
    places = np.empty(len(matrix), np.int64)
    places[list(outputs)] = inputs
    return ElementaryLifts(
        tuple(Step(m, np.round(factors * (1 << BITS))) for m, factors in steps), places, signs
    )
