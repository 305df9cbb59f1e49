"""All figures of the runs of a report, as files; one that fails does not lose the others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from testbed.errors import OutputError, error_words
from testbed.figures import catalogue
from testbed.figures.drawing import Width, save_drawing
from testbed.reporting.report_run import ReportRun
from testbed.reporting.saved_drawing import SavedDrawing
from testbed.reporting.tex import escape
from testbed.whole_file import whole_file

FIGURES = "figures"


@dataclass
class ReportFigures:
    """problems: a line for each maker that did not end."""

    drawings: list[SavedDrawing] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def draw_figures(runs: Sequence[ReportRun], width: Width, folder: Path) -> ReportFigures:
    """Into `folder`/figures, with captions.json and captions.tex. Raises OutputError.

    With several runs, stems begin with the run's number and name.
    """
    found = ReportFigures()
    for each in runs:
        for maker in catalogue.MAKERS:
            try:
                for drawing in maker(each.run, width):
                    stem = drawing.stem if len(runs) == 1 else f"{each.slug}_{drawing.stem}"
                    files = save_drawing(replace(drawing, stem=stem), folder / FIGURES)
                    found.drawings.append(
                        SavedDrawing(
                            each.name, stem, drawing.title, drawing.caption, drawing.group, files
                        )
                    )
            except OutputError:
                raise
            except Exception as error:
                # A figure's fault must not cost the report. Others of its maker's may be lost.
                name = getattr(maker, "__name__", repr(maker))
                found.problems.append(f"{each.name}: figures of {name}: {error_words(error)}")
    _write_captions(found.drawings, folder / FIGURES)
    return found


def _write_captions(drawings: Sequence[SavedDrawing], folder: Path) -> None:
    """captions.json; captions.tex, where \\csname caption-STEM\\endcsname is the caption."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot write ({error.strerror})") from error
    content = {
        each.stem: {
            "run": each.run, "title": each.title, "caption": each.caption, "group": each.group,
            "files": [path.name for path in each.files],
        }
        for each in drawings
    }  # fmt: skip
    with whole_file(folder / "captions.json") as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n")
    lines = [
        f"\\expandafter\\def\\csname caption-{each.stem}\\endcsname{{{escape(each.caption)}}}\n"
        for each in drawings
    ]
    with whole_file(folder / "captions.tex") as partial:
        partial.write_text("".join(lines), "utf-8")
