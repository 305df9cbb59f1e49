"""A run's folder as figures and reports read it: tables, manifest, what is missing.

Nothing is simulated and no code of the run's is loaded: plug-ins, networks and pictures stay where
they are. A folder may come from anybody.

A run that was interrupted has a journal and a manifest but no tables: these are made of what is
journalled, in a scratch folder, and the notes say so.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from testbed.errors import TestbedError
from testbed.evaluation.certification import CERTIFICATION_JSON
from testbed.evaluation.comparison import COMPARISON_CSV
from testbed.evaluation.folder_checks import (
    MOST_BYTES,
    TEXTS,
    certification_problem,
    manifest_problem,
    table_problem,
)
from testbed.evaluation.statistics import DIFFERENCES_CSV, STATISTICS_CSV, write_statistics
from testbed.evaluation.trials_table import read_table, with_case
from testbed.running.journal import JOURNAL, content_of, kind_of
from testbed.running.manifest import MANIFEST
from testbed.running.runner import TRIALS_CSV
from testbed.sending.simulation import COLUMNS

COMPLETE_KEYS = ("scenario", "codec_labels", "metrics", "reference", "images", "versions", "trials")
"""Of a manifest of this version."""


class RunFolderError(TestbedError):
    """A folder that nothing can be drawn or reported of."""


@dataclass(frozen=True, slots=True)
class MetricWords:
    """A metric of a run: its column, the name of its axis with the unit, which way is better."""

    column: str
    label: str
    higher_is_better: bool

    @property
    def is_share(self) -> bool:
        """Whether single values are 0 or 1."""
        return self.label.endswith("(share)")


@dataclass(frozen=True)
class RunFolder:
    """One run.

    path      its folder
    manifest  manifest.json
    tables    where trials.csv, statistics.csv and differences.csv are: `path`, or a scratch folder
    notes     what is missing or partial, a sentence each; empty of a run that is whole
    """

    path: Path
    manifest: dict[str, Any]
    tables: Path
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return str(self.manifest["scenario"]["name"])

    @property
    def description(self) -> str:
        return str(self.manifest["scenario"].get("description") or "")

    @property
    def scenario(self) -> dict[str, Any]:
        """In canonical form, defaults filled in."""
        return dict(self.manifest["scenario"])

    @property
    def labels(self) -> dict[str, str]:
        """What each codec is called in figures, by its name, in the scenario's order."""
        return dict(self.manifest["codec_labels"])

    @property
    def codecs(self) -> tuple[str, ...]:
        """Names, in the scenario's order."""
        return tuple(self.labels)

    @property
    def reference(self) -> str:
        """The codec that others are held against."""
        return str(self.manifest["reference"])

    @property
    def metrics(self) -> tuple[MetricWords, ...]:
        """PSNR and SSIM first."""
        return tuple(
            MetricWords(name, each["label"], each["higher_is_better"])
            for name, each in self.manifest["metrics"].items()
        )

    @property
    def trials_path(self) -> Path:
        """trials.csv, or trials.csv.gz of results that are kept."""
        packed = self.tables / f"{TRIALS_CSV}.gz"
        return packed if packed.is_file() else self.tables / TRIALS_CSV

    def trials(self, columns: Collection[str] | None = None) -> pd.DataFrame:
        """Rows of trials.csv, some columns of them: see `read_table`."""
        try:
            return read_table(self.trials_path, columns)
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{self.trials_path}: cannot be read: {error}") from error

    @cached_property
    def statistics(self) -> pd.DataFrame:
        """statistics.csv: a row for each codec, setting and size of pictures."""
        return self._table(STATISTICS_CSV)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """differences.csv; no rows without a second codec."""
        return self._table(DIFFERENCES_CSV)

    @cached_property
    def comparison(self) -> pd.DataFrame | None:
        """comparison.csv, if the scenario compares."""
        there = (self.path / COMPARISON_CSV).is_file()
        return self._table(COMPARISON_CSV, self.path) if there else None

    @cached_property
    def certification(self) -> dict[str, Any] | None:
        """certification.json; None of a run that has not ended."""
        path = self.path / CERTIFICATION_JSON
        if not path.is_file():
            return None
        content = _read_json(path)
        _refuse(path, certification_problem(content))
        return content

    def _table(self, name: str, folder: Path | None = None) -> pd.DataFrame:
        """A table of points; texts stay texts, "nan" is no number, "" is no case."""
        path = (folder or self.tables) / name
        try:
            _refuse_large(path)
            table = with_case(
                pd.read_csv(
                    path, keep_default_na=False, na_values=["nan"],
                    dtype=dict.fromkeys(TEXTS, "str"), low_memory=False,
                )
            )  # fmt: skip
        except (OSError, ValueError) as error:
            words = " ".join(str(error).split())
            raise RunFolderError(f"{path}: cannot be read: {words}") from error
        _refuse(path, table_problem(name, table, self.codecs))
        return table


def open_run(path: Path, scratch: Path) -> RunFolder:
    """The run in a folder. Raises RunFolderError where there is none that can be read.

    scratch: a folder for tables of a run that has none yet; it is made when it is needed.
    """
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise RunFolderError(f"{path}: expected a folder of results, found {found} of that name")
    manifest = _manifest(path)
    if manifest.get("shard"):
        raise RunFolderError(
            f"{path}: holds part {manifest['shard']} of a run: join the parts with `testbed merge` "
            "and report the whole"
        )
    run = RunFolder(path, manifest, path)
    whole = manifest.get("finished_utc") and run.trials_path.is_file()
    if whole and (path / STATISTICS_CSV).is_file():
        missing = manifest.get("trials_without_rows") or 0
        note = f"{missing} of {manifest['trials']} trials raised an error: see errors.csv."
        return RunFolder(path, manifest, path, (note,) if missing else ())
    return _partial(path, manifest, scratch)


def _manifest(path: Path) -> dict[str, Any]:
    names = sorted(each.name for each in path.iterdir())
    if not names:
        raise RunFolderError(f"{path}: the folder is empty: no run was begun there")
    if MANIFEST not in names:
        if JOURNAL in names:
            raise RunFolderError(
                f"{path}: there is no {MANIFEST}: the run ended before its first trial, or an "
                "earlier version of the testbed began it; `testbed run` into this folder goes on"
            )
        if any(name.startswith("shard-") for name in names):
            raise RunFolderError(f"{path}: holds parts of a run: join them with `testbed merge`")
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise RunFolderError(f"{path}: expected a folder of results, with {MANIFEST}, found {some}")
    manifest = _read_json(path / MANIFEST)
    missing = [key for key in COMPLETE_KEYS if key not in manifest]
    if missing:
        raise RunFolderError(
            f"{path / MANIFEST}: has no {missing[0]!r}: another version of the testbed wrote it; "
            "`testbed run` into this folder writes it anew and keeps what is journalled"
        )
    _refuse(path / MANIFEST, manifest_problem(manifest))
    return manifest


def _refuse(path: Path, problem: str) -> None:
    """Nothing if there is no problem."""
    if problem:
        raise RunFolderError(f"{path}: {problem}; `testbed run` into this folder writes it anew")


def _refuse_large(path: Path) -> None:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise RunFolderError(
            f"{path}: expected {MOST_BYTES >> 20} MiB at most, found {size >> 20} MiB"
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        _refuse_large(path)
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise RunFolderError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise RunFolderError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def _partial(path: Path, manifest: dict[str, Any], scratch: Path) -> RunFolder:
    """Of what is journalled, in the journal's order."""
    journal = path / JOURNAL
    if not journal.is_file():
        raise RunFolderError(
            f"{path}: there is neither {TRIALS_CSV} with {STATISTICS_CSV} nor {JOURNAL}: nothing "
            "can be told of this run"
        )
    columns = [*COLUMNS, *(name for name in manifest["metrics"] if name not in COLUMNS)]
    known = {
        "scenario": {manifest["scenario"]["name"]},
        "codec": set(manifest["codec_labels"]),
        "image": {image["name"] for image in manifest["images"]},
    }
    scratch.mkdir(parents=True, exist_ok=True)
    count = other = 0
    with (scratch / TRIALS_CSV).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row in _journalled(journal):
            # The journal may hold trials of other scenarios, or of an earlier form of this one.
            if row is None or any(row.get(key) not in known[key] for key in known):
                other += 1
                continue
            writer.writerow({name: row.get(name, math.nan) for name in columns})
            count += 1
    if not count:
        raise RunFolderError(
            f"{journal}: no finished trial of this version yet ({other} other lines); "
            "`testbed run` into this folder goes on"
        )
    run = RunFolder(path, manifest, scratch)
    lower = {each.column for each in run.metrics if not each.higher_is_better}
    labels = {each.column: each.label for each in run.metrics}
    write_statistics(scratch / TRIALS_CSV, labels, run.reference, scratch, lower)
    notes = [
        f"This run has not ended: {count} of {manifest['trials']} trials are there, and all that "
        "is shown is made of these. Neither certification nor comparison is written yet."
    ]
    if other:
        notes.append(
            f"Lines of the journal that are damaged, failed or another scenario's: {other}"
        )
    return RunFolder(path, manifest, scratch, tuple(notes))


def _journalled(journal: Path) -> Iterator[dict[str, Any] | None]:
    """Rows; None for lines that are none, or none of this version."""
    latest: set[str] = set()
    with journal.open("rb") as file:
        for line in file:
            kind, trial_id = kind_of(line.rstrip(b"\n"))
            if kind != "row":
                yield None
            elif trial_id not in latest:
                latest.add(trial_id)
                yield content_of(line)
