"""All figures of a run, in the order of a report. Each maker says what it draws, and draws nothing
where the run has nothing to show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from testbed.evaluation.run_folder import RunFolder
from testbed.figures.drawing import Drawing, Width

Maker: TypeAlias = Callable[[RunFolder, Width], Iterator[Drawing]]

MAKERS: tuple[Maker, ...] = ()


def draw_all(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """One at a time, so that each can be saved and closed before the next."""
    for maker in MAKERS:
        yield from maker(run, width)
