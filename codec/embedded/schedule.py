"""In which order a stream tells about the coefficients: levels, parts, groups, parities.

Level L of the stream tells plane L of every luma coefficient and plane L + 1 of every chroma
coefficient, which in the picture are steps of about the same size (transform.GAIN). A coefficient
is 0 until the first plane in which its magnitude has a one; then comes its sign; every later plane
adds a bit: an embedded quantiser with a dead zone. The last level is -1, the last bits of chroma.

A level goes through the picture's *parts* (pyramid.py) from the coarsest on:

    level 11   level 10   ...   level 8   ...   level -1          (of a 32 x 32 picture)
       |
    root, the picture's mean (1 x 1)
    details, of 2 x 2, 4 x 4, ... means: luma's group, chroma's group
    blocks, from level 8 on: group 0 (luma's lowest frequencies) ... group 4 (chroma's finest)
       |
    each group at places whose row + column is even, then at the others

A group of a part at one parity is a *pass*: what the networks know when they predict it is all that
came before it. A group of the blocks takes part from the first level that matters for it; should a
magnitude be larger than that level can tell, the rest follows in unary (pass_coder.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codec.embedded.transform import CHANNELS, SIDE

FIRST_BLOCK_LEVEL, LAST_LEVEL = 8, -1
BLOCK_LEVELS = tuple(range(FIRST_BLOCK_LEVEL, LAST_LEVEL - 1, -1))
TRAINED_STAGES = 3
"""Of the pyramid of a 32 x 32 picture."""
LEVELS = tuple(range(FIRST_BLOCK_LEVEL + TRAINED_STAGES, LAST_LEVEL - 1, -1))
"""Those that the networks tell apart. Larger pictures have larger means and begin higher; the
networks take such a level for the first of these."""


def first_level(stages: int) -> int:
    """At which a picture with so many stages begins: each stage doubles the means."""
    return FIRST_BLOCK_LEVEL + stages


def level_row(level: int) -> int:
    """The row of the networks' tables for a level."""
    return max(LEVELS[0] - level, 0)


class PartKind:
    """What the parts of one kind have in common.

    colour: (C,), of each channel: 0 is luma. groups: channels of each. first: level at which each
    group begins, None if at the stream's first. partners: int64 (C, 2), the channels that hold for
    the other two colours, the next one first, what each holds for its own.
    """

    def __init__(
        self, name: str, colour: list[int], groups: list[list[int]], first: list[int] | None
    ) -> None:
        self.name, self.channels = name, len(colour)
        self.is_chroma: NDArray[np.bool_] = np.array(colour) > 0
        self.groups = tuple(np.array(group, np.int64) for group in groups)
        self.first = None if first is None else tuple(first)
        begin = np.full(self.channels, np.iinfo(np.int32).max, np.int64)
        for channels, level in zip(self.groups, self.first or (), strict=False):
            begin[channels] = level
        self._begin = begin
        of_colour = np.array([[c for c in range(len(colour)) if colour[c] == k] for k in range(3)])
        self.partners = np.empty((self.channels, 2), np.int64)
        for k in range(3):
            self.partners[of_colour[k]] = of_colour[[(k + 1) % 3, (k + 2) % 3]].T

    def planes(self, level: int) -> NDArray[np.int64]:
        """(C,): the plane that `level` tells of each channel, or the first that will be told.

        -1 where a channel is complete already.
        """
        planes: NDArray[np.int64] = np.minimum(level, self._begin) + self.is_chroma
        return planes

    def begun(self, level: int) -> NDArray[np.bool_]:
        """(C,): which channels a level before `level` has told something, if there was one."""
        return np.asarray(level < self._begin)

    def starts(self, group: int, top: int) -> int:
        """The first level of a group in a stream that begins with level `top`."""
        return top if self.first is None else self.first[group]


def _block_group(channel: int) -> int:
    colour, frequency = divmod(channel, SIDE * SIDE)
    order = sum(divmod(frequency, SIDE))
    if colour == 0:
        return (0, 1, 2)[min(order, 3) - 1]
    return 1 if order == 1 else 3 if order <= 3 else 4


MEANS: tuple[int, ...] = (0, SIDE * SIDE, 2 * SIDE * SIDE)
"""Channels of a block that its mean takes: they are told in the other parts."""
ROOT = PartKind("root", [0, 1, 2], [[0, 1, 2]], None)
DETAIL = PartKind("details", [0, 1, 2] * 3, [[0, 3, 6], [1, 2, 4, 5, 7, 8]], None)
"""Channel 3 b + k: colour k; b = 0 the difference of rows, 1 of columns, 2 of both."""
BLOCK = PartKind(
    "blocks",
    [k // (SIDE * SIDE) for k in range(CHANNELS)],
    [
        [k for k in range(CHANNELS) if k not in MEANS and _block_group(k) == group]
        for group in range(5)
    ],
    [8, 7, 6, 6, 5],
)
"""Luma by rising frequency in groups 0-2; chroma's lowest frequencies in 1, the rest in 3 and 4."""
KINDS = (ROOT, DETAIL, BLOCK)


def kind_of(part: int, stages: int) -> PartKind:
    """Part 0 is the root, parts 1 .. stages are details from coarse to fine, then come blocks."""
    return ROOT if part == 0 else DETAIL if part <= stages else BLOCK


@dataclass(frozen=True, slots=True)
class Pass:
    """One step of the stream; `channels` are those of its group that have a plane here.

    begins: is this the first level of the group?
    """

    level: int
    part: int
    kind: PartKind
    group: int
    parity: int
    channels: tuple[int, ...]
    begins: bool


@cache
def passes_of(level: int, stages: int) -> tuple[Pass, ...]:
    """The passes of one level of pictures with so many stages."""
    found, top = [], first_level(stages)
    for part in range(stages + 2):
        kind = kind_of(part, stages)
        planes = kind.planes(level)
        for group, channels in enumerate(kind.groups):
            told = tuple(int(k) for k in channels if planes[k] >= 0)
            start = kind.starts(group, top)
            if level <= start and told:
                for parity in (0, 1) if part else (0,):
                    found.append(Pass(level, part, kind, group, parity, told, level == start))
    return tuple(found)


@cache
def passes(stages: int) -> tuple[Pass, ...]:
    """All of a stream."""
    levels = range(first_level(stages), LAST_LEVEL - 1, -1)
    return tuple(step for level in levels for step in passes_of(level, stages))


def places_with(parity: int, height: int, width: int) -> NDArray[np.bool_]:
    """(h, w): where row + column has this parity."""
    return np.asarray(np.add.outer(np.arange(height), np.arange(width)) % 2 == parity)


class Told(NamedTuple):
    """What a pass tells at each of its places.

    channels: int64 (n,), those told. outputs: int64 (n,), where the head of the pass's group has
    them. planes: int64 (n,), the plane told of each. partners: int64 (n, 2), see PartKind. begins,
    parity: see Pass. first_channel, group: numbers of the kind's first channel and of the group
    among those of all KINDS.
    """

    channels: NDArray[np.int64]
    outputs: NDArray[np.int64]
    planes: NDArray[np.int64]
    partners: NDArray[np.int64]
    begins: bool
    parity: int
    first_channel: int
    group: int


def told_by(step: Pass, *, grey: bool) -> Told:
    """What a pass tells; of a grey picture luma's channels only."""
    kind = step.kind
    group = kind.groups[step.group].tolist()
    channels = np.array([k for k in step.channels if not grey or not kind.is_chroma[k]], np.int64)
    outputs = np.array([group.index(k) for k in channels], np.int64)
    before = KINDS[: KINDS.index(kind)]
    return Told(
        channels,
        outputs,
        kind.planes(step.level)[channels],
        kind.partners[channels],
        step.begins,
        step.parity,
        sum(each.channels for each in before),
        sum(len(each.groups) for each in before) + step.group,
    )


LAYER_ENDS: tuple[tuple[str, int, int], ...] = (
    ("base", 6, 4),
    ("plane5", 5, 4),
    ("plane4low", 4, 1),
    ("plane4", 4, 4),
    ("plane3low", 3, 1),
    ("plane3", 3, 4),
    ("plane2", 2, 4),
    ("plane1", 1, 4),
    ("plane0", -1, 4),
)
"""Name, last level and last group of blocks of each layer: a base and eight refinements, as in the
paper. The two planes that most budgets end in are halved."""
LAYER_NAMES = tuple(name for name, _, _ in LAYER_ENDS)


def ends_layer(step: Pass, following: Pass | None) -> bool:
    """Whether `step`, before `following`, is the last of a layer."""
    if step.kind is not BLOCK or step.parity == 0:
        return False
    last = following is None or following.level != step.level
    return any(
        level == step.level and (group == step.group or (group == 4 and last))
        for _, level, group in LAYER_ENDS
    )
