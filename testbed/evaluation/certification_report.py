"""A run's certification for people: lines in the terminal, and a figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from testbed.errors import TestbedError
from testbed.evaluation.certification import FALSE_ALARM, Certification
from testbed.evaluation.certification_check import Check
from testbed.evaluation.certification_fading import Fades
from testbed.evaluation.certification_symbols import UNCODED
from testbed.figures.drawing import STYLE
from testbed.figures.looks import COLOURS
from testbed.figures.saving import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURE = "certification"
MOST_CURVES = 6
"""Of fading distributions in the figure."""


class CertificationError(TestbedError):
    """A run delivered something else than its links state."""


def print_certification(certification: Certification, path: Path, console: Console) -> None:
    """One line, and a table of what is violated."""
    console.print(
        f"{path}: {certification.count('passed')} checks passed, "
        f"{len(certification.violated)} violated, "
        f"{certification.count('not checked')} not checked",
        highlight=False,
        soft_wrap=True,
    )
    if not certification.violated:
        return
    table = Table("violated", "of", "expected", "found", "draws", "p", title_justify="left")
    for check in certification.violated:
        table.add_row(
            f"{check.family}: {check.quantity}",
            check.subject,
            _number(check.expected),
            _number(check.found),
            str(check.draws),
            _number(check.p_value),
        )
    console.print(table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def draw_certification(certification: Certification, folder: Path) -> list[Path]:
    """Uncoded error rates and fading distributions beside theory; the files written, if any."""
    import matplotlib.pyplot as plt

    rates = [
        check
        for check in certification.checks
        if check.family == UNCODED[0] and check.expected and check.p_value is not None
    ]
    fades = [
        each
        for each in certification.fades
        if each.channel.power_gain_distribution() is not None and each.gains
    ][:MOST_CURVES]
    panels = bool(rates) + bool(fades)
    if not panels:
        return []
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(
            1, panels, figsize=(3.5 * panels, 3.0), squeeze=False, layout="constrained"
        )
        if rates:
            _draw_rates(grid[0, 0], rates, certification)
        if fades:
            _draw_fades(grid[0, -1], fades)
    return save(figure, folder / FIGURE)


def _draw_rates(axes: Axes, rates: list[Check], certification: Certification) -> None:
    """Each check as a point; the bars say how far off true links are at most."""
    from scipy.stats import norm

    width = float(norm.isf(FALSE_ALARM / certification.made / 2))
    expected = np.array([check.expected for check in rates], np.float64)
    found = np.array([check.found for check in rates], np.float64)
    spread = np.array([check.spread for check in rates], np.float64)
    lowest, highest = expected[expected > 1e-7].min(initial=0.1), 0.5
    axes.plot([lowest, highest], [lowest, highest], color="0.6", linewidth=0.8)
    for verdict, colour in (("passed", COLOURS[0]), ("violated", COLOURS[1])):
        some = np.array([check.verdict == verdict for check in rates])
        if some.any():
            axes.errorbar(
                expected[some], found[some], yerr=width * spread[some], linestyle="none",
                marker="o", markersize=2.5, elinewidth=0.6, color=colour, label=verdict,
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log", nonpositive="clip")
    axes.set_xlim(lowest / 1.5, 0.7)
    axes.set_ylim(lowest / 1.5, 0.7)
    axes.set_xlabel("uncoded bit error rate, theory")
    axes.set_ylabel("measured")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=6)


def _draw_fades(axes: Axes, fades: list[Fades]) -> None:
    """Empirical distributions as steps over those of theory."""
    for index, each in enumerate(fades):
        colour = COLOURS[index % len(COLOURS)]
        gains = np.sort([g for draw, n in each.independent.items() for g in each.gains[draw][:n]])
        share = np.arange(1, len(gains) + 1) / len(gains)
        gains_db = 10.0 * np.log10(gains)
        axes.step(
            gains_db, share, where="post", color=colour, linewidth=0.8, marker="",
            label=f"{each.label} ({len(gains)} draws)",
        )  # fmt: skip
        grid_db = np.linspace(gains_db[0] - 3.0, gains_db[-1] + 3.0, 200)
        distribution = each.channel.power_gain_distribution()
        assert distribution is not None
        axes.plot(
            grid_db, distribution.cdf(10.0 ** (grid_db / 10.0)), color=colour, linestyle="--",
            linewidth=0.8, marker="",
        )  # fmt: skip
    axes.set_xlabel("power gain $|h|^2$ (dB); steps: the run, dashes: theory")
    axes.set_ylabel("distribution")
    axes.set_ylim(0.0, 1.0)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=6)
