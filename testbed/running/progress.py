"""The progress of a run on a terminal, and where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar
from rich.table import Column

from testbed.quantity_words import duration_words, rate_words
from testbed.running.monitor import Listener, Progress, RunFacts
from testbed.running.work import WorkResult

LINE_EVERY_S = 30.0
LINES = 10
"""Beside those, over a whole run."""


class TerminalBar(Listener):
    """A bar, trials, rate, time left and the latest point, until `stop`."""

    def __init__(self, console: Console) -> None:
        # What does not fit into a narrow terminal is the point's words.
        last = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._bar = Bar(
            TextColumn("simulating"), BarColumn(bar_width=20), MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[words]}", markup=False, style="cyan"),
            TextColumn("{task.fields[point]}", markup=False, style="dim", table_column=last),
            console=console, refresh_per_second=4, expand=True,
        )  # fmt: skip
        self._task: TaskID | None = None

    def began(self, run: RunFacts, progress: Progress) -> None:
        """See Listener."""
        del run
        self._bar.start()
        over = progress.done + progress.failed
        self._task = self._bar.add_task(
            "trials", total=progress.total, completed=over, words="", point=""
        )

    def moved(self, progress: Progress, result: WorkResult) -> None:
        """See Listener."""
        del result
        self._show(progress)

    def warned(self, words: str) -> None:
        """See Listener."""
        self._bar.console.print(words, markup=False, highlight=False, soft_wrap=True)

    def simulated(self, progress: Progress) -> None:
        """See Listener."""
        self._show(progress)
        self.stop()

    def stop(self) -> None:
        """Leaves the bar as it is."""
        self._bar.stop()

    def _show(self, progress: Progress) -> None:
        if self._task is not None:
            self._bar.update(
                self._task,
                total=progress.total,
                completed=progress.done + progress.failed,
                words=speed_words(progress),
                point=progress.point,
            )


class PlainLines(Listener):
    """A line now and then, for files and pipes: no control characters."""

    def __init__(
        self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say, self._clock = say, clock
        self._said_s = clock()
        self._said_part = 0

    def began(self, run: RunFacts, progress: Progress) -> None:
        """See Listener."""
        del run
        self._said_s, self._said_part = self._clock(), _part(progress)
        if progress.known:
            self._say(f"{progress.known} of {progress.total} trials are known already")

    def moved(self, progress: Progress, result: WorkResult) -> None:
        """See Listener."""
        del result
        now_s = self._clock()
        if now_s - self._said_s >= LINE_EVERY_S or _part(progress) > self._said_part:
            self._said_s, self._said_part = now_s, _part(progress)
            self._say(f"simulating: {progress_words(progress)}")

    def warned(self, words: str) -> None:
        """See Listener."""
        self._say(words)


def _part(progress: Progress) -> int:
    """How many of LINES parts are over."""
    return LINES * (progress.done + progress.failed) // max(1, progress.total)


def progress_words(progress: Progress) -> str:
    """One line."""
    over = progress.done + progress.failed
    words = f"{over} of {progress.total} trials ({100 * progress.share:.0f} %)"
    speed = speed_words(progress)
    return "; ".join(
        each for each in (f"{words}, {speed}" if speed else words, progress.point) if each
    )


def speed_words(progress: Progress) -> str:
    """Failures, rate and time left, as far as there are any."""
    words = [f"{progress.failed} failed"] if progress.failed else []
    if progress.rate_per_s:
        words.append(rate_words(progress.rate_per_s))
    if progress.seconds_left:
        words.append(f"{duration_words(progress.seconds_left)} left")
    return ", ".join(words)
