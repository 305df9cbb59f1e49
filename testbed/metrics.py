"""How near a received picture is to the one that was sent: PSNR and SSIM, per picture, in float64.

Pictures are uint8 (height, width, 3), RGB. Averages over pictures are the caller's: of PSNR, in dB.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

PEAK = 255
FAILED_LEVEL = 128

SSIM_WINDOW = 11
_SSIM_SIGMA = 1.5
_SSIM_C1 = (0.01 * PEAK) ** 2
_SSIM_C2 = (0.03 * PEAK) ** 2


EXACT_PSNR_DB = 60.0
"""What an exactly reconstructed picture counts as in a mean; its own PSNR is infinite."""


def failed_picture(height: int, width: int) -> NDArray[np.uint8]:
    """What stands for a picture of which nothing could be decoded: grey 128 everywhere.

    It is the guess that a receiver without any information makes; counting such pictures with this
    quality, rather than leaving them out, keeps an average over pictures honest.
    """
    return np.full((height, width, 3), FAILED_LEVEL, dtype=np.uint8)


def psnr_db(reference: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
    """10 log10(255^2 / MSE), the mean being over all pixels and the three channels.

    Identical pictures: `math.inf`. Whoever averages decides what that counts for. Raises ValueError
    unless both are uint8 (height, width, 3) of one size.
    """
    _check(reference, picture)
    # Integers hold the sum exactly, so the result does not depend on how numpy adds.
    error = reference.astype(np.int64) - picture
    squares = int(np.vdot(error, error))
    if squares == 0:
        return math.inf
    return 10 * math.log10(PEAK**2 * error.size / squares)


def ssim(reference: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
    """Structural similarity (Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004), at most 1.

    Gaussian window of 11 x 11 with sigma 1.5, population covariance, K1 = .01, K2 = .03, only
    windows that lie wholly inside; each channel by itself, then the mean of the three.
    `math.nan` if a side is below 11 pixels: there SSIM is not defined. Raises ValueError as
    `psnr_db` does.
    """
    _check(reference, picture)
    if min(reference.shape[:2]) < SSIM_WINDOW:
        return math.nan
    x = reference.transpose(2, 0, 1).astype(np.float64)
    y = picture.transpose(2, 0, 1).astype(np.float64)
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _window_means(np.stack([x, y, x * x, y * y, x * y]))
    var_x = mean_xx - mean_x**2
    var_y = mean_yy - mean_y**2
    covariance = mean_xy - mean_x * mean_y
    similarity = (
        (2 * mean_x * mean_y + _SSIM_C1)
        * (2 * covariance + _SSIM_C2)
        / ((mean_x**2 + mean_y**2 + _SSIM_C1) * (var_x + var_y + _SSIM_C2))
    )
    return float(similarity.mean())


def _gaussian_window() -> NDArray[np.float64]:
    offsets = np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2
    weights = np.exp(-0.5 * (offsets / _SSIM_SIGMA) ** 2)
    window: NDArray[np.float64] = weights / weights.sum()
    return window


_WINDOW = _gaussian_window()


def _window_means(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means over all windows wholly inside: (..., H, W) to (..., H - 10, W - 10)."""
    margin = SSIM_WINDOW // 2
    rows = correlate1d(maps, _WINDOW, axis=-2)[..., margin:-margin, :]
    means: NDArray[np.float64] = correlate1d(rows, _WINDOW, axis=-1)[..., margin:-margin]
    return means


def _check(reference: NDArray[np.uint8], picture: NDArray[np.uint8]) -> None:
    for pixels in (reference, picture):
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ValueError(
                f"expected uint8 (height, width, 3), found {pixels.dtype} {pixels.shape}"
            )
    if reference.shape != picture.shape or reference.size == 0:
        raise ValueError(
            f"expected two pictures of one size, found {reference.shape} and {picture.shape}"
        )
