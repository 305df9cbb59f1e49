"""Where works are done: in this process, in processes of this machine, or by Dask.

A run is the same whoever does its works. Works are taken from their iterator as they are needed,
so that memory does not grow with their number; results come in any order.
"""

from __future__ import annotations

import logging
import multiprocessing
import multiprocessing.process
import os
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from typing import Protocol

from testbed.errors import TestbedError
from testbed.plugins.loading import check_unchanged
from testbed.running.interrupts import no_interrupts
from testbed.running.work import Seconds, Work, WorkResult
from testbed.running.worker import WorkerSetup, failure_of, halves, run_work

_log = logging.getLogger(__name__)

IN_FLIGHT = 3
"""Works per worker that are handed out: one is done while the next ones wait."""


class WorkerError(TestbedError):
    """Worker processes cannot do their work at all."""


class Executor(Protocol):
    """Does works. `workers`: how many at a time."""

    workers: int

    def prepare(self) -> None:
        """Begins what takes time, while the caller still looks for works. Need not be called."""
        ...

    def results(self, works: Iterable[Work]) -> Iterator[WorkResult]:
        """What comes of each work, in any order. Raises WorkerError. May be called again."""
        ...

    def close(self) -> None:
        """Ends what it has begun. It may be used again, and begins anew."""
        ...


class SerialExecutor:
    """Does them in this process."""

    workers = 1

    def __init__(self, setup: WorkerSetup) -> None:
        self._setup = setup

    def prepare(self) -> None:
        """See Executor."""

    def results(self, works: Iterable[Work]) -> Iterator[WorkResult]:
        """See Executor."""
        self._setup.begin()
        yield from map(run_work, works)

    def close(self) -> None:
        """See Executor."""


class PoolExecutor:
    """Does them in processes of this machine, each with one thread.

    When a process dies, the works that were handed out are done one by one: the trial that kills
    its process, alone and twice, has failed, and the run goes on.
    """

    def __init__(self, setup: WorkerSetup, workers: int) -> None:
        self._setup, self.workers = setup, workers
        self._pool: ProcessPoolExecutor | None = None

    def prepare(self) -> None:
        """See Executor."""
        if self._pool is None:
            self._pool = _begun(self._setup, self.workers)
            for _ in range(self.workers):
                # Each task starts a process, until there are enough.
                with no_interrupts(), suppress(BrokenProcessPool):
                    self._pool.submit(_nothing)

    def close(self) -> None:
        """See Executor."""
        if self._pool is not None:
            _end(self._pool)
            self._pool = None

    def results(self, works: Iterable[Work]) -> Iterator[WorkResult]:
        """See Executor."""
        queue = iter(works)
        finished = False
        try:
            while first := list(islice(queue, IN_FLIGHT * self.workers)):
                suspects = yield from self._together(first, queue)
                if suspects:
                    yield from self._alone(suspects)
            finished = True
        finally:
            # Nothing is lost by ending workers at once: what is not journalled is simulated again.
            if not finished:
                self.close()

    def _together(
        self, first: list[Work], queue: Iterator[Work]
    ) -> Generator[WorkResult, None, list[Work]]:
        """What comes of `first` and of the queue; returns works that a dead pool did not do."""
        self.prepare()
        assert self._pool is not None
        pending: dict[Future[WorkResult], Work] = {}
        suspects = _hand_out(self._pool, first, pending)
        while pending and not suspects:
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                work = pending.pop(future)
                try:
                    yield _result(future)
                except BrokenProcessPool:
                    suspects.append(work)
            if not suspects:
                suspects += _hand_out(self._pool, islice(queue, len(finished)), pending)
        if suspects:
            _log.warning(
                "a worker process died; %d works are done one by one", len(suspects) + len(pending)
            )
            self.close()
        return suspects + list(pending.values())

    def _alone(self, works: Iterable[Work]) -> Iterator[WorkResult]:
        """What comes of works that may kill their process, done one at a time."""
        left = [(work, 0) for work in works][::-1]
        pool = _tried(self._setup)
        try:
            while left:
                work, deaths = left.pop()
                try:
                    yield _result(_submitted(pool, work))
                    continue
                except BrokenProcessPool:
                    _end(pool)
                    pool = _tried(self._setup)
                if len(work.trials) > 1:
                    left += [(part, 0) for part in halves(work)[::-1]]
                elif deaths == 0:
                    left.append((work, 1))
                else:
                    words = "its process died twice (out of memory, or a crash in a library)"
                    yield WorkResult(work.codec.name, [], [failure_of(work, words)], Seconds())
        finally:
            _end(pool)


def _hand_out(
    pool: ProcessPoolExecutor, works: Iterable[Work], pending: dict[Future[WorkResult], Work]
) -> list[Work]:
    """Submits works into `pending`; those that a dead pool does not take."""
    refused = []
    for work in works:
        try:
            pending[_submitted(pool, work)] = work
        except BrokenProcessPool:
            refused.append(work)
    return refused


def _result(future: Future[WorkResult]) -> WorkResult:
    """Raises BrokenProcessPool, and WorkerError for what cannot travel between processes."""
    try:
        return future.result()
    except BrokenProcessPool:
        raise
    except Exception as error:
        # What a work itself raises is among its failures.
        raise WorkerError(
            f"a work cannot be handed to another process ({type(error).__name__}: {error}): mend "
            "the plug-in whose object that is, or use --workers 1"
        ) from error


def _nothing() -> None:
    pass


def _begun(setup: WorkerSetup, workers: int) -> ProcessPoolExecutor:
    check_unchanged(setup.plugins)
    spawn = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=spawn, initializer=_begin, initargs=(setup,))


def _submitted(pool: ProcessPoolExecutor, work: Work) -> Future[WorkResult]:
    """Raises BrokenProcessPool. Any task may start a process, as long as there are too few."""
    with no_interrupts():
        return pool.submit(run_work, work)


def _tried(setup: WorkerSetup) -> ProcessPoolExecutor:
    """A pool of one process, which is up. Raises WorkerError."""
    pool = _begun(setup, 1)
    try:
        with no_interrupts():
            started = pool.submit(_nothing)
        started.result()
    except BrokenProcessPool as error:
        _end(pool)
        raise WorkerError(
            "worker processes die as soon as they are started (out of memory?); what was finished "
            "is kept: run the same command again to go on, with fewer --workers if memory is short"
        ) from error
    return pool


def _end(pool: ProcessPoolExecutor) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    for process in multiprocessing.active_children():
        process.terminate()


def _begin(setup: WorkerSetup) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    setup.begin()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """Ends this process when `parent` ends, however it ends: no worker outlives a kill -9."""
    parent.join()
    os._exit(1)
