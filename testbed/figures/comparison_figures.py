"""Figures of a comparison: each codec at its best, against SNR, bandwidth and packet loss.

Drawn from comparison.csv. A curve is a codec's envelope (bold, with the 95 % interval of its mean),
over the faint curves of the single schemes that it consists of. Ideal codes are dashed, uncoded
symbols dotted, results of others lone open markers. A codec looks the same in all figures of a run:
its colour with its marker, filled for the first seven, open for more, are its own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from testbed.evaluation.comparison import is_share
from testbed.evaluation.envelope import FEWEST_TO_SPLIT, KINDS, Medium
from testbed.evaluation.intervals import FEWEST_IMAGES
from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.evaluation.summaries import interval_columns
from testbed.evaluation.trials_table import case_of, with_case
from testbed.figures.run_figures import (
    AXES,
    COLOURS,
    LEGEND_LINE_IN,
    NOTE_CHARACTERS,
    PANEL_WIDTH_IN,
    STYLE,
    TITLE_CHARACTERS,
    case_stems,
    in_case,
    left_out,
    pages,
    save,
)
from testbed.language.setting_words import medium_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from testbed.language.comparison_section import Published

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
KIND_LINES: Mapping[str, Any] = {"real": "-", "analog": "-", "ideal": "--", "uncoded": ":"}
KIND_WORDS = {"ideal": "ideal code", "uncoded": "uncoded"}
PUBLISHED_MARKERS = ("8", "d", "H", "*", "<", ">")
PUBLISHED_CHARACTERS = 36
"""Of a line of a published result's label."""
GREY = "0.35"
HEIGHT_IN = 3.4
TITLE_LINE_IN = 0.13


@dataclass(frozen=True, slots=True)
class Quantity:
    """What one of a figure's two rows of axes shows: a column, its interval if it has one."""

    column: str
    label: str
    interval: tuple[str, str] | None = None
    scale: float = 1.0
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """A figure: what is above and below, and the heights of these."""

    name: str
    above: Quantity
    below: Quantity
    heights: tuple[int, int] = (4, 1)


@dataclass(frozen=True, slots=True)
class Panel:
    """All curves over one medium, `fixed` but for what is along the axis."""

    title: str
    fixed: Mapping[str, Any]
    rows: pd.DataFrame
    singles: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Look:
    """Of one (codec, protection): its words in the legend, and what its lines have."""

    label: str
    style: dict[str, Any]
    width: float


FAILED = Quantity("failed", "failed (%)", None, 100.0)


def draw_comparison(
    frame: pd.DataFrame,
    singles: pd.DataFrame,
    metrics: Mapping[str, str],
    labels: Mapping[str, str],
    reference: str,
    published: Sequence[Published],
    folder: Path,
) -> tuple[list[Path], int]:
    """Figures of `compare`'s two tables as PNG and PDF; the files, how many panels are left out.

    metrics: by column, the names of axes; shares are drawn in percent. labels: each codec's words
    for the legend. reference: the codec that is drawn thickest.
    """
    looks = _looks(frame, labels, reference)
    frame, singles = with_case(frame), with_case(singles)
    written: list[Path] = []
    skipped = 0
    for case, stem_end in case_stems(case_of(frame)).items():
        own, below = (each[(each["case"] == case).to_numpy()] for each in (frame, singles))
        for size in own["size"].unique():
            part, thin = (each[each["size"] == size] for each in (own, below))
            for axis, (stem, _) in AXES.items():
                panels = _panels(part, thin, axis)
                if stem_end is None:
                    skipped += len(panels)
                    continue
                skipped += left_out(panels)
                named = [replace(panel, title=in_case(case, panel.title)) for panel in panels]
                for number, shown in pages(named):
                    for layout in _layouts(part, metrics):
                        figure = _draw(shown, axis, layout, looks, published)
                        name = f"comparison_{layout.name}_vs_{stem}_{size}{stem_end}{number}"
                        written += save(figure, folder / name)
    return written, skipped


def _layouts(part: pd.DataFrame, metrics: Mapping[str, str]) -> Iterator[Layout]:
    for metric, label in metrics.items():
        if part[metric].notna().any():
            share = is_share(label)
            words = label.replace("(share)", "(%)") if share else label
            scale = 100.0 if share else 1.0
            quantity = Quantity(metric, words, interval_columns(metric), scale)
            yield Layout(metric.removesuffix("_db"), quantity, FAILED)
    threshold_db = part["outage_psnr_db"].iloc[0]
    yield Layout(
        "outage",
        Quantity("psnr_q05_db", "5 % quantile\nof PSNR (dB)"),
        Quantity(
            "outage", f"P(PSNR < {threshold_db:g} dB)", ("outage_low", "outage_high"), 1.0, True
        ),
        (1, 1),
    )


def _panels(part: pd.DataFrame, singles: pd.DataFrame, axis: str) -> list[Panel]:
    """A panel for each medium that has two values along the axis.

    Curves of the other kinds stand beside those of real codes wherever they meet what they know.
    """
    others = [column for column in Medium._fields if column != axis]
    varying = [column for column in others if part[column].nunique() > 1]
    # By position, without the axis.
    media = [_medium(row, axis) for row in part[list(Medium._fields)].to_dict("records")]
    single_media = [_medium(row, axis) for row in singles.to_dict("records")]
    kinds = list(part["kind"])
    places = list(zip(media, kinds, strict=True))
    panels: list[Panel] = []
    shown: set[int] = set()
    for at in sorted(range(len(places)), key=lambda at: KINDS.index(kinds[at])):
        if at in shown:
            continue
        medium, kind = places[at]
        own = [
            index
            for index, (each, its) in enumerate(places)
            if each.as_known_to(kind, its) == medium.as_known_to(kind, its)
        ]
        shown.update(own)
        rows = part.iloc[own]
        if rows[axis].nunique() > 1:
            fixed = {name: part[name].iloc[at] for name in others}
            title = textwrap.fill(medium_words(fixed, varying), TITLE_CHARACTERS)
            below = singles.loc[np.array([each == medium for each in single_media], bool)]
            panels.append(Panel(title, fixed, rows, below))
    return panels


def _medium(row: Mapping[Hashable, Any], axis: str) -> Medium:
    values = (None if name == axis or pd.isna(row[name]) else row[name] for name in Medium._fields)
    return Medium._make(values)


def _looks(
    frame: pd.DataFrame, labels: Mapping[str, str], reference: str
) -> dict[tuple[str, str], Look]:
    pairs = list(dict.fromkeys(zip(frame["codec"], frame["protection"], strict=True)))
    codecs = list(dict.fromkeys(codec for codec, _ in pairs))
    looks = {}
    for index, (codec, protection) in enumerate(pairs):
        several = sum(each == codec for each, _ in pairs) > 1
        hue = index if len(codecs) == 1 else codecs.index(codec)
        colour = COLOURS[hue % len(COLOURS)]
        style = {
            "color": colour,
            "marker": MARKERS[index % len(MARKERS)],
            "markerfacecolor": colour if hue < len(COLOURS) else "white",
        }
        label = f"{labels[codec]}, {protection}" if several else labels[codec]
        looks[codec, protection] = Look(label, style, 2.0 if codec == reference else 1.2)
    return looks


def _draw(
    panels: Sequence[Panel],
    axis: str,
    layout: Layout,
    looks: Mapping[tuple[str, str], Look],
    published: Sequence[Published],
) -> Figure:
    import matplotlib.pyplot as plt

    with plt.style.context(STYLE):
        figure, grid = plt.subplots(
            2, len(panels), figsize=(PANEL_WIDTH_IN * len(panels), HEIGHT_IN), sharex="col",
            sharey="row", squeeze=False, height_ratios=layout.heights, layout="constrained",
        )  # fmt: skip
        entries = _codec_entries(panels, looks)
        for panel, (above, below) in zip(panels, grid.T, strict=True):
            if layout.above.column == "psnr_db":
                entries |= _draw_singles(above, panel, axis, looks)
            _draw_curves(above, panel, axis, layout.above, looks)
            _draw_curves(below, panel, axis, layout.below, looks)
            above.set_title(panel.title)
            below.set_xlabel(AXES[axis][1])
        entries |= _kind_entries(panels)
        if layout.above.column == "psnr_db":
            for panel, axes in zip(panels, grid[0], strict=True):
                entries |= _draw_published(axes, panel, axis, published)
        for axes, quantity in zip(grid[:, 0], (layout.above, layout.below), strict=True):
            axes.set_ylabel(quantity.label)
        _set_rates(grid[1, 0], layout.below, panels)
        legend_in = _add_legend(figure, entries)
        titles = max(panel.title.count("\n") for panel in panels)
        figure.set_figheight(HEIGHT_IN + legend_in + TITLE_LINE_IN * titles)
        note = textwrap.fill(_note(panels, layout), NOTE_CHARACTERS * len(panels))
        figure.supxlabel(note, fontsize=6, color=GREY)
    return figure


def _draw_curves(
    axes: Axes,
    panel: Panel,
    axis: str,
    quantity: Quantity,
    looks: Mapping[tuple[str, str], Look],
) -> None:
    curves = panel.rows.groupby(["codec", "protection", "kind"]).ngroups
    for (codec, protection), look in looks.items():
        own = panel.rows[
            (panel.rows["codec"] == codec) & (panel.rows["protection"] == protection)
        ].sort_values(axis)
        for kind in own["kind"].unique():
            rows = own[own["kind"] == kind]
            bold = kind not in KIND_WORDS
            x, y = rows[axis], quantity.scale * rows[quantity.column]
            # Nothing has no place on a logarithmic axis.
            seen = (y > 0) if quantity.logarithmic else y.notna()
            style = look.style | {"linestyle": KIND_LINES[kind]}
            style |= {"linewidth": look.width if bold else 0.9, "markersize": 4 if bold else 3}
            axes.plot(x, y.where(seen), **style, zorder=3)
            if quantity.interval is not None and bold:
                low, high = (quantity.scale * rows[each] for each in quantity.interval)
                axes.fill_between(
                    x, low, high, where=seen, color=look.style["color"],
                    alpha=min(0.15, 0.7 / curves), linewidth=0,
                )  # fmt: skip


def _draw_singles(
    axes: Axes, panel: Panel, axis: str, looks: Mapping[tuple[str, str], Look]
) -> dict[str, Line2D]:
    """Those of more than one scheme; a single one is its own envelope. Their legend's entry."""
    from matplotlib.lines import Line2D

    entries = {}
    for (codec, protection), look in looks.items():
        rows = panel.singles[
            (panel.singles["codec"] == codec) & (panel.singles["protection"] == protection)
        ].sort_values(axis)
        if rows["scheme"].nunique() < 2:
            continue
        style: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.25}
        for scheme in rows["scheme"].unique():
            own = rows[rows["scheme"] == scheme]
            axes.plot(own[axis], own["psnr_db"], color=look.style["color"], **style, zorder=1)
        entries["single schemes"] = Line2D([], [], color="black", **style)
    return entries


def _draw_published(
    axes: Axes, panel: Panel, axis: str, published: Sequence[Published]
) -> dict[str, Line2D]:
    """Those that hold for the panel's medium. Their legend's entries."""
    from matplotlib.lines import Line2D

    entries = {}
    sources = list(dict.fromkeys(each.label for each in published))
    for each in published:
        place = {"snr_db": each.snr_db, "cbr": float(each.cbr), "packet_loss": 0.0}
        here = all(panel.fixed.get(key, value) == value for key, value in place.items())
        here &= panel.fixed["channel"] in [part.label for part in each.channel]
        here &= each.size in (None, panel.fixed["size"])
        if axis == "packet_loss" or not here:
            continue
        style: dict[str, Any] = {
            "color": "black",
            "marker": PUBLISHED_MARKERS[sources.index(each.label) % len(PUBLISHED_MARKERS)],
            "markerfacecolor": "none",
            "markersize": 6,
            "linestyle": "none",
        }
        axes.plot([place[axis]], [each.psnr_db], **style, zorder=4)
        entries[textwrap.fill(each.label, PUBLISHED_CHARACTERS)] = Line2D([], [], **style)
    return entries


def _set_rates(axes: Axes, quantity: Quantity, panels: Sequence[Panel]) -> None:
    """The lower row's range: all of a linear one, down to one trial's share of a logarithmic."""
    if not quantity.logarithmic:
        axes.set_ylim(-5, 105)
        return
    rows = pd.concat([panel.rows for panel in panels])
    axes.set_yscale("log")
    axes.set_ylim(0.7 / float((rows["images"] * rows["draws"]).max()), 1.3)


def _codec_entries(
    panels: Sequence[Panel], looks: Mapping[tuple[str, str], Look]
) -> dict[str, Line2D]:
    from matplotlib.lines import Line2D

    shown = pd.concat([panel.rows for panel in panels])[["codec", "protection"]]
    there = set(shown.itertuples(index=False, name=None))
    return {
        look.label: Line2D([], [], linewidth=look.width, **look.style)
        for pair, look in looks.items()
        if pair in there
    }


def _kind_entries(panels: Sequence[Panel]) -> dict[str, Line2D]:
    from matplotlib.lines import Line2D

    there = {kind for panel in panels for kind in panel.rows["kind"]}
    return {
        words: Line2D([], [], linestyle=KIND_LINES[kind], linewidth=0.9, color=GREY)
        for kind, words in KIND_WORDS.items()
        if kind in there
    }


def _add_legend(figure: Figure, entries: Mapping[str, Line2D]) -> float:
    """Above the axes, in as many columns as fit. Inches that it is higher than one line."""
    width_px, _ = figure.get_size_inches() * figure.dpi
    for columns in range(len(entries), 0, -1):
        legend = figure.legend(
            entries.values(), entries.keys(), loc="outside upper center", ncols=columns
        )
        box = legend.get_window_extent()
        if box.width <= width_px or columns == 1:
            break
        legend.remove()
    return float(box.height / figure.dpi - LEGEND_LINE_IN)


def _note(panels: Sequence[Panel], layout: Layout) -> str:
    rows = pd.concat([panel.rows for panel in panels])
    first = rows.iloc[0]
    images, draws = first["images"], first["draws"]
    words = [f"{images} image(s) of {first['size']} px, {draws} channel draw(s) each"]
    if (rows["kind"] != "analog").any():
        half = "the other half of the images" if images >= FEWEST_TO_SPLIT else "the same images"
        words.append(f"the best scheme at each point, chosen by {half}")
    over = first["interval_over"]
    if over == "none":
        words.append(f"too few images for an interval (fewer than {FEWEST_IMAGES})")
    else:
        words.append(f"95 % interval over {over}")
    if layout.below.logarithmic:
        words.append("no point where no outage was met")
    words.append("a failed picture counts as mid-grey")
    if (rows["psnr_high_db"] >= EXACT_PSNR_DB).any():
        words.append(f"an exact one as {EXACT_PSNR_DB:g} dB")
    return "; ".join(words)
