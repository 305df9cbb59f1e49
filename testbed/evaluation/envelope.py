"""The best that each codec can do over a medium: envelopes over the schemes of a sender.

A *scheme* is all that a sender may choose: modulation, code rate, channel code, HARQ, erasure rate.
A *medium* is what it is given: channel, SNR, bandwidth, losses. For each codec, protection and
medium the envelope is the scheme of the greatest mean PSNR over pictures and draws.

    table --scheme_points--> a Point per scheme --envelope--> a Point per medium

A maximum over noisy means is too high if it is read off the pictures that chose it. So it is
cross-fitted: pictures are dealt into two halves, and each half meets the scheme that was the best
of the other.

Where trials failed, or a point was given fewer draws than another, there is no row. Its place holds
NO_ROW, which finds the NaN that `with_nan` puts at the end of a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.evaluation.intervals import image_means
from testbed.evaluation.trials_table import group_numbers, picture_numbers, sizes
from testbed.language.scenario_values import MODULATION_BITS
from testbed.running.trials import ANALOG

Kind: TypeAlias = Literal["real", "ideal", "uncoded", "analog"]
KINDS: tuple[Kind, ...] = ("real", "ideal", "uncoded", "analog")

NO_ROW = -1
FEWEST_TO_SPLIT = 10
"""Pictures. With fewer, half of them would choose badly, and all choose for all."""


def kind_of(modulation: str, coding: str) -> Kind:
    if modulation == ANALOG:
        return "analog"
    return "ideal" if coding == "ideal" else "uncoded" if coding == "none" else "real"


class Medium(NamedTuple):
    """What a sender is given: columns of the table, and the pictures' size ("384x256")."""

    size: str
    channel: str
    snr_db: float
    cbr: float
    loss_model: str
    packet_loss: float | None
    fading_block: str
    damage: str
    fidelity: str

    def as_known_to(self, *kinds: Kind) -> Medium:
        """Without what means nothing to one of these kinds: damage and the tier of fidelity to
        analog codecs and ideal codes, the tier to uncoded symbols."""
        known = self._replace(fidelity="") if {*kinds} - {"real"} else self
        return known._replace(damage="") if {*kinds} & {"ideal", "analog"} else known

    @property
    def order(self) -> tuple[str | float, ...]:
        """To sort by; an unknown packet loss comes first."""
        return tuple(-1.0 if value is None else value for value in self)


class Scheme(NamedTuple):
    """What a sender may choose: columns of the table. The code rate of analog codecs is None."""

    modulation: str
    code_rate: float | None
    coding: str
    harq: str
    transmissions_allowed: int
    erasure_rate: float

    @property
    def kind(self) -> Kind:
        """Schemes of different kinds are never in one envelope."""
        return kind_of(self.modulation, self.coding)

    @property
    def order(self) -> tuple[float | str, ...]:
        """The most robust first: it is taken where several are equally good."""
        bits = MODULATION_BITS.get(self.modulation, 1) * (self.code_rate or 0.0) * self.erasure_rate
        return (bits, -self.transmissions_allowed, self.modulation, self.coding, self.harq)


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One point of a curve.

    schemes  the one, or those that the two halves of the pictures meet
    rows     intp (images, draws): which rows of the table it consists of, or NO_ROW. All pictures
             of its size by name, all draws of any of these by number, so that points of one size
             are paired element by element
    """

    codec: str
    protection: str
    medium: Medium
    schemes: tuple[Scheme, ...]
    rows: NDArray[np.intp]

    @property
    def kind(self) -> Kind:
        return self.schemes[0].kind


def with_nan(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values of all rows, and what NO_ROW has."""
    return np.append(values, np.nan)


def scheme_points(table: pd.DataFrame) -> list[Point]:
    """A point for each (codec, protection, medium, scheme) of a trials.csv, in no special order."""
    names = ["codec", "protection", *Medium._fields, *Scheme._fields]
    keys = table[[name for name in names if name != "size"]].assign(size=sizes(table))
    numbers = group_numbers(keys, names)
    heads = keys.iloc[np.unique(numbers, return_index=True)[1]]
    ranks = heads.groupby(names, dropna=False, observed=True).ngroup().to_numpy()
    group = ranks[numbers]
    images, repetitions = picture_numbers(table, group), table["repetition"].to_numpy()
    order = np.lexsort((repetitions, images, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    parts = np.split(order, starts[1:])
    # Of each size, all pictures and draws that some point has.
    axes: dict[str, tuple[NDArray[np.intp], NDArray[np.intp]]] = {}
    for size, rows in keys.groupby("size", observed=True).indices.items():
        axes[str(size)] = np.unique(images[rows]), np.unique(repetitions[rows])
    points = []
    for rows in parts:
        first = keys.iloc[rows[0]]
        own_images, own_repetitions = axes[str(first["size"])]
        own = np.full((len(own_images), len(own_repetitions)), NO_ROW)
        at_image = np.searchsorted(own_images, images[rows])
        own[at_image, np.searchsorted(own_repetitions, repetitions[rows])] = rows
        medium = Medium._make(_value(first[name]) for name in Medium._fields)
        scheme = Scheme._make(_value(first[name]) for name in Scheme._fields)
        points.append(Point(str(first.codec), str(first.protection), medium, (scheme,), own))
    return points


def envelope(points: Iterable[Point], psnr_db: NDArray[np.float64]) -> list[Point]:
    """The best of the schemes for each (codec, protection, kind, medium), sorted by these.

    psnr_db: of every row of the table, finite, as `with_nan` makes it if some points have holes.
    """
    grouped: dict[tuple[str, str, Kind, Medium], list[Point]] = {}
    for point in points:
        key = (point.codec, point.protection, point.kind, point.medium)
        grouped.setdefault(key, []).append(point)
    best = [_best(candidates, psnr_db) for candidates in grouped.values()]
    return sorted(best, key=lambda p: (p.codec, p.protection, KINDS.index(p.kind), p.medium.order))


def _best(candidates: Sequence[Point], psnr_db: NDArray[np.float64]) -> Point:
    candidates = sorted(candidates, key=lambda point: point.schemes[0].order)
    # float64 (schemes, images)
    quality = np.stack([image_means(psnr_db[point.rows]) for point in candidates])
    half = np.arange(quality.shape[1]) % 2
    if len(half) < FEWEST_TO_SPLIT:
        chosen = [candidates[_best_mean(quality)]] * 2
    else:
        chosen = [candidates[_best_mean(quality[:, half != own])] for own in (0, 1)]
    rows = np.where(half[:, None] == 0, chosen[0].rows, chosen[1].rows)
    schemes = tuple(dict.fromkeys(point.schemes[0] for point in chosen))
    first = candidates[0]
    return Point(first.codec, first.protection, first.medium, schemes, rows)


def _best_mean(quality: NDArray[np.float64]) -> int:
    """Which of float64 (schemes, images) has the greatest mean over the images that it has."""
    there = ~np.isnan(quality)
    if there.all():
        return int(quality.mean(1).argmax())
    counts = there.sum(1)
    sums = np.where(there, quality, 0.0).sum(1)
    return int(np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf).argmax())


def _value(cell: Any) -> Any:
    """What is undefined equals itself, unlike NaN."""
    return None if pd.isna(cell) else cell
