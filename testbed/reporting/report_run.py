"""The runs of one report: each with a name of its own, their codecs alike in all of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.evaluation.run_folder import RunFolder
from testbed.figures.looks import Look, looks_of


@dataclass(frozen=True, slots=True)
class ReportRun:
    """number: from 0. name: unique in the report. slug: the same for names of files."""

    number: int
    name: str
    slug: str
    run: RunFolder


def report_runs(runs: Sequence[RunFolder]) -> list[ReportRun]:
    """Runs of one scenario's name go by their folders', or else by their numbers."""
    names = [run.name for run in runs]
    again = Counter(names)
    names = [
        f"{name} ({run.path.resolve().name})" if again[name] > 1 else name
        for name, run in zip(names, runs, strict=True)
    ]
    again = Counter(names)
    names = [
        f"{name}, {number + 1}" if again[name] > 1 else name for number, name in enumerate(names)
    ]
    slugs = [re.sub("[^a-z0-9._=-]+", "-", name.lower()).strip("-.") for name in names]
    return [
        ReportRun(number, name, f"{number + 1}-{slug}"[:40], run)
        for number, (name, slug, run) in enumerate(zip(names, slugs, runs, strict=True))
    ]


def shared_looks(runs: Sequence[RunFolder]) -> dict[str, Look]:
    """By codec: those of figures with one run; with several, of all codecs in order."""
    return looks_of(list(dict.fromkeys(name for run in runs for name in run.codecs)))
