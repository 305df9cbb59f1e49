"""Panels of pictures, all of one shape, in rows and columns.

Whole pixels, never smoothed: what is shown is what was received.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from testbed.figures.axes import Sweep
from testbed.figures.drawing import WIDTHS_IN, Width
from testbed.figures.received_pictures import place_words, quality_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

PICTURES: dict[Width, int] = {"column": 3, "page": 6}
"""Received ones side by side; the original stands before them."""
WIDEST_IN = 1.15
"""A panel: of few columns the figure is narrower than its width allows."""
HEADING_POINTS = 6
HEADING_LINE_IN = 0.105
GAP_IN = 0.05
LABEL_POINTS = 6
LABEL_CHARACTER_IN = 0.047
LABELS_IN = 0.25
"""Room for the rows' labels."""


def side_in(width: Width, columns: int) -> float:
    """Width of a panel."""
    return min(WIDEST_IN, (WIDTHS_IN[width] - LABELS_IN) / columns - GAP_IN)


def panel_grid(
    width: Width, shape: tuple[int, ...], columns: int, heading_lines: Sequence[int]
) -> tuple[Figure, list[list[Axes]]]:
    """A figure of bare panels with pictures' shape (H, W, ...), and these by row and column.

    heading_lines: of each row. To be called, and drawn into, with the style's context.
    """
    import matplotlib.pyplot as plt
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    side = side_in(width, columns)
    tall = side * shape[0] / shape[1]
    rows = len(heading_lines)
    figure, grid = plt.subplots(
        rows, columns, squeeze=False,
        layout=ConstrainedLayoutEngine(
            w_pad=GAP_IN / 2, h_pad=GAP_IN / 2, wspace=0.0, hspace=0.0, compress=True
        ),
        figsize=(
            columns * (side + GAP_IN) + LABELS_IN,
            rows * (tall + GAP_IN) + HEADING_LINE_IN * sum(heading_lines),
        ),
        subplot_kw={"frame_on": False, "xticks": [], "yticks": []},
    )  # fmt: skip
    return figure, [list(row) for row in grid]


def show(
    axes: Axes, pixels: NDArray[np.uint8] | NDArray[np.float64], title: str = "", **more: Any
) -> AxesImage:
    """A picture in its panel, below its heading."""
    if title:
        axes.set_title(title, fontsize=HEADING_POINTS, pad=2, linespacing=1.1)
    return axes.imshow(pixels, interpolation="nearest", **more)


def heading(row: dict[str, Any], sweep: Sweep) -> str:
    """Two lines above a received picture: where it was sent, how good it is."""
    return f"{place_words(row, sweep)}\n{quality_words(row)}"


def label_row(axes: Axes, words: str, tall_in: float = WIDEST_IN) -> None:
    """What a row shows, beside its first received picture, which is so tall."""
    characters = max(1, int(tall_in / LABEL_CHARACTER_IN))
    lines = textwrap.wrap(words, characters, break_long_words=False)
    axes.set_ylabel("\n".join(lines), fontsize=LABEL_POINTS, labelpad=2, linespacing=1.0)
