"""Panels, and the figures that they are put into: by variation and size, some to a figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pandas as pd

from testbed.evaluation.trials_table import case_of
from testbed.figures.axes import SWEEPS, Sweep
from testbed.figures.drawing import Width
from testbed.figures.stems import stem_part

COLUMNS: Mapping[Width, int] = {"column": 1, "page": 2}
"""Panels side by side."""
PANELS_PER_FIGURE: Mapping[Width, int] = {"column": 2, "page": 4}
MOST_PANELS = 24
"""Of one variation and size along one axis."""
MOST_CASES = 12
"""Variations of a scenario that are drawn."""


@dataclass(frozen=True, slots=True)
class Panel:
    """All that shares a pair of axes.

    title   what is held fixed
    rows    of a table of points
    fixed   by column, what is held fixed
    behind  rows of what is drawn faintly; may be none
    """

    title: str
    rows: pd.DataFrame
    fixed: Mapping[str, Any] = field(default_factory=dict)
    behind: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The panels of one figure, before it is known which metric it shows.

    stem_end    what ends its files' names
    words       what its title ends with
    sweep       what is along its axis
    size        of its pictures, such as "384x256"
    """

    stem_end: str
    words: str
    sweep: Sweep
    size: str
    panels: tuple[Panel, ...]


PanelMaker: TypeAlias = Callable[[pd.DataFrame, Sweep], list[Panel]]
"""From the rows of one variation and one size of pictures."""


def sheets(frame: pd.DataFrame, panels_of: PanelMaker, width: Width) -> Iterator[Sheet]:
    """Every figure's panels; none where nothing takes two values along an axis.

    Pictures of different sizes are drawn apart: their rates are not comparable. So are variations
    of a scenario, whose names end the files'. Panels that do not fit into one figure go on in the
    next; see `left_out` for how many are not drawn at all.
    """
    for case, end, size, sweep, panels in _panel_lists(frame, panels_of):
        drawn = panels[:MOST_PANELS] if end is not None else []
        for number, shown in enumerate(in_figures(drawn, width), 1):
            words = ", ".join(filter(None, [size, case, f"part {number}" if number > 1 else ""]))
            yield Sheet(f"{size}{end}{page_end(number)}", words, sweep, size, tuple(shown))


def left_out(frame: pd.DataFrame, panels_of: PanelMaker) -> int:
    """How many panels `sheets` does not have."""
    return sum(
        max(0, len(panels) - MOST_PANELS) if end is not None else len(panels)
        for _, end, _, _, panels in _panel_lists(frame, panels_of)
    )


def _panel_lists(
    frame: pd.DataFrame, panels_of: PanelMaker
) -> Iterator[tuple[str, str | None, str, Sweep, list[Panel]]]:
    """Variation, what ends its files' names, size, axis, and all panels of these."""
    for case, end in case_ends(case_of(frame)).items():
        own = frame[(frame["case"] == case).to_numpy()]
        for size in own["size"].unique():
            part = own[(own["size"] == size).to_numpy()]
            for sweep in SWEEPS:
                panels = [in_case(case, panel) for panel in panels_of(part, sweep)]
                yield case, end, str(size), sweep, panels


def with_curves(panels: Sequence[Panel], sweep: Sweep) -> list[Panel]:
    """Those that have two values along the axis, without points that have no place on it."""
    placed = [
        Panel(each.title, each.rows[each.rows[sweep.column].notna()], each.fixed, each.behind)
        for each in panels
    ]
    return [each for each in placed if each.rows[sweep.column].nunique() > 1]


def without_curves(
    panels: Sequence[Panel], part: pd.DataFrame, panels_of: PanelMaker
) -> list[Panel]:
    """Those of single settings that no curve of `panels_of` goes through."""
    in_curves: set[int] = set()
    for sweep in SWEEPS:
        for panel in panels_of(part, sweep):
            in_curves.update(panel.rows.index)
    return [panel for panel in panels if not in_curves.issuperset(panel.rows.index)]


def in_case(case: str, panel: Panel) -> Panel:
    """The panel, whose title begins with the name of its variation."""
    title = f"{case}\n{panel.title}" if case else panel.title
    return Panel(title, panel.rows, panel.fixed, panel.behind)


def in_figures(panels: Sequence[Panel], width: Width) -> Iterator[Sequence[Panel]]:
    """As many at a time as one figure has."""
    count = PANELS_PER_FIGURE[width]
    for start in range(0, len(panels), count):
        yield panels[start : start + count]


def page_end(number: int) -> str:
    """What ends the name of the files of the `number`-th figure of a kind, counted from 1."""
    return f"_{number}" if number > 1 else ""


def case_ends(cases: Sequence[str]) -> dict[str, str | None]:
    """What ends the names of each variation's files; None for those that are not drawn."""
    ends: dict[str, str | None] = {}
    parts: set[str] = set()
    for case in cases:
        part = stem_part(case, parts) if case else ""
        parts.add(part)
        end = f"_{part}" if case else ""
        ends[case] = end if len(ends) < MOST_CASES else None
    return ends
