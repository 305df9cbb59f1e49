"""Panels of curves in a figure: two axes each, some panels side by side, one legend above all."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from testbed.evaluation.envelope import KINDS
from testbed.figures.axes import Layout, Quantity, Sweep
from testbed.figures.curve_looks import KIND_LINES, CurveLook
from testbed.figures.drawing import STYLE, WIDTHS_IN, Width
from testbed.figures.legends import add_legend
from testbed.figures.panels import COLUMNS, Panel
from testbed.figures.ticks import linear_ticks, log_ticks
from testbed.figures.titles import wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Looks: TypeAlias = Mapping[tuple[str, str], CurveLook]
Entries: TypeAlias = dict[str, "Line2D"]
"""Of a legend, by their words."""

CURVE = ["codec", "protection", "kind"]
"""Columns that tell a panel's curves apart."""
TITLE_CHARACTERS_PER_IN = 13.5
LEGEND_CHARACTERS = 40
"""Of a line of a legend's entry."""
TITLE_LINE_IN = 0.14
TOP_AXIS_IN = 0.34
AXIS_IN = 0.45
"""Of the horizontal axis's numbers and name."""
BAND_ALPHA = 0.16
BANDS_ALPHA = 0.7
"""Of the bands of one panel together, at most."""


@dataclass(frozen=True, slots=True)
class TopAxis:
    """A second scale of what is along the axis.

    factor  of its numbers to those below
    """

    label: str
    factor: float


@dataclass(frozen=True, slots=True)
class Decoration:
    """What a kind of figure adds to its panels.

    behind   draws below the curves of the upper axes, and gives legend entries
    front    above them
    top      the second scale of a panel, or None
    """

    behind: Callable[[Axes, Panel], Entries] = lambda *_: {}
    front: Callable[[Axes, Panel], Entries] = lambda *_: {}
    top: Callable[[Panel], TopAxis | None] = lambda _: None


def draw_grid(
    panels: Sequence[Panel],
    sweep: Sweep,
    layout: Layout,
    looks: Looks,
    width: Width,
    more: Decoration,
) -> Figure:
    """The figure, at its full width; its height is that of what it shows.

    All upper axes have one scale, and so have all lower ones.
    """
    import matplotlib.pyplot as plt

    columns = min(COLUMNS[width], len(panels))
    lines = -(-len(panels) // columns)
    width_in = WIDTHS_IN[width]
    with plt.style.context(STYLE):
        figure = plt.figure(figsize=(width_in, lines * layout.height_in), layout="constrained")
        cells = figure.add_gridspec(2 * lines, columns, height_ratios=layout.heights * lines)
        titles, tops = (
            wrapped_titles(panels, width_in / columns),
            [more.top(each) for each in panels],
        )
        most = max(panel.rows.groupby(CURVE).ngroups for panel in panels)
        entries: Entries = {}
        others: Entries = {}
        first: tuple[Axes, Axes] | None = None
        for number, panel in enumerate(panels):
            line, column = divmod(number, columns)
            shared = first or (None, None)
            above = figure.add_subplot(cells[2 * line, column], sharey=shared[0])
            below = figure.add_subplot(cells[2 * line + 1, column], sharey=shared[1], sharex=above)
            first = first or (above, below)
            others |= more.behind(above, panel)
            entries |= draw_curves(above, panel.rows, sweep, layout.above, looks, most)
            bands = layout.below_band
            draw_curves(below, panel.rows, sweep, layout.below, looks, most, band=bands)
            others |= more.front(above, panel)
            above.set_title(titles[number])
            _name_axes(above, below, sweep, layout, tops[number])
            above.tick_params(labelbottom=False)
            for axes in (above, below) if column else ():
                axes.tick_params(labelleft=False)
                axes.set_ylabel("")
            # The last of its column.
            if number + columns < len(panels):
                below.set_xlabel("")
        assert first is not None
        set_rates(first[1], layout.below, pd.concat([panel.rows for panel in panels]))
        heights = layout.height_in * lines + AXIS_IN
        for start in range(0, len(panels), columns):
            heights += TITLE_LINE_IN * max(
                title.count("\n") for title in titles[start : start + columns]
            )
            heights += TOP_AXIS_IN * any(tops[start : start + columns])
        # In the order of all figures of the run.
        labels = [textwrap.fill(look.label, LEGEND_CHARACTERS) for look in looks.values()]
        entries = {label: entries[label] for label in labels if label in entries} | others
        if len(panels) < columns * lines:
            cell = figure.add_subplot(cells[2 * lines - 2 :, -1])
            cell.axis("off")
            add_legend(figure, entries, cell, width_in / columns)
        else:
            heights += add_legend(figure, entries)
        figure.set_figheight(heights)
    return figure


def draw_curves(
    axes: Axes,
    rows: pd.DataFrame,
    sweep: Sweep,
    quantity: Quantity,
    looks: Looks,
    most: int,
    *,
    band: bool = True,
) -> Entries:
    """A line for each codec, protection and kind; their entries in the legend.

    most: curves of any panel of the figure, since more have thinner lines.
    """
    groups = {
        (str(codec), str(protection), str(kind)): points
        for (codec, protection, kind), points in rows.groupby(CURVE, sort=False)
    }
    drawn = [(look, kind, (*pair, kind)) for pair, look in looks.items() for kind in KINDS]
    entries: Entries = {}
    for look, kind, key in drawn:
        if key not in groups:
            continue
        points = groups[key].sort_values(sweep.column)
        x, y = sweep.scale * points[sweep.column], quantity.scale * points[quantity.column]
        # Nothing has no place on a logarithmic axis.
        seen = (y > 0) if quantity.logarithmic else y.notna()
        style = look.line(kind, most, len(points))
        axes.plot(x, y.where(seen), **style, zorder=3)
        label = textwrap.fill(look.label, LEGEND_CHARACTERS)
        if kind in KIND_LINES:
            # The line's kind has an entry of its own: of a codec without bold ones, its marker.
            entries.setdefault(label, _entry(style | {"linestyle": "none"}))
            continue
        entries[label] = _entry(style)
        if band and quantity.interval is not None:
            low, high = (quantity.scale * points[each] for each in quantity.interval)
            known = seen & low.notna()
            if not known.any():
                continue
            axes.fill_between(
                x, low, high, where=known, color=look.colour, linewidth=0,
                alpha=min(BAND_ALPHA, BANDS_ALPHA / most),
            )  # fmt: skip
    return entries


def set_rates(axes: Axes, quantity: Quantity, rows: pd.DataFrame) -> None:
    """The lower axes' range: all of a linear one, down to one trial's share of a logarithmic."""
    if not quantity.logarithmic:
        # Room for the markers at both ends.
        axes.set_ylim(-10, 110)
        axes.set_yticks([0, 100])
        return
    axes.set_yscale("log")
    axes.set_ylim(0.7 / float((rows["images"] * rows["draws"]).max()), 1.3)
    log_ticks(axes.yaxis)


def _entry(style: Mapping[str, Any]) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], **{key: value for key, value in style.items() if key != "markevery"})


def wrapped_titles(panels: Sequence[Panel], width_in: float) -> list[str]:
    """Titles whose lines fit above a panel."""
    characters = int(TITLE_CHARACTERS_PER_IN * width_in)
    return [
        "\n".join(wrapped(line, characters) for line in panel.title.split("\n")) for panel in panels
    ]


def _name_axes(above: Axes, below: Axes, sweep: Sweep, layout: Layout, top: TopAxis | None) -> None:
    for each in (above.xaxis, above.yaxis):
        linear_ticks(each)
    below.set_xlabel(sweep.label)
    above.set_ylabel(layout.above.label)
    below.set_ylabel(layout.below.label)
    if top is not None:
        factor = top.factor
        second = above.secondary_xaxis(
            "top",
            functions=(lambda x: factor * np.asarray(x), lambda x: np.asarray(x) / factor),
        )
        second.set_xlabel(top.label, fontsize=7)
        second.spines["top"].set_visible(True)
        second.tick_params(labelsize=7)
