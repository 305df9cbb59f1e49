"""Cases in a process of their own, which may hang, eat memory or die without harm to this one."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

from testbed.fuzz.target import Cases, Target, random_of

_PREPARE_S = 300.0
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a case may take: `seconds` of the processor, on a busy machine `wall_s` by the clock,
    after which its process is killed. `guard_bytes` of address space more than at the start end in
    a MemoryError, so that no case harms the machine."""

    seconds: float = 20.0
    wall_s: float = 120.0
    grown_bytes: int = 1_000_000_000
    guard_bytes: int = 6_000_000_000


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that failed; `text` is a traceback, if it raised."""

    target: str
    seed: int
    number: int
    kind: Literal["raised", "slow", "memory", "died"]
    text: str

    def __str__(self) -> str:
        return (
            f"{self.target}, seed {self.seed}, case {self.number}: {self.kind}; repeat with "
            f"`testbed fuzz {self.target} --seed {self.seed} --only {self.number}`\n{self.text}"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a target. `slowest_s` is that of the slowest case, or of the slowest batch
    divided by its cases; `grown_bytes` by how much the process grew over all of them."""

    target: str
    cases: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    slowest: int = -1
    grown_bytes: int = 0
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the process says of a batch."""

    seconds: float
    grown_bytes: int
    text: str = ""


@dataclass(slots=True)
class _Process:
    """A process that has prepared a target."""

    target: Target
    seed: int
    limits: Limits
    folder: Path
    """For the files of the cases, and for the log."""
    _process: multiprocessing.process.BaseProcess = field(init=False)
    _connection: Connection = field(init=False)

    def __post_init__(self) -> None:
        # A fork would inherit threads and locks in any state.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(self.target, self.seed, self.limits, self.folder, theirs)
        )
        self._process.start()
        theirs.close()
        text = self._answer(_PREPARE_S)
        if not isinstance(text, _Answer) or text.text:
            self.stop()
            why = text.text if isinstance(text, _Answer) else f"it {text}"
            raise RuntimeError(f"{self.target.name} cannot be prepared: {why}")

    def ask(self, numbers: Sequence[int]) -> _Answer | Literal["slow", "died"]:
        """Runs a batch. After "slow" or "died" there is no process any more."""
        self._connection.send(list(numbers))
        answer = self._answer(self.limits.wall_s)
        if not isinstance(answer, _Answer):
            self.stop()
        return answer

    def _answer(self, timeout_s: float) -> _Answer | Literal["slow", "died"]:
        if not self._connection.poll(timeout_s):
            return "slow"
        try:
            answer: _Answer = self._connection.recv()
        except (EOFError, ConnectionError):
            return "died"
        return answer

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()


def run_target(
    target: Target,
    seed: int,
    numbers: Sequence[int],
    limits: Limits | None = None,
    progress: Callable[[Report], None] = lambda _: None,
    most_failures: int = 10,
) -> Report:
    """Runs the cases `numbers`; stops after `most_failures`. RuntimeError if it cannot begin."""
    report = Report(target.name)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="testbed-fuzz-") as folder:
        process = None
        try:
            for batch in _batches(numbers, target.at_once):
                process = process or _Process(target, seed, limits or Limits(), Path(folder))
                report, process = _run(process, batch, report)
                report = replace(report, seconds=time.monotonic() - begun)
                progress(report)
                if len(report.failures) >= most_failures:
                    break
        finally:
            if process is not None:
                process.stop()
    return report


def _batches(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]


def _run(process: _Process, batch: Sequence[int], report: Report) -> tuple[Report, _Process | None]:
    """The report with a batch; the process, if it still lives."""
    answer = process.ask(batch)
    limits = process.limits
    if isinstance(answer, _Answer):
        each_s = answer.seconds / len(batch)
        too_much = answer.grown_bytes > limits.grown_bytes or answer.seconds > limits.seconds
        bad = answer.text or too_much
        if not bad:
            slower = each_s > report.slowest_s
            return replace(
                report,
                cases=report.cases + len(batch),
                slowest_s=max(each_s, report.slowest_s),
                slowest=batch[0] if slower else report.slowest,
                grown_bytes=report.grown_bytes + answer.grown_bytes,
            ), process
    alive = process if isinstance(answer, _Answer) else None
    if len(batch) > 1:
        # Which of them was it?
        for number in batch:
            alive = alive or _Process(process.target, process.seed, limits, process.folder)
            report, alive = _run(alive, [number], report)
        return report, alive
    if isinstance(answer, _Answer):
        kind: Literal["raised", "slow", "memory", "died"] = "raised" if answer.text else "memory"
        text = answer.text or f"grew by {answer.grown_bytes / 1e6:.0f} MB"
        if kind == "memory" and answer.grown_bytes <= limits.grown_bytes:
            kind, text = "slow", f"took {answer.seconds:.1f} s of the processor"
    else:
        kind, text = answer, (process.folder / "log").read_text(errors="replace")[-4000:]
    failure = Failure(process.target.name, process.seed, batch[0], kind, text)
    return replace(report, cases=report.cases + 1, failures=(*report.failures, failure)), alive


def _serve(target: Target, seed: int, limits: Limits, folder: Path, connection: Connection) -> None:
    """In the process: prepares, then runs what it is asked for until it is killed."""
    # Read when torch is imported, by the target.
    os.environ["OMP_NUM_THREADS"] = "1"
    with (folder / "log").open("w") as file:
        faulthandler.enable(file)
        # Libraries print what they think of damaged files.
        os.dup2(file.fileno(), 2)
        try:
            cases = target.prepare(Path(tempfile.mkdtemp(dir=folder)))
        except Exception:
            connection.send(_Answer(0.0, 0, traceback.format_exc()))
            return
        # What is compiled or read at first use counts for no case.
        with contextlib.suppress(Exception):
            run_cases(target, cases, seed, range(-max(target.at_once, 20), 0))
        _guard(limits.guard_bytes)
        connection.send(_Answer(0.0, 0))
        while True:
            try:
                numbers = connection.recv()
            except (EOFError, KeyboardInterrupt):
                return
            faulthandler.dump_traceback_later(0.9 * limits.wall_s, file=file)
            before_bytes, begun = _peak_bytes(), time.process_time()
            text = ""
            try:
                run_cases(target, cases, seed, numbers)
            except Exception:
                text = traceback.format_exc()
            faulthandler.cancel_dump_traceback_later()
            grown_bytes = _peak_bytes() - before_bytes
            connection.send(_Answer(time.process_time() - begun, grown_bytes, text))


def run_cases(target: Target, cases: Cases, seed: int, numbers: Sequence[int]) -> None:
    """Runs cases here and now. Those with negative numbers are for warming up."""
    # A generator takes no negative numbers.
    cases([random_of(target.name, seed, n if n >= 0 else 2**63 + n) for n in numbers])


def _peak_bytes() -> int:
    """The most memory that this process has had so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # The other count begins with what the parent had.
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def _guard(more_bytes: int) -> None:
    """Bounds the address space, where the system says how large it is."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        size = int(statm.read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (size + more_bytes, hard))
