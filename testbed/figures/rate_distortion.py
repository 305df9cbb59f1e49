"""Quality against bits per pixel, without a channel: layered codecs with a marker after each layer.

Drawn from the run's examples/layers.csv. What a channel does to the layers is in other figures.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trials_table import METRICS, finite
from testbed.examples.reading import read_examples
from testbed.figures.captions import header_sentences
from testbed.figures.drawing import STYLE, WIDTHS_IN, Drawing, Width
from testbed.figures.legends import legend_above, legend_entries
from testbed.figures.looks import Look, looks_of
from testbed.figures.ticks import log_ticks
from testbed.figures.trial_captions import examples_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_IN = 2.4
LAYER_POINTS = 5.5
LABEL_FREE_POINTS = 9
"""Names of layers stand no closer to each other."""
SHARED_POINTS = 14
"""A layer of several codecs whose markers are closer is named once."""
OFFSET_POINTS = 3
"""From the middle of a marker to its name."""
MARKER_POINTS = 2.0
"""What is free around a name."""
CHARACTER_WIDTH = 0.62
"""Of a name, in relation to its height."""
SIDES = ((1, -1), (-1, 1), (1, 1), (-1, -1))
"""Of a marker, (right, above), the first of those that are as free: above on the left and below on
the right a rising curve is not."""


@dataclass(frozen=True)
class RateCurve:
    """A codec's points on pictures of one size, in rising order of rate; means over pictures.

    points: columns bpp, psnr_db, ssim. layers: the last layer of each point, of a layered codec.
    """

    codec: str
    points: pd.DataFrame
    layers: tuple[str, ...]


def draw_rate_distortion(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """One for each size of pictures. Raises ExamplesError."""
    table = read_examples(run.path).layers
    for size, rows in table.groupby("size", sort=False):
        curves = rate_curves(rows, run.codecs)
        if any(len(curve.points) > 1 for curve in curves):
            yield Drawing(
                stem=f"rate_distortion_{size}",
                title=f"Quality against bits per pixel, {size} pixels",
                caption=_caption(run, rows, curves, str(size)),
                group="layers",
                figure=_draw(run, curves, width),
            )


def rate_curves(rows: pd.DataFrame, codecs: Sequence[str]) -> list[RateCurve]:
    """rows: of layers.csv, of pictures of one size. codecs: in the order that is wanted.

    A point of a layered codec is a layer: of a picture that has fewer, all that it has. A point of
    any other is a budget that every picture of the codec has a stream for.
    """
    curves = []
    for codec in codecs:
        own = rows[rows["codec"] == codec].assign(psnr_db=lambda each: finite(each, "psnr_db"))
        layered = bool(own["budget_bytes"].isna().all())
        point = "layers" if layered else "budget_bytes"
        wide = own.pivot(index="image", columns=point, values=["bpp", "psnr_db", "ssim"])
        if layered:
            wide = wide.T.groupby(level=0, sort=False).ffill().T
        # No SSIM is defined of tiny pictures; a rate there is of every stream.
        complete = wide["bpp"].columns[wide["bpp"].notna().all()] if len(own) else []
        points = pd.DataFrame(
            {name: wide[name][complete].astype(float).mean() for name in ("bpp", *METRICS)}
            if len(own)
            else {}
        )
        if len(points):
            names = own.drop_duplicates("layers").set_index("layers")["layer"]
            layers = tuple(names[count] for count in points.index) if layered else ()
            curves.append(RateCurve(codec, points, layers))
    return curves


def _caption(run: RunFolder, rows: pd.DataFrame, curves: Sequence[RateCurve], size: str) -> str:
    count = rows["image"].nunique()
    pictures = f"Means over {count} pictures" if count > 1 else "One picture"
    sentences = [f"{pictures} of {size} pixels, without a channel; bits are those of all layers."]
    if any(curve.layers for curve in curves):
        sentences.append("A marker stands after each whole layer, named by its bitplane.")
    if not all(curve.layers for curve in curves):
        sentences.append(
            "Codecs without layers are coded anew for each of some budgets that the run's links "
            "gave them, where every picture fits."
        )
    sentences += header_sentences(run, {curve.codec for curve in curves})
    if any((curve.points["psnr_db"] >= EXACT_PSNR_DB).any() for curve in curves):
        sentences.append(f"An exact picture counts as {EXACT_PSNR_DB:g} dB.")
    return " ".join(filter(None, [*sentences, examples_words(run)]))


def _draw(run: RunFolder, curves: Sequence[RateCurve], width: Width) -> Figure:
    import matplotlib.pyplot as plt

    metrics = [name for name in METRICS if any(c.points[name].notna().any() for c in curves)]
    looks = looks_of(run.codecs)
    with plt.style.context(STYLE):
        columns = len(metrics) if width == "page" else 1
        rows = len(metrics) // columns
        figure, grid = plt.subplots(
            rows, columns, squeeze=False, layout="constrained",
            figsize=(WIDTHS_IN[width], rows * PANEL_IN), sharex=True,
        )  # fmt: skip
        for axes, metric in zip(grid.flat, metrics, strict=True):
            for curve in curves:
                label = run.labels[curve.codec]
                line = looks[curve.codec].line | {"linestyle": "-" if curve.layers else "--"}
                axes.plot(curve.points["bpp"], curve.points[metric], label=label, **line)
            # Room for names of layers.
            axes.margins(0.06, 0.1)
            axes.set_xscale("log")
            axes.set_ylabel(METRICS[metric])
        for axes in grid[-1]:
            log_ticks(axes.xaxis)
            axes.set_xlabel("bits per pixel")
        legend_above(figure, legend_entries([grid[0, 0]]))
        # Places in points are known when the layout is.
        figure.draw_without_rendering()
        _name_layers(grid[0, 0], curves, metrics[0], looks)
    return figure


def _name_layers(
    axes: Axes, curves: Sequence[RateCurve], metric: str, looks: Mapping[str, Look]
) -> None:
    """Beside their markers, on the side where the least of curves is, never over each other."""
    from matplotlib.patheffects import withStroke

    per_point = axes.figure.dpi / 72
    places = {
        curve.codec: axes.transData.transform(curve.points[["bpp", metric]]) / per_point
        for curve in curves
    }
    taken = np.concatenate([_filled(each) for each in places.values()])
    named: list[tuple[str, NDArray[np.float64], NDArray[np.float64]]] = []
    left_edge = axes.get_window_extent().x0 / per_point
    for curve in curves:
        last = np.array([-np.inf, -np.inf])
        points = curve.points[["bpp", metric]].to_numpy()
        for name, point, place in zip(curve.layers, points, places[curve.codec], strict=False):
            if np.hypot(*(place - last)) < LABEL_FREE_POINTS:
                continue
            last = place
            words = name.removeprefix("plane").replace("low", " low")
            # Codecs of like layers share a name, and where there is no room there is none.
            shared = any(
                words == other and np.hypot(*(place - there)) < SHARED_POINTS
                for other, there, _ in named
            )
            boxes = {
                side: box
                for side in SIDES
                for box in [_box(place, side, len(words))]
                if not any(_overlap(box, other) for *_, other in named)
            }
            if shared or not boxes:
                continue
            right, above = min(
                boxes,
                key=lambda side: (boxes[side][0, 0] < left_edge, _inside(taken, boxes[side])),
            )
            named.append((words, place, boxes[right, above]))
            axes.annotate(
                words, tuple(point), textcoords="offset points",
                xytext=(OFFSET_POINTS * right, OFFSET_POINTS * above),
                ha="left" if right > 0 else "right", va="bottom" if above > 0 else "top",
                fontsize=LAYER_POINTS, color=looks[curve.codec].colour, zorder=5,
                path_effects=[withStroke(linewidth=1.5, foreground="white")],
            )  # fmt: skip


def _filled(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a line through corners, float64 (n, 2), a place at least every point of length."""
    lines = [
        np.linspace(start, end, 2 + int(np.hypot(*(end - start))))
        for start, end in itertools.pairwise(corners)
    ]
    return np.concatenate([corners, *lines])


def _box(place: NDArray[np.float64], side: tuple[int, int], characters: int) -> NDArray[np.float64]:
    """Where a name beside a marker is, in points: its lower left and its upper right corner."""
    size = LAYER_POINTS * np.array([CHARACTER_WIDTH * characters, 1.0])
    near = place + OFFSET_POINTS * np.array(side)
    return np.sort([near, near + size * np.array(side)], axis=0)


def _overlap(one: NDArray[np.float64], two: NDArray[np.float64]) -> bool:
    """Of two boxes."""
    return bool((one[0] < two[1]).all() and (two[0] < one[1]).all())


def _inside(taken: NDArray[np.float64], box: NDArray[np.float64]) -> int:
    """How much of what is drawn lies in a box, markers' radius around it included."""
    low, high = box
    within = (taken > low - MARKER_POINTS) & (taken < high + MARKER_POINTS)
    return int(within.all(axis=1).sum())
