"""What a worker is given and what comes of it: open trials of one codec, and their outcomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbed.codec_sections import CodecSection
from testbed.images import SourceImage
from testbed.metric_registry import Metric
from testbed.packets import LayerLink
from testbed.transmission import Transmission
from testbed.trials import Trial


@dataclass(frozen=True)
class Work:
    """Open trials of one codec on images of one size; what a worker does at a time."""

    scenario: str
    seed: int
    max_bytes: int
    codec: CodecSection
    images: dict[int, SourceImage]
    """By the `image_index` of the trials."""
    trials: tuple[Trial, ...]
    metrics: tuple[Metric, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """One trial: what went over the link and the picture that the receiver shows.

    `picture` stands in for a picture that could not be decoded if `failed`.
    """

    trial: Trial
    budget_uses: int
    links: tuple[LayerLink, ...]
    transmission: Transmission
    picture: NDArray[np.uint8]
    layers_decoded: int
    failed: bool
