"""`testbed bench runner`: what the runner itself costs, and how it grows.

    scale 1 with one worker and with two     overhead, and what the second worker brings
    scale 4 and 16 with two                  growth of time and memory with the number of trials

Each run is a process of its own with a stream cache of its own, so that nothing is known before.
Scales are of pictures: the scenario's limit times 1, 4 and 16.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from testbed.errors import OutputError, TestbedError
from testbed.language.scenario_loading import load_scenario
from testbed.running.timings import TIMINGS


class BenchError(TestbedError):
    """A run of the benchmark failed."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. start_s: until a worker began. overhead: of the workers' time from there what is not
    spent in codecs, links and metrics, over what is spent in codecs and links.
    """

    scale: int
    workers: int
    trials: int
    start_s: float
    wall_s: float
    finish_s: float
    codec_and_link_s: float
    measure_s: float
    overhead: float
    parent_mib: float
    worker_mib: float

    @classmethod
    def of(cls, scale: int, found: dict[str, Any]) -> Measured:
        stages = found["by_codec_s"].values()
        measure_s = sum(each["measure"] for each in stages)
        work_s = sum(sum(each.values()) for each in stages) - measure_s
        idle_s = (found["wall_s"] - found["start_s"]) * found["workers"] - work_s - measure_s
        return cls(
            scale, found["workers"], found["simulated_trials"], found["start_s"], found["wall_s"],
            found["finish_s"], work_s, measure_s, idle_s / work_s,
            found["peak_mib"]["parent"], found["peak_mib"]["largest_worker"],
        )  # fmt: skip


COLUMNS = (
    "scale", "workers", "trials", "start_s", "wall_s", "finish_s", "codec_and_link_s", "measure_s",
    "overhead", "parent_mib", "worker_mib",
)  # fmt: skip


def bench_runner(file: Path, images: str | None, scales: str, out: Path | None) -> None:
    """Measures, prints and, into `out`, writes runner.csv. Raises TestbedError."""
    scenario = load_scenario(file)
    if len(scenario.images) != 1:
        raise BenchError(f"{file}: expected one source of images, found {len(scenario.images)}")
    source = scenario.images[0]
    plans = [(1, 1), *((scale, 2) for scale in _scales(scales))]
    rows = []
    console = Console(stderr=True)
    for scale, workers in plans:
        limit = (source.limit or 1) * scale
        console.print(f"scale {scale}, {workers} workers", highlight=False)
        chosen = f"images={{source: {images or source.source}, limit: {limit}}}"
        rows.append(Measured.of(scale, _run(file, chosen, workers)))
    _print(rows)
    if out is not None:
        _write(out / "runner.csv", rows)


def _scales(text: str) -> list[int]:
    if not re.fullmatch(r"[1-9][0-9]{0,3}(,[1-9][0-9]{0,3})*", text):
        raise BenchError(f"--scales {text}: expected whole numbers such as 1,4,16")
    return [int(each) for each in text.split(",")]


def _run(file: Path, images: str, workers: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "testbed.cli", "run", str(file), "--out", f"{folder}/out",
            "--cache", f"{folder}/cache", "--workers", str(workers), "--set", images, "--quiet",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{' '.join(command)}: {done.stderr.strip()}")
        found: dict[str, Any] = json.loads((Path(folder) / "out" / TIMINGS).read_text())
        return found


def _print(rows: Sequence[Measured]) -> None:
    table = Table(title="the runner")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*(_text(getattr(row, column)) for column in COLUMNS))
    # As wide as it needs to be also where the output is a file.
    console = Console(width=max(120, Console().width))
    console.print(table)
    one = next(row for row in rows if row.workers == 1)
    two = next((row for row in rows if row.workers == 2 and row.scale == one.scale), None)
    if two is not None:
        began = (one.wall_s - one.start_s) / (two.wall_s - two.start_s)
        console.print(
            f"two workers are {one.wall_s / two.wall_s:.2f} times one, {began:.2f} times once they "
            "have started"
        )


def _text(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def _write(path: Path, rows: Sequence[Measured]) -> None:
    lines = [",".join(COLUMNS)]
    lines += [",".join(_text(getattr(row, column)) for column in COLUMNS) for row in rows]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    except OSError as error:
        raise OutputError(f"{path}: cannot write ({error.strerror})") from error
    print(path)
