"""deltas.csv: how far codecs' curves lie apart, as one number each.

    curves of a run  --same setting, same pictures-->  pairs  -->  a row each

What a curve runs over, its `axis`, says which numbers there are:

    cbr, bpp    Bjontegaard's deltas: the mean difference of PSNR at equal rate, in dB, and the mean
                difference of rate at equal PSNR, in %. The rate is what was really spent: channel
                uses per source value, or source bits per pixel.
    snr_db      The mean difference of PSNR over the SNRs that both curves have, in dB, and the SNR
                gain: by how many dB less SNR the same PSNR is reached. Neither is Bjontegaard's: an
                SNR is no rate.

Where a curve is none that can be inverted, or two have nothing in common, the number is NaN and the
column `reason` says why.

How numbers are computed is told in curve_distance.py.
"""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from testbed.evaluation.envelope import kind_of
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trials_table import MEDIUM_COLUMNS, SETTING_COLUMNS
from testbed.reporting.paper.curve_distance import Curve, delta_of
from testbed.reporting.report_run import report_runs
from testbed.whole_file import whole_file

DELTAS_CSV = "deltas.csv"
AXES = {"cbr": "cbr_used", "bpp": "bpp", "snr_db": "snr_db"}
"""What curves run over, and the column of statistics.csv that has it."""

Cell: TypeAlias = str | float | int

HEAD = (
    "run", "source", "axis", "metric", "codec", "reference", "kind", "reference_kind",
    "reference_protection", "size", *SETTING_COLUMNS, "points", "reference_points",
    "common_low", "common_high", "bd_db", "bd_rate_percent", "mean_difference_db", "snr_gain_db",
    "reason",
)  # fmt: skip


def deltas(runs: Sequence[RunFolder]) -> list[dict[str, Cell]]:
    """A row of deltas.csv for each pair of curves, run by run."""
    return [
        {"run": each.name, **row_of(anchor, curve)}
        for each in report_runs(runs)
        for anchor, curve in pairs(curves(each.run), each.run)
    ]


def write_deltas(rows: Iterable[dict[str, Cell]], folder: Path) -> Path:
    """As CSV: numbers with six significant digits, what is undefined is `nan`."""
    path = folder / DELTAS_CSV
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, HEAD, restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    return path


def row_of(anchor: Curve, curve: Curve) -> dict[str, Cell]:
    """What deltas.csv says of two curves, but for the run."""
    delta = delta_of(anchor, curve)
    # Of an analog codec, which has no scheme, the other's says where both stand.
    held = anchor.held if curve.kind == "analog" else curve.held
    return {
        "source": curve.source,
        "axis": curve.axis,
        "metric": curve.metric,
        "codec": curve.codec,
        "reference": anchor.codec,
        "kind": curve.kind,
        "reference_kind": anchor.kind,
        **{name: held.get(name, "") for name in ("size", *SETTING_COLUMNS)},
        "protection": curve.held["protection"],
        "reference_protection": anchor.held["protection"],
        "points": len(curve.x),
        "reference_points": len(anchor.x),
        "common_low": delta.common_low,
        "common_high": delta.common_high,
        "bd_db": delta.bd_db,
        "bd_rate_percent": delta.bd_rate_percent,
        "mean_difference_db": delta.mean_difference_db,
        "snr_gain_db": delta.snr_gain_db,
        "reason": delta.reason,
    }


def curves(run: RunFolder) -> list[Curve]:
    """All curves of a run of two points or more: of its settings, and of its codecs at their best.

    Points at which every picture failed show what stands for a failed picture, and no codec: along
    a rate they are left out.
    """
    metrics = [each.column for each in run.metrics if each.column.endswith("_db")]
    statistics = run.statistics.assign(
        kind=[
            kind_of(str(each.modulation), str(each.coding)) for each in run.statistics.itertuples()
        ]
    )
    found: list[Curve] = []
    for axis, metric in itertools.product(AXES, metrics):
        found += _curves("points", statistics, axis, metric, SETTING_COLUMNS, AXES[axis])
    best = run.comparison
    if best is not None:
        sides = best["size"].str.split("x", expand=True).astype(int)
        best = best.assign(cbr_used=best["channel_uses"] / (3 * sides[0] * sides[1]))
        settings = [name for name in SETTING_COLUMNS if name in best]
        for axis, metric in itertools.product(("cbr", "snr_db"), metrics):
            if metric in best:
                found += _curves("best", best, axis, metric, settings, AXES[axis])
    return found


def _curves(
    source: str,
    table: pd.DataFrame,
    axis: str,
    metric: str,
    settings: Sequence[str],
    column: str,
) -> Iterator[Curve]:
    # Source bits per pixel run along with what was asked for, the bandwidth ratio.
    swept = "snr_db" if axis == "snr_db" else "cbr"
    held = [name for name in settings if name != swept]
    for key, points in table.groupby(["codec", "kind", "size", *held], sort=False, dropna=False):
        codec, kind, size, *values = map(_text, key)
        points = points[points[metric].notna()].sort_values([swept, column])
        if axis != "snr_db":
            points = points[(points["failed"] < 1) & (points[column] > 0)]
            # A budget that a codec leaves unused makes no new point.
            points = points[~points[[column, metric]].duplicated()].sort_values(column)
        if len(points) > 1:
            yield Curve(
                source, axis, metric, codec, kind,
                {"size": size, **dict(zip(held, values, strict=True))},
                points[column].to_numpy(np.float64), points[metric].to_numpy(np.float64),
            )  # fmt: skip


def _text(value: object) -> str:
    """As the tables have it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def pairs(curves: Sequence[Curve], run: RunFolder) -> Iterator[tuple[Curve, Curve]]:
    """(anchor, curve): the reference codec's curve, or else that of the earlier codec, comes first.

    Digital codecs meet at the same setting, an analog one every setting over the same medium. What
    is at its best meets the same kind of code, or an analog codec.
    """
    order = {name: number for number, name in enumerate((run.reference, *run.codecs))}
    order[run.reference] = -1
    places: dict[tuple[str, ...], list[Curve]] = defaultdict(list)
    for curve in curves:
        places[curve.place(MEDIUM_COLUMNS)].append(curve)
    for own in places.values():
        own.sort(key=lambda curve: order[curve.codec])
        for anchor, curve in itertools.combinations(own, 2):
            if anchor.codec != curve.codec and _are_alike(anchor, curve):
                yield anchor, curve


def _are_alike(anchor: Curve, curve: Curve) -> bool:
    if "analog" in (anchor.kind, curve.kind):
        return True
    names = {*anchor.held, *curve.held} - ({"protection"} if curve.source == "best" else set())
    return anchor.kind == curve.kind and all(
        anchor.held.get(name) == curve.held.get(name) for name in names
    )
