"""What `testbed run` and `testbed merge` say: to people, or with --json to programs."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console

from testbed.errors import TestbedError
from testbed.running.manifest import utc_now
from testbed.running.monitor import Listener, Progress, RunFacts
from testbed.running.progress import PlainLines, TerminalBar
from testbed.running.progress_file import counts
from testbed.running.work import WorkResult

if TYPE_CHECKING:
    from testbed.evaluation.certification import Certification

JSON_EVERY_S = 1.0
"""Between events `progress`."""


class Report(Listener):
    """Says it; use it in a `with`, which ends with what ends the run."""

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return

    @abstractmethod
    def wrote(self, path: Path, words: str = "", files: Sequence[Path] | None = None) -> None:
        """There are results in a file, or in these of a folder. People are told if it has words."""

    @abstractmethod
    def note(self, words: str) -> None:
        """Something that nobody needs to know."""

    @abstractmethod
    def certified(self, certification: Certification, path: Path) -> None:
        """The certification is written."""


class PeopleReport(Report):
    """Results on stdout; what happens meanwhile on stderr, `quiet` without what is no error."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True)
        self._quiet = quiet
        self._bar: TerminalBar | None = None
        self._display: Listener = Listener()
        if not quiet and self._console.is_terminal:
            self._display = self._bar = TerminalBar(self._console)
        elif not quiet:
            self._display = PlainLines(self.note)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def wrote(self, path: Path, words: str = "", files: Sequence[Path] | None = None) -> None:
        """See Report."""
        del files
        if words:
            print(f"{path}: {words}", flush=True)

    def note(self, words: str) -> None:
        """See Report."""
        if not self._quiet:
            self._console.print(words, markup=False, highlight=False, soft_wrap=True)

    def certified(self, certification: Certification, path: Path) -> None:
        """See Report."""
        from testbed.evaluation.certification_report import print_certification

        if certification.violated or not self._quiet:
            print_certification(certification, path, self._console)

    def began(self, run: RunFacts, progress: Progress) -> None:
        """See Listener."""
        self._display.began(run, progress)

    def moved(self, progress: Progress, result: WorkResult) -> None:
        """See Listener."""
        self._display.moved(progress, result)

    def warned(self, words: str) -> None:
        """See Listener."""
        self._display.warned(words)

    def simulated(self, progress: Progress) -> None:
        """See Listener."""
        self._display.simulated(progress)


class JsonReport(Report):
    """One JSON object per line on stdout: see docs/running.md. Nothing on stderr."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start_s, self._said_s = clock(), -math.inf
        self._files: list[str] = []
        self._certification: dict[str, Any] | None = None
        self._nobody_reads = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, TestbedError):
            self._say("error", kind=type(error).__name__, message=str(error))
        elif isinstance(error, KeyboardInterrupt):
            self._say("error", kind="stopped", message="stopped by Ctrl-C")
        elif error is not None:
            self._say("error", kind="internal", message=f"{type(error).__name__}: {error}")

    def wrote(self, path: Path, words: str = "", files: Sequence[Path] | None = None) -> None:
        """See Report."""
        del words
        self._files += map(str, [path] if files is None else files)

    def note(self, words: str) -> None:
        """See Report."""

    def certified(self, certification: Certification, path: Path) -> None:
        """See Report."""
        self._files.append(str(path))
        self._certification = certification.summary()

    def began(self, run: RunFacts, progress: Progress) -> None:
        """See Listener."""
        self._say(
            "begin",
            scenario=run.scenario,
            scenario_sha256=run.scenario_sha256,
            folder=str(run.folder),
            executor=run.executor,
            workers=run.workers,
            trials=progress.total,
            known=progress.known,
        )

    def moved(self, progress: Progress, result: WorkResult) -> None:
        """See Listener."""
        for failure in result.failures:
            snr_db = failure.snr_db if math.isfinite(failure.snr_db) else None
            self._say("failure", **(failure.content() | {"snr_db": snr_db}))
        if self._clock() - self._said_s >= JSON_EVERY_S:
            self._said_s = self._clock()
            self._say("progress", **counts(progress))

    def warned(self, words: str) -> None:
        """See Listener."""
        self._say("warning", message=words)

    def finished(self, progress: Progress) -> None:
        """See Listener."""
        self._say(
            "finished",
            trials=progress.total,
            known=progress.known,
            done=progress.done,
            failed=progress.failed,
            wall_s=round(self._clock() - self._start_s, 3),
            files=self._files,
            certification=self._certification,
        )

    def _say(self, event: str, **content: Any) -> None:
        if self._nobody_reads:
            return
        line = json.dumps({"event": event, "utc": utc_now()} | content, allow_nan=False)
        try:
            print(line, flush=True)
        except BrokenPipeError:
            # Results do not depend on a reader. At its end Python writes what is left once more.
            self._nobody_reads = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
