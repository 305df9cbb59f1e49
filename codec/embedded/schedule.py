"""In which order a stream tells about the coefficients: levels, groups, parities.

Level L of the stream tells plane L of every luma coefficient and plane L + 1 of every chroma
coefficient, which in the picture are steps of about the same size (transform.GAIN). A coefficient
is 0 until the first plane in which its magnitude has a one; then comes its sign; every later plane
adds a bit: an embedded quantiser with a dead zone. Levels run from 8, steps of over 400 grey
levels, to -1, the last bits of chroma.

    level 8    level 7    level 6    level 5    ...    level -1
       |
    group 0 (luma's mean), group 1, ... group 5 (chroma's finest)
       |
    places whose row + column is even, then the others

A group at one parity is a *pass*: what the networks know when they predict it is all that came
before it. A group takes part from the first level that matters for it; should a magnitude be
larger than that level can tell, the rest follows in unary (`pass_coder.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codec.embedded.transform import CHANNELS, SIDE

FIRST_LEVEL, LAST_LEVEL = 8, -1
LEVELS = tuple(range(FIRST_LEVEL, LAST_LEVEL - 1, -1))


def _group(channel: int) -> int:
    colour, frequency = divmod(channel, SIDE * SIDE)
    order = sum(divmod(frequency, SIDE))
    if colour == 0:
        return min(order, 3)
    return (1, 2, 4, 4)[order] if order <= 3 else 5


GROUP_OF_CHANNEL: NDArray[np.int64] = np.array([_group(k) for k in range(CHANNELS)])
GROUPS = tuple(np.flatnonzero(g == GROUP_OF_CHANNEL) for g in range(6))
"""Channels of each group: luma by rising frequency in 0-3, chroma's means in 1, its lowest
frequencies in 2, the rest in 4 and 5."""

FIRST_LEVEL_OF_GROUP = (8, 7, 6, 5, 5, 4)
_FIRST: NDArray[np.int64] = np.array(FIRST_LEVEL_OF_GROUP)[GROUP_OF_CHANNEL]
_CHROMA: NDArray[np.int64] = (np.arange(CHANNELS) >= SIDE * SIDE).astype(np.int64)


def planes_of(level: int) -> NDArray[np.int64]:
    """(48,): the plane that `level` tells of each channel, or the first that will be told.

    -1 where a channel is complete already.
    """
    planes: NDArray[np.int64] = np.minimum(level, _FIRST) + _CHROMA
    return planes


def begun(level: int) -> NDArray[np.bool_]:
    """(48,): which channels a level before `level` has told something about."""
    return np.asarray(level < _FIRST)


@dataclass(frozen=True, slots=True)
class Pass:
    """One step of the stream; `channels` are those of its group that have a plane here."""

    level: int
    group: int
    parity: int
    channels: tuple[int, ...]


def _passes_of(level: int) -> tuple[Pass, ...]:
    found = []
    for group, channels in enumerate(GROUPS):
        told = tuple(int(k) for k in channels if planes_of(level)[k] >= 0)
        if level <= FIRST_LEVEL_OF_GROUP[group] and told:
            found += [Pass(level, group, parity, told) for parity in (0, 1)]
    return tuple(found)


PASSES = {level: _passes_of(level) for level in LEVELS}


def places_with(parity: int, height: int, width: int) -> NDArray[np.bool_]:
    """(h, w): where row + column has this parity."""
    return np.asarray(np.add.outer(np.arange(height), np.arange(width)) % 2 == parity)


def begins(step: Pass) -> bool:
    """Whether this is the first level of the pass's group."""
    return step.level == FIRST_LEVEL_OF_GROUP[step.group]


def told_by(
    step: Pass, *, grey: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """(channels told, their outputs of the head, their planes); of a grey picture luma's only."""
    group = GROUPS[step.group].tolist()
    channels = np.array([k for k in step.channels if not grey or not _CHROMA[k]], np.int64)
    outputs = np.array([group.index(k) for k in channels], np.int64)
    return channels, outputs, planes_of(step.level)[channels]


LAYER_ENDS: tuple[tuple[str, int, int], ...] = (
    ("base", 6, 5),
    ("plane5", 5, 5),
    ("plane4low", 4, 2),
    ("plane4", 4, 5),
    ("plane3low", 3, 2),
    ("plane3", 3, 5),
    ("plane2", 2, 5),
    ("plane1", 1, 5),
    ("plane0", -1, 5),
)
"""Name, last level and last group of each layer: a base and eight refinements, as in the paper.
The two planes that most budgets end in are halved."""
LAYER_NAMES = tuple(name for name, _, _ in LAYER_ENDS)


def ends_layer(step: Pass) -> bool:
    """Whether `step` is the last of a layer."""
    last = PASSES[step.level][-1]
    return step.parity == 1 and any(
        level == step.level and (group == step.group or (group == 5 and step is last))
        for _, level, group in LAYER_ENDS
    )
