"""A figure that is no part of a run's report, as PNG and PDF: of studies, benchmarks, plug-ins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from testbed.figures.drawing import Drawing, save_drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = ("-", "--", "-.", ":")
"""Of curves that are no codecs, in their order."""


def save(figure: Figure, path: Path) -> list[Path]:
    """Writes path.png and path.pdf and closes the figure. Raises OutputError."""
    drawing = Drawing(path.name, "", "", "more", figure)
    return save_drawing(drawing, path.parent, (".png", ".pdf"))
