"""How the PSNR of single trials is distributed: means hide what happens in bad fades."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from testbed.evaluation.intervals import draw_counts, means
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trial_store import Point, TrialStore
from testbed.figures.drawing import STYLE, Drawing, Width
from testbed.figures.legends import legend_above, legend_entries
from testbed.figures.looks import Look, looks_of
from testbed.figures.small_multiples import MAX_FIGURES, panel_grid
from testbed.figures.table_settings import (
    AXES,
    Panel,
    measured_trials,
    panels_of,
)
from testbed.figures.ticks import log_ticks
from testbed.figures.trial_captions import (
    EQUAL_WEIGHTS,
    PSNR_WORDS,
    caption,
    extent_words,
    headers_words,
    left_out_words,
)
from testbed.spreading import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VALUES: dict[Width, int] = {"column": 2, "page": 4}
"""Panels beside each other."""
LINES: tuple[Any, ...] = ("-", (0, (4, 1.2)), (0, (1.2, 1.2)), (0, (5, 1, 1, 1)))
"""Of codecs in their order: what lies below shows through."""
FEWEST_TRIALS = 8
"""Of a codec: a distribution of fewer says less than they themselves do."""


@dataclass(frozen=True, slots=True)
class _Slice:
    """What one figure shows: along `axis`, some values of a panel."""

    panel: Panel
    axis: str
    values: list[float]

    @property
    def points(self) -> list[Point]:
        return [point for value in self.values for point in self.at(value)]

    def at(self, value: float) -> list[Point]:
        return self.panel.at(self.axis, value)


def draw_distribution(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """Of each codec the share of trials below a PSNR, on a linear and on a logarithmic scale, at a
    few SNRs, packet losses or bandwidths of each setting with several of these.
    """
    with measured_trials(run) as trials:
        found = list(_slices(trials, VALUES[width]))
        shown = spread(found, MAX_FIGURES)
        for number, each in enumerate(shown, 1):
            yield Drawing(
                stem="psnr_distribution" + (f"_{number}" if number > 1 else ""),
                title=f"Distribution of PSNR: {each.panel.in_words}",
                caption=caption(
                    [
                        f"{each.panel.in_words}: share of trials whose PSNR is below a value, "
                        "which is the outage rate for that PSNR; below, the same on a logarithmic "
                        "scale.",
                        extent_words(trials, each.points),
                        EQUAL_WEIGHTS,
                        PSNR_WORDS,
                        headers_words(run, each.points),
                        _chosen_words(each),
                        left_out_words(len(found) - len(shown), "setting"),
                    ]
                ),
                group="quality",
                figure=_figure(run, trials, each, width),
            )


def distribution(
    psnr_db: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """PSNRs that occur, ascending, and the share of trials that reach no more than each.

    psnr_db: (images, draws), NaN where there is no such draw. Every picture weighs the same.
    """
    there = ~np.isnan(psnr_db)
    weights = np.broadcast_to(1 / np.maximum(draw_counts(psnr_db), 1)[:, None], psnr_db.shape)
    values, group = np.unique(psnr_db[there], return_inverse=True)
    shares = np.cumsum(np.bincount(group, weights[there]))
    return values, shares / shares[-1]


def telling(means_db: Sequence[float], most: int) -> list[int]:
    """Places of at most `most` of a sweep's points, ascending: where things happen.

    means_db: of the points, in order. Their range is cut into `most` equal parts, and the point
    nearest to the middle of each part is taken; what is left over is filled from the ends.
    """
    places = list(range(len(means_db)))
    if len(places) <= most:
        return places
    low, high = min(means_db), max(means_db)
    middles = low + (high - low) * (np.arange(most) + 0.5) / most
    chosen: list[int] = []
    for middle in middles:
        left = [place for place in places if place not in chosen]
        chosen.append(min(left, key=lambda place: (abs(means_db[place] - middle), place)))
    return sorted(chosen)


def _slices(trials: TrialStore, most: int) -> Iterator[_Slice]:
    """Of every setting along the first of AXES that has several values somewhere."""
    for axis in AXES:
        panels = [panel for panel in panels_of(trials, [axis]) if len(panel.values(axis)) > 1]
        for panel in panels:
            values = panel.values(axis)
            of_values = [_mean(trials, panel.at(axis, value)) for value in values]
            chosen = [values[place] for place in telling(of_values, most)]
            if _says_something(trials, panel):
                yield _Slice(panel, axis, chosen)
        if panels:
            return
    for panel in panels_of(trials, []):
        if _says_something(trials, panel):
            yield _Slice(panel, "snr_db", panel.values("snr_db"))


def _mean(trials: TrialStore, points: Sequence[Point]) -> float:
    return float(np.mean([means(trials.share(point, "psnr_db")[None])[0] for point in points]))


def _says_something(trials: TrialStore, panel: Panel) -> bool:
    """Enough trials, and some that were decoded: all that fail are the same mid-grey."""
    enough = max(point.trials for point in panel.points) >= FEWEST_TRIALS
    return enough and any(np.nanmin(trials.share(each, "failed")) < 1 for each in panel.points)


def _chosen_words(each: _Slice) -> str:
    there = len(each.panel.values(each.axis))
    if there == len(each.values):
        return ""
    return f"{len(each.values)} of {there} values, spread over the range of mean PSNR."


def _figure(run: RunFolder, trials: TrialStore, each: _Slice, width: Width) -> Figure:
    import matplotlib.pyplot as plt

    looks = looks_of(run.codecs)
    lines = dict(zip(run.codecs, itertools.cycle(LINES), strict=False))
    curves = {
        value: {
            point.codec: distribution(trials.share(point, "psnr_db")) for point in each.at(value)
        }
        for value in each.values
    }
    every = [found for own in curves.values() for found in own.values()]
    low = min(psnr[0] for psnr, _ in every)
    high = max(psnr[-1] for psnr, _ in every)
    margin = 0.03 * (high - low) or 1.0
    least = min(shares[0] for _, shares in every)
    with plt.style.context(STYLE):
        titles = [AXES[each.axis].value_words(value) for value in each.values]
        figure, stacks = panel_grid(
            width, titles, [1.5, 1.2], columns=len(titles), sharex=True, sharey="row"
        )
        for own, (linear, logarithmic) in zip(curves.values(), stacks, strict=True):
            for codec in filter(own.__contains__, run.codecs):
                psnr, shares = own[codec]
                # A step from nothing to all has to be seen whole.
                x = np.concatenate(([low - margin], psnr, [high + margin]))
                y = np.concatenate(([0.0], shares, [1.0]))
                for axes in (linear, logarithmic):
                    _step(axes, x, y, looks[codec], lines[codec], run.labels[codec])
            logarithmic.set_xlabel("PSNR (dB)")
        first, second = stacks[0]
        first.set(xlim=(low - margin, high + margin), ylim=(-0.02, 1.02))
        first.set_ylabel("P(PSNR < x)")
        second.set_yscale("log", nonpositive="clip")
        second.set(ylim=(0.7 * least, 1.25), ylabel="P(PSNR < x)")
        log_ticks(second.yaxis)
        legend_above(figure, legend_entries([first for first, _ in stacks]))
    return figure


def _step(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], look: Look, line: Any, label: str
) -> None:
    axes.plot(
        x, y, drawstyle="steps-post", label=label, **look.line, linestyle=line, linewidth=1.0,
        markersize=3, markevery=_marks(y),
    )  # fmt: skip


def _marks(shares: NDArray[np.float64]) -> list[int]:
    """Where a curve has its markers: at the trial that reaches each eighth."""
    places = np.searchsorted(shares, (np.arange(8) + 0.5) / 8)
    return sorted(set(np.minimum(places, len(shares) - 2).tolist()))
