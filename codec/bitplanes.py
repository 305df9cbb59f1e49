"""Bitplanes of 8-bit pictures, numbered as in the paper: 8 is the most significant, 1 the least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PLANES = tuple(range(8, 0, -1))
"""In the order in which they are coded."""


def split_plane(picture: NDArray[np.uint8], plane: int) -> NDArray[np.uint8]:
    """Bit b_i of every value: uint8 of the picture's shape, 0 or 1."""
    return (picture >> np.uint8(plane - 1)) & np.uint8(1)


def known_value(picture: NDArray[np.uint8], plane: int) -> NDArray[np.uint8]:
    """The planes 8 .. `plane` of a picture, lower bits zero: sum of b_k 2^(k-1) for k >= plane.

    With `plane` = 9 nothing is known and the result is 0.
    """
    mask = 0xFF << (plane - 1) & 0xFF
    return picture & np.uint8(mask)


def merge_plane(known: NDArray[np.uint8], bits: NDArray[np.uint8], plane: int) -> NDArray[np.uint8]:
    """Adds plane `plane` to the planes above it: known + bits 2^(plane-1)."""
    return known | (bits << np.uint8(plane - 1))
