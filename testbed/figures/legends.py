"""A legend of all panels of a figure, in as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def add_legend(
    figure: Figure,
    entries: Mapping[str, Artist],
    cell: Axes | None = None,
    width_in: float | None = None,
) -> float:
    """Above all axes, or in a cell without any. Returns its height in inches.

    entries: by label. width_in: the room's width, by default the figure's. To be called with the
    style's context.
    """
    room = (width_in or figure.get_figwidth()) * figure.dpi
    place: dict[str, Any] = {"loc": "center" if cell else "outside upper center"}
    place |= {"columnspacing": 1.2, "handlelength": 3.0}
    for columns in range(len(entries), 0, -1):
        legend = (cell or figure).legend(
            list(entries.values()), list(entries), ncols=columns, **place
        )
        box = legend.get_window_extent()
        if box.width <= room or columns == 1:
            return float(box.height / figure.dpi)
        legend.remove()
    return 0.0


def legend_above(figure: Figure, entries: Mapping[str, Artist]) -> None:
    """The figure grows by the legend."""
    height_in = add_legend(figure, entries)
    figure.set_figheight(figure.get_figheight() + height_in)


def legend_entries(axes: Sequence[Axes]) -> dict[str, Artist]:
    """All labelled artists by label, the first of each."""
    found: dict[str, Artist] = {}
    for each in axes:
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return found
