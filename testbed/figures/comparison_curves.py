"""Figures of a comparison: each codec at its best, against SNR, bandwidth and packet loss.

Drawn from comparison.csv. A curve is a codec's envelope (bold, with the 95 % interval of its mean),
over the faint curves of the single schemes that it consists of, which are those of statistics.csv.
Ideal codes are dashed, uncoded symbols dotted, results of others lone open markers.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from testbed.evaluation.envelope import FEWEST_TO_SPLIT, KINDS, Kind, Medium, Scheme, kind_of
from testbed.evaluation.run_folder import RunFolder
from testbed.figures.axes import Layout, Quantity, Sweep, metric_layout
from testbed.figures.captions import (
    FAILED_WORDS,
    exact_sentences,
    extent_sentence,
    fixed_sentence,
    header_sentences,
    interval_sentence,
    mean_words,
    sentence,
)
from testbed.figures.comparison_marks import has_choice, marks_of
from testbed.figures.curve_grid import CURVE, draw_grid
from testbed.figures.curve_looks import KIND_WORDS, curve_looks, emphasised
from testbed.figures.drawing import Drawing, Width
from testbed.figures.panels import Panel, Sheet, left_out, sheets, with_curves, without_curves
from testbed.figures.points import draw_points, undrawn_points
from testbed.language.setting_words import medium_words

LINE_WORDS = {"ideal": "Dashed", "uncoded": "Dotted"}
MOST_OUTAGE_BANDS = 6
"""Curves of a panel beyond which bands on a logarithmic axis would hide each other."""


def draw_comparison(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """Every metric of the codecs at their best, and how often and how far they fall short.

    Of a run whose scenario has `comparison`; nothing of others.
    """
    panels = ComparisonPanels(run)
    if panels.frame is None:
        return
    frame = panels.frame
    looks = emphasised(curve_looks(run, frame), run.reference)
    threshold_db = float(frame["outage_psnr_db"].iloc[0])
    for sheet in sheets(frame, panels.of_sweep, width):
        rows = pd.concat([panel.rows for panel in sheet.panels])
        metrics = [metric for metric in run.metrics if rows[metric.column].notna().any()]
        curves = max(panel.rows.groupby(CURVE).ngroups for panel in sheet.panels)
        outage = outage_layout(threshold_db, bands=curves <= MOST_OUTAGE_BANDS)
        for layout in [*map(metric_layout, metrics), outage]:
            marks = marks_of(run, layout, sheet.sweep, looks)
            yield Drawing(
                f"comparison_{layout.name}_vs_{sheet.sweep.stem}_{sheet.stem_end}",
                f"{layout.above.words} against {sheet.sweep.words}, {sheet.words}",
                _caption(run, sheet, layout, rows),
                "comparison",
                draw_grid(sheet.panels, sheet.sweep, layout, looks, width, marks),
            )
    yield from draw_points(run, frame, panels.of_none, looks, width, "comparison", "comparison_")


def undrawn_comparison(run: RunFolder) -> int:
    """How many panels are left out, since there are too many."""
    panels = ComparisonPanels(run)
    if panels.frame is None:
        return 0
    return left_out(panels.frame, panels.of_sweep) + undrawn_points(panels.frame, panels.of_none)


def outage_layout(threshold_db: float, *, bands: bool = True) -> Layout:
    """What 95 % of receptions reach, and how many stay below a PSNR."""
    interval = ("outage_low", "outage_high")
    return Layout(
        "outage",
        Quantity("psnr_q05_db", "5 % quantile of PSNR (dB)", "5 % quantile of PSNR and outage"),
        Quantity("outage", f"P(PSNR < {threshold_db:g} dB)", "outage", interval, logarithmic=True),
        heights=(1, 1),
        height_in=3.2,
        below_band=bands,
    )


class ComparisonPanels:
    """Panels of a run's comparison: one for each medium.

    frame  comparison.csv; None of a run without
    """

    def __init__(self, run: RunFolder) -> None:
        table = run.statistics
        self.frame = None if run.comparison is None else _exact(run.comparison, table)
        kinds = [kind_of(*each) for each in zip(table["modulation"], table["coding"], strict=True)]
        self._schemes = table[np.array([kind == "real" for kind in kinds], bool)]

    def of_sweep(self, part: pd.DataFrame, sweep: Sweep) -> list[Panel]:
        """Media that have two values along the axis."""
        return with_curves(self._panels(part, sweep.column), sweep)

    def of_none(self, part: pd.DataFrame) -> list[Panel]:
        """Media that no curve goes through."""
        return without_curves(self._panels(part, None), part, self.of_sweep)

    def _panels(self, part: pd.DataFrame, axis: str | None) -> list[Panel]:
        """Curves of other kinds stand beside those of real codes wherever they meet what they
        know."""
        others = [column for column in Medium._fields if column != axis]
        varying = [column for column in others if part[column].nunique() > 1]
        # By position, without the axis.
        media = [_medium(row, axis) for row in part[list(Medium._fields)].to_dict("records")]
        places = list(zip(media, part["kind"], strict=True))
        panels: list[Panel] = []
        shown: set[int] = set()
        for at in sorted(range(len(places)), key=lambda at: KINDS.index(places[at][1])):
            if at in shown:
                continue
            medium, kind = places[at]
            own = [index for index, place in enumerate(places) if _meet(place, (medium, kind))]
            shown.update(own)
            fixed = {name: part[name].iloc[at] for name in others}
            behind = self._behind(str(part["case"].iloc[0]), medium, axis)
            title = medium_words(fixed, varying)
            panels.append(Panel(title, part.iloc[own], fixed, behind))
        return panels

    def _behind(self, case: str, medium: Medium, axis: str | None) -> pd.DataFrame:
        """Single schemes of real codes over a medium, with a number for each in `scheme`."""
        rows = self._schemes[(self._schemes["case"] == case).to_numpy()]
        met = [_medium(row, axis) == medium for row in rows.to_dict("records")]
        rows = rows[np.array(met, bool)]
        number = rows.groupby(list(Scheme._fields), dropna=False, sort=False).ngroup()
        return rows.assign(scheme=number)


def _exact(comparison: pd.DataFrame, statistics: pd.DataFrame) -> pd.DataFrame:
    """With settings as statistics.csv has them, digit by digit: comparison.csv has six digits."""
    settings = {}
    for name in ("snr_db", "cbr", "packet_loss"):
        values = {float(f"{value:.6g}"): value for value in statistics[name].unique()}
        settings[name] = comparison[name].map(values)
    return comparison.assign(**settings)


def _medium(row: Mapping[Hashable, Any], axis: str | None) -> Medium:
    """Without what is along the axis."""
    values = (None if name == axis or pd.isna(row[name]) else row[name] for name in Medium._fields)
    return Medium._make(values)


def _meet(one: tuple[Medium, Kind], other: tuple[Medium, Kind]) -> bool:
    """Whether two points are over one medium, as far as both kinds know."""
    kinds = one[1], other[1]
    return one[0].as_known_to(*kinds) == other[0].as_known_to(*kinds)


def _caption(run: RunFolder, sheet: Sheet, layout: Layout, rows: pd.DataFrame) -> str:
    outage = layout.name == "outage"
    quantity = layout.above.words if outage else mean_words(layout.above)
    words = [f"{quantity} against {sheet.sweep.words}"]
    words.append("below, the share of pictures under the limit" if outage else "below, failures")
    kinds = set(rows["kind"])
    sentences = [f"{'; '.join(words)}.", extent_sentence(rows)]
    # Lines of a single scheme are no choice, and behind them is nothing.
    chosen = any(has_choice(panel) for panel in sheet.panels)
    if chosen:
        half = int(rows["images"].min()) >= FEWEST_TO_SPLIT
        which = "the other half of the pictures" if half else "the same pictures"
        sentences.append(
            f"Bold: every codec at its best modulation and code rate at each point, chosen by "
            f"{which}; the thickest is the reference, {run.labels[run.reference]}."
        )
    elif "real" in kinds:
        sentences.append(f"The thickest line is the reference, {run.labels[run.reference]}.")
    if layout.above.column == "psnr_db" and chosen:
        sentences.append("Faint: single schemes.")
    sentences += [
        f"{LINE_WORDS[kind]}: {KIND_WORDS[kind]}." for kind in KIND_WORDS if kind in kinds
    ]
    if outage:
        if layout.below_band:
            sentences.append("Bands are 95 % intervals of shares (Wilson).")
        sentences.append("No point where no outage was met.")
    else:
        sentences.append(interval_sentence(rows, layout.above, "Bands"))
    return " ".join(
        [
            *sentences,
            sentence(FAILED_WORDS),
            *exact_sentences(rows, layout.above.column),
            *header_sentences(run, set(rows["codec"])),
            fixed_sentence(panel.title for panel in sheet.panels),
        ]
    )
