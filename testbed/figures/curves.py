"""Curves of a run: every metric against SNR, bandwidth and packet loss, from statistics.csv.

A panel has one setting of the link, but for what is along its axis. Protections are compared with
each other: where there are several, they share a panel. Analog codecs, which know no modulation or
code, stand beside all that meets the same medium.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trials_table import LINK_COLUMNS, MEDIUM_COLUMNS
from testbed.figures.axes import Layout, Sweep, metric_layout
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
from testbed.figures.curve_grid import Decoration, TopAxis, draw_grid
from testbed.figures.curve_looks import curve_looks
from testbed.figures.drawing import Drawing, Width
from testbed.figures.panels import Panel, Sheet, left_out, sheets, with_curves, without_curves
from testbed.figures.points import draw_points, undrawn_points
from testbed.language.scenario_values import MODULATION_BITS
from testbed.language.setting_words import setting_words
from testbed.running.trials import ANALOG

AT_CAPACITY = math.inf
"""In place of the rate of an ideal code that follows the SNR: one curve, though of many rates."""
NOT_ONE_SYMBOL_PER_USE = ("ofdm", "spatial_multiplexing")
"""Channels with pilots and prefixes, or with several symbols in a use."""


def draw_curves(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """Every metric of a run against SNR, bandwidth and packet loss, failures below.

    Means and 95 % intervals are those of statistics.csv. A setting that has one point only, along
    whatever axis, is drawn as points by codec. Of a run that compares schemes nothing is drawn
    here: see comparison_curves.py.
    """
    if run.comparison is not None:
        return
    frame = _frame(run)
    looks = curve_looks(run, frame)
    decoration = Decoration(top=_information_axis)
    for sheet in sheets(frame, sweep_panels, width):
        rows = pd.concat([panel.rows for panel in sheet.panels])
        for metric in run.metrics:
            if rows[metric.column].notna().any():
                layout = metric_layout(metric)
                figure = draw_grid(sheet.panels, sheet.sweep, layout, looks, width, decoration)
                yield Drawing(
                    f"{layout.name}_vs_{sheet.sweep.stem}_{sheet.stem_end}",
                    f"{layout.above.words} against {sheet.sweep.words}, {sheet.words}",
                    _caption(run, sheet, layout, rows),
                    "quality",
                    figure,
                )
    yield from draw_points(run, frame, single_panels, looks, width, "quality")


def undrawn_curves(run: RunFolder) -> int:
    """How many panels are left out, since there are too many."""
    if run.comparison is not None:
        return 0
    frame = _frame(run)
    return left_out(frame, sweep_panels) + undrawn_points(frame, single_panels)


def _frame(run: RunFolder) -> pd.DataFrame:
    """statistics.csv, each row a point of a curve that is drawn bold."""
    frame = run.statistics
    snr = 10.0 ** (frame["snr_db"] / 10.0)
    follows = (frame["coding"] == "ideal") & np.isclose(
        frame["code_rate"], np.log2(1.0 + snr), rtol=1e-6
    )
    rates = frame["code_rate"].where(~follows, AT_CAPACITY)
    return frame.assign(kind="real", code_rate=rates)


def sweep_panels(part: pd.DataFrame, sweep: Sweep) -> list[Panel]:
    """Those that have two values along the axis."""
    return with_curves(_panels(part, sweep.column), sweep)


def single_panels(part: pd.DataFrame) -> list[Panel]:
    """Those that no curve goes through."""
    return without_curves(_panels(part, None), part, sweep_panels)


def _panels(part: pd.DataFrame, axis: str | None) -> list[Panel]:
    """A panel for each setting of everything but what is along the axis, if anything is."""
    is_analog = (part["modulation"] == ANALOG).to_numpy()
    coded, analog = part[~is_analog], part[is_analog]
    medium = [column for column in MEDIUM_COLUMNS if column != axis]
    panels: list[Panel] = []
    beside: set[int] = set()
    for panel in _settings(coded, axis):
        met = analog.reset_index().merge(panel.rows[medium].drop_duplicates())["index"]
        beside.update(met)
        rows = part.loc[[*panel.rows.index, *met]]
        panels.append(Panel(panel.title, rows, panel.fixed))
    return panels + list(_settings(analog.drop(index=list(beside)), axis))


def _settings(part: pd.DataFrame, axis: str | None) -> Iterator[Panel]:
    protections = ["protection"] if part["protection"].nunique() > 1 else []
    others = [column for column in LINK_COLUMNS if column not in (axis, *protections)]
    varying = [column for column in others if part[column].nunique() > 1]
    for values, rows in part.groupby(others, sort=False, dropna=False, observed=True):
        setting = dict(zip(others, values, strict=True))
        yield Panel(_words(setting, varying, set(rows["protection"])), rows, setting)


def _words(setting: Mapping[str, object], varying: Sequence[str], protections: set[str]) -> str:
    named = {"protection": min(protections)} | dict(setting)
    words = setting_words(named, varying, protections)
    return words.replace(f"{AT_CAPACITY} bits per symbol", "at capacity")


def _information_axis(panel: Panel) -> TopAxis | None:
    """Bits per pixel that a bandwidth ratio has room for, where all codecs share one scheme.

    A picture of H x W pixels has 3 H W CBR channel uses, each of as many information bits as the
    scheme says: payloads of packets, with their headers and CRCs.
    """
    if "cbr" in panel.fixed:
        return None
    rows = panel.rows[panel.rows["modulation"] != ANALOG]
    schemes = rows[["modulation", "code_rate", "erasure_rate"]].drop_duplicates()
    simple = (
        len(schemes) == 1
        and set(rows["protection"]) == {"equal"}
        and set(rows["transmissions_allowed"]) == {1}
        and not rows["channel"].str.startswith(NOT_ONE_SYMBOL_PER_USE).any()
    )
    if not simple:
        return None
    scheme = schemes.iloc[0]
    # An ideal code's rate is in bits per symbol already.
    bits = MODULATION_BITS.get(scheme["modulation"], 1) * scheme["code_rate"]
    bits_per_use = float(bits * scheme["erasure_rate"])
    if not math.isfinite(bits_per_use):
        return None
    label = f"information bits per pixel ($3\\,$CBR$\\,\\times\\,${bits_per_use:.3g})"
    return TopAxis(label, 3.0 * bits_per_use)


def _caption(run: RunFolder, sheet: Sheet, layout: Layout, rows: pd.DataFrame) -> str:
    quantity = layout.above
    sentences = [
        f"{mean_words(quantity)} against {sheet.sweep.words}; below, the share of failures.",
        extent_sentence(rows),
        interval_sentence(rows, quantity, "Bands"),
        sentence(FAILED_WORDS),
        *exact_sentences(rows, quantity.column),
        *header_sentences(run, set(rows["codec"])),
        fixed_sentence(panel.title for panel in sheet.panels),
    ]
    if any(_information_axis(panel) for panel in sheet.panels):
        sentences.append(
            "On top, the information bits per pixel that a bandwidth has room for: payloads of "
            "packets with their headers and CRCs."
        )
    return " ".join(sentences)
