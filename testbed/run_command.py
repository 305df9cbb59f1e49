"""What `testbed run` does, from the YAML file to the last figure."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
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
from testbed.codec_sections import ConventionalSection
from testbed.comparison import COMPARISON_CSV, compare, is_share, write_comparison
from testbed.comparison_figures import draw_comparison
from testbed.comparison_section import Comparison
from testbed.figures import METRICS, draw_figures, read_table
from testbed.journal import Journal
from testbed.manifest import manifest, utc_now, write_manifest
from testbed.protection import PLANNED
from testbed.runner import plan, run_trials
from testbed.scenario import Scenario
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
        table = read_table(table_path)
        labels = _labels(scenario)
        words = METRICS | {metric.column: metric.label for metric in planned.metrics}
        if scenario.comparison is None:
            named = table.assign(codec=table["codec"].map(labels))
            written, skipped = draw_figures(named, folder / FIGURES, words)
        else:
            written, skipped = _compare(scenario, scenario.comparison, table, words, labels, folder)
        written += draw_scenario_strips(planned, folder / FIGURES, labels)
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


def _labels(scenario: Scenario) -> dict[str, str]:
    """Of each codec in figures: what is charged decides a comparison on small pictures."""
    return {
        codec.name: f"{codec.name} ({codec.headers})"
        if isinstance(codec, ConventionalSection) and codec.headers not in codec.name.split("_")
        else codec.name
        for codec in scenario.codecs
    }


def _compare(
    scenario: Scenario,
    section: Comparison,
    table: pd.DataFrame,
    words: Mapping[str, str],
    labels: Mapping[str, str],
    folder: Path,
) -> tuple[list[Path], int]:
    """comparison.csv and its figures: the figures' files, and how many panels were left out."""
    names = [codec.name for codec in scenario.codecs]
    reference = section.reference or names[0]
    planned = {
        each.name
        for grid in scenario.link_grids()
        for each in grid.protection
        if each.policy in PLANNED
    }
    rows, singles = compare(
        table, names, reference, section.outage_psnr_db, section.reference_protection, planned,
        [column for column, label in words.items() if is_share(label)],
    )  # fmt: skip
    print(f"{write_comparison(rows, folder / COMPARISON_CSV)}: {len(rows)} rows")
    return draw_comparison(
        rows, singles, words, labels, reference, section.published or (), folder / FIGURES
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
