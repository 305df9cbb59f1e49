"""Where nothing is swept: every codec's mean at one setting as a point with its interval."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trials_table import case_of
from testbed.figures.axes import FAILED, Quantity, quantity_of
from testbed.figures.captions import (
    FAILED_WORDS,
    exact_sentences,
    extent_sentence,
    fixed_sentence,
    header_sentences,
    interval_sentence,
    mean_words,
    sentence,
)
from testbed.figures.curve_grid import CURVE, Looks, wrapped_titles
from testbed.figures.curve_looks import KIND_WORDS
from testbed.figures.drawing import STYLE, WIDTHS_IN, Drawing, Width
from testbed.figures.panels import MOST_PANELS, Panel, in_case, in_figures, page_end

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SinglePanels: TypeAlias = Callable[[pd.DataFrame], list[Panel]]
"""Of the rows of one variation and one size of pictures, the panels that no curve goes through."""

LINES_IN = (0.2, 0.27, 0.4)
"""Of each codec, whose label has one, two or more lines."""
TITLE_LINE_IN = 0.14
AROUND_IN = 0.75
LABEL_CHARACTERS = 20
LABELS_IN = 1.2
"""What they leave of the width."""


def draw_points(
    run: RunFolder,
    frame: pd.DataFrame,
    singles_of: SinglePanels,
    looks: Looks,
    width: Width,
    group: str,
    prefix: str = "",
) -> Iterator[Drawing]:
    """Every metric of the settings that no curve goes through; variations share figures.

    frame: rows of points. prefix: what files' names begin with.
    """
    for size in frame["size"].unique():
        for number, panels in enumerate(in_figures(_panels(frame, size, singles_of), "page"), 1):
            rows = pd.concat([panel.rows for panel in panels])
            for metric in run.metrics:
                if rows[metric.column].notna().any():
                    quantity = quantity_of(metric)
                    stem = metric.column.removesuffix("_db")
                    part = f", part {number}" if number > 1 else ""
                    yield Drawing(
                        f"{prefix}{stem}_by_codec_{size}{page_end(number)}",
                        f"{quantity.words} by codec, {size}{part}",
                        _caption(run, panels, quantity, rows),
                        group,
                        _draw(panels, quantity, looks, width),
                    )


def undrawn_points(frame: pd.DataFrame, singles_of: SinglePanels) -> int:
    """How many panels are left out, since there are too many."""
    return sum(
        max(0, len(_all_panels(frame, size, singles_of)) - MOST_PANELS)
        for size in frame["size"].unique()
    )


def _panels(frame: pd.DataFrame, size: str, singles_of: SinglePanels) -> list[Panel]:
    return _all_panels(frame, size, singles_of)[:MOST_PANELS]


def _all_panels(frame: pd.DataFrame, size: str, singles_of: SinglePanels) -> list[Panel]:
    return [
        in_case(case, panel)
        for case in case_of(frame)
        for panel in singles_of(
            frame[((frame["case"] == case) & (frame["size"] == size)).to_numpy()]
        )
    ]


def _draw(panels: Sequence[Panel], quantity: Quantity, looks: Looks, width: Width) -> Figure:
    """Panels below each other, in each the metric and, beside it, the share of failures."""
    import matplotlib.pyplot as plt

    rows = pd.concat([panel.rows for panel in panels])
    names = [
        (*pair, kind)
        for pair in looks
        for kind in dict.fromkeys(rows["kind"])
        if (rows[CURVE] == [*pair, kind]).all(axis=1).any()
    ]
    width_in = WIDTHS_IN[width]
    titles = wrapped_titles(panels, width_in - LABELS_IN)
    labels = [_label(name, looks) for name in names]
    most_lines = max(label.count("\n") + 1 for label in labels)
    height_in = LINES_IN[min(most_lines, len(LINES_IN)) - 1] * max(2, len(names))
    lines = sum(title.count("\n") + 1 for title in titles)
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(
            len(panels), 2, squeeze=False, layout="constrained", sharex="col", sharey=True,
            width_ratios=(3, 1), figsize=(
                width_in, (height_in + 0.15) * len(panels) + TITLE_LINE_IN * lines + AROUND_IN
            ),
        )  # fmt: skip
        for panel, title, (left, right) in zip(panels, titles, grid, strict=True):
            _draw_points(left, panel.rows, names, quantity, looks)
            _draw_points(right, panel.rows, names, FAILED, looks)
            left.set_title(title, loc="left")
        first = grid[0, 0]
        first.set_yticks(range(len(names)), labels)
        first.set_ylim(len(names) - 0.4, -0.6)
        grid[0, 1].set_xlim(-10, 110)
        grid[-1, 0].set_xlabel(quantity.label)
        grid[-1, 1].set_xlabel(FAILED.label)
    return figure


def _label(name: tuple[str, str, str], looks: Looks) -> str:
    codec, protection, kind = name
    words = [looks[codec, protection].label, *filter(None, [KIND_WORDS.get(kind)])]
    return textwrap.fill(", ".join(words), LABEL_CHARACTERS)


def _draw_points(
    axes: Axes,
    rows: pd.DataFrame,
    names: Sequence[tuple[str, str, str]],
    quantity: Quantity,
    looks: Looks,
) -> None:
    assert quantity.interval is not None
    columns = [quantity.column, *quantity.interval]
    for height, (codec, protection, kind) in enumerate(names):
        own = rows[(rows[CURVE] == [codec, protection, kind]).all(axis=1)]
        style = dict(looks[codec, protection].style) | {"linestyle": "none", "markersize": 4.5}
        for mean, low, high in (quantity.scale * own[columns]).itertuples(index=False):
            axes.plot([low, high], [height] * 2, color=style["color"], linewidth=1, zorder=2)
            axes.plot([mean], [height], **style, zorder=3)
    axes.grid(axis="y", visible=False)


def _caption(
    run: RunFolder, panels: Sequence[Panel], quantity: Quantity, rows: pd.DataFrame
) -> str:
    return " ".join(
        [
            f"{mean_words(quantity)} by codec; beside it, the share of failures"
            f"{' with its interval' * bool(rows['failed_low'].notna().any())}.",
            extent_sentence(rows),
            interval_sentence(rows, quantity, "Lines"),
            sentence(FAILED_WORDS),
            *exact_sentences(rows, quantity.column),
            *header_sentences(run, set(rows["codec"])),
            fixed_sentence(panel.title for panel in panels),
        ]
    )
