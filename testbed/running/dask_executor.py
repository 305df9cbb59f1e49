"""Works done by Dask: by processes that it starts here, or by those of a scheduler, on any machine.

    this process --works, a few per worker--> scheduler --> workers, each like one of the pool's

A worker that dies has its works done by others; a trial that kills its worker again and again has
failed, and the run goes on. Works and results travel as pickles, as all that Dask sends does:
whoever reaches a scheduler can run code on its workers.
"""

from __future__ import annotations

import logging
import pickle
import platform
import socket
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import cache
from importlib import import_module
from itertools import islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from testbed.running.executors import WorkerError
from testbed.running.interrupts import no_interrupts
from testbed.running.manifest import package_versions
from testbed.running.work import Seconds, Work, WorkResult
from testbed.running.worker import WorkerSetup, failure_of, halves, run_work
from testbed.sources import sources_sha256

if TYPE_CHECKING:
    from distributed import Client, Future

_log = logging.getLogger(__name__)

IN_FLIGHT = 4
"""Works per worker that are handed out: one is done while the next ones wait."""
CONNECT_S = 10.0
WORKERS_S = 60.0
"""How long a run waits for a scheduler, and for the first or the next worker."""
_POLL_S = 1.0
_LOCAL_DEATHS = 1
"""How often a work's worker may die here before the work is done alone. Elsewhere the scheduler's
`allowed-failures` says it."""

_KEPT = "what was finished is kept: run the same command again to go on"


class DaskExecutor:
    """Does works by Dask. See Executor.

    The connection, and the processes that were started for it, last until `close`, or until the
    object or this process ends.
    """

    def __init__(self, address: str | None, workers: int, setup: WorkerSetup) -> None:
        """address: HOST:PORT of a scheduler; None: `workers` processes are started here."""
        self.address, self.workers = address, workers
        self._setup = pickle.dumps(setup)
        self._client: Client | None = None
        self._opened = ExitStack()
        self._ends = weakref.finalize(self, self._opened.close)

    def prepare(self) -> None:
        """See Executor."""

    def close(self) -> None:
        """Ends the connection and the processes that were started for it."""
        self._client = None
        self._opened.close()

    def results(self, works: Iterable[Work]) -> Iterator[WorkResult]:
        """See Executor. Raises WorkerError if there is no Dask, scheduler or worker (any more)."""
        killers: list[Work] = []
        yield from self._together(iter(works), killers)
        for work in killers:
            yield from self._alone(work)

    def _alone(self, work: Work) -> Iterator[WorkResult]:
        """With no other work in flight, so that a worker's death is this work's doing."""
        killers: list[Work] = []
        yield from self._together(iter([work]), killers)
        if killers and len(work.trials) == 1:
            words = "its worker died again and again (out of memory, or a crash in a library)"
            yield WorkResult(work.codec.name, [], [failure_of(work, words)], Seconds())
        elif killers:
            for part in halves(work):
                yield from self._alone(part)

    def _together(self, queue: Iterator[Work], killers: list[Work]) -> Iterator[WorkResult]:
        """What comes of works; those whose workers died are put into `killers` instead."""
        client = self._connected()
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        # Processes that were started here run the same installation.
        versions = {} if self.address is None else _versions()
        pending: dict[str, tuple[Future, Work]] = {}
        done: SimpleQueue[Future] = SimpleQueue()
        try:
            while True:
                for work in islice(queue, max(0, IN_FLIGHT * self.workers - len(pending))):
                    key = f"work-{uuid4().hex}"
                    future = client.submit(
                        _do, self._setup, versions, pickle.dumps(work), key=key, pure=False
                    )
                    pending[key] = future, work
                    future.add_done_callback(done.put)
                if not pending:
                    return
                future = self._next(client, done)
                _, work = pending.pop(future.key)
                try:
                    result: WorkResult = future.result()
                except KilledWorker:
                    _log.warning("workers died over a work of %d trials", len(work.trials))
                    killers.append(work)
                except (CancelledError, CommClosedError):
                    raise self._lost() from None
                else:
                    yield result
        finally:
            if client.status == "running":
                with suppress(OSError, CancelledError):
                    client.cancel([future for future, _ in pending.values()], force=True)

    def _next(self, client: Client, done: SimpleQueue[Future]) -> Future:
        """The next future that is done. Raises WorkerError when nobody is there to do it."""
        last_seen = time.monotonic()
        while True:
            try:
                return done.get(timeout=_POLL_S)
            except Empty:
                pass
            if client.status != "running":
                raise self._lost()
            try:
                threads = sum(client.nthreads().values())
            except (OSError, ValueError) as error:
                raise self._lost() from error
            if threads:
                last_seen, self.workers = time.monotonic(), threads
            elif time.monotonic() - last_seen > WORKERS_S:
                raise WorkerError(f"{self._name}: no worker is left; {_KEPT}")

    def _connected(self) -> Client:
        if self._client is not None:
            return self._client
        try:
            import_module("distributed")
            from dask import config
        except ModuleNotFoundError as error:
            raise WorkerError(
                f"--executor dask: {error.name} is not installed: pip install -e .[dask]"
            ) from None
        # What matters is said by this class; the rest is for who looks after the scheduler.
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        settings = {
            # A work holds its pictures: by design, since any worker must be able to do it.
            "distributed.admin.large-graph-warning-threshold": "1TB",
            "distributed.scheduler.allowed-failures": _LOCAL_DEATHS,
        }
        self._opened.enter_context(config.set(settings))
        where: Any
        if self.address is not None:
            _check_address(self.address)
            where = f"tcp://{self.address}"
        else:
            where = self._opened.enter_context(_local_cluster(self.workers))
        client = _client(where)
        if client is None:
            raise _no_scheduler(self.address)
        self._opened.enter_context(client)
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError as error:
            raise WorkerError(
                f"{self._name}: it has no workers; start some with `dask worker {self.address} "
                "--nthreads 1`"
            ) from error
        self.workers = sum(client.nthreads().values())
        self._client = client
        return client

    def _lost(self) -> WorkerError:
        return WorkerError(f"{self._name}: the scheduler is gone; {_KEPT}")

    @property
    def _name(self) -> str:
        return f"dask://{self.address}" if self.address else "dask"


def _local_cluster(workers: int) -> Any:
    """Processes of this machine, each with one thread, which a Ctrl-C does not reach."""
    from distributed import LocalCluster

    with no_interrupts():
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            scheduler_port=0,
            dashboard_address=None,
            memory_limit=None,
            silence_logs=logging.CRITICAL,
        )


def _check_address(address: str) -> None:
    """Raises WorkerError if nothing answers there: a client of Dask's would try for long."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise WorkerError(
            f"--executor dask://{address}: expected dask://HOST:PORT, such as dask://localhost:8786"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise _no_scheduler(address) from error


def _client(where: Any) -> Client | None:
    """A client of a cluster or an address; None if that is no scheduler's."""
    from distributed import Client

    found: list[Client] = []

    def connect() -> None:
        with suppress(OSError, ValueError):
            found.append(Client(where, timeout=CONNECT_S, set_as_default=False))

    # Where something else listens, a client waits for ever for its words.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(3 * CONNECT_S)
    return found[0] if found else None


def _no_scheduler(address: str | None) -> WorkerError:
    return WorkerError(
        f"dask://{address}: no scheduler answers there; start one with `dask scheduler`"
    )


_lock = threading.Lock()
_begun: tuple[bytes, int] | None = None
"""The setup that this process was last given, and the thread that was."""


def _do(setup: bytes, versions: dict[str, str], work: bytes) -> WorkResult:
    """A work, in a worker's process. Raises WorkerError if other code would do it here."""
    global _begun
    for name, version in versions.items():
        if _versions()[name] != version:
            raise WorkerError(
                f"a Dask worker on {platform.node()} has another {name}, {_versions()[name]}, than "
                f"the run, {version}: install the same there"
            )
    # Threads of a worker take turns: what a process keeps of streams and plug-ins is one thread's.
    with _lock:
        if _begun != (setup, threading.get_ident()):
            begin: WorkerSetup = pickle.loads(setup)
            begin.begin()
            _begun = setup, threading.get_ident()
        return run_work(pickle.loads(work))


@cache
def _versions() -> dict[str, str]:
    """By name: what must be the same in every process for results to be the same."""
    # The build, such as "+cpu", is no other version.
    versions = {name: each.split("+")[0] for name, each in package_versions().items()}
    sources = sources_sha256("channels", "codec", "testbed")
    return versions | {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "source code (SHA-256)": sources[:12],
    }
