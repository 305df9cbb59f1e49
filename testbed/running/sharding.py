"""Parts of a run for several machines: `testbed run --shard 2/4`, then `testbed merge`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from testbed.errors import TestbedError


class ShardError(TestbedError):
    """A shard that cannot be."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The `number`-th, from 1, of `count` parts.

    With at least as many pictures as shards, each takes its pictures, so that none is encoded
    twice; otherwise, or where a stopping rule must see all trials of a cell, its cells.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From such as "2/4". Raises ShardError."""
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise ShardError(f"--shard {text}: expected i/n with i from 1 to n, such as 2/4")
        return cls(int(match[1]), int(match[2]))

    @property
    def folder(self) -> str:
        """Name of its folder inside that of the whole run."""
        return f"shard-{self.number}-of-{self.count}"

    def takes(self, *, cell: int, image: int, images: int, whole_cells: bool) -> bool:
        """Whether a trial of this cell and image, by their numbers in the plan, belongs to it."""
        by = cell if whole_cells or images < self.count else image
        return by % self.count == self.number - 1


WHOLE = Shard(1, 1)
