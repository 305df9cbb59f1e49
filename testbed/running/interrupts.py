"""Processes that Ctrl-C does not reach, although it reaches all of a terminal's."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


@contextmanager
def no_interrupts() -> Iterator[None]:
    """The parent alone answers Ctrl-C. What is blocked here stays blocked in processes and threads
    that are started meanwhile; in this one it is only put off: also if another thread takes the
    signal, which would end the start of a process half way.
    """
    # Started now: its own start would unblock what is blocked below.
    resource_tracker.ensure_running()
    caught: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    if in_main:
        signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if in_main:
            signal.signal(signal.SIGINT, handler)
            if caught:
                signal.raise_signal(signal.SIGINT)
