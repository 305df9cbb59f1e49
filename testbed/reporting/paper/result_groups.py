"""The points of a run as a paper's tables have them: one setting, codecs below one another, what is
swept from left to right.

    statistics.csv, or comparison.csv of codecs at their best --groups--> Group --> a table each

A point stands in one group for each of its values that is swept: the SNR, the bandwidth, the packet
loss. Points beside which nothing is swept make groups of one column.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import pandas as pd

from testbed.evaluation.envelope import kind_of
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trials_table import LINK_COLUMNS, MEDIUM_COLUMNS
from testbed.language.setting_words import medium_words, setting_words

AXES = {"snr_db": "$E_s/N_0$ (dB)", "cbr": "CBR", "packet_loss": "packet loss"}
"""What can run from left to right, and what it is called."""


@dataclass(frozen=True)
class Group:
    """One setting of one size of pictures.

    axis   of AXES, or "" of a group of one column
    title  the setting in words, formulas between dollars
    case   the scenario's variation; "" without any
    x      what the columns stand for, ascending
    rows   by the name of a row: by column, a row of the statistics
    """

    axis: str
    title: str
    case: str
    size: str
    x: tuple[float, ...]
    rows: dict[str, dict[float, pd.Series]]

    def parts(self, most: int) -> list[Group]:
        """Groups of at most so many columns, all about as many."""
        count = -(-len(self.x) // most)
        ends = [round(number * len(self.x) / count) for number in range(count + 1)]
        return [replace(self, x=self.x[start:end]) for start, end in itertools.pairwise(ends)]

    @property
    def records(self) -> list[pd.Series]:
        """Of all rows, in order."""
        return [row[x] for row in self.rows.values() for x in self.x if x in row]


def groups(run: RunFolder) -> list[Group]:
    """Of the codecs at their best where the scenario compares them, else of every setting."""
    best = run.comparison
    if best is not None:
        # Six digits of a fraction are the fraction again.
        best = best.assign(cbr=[float(Fraction(x).limit_denominator(1000)) for x in best["cbr"]])
        return _groups(run, best, [name for name in LINK_COLUMNS if name in best], best=True)
    kinds = [
        kind_of(str(each.modulation), str(each.coding)) for each in run.statistics.itertuples()
    ]
    return _groups(run, run.statistics.assign(kind=kinds), LINK_COLUMNS, best=False)


def difference_groups(run: RunFolder) -> list[Group]:
    """The same of differences.csv: of the codecs that are held against the reference."""
    return _groups(run, run.differences.assign(kind="real"), LINK_COLUMNS, best=False)


def _groups(
    run: RunFolder, table: pd.DataFrame, columns: Sequence[str], *, best: bool
) -> list[Group]:
    names = _row_names(run, table, of_all=best)
    # At their best codecs are told apart by rows, else the setting tells of all that they have.
    apart = {"protection"} if best else set()
    found: list[Group] = []
    shown: set[int] = set()
    for axis in (*AXES, ""):
        held = ["case", "size", *(c for c in columns if c != axis and c not in apart)]
        if not axis:
            # All that no other group has shown.
            rest = table[~table.index.isin(shown)]
            held = [c for c in held if c in rest]
        else:
            rest = table
        for number, members in _members(rest, held, axis, best=best):
            # Python's own numbers, which words are made of.
            first = members.iloc[number].to_dict()
            if axis and members[axis].nunique() < 2:
                continue
            shown.update(members.index)
            x = tuple(sorted(set(members[axis]))) if axis else (0.0,)
            rows: dict[str, dict[float, pd.Series]] = {}
            for index, record in members.iterrows():
                row = rows.setdefault(names[int(str(index))], {})
                row[record[axis] if axis else 0.0] = record
            fixed = {c: first[c] for c in columns if c != axis}
            varying = [c for c in columns if table[c].nunique(dropna=False) > 1 and c != axis]
            words = (
                medium_words(fixed, varying)
                if best
                else setting_words(fixed, varying, {str(first["protection"])})
            )
            order = {name: place for place, name in enumerate(names.values())}
            ordered = dict(sorted(rows.items(), key=lambda row: order[row[0]]))
            found.append(Group(axis, words, str(first["case"]), str(first["size"]), x, ordered))
    return found


def _members(
    table: pd.DataFrame, held: Sequence[str], axis: str, *, best: bool
) -> Iterable[tuple[int, pd.DataFrame]]:
    """The points of each group, and which of them has its setting.

    An analog codec, which has no scheme, joins all over the same medium; at their best ideal codes
    do so, too.
    """
    guests = ["analog", "ideal"] if best else ["analog"]
    joining = table["kind"].isin(guests).to_numpy()
    medium = [name for name in ("case", "size", *MEDIUM_COLUMNS) if name != axis]
    beside: dict[tuple[str, ...], pd.DataFrame] = {
        _key(key): own
        for key, own in table[joining].groupby(medium, sort=False, dropna=False, observed=True)
    }
    met: set[tuple[str, ...]] = set()
    for _, own in table[~joining].groupby(list(held), sort=False, dropna=False, observed=True):
        place = tuple(str(own.iloc[0][name]) for name in medium)
        met.add(place)
        joined = beside.get(place)
        yield 0, own if joined is None else pd.concat([own, joined])
    for place, own in beside.items():
        if place not in met:
            yield 0, own


def _key(key: object) -> tuple[str, ...]:
    return tuple(map(str, key)) if isinstance(key, tuple) else (str(key),)


def _row_names(run: RunFolder, table: pd.DataFrame, *, of_all: bool) -> dict[int, str]:
    """What the row of each point is called: its codec, and its protection and code if needed."""
    several: dict[str, set[str]] = defaultdict(set)
    for each in table.itertuples():
        several[str(each.codec)].add(str(each.protection))
    found = {}
    for each in table.itertuples():
        words = [run.labels.get(str(each.codec), str(each.codec))]
        if of_all:
            if len(several[str(each.codec)]) > 1:
                words.append(str(each.protection))
            if each.kind in ("ideal", "uncoded"):
                words.append({"ideal": "ideal code", "uncoded": "uncoded"}[str(each.kind)])
        found[int(str(each.Index))] = ", ".join(words)
    return found
