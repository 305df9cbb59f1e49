"""PSNR over SNR and bandwidth at once, as maps; and who is ahead where, by how much."""

from __future__ import annotations

import math
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from testbed.evaluation.intervals import mean_interval, means
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trial_store import Point, TrialStore
from testbed.figures.axes import SNR
from testbed.figures.drawing import STYLE, WIDTHS_IN, Drawing, Width
from testbed.figures.looks import looks_of
from testbed.figures.small_multiples import COLUMNS, MAX_FIGURES, panel_grid
from testbed.figures.table_settings import (
    Panel,
    measured_trials,
    panels_of,
    value_of,
)
from testbed.figures.trial_captions import (
    PSNR_WORDS,
    caption,
    extent_words,
    headers_words,
    left_out_words,
)
from testbed.language.setting_words import ratio_words
from testbed.spreading import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Place: TypeAlias = tuple[float, float]
"""(SNR in dB, CBR) of a cell."""

NUMBER_IN = 0.23
"""Width of a cell that has room for a number."""
FULL_MARGIN_DB = 3.0
"""A codec ahead by so much has its full shade."""


@dataclass(frozen=True, slots=True)
class Winner:
    """Of one cell.

    margin_db    its mean PSNR minus that of the second; NaN without a second
    is_certain   whether the 95 % interval of the paired difference leaves out 0
    """

    codec: str
    margin_db: float
    is_certain: bool


@dataclass(frozen=True, slots=True)
class _Map:
    """A panel of the run whose points fill a plane."""

    panel: Panel
    cells: Mapping[Place, Mapping[str, Point]]
    """By place, then by codec."""

    @property
    def is_full(self) -> bool:
        """Whether every codec of the panel has a point at every SNR and bandwidth."""
        snrs_db, cbrs = ({place[axis] for place in self.cells} for axis in (0, 1))
        codecs = {codec for own in self.cells.values() for codec in own}
        points = sum(map(len, self.cells.values()))
        return points == len(snrs_db) * len(cbrs) * len(codecs)


def draw_heat_maps(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """A map of each codec's mean PSNR, and with several codecs one of the best, for each setting
    that was simulated on a grid of two SNRs and two bandwidths or more.
    """
    with measured_trials(run) as trials:
        found = list(_maps(trials))
        shown = spread(found, MAX_FIGURES)
        for number, each in enumerate(shown, 1):
            points = [point for own in each.cells.values() for point in own.values()]
            winners = winners_of(trials, each.cells)
            several = len({point.codec for point in points}) > 1
            yield Drawing(
                stem="psnr_map" + (f"_{number}" if number > 1 else ""),
                title=f"PSNR over SNR and bandwidth: {each.panel.in_words}",
                caption=caption(
                    [
                        f"{each.panel.in_words}: mean PSNR in dB by SNR and channel bandwidth "
                        "ratio.",
                        "" if each.is_full else "Crossed out: not simulated.",
                        _winner_words(run, winners) if several else "",
                        extent_words(trials, points),
                        PSNR_WORDS,
                        headers_words(run, points),
                        left_out_words(len(found) - len(shown), "setting"),
                    ]
                ),
                group="quality",
                figure=_figure(run, trials, each, winners if several else {}, width),
            )


def full_grid(places: Iterable[Place]) -> set[Place]:
    """What is left when lines of a single cell are taken away, again and again.

    Two sweeps that cross, one along each axis, leave nothing: they are no plane.
    """
    left = set(places)
    while True:
        rows, columns = (Counter(place[axis] for place in left) for axis in (0, 1))
        kept = {place for place in left if rows[place[0]] > 1 and columns[place[1]] > 1}
        if kept == left:
            return left
        left = kept


def winners_of(
    trials: TrialStore, cells: Mapping[Place, Mapping[str, Point]]
) -> dict[Place, Winner]:
    """Who has the greatest mean PSNR in each cell, the first of equals."""
    found = {}
    for place, points in cells.items():
        order = sorted(points, key=lambda codec: -_mean(trials, points[codec]))
        if len(order) == 1:
            found[place] = Winner(order[0], math.nan, False)
            continue
        best, second = (points[codec] for codec in order[:2])
        margin = _mean(trials, best) - _mean(trials, second)
        low, _ = mean_interval(trials.differences(best, second)[0])
        found[place] = Winner(order[0], margin, low > 0)
    return found


def _mean(trials: TrialStore, point: Point) -> float:
    return float(means(trials.share(point, "psnr_db")[None])[0])


def _maps(trials: TrialStore) -> Iterator[_Map]:
    for panel in panels_of(trials, ["snr_db", "cbr"]):
        cells: dict[Place, dict[str, Point]] = {}
        for point in panel.points:
            place = value_of(point, "snr_db"), value_of(point, "cbr")
            cells.setdefault(place, {})[point.codec] = point
        kept = full_grid(cells)
        if kept:
            yield _Map(panel, {place: cells[place] for place in cells if place in kept})


def _letters(run: RunFolder) -> dict[str, str]:
    return dict(zip(run.codecs, string.ascii_uppercase, strict=False))


def _winner_words(run: RunFolder, winners: Mapping[Place, Winner]) -> str:
    letters = _letters(run)
    ahead = {winner.codec for winner in winners.values()}
    named = [f"{letters[codec]} {run.labels[codec]}" for codec in run.codecs if codec in ahead]
    return (
        f"Last map: the codec of the greatest mean PSNR ({', '.join(named)}), the fuller the shade "
        f"the further it is ahead of the next, up to {FULL_MARGIN_DB:g} dB, with the number of dB "
        "where there is room; a small letter where the 95 % interval of the paired difference of "
        "these two does not leave out 0."
    )


def _figure(
    run: RunFolder,
    trials: TrialStore,
    each: _Map,
    winners: Mapping[Place, Winner],
    width: Width,
) -> Figure:
    import matplotlib.pyplot as plt

    snrs_db, cbrs = (sorted({place[axis] for place in each.cells}) for axis in (0, 1))
    planes = {
        codec: _plane(
            snrs_db, cbrs,
            {place: _mean(trials, own[codec]) for place, own in each.cells.items() if codec in own},
        )
        for codec in each.panel.codecs(run.codecs)
    }  # fmt: skip
    planes = {codec: plane for codec, plane in planes.items() if not np.isnan(plane).all()}
    titles = [run.labels[codec] for codec in planes] + ["best codec"] * bool(winners)
    columns = COLUMNS[width] + (len(titles) > 2 * COLUMNS[width])
    written = (WIDTHS_IN[width] - 0.7) / columns - 0.4 >= NUMBER_IN * len(snrs_db)
    low = min(float(np.nanmin(plane)) for plane in planes.values())
    high = max(float(np.nanmax(plane)) for plane in planes.values())
    with plt.style.context(STYLE):
        figure, stacks = panel_grid(width, titles, [max(1.1, 0.27 * len(cbrs))], columns=columns)
        image = None
        for plane, (axes,) in zip(planes.values(), stacks, strict=False):
            image = axes.imshow(
                plane, origin="lower", aspect="auto", cmap="cividis", vmin=low,
                vmax=max(high, low + 1e-3),
            )  # fmt: skip
            if written:
                _write(axes, plane, (low + high) / 2)
        if winners:
            _draw_winners(run, stacks[-1][0], winners, snrs_db, cbrs, written)
        for place, (axes,) in enumerate(stacks):
            _name_cells(axes, snrs_db, cbrs, bottom=place + columns >= len(stacks))
            if place % columns == 0:
                axes.set_ylabel("bandwidth ratio")
        assert image is not None
        bar = figure.colorbar(
            image, ax=[axes for (axes,) in stacks], location="right", shrink=0.7, aspect=25,
            pad=0.01,
        )  # fmt: skip
        bar.set_label("mean PSNR (dB)")
    return figure


def _plane(
    snrs_db: list[float], cbrs: list[float], values: Mapping[Place, float]
) -> NDArray[np.float64]:
    """float64 (CBRs, SNRs), NaN where there is no value."""
    return np.array([[values.get((snr, cbr), math.nan) for snr in snrs_db] for cbr in cbrs])


def _write(axes: Axes, plane: NDArray[np.float64], middle: float) -> None:
    for (row, column), value in np.ndenumerate(plane):
        if not math.isnan(value):
            axes.text(
                column, row, f"{value:.1f}", ha="center", va="center", fontsize=6,
                color="white" if value < middle else "black",
            )  # fmt: skip


def _draw_winners(
    run: RunFolder,
    axes: Axes,
    winners: Mapping[Place, Winner],
    snrs_db: list[float],
    cbrs: list[float],
    written: bool,
) -> None:
    """A letter in each cell, on the codec's colour, the fuller the further it is ahead."""
    from matplotlib.colors import to_rgb

    looks, letters = looks_of(run.codecs), _letters(run)
    pixels = np.ones((len(cbrs), len(snrs_db), 3))
    for (snr_db, cbr), winner in winners.items():
        row, column = cbrs.index(cbr), snrs_db.index(snr_db)
        margin = 0.0 if math.isnan(winner.margin_db) else winner.margin_db
        weight = 0.12 + 0.5 * min(1.0, margin / FULL_MARGIN_DB)
        pixels[row, column] = 1 - weight * (1 - np.array(to_rgb(looks[winner.codec].colour)))
        letter = letters[winner.codec]
        words = letter if winner.is_certain else letter.lower()
        if written and not math.isnan(winner.margin_db):
            words += f"\n{winner.margin_db:.1f}"
        axes.text(
            column, row, words, ha="center", va="center", fontsize=6, linespacing=0.95,
            fontweight="bold" if winner.is_certain else "normal",
        )  # fmt: skip
    axes.imshow(pixels, origin="lower", aspect="auto")


def _name_cells(axes: Axes, snrs_db: list[float], cbrs: list[float], bottom: bool) -> None:
    axes.grid(False)
    axes.patch.set(hatch="xxx", edgecolor="0.75")
    axes.set_xticks(range(len(snrs_db)), [f"{snr_db:g}" for snr_db in snrs_db])
    axes.set_yticks(range(len(cbrs)), [ratio_words(cbr) for cbr in cbrs])
    axes.tick_params(length=0)
    if bottom:
        axes.set_xlabel(SNR.label.replace(" per complex channel use", ""))
