"""What `testbed status` prints: how far the run in a folder is, read beside a process that writes.

Nothing is locked, loaded or changed: no scenario, no plug-ins, no pictures.
"""

from __future__ import annotations

import fcntl
import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from testbed.errors import TestbedError
from testbed.quantity_words import duration_words, rate_words, size_words
from testbed.running.journal import FORMAT, JOURNAL, kind_of
from testbed.running.manifest import MANIFEST
from testbed.running.progress_file import PROGRESS_JSON, Recorded, read_progress
from testbed.running.run_log import RUN_LOG

_SHARD = re.compile(r"shard-[0-9]+-of-[0-9]+")


class StatusError(TestbedError):
    """A folder that says nothing of a run."""


@dataclass(frozen=True, slots=True)
class Status:
    """How far a run is.

    scenario, trials   None where no run of today's version has said them
    state       starting, simulating, writing, finished, stopped (Ctrl-C), failed (an error),
                interrupted (the process ended without a word), or unknown
    running     whether a process holds the folder's lock
    done, failed       trials with a row; trials that raised an error in the latest run
    other_lines, damaged_lines   of the journal as far as it was read: rows of another version, and
                lines that are none; a last line that is being written is not counted
    """

    folder: str
    scenario: str | None
    state: str
    running: bool
    trials: int | None
    done: int
    failed: int
    other_lines: int
    damaged_lines: int
    last_line_utc: str | None
    rate_per_s: float | None
    seconds_left: float | None
    point: str | None
    pid: int | None
    host: str | None
    started_utc: str | None
    files: dict[str, int]
    """Bytes by name; of a folder those of all files in it."""
    shards: tuple[Status, ...]


def print_status(folder: Path, *, as_json: bool = False) -> None:
    """Raises StatusError."""
    status = status_of(folder)
    if as_json:
        print(json.dumps(asdict(status), indent=1, allow_nan=False))
    else:
        print("\n".join(_lines(status)))


def status_of(folder: Path) -> Status:
    """Raises StatusError for a folder without results, or with those of another version alone."""
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise StatusError(f"{folder}: expected a folder of results, found {found} of that name")
    try:
        names = sorted(each.name for each in folder.iterdir())
        shards = tuple(
            status_of(folder / name)
            for name in names
            if _SHARD.fullmatch(name) and any((folder / name).iterdir())
        )
        if not shards and not (folder / JOURNAL).is_file():
            raise StatusError(_not_results(folder, names))
        try:
            recorded = read_progress(folder / PROGRESS_JSON)
        except ValueError as error:
            raise StatusError(
                f"{folder / PROGRESS_JSON}: {error}: another version of the testbed may have "
                "written it; `testbed run` into this folder writes it anew"
            ) from None
        return _status(folder, names, recorded, shards)
    except OSError as error:
        raise StatusError(f"{error.filename}: cannot be read ({error.strerror})") from error


def _not_results(folder: Path, names: list[str]) -> str:
    if not names:
        return f"{folder}: the folder is empty: no run was begun there"
    if MANIFEST in names or "trials.csv" in names:
        return f"{folder}: there is no {JOURNAL}: a finished run's files alone were copied there"
    some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{folder}: expected a folder of results, with {JOURNAL}, found {some}"


def _status(
    folder: Path, names: list[str], recorded: Recorded | None, shards: tuple[Status, ...]
) -> Status:
    path = folder / JOURNAL
    there = path.is_file()
    running = there and _is_locked(path)
    counts = dict.fromkeys(("row", "failure", "other", "damaged"), 0)
    done = failed = 0
    last_line_utc = None
    if there:
        about = path.stat()
        last_line_utc = _utc(about.st_mtime) if about.st_size else None
        start = 0
        if recorded is not None and recorded.done is not None:
            counted = recorded.journal_bytes or 0
            # A journal that shrank is another one.
            if counted <= about.st_size:
                start, done, failed = counted, recorded.done, recorded.failed or 0
        for line in _whole_lines(path, start):
            counts[kind_of(line)[0]] += 1
    done, failed = done + counts["row"], failed + counts["failure"]
    if counts["other"] and not done and recorded is None:
        raise StatusError(
            f"{path}: its trials are of another version of the testbed (this one writes format "
            f"{FORMAT}): `testbed run` into this folder simulates them again"
        )
    state = "unknown" if recorded is None else recorded.state
    if state in ("starting", "simulating", "writing") and not running:
        state = "interrupted"
    rate = recorded.rate_per_s if recorded is not None and running else None
    trials = None if recorded is None else recorded.trials
    left = max(0, trials - done - failed) / rate if rate and trials is not None else None
    return Status(
        folder=str(folder),
        scenario=None if recorded is None else recorded.scenario,
        state=state,
        running=running,
        trials=trials,
        done=done,
        failed=failed,
        other_lines=counts["other"],
        damaged_lines=counts["damaged"],
        last_line_utc=last_line_utc,
        rate_per_s=rate,
        seconds_left=left,
        point=recorded.point if recorded is not None and running else None,
        pid=None if recorded is None else recorded.pid,
        host=None if recorded is None else recorded.host,
        started_utc=None if recorded is None else recorded.started_utc,
        files={name: _size(folder / name) for name in names if not _SHARD.fullmatch(name)},
        shards=shards,
    )


def _is_locked(path: Path) -> bool:
    """Whether a process writes there. One that begins in the instant of asking is refused."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            # A file system without locks: then no run can be writing there.
            return False
        return False


def _whole_lines(path: Path, start: int) -> Iterator[bytes]:
    """The lines from a byte on, without their ends; not a last one that has no end yet."""
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    return path.stat().st_size


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _lines(status: Status) -> Iterator[str]:
    yield f"{status.folder}: {_state_words(status)}"
    if status.files.get(JOURNAL) is not None:
        yield f"  trials   {_trials_words(status)}"
    if status.rate_per_s:
        left = f", {duration_words(status.seconds_left)} left" if status.seconds_left else ""
        point = f"; {status.point}" if status.point else ""
        yield f"  rate     {rate_words(status.rate_per_s)}{left}{point}"
    if status.last_line_utc is not None:
        ago_s = time.time() - datetime.fromisoformat(status.last_line_utc).timestamp()
        ago = duration_words(max(0.0, ago_s))
        yield f"  journal  last line {ago} ago ({status.last_line_utc}){_lines_words(status)}"
    sizes = [f"{name} {size_words(n_bytes)}" for name, n_bytes in status.files.items()]
    yield f"  files    {', '.join(sizes) or 'none'}"
    if status.shards and all(shard.trials is not None for shard in status.shards):
        done = sum(shard.done for shard in status.shards)
        trials = sum(shard.trials or 0 for shard in status.shards)
        yield f"  shards   {done} of {trials} trials in the {len(status.shards)} that are here"
    for shard in status.shards:
        yield f"  {Path(shard.folder).name}: {_state_words(shard)}, {_trials_words(shard)}"


def _state_words(status: Status) -> str:
    name = "" if status.scenario is None else f"{status.scenario}, "
    if status.running:
        doing = "running" if status.state in ("unknown", "simulating") else status.state
        if status.state in ("finished", "stopped", "failed"):
            # What it said last is of the run before.
            doing = "starting"
        since = f" since {status.started_utc}" if doing != "starting" and status.started_utc else ""
        return f"{name}{doing}, process {status.pid} on {status.host}{since}"
    if status.state == "unknown":
        return "only shards" if JOURNAL not in status.files else f"{name}nothing runs there"
    words = {
        "interrupted": "interrupted: the same `testbed run` goes on",
        "stopped": "stopped with Ctrl-C: the same `testbed run` goes on",
        "failed": f"ended with an error: see {RUN_LOG}",
    }
    return name + words.get(status.state, status.state)


def _trials_words(status: Status) -> str:
    if status.trials is None:
        words = f"{status.done} of an unknown number"
    else:
        share = status.done / status.trials if status.trials else 1.0
        words = f"{status.done} of {status.trials} ({100 * share:.0f} %)"
    return words + (f", {status.failed} raised an error" if status.failed else "")


def _lines_words(status: Status) -> str:
    words = ""
    if status.damaged_lines:
        words += f", {status.damaged_lines} damaged"
    if status.other_lines:
        words += f", {status.other_lines} of another version"
    return words
