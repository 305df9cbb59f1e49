"""progress.json: how far the run in a folder is, for whoever looks while it runs.

    {"format": 1, "state": "simulating", "scenario": "quickstart", "scenario_sha256": "...",
     "pid": 4711, "host": "...", "started_utc": "...", "updated_utc": "...", "workers": 2,
     "trials": 5616, "known": 0, "done": 1200, "failed": 0, "rate_per_s": 210.3,
     "seconds_left": 21.0, "point": "layered, awgn 12 dB", "journal_bytes": 1180233}

state: starting (loading), simulating, writing (table, certification, figures), finished, stopped
(Ctrl-C), failed (an error). A process that was killed leaves what it wrote last: whether one is
running is told by the journal's lock, not by this file. Rows that stand in the journal behind
`journal_bytes` are not counted in it yet.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from testbed.errors import OutputError
from testbed.running.journal import JOURNAL
from testbed.running.manifest import utc_now
from testbed.running.monitor import Listener, Progress, RunFacts
from testbed.running.work import WorkResult
from testbed.whole_file import whole_file

PROGRESS_JSON = "progress.json"
FORMAT = 1
WRITE_EVERY_S = 3.0


class ProgressFile(Listener):
    """Writes it; use it in a `with`. What cannot be written is left out: it never fails a run."""

    def __init__(self, run: RunFacts, clock: Callable[[], float] = time.monotonic) -> None:
        self._run, self._clock = run, clock
        self._progress: Progress | None = None
        self._journal_bytes: int | None = None
        self._written_s = -math.inf
        self._finished = False

    def __enter__(self) -> ProgressFile:
        self._write("starting")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A run whose last word is that trials failed has written all that it can.
        if error is not None and not self._finished:
            self._write("stopped" if isinstance(error, KeyboardInterrupt) else "failed")

    def began(self, run: RunFacts, progress: Progress) -> None:
        """See Listener."""
        del run
        self._take(progress)
        self._write("simulating")

    def moved(self, progress: Progress, result: WorkResult) -> None:
        """See Listener."""
        del result
        self._take(progress)
        if self._clock() - self._written_s >= WRITE_EVERY_S:
            self._write("simulating")

    def simulated(self, progress: Progress) -> None:
        """See Listener."""
        self._take(progress)
        self._write("writing")

    def finished(self, progress: Progress) -> None:
        """See Listener."""
        self._finished = True
        self._take(progress)
        self._write("finished")

    def _write(self, state: str) -> None:
        self._written_s = self._clock()
        path = self._run.folder / PROGRESS_JSON
        with contextlib.suppress(OutputError), whole_file(path) as partial:
            partial.write_text(json.dumps(self._content(state), indent=1) + "\n")

    def _content(self, state: str) -> dict[str, Any]:
        run = self._run
        content: dict[str, Any] = {
            "format": FORMAT,
            "state": state,
            "scenario": run.scenario,
            "scenario_sha256": run.scenario_sha256,
            "pid": os.getpid(),
            "host": platform.node(),
            "started_utc": run.started_utc,
            "updated_utc": utc_now(),
            "workers": run.workers,
        }
        return content | counts(self._progress) | {"journal_bytes": self._journal_bytes}

    def _take(self, progress: Progress) -> None:
        # Both now: when a run is stopped, the journal may be ahead of what was told.
        self._progress = progress
        with contextlib.suppress(OSError):
            self._journal_bytes = (self._run.folder / JOURNAL).stat().st_size


def counts(progress: Progress | None) -> dict[str, Any]:
    """JSON-able; nulls of what is not known."""
    if progress is None:
        return dict.fromkeys(
            ("trials", "known", "done", "failed", "rate_per_s", "seconds_left", "point")
        )
    return {
        "trials": progress.total,
        "known": progress.known,
        "done": progress.done,
        "failed": progress.failed,
        "rate_per_s": _rounded(progress.rate_per_s),
        "seconds_left": _rounded(progress.seconds_left),
        "point": progress.point,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What progress.json says; see there."""

    state: str
    scenario: str
    pid: int
    host: str
    started_utc: str
    trials: int | None
    done: int | None
    failed: int | None
    rate_per_s: float | None
    seconds_left: float | None
    point: str | None
    journal_bytes: int | None


def read_progress(path: Path) -> Recorded | None:
    """None if there is none. Raises ValueError, with the reason, for what is not one of today's."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError("it cannot be read") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise ValueError(f"expected format {FORMAT}, found {found}")
    kinds: dict[str, tuple[type, ...]] = {
        "state": (str,), "scenario": (str,), "pid": (int,), "host": (str,), "started_utc": (str,),
        "trials": (int,), "done": (int,), "failed": (int,), "rate_per_s": (int, float),
        "seconds_left": (int, float), "point": (str,), "journal_bytes": (int,),
    }  # fmt: skip
    needed = ("state", "scenario", "pid", "host", "started_utc")
    for key, types in kinds.items():
        value = content.get(key)
        if not isinstance(value, types) and (value is not None or key in needed):
            raise ValueError(f"{key} is {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{key} is {value}")
    values: dict[str, Any] = {key: content.get(key) for key in kinds}
    return Recorded(**values)
