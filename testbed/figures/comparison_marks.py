"""What stands in a comparison's panels beside the curves: single schemes, results of others."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from testbed.evaluation.run_folder import RunFolder
from testbed.figures.axes import Layout, Sweep
from testbed.figures.curve_grid import LEGEND_CHARACTERS, Decoration, Entries, Looks
from testbed.figures.curve_looks import KIND_LINES, KIND_WORDS
from testbed.figures.panels import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PUBLISHED_MARKERS = ("8", "d", "H", "*", "<", ">")
GREY = "0.35"
SINGLE: Mapping[str, Any] = {"linewidth": 0.6, "marker": "", "zorder": 1}
SINGLE_ALPHA, SINGLES_ALPHA = 0.3, 10.0
"""Of each of the faint lines, and of all in a panel together, at most."""


def marks_of(run: RunFolder, layout: Layout, sweep: Sweep, looks: Looks) -> Decoration:
    """Of figures of PSNR all of it; of others the kinds of lines alone."""
    published = (run.scenario["comparison"] or {}).get("published") or []

    def behind(axes: Axes, panel: Panel) -> Entries:
        return draw_single_schemes(axes, panel, sweep, looks)

    def front(axes: Axes, panel: Panel) -> Entries:
        shown = draw_published(axes, panel, sweep, published) if is_psnr else {}
        return _kind_entries(panel) | shown

    is_psnr = layout.above.column == "psnr_db"
    return Decoration(behind, front) if is_psnr else Decoration(front=front)


def draw_single_schemes(axes: Axes, panel: Panel, sweep: Sweep, looks: Looks) -> Entries:
    """Those of more than one scheme; a single one is its own envelope. Their legend's entry."""
    from matplotlib.lines import Line2D

    alpha = min(SINGLE_ALPHA, SINGLES_ALPHA / max(1, _line_count(panel)))
    drawn = False
    for (codec, protection), look in looks.items():
        rows = panel.behind
        own = rows[((rows["codec"] == codec) & (rows["protection"] == protection)).to_numpy()]
        if own["scheme"].nunique() < 2:
            continue
        for _, points in own.sort_values(sweep.column).groupby("scheme"):
            x, y = sweep.scale * points[sweep.column], points["psnr_db"]
            axes.plot(x, y, color=look.colour, alpha=alpha, **SINGLE)
            drawn = True
    line = Line2D([], [], color="black", linewidth=0.6, alpha=SINGLE_ALPHA)
    return {"single schemes": line} if drawn else {}


def draw_published(
    axes: Axes, panel: Panel, sweep: Sweep, published: Sequence[Mapping[str, Any]]
) -> Entries:
    """Results of others that hold for the panel's medium. Their legend's entries.

    published: as in the scenario's canonical form.
    """
    from matplotlib.lines import Line2D

    entries: Entries = {}
    sources = list(dict.fromkeys(each["label"] for each in published))
    for each in published:
        place = {"snr_db": each["snr_db"], "cbr": float(Fraction(each["cbr"])), "packet_loss": 0.0}
        if sweep.column == "packet_loss" or not _holds(each, place, panel):
            continue
        style: dict[str, Any] = {
            "color": "black",
            "marker": PUBLISHED_MARKERS[sources.index(each["label"]) % len(PUBLISHED_MARKERS)],
            "markerfacecolor": "none",
            "markersize": 6,
            "linestyle": "none",
        }
        axes.plot([place[sweep.column]], [each["psnr_db"]], **style, zorder=4)
        entries[textwrap.fill(each["label"], LEGEND_CHARACTERS)] = Line2D([], [], **style)
    return entries


def _holds(published: Mapping[str, Any], place: Mapping[str, float], panel: Panel) -> bool:
    # Tables have six digits.
    near = all(
        abs(panel.fixed.get(key, value) - value) <= 1e-5 * abs(value)
        for key, value in place.items()
    )
    channel = panel.fixed["channel"]
    # A channel is followed by a hash if a file or a plug-in is part of it.
    met = any(each == channel or each.startswith(f"{channel} ") for each in published["channel"])
    return near and met and published["size"] in (None, panel.rows["size"].iloc[0])


def _kind_entries(panel: Panel) -> Entries:
    from matplotlib.lines import Line2D

    return {
        words: Line2D([], [], linestyle=KIND_LINES[kind], linewidth=0.9, color=GREY)
        for kind, words in KIND_WORDS.items()
        if (panel.rows["kind"] == kind).any()
    }


def has_choice(panel: Panel) -> bool:
    """Whether any codec has several schemes in a panel: then the single ones are drawn, too."""
    schemes = panel.behind.groupby(["codec", "protection"])["scheme"].nunique()
    return bool((schemes > 1).any())


def _line_count(panel: Panel) -> int:
    return panel.behind.groupby(["codec", "protection", "scheme"]).ngroups
