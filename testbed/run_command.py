"""What `testbed run` does, from the YAML file to the last figure."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from testbed.certification import certify, write_certification
from testbed.certification_report import (
    CertificationError,
    draw_certification,
    print_certification,
)
from testbed.figures import draw_figures, read_table
from testbed.journal import Journal
from testbed.manifest import manifest, utc_now, write_manifest
from testbed.runner import plan, run_trials
from testbed.scenario_loading import load_scenario
from testbed.strip import draw_scenario_strips

FIGURES = "figures"


def run_scenario(
    file: Path,
    out: Path | None,
    workers: int | None,
    overrides: Sequence[str],
    command: Sequence[str],
    *,
    strict: bool = False,
) -> None:
    """Runs the scenario in `file` into `out` and says where things are.

    Raises TestbedError; if `strict`, when all is written, also for a run that violates what its
    links state.
    """
    started_utc = utc_now()
    console = Console(stderr=True)
    scenario = load_scenario(file, overrides)
    folder = out or Path("results") / scenario.name
    # The folder first: whether results can be kept is known before anything is loaded.
    with Journal(folder) as journal:
        planned = plan(scenario)
        reused = sum(trial.trial_id in journal.rows for trial in planned.trials)
        processes = workers or available_cores()
        console.print(
            f"{scenario.name}: {len(planned.trials)} trials of {len(planned.images)} images, "
            f"{len(scenario.codecs)} codecs",
            highlight=False,
        )
        with Progress(*_columns(), console=console) as bar:
            task = bar.add_task("trials", total=len(planned.trials))
            table_path = run_trials(
                planned,
                journal,
                workers=processes,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        certification = certify(planned, journal.rows)
        certificate = write_certification(folder, certification)
        content = manifest(
            planned,
            command,
            processes,
            started_utc,
            certification=certification.summary(),
            reused_trials=reused,
            damaged_lines=journal.damaged_lines,
            other_lines=journal.other_lines,
        )
        write_manifest(folder, content)
        console.print("drawing figures")
        written, skipped = draw_figures(read_table(table_path), folder / FIGURES)
        written += draw_scenario_strips(planned, folder / FIGURES)
        written += draw_certification(certification, folder / FIGURES)
    if skipped:
        print(f"{skipped} more settings are in the table and not drawn", file=sys.stderr)
    print(f"{table_path}: {len(planned.trials)} rows")
    print(f"{folder / FIGURES}: {', '.join(path.name for path in written)}")
    print_certification(certification, certificate, console)
    if strict and certification.violated:
        raise CertificationError(
            f"{certificate}: {len(certification.violated)} of {certification.made} checks violated"
        )


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("simulating"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
