"""Pictures as PNG files: lossless, the same bytes for the same pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from testbed.whole_file import whole_file


def write_png(path: Path, pixels: NDArray[np.uint8] | NDArray[np.bool_]) -> None:
    """uint8 (H, W, 3), RGB, or bool (H, W), 1 bit per pixel. Raises OutputError."""
    with whole_file(path) as partial:
        Image.fromarray(pixels).save(partial, format="PNG")
