"""Unequal protection of layers against equal protection, on the same pictures and channel draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from testbed.evaluation.intervals import mean, mean_interval
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trial_store import Point, TrialStore
from testbed.figures.drawing import STYLE, Drawing, Width
from testbed.figures.legends import legend_above, legend_entries
from testbed.figures.looks import look_of
from testbed.figures.small_multiples import (
    drawn,
    pages,
    panel_grid,
)
from testbed.figures.table_settings import (
    AXES,
    Panel,
    measured_trials,
    of_codec,
    panels_of,
    value_of,
)
from testbed.figures.ticks import linear_ticks
from testbed.figures.trial_captions import (
    EQUAL_WEIGHTS,
    PSNR_WORDS,
    caption,
    extent_words,
    headers_words,
    left_out_words,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASELINES = ("equal", "best_equal")
"""Protections that others are held against, the first that a run has; else the run's first."""
BASELINE_LINE: dict[str, Any] = {"color": "0.35", "linestyle": "--", "marker": "x"}


@dataclass(frozen=True, slots=True)
class Gain:
    """A protection against the baseline at one point, in dB, with its 95 % interval."""

    value: float
    difference_db: float
    low_db: float
    high_db: float


@dataclass(frozen=True, slots=True)
class _Rivals:
    """Panels of one codec's protections along one axis."""

    panels: list[Panel]
    axis: str


def draw_protections(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """For each codec and setting that was sent with several protections: the paired difference of
    PSNR to equal protection, and below it how many layers were decoded.
    """
    with measured_trials(run, "layers_decoded") as trials:
        names = protections_of(trials.points)
        if len(names) < 2:
            return
        baseline = next((name for name in BASELINES if name in names), names[0])
        found = _rivals(run, trials, baseline)
        left_out = len(found.panels) - len(drawn(found.panels, width, rows=2))
        for end, shown in pages(found.panels, width, rows=2):
            points = [point for panel in shown for point in panel.points]
            yield Drawing(
                stem=f"protection_gain{end}",
                title="Unequal against equal protection",
                caption=caption(
                    [
                        f"Above, PSNR of a protection minus that of '{baseline}', paired by "
                        "picture and channel draw, mean with 95 % interval; where fewer than five "
                        "pictures were sent, the interval is for these pictures alone. Below, "
                        "whole layers decoded, mean.",
                        extent_words(trials, points),
                        EQUAL_WEIGHTS,
                        PSNR_WORDS,
                        headers_words(run, points),
                        left_out_words(left_out, "panel"),
                    ]
                ),
                group="layers",
                figure=_figure(trials, shown, found.axis, names, baseline, width),
            )


def protections_of(points: Sequence[Point]) -> list[str]:
    """Those of codecs that send bits, in the order of the table."""
    return list(
        dict.fromkeys(point.setting["protection"] for point in points if point.kind != "analog")
    )


def gains(
    trials: TrialStore, points: Sequence[Point], baseline: Sequence[Point], axis: str
) -> list[Gain]:
    """Of points along `axis`, where the baseline has a point, too."""
    others = {value_of(point, axis): point for point in baseline}
    found = []
    for point in points:
        value = value_of(point, axis)
        if value in others:
            differences = trials.differences(point, others[value])[0]
            if differences.size:
                found.append(Gain(value, mean(differences), *mean_interval(differences)))
    return found


def _rivals(run: RunFolder, trials: TrialStore, baseline: str) -> _Rivals:
    """Along the axis of AXES that takes the most values."""
    best = _Rivals([], next(iter(AXES)))
    most = 0
    for axis in AXES:
        panels = [
            of_codec(panel, codec, run.labels[codec])
            for panel in panels_of(trials, [axis, "protection"])
            for codec in panel.codecs(run.codecs)
        ]
        panels = [panel for panel in panels if _compares(panel, baseline)]
        values = max((len(panel.values(axis)) for panel in panels), default=0)
        if values > most:
            best, most = _Rivals(panels, axis), values
    return best


def _compares(panel: Panel, baseline: str) -> bool:
    names = protections_of(panel.points)
    return baseline in names and len(names) > 1


def _with(panel: Panel, axis: str, protection: str) -> list[Point]:
    return [point for point in panel.along(axis) if point.setting["protection"] == protection]


def _figure(
    trials: TrialStore,
    shown: Sequence[Panel],
    axis: str,
    names: Sequence[str],
    baseline: str,
    width: Width,
) -> Figure:
    import matplotlib.pyplot as plt

    others = [name for name in names if name != baseline]
    with plt.style.context(STYLE):
        figure, stacks = panel_grid(width, [panel.title for panel in shown], [1.7, 1.1])
        for panel, (above, below) in zip(shown, stacks, strict=True):
            own = _with(panel, axis, baseline)
            above.axhline(0, color="0.35", linewidth=0.8, linestyle="--")
            _draw_layers(trials, below, own, axis, baseline, BASELINE_LINE)
            for number, name in enumerate(others):
                points = _with(panel, axis, name)
                if points:
                    line = look_of(number).line
                    _draw_gains(above, gains(trials, points, own, axis), line, number, len(others))
                    _draw_layers(trials, below, points, axis, name, line)
            above.set_ylabel(f"PSNR minus\n{baseline} (dB)")
            below.set(xlabel=AXES[axis].label, ylabel="layers decoded")
            below.sharex(above)
            above.tick_params(labelbottom=False)
            linear_ticks(below.xaxis)
            below.set_ylim(bottom=0)
        legend_above(figure, legend_entries([below for _, below in stacks]))
    return figure


def _draw_gains(
    axes: Axes, found: Sequence[Gain], line: dict[str, Any], number: int, count: int
) -> None:
    """Intervals of protections stand a little beside each other."""
    values = np.array([each.value for each in found])
    step = float(np.diff(values).min()) if len(values) > 1 else 1.0
    x = values + 0.06 * step * (number - (count - 1) / 2)
    axes.plot(x, [each.difference_db for each in found], **line)
    axes.vlines(
        x, [each.low_db for each in found], [each.high_db for each in found],
        colors=line["color"], linewidth=0.9,
    )  # fmt: skip


def _draw_layers(
    trials: TrialStore,
    axes: Axes,
    points: Sequence[Point],
    axis: str,
    label: str,
    line: dict[str, Any],
) -> None:
    axes.plot(
        [value_of(point, axis) for point in points],
        [mean(trials.share(point, "layers_decoded")) for point in points],
        label=label, **line,
    )  # fmt: skip
