"""PSNR by its formula, SSIM against scikit-image's, MS-SSIM against values of pytorch-msssim."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from testbed.evaluation.metrics import failed_picture, ms_ssim, psnr_db, psnr_y_db, ssim


def pair(height: int, width: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    reference = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
    smooth = (np.cumsum(np.cumsum(reference - 127.5, axis=0), axis=1) / 20 + 128) % 256
    other = np.clip(smooth + random.normal(0, noise, smooth.shape), 0, 255)
    return smooth.astype(np.uint8), other.astype(np.uint8)


def scikit_ssim(reference: np.ndarray, picture: np.ndarray) -> float:
    _, similarity = structural_similarity(
        reference,
        picture,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2,
        full=True,
    )
    return float(similarity[5:-5, 5:-5].mean())


@pytest.mark.parametrize("size", [(32, 32), (11, 11), (12, 40), (97, 64)])
@pytest.mark.parametrize("noise", [0.3, 5, 30, 200])
def test_ssim_is_scikit_image_s(size: tuple[int, int], noise: float) -> None:
    for seed in range(5):
        reference, picture = pair(*size, noise, seed)
        assert ssim(reference, picture) == pytest.approx(scikit_ssim(reference, picture), abs=1e-10)


def test_ssim_of_flat_pictures() -> None:
    black, white = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 255, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert ssim(black, white) == pytest.approx(c1 / (255**2 + c1))
    assert ssim(white, white) == 1


def test_ssim_of_a_picture_with_itself_is_one() -> None:
    reference, _ = pair(32, 32, 0)
    assert ssim(reference, reference) == 1


@pytest.mark.parametrize("size", [(10, 32), (32, 10), (1, 1)])
def test_ssim_is_not_defined_on_tiny_pictures(size: tuple[int, int]) -> None:
    reference, picture = pair(*size, 5)
    assert math.isnan(ssim(reference, picture))
    assert math.isfinite(psnr_db(reference, picture)) or np.array_equal(reference, picture)


def test_psnr() -> None:
    reference = np.zeros((4, 5, 3), np.uint8)
    picture = reference.copy()
    assert psnr_db(reference, picture) == math.inf
    picture[0, 0, 0] = 255
    assert psnr_db(reference, picture) == pytest.approx(10 * math.log10(60))
    assert psnr_db(reference, picture) == psnr_db(picture, reference)
    assert psnr_db(reference, np.full_like(reference, 255)) == 0


def test_psnr_of_luma() -> None:
    reference, picture = pair(17, 20, 5)
    weights = np.array([0.299, 0.587, 0.114])
    error = (reference.astype(float) - picture) @ weights
    expected = 10 * math.log10(255**2 / np.mean(error**2))
    assert psnr_y_db(reference, picture) == pytest.approx(expected, abs=1e-9)
    assert psnr_y_db(reference, reference) == math.inf
    # Grey pictures: luma is the picture.
    grey = np.repeat(reference[..., :1], 3, axis=2), np.repeat(picture[..., :1], 3, axis=2)
    assert psnr_y_db(*grey) == pytest.approx(psnr_db(*grey), abs=1e-9)


@pytest.mark.parametrize(
    ("size", "noise", "expected"),
    [
        # pytorch-msssim 1.0.0 in double precision; its window is rounded to single precision.
        ((161, 161), 5, 0.9989585188), ((161, 161), 200, 0.5387316189),
        ((176, 200), 30, 0.9693678183), ((255, 163), 5, 0.9989178643),
        ((255, 163), 200, 0.5242952525), ((256, 384), 30, 0.9684296275),
    ],
)  # fmt: skip
def test_ms_ssim(size: tuple[int, int], noise: float, expected: float) -> None:
    assert ms_ssim(*pair(*size, noise, 1)) == pytest.approx(expected, abs=2e-6)


def test_ms_ssim_needs_more_than_160_pixels() -> None:
    assert math.isnan(ms_ssim(*pair(160, 300, 5)))
    assert math.isnan(ms_ssim(*pair(32, 32, 5)))
    reference, _ = pair(161, 170, 0)
    assert ms_ssim(reference, reference) == pytest.approx(1, abs=1e-12)


def test_what_cannot_be_compared_is_refused() -> None:
    good = np.zeros((32, 32, 3), np.uint8)
    for bad in (good[:31], good[..., 0], good.astype(float), good[..., [0, 1, 2, 2]], good[:0]):
        for metric in (psnr_db, psnr_y_db, ssim, ms_ssim):
            with pytest.raises(ValueError, match="expected"):
                metric(good, bad)


def test_the_failed_picture_is_mid_grey() -> None:
    picture = failed_picture(3, 5)
    assert picture.dtype == np.uint8
    assert picture.shape == (3, 5, 3)
    assert np.all(picture == 128)


def test_ssim_is_quick_on_small_pictures() -> None:
    reference, picture = pair(32, 32, 5)
    times_s = []
    for _ in range(50):
        start_s = time.process_time()
        ssim(reference, picture)
        times_s.append(time.process_time() - start_s)
    # Ten times the goal of half a millisecond: a guard against a change of order, not a benchmark.
    assert min(times_s) < 5e-3
