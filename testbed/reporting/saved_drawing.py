"""A figure that has been written: what a report and a paper refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SavedDrawing:
    """One figure of one run, and its files.

    run      the run's name in the report, one of its own where runs share a scenario's name
    stem     the files' name without suffix; unique within a report
    title    a few words, for headings and lists
    caption  plain sentences, no markup
    group    one of `testbed.figures.drawing.GROUPS`
    files    PNG, PDF and SVG, in the report's folder
    """

    run: str
    stem: str
    title: str
    caption: str
    group: str
    files: Sequence[Path]

    def file(self, suffix: str) -> Path:
        """The file of a format, such as ".svg". Raises KeyError where there is none."""
        for path in self.files:
            if path.suffix == suffix:
                return path
        raise KeyError(suffix)
