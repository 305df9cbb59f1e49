"""Who is told how a run goes on: a terminal, a log, another program.

runner --trials--> Watch --Progress--> listeners: run_report.py, run_log.py, progress_file.py
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from testbed.running.journal import content_of
from testbed.running.work import WorkResult

WINDOW_S = 30.0
"""The rate is that of the last so many seconds, or of the latest work if that took longer."""


class Monitor:
    """Is told, and does nothing; others override what they care about."""

    def begin(self, total: int, done: int) -> None:
        """So many trials there are at most, and so many of them are known already."""

    def took(self, result: WorkResult, done: int, total: int) -> None:
        """A work is journalled; `total` falls when stopping rules end a point early."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run before it begins.

    executor: "pool", "dask", ...; of a merge "merge", with no workers. command: as typed.
    """

    scenario: str
    scenario_sha256: str
    folder: Path
    command: str
    executor: str
    workers: int
    started_utc: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, in trials.

    total       there are at most; it falls when stopping rules end a point early
    known       were in the journal when the run began
    done        have a row, the known ones among them
    failed      raised an error in this run
    rate_per_s  simulated per second, lately; None before the first work is done
    point       codec, channel and SNR of the latest trial, for people
    """

    total: int
    known: int
    done: int
    failed: int = 0
    rate_per_s: float | None = None
    point: str = ""

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None if that is not known."""
        if not self.rate_per_s:
            return None
        return max(0, self.total - self.done - self.failed) / self.rate_per_s

    @property
    def share(self) -> float:
        """Of the trials that are over, 0 .. 1."""
        return min(1.0, (self.done + self.failed) / self.total) if self.total else 1.0


class Listener:
    """Is told, and does nothing; others override what they care about."""

    def began(self, run: RunFacts, progress: Progress) -> None:
        """Simulating begins."""

    def moved(self, progress: Progress, result: WorkResult) -> None:
        """A work is journalled."""

    def warned(self, words: str) -> None:
        """Something is wrong that changes no result. Each thing is told once."""

    def simulated(self, progress: Progress) -> None:
        """All is simulated, nothing written but the journal."""

    def finished(self, progress: Progress) -> None:
        """All is written."""


class Rate:
    """Counts over the last WINDOW_S."""

    def __init__(self, now_s: float) -> None:
        self._marks = deque([(now_s, 0)])

    def add(self, count: int, now_s: float) -> None:
        """So many more since the last call."""
        self._marks.append((now_s, self._marks[-1][1] + count))
        while self._marks[1][0] < now_s - WINDOW_S and len(self._marks) > 2:
            self._marks.popleft()

    @property
    def per_s(self) -> float | None:
        """None while nothing is known."""
        (first_s, first), (last_s, last) = self._marks[0], self._marks[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else None


class Watch(Monitor):
    """Makes what the runner tells into Progress, and tells that to listeners."""

    def __init__(
        self,
        run: RunFacts,
        listeners: Sequence[Listener],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._listeners, self._clock = run, listeners, clock
        self._rate = Rate(clock())
        self._warned: set[str] = set()
        self.progress = Progress(0, 0, 0)

    def begin(self, total: int, done: int) -> None:
        """See Monitor."""
        self.progress = Progress(total, done, done)
        self._rate = Rate(self._clock())
        for each in self._listeners:
            each.began(self._run, self.progress)

    def took(self, result: WorkResult, done: int, total: int) -> None:
        """See Monitor."""
        # Not the growth of `done`: with stopping rules known trials come to it one by one.
        self._rate.add(len(result.lines) + len(result.failures), self._clock())
        self.progress = replace(
            self.progress,
            total=total,
            done=done,
            failed=self.progress.failed + len(result.failures),
            rate_per_s=self._rate.per_s,
            point=point_words(result) or self.progress.point,
        )
        for each in self._listeners:
            each.moved(self.progress, result)
        if result.cache.problem:
            self.warn(result.cache.problem)

    def warn(self, words: str) -> None:
        """See Listener.warned."""
        if words not in self._warned:
            self._warned.add(words)
            for each in self._listeners:
                each.warned(words)

    def simulated(self, total: int, done: int) -> None:
        """The last counts: stopping rules change them after the last work."""
        self.progress = replace(self.progress, total=total, done=done)
        for each in self._listeners:
            each.simulated(self.progress)

    def finished(self) -> None:
        """See Listener."""
        for each in self._listeners:
            each.finished(self.progress)


def point_words(result: WorkResult) -> str:
    """Codec, channel and SNR of a work's last trial, with the variation if there are some."""
    if result.lines:
        last = content_of(result.lines[-1])
        case, channel, snr_db = last["case"], last["channel"], last["snr_db"]
    elif result.failures:
        failure = result.failures[-1]
        case, channel, snr_db = failure.case, failure.channel, failure.snr_db
    else:
        return ""
    words = f"{result.codec}, {channel}"
    if isinstance(snr_db, float) and math.isfinite(snr_db):
        words += f" {snr_db:g} dB"
    return f"{words} ({case})" if case else words
