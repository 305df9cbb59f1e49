"""The points of statistics.csv, comparison.csv and differences.csv as the page's chart reads them.

A *source* is one of these tables, of all runs together, column by column:

    series    codec x protection x kind of code x run: a line of the chart
    facets    what is chosen besides the axis: pictures, channel, scheme ...; of one value each
    axes      what can be along the axis
    metrics   what can be above it, with its interval

The chart picks the rows of one value of each facet and joins those of a series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from testbed.evaluation.envelope import kind_of
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.summaries import column, interval_columns
from testbed.figures.looks import Look
from testbed.reporting.html.curve_facets import FACETS, facet_data, planned_protections
from testbed.reporting.report_run import ReportRun, shared_looks

MOST_ROWS = 20_000
"""Of a source, of all runs together: about 2 MB."""
DIGITS = 5
AXES = {
    "snr_db": "Es/N0 (dB)",
    "cbr": "channel bandwidth ratio (complex uses per source value)",
    "packet_loss": "packet loss",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric of a source. interval: the columns of its ends, if it has any."""

    column: str
    label: str
    interval: tuple[str, str] | None = None
    share: bool = False
    higher_is_better: bool = True
    signed: bool = False


def chart_data(runs: Sequence[ReportRun]) -> list[dict[str, Any]]:
    """The sources that have rows, in the order of their tables."""
    metrics = {each.column: each for one in runs for each in one.run.metrics}
    base = [
        Measure(name, each.label, interval_columns(name), each.is_share, each.higher_is_better)
        for name, each in metrics.items()
    ]
    failed = Measure("failed", "failed (share)", interval_columns("failed"), True, False)
    costs = [
        Measure("cbr_used", "channel uses spent per source value", None, False, False),
        Measure("bpp", "source bits sent per pixel", None, False, False),
    ]
    outage = Measure("outage", "outage (share)", interval_columns("outage"), True, False)
    differences = [
        Measure(
            column(name, "difference"),
            f"difference of {each.label} to the reference",
            (column(name, "difference_low"), column(name, "difference_high")),
            higher_is_better=each.higher_is_better,
            signed=True,
        )
        for name, each in metrics.items()
    ]
    sources = [
        _source(
            "statistics", "Every scheme (statistics.csv)", runs,
            lambda run: run.statistics, [*base, failed, *costs],
        ),
        _source(
            "comparison", "Codecs at their best (comparison.csv)", runs,
            lambda run: run.comparison, [*base, outage, failed],
        ),
        _source(
            "differences", "Paired differences (differences.csv)", runs,
            lambda run: run.differences, differences,
        ),
    ]  # fmt: skip
    there = [each for each in sources if each]
    # A run that compares was made for it.
    if all(each.run.comparison is not None for each in runs):
        there.sort(key=lambda each: each["id"] != "comparison")
    return there


def _source(
    name: str,
    title: str,
    runs: Sequence[ReportRun],
    table_of: Callable[[RunFolder], pd.DataFrame | None],
    measures: Sequence[Measure],
) -> dict[str, Any] | None:
    frames = []
    for each in runs:
        frame = table_of(each.run)
        if frame is not None and len(frame):
            planned = planned_protections(each.run)
            frame = frame.assign(
                run_number=each.number,
                any_scheme=frame["protection"].isin(planned),
            )
            frames.append(frame)
    if not frames:
        return None
    table = pd.concat(frames, ignore_index=True)
    rows = len(table)
    table = table.head(MOST_ROWS)
    if "kind" not in table:
        table["kind"] = [
            kind_of(modulation, coding)
            for modulation, coding in zip(table["modulation"], table["coding"], strict=True)
        ]
    series, own_series = _series(table, runs)
    there = [each for each in measures if each.column in table]
    axes = [axis for axis in AXES if table[axis].nunique() > 1] or ["snr_db"]
    content: dict[str, Any] = {
        "id": name,
        "title": title,
        "rows": rows,
        "shown": len(table),
        "series": series,
        "of": own_series,
        "facets": [facet_data(each, table) for each in FACETS if set(each.columns) <= set(table)],
        "axes": [{"id": axis, "label": AXES[axis], "x": _numbers(table[axis])} for axis in axes],
        "metrics": [_measure_data(each, table) for each in there],
        "images": table["images"].tolist(),
        "draws": table["draws"].tolist(),
        "over": table["interval_over"].tolist(),
    }
    if "failed" in table:
        content["failed"] = _numbers(table["failed"])
    if "schemes" in table:
        content["schemes"] = [str(each) for each in table["schemes"]]
    return content


def _series(
    table: pd.DataFrame, runs: Sequence[ReportRun]
) -> tuple[list[dict[str, Any]], list[int]]:
    """All series, and each row's. A variant (run, protection, kind) is a dash pattern."""
    looks = shared_looks([each.run for each in runs])
    keys = list(
        zip(
            table["run_number"].tolist(), table["codec"].tolist(), table["protection"].tolist(),
            table["kind"].tolist(), strict=True,
        )
    )  # fmt: skip
    distinct = list(dict.fromkeys(keys))
    several = {
        codec: {key[2] for key in distinct if key[1] == codec} for _, codec, _, _ in distinct
    }
    kinds = {codec: {key[3] for key in distinct if key[1] == codec} for _, codec, _, _ in distinct}
    variants = list(dict.fromkeys((r, p, k) for r, _, p, k in distinct if k != "analog"))
    # Analog codecs' protection is one of its own: they take no dash from the others.
    first = {number: index for index, (number, _, _) in reversed(list(enumerate(variants)))}
    found = []
    for number, codec, protection, kind in distinct:
        words = [runs[number].run.labels.get(codec, codec)]
        if len(several[codec]) > 1:
            words.append(protection)
        if kind in ("ideal", "uncoded") and len(kinds[codec]) > 1:
            words.append({"ideal": "ideal code", "uncoded": "uncoded"}[kind])
        if len(runs) > 1:
            words.append(runs[number].name)
        analog = kind == "analog"
        variant = (number, protection, kind)
        found.append(
            {
                "label": ", ".join(words),
                "codec": codec,
                "run": runs[number].name,
                "dash": first.get(number, number) if analog else variants.index(variant),
                **_look(looks[codec]),
            }
        )
    place = {key: index for index, key in enumerate(distinct)}
    return found, [place[key] for key in keys]


def _look(look: Look) -> dict[str, Any]:
    return {"colour": look.colour, "marker": look.marker, "filled": look.filled}


def _measure_data(measure: Measure, table: pd.DataFrame) -> dict[str, Any]:
    content: dict[str, Any] = {
        "id": measure.column,
        "label": measure.label,
        "share": measure.share,
        "signed": measure.signed,
        "higher": measure.higher_is_better,
        "mean": _numbers(table[measure.column]),
    }
    if measure.interval and set(measure.interval) <= set(table):
        content["low"], content["high"] = (_numbers(table[name]) for name in measure.interval)
    return content


def _numbers(values: Iterable[Any]) -> list[float | None]:
    """To five digits; null for what is no number."""
    return [
        float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
        for value in np.asarray(values, np.float64).tolist()
    ]
