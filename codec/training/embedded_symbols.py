"""What each pass of the embedded stream tells, for all coefficients at once.

codec.embedded.pass_coder codes place by place; a training step needs the same as maps: the bins,
and what the networks see of a bin once it is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import log2

import numpy as np
from numpy.typing import NDArray

from codec.embedded.bin_engine import PROBABILITY_ONE
from codec.embedded.knowledge import known_before
from codec.embedded.pass_coder import MORE
from codec.embedded.schedule import LEVELS, PASSES, begun, places_with, planes_of
from codec.embedded.transform import CHANNELS

_ONE_MORE_BITS = -log2(MORE / PROBABILITY_ONE)
_NO_MORE_BITS = -log2(1 - MORE / PROBABILITY_ONE)


@dataclass(frozen=True, slots=True)
class Symbols:
    """Of coefficients (B, h, w, 48) at one level; of use where the level tells something.

    fresh: bool, still 0 before this level: if `bit` is 1 the sign follows.
    bit: bool, the next bin. plus: bool, the bin of the sign.
    change: float32, by how many steps the bin moves the middle of the coefficient's interval.
    """

    fresh: NDArray[np.bool_]
    bit: NDArray[np.bool_]
    plus: NDArray[np.bool_]
    change: NDArray[np.float32]


def symbols_of(coefficient: NDArray[np.int32], level: int) -> Symbols:
    """The symbols that `level` tells of coefficients (B, h, w, 48)."""
    magnitude = np.abs(coefficient) >> np.maximum(planes_of(level), 0).astype(np.int32)
    sign = np.sign(coefficient).astype(np.float32)
    fresh = known_before(coefficient, level) == 0
    bit = np.where(fresh, magnitude > 0, (magnitude & 1) == 1)
    change = sign * np.where(fresh, np.float32(1.5) * bit, bit - np.float32(0.5))
    return Symbols(fresh, bit, coefficient > 0, change.astype(np.float32))


def unary_bits(coefficient: NDArray[np.int32], level: int) -> NDArray[np.float64]:
    """(B,): what the steps beyond one cost that a coefficient's first level tells in unary."""
    steps = np.abs(coefficient) >> np.maximum(planes_of(level), 0).astype(np.int32)
    first = told_channels()[LEVELS.index(level)] & ~begun(level)
    bits = np.where(steps > 0, (steps - 1) * _ONE_MORE_BITS + _NO_MORE_BITS, 0.0)
    total: NDArray[np.float64] = (bits * first).sum((1, 2, 3))
    return total


@cache
def told_channels() -> NDArray[np.bool_]:
    """(levels, 48): which channels each level tells something about."""
    told = np.zeros((len(LEVELS), CHANNELS), np.bool_)
    for at, level in enumerate(LEVELS):
        for step in PASSES[level]:
            told[at, list(step.channels)] = True
    return told


@cache
def told_before(group: int, parity: int, height: int, width: int) -> NDArray[np.bool_]:
    """(levels, h, w, 48): what each level has told before the pass of this group and parity.

    Nothing at levels in which the group takes no part.
    """
    told = np.zeros((len(LEVELS), height, width, CHANNELS), np.bool_)
    for at, level in enumerate(LEVELS):
        passes = PASSES[level]
        here = [k for k, step in enumerate(passes) if (step.group, step.parity) == (group, parity)]
        for step in passes[: here[0]] if here else ():
            told[at][np.ix_(*_all(height, width), step.channels)] |= places_with(
                step.parity, height, width
            )[..., None]
    return told


def random_prefix(
    level: int, count: int, height: int, width: int, random: np.random.Generator, start: float = 0.2
) -> NDArray[np.bool_]:
    """What has come of `level` where streams end anywhere in it: (count, h, w, 48).

    In `start` of the cases nothing has. Within a pass the end is between two places; the codec's
    may be between two channels of a place.
    """
    passes = PASSES[level]
    told = np.zeros((count, height, width, CHANNELS), np.bool_)
    row_by_row = np.arange(height * width).reshape(height, width)
    for each in told:
        end = 0.0 if random.random() < start else random.random() * len(passes)
        for k, step in enumerate(passes):
            places = places_with(step.parity, height, width) & (
                row_by_row < (end - k) * row_by_row.size
            )
            each[np.ix_(*_all(height, width), step.channels)] |= places[..., None]
    return told


def _all(height: int, width: int) -> tuple[range, range]:
    return range(height), range(width)
