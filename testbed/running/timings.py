"""Where a run's time went: timings.json, apart from all that is the same for every run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbed.running.peak_memory import peak_memory_mib
from testbed.running.runner import Outcome
from testbed.whole_file import whole_file

TIMINGS = "timings.json"


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of a run: until a worker began, and until all was simulated, the first included; and
    how many workers there were.
    """

    start_s: float
    wall_s: float
    workers: int


def timings(outcome: Outcome, took: Took, finish_s: float) -> dict[str, Any]:
    """Of this run alone, in seconds.

    start_s: from the reading of the scenario until a worker began; what Python takes to import this
    is not in it. wall_s: until all was simulated, start included. finish_s: from there to the last
    figure.

    busy_s: what workers spent in codecs, links and metrics, together. overhead: of the workers'
    time what is not that, as a share of it: start-up, handing out, journal, waiting at the end.
    peak_mib: the most memory that this process had until now, and the largest worker.
    stream_cache: streams found (`hits`), coded (`misses`), of these damaged (`remade`), and bytes.
    """
    stages = {codec: dict(each.by_stage) for codec, each in outcome.seconds.items()}
    busy_s = sum(sum(each.values()) for each in stages.values())
    return {
        "start_s": took.start_s,
        "wall_s": took.wall_s,
        "finish_s": finish_s,
        "workers": took.workers,
        "simulated_trials": outcome.trials - outcome.reused - outcome.missing,
        "busy_s": busy_s,
        "overhead": (took.wall_s * took.workers - busy_s) / busy_s if busy_s else None,
        "by_codec_s": stages,
        "stream_cache": asdict(outcome.cache),
        "peak_mib": {"parent": peak_memory_mib(), "largest_worker": outcome.worker_mib},
    }


def write_timings(folder: Path, outcome: Outcome, took: Took, finish_s: float) -> Path:
    """Writes timings.json; its path. Raises OutputError."""
    path = folder / TIMINGS
    with whole_file(path) as partial:
        partial.write_text(json.dumps(timings(outcome, took, finish_s), indent=1) + "\n")
    return path
