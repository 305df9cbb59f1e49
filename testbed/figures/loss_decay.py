"""How quality decays as packets are lost, whatever loses them: a loss model, or fades."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from testbed.evaluation.intervals import means, quantiles
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trial_store import Point, TrialStore
from testbed.figures.axes import PACKET_LOSS
from testbed.figures.drawing import STYLE, Drawing, Width
from testbed.figures.legends import legend_above, legend_entries
from testbed.figures.looks import looks_of
from testbed.figures.small_multiples import (
    drawn,
    pages,
    panel_grid,
)
from testbed.figures.table_settings import Panel, measured_trials, panels_of, value_of
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
    from matplotlib.figure import Figure

LOW_QUANTILE = 0.05
FEWEST_LOSSY = 3
"""Points of a curve where more than 1 % of packets are lost, and as many arrive."""
MEASURED_LABEL = "packets lost (%)"


@dataclass(frozen=True, slots=True)
class Decay:
    """One codec's way through a panel, by loss in percent."""

    loss: list[float]
    mean_db: list[float]
    low_db: list[float]


@dataclass(frozen=True, slots=True)
class _Decays:
    """A panel, what its axis is called, and the points of each curve in their order."""

    panel: Panel
    label: str
    points: dict[str, list[Point]]


def draw_loss_decay(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """Mean and 5 % quantile of PSNR against the loss that a model states, and, where SNR is swept,
    against the loss that was measured.
    """
    with measured_trials(run, "packets_sent", "packets_lost") as trials:
        found = [*_stated(trials, run.codecs), *_measured(trials, run.codecs)]
        left_out = len(found) - len(drawn(found, width))
        for end, shown in pages(found, width):
            points = [point for each in shown for own in each.points.values() for point in own]
            yield Drawing(
                stem=f"loss_decay{end}",
                title="Quality against packet loss",
                caption=caption(
                    [
                        "Mean PSNR (full lines) and its 5 % quantile over trials (dashed lines, "
                        "open markers), which 95 % of them reach.",
                        _axis_words({each.label for each in shown}),
                        extent_words(trials, points),
                        EQUAL_WEIGHTS,
                        PSNR_WORDS,
                        headers_words(run, points),
                        left_out_words(left_out, "panel"),
                    ]
                ),
                group="quality",
                figure=_figure(run, trials, shown, width),
            )


def decay(trials: TrialStore, points: Sequence[Point], *, measured: bool) -> Decay:
    """Along the loss that is stated, or that was measured."""
    found = Decay([], [], [])
    for point in points:
        psnr = trials.share(point, "psnr_db")[None]
        loss = 100 * measured_loss(trials, point) if measured else value_of(point, "packet_loss")
        found.loss.append(loss)
        found.mean_db.append(float(means(psnr)[0]))
        found.low_db.append(float(quantiles(psnr, [LOW_QUANTILE])[0, 0]))
    return found


def measured_loss(trials: TrialStore, point: Point) -> float:
    """Packets of which nothing arrived, of all that were sent, 0 .. 1; NaN if none were."""
    lost, sent = (
        float(np.nansum(trials.share(point, name))) for name in ("packets_lost", "packets_sent")
    )
    return lost / sent if sent else float("nan")


def _stated(trials: TrialStore, codecs: Sequence[str]) -> Iterator[_Decays]:
    for panel in panels_of(trials, ["packet_loss"]):
        if len(panel.values("packet_loss")) > 1:
            points = {codec: panel.along("packet_loss", codec) for codec in panel.codecs(codecs)}
            yield _Decays(panel, PACKET_LOSS.label, points)


def _measured(trials: TrialStore, codecs: Sequence[str]) -> Iterator[_Decays]:
    """Along SNR: at a cliff between all and nothing there is no decay to be seen."""
    for panel in panels_of(trials, ["snr_db"]):
        points = {}
        for codec in panel.codecs(codecs):
            own = [
                point
                for point in panel.along("snr_db", codec)
                if not np.isnan(measured_loss(trials, point))
            ]
            losses = {measured_loss(trials, point) for point in own}
            if sum(0.01 < loss < 0.99 for loss in losses) >= FEWEST_LOSSY:
                points[codec] = own
        if points:
            yield _Decays(panel, MEASURED_LABEL, points)


def _axis_words(labels: set[str]) -> str:
    if MEASURED_LABEL not in labels:
        return ""
    return (
        "Packets lost: of those that were sent, over all trials of a point, for whatever reason; "
        "a point for each SNR, joined in the order of SNR."
    )


def _figure(run: RunFolder, trials: TrialStore, shown: Sequence[_Decays], width: Width) -> Figure:
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    looks = looks_of(run.codecs)
    with plt.style.context(STYLE):
        figure, stacks = panel_grid(width, [each.panel.title for each in shown], [1.9])
        for each, (axes,) in zip(shown, stacks, strict=True):
            for codec, points in each.points.items():
                own = decay(trials, points, measured=each.label == MEASURED_LABEL)
                look = looks[codec]
                axes.plot(own.loss, own.mean_db, label=run.labels[codec], **look.line)
                low = look.line | {"markerfacecolor": "white", "linestyle": "--", "linewidth": 0.9}
                axes.plot(own.loss, own.low_db, **low)
            axes.set(xlabel=each.label, ylabel="PSNR (dB)")
            linear_ticks(axes.xaxis)
            linear_ticks(axes.yaxis)
        entries = legend_entries([axes for (axes,) in stacks])
        entries["mean"] = Line2D([], [], color="0.3")
        entries["5 % quantile"] = Line2D([], [], color="0.3", linestyle="--", linewidth=0.9)
        legend_above(figure, entries)
    return figure
