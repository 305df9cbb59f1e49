"""Those parts of the transform that come in two reversible versions.

    border        a b | c d, two pixels on each side of a border between blocks: their sums across
                  it stay, their differences are turned
    corner        4x4 pixels around a corner of blocks: `border` of rows and of columns
    odd           of a block's differences of opposite rows and columns: X11, X13, X31, X33

FINE, of numbers with fractional bits: Hadamard transforms and rotations by three shears
(lifting.py), whose roundings matter little there. WHOLE, of whole numbers, from which the exact
picture comes: elementary steps (elementary.py), about one rounding for each number, since roundings
are noise that has to be told. Both come near the same orthonormal matrices; `..._BACK` are their
inverses.

The DCT's other turns are rotations behind Hadamard transforms in both. Elementary steps would round
less there too, but of Hadamard transforms the networks know what was rounded: without loss the
others cost .018 bits per sub-pixel more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import cos, pi, sin, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from codec.embedded.elementary import ElementaryLifts, elementary_lifts
from codec.embedded.lifting import (
    Four,
    Integers,
    from_quads,
    quads_of,
    rotate,
    rotate_back,
    rotate_both,
    rotate_both_back,
)

Turn: TypeAlias = Callable[[Sequence[Integers]], Sequence[Integers]]

ANGLE = pi / 8
OVERLAP_ANGLE = -0.3
"""The best in steps of .1 for luma and for chroma of CIFAR-10's training half."""


@dataclass(frozen=True, slots=True)
class Turns:
    """All three, in one direction; each takes and gives 4 numbers, `corner` 16, row by row.

    Numbers are int32 arrays of one shape, of magnitudes below 2^15.
    """

    border: Turn
    corner: Turn
    odd: Turn


# ------------------------------------------------------------------------------------ rotations


def _border(x: Sequence[Integers], turn: Callable[..., tuple[Integers, Integers]]) -> Four:
    a, b, c, d = x
    outer, inner = a - d, b - c
    d, c = d + (outer >> 1), c + (inner >> 1)
    outer, inner = turn(outer, inner, OVERLAP_ANGLE)
    d, c = d - (outer >> 1), c - (inner >> 1)
    return d + outer, c + inner, c, d


def _corner(
    x: Sequence[Integers],
    turn: Callable[..., tuple[Integers, Integers]],
    turn_both: Callable[..., Four],
) -> list[Integers]:
    sums, rows, columns, both = quads_of(x)
    for j in (0, 1):
        rows[j], rows[2 + j] = turn(rows[j], rows[2 + j], OVERLAP_ANGLE)
        i = 2 * j
        columns[i], columns[i + 1] = turn(columns[i], columns[i + 1], OVERLAP_ANGLE)
    return from_quads(sums, rows, columns, turn_both(*both, angle=OVERLAP_ANGLE))


def _odd(x: Sequence[Integers]) -> Four:
    return rotate_both(*x, angle=ANGLE)


def _odd_back(x: Sequence[Integers]) -> Four:
    return rotate_both_back(*x, angle=ANGLE)


FINE = Turns(
    partial(_border, turn=rotate),
    partial(_corner, turn=rotate, turn_both=rotate_both),
    _odd,
)
FINE_BACK = Turns(
    partial(_border, turn=rotate_back),
    partial(_corner, turn=rotate_back, turn_both=rotate_both_back),
    _odd_back,
)


# ----------------------------------------------------------------------------- elementary steps


def _rotation(angle: float) -> NDArray[np.float64]:
    """Of (a, b) by `angle`, as lifting.rotate."""
    return np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])


def matrices() -> dict[str, NDArray[np.float64]]:
    """The orthonormal matrix of each field of `Turns`."""
    pairs = np.array([[1, 0, 0, 1], [0, 1, 1, 0], [1, 0, 0, -1], [0, 1, -1, 0]]) / sqrt(2)
    turn = np.eye(4)
    turn[2:, 2:] = _rotation(OVERLAP_ANGLE)
    border = pairs.T @ turn @ pairs
    rotation = _rotation(ANGLE)
    return {
        "border": border,
        "corner": np.asarray(np.kron(border, border), np.float64),
        "odd": np.asarray(np.kron(rotation, rotation), np.float64),
    }


ORDERS: dict[str, tuple[list[int], list[int], list[int]]] = {
    "border": ([1, 3, 2, 0], [1, 3, 2, 0], []),
    "corner": (
        [5, 9, 13, 1, 11, 0, 6, 3, 2, 7, 14, 8, 12, 10, 15, 4],
        [5, 4, 13, 1, 11, 0, 9, 3, 2, 7, 6, 8, 12, 10, 15, 14],
        [4, 6, 9],
    ),
    "odd": ([2, 3, 1, 0], [2, 3, 1, 0], []),
}
"""Inputs and outputs in the order of the steps, and which outputs are negated: of many tried, by
annealing, those with the least noise."""


def lifts() -> dict[str, ElementaryLifts]:
    """Of each field of `Turns`."""
    return {name: elementary_lifts(m, *ORDERS[name]) for name, m in matrices().items()}


_LIFTS = lifts()
WHOLE = Turns(**{name: each.forward for name, each in _LIFTS.items()})
WHOLE_BACK = Turns(**{name: each.back for name, each in _LIFTS.items()})
