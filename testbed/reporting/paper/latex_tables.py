"""tables.tex: a run's results as booktabs tables.

    results        of each setting: mean PSNR with half its interval, further metrics, failures
    differences    to the reference codec, picture by picture and draw by draw, with intervals
    deltas         Bjontegaard's, and SNR gains: deltas.py
    channel uses   what they were spent on, codec by codec

Numbers have the digits that their intervals allow, and no more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from testbed.evaluation.run_folder import MetricWords, RunFolder
from testbed.evaluation.summaries import interval_columns
from testbed.reporting.paper.deltas import Cell
from testbed.reporting.paper.latex_lists import delta_tables, ledger_tables
from testbed.reporting.paper.result_groups import AXES, Group, difference_groups, groups
from testbed.reporting.report_run import ReportRun
from testbed.reporting.tex import (
    Panel,
    bold,
    decimals,
    escape,
    escape_words,
    label,
    number,
    ratio,
    table,
    with_half_width,
)

MOST_COLUMNS = 6
"""Of one table, before it is parted: what fits a page of a plain article."""
MOST_GROUPS = 40
"""Of a run: a paper has no more, statistics.csv has all."""
DECIMALS = {"_db": (1, 2), "": (2, 3)}
"""By the end of a metric's name: without an interval, and at most."""
MOST_PANELS = 6
"""Settings of one table of differences."""
DIFFERENCE = ("difference_db", "difference_low_db", "difference_high_db")


def run_tables(each: ReportRun, rows: Sequence[dict[str, Cell]]) -> Iterator[str]:
    """All tables of a run, as LaTeX. rows: of deltas.csv; those of the run are taken."""
    run = each.run
    found = groups(run)
    if len(found) > MOST_GROUPS:
        yield (
            f"% {len(found) - MOST_GROUPS} of {len(found)} settings of {each.name} are left out: "
            "statistics.csv has all of them.\n"
        )
    for place, group in enumerate(found[:MOST_GROUPS]):
        parts = group.parts(MOST_COLUMNS)
        for number_, part in enumerate(parts):
            of = f", part {number_ + 1} of {len(parts)}" if len(parts) > 1 else ""
            yield _results(
                run, part, of, label("tab", each.slug, f"results-{place + 1}-{number_ + 1}")
            )
    yield from _differences(each)
    yield from delta_tables(each, [row for row in rows if row["run"] == each.name])
    yield from ledger_tables(each)


def _results(run: RunFolder, group: Group, of: str, name: str) -> str:
    head = ["Codec", *(_x_words(group.axis, x) for x in group.x)]
    panels = [Panel(escape(each.label), _metric_rows(group, each)) for each in run.metrics]
    panels.append(Panel(r"Failed pictures (\%)", _failed_rows(group)))
    spread = _spread_words(group.records)
    caption = (
        f"Mean quality{_axis_words(group.axis)}{of}: {escape_words(group.title)}"
        f"{_case_words(group)}; "
        f"{_extent_words(group)}. {spread}{_bold_words(group)}{_header_words(run)}"
    )
    return table(caption, name, "l" + "r" * len(group.x), head, panels)


def _metric_rows(group: Group, metric: MetricWords) -> list[list[str]]:
    unknown, most = DECIMALS["_db" if metric.column.endswith("_db") else ""]
    scale = 100 if metric.is_share else 1
    low, high = interval_columns(metric.column)
    cells = {
        (name, x): (
            float(row[x][metric.column]),
            with_half_width(
                [scale * float(row[x][each]) for each in (metric.column, low, high)],
                *((0, 1) if metric.is_share else (unknown, most)),
            ),
        )
        for name, row in group.rows.items()
        for x in group.x
        if x in row
    }
    best = _best(cells, group, higher=metric.higher_is_better)
    return [
        [
            escape(name),
            *(best.get((name, x)) or cells.get((name, x), (0.0, "--"))[1] for x in group.x),
        ]
        for name in group.rows
    ]


def _best(
    cells: dict[tuple[str, float], tuple[float, str]], group: Group, *, higher: bool
) -> dict[tuple[str, float], str]:
    """The best cells of each column in bold; none where all read the same.

    Ideal codes are bounds, and the best of nothing that can be built.
    """
    bounds = {
        name for name, row in group.rows.items() for each in row.values() if each["kind"] == "ideal"
    }
    found: dict[tuple[str, float], str] = {}
    for x in group.x:
        own = {
            key: cell
            for key, cell in cells.items()
            if key[1] == x and not math.isnan(cell[0]) and (key[0] not in bounds)
        }
        if len({text for _, text in own.values()}) < 2:
            continue
        top = (max if higher else min)(value for value, _ in own.values())
        texts = {text for value, text in own.values() if value == top}
        found |= {key: bold(text) for key, (_, text) in own.items() if text in texts}
    return found


def _failed_rows(group: Group) -> list[list[str]]:
    rows = []
    for name, row in group.rows.items():
        cells = [
            # Wilson's interval of a small share is lopsided: the first digit of half its width
            # tells how many.
            number(
                100 * float(row[x]["failed"]),
                decimals(500 * float(row[x]["failed_high"] - row[x]["failed_low"]), 0, 2),
            )
            if x in row
            else "--"
            for x in group.x
        ]
        rows.append([escape(name), *cells])
    return rows


def _differences(of: ReportRun) -> Iterator[str]:
    """Of PSNR, to the reference codec: settings with the same columns below one another."""
    run = of.run
    best = run.comparison is not None
    names = [name if best else f"psnr_{name}" for name in DIFFERENCE]
    alike: dict[tuple[str, tuple[float, ...]], list[Group]] = {}
    for group in (groups(run) if best else difference_groups(run))[:MOST_GROUPS]:
        for part in group.parts(MOST_COLUMNS):
            if any(not math.isnan(float(each[names[0]])) for each in part.records):
                alike.setdefault((part.axis, part.x), []).append(part)
    count = 0
    for (axis, x), own in alike.items():
        for start in range(0, len(own), MOST_PANELS):
            count += 1
            shown = own[start : start + MOST_PANELS]
            common, titles = _common_words([_setting_words(each) for each in shown])
            panels = [
                Panel(title, _difference_rows(each, names))
                for title, each in zip(titles, shown, strict=True)
            ]
            spread = any(not math.isnan(each[names[1]]) for part in shown for each in part.records)
            caption = (
                f"PSNR (dB) of each codec minus that of {_against(run, best)}{_axis_words(axis)}; "
                "paired by picture and channel draw"
                + (f"; {common}." if common else ".")
                + (r" $\pm$: half the width of the 95\,\% interval." if spread else "")
            )
            head = ["Codec", *(_x_words(axis, each) for each in x)]
            name = label("tab", of.slug, f"differences-{count}")
            yield table(caption, name, "l" + "r" * len(x), head, panels)


def _setting_words(group: Group) -> list[str]:
    """Of one group, apart: the channel first, the case last; commas in brackets part nothing."""
    words = re.split(r", (?![^()]*\))", group.title)
    return [*map(escape_words, words), escape(group.size), *filter(None, [escape(group.case)])]


def _common_words(settings: Sequence[Sequence[str]]) -> tuple[str, list[str]]:
    """What all settings have in common, and of each the channel and what the others have not."""
    first = int(len(settings) > 1)
    common = [words for words in settings[0][first:] if all(words in each for each in settings)]
    own = [", ".join(words for words in each if words not in common) for each in settings]
    return ", ".join(common), own


def _difference_rows(group: Group, names: Sequence[str]) -> list[list[str]]:
    rows = []
    for name, row in group.rows.items():
        cells = [
            with_half_width([float(row[x][each]) for each in names], *DECIMALS["_db"])
            if x in row
            else "--"
            for x in group.x
        ]
        if set(cells) != {"--"}:
            rows.append([escape(name), *cells])
    return rows


def _against(run: RunFolder, best: bool) -> str:
    name = escape(run.labels.get(run.reference, run.reference))
    # What a codec at its best is held against may hang on its protection and kind of code.
    return f"{name} at its best" if best else name


def _axis_words(axis: str) -> str:
    return f", by {AXES[axis]}" if axis else ""


def _x_words(axis: str, x: float) -> str:
    if not axis:
        return "mean"
    if axis == "packet_loss":
        return rf"{100 * x:.3g}\,\%"
    return ratio(x) if axis == "cbr" else number(x, 0 if x == round(x) else 1)


def _case_words(group: Group) -> str:
    return f", {escape(group.case)}" if group.case else ""


def _extent_words(group: Group) -> str:
    records = group.records
    images = {int(each["images"]) for each in records}
    draws = {int(each["draws"]) for each in records}
    return (
        f"{_range_words(images, 'picture')} of {escape(group.size)} pixels, "
        f"{_range_words(draws, 'channel draw')} each"
    )


def _range_words(counts: set[int], noun: str) -> str:
    low, high = min(counts), max(counts)
    text = f"{low}" if low == high else f"{low} to {high}"
    return f"{text} {noun}{'s' * (high != 1)}"


def _spread_words(records: Iterable[pd.Series]) -> str:
    over = {str(each["interval_over"]) for each in records}
    if over == {"none"}:
        return "No intervals: too few pictures and draws. "
    what = {"images": "pictures like these", "draws": "these pictures alone"}
    known = " or ".join(words for key, words in what.items() if key in over)
    return rf"$\pm$: half the width of the 95\,\% interval, for {known}. "


def _bold_words(group: Group) -> str:
    if len(group.rows) < 2:
        return ""
    bounds = any(each["kind"] == "ideal" for each in group.records)
    return f"Bold: the best of each column{', ideal codes aside' if bounds else ''}. "


def _header_words(run: RunFolder) -> str:
    policies: dict[str, list[str]] = {}
    for codec in run.scenario["codecs"]:
        if "headers" in codec:
            policies.setdefault(str(codec["headers"]), []).append(str(codec["name"]))
    if not policies:
        return ""
    each = "; ".join(f"{policy} ({', '.join(names)})" for policy, names in policies.items())
    return f"Headers charged: {escape(each)}."
