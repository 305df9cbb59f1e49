"""The picture grid: what each codec's receiver shows, a part of it enlarged, and where it is wrong.

    original | received at each SNR        a codec's rows: the picture, of large pictures a part
    its part | the same part of each       enlarged, and the absolute error below
    scale    | error of each

All errors over a channel share one scale. What is beyond it, such as a failed picture, is as dark
as its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from testbed.evaluation.run_folder import RunFolder
from testbed.figures.axes import Sweep
from testbed.figures.drawing import STYLE, Drawing, Width
from testbed.figures.picture_panels import (
    GAP_IN,
    HEADING_LINE_IN,
    HEADING_POINTS,
    PICTURES,
    heading,
    label_row,
    panel_grid,
    show,
    side_in,
)
from testbed.figures.received_pictures import ChannelPictures, CodecRow, channel_pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

ENLARGED_FROM = 128
"""Pictures with a longer side have a part enlarged."""
ENLARGED = 4
"""How many times."""
MARK = "#56B4E9"
TALLEST_IN = 9.0
ERRORS = "magma_r"
"""Dark is wrong, in grey print, too."""
SCALE_ENDS = (1, 2, 5, 10, 20, 40, 60, 100, 150, 255)
SCALE_SHARE = 98.0
"""Percentile of a picture's errors that the scale is made for."""


@dataclass(frozen=True, slots=True)
class Part:
    """Of a picture's ENLARGED x ENLARGED equal parts the one with most detail."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def of(cls, original: NDArray[np.uint8]) -> Part | None:
        """None for a picture whose pixels can be seen without.

        Detail is the mean absolute difference of neighbours, below and to the right.
        """
        if max(original.shape[:2]) <= ENLARGED_FROM:
            return None
        height, width = (max(1, side // ENLARGED) for side in original.shape[:2])
        parts = [
            cls(top, left, height, width)
            for top in range(0, original.shape[0] - height + 1, height)
            for left in range(0, original.shape[1] - width + 1, width)
        ]
        return max(parts, key=lambda part: _detail(part.cut(original)))

    def cut(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


def _detail(pixels: NDArray[np.uint8]) -> int:
    values = pixels.astype(np.int64)
    return sum(int(np.abs(np.diff(values, axis=axis)).sum()) for axis in (0, 1))


def absolute_error(original: NDArray[np.uint8], received: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of each pixel (H, W), in grey levels: the mean of the three channels' absolute errors."""
    error: NDArray[np.float64] = np.abs(original.astype(np.int16) - received).mean(axis=2)
    return error


def draw_picture_grids(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """For each channel that the run has kept pictures of, few codecs in each figure.

    Raises ExamplesError.
    """
    for pictures in channel_pictures(run):
        part = Part.of(pictures.original)
        end = _scale_end(pictures)
        at_once = _codecs_at_once(pictures, width, part)
        for start in range(0, len(pictures.codecs), at_once):
            rows = pictures.codecs[start : start + at_once]
            number = start // at_once + 1
            yield Drawing(
                stem=f"pictures_{pictures.stem}" + (f"_{number}" if number > 1 else ""),
                title=f"Received pictures and their errors, {pictures.words}",
                caption=" ".join([pictures.caption, *_explained(part, end)]),
                group="pictures",
                figure=_grid(pictures, rows, width, part, end),
            )


def _explained(part: Part | None, end: int) -> Iterator[str]:
    if part is not None:
        yield (
            f"The marked {part.width}x{part.height} pixels, of {ENLARGED**2} parts the one with "
            "most detail, are enlarged."
        )
    yield (
        "Error: absolute, mean of red, green and blue, in grey levels; what is above "
        f"{end} is drawn as {end}."
    )


def _codecs_at_once(pictures: ChannelPictures, width: Width, part: Part | None) -> int:
    height, wide = pictures.original.shape[:2]
    tall = side_in(width, 1 + PICTURES[width]) * height / wide + GAP_IN
    return max(1, int(TALLEST_IN / (tall * (2 if part is None else 3) + 2 * HEADING_LINE_IN)))


def _scale_end(pictures: ChannelPictures) -> int:
    """For half of the pictures that were decoded: the worst would hide all differences."""
    errors = [
        float(np.percentile(absolute_error(pictures.original, received), SCALE_SHARE))
        for file in sorted(
            {
                str(file)
                for row in pictures.codecs
                for file in row.rows.loc[~row.rows["failed"].astype(bool), "file"]
            }
        )
        for received in [pictures.examples.received(file)]
    ]
    wanted = float(np.median(errors)) if errors else 255.0
    return next(end for end in SCALE_ENDS if end >= wanted)


def _grid(
    pictures: ChannelPictures,
    rows: Sequence[CodecRow],
    width: Width,
    part: Part | None,
    end: int,
) -> Figure:
    import matplotlib.pyplot as plt

    most, original = PICTURES[width], pictures.original
    kinds = 2 if part is None else 3
    with plt.style.context(STYLE):
        columns = 1 + max(len(row.shown(most)) for row in rows)
        lines = [2, *[0] * (kinds - 1)] * len(rows)
        figure, grid = panel_grid(width, original.shape, columns, lines)
        tall_in = side_in(width, columns) * original.shape[0] / original.shape[1]
        show(grid[0][0], original, "\noriginal")
        if part is not None:
            _mark(grid[0][0], part)
            show(grid[1][0], part.cut(original))
        errors = None
        for line, row in enumerate(rows):
            own = grid[line * kinds : (line + 1) * kinds]
            label_row(own[0][1], row.label, tall_in)
            label_row(own[-1][1], "error", tall_in)
            if part is not None:
                label_row(own[1][1], "enlarged", tall_in)
            for column, each in enumerate(row.shown(most), start=1):
                panels = [axes[column] for axes in own]
                errors = _received(pictures, each, row.sweep, panels, part, end)
        if errors is not None:
            _draw_scale(grid[kinds - 1][0], errors, end)
    return figure


def _received(
    pictures: ChannelPictures,
    row: dict[str, Any],
    sweep: Sweep,
    axes: Sequence[Axes],
    part: Part | None,
    end: int,
) -> AxesImage:
    """Fills the panels of one picture; its error's image."""
    pixels = pictures.examples.received(str(row["file"]))
    show(axes[0], pixels, heading(row, sweep))
    if part is not None:
        show(axes[1], part.cut(pixels))
    error = absolute_error(pictures.original, pixels)
    return show(axes[-1], error, cmap=ERRORS, vmin=0, vmax=end)


def _mark(axes: Axes, part: Part) -> None:
    from matplotlib.patches import Rectangle

    for colour, line in (("black", 1.6), (MARK, 0.8)):
        corner = (part.left - 0.5, part.top - 0.5)
        axes.add_patch(Rectangle(corner, part.width, part.height, fill=False, ec=colour, lw=line))


def _draw_scale(axes: Axes, errors: AxesImage, end: int) -> None:
    """In the panel below the original, which has no error."""
    inset = axes.inset_axes((0.06, 0.62, 0.88, 0.14))
    figure = axes.get_figure()
    assert figure is not None
    bar = figure.colorbar(errors, cax=inset, orientation="horizontal", ticks=[0, end / 2, end])
    bar.ax.grid(visible=False)
    bar.ax.tick_params(labelsize=HEADING_POINTS, length=2, pad=1)
    bar.set_label("grey levels", fontsize=HEADING_POINTS, labelpad=1)
