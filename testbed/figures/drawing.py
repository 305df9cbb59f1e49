"""A figure and all that goes with it: its name, its caption, its files.

PNG is for looking at: 200 dpi, the caption below the axes. PDF and SVG are for papers and pages,
where the caption is text of its own: fonts are embedded, and no file bears a time or a random name,
so that the same table gives the same bytes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from testbed.errors import OutputError
from testbed.figures.stems import checked_stem

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

STYLE = Path(__file__).with_name("paper.mplstyle")

Width: TypeAlias = Literal["column", "page"]
"""Of a figure, in a paper of two columns: one of them, or both."""
WIDTHS_IN: dict[Width, float] = {"column": 3.5, "page": 7.16}

FORMATS = (".png", ".pdf", ".svg")
CAPTION_POINTS = 6
CAPTION_CHARACTERS_PER_IN = 20
"""Of the caption in a PNG."""
PAD_IN = 0.03
"""Around all that is drawn, and between it and the caption."""
_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure that is drawn and not yet saved.

    stem     its files' name without suffix: a-z, 0-9, and . _ = , -
    title    a few words, for headings and lists
    caption  plain sentences: what is seen, of how many pictures and draws, which headers are
             charged, what the intervals are; no markup
    group    the heading it stands under in a report: one of GROUPS
    """

    stem: str
    title: str
    caption: str
    group: str
    figure: Figure

    def __post_init__(self) -> None:
        checked_stem(self.stem)


GROUPS = {
    "quality": "Quality",
    "comparison": "Codecs at their best",
    "layers": "Layers",
    "cost": "Where the channel uses go",
    "pictures": "Pictures",
    "certification": "Self-certification",
    "more": "Further figures",
}
"""Headings by group, in the order of a report."""


def save_drawing(drawing: Drawing, folder: Path, formats: Iterable[str] = FORMATS) -> list[Path]:
    """Writes the files and closes the figure. Raises OutputError."""
    import matplotlib.pyplot as plt

    figure, written = drawing.figure, []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with plt.style.context(STYLE):
            # Laid out once for all files, which takes as long as drawing one of them.
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
            box = figure.get_tightbbox().padded(PAD_IN)
            for suffix in sorted(formats, key=FORMATS.index, reverse=True):
                if suffix == ".png" and drawing.caption:
                    box = _with_caption(figure, drawing.caption, box)
                path = folder / f"{drawing.stem}{suffix}"
                figure.savefig(path, bbox_inches=box, metadata=_METADATA[suffix])
                written.append(path)
    except OSError as error:
        raise OutputError(f"{folder}: cannot write figures ({error.strerror})") from error
    finally:
        plt.close(figure)
    return written


def _with_caption(figure: Figure, caption: str, box: Bbox) -> Bbox:
    """The box, in inches, with room for the caption that is now below all that was in it."""
    from matplotlib.transforms import Bbox

    width, height = figure.get_size_inches()
    wrapped = textwrap.fill(caption, int(CAPTION_CHARACTERS_PER_IN * width))
    text = figure.text(
        (box.x0 + box.x1) / 2 / width, box.y0 / height, wrapped,
        fontsize=CAPTION_POINTS, color="0.35", ha="center", va="top",
    )  # fmt: skip
    drawn = text.get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    union: Bbox = Bbox.union([box, drawn.padded(PAD_IN)])
    return union
