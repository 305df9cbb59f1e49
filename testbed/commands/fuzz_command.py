"""`testbed fuzz`: runs the targets, each in a process of its own, and says what failed."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from testbed.errors import TestbedError
from testbed.fuzz.catalogue import TARGETS
from testbed.fuzz.harness import Report, run_target


class FuzzError(TestbedError):
    """A target that is not there, or cannot be prepared."""


def run_fuzz(names: Sequence[str], cases: int, seed: int, only: int | None) -> bool:
    """Prints a table of what came of the targets, and each failure; whether there was none.

    names: all targets if empty. only: the number of the single case to run. Raises FuzzError.
    """
    for name in names:
        if name not in TARGETS:
            close = get_close_matches(name, TARGETS, 1)
            mend = f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(TARGETS)}"
            raise FuzzError(f"expected a target of fuzzing, found {name!r}: {mend}")
    numbers = range(cases) if only is None else range(only, only + 1)
    console = Console(stderr=True)
    reports = []
    with Progress(console=console, transient=True) as progress:
        for name in names or TARGETS:
            task = progress.add_task(name, total=len(numbers))

            def show(report: Report, task: int = task) -> None:
                progress.update(task, completed=report.cases)  # type: ignore[arg-type]

            try:
                report = run_target(TARGETS[name], seed, numbers, progress=show)
            except RuntimeError as error:
                raise FuzzError(str(error)) from None
            progress.remove_task(task)
            for failure in report.failures:
                print(f"{failure}\n", flush=True)
            reports.append(report)
    Console().print(_table(reports))
    return not any(report.failures for report in reports)


def _table(reports: Sequence[Report]) -> Table:
    table = Table(box=None)
    for name in ("target", "cases", "s", "slowest s", "case", "grown MB", "failures"):
        table.add_column(name, justify="left" if name == "target" else "right")
    for report in reports:
        table.add_row(
            report.target,
            str(report.cases),
            f"{report.seconds:.1f}",
            f"{report.slowest_s:.3f}",
            str(report.slowest),
            f"{report.grown_bytes / 1e6:.0f}",
            str(len(report.failures)),
        )
    return table
