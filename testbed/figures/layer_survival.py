"""How many layers survive the channel: the share of trials with at least l layers, against SNR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from testbed.evaluation.intervals import means
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trial_store import Point, TrialStore
from testbed.figures.drawing import STYLE, Drawing, Width
from testbed.figures.layer_names import layer_names
from testbed.figures.small_multiples import drawn, legend_above, pages, panel_grid
from testbed.figures.table_settings import (
    AXES,
    Panel,
    measured_trials,
    of_codec,
    panels_of,
    value_of,
)
from testbed.figures.trial_captions import EQUAL_WEIGHTS, caption, extent_words, left_out_words

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABEL_SHARE = 0.13
"""Of the axis: a band that is somewhere as high has its name written there."""


@dataclass(frozen=True, slots=True)
class _Survival:
    """A panel of one codec, and what its layers are called."""

    panel: Panel
    names: list[str]


def draw_layer_survival(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """Nested areas for each codec of which two layers or more were ever decoded, and each setting
    with two SNRs or more at which anything was.
    """
    with measured_trials(run, "layers_decoded") as trials:
        found = list(_panels(run, trials))
        left_out = len(found) - len(drawn(found, width))
        for end, shown in pages(found, width):
            points = [point for each in shown for point in each.panel.points]
            yield Drawing(
                stem=f"layer_survival{end}",
                title="Layers that survive the channel",
                caption=caption(
                    [
                        "Share of trials in which the layers up to the named one were decoded "
                        "whole; white: no layer was. Dots: the SNRs that were simulated.",
                        extent_words(trials, points),
                        EQUAL_WEIGHTS,
                        left_out_words(left_out, "panel"),
                    ]
                ),
                group="layers",
                figure=_figure(trials, shown, width),
            )


def _figure(trials: TrialStore, shown: Sequence[_Survival], width: Width) -> Figure:
    import matplotlib.pyplot as plt

    with plt.style.context(STYLE):
        figure, stacks = panel_grid(width, [each.panel.title for each in shown], [1.75])
        entries: dict[str, Artist] = {}
        for each, (axes,) in zip(shown, stacks, strict=True):
            points = each.panel.along("snr_db")
            at_least = survival(trials, points, len(each.names))
            snr_db = [value_of(point, "snr_db") for point in points]
            areas = _areas(axes, snr_db, at_least, each.names)
            entries |= dict(zip(each.names, areas, strict=True))
        legend_above(figure, entries)
    return figure


def survival(trials: TrialStore, points: Sequence[Point], count: int) -> NDArray[np.float64]:
    """Share of trials with at least 1, 2 ... `count` layers decoded, float64 (count, points).

    Every picture weighs the same, however many draws it has.
    """
    found = np.empty((count, len(points)))
    for column, point in enumerate(points):
        layers = trials.share(point, "layers_decoded")
        stack = layers[None] >= np.arange(1, count + 1)[:, None, None]
        found[:, column] = means(np.where(np.isnan(layers)[None], np.nan, stack))
    return found


def most_layers(trials: TrialStore) -> dict[str, int]:
    """By codec, the most layers that any trial decoded."""
    most: dict[str, int] = {}
    for point in trials.points:
        own = int(np.nanmax(trials.share(point, "layers_decoded"), initial=0))
        most[point.codec] = max(own, most.get(point.codec, 0))
    return most


def _panels(run: RunFolder, trials: TrialStore) -> Iterator[_Survival]:
    most = most_layers(trials)
    layered = [codec for codec in run.codecs if most.get(codec, 0) > 1]
    for panel in panels_of(trials, ["snr_db"]):
        for codec in panel.codecs(layered):
            own = of_codec(panel, codec, run.labels[codec])
            decoded = survival(trials, own.points, 1)
            if len(own.values("snr_db")) > 1 and decoded.max() > 0:
                yield _Survival(own, layer_names(run, codec, most[codec]))


def _areas(
    axes: Axes, snr_db: Sequence[float], at_least: NDArray[np.float64], names: Sequence[str]
) -> list[Artist]:
    """Nested areas, the darker the more layers. at_least: float64 (layers, SNRs)."""
    import matplotlib.pyplot as plt

    shades = plt.get_cmap("YlGnBu")(np.linspace(0.12, 0.95, len(names)))
    bands = at_least - np.vstack([at_least[1:], np.zeros_like(at_least[:1])])
    areas: list[Artist] = []
    for layer, (share, shade) in enumerate(zip(at_least, shades, strict=True)):
        area = axes.fill_between(
            snr_db, 0, share, facecolor=shade, edgecolor="0.15", linewidth=0.4, zorder=2
        )
        areas.append(area)
        axes.plot(snr_db, share, color="0.15", linewidth=0.5, marker=".", markersize=2, zorder=3)
        _name(axes, snr_db, share, bands[layer], names[layer], layer > 0.55 * (len(names) - 1))
    axes.set(
        xlim=(snr_db[0], snr_db[-1]), ylim=(0, 1), xlabel=AXES["snr_db"],
        ylabel="share of trials",
    )  # fmt: skip
    return areas


def _name(
    axes: Axes,
    snr_db: Sequence[float],
    top: NDArray[np.float64],
    height: NDArray[np.float64],
    name: str,
    dark: bool,
) -> None:
    """A band's name inside, where it and what is beside are high enough; if not, nowhere."""
    beside = np.pad(height, 1, mode="edge")
    room = np.minimum(np.minimum(beside[:-2], beside[2:]), height)
    if room.max() < LABEL_SHARE:
        return
    best = np.flatnonzero(room > room.max() - 0.02)
    at = int(best[len(best) // 2])
    side = {0: "left", len(snr_db) - 1: "right"}.get(at, "center")
    axes.annotate(
        name, (snr_db[at], top[at] - height[at] / 2), fontsize=6, va="center", ha=side, zorder=4,
        color="white" if dark else "black", textcoords="offset points",
        xytext=({"left": 3, "right": -3}.get(side, 0), 0),
    )  # fmt: skip
