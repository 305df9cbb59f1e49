"""The means of blocks as a pyramid, and a picture's coefficients by *parts*.

    means of blocks (h, w, 3) --2x2 Hadamard--> means (h/2, w/2, 3) and details (h/2, w/2, 9)
                                  --2x2 Hadamard--> ...                         down to (1, 1, 3)

What blocks have in common is told once and not once in each of them. The transforms are those of
`lifting.hadamard`, reversible and orthonormal up to roundings, so a plane of a detail stands for
as much of the picture as the same plane of a block's coefficient. Grids with an odd side repeat
their last row or column first.

Parts: the root (B, 1, 1, 3), then details from coarse to fine (B, h', w', 9), then blocks
(B, h, w, 48), in which the three channels of the means (schedule.MEANS) are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from codec.embedded.lifting import hadamard, hadamard_back
from codec.embedded.schedule import MEANS
from codec.embedded.transform import (
    CHANNELS,
    SIDE,
    coefficients,
    pixels,
)

Parts: TypeAlias = list[NDArray[np.int32]]
"""Of pictures of one size; see the top of this file."""

DETAILS = 9
COLOURS = 3


def grids(height: int, width: int) -> list[tuple[int, int]]:
    """(h, w) of each part of pictures with height x width pixels, the root first."""
    blocks = (-(-height // SIDE), -(-width // SIDE))
    means = [blocks]
    while max(means[0]) > 1:
        means.insert(0, (-(-means[0][0] // 2), -(-means[0][1] // 2)))
    # Details lie on the grid of the coarser of the two means that they go between.
    return [means[0], *means[:-1], blocks]


def empty_parts(count: int, height: int, width: int) -> Parts:
    """Zeros for so many pictures of height x width pixels."""
    sizes = grids(height, width)
    channels = [COLOURS, *[DETAILS] * (len(sizes) - 2), CHANNELS]
    return [np.zeros((count, *size, c), np.int32) for size, c in zip(sizes, channels, strict=True)]


def analyse(pictures: NDArray[np.uint8], *, reversible: bool = True) -> Parts:
    """(B, H, W, 3) -> its parts, by either of the transforms."""
    return split(coefficients(pictures, reversible=reversible))


def split(coefficient: NDArray[np.int32]) -> Parts:
    """Parts of what `transform.coefficients` gives, (B, h, w, 48)."""
    blocks = coefficient.copy()
    blocks[..., MEANS] = 0
    means, parts = coefficient[..., MEANS], [blocks]
    while max(means.shape[1:3]) > 1:
        odd = means.shape[1] % 2, means.shape[2] % 2
        wide = np.pad(means, ((0, 0), (0, odd[0]), (0, odd[1]), (0, 0)), "edge")
        means, *details = hadamard(
            wide[:, ::2, ::2], wide[:, ::2, 1::2], wide[:, 1::2, ::2], wide[:, 1::2, 1::2]
        )
        parts.insert(0, np.concatenate(details, axis=-1))
    return [means, *parts]


def finer_means(
    means: NDArray[np.int32], details: NDArray[np.int32], grid: Sequence[int]
) -> NDArray[np.int32]:
    """The means of `grid` from those a stage above, (B, h', w', 3), and its details."""
    count, rows, columns = means.shape[:3]
    out = np.empty((count, 2 * rows, 2 * columns, COLOURS), np.int32)
    quads = hadamard_back(means, details[..., :3], details[..., 3:6], details[..., 6:])
    for k, quad in enumerate(quads):
        out[:, k // 2 :: 2, k % 2 :: 2] = quad
    return np.ascontiguousarray(out[:, : grid[0], : grid[1]])


def block_means(parts: Parts) -> NDArray[np.int32]:
    """The means of blocks, (B, h, w, 3)."""
    means = parts[0]
    for part, finer in pairwise(parts[1:]):
        means = finer_means(means, part, finer.shape[1:3])
    return means


def joined(parts: Parts) -> NDArray[np.int32]:
    """The inverse of `split`."""
    coefficient = parts[-1].copy()
    coefficient[..., MEANS] = block_means(parts)
    return coefficient


def synthesise(parts: Parts, height: int, width: int) -> NDArray[np.uint8]:
    """The exact pictures (B, height, width, 3) from all of their parts, if they are reversible."""
    return pixels(joined(parts), height, width)
