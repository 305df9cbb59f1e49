"""statistics.csv and differences.csv of every run: what its trials say, and how sure that is.

    trials.csv --points--> a row of statistics.csv for each codec x setting x size of pictures
               --pairs---> a row of differences.csv for each that the reference codec has as well

Means, quantiles and intervals are those of comparisons (summaries.py, intervals.py), but nothing is
chosen here: every scheme has rows of its own. docs/statistics.md tells users what each column is.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from testbed.evaluation.comparison import is_share
from testbed.evaluation.intervals import image_means, intraclass_correlation, means, measured
from testbed.evaluation.summaries import (
    QUANTILES,
    column,
    extent_columns,
    interval_columns,
    mean_columns,
    quantile_columns,
    stack_columns,
)
from testbed.evaluation.trial_store import COSTS, Point, TrialStore, open_trials
from testbed.evaluation.trials_table import LAST_COLUMN, MEDIUM_COLUMNS, SETTING_COLUMNS
from testbed.whole_file import whole_file

STATISTICS_CSV = "statistics.csv"
DIFFERENCES_CSV = "differences.csv"
EXTENT = ("images", "draws", "interval_over")

Cells: TypeAlias = dict[str, str | int | float]


def write_statistics(
    table_path: Path,
    metrics: Mapping[str, str],
    reference: str,
    folder: Path,
    lower_is_better: Collection[str] = (),
) -> list[Path]:
    """Both files, into `folder`; their paths. Raises OutputError.

    table_path: a trials.csv. metrics: by column, the names of axes, which tell what is a share.
    reference: the codec that differences are to. lower_is_better: metrics' columns.
    """
    shares = [LAST_COLUMN, *(name for name, label in metrics.items() if is_share(label))]
    statistics, differences = folder / STATISTICS_CSV, folder / DIFFERENCES_CSV
    with open_trials(table_path, list(metrics), folder) as trials:
        _write(statistics, _statistics_head(metrics), _statistics(trials, shares))
        rows = _differences(trials, reference, lower_is_better)
        _write(differences, _differences_head(metrics), rows)
    return [statistics, differences]


def _statistics_head(metrics: Iterable[str]) -> list[str]:
    head = ["codec", *SETTING_COLUMNS, "size", "trials", *EXTENT]
    for name in metrics:
        head += [name, *interval_columns(name), *(column(name, word) for word in QUANTILES)]
    return [*head, LAST_COLUMN, *interval_columns(LAST_COLUMN), *COSTS]


def _statistics(trials: TrialStore, shares: Collection[str]) -> Iterator[Cells]:
    curves: dict[tuple[str, ...], list[Point]] = defaultdict(list)
    for point in trials.points:
        curves[_curve(point)].append(point)
    # A point without events does not tell how alike a picture's draws are: the curve does.
    alike = {
        curve: {
            name: intraclass_correlation(trials.share(point, name) for point in points)
            for name in shares
        }
        for curve, points in curves.items()
    }
    for point in trials.points:
        cells: Cells = {"codec": point.codec, **point.setting, "size": point.size}
        cells["trials"] = point.trials
        yield cells | _point_cells(trials, trials.values(point), alike[_curve(point)])


def _curve(point: Point) -> tuple[str, ...]:
    return point.codec, point.setting["case"], point.setting["protection"], point.kind


def _point_cells(
    trials: TrialStore, values: NDArray[np.float64], alike: Mapping[str, float]
) -> Cells:
    """Of `TrialStore.values`. alike: by each share, the correlation of a picture's draws."""
    count = len(trials.metrics)
    failed = values[count]
    cells: Cells = dict(extent_columns(failed))
    cells |= stack_columns(trials.metrics, values[:count])
    cells |= quantile_columns(trials.metrics, values[:count])
    for name, correlation in alike.items():
        cells |= mean_columns(name, values[trials.names.index(name)], correlation)
    return cells | dict(zip(COSTS, means(values[-len(COSTS) :]).tolist(), strict=True))


def _differences_head(metrics: Iterable[str]) -> list[str]:
    head = ["codec", "reference", *SETTING_COLUMNS, "size", "pairs", *EXTENT]
    for name in metrics:
        difference = column(name, "difference")
        stem = name.removesuffix("_db")
        head += [difference, *interval_columns(difference), f"{stem}_better", f"{stem}_worse"]
    return head


def _differences(
    trials: TrialStore, reference: str, lower_is_better: Collection[str]
) -> Iterator[Cells]:
    others: dict[tuple[str, ...], list[Point]] = defaultdict(list)
    media: dict[tuple[str, ...], list[Point]] = defaultdict(list)
    for point in trials.points:
        if point.codec == reference:
            others[point.place(SETTING_COLUMNS)].append(point)
            media[point.place(("case", *MEDIUM_COLUMNS))].append(point)
    is_analog = any(point.kind == "analog" for each in others.values() for point in each)
    for point in trials.points:
        if point.codec == reference:
            continue
        # An analog codec stands beside all that meets the same medium.
        if (point.kind == "analog") == is_analog:
            found = others[point.place(SETTING_COLUMNS)]
        else:
            found = media[point.place(("case", *MEDIUM_COLUMNS))]
        for other in found:
            differences = trials.differences(point, other)
            if differences.size:
                sent = other if point.kind == "analog" else point
                cells: Cells = {"codec": point.codec, "reference": reference, "size": point.size}
                cells |= sent.setting
                yield cells | _pair_cells(trials.metrics, differences, lower_is_better)


def _pair_cells(
    metrics: Sequence[str], differences: NDArray[np.float64], lower_is_better: Collection[str]
) -> Cells:
    """Of `TrialStore.differences`."""
    first = differences[0]
    cells: Cells = {"pairs": int(np.count_nonzero(~np.isnan(first))), **extent_columns(first)}
    cells |= stack_columns([column(name, "difference") for name in metrics], differences)
    for name, own in zip(metrics, differences, strict=True):
        of_images = image_means(measured(own)) * (-1 if name in lower_is_better else 1)
        for word, ahead in (("better", of_images > 0), ("worse", of_images < 0)):
            share = float(ahead.mean()) if len(ahead) else np.nan
            cells[f"{name.removesuffix('_db')}_{word}"] = share
    return cells


def _write(path: Path, head: Sequence[str], rows: Iterable[Cells]) -> None:
    """As CSV; numbers have six significant digits, what is undefined is `nan`."""
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, head, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
