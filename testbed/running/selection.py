"""Which of a plan's trials a table is made of: all, a shard's, those that stopping rules let be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from testbed.running.plan import Plan, VariantPlan
from testbed.running.sharding import WHOLE, Shard
from testbed.running.trials import Trial


@dataclass(frozen=True)
class Selection:
    """counts: by the cell's number in the plan, how many of its first trials; None: all."""

    plan: Plan
    shard: Shard = WHOLE
    counts: Mapping[int, int] | None = None

    def has(self, cell: int, image: int, position: int) -> bool:
        """Whether the trial of a picture, at a position of the order of a cell, is in it."""
        if self.counts is not None and position >= self.counts.get(cell, 0):
            return False
        return self.shard.takes(
            cell=cell,
            image=image,
            images=len(self.plan.images),
            whole_cells=self.plan.scenario.stop is not None,
        )

    def __iter__(self) -> Iterator[tuple[VariantPlan, Trial]]:
        """Each trial with the variant that it is of: variant, codec, link, image, repetition."""
        cells = iter(enumerate(self.plan.cells))
        for variant in self.plan.variants:
            places: dict[int, tuple[tuple[int, int], int]] = {}
            pictures: dict[tuple[int, int], int] = {}
            for image in variant.images:
                height, width, _ = self.plan.images[image].pixels.shape
                size = (height, width)
                places[image] = size, pictures.get(size, 0)
                pictures[size] = pictures.get(size, 0) + 1
            for point in variant.points:
                numbers = {cell.size: number for number, cell in islice(cells, len(pictures))}
                for image, (size, at) in places.items():
                    repetitions = variant.scenario.repetitions
                    if self.counts is not None:
                        # Of the many that there could be, those that a first trial has.
                        repetitions = -(-self.counts.get(numbers[size], 0) // pictures[size])
                    for repetition in range(repetitions):
                        if self.has(numbers[size], image, repetition * pictures[size] + at):
                            yield variant, self.plan.trial(point, image, repetition)
