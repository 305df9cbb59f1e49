"""How the benchmarks of this package take the time."""

import time
from collections.abc import Callable


def seconds_per_run(run: Callable[[], object], at_least_s: float = 0.2) -> float:
    """Mean seconds of processor time per run, over as many runs as fill `at_least_s`.

    Of the processor's time, not the clock's: other processes then slow a run down only by what they
    take of caches and memory. What runs in several threads counts for each of them. A first run,
    which may compile or read tables, does not count.
    """
    run()
    start = time.process_time()
    runs = 0
    while True:
        run()
        runs += 1
        elapsed = time.process_time() - start
        if elapsed >= at_least_s:
            return elapsed / runs
