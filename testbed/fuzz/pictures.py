"""Small pictures to begin with."""

from __future__ import annotations

import numpy as np

from codec.base import Image

SIZES = ((8, 8), (1, 1), (32, 32), (5, 19), (16, 12))


def some_pictures(sizes: tuple[tuple[int, int], ...] = SIZES) -> list[Image]:
    """One of each size, smooth with some noise; the last one is grey."""
    random = np.random.default_rng(0)
    found = []
    for height, width in sizes:
        y, x = (each[..., None] for each in np.mgrid[:height, :width])
        waves = 50 * np.sin(x / 6 + random.uniform(0, 6, 3)) + 40 * np.cos(y / 5)
        noisy = 128 + waves + random.normal(0, 12, (height, width, 3))
        found.append(noisy.clip(0, 255).astype(np.uint8))
    found[-1][:] = found[-1][..., :1].copy()
    return found
