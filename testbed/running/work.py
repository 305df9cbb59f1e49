"""What a worker is given and what comes of it: open trials of one codec, and their outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testbed.images import SourceImage
from testbed.language.codec_sections import CodecSection
from testbed.plugins.metric_registry import Metric
from testbed.running.stream_cache import CacheUse
from testbed.running.trials import Trial
from testbed.sending.packets import LayerLink
from testbed.sending.transmission import Transmission

Row = dict[str, Any]
"""What one trial gives: see `testbed.sending.simulation`."""


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
    case: str = ""
    fingerprint: str = ""
    """Of the codec: see `registry.codec_fingerprint`."""


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


@dataclass(frozen=True)
class Failure:
    """A trial that raised an error twice. `error` is one line."""

    trial_id: str
    case: str
    codec: str
    image: str
    repetition: int
    channel: str
    snr_db: float
    error: str

    def content(self) -> dict[str, Any]:
        """For the journal: plain values."""
        return asdict(self)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Failure:
        """From `content()`. TypeError for other keys."""
        return cls(**content)


STAGES = ("encode", "plan", "link", "decode", "measure")


@dataclass
class Seconds:
    """Where a work's time went, by STAGES; wall clock of the process that did it."""

    by_stage: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    def add(self, other: Seconds) -> None:
        for stage, seconds in other.by_stage.items():
            self.by_stage[stage] += seconds


@dataclass(frozen=True)
class WorkResult:
    """What came of a work: a row or a failure for each of its trials.

    lines: the rows as the journal has them, so that the process that keeps it has only to append.
    """

    codec: str
    lines: list[bytes]
    failures: list[Failure]
    seconds: Seconds
    tracebacks: tuple[str, ...] = ()
    """Of the failures, for the log."""
    cache: CacheUse = field(default_factory=CacheUse)
    """What came of the cache of streams during the work."""
    peak_mib: float = 0.0
    """The most memory that the process which did it ever had."""

    @property
    def rows(self) -> list[Row]:
        """What `lines` say."""
        from testbed.running.journal import content_of

        return [content_of(line) for line in self.lines]
