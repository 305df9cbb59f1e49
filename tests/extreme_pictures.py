"""Pictures at the ends of what there is: what a codec meets rarely and must bear all the same."""

from __future__ import annotations

from itertools import product

import numpy as np


def structured(height: int, width: int) -> list[np.ndarray]:
    """Flat, checkered, stepped and striped pictures of extreme colours."""
    y, x = np.mgrid[:height, :width]
    checks = np.stack([(x + y) % 2, (x + y + 1) % 2, (x // 2 + y // 2) % 2], axis=-1)
    ramp = np.stack([x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), x * 0], axis=-1)
    step = np.stack([x > width // 2, y > height // 2, x > y], axis=-1)
    flat = [np.broadcast_to(colour, (height, width, 3)) for colour in product((0, 255), repeat=3)]
    return [each.astype(np.uint8) for each in (checks * 255, ramp, step * 255, *flat)]


def extreme_pictures(height: int, width: int) -> np.ndarray:
    """(B, height, width, 3): those, checkered noise of several sides, noise, single pixels."""
    random = np.random.default_rng(height * 1000 + width)
    found = structured(height, width)
    for side in (1, 2, 4, 8, 16):
        small = random.integers(0, 2, (-(-height // side), -(-width // side), 3))
        found.append(np.kron(small, np.ones((side, side, 1), int))[:height, :width] * 255)
    found.append(random.integers(0, 256, (height, width, 3)))
    dot = np.zeros((height, width, 3), int)
    dot[height // 2, width // 2] = 255
    return np.stack([*found, dot, 255 - dot]).astype(np.uint8)
