"""Dask does the same works to the same rows, whoever dies meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest

from testbed.images import SourceImage
from testbed.language.scenario_loading import load_scenario
from testbed.plugins.metric_registry import Metric
from testbed.running import dask_executor
from testbed.running.dask_executor import IN_FLIGHT, DaskExecutor
from testbed.running.executors import SerialExecutor, WorkerError
from testbed.running.plan import plan
from testbed.running.runner import open_works
from testbed.running.selection import Selection
from testbed.running.work import Work
from testbed.running.worker import WorkerSetup

pytest.importorskip("distributed", reason="needs the extra dask")

SCENARIO = """
name: small
images: [{source: samples32, limit: 6}]
codecs: [{type: jpeg}]
link: {snr_db: [7, 14], cbr: 1/3}
"""


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> list[Work]:
    path = tmp_path_factory.mktemp("scenario") / "small.yaml"
    path.write_text(SCENARIO)
    planned = plan(load_scenario(path))
    wanted = {number: range(len(cell)) for number, cell in enumerate(planned.cells)}
    found = list(open_works(planned, wanted, Selection(planned), {}, images_at_once=1))
    assert len(found) == 6
    return found


@pytest.fixture(scope="module")
def rows(works: list[Work]) -> dict[str, dict]:
    """By trial, as one process gives them."""
    return rows_by_trial(SerialExecutor(WorkerSetup()).results(works))


def rows_by_trial(results: Iterable) -> dict[str, dict]:
    found = {}
    for result in results:
        assert not result.failures
        for row in result.rows:
            assert row["trial_id"] not in found
            found[row["trial_id"]] = row
    return found


@pytest.fixture(scope="module")
def local() -> Iterator[DaskExecutor]:
    executor = DaskExecutor(None, 2, WorkerSetup())
    yield executor
    executor.close()


def test_workers_may_become_fewer_with_works_in_flight(works, rows, local, monkeypatch) -> None:
    taken = DaskExecutor._next

    def from_fewer(self, client, done):
        self.workers = 1
        return taken(self, client, done)

    monkeypatch.setattr(DaskExecutor, "_next", from_fewer)
    assert rows_by_trial(local.results(works)) == rows
    monkeypatch.undo()
    local.workers = 2


def processes_of(executor: DaskExecutor) -> list[int]:
    return list(executor._client.run(os.getpid).values())


class Counted:
    """Works, and how many of them were asked for."""

    def __init__(self, works: Iterable[Work]) -> None:
        self.works, self.taken = iter(works), 0

    def __iter__(self) -> Iterator[Work]:
        return self

    def __next__(self) -> Work:
        work = next(self.works)
        self.taken += 1
        return work


def test_the_rows_are_those_of_one_process_though_a_worker_is_killed(works, rows, local) -> None:
    found = {}
    many = [replace(work, case=f"{case}") for case in range(6) for work in works]
    queue = Counted(many)
    for number, result in enumerate(local.results(queue)):
        assert not result.failures
        if number == 0:
            assert queue.taken <= IN_FLIGHT * 2
            victim, other = processes_of(local)
            os.kill(victim, signal.SIGKILL)
        found |= {(row["trial_id"], row["case"]): row for row in result.rows}
    assert len(found) == 6 * len(rows)
    for (trial_id, case), row in found.items():
        assert row == rows[trial_id] | {"case": case}
    # The cluster is kept for the next round, and the killed process has a successor.
    assert rows_by_trial(local.results(works)) == rows
    assert other in processes_of(local)


class Killing(Metric):
    """Ends the process that measures it."""

    column = label = "killing"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def measure(self, source: SourceImage, picture: np.ndarray) -> float:
        os.kill(os.getpid(), signal.SIGKILL)
        return float(source is picture)


def test_a_work_that_kills_its_workers_has_failed_and_the_others_go_on(works, rows, local) -> None:
    (trial, *_) = works[2].trials
    killer = replace(works[2], trials=(trial,), metrics=(Killing(),))
    # It is tried no oftener than need be: each time takes a new process.
    local._client.cluster.scheduler.allowed_failures = 0
    results = list(local.results([*works[:2], killer, *works[3:]]))
    failures = [failure for result in results for failure in result.failures]
    assert [failure.trial_id for failure in failures] == [trial.trial_id]
    assert "died again and again" in failures[0].error
    found = {row["trial_id"]: row for result in results for row in result.rows}
    lost = {trial.trial_id for trial in works[2].trials}
    assert found == {key: row for key, row in rows.items() if key not in lost}


# ------------------------------------------------------------------------- a scheduler elsewhere


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def dask(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`dask ARGUMENTS`, quiet, until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def scheduler() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler's address and process; it has one worker, which ends with it."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    at = ("--host", "127.0.0.1", "--port", f"{port}", "--no-dashboard")
    worker = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "30")
    with dask("scheduler", *at) as process, dask("worker", address, *worker):
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield address, process


def test_a_scheduler_that_ends_is_told_in_one_line(works, rows, scheduler) -> None:
    address, process = scheduler
    executor = DaskExecutor(address, 7, WorkerSetup())
    assert rows_by_trial(executor.results(works)) == rows
    assert executor.workers == 1
    results = executor.results(replace(work, case=f"{n}") for n in range(50) for work in works)
    next(results)
    process.kill()
    with pytest.raises(WorkerError, match=r"^dask://.*: the scheduler is gone; .* is kept") as told:
        list(results)
    assert "\n" not in str(told.value)
    executor.close()


@pytest.mark.parametrize("address", ["nonsense", "host:port", "127.0.0.1:1", "127.0.0.1:99999"])
def test_a_wrong_address_is_told_in_one_line(address: str) -> None:
    executor = DaskExecutor(address, 1, WorkerSetup())
    with pytest.raises(WorkerError, match=f"dask://{address}") as told:
        list(executor.results([]))
    assert "\n" not in str(told.value)


def test_what_is_no_scheduler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_executor, "CONNECT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        executor = DaskExecutor(f"127.0.0.1:{silent.getsockname()[1]}", 1, WorkerSetup())
        with pytest.raises(WorkerError, match="no scheduler answers there"):
            list(executor.results([]))


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    executor = DaskExecutor(None, 1, WorkerSetup())
    with pytest.raises(WorkerError, match=r"distributed is not installed: pip install .*\[dask\]"):
        list(executor.results([]))


def test_other_code_elsewhere_is_refused() -> None:
    wrong = {**dask_executor._versions(), "numpy": "1.0"}
    with pytest.raises(WorkerError, match=r"has another numpy, .* than the run, 1\.0"):
        dask_executor._do(b"", wrong, b"")
