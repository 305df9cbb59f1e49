"""A table of a run as the page shows it: the columns that vary, its first rows, the rest as CSV."""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from testbed.errors import OutputError
from testbed.reporting.html.inlining import Download, Room, data_uri, download
from testbed.whole_file import whole_file

FIRST_ROWS = 250
MOST_INLINE_BYTES = 1 << 20
"""Of a table inside the page; a longer one lies beside it."""
TABLES = "tables"
"""The folder of these, beside the page."""


@dataclass(frozen=True, slots=True)
class DataTable:
    """title    also what screen readers call the table
    headings  of the columns that vary; numeric says which hold numbers
    rows      cells in words, the first ones; total is how many there are
    same      columns of one value in all rows, and that value
    download  the whole table
    """

    title: str
    headings: list[str]
    numeric: list[bool]
    rows: list[list[str]]
    total: int
    same: list[tuple[str, str]]
    download: Download | None = None


def data_table(
    title: str,
    table: pd.DataFrame,
    download: Download | None = None,
    keep: Collection[str] = (),
    first: int = FIRST_ROWS,
) -> DataTable:
    """keep: columns that are shown even if they are the same everywhere."""
    constant = [
        name for name in table
        if len(table) > 1 and name not in keep and table[name].nunique(dropna=False) == 1
    ]  # fmt: skip
    shown = table.head(first).drop(columns=constant)
    numeric = [pd.api.types.is_numeric_dtype(shown[name]) for name in shown]
    cells = [[cell_words(value) for value in shown[name].tolist()] for name in shown]
    same = [(str(name), cell_words(table[name].iloc[0])) for name in constant]
    return DataTable(
        title,
        [str(name) for name in shown],
        numeric,
        [list(row) for row in zip(*cells, strict=True)],
        len(table),
        [(name, value) for name, value in same if value],
        download,
    )


def cell_words(value: Any) -> str:
    """Numbers as short as they are known; nothing for what is no number."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return "" if math.isnan(value) else number_words(value)
    return str(value)


def number_words(value: float) -> str:
    """Five digits, and no power of ten for a count."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.5g}"


def table_download(source: Path, name: str, folder: Path, room: Room) -> Download | None:
    """A file of the run: inside the page if it is short, else copied to `folder`/tables.

    None where there is none. Raises OutputError.
    """
    if not source.is_file():
        return None
    size = source.stat().st_size
    if size <= MOST_INLINE_BYTES:
        inside = room.inline(source)
        if inside is not None:
            return Download(name, inside, size / 1024, True)
    copy = folder / TABLES / name
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
    except OSError as error:
        raise OutputError(f"{copy}: cannot write ({error.strerror})") from error
    return download(copy, folder, Room(0))


def text_download(name: str, text: str, folder: Path, room: Room) -> Download:
    """A text of the page's own: inside it if there is room, else in `folder`/tables.

    Raises OutputError.
    """
    content = text.encode("utf-8", "replace")
    if len(content) <= MOST_INLINE_BYTES and room.takes(len(content)):
        return Download(name, data_uri(content, Path(name).suffix), len(content) / 1024, True)
    path = folder / TABLES / name
    with whole_file(path) as partial:
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
    return download(path, folder, Room(0))
