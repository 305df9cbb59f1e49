"""Reversible integer versions of orthonormal transforms, by lifting.

A shear adds to one number a rounded function of another, and is undone by subtracting the same.
A rotation is three shears; the normalised 2x2 Hadamard transform needs a single rounding. So
integers go to integers, near what the orthonormal transform would give, and come back exactly.

Everything works element by element on int32 arrays of equal shapes. Sources: Daubechies and
Sweldens, "Factoring wavelet transforms into lifting steps" (1998), for rotations; the Hadamard
transform is the operator T_h of ITU-T T.832 (JPEG XR), clause 9.9.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sin, tan
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.int32]
Four: TypeAlias = tuple[Integers, Integers, Integers, Integers]

_BITS = 14
"""Fractional bits of the shears' factors. No factor used here lies within .01 of a tie, so the
rounding below is the same on every machine (tests/test_embedded_transform.py)."""
_HALF = 1 << (_BITS - 1)
_QUARTER = ((0, 0), (0, 1), (1, 0), (1, 1))


def shear_factors(angle: float) -> tuple[int, int]:
    """tan(angle / 2) and sin(angle) in units of 2^-14."""
    return round(tan(angle / 2) * (1 << _BITS)), round(sin(angle) * (1 << _BITS))


def _times(x: Integers, factor: int) -> Integers:
    product: Integers = (x * np.int32(factor) + np.int32(_HALF)) >> np.int32(_BITS)
    return product


def rotate(a: Integers, b: Integers, angle: float) -> tuple[Integers, Integers]:
    """(a cos + b sin, b cos - a sin), rounded; |a|, |b| < 2^15."""
    outer, inner = shear_factors(angle)
    a = a + _times(b, outer)
    b = b - _times(a, inner)
    return a + _times(b, outer), b


def rotate_back(a: Integers, b: Integers, angle: float) -> tuple[Integers, Integers]:
    """The exact inverse of `rotate`."""
    outer, inner = shear_factors(angle)
    a = a - _times(b, outer)
    b = b + _times(a, inner)
    return a - _times(b, outer), b


def hadamard(a: Integers, b: Integers, c: Integers, d: Integers) -> Four:
    """Of the block [[a, b], [c, d]]: half of a+b+c+d, a+b-c-d, a-b+c-d and a-b-c+d."""
    a, b = a + d, b - c
    half = (a - b) >> 1
    c, d = half - d, half - c
    return a - d, b + c, c, d


def hadamard_back(a: Integers, b: Integers, c: Integers, d: Integers) -> Four:
    """The exact inverse of `hadamard`."""
    b, a = b - c, a + d
    half = (a - b) >> 1
    c, d = half - d, half - c
    return a - d, b + c, c, d


def quads_of(x: Sequence[Integers]) -> list[list[Integers]]:
    """Of 4x4 numbers, row by row: sums, differences of rows, of columns and of both, four each.

    Opposite rows and columns are paired; the four are those of the upper left quarter.
    """
    quads = [
        hadamard(x[4 * i + j], x[4 * i + 3 - j], x[12 - 4 * i + j], x[15 - 4 * i - j])
        for i, j in _QUARTER
    ]
    return [list(part) for part in zip(*quads, strict=True)]


def from_quads(*parts: Sequence[Integers]) -> list[Integers]:
    """The inverse of `quads_of`."""
    x: list[Integers] = [parts[0][0]] * 16
    for (i, j), quad in zip(_QUARTER, zip(*parts, strict=True), strict=True):
        four = hadamard_back(*quad)
        x[4 * i + j], x[4 * i + 3 - j], x[12 - 4 * i + j], x[15 - 4 * i - j] = four
    return x


def _paired(a: Integers, b: Integers, c: Integers, d: Integers) -> Four:
    """a - d, (b - c) / 2, b + c, (a + d) / 2."""
    a = a - d
    c = c + b
    return a, b - (c >> 1), c, d + (a >> 1)


def _unpaired(a: Integers, b: Integers, c: Integers, d: Integers) -> Four:
    b = b + (c >> 1)
    d = d - (a >> 1)
    return a + d, b, c - b, d


def rotate_both(a: Integers, b: Integers, c: Integers, d: Integers, *, angle: float) -> Four:
    """The block [[a, b], [c, d]] with rows and then columns rotated by `angle`.

    On the pair (a - d, b + c) that is a rotation by twice the angle; a + d and b - c stay.
    """
    a, b, c, d = _paired(a, b, c, d)
    a, c = rotate(a, c, 2 * angle)
    return _unpaired(a, b, c, d)


def rotate_both_back(a: Integers, b: Integers, c: Integers, d: Integers, *, angle: float) -> Four:
    """The exact inverse of `rotate_both`."""
    a, b, c, d = _paired(a, b, c, d)
    a, c = rotate_back(a, c, 2 * angle)
    return _unpaired(a, b, c, d)
