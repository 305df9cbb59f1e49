"""Figures of several panels that fit a column of text or a page, with one legend above them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from testbed.figures.drawing import WIDTHS_IN, Width
from testbed.spreading import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

T = TypeVar("T")

MAX_FIGURES = 4
"""Of a kind and a run."""
COLUMNS: dict[Width, int] = {"column": 1, "page": 2}
ROWS = 3

LONE_WIDTH_IN = 4.6
"""Of a figure of a single panel, at most."""
TITLE_LINE_IN = 0.14


def pages(items: Sequence[T], width: Width, rows: int = ROWS) -> Iterator[tuple[str, list[T]]]:
    """The end of a figure's stem, "" or "_2" ..., and what it shows: see `drawn`."""
    each = rows * COLUMNS[width]
    shown = drawn(items, width, rows)
    for start in range(0, len(shown), each):
        number = start // each + 1
        yield "" if number == 1 else f"_{number}", shown[start : start + each]


def drawn(items: Sequence[T], width: Width, rows: int = ROWS) -> list[T]:
    """As many as MAX_FIGURES have room for, spread evenly."""
    return spread(items, MAX_FIGURES * rows * COLUMNS[width])


def panel_grid(
    width: Width,
    titles: Sequence[str],
    heights_in: Sequence[float],
    columns: int | None = None,
    **more: Any,
) -> tuple[Figure, list[list[Axes]]]:
    """A figure, and for each title its axes, one below the other, of the given heights.

    The title stands above the first. To be called, and drawn into, with the style's context.
    """
    import matplotlib.pyplot as plt

    columns = min(len(titles), columns or COLUMNS[width])
    rows = -(-len(titles) // columns)
    width_in = WIDTHS_IN[width] if columns > 1 else min(WIDTHS_IN[width], LONE_WIDTH_IN)
    lines = max(title.count("\n") + 1 for title in titles)
    title_in = 0.1 + TITLE_LINE_IN * lines
    figure, grid = plt.subplots(
        rows * len(heights_in), columns, squeeze=False, layout="constrained",
        figsize=(width_in, rows * (sum(heights_in) + title_in)),
        height_ratios=list(heights_in) * rows, **more,
    )  # fmt: skip
    stacks: list[list[Axes]] = []
    for place in range(rows * columns):
        row, column = divmod(place, columns)
        first = row * len(heights_in)
        stack = [grid[first + below, column] for below in range(len(heights_in))]
        if place < len(titles):
            stack[0].set_title(titles[place])
            stacks.append(stack)
        else:
            for axes in stack:
                axes.remove()
    return figure, stacks
