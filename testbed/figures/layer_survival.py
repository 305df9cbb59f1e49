"""How many layers survive the channel: the share of trials with at least l layers, against SNR."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from testbed.evaluation.intervals import means
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trial_store import Point, TrialStore
from testbed.figures.axes import SNR
from testbed.figures.drawing import STYLE, Drawing, Width
from testbed.figures.layer_names import layer_names
from testbed.figures.legends import legend_above
from testbed.figures.small_multiples import drawn, pages, panel_grid
from testbed.figures.table_settings import (
    Panel,
    measured_trials,
    of_codec,
    panels_of,
    value_of,
)
from testbed.figures.ticks import linear_ticks
from testbed.figures.trial_captions import EQUAL_WEIGHTS, caption, extent_words, left_out_words

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABEL_SHARE = 0.08
"""Height of a band's name, in relation to the axis: where it fits it is written."""
CHARACTER_SHARE = 0.022
"""Width of one of its characters, likewise."""
PLACES = 201
"""Along the axis, that a name is tried at."""


@dataclass(frozen=True, slots=True)
class _Shade:
    """Of a layer. is_dark: what is written on it is white."""

    colour: tuple[float, ...]
    is_dark: bool


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
                figure=_figure(trials, shown, all_layers(each.names for each in found), width),
            )


def all_layers(codecs: Iterable[Sequence[str]]) -> list[str]:
    """Names of layers of several codecs, each once, in an order that is that of every codec's if
    there is one.
    """
    names: list[str] = []
    for own in codecs:
        at = 0
        for name in own:
            if name not in names:
                names.insert(at, name)
            at = names.index(name) + 1
    return names


def _figure(
    trials: TrialStore, shown: Sequence[_Survival], layers: Sequence[str], width: Width
) -> Figure:
    """layers: names of all of the run, the same of which look the same everywhere."""
    import matplotlib.pyplot as plt

    colours = plt.get_cmap("YlGnBu")(np.linspace(0.12, 0.95, len(layers)))
    shades = {
        name: _Shade(tuple(colour), place > 0.55 * (len(layers) - 1))
        for place, (name, colour) in enumerate(zip(layers, colours, strict=True))
    }
    with plt.style.context(STYLE):
        figure, stacks = panel_grid(width, [each.panel.title for each in shown], [1.75])
        entries: dict[str, Artist] = {}
        for each, (axes,) in zip(shown, stacks, strict=True):
            points = each.panel.along("snr_db")
            at_least = survival(trials, points, len(each.names))
            snr_db = [value_of(point, "snr_db") for point in points]
            areas = _areas(axes, snr_db, at_least, {name: shades[name] for name in each.names})
            entries |= dict(zip(each.names, areas, strict=True))
        legend_above(figure, {name: entries[name] for name in layers if name in entries})
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
    axes: Axes,
    snr_db: Sequence[float],
    at_least: NDArray[np.float64],
    shades: Mapping[str, _Shade],
) -> list[Artist]:
    """Nested areas, the darker the more layers. at_least: float64 (layers, SNRs)."""
    beyond = np.vstack([at_least[1:], np.zeros_like(at_least[:1])])
    areas: list[Artist] = []
    for share, rest, (name, shade) in zip(at_least, beyond, shades.items(), strict=True):
        area = axes.fill_between(
            snr_db, 0, share, facecolor=shade.colour, edgecolor="0.15", linewidth=0.4, zorder=2
        )
        areas.append(area)
        axes.plot(snr_db, share, color="0.15", linewidth=0.5, marker=".", markersize=2, zorder=3)
        place = name_place(snr_db, share, rest, len(name))
        if place is not None:
            axes.annotate(
                name, place, fontsize=6, va="center", ha="center", zorder=4,
                color="white" if shade.is_dark else "black",
            )  # fmt: skip
    axes.set(xlim=(snr_db[0], snr_db[-1]), ylim=(0, 1), xlabel=SNR.label, ylabel="share of trials")
    linear_ticks(axes.xaxis)
    return areas


def name_place(
    snr_db: Sequence[float],
    top: NDArray[np.float64],
    bottom: NDArray[np.float64],
    characters: int,
) -> tuple[float, float] | None:
    """The middle of a name that lies in a band, where the band is highest; None: it does not fit.

    top, bottom: of the band at the SNRs, between which it is straight.
    """
    x = np.linspace(snr_db[0], snr_db[-1], PLACES)
    # A name and a little space, in places.
    wide = int(CHARACTER_SHARE * (characters + 1) * (PLACES - 1)) + 1
    if wide > PLACES:
        return None
    tops = sliding_window_view(np.interp(x, snr_db, top), wide).min(axis=1)
    bottoms = sliding_window_view(np.interp(x, snr_db, bottom), wide).max(axis=1)
    room = tops - bottoms
    if room.max() < LABEL_SHARE:
        return None
    best = np.flatnonzero(room > room.max() - 0.02)
    at = int(best[len(best) // 2])
    return float((x[at] + x[at + wide - 1]) / 2), float((tops[at] + bottoms[at]) / 2)
