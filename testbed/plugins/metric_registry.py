"""Metrics that a scenario can ask for beside PSNR and SSIM.

    metrics: [ms_ssim, {type: task, against: label}]

A metric is a frozen dataclass under its name in METRICS. Its fields are its keys in the YAML; what
its constructor refuses, with a ValueError, the scenario refuses, with the line (link_parts.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from channels.registry import add_to
from testbed.images import SourceImage

METRICS: dict[str, type[Metric]] = {}
"""By the names that scenarios use; metric_catalogue.py has those of the testbed."""

AnyMetric = TypeVar("AnyMetric", bound="type[Metric]")


class Metric(ABC):
    """What is measured of each received picture. Objects that are equal measure the same."""

    label: ClassVar[str]
    """Names an axis, with the unit in brackets."""
    higher_is_better: ClassVar[bool]
    bounds: ClassVar[tuple[float, float]]
    """Least and greatest value."""

    @property
    @abstractmethod
    def column(self) -> str:
        """Of trials.csv. Its own, also among metrics of one class that differ in their fields."""

    @property
    def content_sha256(self) -> str:
        """SHA-256 of the files that values depend on, such as weights; empty without any."""
        return ""

    def undefined(self, source: SourceImage) -> str:
        """What kind of pictures, `source` being one, have no value, and why; empty if it has one.

        Such as "32x32 pictures (both sides must be above 160 pixels)".
        """
        del source
        return ""

    @abstractmethod
    def measure(self, source: SourceImage, picture: NDArray[np.uint8]) -> float:
        """Of `picture`, uint8 and of the source's shape. Only called where it is defined."""

    def value(self, source: SourceImage, picture: NDArray[np.uint8]) -> float:
        """`measure`, or nan where it is not defined."""
        return float("nan") if self.undefined(source) else self.measure(source, picture)


def register_metric(name: str) -> Callable[[AnyMetric], AnyMetric]:
    """A decorator that enters a class into METRICS. ChannelError if another has the name."""
    return add_to(METRICS, "metric", name)
