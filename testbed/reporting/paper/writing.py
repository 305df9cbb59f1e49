"""What an author copies into a paper: tables, figures, words, references, distances of curves.

    runs, drawings --> tables.tex  figures.tex  methods.md  references.bib  deltas.csv

The same runs give the same bytes. docs/paper.md tells users what to do with the files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from testbed.errors import OutputError
from testbed.evaluation.run_folder import RunFolder
from testbed.figures.drawing import WIDTHS_IN
from testbed.reporting.paper.bibliography import cited, references
from testbed.reporting.paper.deltas import Cell, deltas, write_deltas
from testbed.reporting.paper.latex_tables import run_tables
from testbed.reporting.paper.methods import methods
from testbed.reporting.report_run import report_runs
from testbed.reporting.saved_drawing import SavedDrawing
from testbed.reporting.tex import escape, figure, label
from testbed.whole_file import whole_file

TABLES, FIGURES, METHODS, REFERENCES = "tables.tex", "figures.tex", "methods.md", "references.bib"
FIGURES_FOLDER = "figures"
"""Where figures.tex looks for the PDFs of drawings, from the paper's folder."""
_MEDIA_BOX = re.compile(rb"/MediaBox \[ *([0-9.]+) [0-9.]+ ([0-9.]+) [0-9.]+ *\]")


def write_paper(
    runs: Sequence[RunFolder], drawings: Sequence[SavedDrawing], folder: Path
) -> list[Path]:
    """All files, into `folder`, which is made; their paths. Raises OutputError, RunFolderError.

    drawings: with stems of their own; their PDFs are the caller's to
    put into FIGURES_FOLDER.
    """
    rows = deltas(runs)
    text = methods(runs, {str(row["axis"]) for row in rows if _has_a_number(row)})
    versions = {str(run.manifest["versions"].get("semcom-testbed", "")) for run in runs} - {""}
    tables = "\n".join(part for each in report_runs(runs) for part in run_tables(each, rows))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
    return [
        _write(folder / TABLES, r"% Needs \usepackage{booktabs}." "\n\n" + tables),
        _write(folder / FIGURES, r"% Needs \usepackage{graphicx}." "\n\n" + _figures(drawings)),
        _write(folder / METHODS, text),
        _write(folder / REFERENCES, references(cited(text), versions)),
        write_deltas(rows, folder),
    ]


def _figures(drawings: Sequence[SavedDrawing]) -> str:
    return "\n".join(
        figure(
            f"{FIGURES_FOLDER}/{each.stem}.pdf",
            escape(each.caption or each.title),
            label("fig", each.stem),
            wide=_is_wide(each),
        )
        for each in drawings
    )


def _is_wide(drawing: SavedDrawing) -> bool:
    """Whether it was drawn for both columns of a page: by the width of its PDF, in points."""
    try:
        box = _MEDIA_BOX.search(drawing.file(".pdf").read_bytes())
    except (KeyError, OSError):
        return False
    middle_in = (WIDTHS_IN["column"] + WIDTHS_IN["page"]) / 2
    return box is not None and float(box[2]) - float(box[1]) > 72 * middle_in


def _has_a_number(row: dict[str, Cell]) -> bool:
    names = ("bd_db", "bd_rate_percent", "mean_difference_db", "snr_gain_db")
    return any(not math.isnan(float(row[name])) for name in names)


def _write(path: Path, text: str) -> Path:
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path
