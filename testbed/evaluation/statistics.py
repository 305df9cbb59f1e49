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
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.evaluation.comparison import is_share
from testbed.evaluation.envelope import Kind, kind_of
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
from testbed.evaluation.trials_table import (
    LAST_COLUMN,
    MEDIUM_COLUMNS,
    SETTING_COLUMNS,
    finite,
    picture_numbers,
    read_table,
    sizes,
)
from testbed.whole_file import whole_file

STATISTICS_CSV = "statistics.csv"
DIFFERENCES_CSV = "differences.csv"
COSTS = ("cbr_used", "bpp")
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
    trials = Trials(table_path, list(metrics))
    shares = [LAST_COLUMN, *(name for name, label in metrics.items() if is_share(label))]
    statistics = folder / STATISTICS_CSV
    _write(statistics, _statistics_head(metrics), _statistics(trials, shares))
    differences = folder / DIFFERENCES_CSV
    rows = _differences(trials, reference, lower_is_better)
    _write(differences, _differences_head(metrics), rows)
    return [statistics, differences]


@dataclass(frozen=True, slots=True)
class Point:
    """One codec at one setting, on pictures of one size.

    setting  by SETTING_COLUMNS; the table's own texts, digit by digit
    rows     where its trials are in the arrays of `Trials`
    """

    codec: str
    setting: dict[str, str]
    size: str
    rows: slice

    @property
    def kind(self) -> Kind:
        return kind_of(self.setting["modulation"], self.setting["coding"])

    def place(self, names: Iterable[str]) -> tuple[str, ...]:
        """Where it stands among points of other codecs that know these columns."""
        return self.size, *(self.setting[name] for name in names)


class Trials:
    """A table's trials, those of a point together, sorted by picture and draw.

    metrics  their columns; PSNR, which every trial has, is the first
    names    the columns that `values` has: metrics, LAST_COLUMN, COSTS
    points   in the order of their first trials
    """

    def __init__(self, path: Path, metrics: Sequence[str]) -> None:
        self.metrics = tuple(metrics)
        self.names = (*metrics, LAST_COLUMN, *COSTS)
        keys = ["codec", *SETTING_COLUMNS]
        table = read_table(
            path, [*keys, "image", "height", "width", "repetition", *self.names], keys
        )
        size = sizes(table)
        numbers = _group_numbers([*(table[name] for name in keys), size])
        pictures = picture_numbers(table, numbers)
        draws = table["repetition"].to_numpy(np.int64)
        order = np.lexsort((draws, pictures, numbers))
        self._values = np.empty((len(self.names), len(table)))
        for own, name in zip(self._values, self.names, strict=True):
            own[:] = finite(table, name)[order]
        self._pictures = pictures[order]
        self._pairs = self._pictures * (int(draws.max(initial=0)) + 1) + draws[order]
        ends = np.cumsum(np.bincount(numbers)).tolist()
        starts = [0, *ends][: len(ends)]
        heads = table.iloc[order[starts]]
        settings = heads[list(SETTING_COLUMNS)].astype(str).to_dict("records")
        self.points = [
            Point(str(codec), {str(k): text for k, text in setting.items()}, own, slice(start, end))
            for codec, setting, own, start, end in zip(
                heads["codec"], settings, size.loc[heads.index], starts, ends, strict=True
            )
        ]

    def values(self, point: Point) -> NDArray[np.float64]:
        """float64 (names, images, draws), NaN where there is no such draw."""
        return by_picture(self._values[:, point.rows], self._pictures[point.rows])

    def share(self, point: Point, name: str) -> NDArray[np.float64]:
        """One column of `values`, float64 (images, draws)."""
        values = self._values[self.names.index(name), None, point.rows]
        share: NDArray[np.float64] = by_picture(values, self._pictures[point.rows])[0]
        return share

    def differences(self, point: Point, other: Point) -> NDArray[np.float64]:
        """`point` minus `other` on the pictures and draws that both have.

        float64 (metrics, images, draws), NaN where there is no such draw.
        """
        own, its = (self._pairs[each.rows] for each in (point, other))
        values, others = (self._values[: len(self.metrics), each.rows] for each in (point, other))
        pictures = self._pictures[point.rows]
        if not np.array_equal(own, its):
            _, at, at_other = np.intersect1d(own, its, assume_unique=True, return_indices=True)
            values, others, pictures = values[:, at], others[:, at_other], pictures[at]
        return by_picture(values - others, pictures)


def by_picture(values: NDArray[np.float64], pictures: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 (k, images, draws) from float64 (k, trials); NaN fills up.

    pictures: of the trials, whose order is by these.
    """
    starts = np.flatnonzero(pictures[1:] != pictures[:-1]) + 1
    ends = [*starts.tolist(), len(pictures)]
    counts = np.array(ends) - [0, *ends[:-1]]
    most = int(counts.max())
    if most == counts.min():
        return values.reshape(len(values), len(counts) if most else 0, most)
    table = np.full((len(values), len(counts), most), np.nan)
    table[:, np.arange(most) < counts[:, None]] = values
    return table


def _group_numbers(columns: Iterable[pd.Series]) -> NDArray[np.intp]:
    """Of each row, counted from 0 in order of appearance. columns: categories."""
    numbers: NDArray[np.intp] | None = None
    for each in columns:
        codes = each.cat.codes.to_numpy(np.intp)
        if numbers is not None:
            codes = numbers * len(each.cat.categories) + codes
        numbers = pd.factorize(codes)[0]
    assert numbers is not None
    return numbers


def _statistics_head(metrics: Iterable[str]) -> list[str]:
    head = ["codec", *SETTING_COLUMNS, "size", "trials", *EXTENT]
    for name in metrics:
        head += [name, *interval_columns(name), *(column(name, word) for word in QUANTILES)]
    return [*head, LAST_COLUMN, *interval_columns(LAST_COLUMN), *COSTS]


def _statistics(trials: Trials, shares: Collection[str]) -> Iterator[Cells]:
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
        cells["trials"] = point.rows.stop - point.rows.start
        yield cells | _point_cells(trials, trials.values(point), alike[_curve(point)])


def _curve(point: Point) -> tuple[str, ...]:
    return point.codec, point.setting["case"], point.setting["protection"], point.kind


def _point_cells(trials: Trials, values: NDArray[np.float64], alike: Mapping[str, float]) -> Cells:
    """Of `Trials.values`. alike: by each share, the correlation of a picture's draws."""
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
    trials: Trials, reference: str, lower_is_better: Collection[str]
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
    """Of `Trials.differences`."""
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
