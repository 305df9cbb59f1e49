"""What tests of the embedded profile's training share: pictures, linear predictions, files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codec.embedded.networks import Size
from codec.training.embedded_linear import Linear, fit_linear
from testbed.images import load_images

SMALL = Size(24, 1, 16)
"""Networks that are fast; of details they are as large as ever."""


@cache
def packaged_pictures() -> NDArray[np.uint8]:
    """(24, 32, 32, 3)."""
    return np.stack([image.pixels for image in load_images("samples32", Path())])


@cache
def their_linear() -> Linear:
    return fit_linear(packaged_pictures())


def write_cifar(folder: Path) -> None:
    """Files in CIFAR-10's binary layout: five batches of 12 of the packaged pictures."""
    samples = packaged_pictures()
    for k in range(5):
        chosen = samples[np.arange(12 * k, 12 * k + 12) % len(samples)]
        records = np.zeros((12, 3073), np.uint8)
        records[:, 1:] = chosen.transpose(0, 3, 1, 2).reshape(12, -1)
        (folder / f"data_batch_{k + 1}.bin").write_bytes(records.tobytes())
