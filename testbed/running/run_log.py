"""run.log: what happened in a results folder, a line each with its time in UTC, run after run.

It is for people who look for what went wrong, and is not compared between runs. A log that cannot
be written never fails a run.
"""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from types import TracebackType

from testbed.errors import TestbedError
from testbed.quantity_words import duration_words, size_words
from testbed.running.manifest import git_state, package_versions
from testbed.running.monitor import Listener, Progress, RunFacts
from testbed.running.progress import progress_words
from testbed.running.stream_cache import CacheUse
from testbed.running.work import WorkResult

RUN_LOG = "run.log"
LINE_EVERY_S = 10.0
"""Between lines of progress."""

LOGGER = logging.getLogger("testbed")
"""Of all modules' loggers: what they log during a run is in its log."""


class RunLog(Listener):
    """Writes it; use it in a `with`."""

    def __init__(self, run: RunFacts, clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._clock = run, clock
        self._start_s = self._said_s = clock()
        self._simulating_s = 0.0
        self._level = LOGGER.level
        self._handler: logging.Handler = logging.NullHandler()
        self._cache = CacheUse()
        self._tracebacks: set[str] = set()

    def __enter__(self) -> RunLog:
        self._handler = _handler(self._run.folder / RUN_LOG)
        self._level = LOGGER.level
        LOGGER.addHandler(self._handler)
        LOGGER.setLevel(logging.INFO)
        run = self._run
        LOGGER.info("run of %s (%s): %s", run.scenario, run.scenario_sha256[:12], run.command)
        code = git_state()
        versions = {"python": platform.python_version()} | package_versions()
        LOGGER.info(
            "versions: %s; commit %s%s",
            ", ".join(f"{name} {version}" for name, version in versions.items()),
            code["commit"] or "unknown",
            ", with changes" if code["dirty"] else "",
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, TestbedError):
            LOGGER.error("ended with: %s", error)
        elif isinstance(error, KeyboardInterrupt):
            LOGGER.info("stopped by Ctrl-C")
        elif error is not None:
            LOGGER.error("ended with an error of the testbed's", exc_info=error)
        LOGGER.removeHandler(self._handler)
        LOGGER.setLevel(self._level)
        self._handler.close()

    def began(self, run: RunFacts, progress: Progress) -> None:
        """See Listener."""
        LOGGER.info(
            "%d trials, %d of them known; %s, %d workers",
            progress.total, progress.known, run.executor, run.workers,
        )  # fmt: skip
        self._simulating_s = self._clock()

    def moved(self, progress: Progress, result: WorkResult) -> None:
        """See Listener."""
        self._cache += result.cache
        for failure, traceback in zip_longest(result.failures, result.tracebacks):
            if failure is not None:
                LOGGER.error(
                    "trial %s of %s, image %s, repetition %d, %s, %g dB: %s",
                    failure.trial_id, failure.codec, failure.image, failure.repetition,
                    failure.channel, failure.snr_db, failure.error,
                )  # fmt: skip
            # A bug fails many trials at one place: that is told once.
            if traceback and traceback not in self._tracebacks:
                self._tracebacks.add(traceback)
                LOGGER.error("%s", traceback.rstrip())
        if self._clock() - self._said_s >= LINE_EVERY_S:
            self._said_s = self._clock()
            LOGGER.info("%s", progress_words(progress))

    def warned(self, words: str) -> None:
        """See Listener."""
        LOGGER.warning("%s", words)

    def simulated(self, progress: Progress) -> None:
        """See Listener."""
        LOGGER.info(
            "simulated in %s: %d of %d trials have a row, %d failed in this run",
            duration_words(self._clock() - self._simulating_s),
            progress.done, progress.total, progress.failed,
        )  # fmt: skip
        use = self._cache
        LOGGER.info(
            "cache of streams: %d found, %d coded, %d of these were damaged; %s read, %s written",
            use.hits, use.misses, use.remade, size_words(use.read_bytes),
            size_words(use.written_bytes),
        )  # fmt: skip

    def finished(self, progress: Progress) -> None:
        """See Listener."""
        del progress
        LOGGER.info("finished in %s", duration_words(self._clock() - self._start_s))


class _Lines(logging.Formatter):
    """One line, or lines of which those after the first are set in."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", "\n    ")


class _Quiet(logging.FileHandler):
    """A handler that gives up silently: a full disk is the journal's to tell."""

    def handleError(self, record: logging.LogRecord) -> None:
        del record

    def close(self) -> None:
        try:
            super().close()
        except OSError:
            return


def _handler(path: Path) -> logging.Handler:
    try:
        handler = _Quiet(path, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return logging.NullHandler()
    handler.setFormatter(_Lines())
    return handler
