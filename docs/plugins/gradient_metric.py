"""A metric: how similar the edges of two pictures are (mean gradient magnitude similarity).

    similarity = mean of (2 a b + c) / (a^2 + b^2 + c)

a and b are the lengths of Prewitt's gradient in the lumas of both pictures, halved in size (W. Xue,
L. Zhang, X. Mou, A. C. Bovik, "Gradient magnitude similarity deviation", IEEE Trans. Image Process.
23(2), 2014, which goes on to the deviation of what is averaged here).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import prewitt

from testbed.plugin_api import Metric, SourceImage, register_metric

LUMA = (0.299, 0.587, 0.114)


@register_metric("gradient_similarity")
@dataclass(frozen=True)
class GradientSimilarity(Metric):
    """Mean gradient magnitude similarity.

    Attributes:
        constant: c for values of 0 to 255: small differences of weak edges count little, over 0.
    """

    constant: float = 170.0

    column = "gradient_similarity"  # in trials.csv
    label = "gradient similarity"  # of an axis; with its unit in brackets, if it has one
    higher_is_better = True
    bounds = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not self.constant > 0:
            raise ValueError(f"constant: expected more than 0, found {self.constant}")

    def undefined(self, source: SourceImage) -> str:
        """Which pictures have no value: what is said here goes before "(..): nan"."""
        return "" if min(source.pixels.shape[:2]) >= 4 else "pictures of fewer than 4 pixels a side"

    def measure(self, source: SourceImage, picture: NDArray[np.uint8]) -> float:
        a, b = _edges(source.pixels), _edges(picture)
        return float(np.mean((2 * a * b + self.constant) / (a**2 + b**2 + self.constant)))


def _edges(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    luma = pixels.astype(np.float64) @ np.array(LUMA)
    height, width = (side // 2 * 2 for side in luma.shape)
    halved = luma[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    lengths: NDArray[np.float64] = np.hypot(prewitt(halved, 0), prewitt(halved, 1)) / 3
    return lengths
