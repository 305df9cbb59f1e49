"""Whether a cell's trials are enough, by the scenario's `stop`.

What is asked is a function of the first n trials in the cell's own order, n a multiple of
`stop.every`, so that workers, shards and interruptions change nothing. Trials that raised an error
count as there, and tell nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from testbed.evaluation.intervals import FEWEST_IMAGES, image_interval
from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.language.stop_section import Stop
from testbed.running.plan import Cell, Plan
from testbed.running.trials import Trial
from testbed.running.work import Row


def cell_trial(plan: Plan, cell: Cell, position: int) -> Trial:
    """The trial at a position of the cell's order."""
    repetition, image = divmod(position, len(cell.images))
    return plan.trial(cell.point, cell.images[image], repetition)


@dataclass(slots=True)
class Moments:
    """Of values, one after the other, none of which is kept (Welford, *Technometrics* 4, 1962)."""

    count: int = 0
    mean: float = 0.0
    _squares: float = 0.0

    def add(self, value: float) -> None:
        """One more value."""
        self.count += 1
        off = value - self.mean
        self.mean += off / self.count
        self._squares += off * (value - self.mean)

    @property
    def variance(self) -> float:
        """Unbiased; of at least two values."""
        return self._squares / (self.count - 1)


@dataclass
class CellState:
    """What the rules know of a cell after its first `done` trials."""

    cell: Cell
    stop: Stop
    done: int = 0
    failures: int = 0
    psnr_db: dict[int, Moments] = field(default_factory=dict)
    """By image; exact pictures count as EXACT_PSNR_DB."""

    @property
    def block(self) -> range:
        """The positions that come next."""
        return range(self.done, min(self.done + self.stop.every, len(self.cell)))

    def take(self, plan: Plan, rows: Mapping[str, Row]) -> int:
        """The rows of the next block; how many there are."""
        block, found = self.block, 0
        for position in block:
            trial = cell_trial(plan, self.cell, position)
            if trial.trial_id in rows:
                found += 1
                row = rows[trial.trial_id]
                self.failures += bool(row["failed"])
                value = min(float(row["psnr_db"]), EXACT_PSNR_DB)
                self.psnr_db.setdefault(trial.image_index, Moments()).add(value)
        self.done = block.stop
        return found

    @property
    def over(self) -> bool:
        """Whether it is enough."""
        stop = self.stop
        return (
            self.done == len(self.cell)
            or (stop.trials is not None and self.done >= stop.trials)
            or (stop.failures is not None and self.failures >= stop.failures)
            or (
                stop.interval_db is not None
                and interval_width_db(list(self.psnr_db.values())) <= stop.interval_db
            )
        )


def interval_width_db(images: Sequence[Moments]) -> float:
    """Of the 95 % interval of the mean PSNR, from what each picture has; inf if unknown.

    Over pictures by bootstrap. With fewer than FEWEST_IMAGES of them for these pictures alone, by
    the normal distribution, from at least two draws of each.
    """
    if len(images) >= FEWEST_IMAGES:
        low, high = image_interval(np.array([each.mean for each in images]))
        return high - low
    if not images or min(each.count for each in images) < 2:
        return float("inf")
    variance = sum(each.variance / each.count for each in images) / len(images) ** 2
    return 2 * 1.96 * math.sqrt(variance)
