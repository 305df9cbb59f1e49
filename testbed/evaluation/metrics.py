"""How near a received picture is to the one that was sent, per picture, in float64.

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
_SCALE_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_SIDE = (SSIM_WINDOW - 1) * 2 ** (len(_SCALE_EXPONENTS) - 1)
"""MS-SSIM needs longer sides than this: 160 pixels."""
_LUMA_THOUSANDTHS = np.array([299, 587, 114])


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


def psnr_y_db(reference: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
    """PSNR of the luma .299 R + .587 G + .114 B (ITU-R BT.601), unrounded, of full range.

    Identical luma: `math.inf`. Raises ValueError as `psnr_db` does.
    """
    _check(reference, picture)
    # In thousandths, so that the sum is exact.
    error = (reference.astype(np.int64) - picture) @ _LUMA_THOUSANDTHS
    squares = int(np.vdot(error, error))
    if squares == 0:
        return math.inf
    return 10 * math.log10(PEAK**2 * 1e6 * error.size / squares)


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
    return float(_ssim_maps(_planes(reference), _planes(picture))[0].mean())


def ms_ssim(reference: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
    """Multi-scale structural similarity (Wang, Simoncelli, Bovik, Asilomar 2003), 0 .. 1.

    Five scales, each half the one before (means of 2 x 2 pixels, odd sides padded by a zero at
    either end), with the paper's exponents; windows and constants as in `ssim`; a channel's mean
    contrast below 0 counts as 0; each channel by itself, then the mean of the three.
    `math.nan` if a side is not above MS_SSIM_SIDE pixels: there MS-SSIM is not defined. Raises
    ValueError as `psnr_db` does.
    """
    _check(reference, picture)
    if min(reference.shape[:2]) <= MS_SSIM_SIDE:
        return math.nan
    x, y = _planes(reference), _planes(picture)
    product = np.ones(3)
    for scale, exponent in enumerate(_SCALE_EXPONENTS, 1):
        similarity, structure = _ssim_maps(x, y)
        last = scale == len(_SCALE_EXPONENTS)
        means = (similarity if last else structure).mean((1, 2))
        product *= np.maximum(means, 0.0) ** exponent
        x, y = _halved(x), _halved(y)
    return float(product.mean())


def _planes(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    return picture.transpose(2, 0, 1).astype(np.float64)


def _ssim_maps(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Similarity, and its part without luminance, of every window of planes (C, H, W)."""
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _window_means(np.stack([x, y, x * x, y * y, x * y]))
    var_x = mean_xx - mean_x**2
    var_y = mean_yy - mean_y**2
    covariance = mean_xy - mean_x * mean_y
    structure, most = 2 * covariance + _SSIM_C2, var_x + var_y + _SSIM_C2
    similarity = (
        (2 * mean_x * mean_y + _SSIM_C1) * structure / ((mean_x**2 + mean_y**2 + _SSIM_C1) * most)
    )
    return similarity, structure / most


def _halved(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of 2 x 2 pixels."""
    _, height, width = planes.shape
    padded = np.pad(planes, ((0, 0), (height % 2, height % 2), (width % 2, width % 2)))
    height, width = padded.shape[1] // 2 * 2, padded.shape[2] // 2 * 2
    whole = padded[:, :height, :width].reshape(3, height // 2, 2, width // 2, 2)
    means: NDArray[np.float64] = whole.mean((2, 4))
    return means


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
