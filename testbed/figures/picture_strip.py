"""A strip of pictures for each channel: the original, then what each codec's receiver shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from testbed.evaluation.run_folder import RunFolder
from testbed.figures.drawing import STYLE, Drawing, Width
from testbed.figures.picture_panels import PICTURES, heading, label_row, panel_grid, show, side_in
from testbed.figures.received_pictures import ChannelPictures, channel_pictures

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_picture_strips(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """One for each channel that the run has kept pictures of. Raises ExamplesError."""
    for pictures in channel_pictures(run):
        yield Drawing(
            stem=f"strip_{pictures.stem}",
            title=f"Received pictures, {pictures.words}",
            caption=pictures.caption,
            group="pictures",
            figure=_strip(pictures, width),
        )


def _strip(pictures: ChannelPictures, width: Width) -> Figure:
    import matplotlib.pyplot as plt

    most = PICTURES[width]
    shape = pictures.original.shape
    with plt.style.context(STYLE):
        columns = 1 + max(len(row.shown(most)) for row in pictures.codecs)
        figure, grid = panel_grid(width, shape, columns, [2] * len(pictures.codecs))
        show(grid[0][0], pictures.original, "\noriginal")
        for axes, row in zip(grid, pictures.codecs, strict=True):
            label_row(axes[1], row.label, side_in(width, columns) * shape[0] / shape[1])
            for panel, each in zip(axes[1:], row.shown(most), strict=False):
                pixels = pictures.examples.received(str(each["file"]))
                show(panel, pixels, heading(each, row.sweep))
    return figure
