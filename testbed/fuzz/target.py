"""What a target is: cases from random generators, and what each of them may not do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

Random: TypeAlias = np.random.Generator
Cases: TypeAlias = Callable[[Sequence[Random]], None]
"""Runs a case for each generator; any exception is a failure of one of them."""


@dataclass(frozen=True, slots=True)
class Target:
    """`prepare` makes the cases, given an empty folder; `about` says what they read.

    Cases come `at_once` together where the decoder is faster that way. All is pickled by name.
    """

    name: str
    about: str
    prepare: Callable[[Path], Cases]
    at_once: int = 1


def one_by_one(case: Callable[[Random], None]) -> Cases:
    """Cases that have nothing to share."""

    def cases(randoms: Sequence[Random]) -> None:
        for random in randoms:
            case(random)

    return cases


def random_of(target: str, seed: int, number: int) -> Random:
    """The generator of a case."""
    return np.random.default_rng([seed, number, *target.encode()])


def probably(random: Random, chance: float) -> bool:
    """True with this probability."""
    return bool(random.random() < chance)


def whole(random: Random, low: int, high: int) -> int:
    """A whole number of low .. high, both included."""
    return int(random.integers(low, high + 1))
