"""A run's trials, point by point, in memory that does not grow with their number.

    trials.csv --chunk by chunk--> a file without a name: the trials of a chunk, by point
               --point by point-> values by picture and draw

What is in memory at a time is one chunk of the table, the trials of one point, and where in the
file these are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.errors import OutputError
from testbed.evaluation.envelope import Kind, kind_of
from testbed.evaluation.trials_table import (
    LAST_COLUMN,
    SETTING_COLUMNS,
    finite,
    group_numbers,
    sizes,
    table_chunks,
)

COSTS = ("cbr_used", "bpp")
_KEYS = ("codec", *SETTING_COLUMNS)
_CHUNK_ROWS = 1 << 13
_WIDTH_OF_PLACE = 2
"""Numbers of the picture and of the draw, before a trial's values."""


@dataclass(frozen=True, slots=True)
class Point:
    """One codec at one setting, on pictures of one size.

    setting  by SETTING_COLUMNS; the table's own texts, digit by digit
    parts    (first, how many) trials of the file, in the table's order
    """

    codec: str
    setting: dict[str, str]
    size: str
    parts: list[tuple[int, int]] = field(default_factory=list)

    @property
    def kind(self) -> Kind:
        return kind_of(self.setting["modulation"], self.setting["coding"])

    @property
    def trials(self) -> int:
        return sum(count for _, count in self.parts)

    def place(self, names: Iterable[str]) -> tuple[str, ...]:
        """Where it stands among points of other codecs that know these columns."""
        return self.size, *(self.setting[name] for name in names)


@dataclass(frozen=True, slots=True, eq=False)
class Sorted:
    """The trials of a point by picture, those of a picture by draw.

    Pictures of two sources may have one name. Those are told apart by the order of the table.

    picture, namesake, draw  int64 (trials,); which of several pictures of one name: from 0
    values                   float64 (names, trials)
    """

    picture: NDArray[np.int64]
    namesake: NDArray[np.int64]
    draw: NDArray[np.int64]
    values: NDArray[np.float64]

    @property
    def starts(self) -> NDArray[np.bool_]:
        """bool (trials - 1,): whether the next trial is of another picture."""
        starts: NDArray[np.bool_] = (np.diff(self.picture) != 0) | (np.diff(self.namesake) != 0)
        return starts

    def at(self, chosen: NDArray[np.intp]) -> Sorted:
        """Some of the trials, in order."""
        return Sorted(
            self.picture[chosen], self.namesake[chosen], self.draw[chosen], self.values[:, chosen]
        )


@contextmanager
def open_trials(path: Path, metrics: Sequence[str], folder: Path) -> Iterator[TrialStore]:
    """The trials of a trials.csv with these metrics, for as long as the `with` lasts.

    folder: where there is room for 8 bytes a value. Raises OutputError if there is none.
    """
    with ExitStack() as stack:
        with _written(folder):
            file = stack.enter_context(tempfile.TemporaryFile(dir=folder, prefix="trials-"))
        yield TrialStore(path, metrics, folder, file)


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot write a temporary file ({error.strerror or error})"
        ) from error


class TrialStore:
    """A table's trials by point.

    metrics  their columns; PSNR, which every trial has, is the first
    names    the columns that `values` has: metrics, LAST_COLUMN, COSTS
    points   in the order of their first trials
    """

    def __init__(self, path: Path, metrics: Sequence[str], folder: Path, file: IO[bytes]) -> None:
        """file: empty, in `folder`."""
        self.metrics = tuple(metrics)
        self.names = (*metrics, LAST_COLUMN, *COSTS)
        self._file = file
        self._width = _WIDTH_OF_PLACE + len(self.names)
        self._pictures: dict[str, int] = {}
        points: dict[tuple[str, ...], Point] = {}
        count = 0
        for heads, counts, found in self._chunks(path):
            for head, trials in zip(heads, counts, strict=True):
                if head not in points:
                    codec, *setting, side = head
                    own = dict(zip(SETTING_COLUMNS, setting, strict=True))
                    points[head] = Point(codec, own, side)
                points[head].parts.append((count, trials))
                count += trials
            with _written(folder):
                file.write(found.data)
        with _written(folder):
            file.flush()
        self.points = list(points.values())
        names = sorted(self._pictures)
        self._ranks = np.empty(len(names), np.int64)
        self._ranks[[self._pictures[name] for name in names]] = np.arange(len(names))

    def values(self, point: Point) -> NDArray[np.float64]:
        """float64 (names, images, draws), NaN where there is no such draw."""
        trials = self._trials(point)
        return by_picture(trials.values, trials.starts)

    def share(self, point: Point, name: str) -> NDArray[np.float64]:
        """One column of `values`, float64 (images, draws)."""
        trials = self._trials(point)
        share: NDArray[np.float64] = by_picture(
            trials.values[self.names.index(name), None], trials.starts
        )[0]
        return share

    def differences(self, point: Point, other: Point) -> NDArray[np.float64]:
        """`point` minus `other` on the pictures and draws that both have.

        float64 (metrics, images, draws), NaN where there is no such draw.
        """
        own, its = self._trials(point), self._trials(other)
        keys, others = _pair_keys(own, its)
        if not np.array_equal(keys, others):
            _, at, at_other = np.intersect1d(keys, others, assume_unique=True, return_indices=True)
            own, its = own.at(at), its.at(at_other)
        count = len(self.metrics)
        return by_picture(own.values[:count] - its.values[:count], own.starts)

    def _chunks(
        self, path: Path
    ) -> Iterator[tuple[Iterable[tuple[str, ...]], list[int], NDArray[np.float64]]]:
        """Of each the texts of its points, how many trials these have, and `_found` by point."""
        wanted = [*_KEYS, "image", "height", "width", "repetition", *self.names]
        for chunk in table_chunks(path, wanted, _KEYS, _CHUNK_ROWS):
            chunk["size"] = sizes(chunk)
            numbers, heads = _groups(chunk, (*_KEYS, "size"))
            order = np.argsort(numbers, kind="stable")
            yield heads, np.bincount(numbers).tolist(), self._found(chunk)[order]

    def _found(self, chunk: pd.DataFrame) -> NDArray[np.float64]:
        """float64 (rows, places and values): whole numbers below 2^53 are exact in it."""
        codes, names = pd.factorize(chunk["image"])
        known = self._pictures
        numbers = np.array([known.setdefault(str(name), len(known)) for name in names], np.int64)
        columns = [numbers[codes], chunk["repetition"].to_numpy()]
        columns += [finite(chunk, name) for name in self.names]
        found = np.empty((len(chunk), self._width))
        for to, own in zip(found.T, columns, strict=True):
            to[:] = own
        return found

    def _trials(self, point: Point) -> Sorted:
        found = np.empty((point.trials, self._width))
        filled = 0
        for first, count in point.parts:
            part = found[filled : filled + count]
            self._file.seek(first * self._width * found.itemsize)
            part[:] = np.frombuffer(self._file.read(part.nbytes)).reshape(part.shape)
            filled += count
        picture = self._ranks[found[:, 0].astype(np.int64)]
        draw = found[:, 1].astype(np.int64)
        order = np.lexsort((draw, picture))
        picture, draw = picture[order], draw[order]
        again = (picture[1:] == picture[:-1]) & (draw[1:] == draw[:-1])
        namesake = _runs(again)
        if again.any():
            then = np.lexsort((draw, namesake, picture))
            order, picture, namesake, draw = (
                each[then] for each in (order, picture, namesake, draw)
            )
        # In one piece by name: the last digit of a sum depends on the order of its terms.
        values = np.ascontiguousarray(found[order, _WIDTH_OF_PLACE:].T)
        return Sorted(picture, namesake, draw, values)


def by_picture(values: NDArray[np.float64], starts: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64 (k, images, draws) from float64 (k, trials); NaN fills up.

    starts: as `Sorted.starts`.
    """
    ends = [*(np.flatnonzero(starts) + 1).tolist(), values.shape[1]]
    counts = np.array(ends) - [0, *ends[:-1]]
    most = int(counts.max())
    if most == counts.min():
        return values.reshape(len(values), len(counts) if most else 0, most)
    table = np.full((len(values), len(counts), most), np.nan)
    table[:, np.arange(most) < counts[:, None]] = values
    return table


def _runs(again: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many equals stand before each. again: whether the next equals it, (n - 1,)."""
    if not again.any():
        return np.zeros(len(again) + 1, np.int64)
    places = np.arange(len(again) + 1)
    first = np.where(np.concatenate(([False], again)), 0, places)
    return places - np.maximum.accumulate(first)


def _pair_keys(own: Sorted, other: Sorted) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A number for each trial, in their order; the same for the same picture and draw of both."""
    both = (own, other)
    namesakes, draws = (
        1 + max(int(getattr(each, name).max(initial=0)) for each in both)
        for name in ("namesake", "draw")
    )
    one, two = ((each.picture * namesakes + each.namesake) * draws + each.draw for each in both)
    return one, two


def _groups(
    table: pd.DataFrame, columns: Iterable[str]
) -> tuple[NDArray[np.intp], Iterator[tuple[str, ...]]]:
    """Of each row, as `group_numbers`; of each group, its texts."""
    columns = tuple(columns)
    numbers = group_numbers(table, columns)
    heads = table.iloc[np.unique(numbers, return_index=True)[1]]
    texts = (heads[name].astype(str).tolist() for name in columns)
    return numbers, zip(*texts, strict=True)
