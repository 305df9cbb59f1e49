"""Figures inside the page: as SVG or PNG, with their files as downloads, as long as there is room.

What is seen comes before what is downloaded, and every run has the same share of the room.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.reporting.html.inlining import Download, Room, download
from testbed.reporting.report_run import ReportRun
from testbed.reporting.saved_drawing import SavedDrawing

LARGEST_SVG_BYTES = 400_000
"""Of a figure that is shown as SVG; of a larger one its PNG is shown."""
COLUMN_PIXELS = 900
"""Wider than a paper's column: 3.5 in at 200 dpi, and margins."""


@dataclass(frozen=True, slots=True)
class ShownFigure:
    """uri: None where the page has no room left. shown: the suffix of what `uri` is.

    alt: what stands for the picture where it is not seen
    """

    title: str
    caption: str
    alt: str
    group: str
    uri: str | None
    shown: str
    wide: bool
    downloads: list[Download]


def shown_figures(
    drawings: Sequence[SavedDrawing], runs: Sequence[ReportRun], folder: Path, room: Room
) -> list[list[ShownFigure]]:
    """Those of each run. folder: the page's."""
    own = [[each for each in drawings if each.run == run.name] for run in runs]
    seen = []
    for number, figures in enumerate(own):
        share = Room(room.left // (len(runs) - number))
        room.left -= share.left
        seen.append([_seen(each, share) for each in figures])
        room.left += share.left
    return [
        [_shown(each, *what, folder, room) for each, what in zip(figures, found, strict=True)]
        for figures, found in zip(own, seen, strict=True)
    ]


def _seen(each: SavedDrawing, room: Room) -> tuple[str, str | None]:
    small = each.file(".svg").stat().st_size <= LARGEST_SVG_BYTES
    for suffix in (".svg", ".png") if small else (".png",):
        if uri := room.inline(each.file(suffix)):
            return suffix, uri
    return "", None


def _shown(
    each: SavedDrawing, shown: str, uri: str | None, folder: Path, room: Room
) -> ShownFigure:
    return ShownFigure(
        each.title, each.caption, _alt(each), each.group, uri, shown, _is_wide(each.file(".png")),
        # What is seen is not put into the page twice: its link takes it from the picture.
        [
            Download(path.name, "", path.stat().st_size / 1024, True)
            if path.suffix == shown
            else download(path, folder, room)
            for path in (each.file(suffix) for suffix in (".pdf", ".svg", ".png"))
        ],
    )  # fmt: skip


def _alt(each: SavedDrawing) -> str:
    """The title and the caption's first sentence; the whole caption stands beside it."""
    first = re.split(r"(?<=\.)\s", each.caption, maxsplit=1)[0]
    return f"{each.title}. {first}".strip()


def _is_wide(png: Path) -> bool:
    with png.open("rb") as file:
        head = file.read(24)
    return int.from_bytes(head[16:20]) > COLUMN_PIXELS
