"""What each pass of the embedded stream tells, for all coefficients at once.

codec.embedded.pass_coder codes place by place; a training step needs the same as maps: the bins,
and what the networks see of a bin once it is told. Tables have a row for each of LEVELS
(schedule.level_row); higher levels, of larger pictures, are like the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import log2

import numpy as np
from numpy.typing import NDArray

from codec.embedded.bin_engine import PROBABILITY_ONE
from codec.embedded.knowledge import known_of_part, middles
from codec.embedded.pass_coder import MORE
from codec.embedded.pyramid import Parts, finer_means, grids
from codec.embedded.schedule import (
    BLOCK,
    LAST_LEVEL,
    LEVELS,
    TRAINED_STAGES,
    PartKind,
    Pass,
    first_level,
    kind_of,
    level_row,
    passes_of,
    places_with,
)

_ONE_MORE_BITS = -log2(MORE / PROBABILITY_ONE)
_NO_MORE_BITS = -log2(1 - MORE / PROBABILITY_ONE)


@dataclass(frozen=True, slots=True)
class Symbols:
    """Of one part (B, h, w, C), each picture at one level; of use where it tells something.

    fresh: bool, still 0 before this level: if `bit` is 1 the sign follows.
    bit: bool, the next bin. plus: bool, the bin of the sign.
    change: float32, by how many steps the bin moves the middle of the coefficient's interval.
    """

    fresh: NDArray[np.bool_]
    bit: NDArray[np.bool_]
    plus: NDArray[np.bool_]
    change: NDArray[np.float32]


def known_before(
    part: NDArray[np.int32], kind: PartKind, level: int, stages: int
) -> NDArray[np.int32]:
    """What the levels before `level` tell of one part, (B, h, w, C); `level` may be the first."""
    if level == first_level(stages):
        return np.zeros_like(part)
    return known_of_part(part, kind, level)


def symbols_of(
    part: NDArray[np.int32], kind: PartKind, levels: NDArray[np.int64], stages: int
) -> Symbols:
    """The symbols of a part (B, h, w, C) that are told of each picture in its level, (B,)."""
    known, planes = np.empty_like(part), np.empty((len(part), 1, 1, kind.channels), np.int32)
    for level in np.unique(levels).tolist():
        rows = levels == level
        known[rows] = known_before(part[rows], kind, level, stages)
        planes[rows] = np.maximum(kind.planes(level), 0)
    magnitude, sign = np.abs(part) >> planes, np.sign(part).astype(np.float32)
    fresh = known == 0
    bit = np.where(fresh, magnitude > 0, (magnitude & 1) == 1)
    change = sign * np.where(fresh, np.float32(1.5) * bit, bit - np.float32(0.5))
    return Symbols(fresh, bit, part > 0, change.astype(np.float32))


def known_after(part: NDArray[np.int32], kind: PartKind, level: int) -> NDArray[np.int32]:
    """What the levels down to `level` tell of one part, (B, h, w, C), all of whose groups it tells
    of: see knowledge.known_of_part."""
    shift = np.maximum(kind.planes(level), 0).astype(np.int32)
    known: NDArray[np.int32] = np.sign(part) * (np.abs(part) >> shift << shift)
    return known


def means_of(parts: Parts, level: int, *, told: bool) -> list[NDArray[np.int32]]:
    """The means on the grid of each part but the root, (B, h', w', 3), blocks' last.

    As they are known when `level` has told all of the root and the details before, or nothing yet.
    """
    stages = len(parts) - 2
    means: list[NDArray[np.int32]] = []
    for at, part in enumerate(parts[:-1]):
        kind = kind_of(at, stages)
        known = known_after(part, kind, level) if told else known_before(part, kind, level, stages)
        middle = middles(known, np.maximum(kind.planes(level) - told, -1))
        grid = parts[at + 1].shape[1:3]
        means.append(finer_means(means[-1], middle, grid) if at else middle)
    return means


def unary_bits(
    part: NDArray[np.int32], kind: PartKind, level: int, stages: int
) -> NDArray[np.float64]:
    """(B,): what the steps beyond one cost that a coefficient's first level tells in unary."""
    begin = first_level(stages)
    first = np.zeros(kind.channels, np.bool_)
    for group, channels in enumerate(kind.groups):
        first[channels] = level == kind.starts(group, begin)
    first &= told_channels(kind)[level_row(level)]
    steps = np.abs(part) >> np.maximum(kind.planes(level), 0).astype(np.int32)
    bits = np.where(steps > 0, (steps - 1) * _ONE_MORE_BITS + _NO_MORE_BITS, 0.0)
    total: NDArray[np.float64] = (bits * first).sum((1, 2, 3))
    return total


def levels_of(height: int, width: int) -> tuple[int, ...]:
    """Those of the stream of a picture with height x width pixels."""
    stages = len(grids(height, width)) - 2
    return tuple(range(first_level(stages), LAST_LEVEL - 1, -1))


@cache
def passes_of_kind(kind: PartKind, level: int) -> tuple[Pass, ...]:
    """The passes of one level and one part of this kind; of each stage's details they are alike."""
    found = [step for step in passes_of(level, TRAINED_STAGES) if step.kind is kind]
    return tuple(step for step in found if step.part == found[0].part)


@cache
def told_channels(kind: PartKind) -> NDArray[np.bool_]:
    """(levels, C): which channels each level tells something about."""
    told = np.zeros((len(LEVELS), kind.channels), np.bool_)
    for at, level in enumerate(LEVELS):
        for step in passes_of_kind(kind, level):
            told[at, list(step.channels)] = True
    return told


@cache
def told_before(
    kind: PartKind, group: int, parity: int, height: int, width: int
) -> NDArray[np.bool_]:
    """(levels, h, w, C): what each level has told of a part before a pass of it.

    Nothing at levels in which the group takes no part.
    """
    told = np.zeros((len(LEVELS), height, width, kind.channels), np.bool_)
    for at, level in enumerate(LEVELS):
        passes = passes_of_kind(kind, level)
        here = [k for k, step in enumerate(passes) if (step.group, step.parity) == (group, parity)]
        for step in passes[: here[0]] if here else ():
            places = places_with(step.parity, height, width)
            told[at][..., list(step.channels)] |= places[..., None]
    return told


def random_prefix(
    level: int, count: int, height: int, width: int, random: np.random.Generator, start: float = 0.2
) -> NDArray[np.bool_]:
    """What has come of `level` of blocks where streams end anywhere in them: (count, h, w, 48).

    In `start` of the cases nothing has. Within a pass the end is between two places; the codec's
    may be between two channels of a place.
    """
    passes = passes_of_kind(BLOCK, level)
    told = np.zeros((count, height, width, BLOCK.channels), np.bool_)
    row_by_row = np.arange(height * width).reshape(height, width)
    for each in told:
        end = 0.0 if random.random() < start else random.random() * len(passes)
        for k, step in enumerate(passes):
            places = places_with(step.parity, height, width) & (
                row_by_row < (end - k) * row_by_row.size
            )
            each[..., list(step.channels)] |= places[..., None]
    return told
