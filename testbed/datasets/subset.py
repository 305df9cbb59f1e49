"""Which pictures of a set are taken: of some classes, at some positions or by lot, at most so many.

In this order: classes, then positions or the sample, then the limit. What is drawn follows from the
seed and the pictures' numbers in the whole set alone, by SHA-256: it is the same on every machine,
and a smaller sample of the same seed is part of a larger one.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass


class SubsetError(ValueError):
    """A set has no such pictures: what was expected and found."""


@dataclass(frozen=True)
class Subset:
    """All, as far as nothing else is said. Not both `indices` and `sample`."""

    classes: tuple[int, ...] | None = None
    """Labels of the pictures that are taken."""
    indices: Sequence[int] | None = None
    """From 0, of what the classes leave; a range counts as a whole."""
    sample: int | None = None
    """So many are drawn without replacement, and come in the order of the set."""
    seed: int = 1
    limit: int | None = None

    def positions(self, size: int, labels: Callable[[], Sequence[int]]) -> Sequence[int]:
        """Those taken, of a set of `size` pictures with these `labels`. Raises SubsetError."""
        chosen: Sequence[int] = range(size)
        of_what = f"{size} pictures"
        if self.classes is not None:
            wanted = frozenset(self.classes)
            chosen = [index for index, label in enumerate(labels()) if label in wanted]
            of_what = f"{len(chosen)} pictures of these classes"
        if self.indices is not None:
            last = max(self.indices)
            if last >= len(chosen):
                raise SubsetError(
                    f"indices: expected at most {len(chosen) - 1}, as there are {of_what}, found "
                    f"{last}"
                )
            chosen = [chosen[index] for index in self.indices]
        elif self.sample is not None:
            if self.sample > len(chosen):
                raise SubsetError(
                    f"sample: expected at most {len(chosen)}, as there are {of_what}, found "
                    f"{self.sample}"
                )
            chosen = sorted(heapq.nsmallest(self.sample, chosen, key=self._lot))
        return chosen[: self.limit]

    def _lot(self, index: int) -> int:
        from channels.randomness import derive_key

        return derive_key("sample", self.seed, index)
