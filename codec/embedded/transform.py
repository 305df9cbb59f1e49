"""From pixels to coefficients and back: YCoCg-R, then a reversible lapped 4x4 DCT of each plane.

    R, G, B --> Y, Co, Cg --overlap--> --4x4 DCT--> 16 coefficients each, all by reversible steps

A picture of H x W becomes (ceil(H / 4), ceil(W / 4), 48) integers: what a network sees at an
eighth of the work. Both steps are reversible, so that a stream can end in the exact picture, and
near orthonormal, so that on the way there an error in a coefficient is an error of known size in
the picture (`GAIN`). A plane `k` of a coefficient stands for 2^k GAIN: the colours' gains differ by
less than a factor of two when chroma's planes are counted one lower than luma's (`schedule.py`).

The overlap mixes the four pixels around each border of two blocks: their sums across the border
stay, their differences are rotated. With the DCT behind it that is a lapped orthogonal transform:
basis functions eight pixels long that end smoothly.

Reversible, each step rounds to whole numbers, and a stream that ends before the last planes pays
for that with noise of a mean square of about .6 in its picture. Irreversible, the steps have
ESTIMATE_BITS fractional bits and only their results are rounded: a stream ends near the picture
and mostly not in it, but is better where it is cut, the more the longer it is. JPEG 2000 leaves
the same choice (ITU-T T.800, annex G).

Sources: Malvar and Sullivan, "YCoCg-R: a color space with RGB reversibility and low dynamic range"
(JVT-I014r3, 2003); Tran, Liang, Tu, "Lapped transform via time-domain pre- and post-filtering"
(IEEE Transactions on Signal Processing, 2003); the factorisation of the DCT into 2x2 Hadamard
transforms and rotations by pi/8 follows ITU-T T.832 (JPEG XR).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.embedded.lifting import (
    Integers,
    from_quads,
    hadamard,
    hadamard_back,
    quads_of,
    rotate,
    rotate_back,
)
from codec.embedded.turns import ANGLE, FINE, FINE_BACK, WHOLE, WHOLE_BACK, Turn, Turns

SIDE = 4
CHANNELS = 3 * SIDE * SIDE
"""Channel 16 k + 4 v + u: colour k (Y, Co, Cg), vertical frequency v, horizontal frequency u.

Channels with one of v, u equal to 1 and the other odd have the DCT's sign turned."""
LUMA_CHANNELS = SIDE * SIDE
"""The first ones; all others are 0 in a grey picture."""

GAIN: NDArray[np.float64] = np.repeat(np.sqrt([3.0, 0.5, 0.75]), SIDE * SIDE)
"""(48,): an error e in a coefficient is a squared error of (e GAIN)^2 in the picture, summed over
its red, green and blue values (nearly: the steps round)."""

_MIDDLE = 128
ESTIMATE_BITS = 4
"""Fractional bits of an estimated coefficient, and of the irreversible transform's steps."""
_ROUNDED_BY: NDArray[np.int32] = np.array(
    [[-8, 1, 7, 0], [1, 1, 7, 4], [6, 7, 1, 4], [0, 4, 3, 6]], np.int32
)
"""[i][j]: by how many sixteenths the exact inverse of a plane's coefficients is on average below
the inverse without rounding. The same for all colours, for thumbnails and for noise
(tests/test_embedded_transform.py)."""


def padded(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(B, H, W, 3) with the last row and column repeated up to multiples of SIDE."""
    height, width = pictures.shape[1:3]
    if height % SIDE == 0 and width % SIDE == 0:
        return pictures
    return np.pad(pictures, ((0, 0), (0, -height % SIDE), (0, -width % SIDE), (0, 0)), "edge")


def coefficients(pictures: NDArray[np.uint8], *, reversible: bool = True) -> NDArray[np.int32]:
    """(B, H, W, 3) uint8 -> (B, ceil(H/4), ceil(W/4), 48) int32, magnitudes below 1300."""
    if reversible:
        return _coefficients(pictures, 0)
    return (fine_coefficients(pictures) + (1 << ESTIMATE_BITS >> 1)) >> ESTIMATE_BITS


def fine_coefficients(pictures: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Those of the irreversible transform before they are rounded, in units of 2^-ESTIMATE_BITS."""
    return _coefficients(pictures, ESTIMATE_BITS)


def _coefficients(pictures: NDArray[np.uint8], fraction: int) -> NDArray[np.int32]:
    """In units of 2^-fraction, in which the steps round."""
    pixels = padded(pictures).astype(np.int32) << fraction
    red, green, blue = (pixels[..., k] for k in range(3))
    co = red - blue
    middle = blue + (co >> 1)
    cg = green - middle
    y = middle + (cg >> 1) - (_MIDDLE << fraction)
    turns = FINE if fraction else WHOLE
    for plane in (y, co, cg):
        _overlap(plane, turns)
    blocks = [_dct([plane[:, i::4, j::4] for i in range(4) for j in range(4)], turns)
              for plane in (y, co, cg)]  # fmt: skip
    return np.stack([block[v][u] for block in blocks for v in range(4) for u in range(4)], axis=-1)


def pixels(coefficient: NDArray[np.int32], height: int, width: int) -> NDArray[np.uint8]:
    """The exact inverse if reversible: (B, h, w, 48) int32 -> (B, height, width, 3) uint8.

    Of coefficients that no picture has, values are clipped to 0 .. 255.
    """
    picture = _colours(*_planes(coefficient, WHOLE_BACK), middle=_MIDDLE, quarter=0)
    return picture[:, :height, :width].clip(0, 255).astype(np.uint8)


def expected_pixels(
    coefficient: NDArray[np.int32], height: int, width: int, *, grey: bool, reversible: bool = True
) -> NDArray[np.uint8]:
    """The pictures (B, height, width, 3) to show for coefficients (B, h, w, 48) that are expected.

    They are in units of 2^-ESTIMATE_BITS, in which the steps hardly round. On the way from
    the picture those of the reversible transform did round, mostly downwards: what that moves a
    pixel by on average, depending on its place in the block, is taken back. grey: chroma is 0, and
    nothing of it was rounded.
    """
    planes = _planes(coefficient, FINE_BACK)
    if reversible:
        for plane in planes[:1] if grey else planes:
            rows, columns = (side // SIDE for side in plane.shape[1:])
            plane -= np.tile(_ROUNDED_BY, (rows, columns))
    one = 1 << ESTIMATE_BITS
    quarter = one // 4 if reversible and not grey else 0
    picture = _colours(*planes, middle=_MIDDLE * one, quarter=quarter)
    shown = (picture[:, :height, :width] + one // 2) >> ESTIMATE_BITS
    return shown.clip(0, 255).astype(np.uint8)


def _planes(coefficient: NDArray[np.int32], back: Turns) -> list[NDArray[np.int32]]:
    """Y (around 0), Co and Cg, (B, 4h, 4w) each."""
    planes = [_plane(coefficient[..., 16 * k : 16 * k + 16], back) for k in range(3)]
    for plane in planes:
        _overlap(plane, back)
    return planes


def _colours(
    y: NDArray[np.int32], co: NDArray[np.int32], cg: NDArray[np.int32], *, middle: int, quarter: int
) -> NDArray[np.int32]:
    """(B, 4h, 4w, 3). quarter: what halves of Cg and of Co were rounded down by on average."""
    between = y + np.int32(middle + quarter) - (cg >> 1)
    green = cg + between
    blue = between - (co >> 1) + np.int32(quarter)
    return np.stack([blue + co, green, blue], axis=-1)


def _overlap(plane: NDArray[np.int32], turns: Turns) -> None:
    """Filters (B, 4h, 4w) in place across the borders of blocks, or undoes it."""
    # Two rows and columns along each edge of the picture have no neighbours to be mixed with.
    middle, ends = slice(2, -2), (slice(None, 2), slice(-2, None))
    inner = plane[:, middle, middle]
    if inner.size:
        _turn([inner[:, i::4, j::4] for i in range(4) for j in range(4)], turns.corner)
    for end in ends:
        if plane.shape[2] > SIDE:
            _turn([plane[:, end, middle][:, :, j::4] for j in range(4)], turns.border)
        if plane.shape[1] > SIDE:
            _turn([plane[:, middle, end][:, i::4] for i in range(4)], turns.border)


def _turn(views: list[Integers], turn: Turn) -> None:
    """In place."""
    for view, value in zip(views, turn(views), strict=True):
        view[...] = value


def _dct(x: list[Integers], turns: Turns) -> list[list[Integers]]:
    """4x4 pixels of the blocks, row by row, to X[v][u]."""
    # Opposite rows and columns first: sums are even, differences odd frequencies.
    even, odd_rows, odd_columns, odd = quads_of(x)
    out: list[list[Integers]] = [[x[0]] * 4 for _ in range(4)]
    out[0][0], out[2][0], out[0][2], out[2][2] = hadamard(*even)
    # A Hadamard transform along both, and along one of them on from pi/4 to pi/8.
    a, c, b, d = hadamard(*odd_rows)
    out[1][0], out[3][0] = rotate(a, c, ANGLE)
    out[1][2], out[3][2] = rotate(b, d, ANGLE)
    a, b, c, d = hadamard(*odd_columns)
    out[0][1], out[0][3] = rotate(a, c, ANGLE)
    out[2][1], out[2][3] = rotate(b, d, ANGLE)
    out[1][1], out[1][3], out[3][1], out[3][3] = turns.odd(odd)
    return out


def _dct_back(out: list[list[Integers]], back: Turns) -> list[Integers]:
    even = hadamard_back(out[0][0], out[2][0], out[0][2], out[2][2])
    a, c = rotate_back(out[1][0], out[3][0], ANGLE)
    b, d = rotate_back(out[1][2], out[3][2], ANGLE)
    odd_rows = hadamard_back(a, c, b, d)
    a, c = rotate_back(out[0][1], out[0][3], ANGLE)
    b, d = rotate_back(out[2][1], out[2][3], ANGLE)
    odd_columns = hadamard_back(a, b, c, d)
    odd = back.odd([out[1][1], out[1][3], out[3][1], out[3][3]])
    return from_quads(even, odd_rows, odd_columns, odd)


def _plane(blocks: NDArray[np.int32], back: Turns) -> NDArray[np.int32]:
    """(B, h, w, 16) coefficients of one colour -> (B, 4h, 4w)."""
    x = _dct_back([[blocks[..., 4 * v + u] for u in range(4)] for v in range(4)], back)
    count, rows, columns = blocks.shape[:3]
    plane = np.empty((count, SIDE * rows, SIDE * columns), np.int32)
    for i in range(4):
        for j in range(4):
            plane[:, i::4, j::4] = x[4 * i + j]
    return plane
