"""The metrics of the testbed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from testbed.evaluation.metrics import MS_SSIM_SIDE, ms_ssim, psnr_y_db
from testbed.images import SourceImage
from testbed.plugins.metric_registry import METRICS, Metric, register_metric

if TYPE_CHECKING:
    from testbed.evaluation.lpips import LpipsNetwork

# torch is imported where it is needed: scenarios are checked without.
__all__ = ["METRICS", "Lpips", "MsSsim", "PsnrY", "Task"]


@register_metric("psnr_y_db")
@dataclass(frozen=True)
class PsnrY(Metric):
    """PSNR of the luma: see `metrics.psnr_y_db`."""

    column = "psnr_y_db"
    label = "PSNR of luma (dB)"
    higher_is_better = True
    bounds = (0.0, math.inf)

    def measure(self, source: SourceImage, picture: NDArray[np.uint8]) -> float:
        return psnr_y_db(source.pixels, picture)


@register_metric("ms_ssim")
@dataclass(frozen=True)
class MsSsim(Metric):
    """Multi-scale SSIM: see `metrics.ms_ssim`."""

    column = "ms_ssim"
    label = "MS-SSIM"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def undefined(self, source: SourceImage) -> str:
        if min(source.pixels.shape[:2]) > MS_SSIM_SIDE:
            return ""
        return f"{_size(source)} pictures (both sides must be above {MS_SSIM_SIDE} pixels)"

    def measure(self, source: SourceImage, picture: NDArray[np.uint8]) -> float:
        return ms_ssim(source.pixels, picture)


@register_metric("task")
@dataclass(frozen=True)
class Task(Metric):
    """Whether a classifier of CIFAR-10's classes (codec/classifier.py) still sees what it should:
    1 or 0, so that a mean is an accuracy.

    A failed picture is judged as it is shown, mid-grey, of which the classifier always says the
    same. The classifier takes pictures of any size, but has learned from 32x32 alone.

    Attributes:
        against: "label", the class that the data set says; or "original", the class that the
            classifier sees in the picture that was sent.
    """

    against: Literal["label", "original"] = "label"

    label = "recognised pictures (share)"
    higher_is_better = True
    bounds = (0.0, 1.0)

    @property
    def column(self) -> str:
        return f"task_{self.against}"

    @property
    def content_sha256(self) -> str:
        from codec.classifier import load_classifier

        return load_classifier()[1]

    def undefined(self, source: SourceImage) -> str:
        missing = self.against == "label" and source.label is None
        return "pictures without a label (use against: original)" if missing else ""

    def measure(self, source: SourceImage, picture: NDArray[np.uint8]) -> float:
        from codec.classifier import class_of

        wanted = source.label if self.against == "label" else _class_of(source)
        return float(class_of(picture) == wanted)


@register_metric("lpips")
@dataclass(frozen=True)
class Lpips(Metric):
    """Learned perceptual distance: see lpips.py, also for how `weights` is made.

    Attributes:
        weights: the file with the published weights. Has no useful default.
    """

    weights: Path = Path()

    column = "lpips"
    label = "LPIPS (lower is better)"
    higher_is_better = False
    bounds = (0.0, math.inf)

    def __post_init__(self) -> None:
        if self.weights == Path():
            raise ValueError("weights: expected the path of a safetensors file, found none")
        self._network()

    def _network(self) -> tuple[LpipsNetwork, str]:
        from testbed.evaluation.lpips import load_lpips

        return load_lpips(self.weights)

    @property
    def content_sha256(self) -> str:
        return self._network()[1]

    def undefined(self, source: SourceImage) -> str:
        from testbed.evaluation.lpips import LEAST_SIDE

        if min(source.pixels.shape[:2]) >= LEAST_SIDE:
            return ""
        return f"{_size(source)} pictures (both sides must be at least {LEAST_SIDE} pixels)"

    def measure(self, source: SourceImage, picture: NDArray[np.uint8]) -> float:
        return self._network()[0].distance(source.pixels, picture)


@lru_cache(maxsize=64)
def _class_of(source: SourceImage) -> int:
    from codec.classifier import class_of

    return class_of(source.pixels)


def _size(source: SourceImage) -> str:
    height, width = source.pixels.shape[:2]
    return f"{width}x{height}"
