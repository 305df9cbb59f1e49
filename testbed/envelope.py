"""The best that each codec can do over a medium: envelopes over the schemes of a sender.

A *scheme* is all that a sender may choose: modulation, code rate, channel code, HARQ, erasure rate.
A *medium* is what it is given: channel, SNR, bandwidth, losses. For each codec, protection and
medium the envelope is the scheme of the greatest mean PSNR over pictures and draws.

    table --scheme_points--> a Point per scheme --envelope--> a Point per medium

A maximum over noisy means is too high if it is read off the pictures that chose it. So it is
cross-fitted: pictures are dealt into two halves, and each half meets the scheme that was the best
of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.scenario_values import MODULATION_BITS
from testbed.trials import ANALOG

Kind: TypeAlias = Literal["real", "ideal", "uncoded", "analog"]
KINDS: tuple[Kind, ...] = ("real", "ideal", "uncoded", "analog")

FEWEST_TO_SPLIT = 10
"""Pictures. With fewer, half of them would choose badly, and all choose for all."""


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
        if self.modulation == ANALOG:
            return "analog"
        return "ideal" if self.coding == "ideal" else "uncoded" if self.coding == "none" else "real"

    @property
    def order(self) -> tuple[float | str, ...]:
        """The most robust first: it is taken where several are equally good."""
        bits = MODULATION_BITS.get(self.modulation, 1) * (self.code_rate or 0.0) * self.erasure_rate
        return (bits, -self.transmissions_allowed, self.modulation, self.coding, self.harq)


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One point of a curve.

    schemes  the one, or those that the two halves of the pictures meet
    rows     intp (images, draws): which rows of the table it consists of. Pictures by name, draws
             by number, so that points of one size are paired element by element
    """

    codec: str
    protection: str
    medium: Medium
    schemes: tuple[Scheme, ...]
    rows: NDArray[np.intp]

    @property
    def kind(self) -> Kind:
        return self.schemes[0].kind


def scheme_points(table: pd.DataFrame) -> list[Point]:
    """A point for each (codec, protection, medium, scheme) of a trials.csv, in no special order.

    Raises ValueError unless each holds the same draws of all of its pictures.
    """
    sides = table[["width", "height"]].astype(int)
    size = sides.max(axis=1).astype(str) + "x" + sides.min(axis=1).astype(str)
    keys = table.assign(size=size)[["codec", "protection", *Medium._fields, *Scheme._fields]]
    group = keys.groupby(list(keys), dropna=False).ngroup().to_numpy()
    repetitions = table["repetition"].to_numpy()
    # Pictures of two sources may have one name: then they come in the order of the table.
    images = pd.factorize(table["image"], sort=True)[0]
    names = pd.DataFrame({"group": group, "image": images, "repetition": repetitions})
    images = images * len(table) + names.groupby(list(names)).cumcount().to_numpy()
    order = np.lexsort((repetitions, images, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    points = []
    for rows in np.split(order, starts[1:]):
        first = keys.iloc[rows[0]]
        counts = np.unique(images[rows], return_counts=True)[1]
        draws = repetitions[rows].reshape(len(counts), -1) if len(set(counts)) == 1 else None
        if draws is None or (draws != draws[0]).any():
            raise ValueError(f"{first.codec}: expected the same draws of every picture")
        medium = Medium._make(_value(first[name]) for name in Medium._fields)
        scheme = Scheme._make(_value(first[name]) for name in Scheme._fields)
        own = rows.reshape(draws.shape)
        points.append(Point(str(first.codec), str(first.protection), medium, (scheme,), own))
    return points


def envelope(points: Iterable[Point], psnr_db: NDArray[np.float64]) -> list[Point]:
    """The best of the schemes for each (codec, protection, kind, medium), sorted by these.

    psnr_db: of every row of the table, finite.
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
    quality = np.stack([psnr_db[point.rows].mean(1) for point in candidates])
    half = np.arange(quality.shape[1]) % 2
    if len(half) < FEWEST_TO_SPLIT:
        chosen = [candidates[quality.mean(1).argmax()]] * 2
    else:
        chosen = [candidates[quality[:, half != own].mean(1).argmax()] for own in (0, 1)]
    rows = np.where(half[:, None] == 0, chosen[0].rows, chosen[1].rows)
    schemes = tuple(dict.fromkeys(point.schemes[0] for point in chosen))
    first = candidates[0]
    return Point(first.codec, first.protection, first.medium, schemes, rows)


def _value(cell: Any) -> Any:
    """What is undefined equals itself, unlike NaN."""
    return None if pd.isna(cell) else cell
