"""What a training step asks the predictor: a batch as tensors, with all that no network decides.

Features and symbols are numpy's work, which processes of their own can do ahead (embedded_feed.py);
what is left for the device of the networks is to answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from codec.embedded.knowledge import block_features, detail_features
from codec.embedded.networks import DETAIL_FEATURES, FEATURES, HEAD_OUTPUTS
from codec.embedded.pyramid import Parts, split
from codec.embedded.root_model import root_logits
from codec.embedded.schedule import (
    BLOCK,
    DETAIL,
    FIRST_BLOCK_LEVEL,
    ROOT,
    PartKind,
    kind_of,
    level_row,
)
from codec.fixed_point import BIN_LOGIT, SIGNED
from codec.training.embedded_linear import Linear
from codec.training.embedded_symbols import (
    known_before,
    means_of,
    symbols_of,
    told_channels,
    unary_bits,
)

_LOWEST, _HIGHEST = BIN_LOGIT.low / BIN_LOGIT.unit, BIN_LOGIT.high / BIN_LOGIT.unit


@dataclass(frozen=True, slots=True)
class PartBatch:
    """Of one part of those pictures of a batch of which something may be told.

    at, stages: which part, of pictures with so many stages. rows: int64 (R,), the pictures.
    level_rows: int64 (R,), the rows of the networks' tables for their levels. seen: float32 (R, h,
    w, features), over SIGNED.unit. fresh, bit, plus: bool (R, h, w, C), change: float32 likewise
    (embedded_symbols.Symbols). groups: for each group int64 (R',), which of the R it tells of.
    """

    at: int
    stages: int
    rows: Tensor
    level_rows: Tensor
    seen: Tensor
    fresh: Tensor
    bit: Tensor
    plus: Tensor
    change: Tensor
    groups: tuple[Tensor, ...]

    @property
    def kind(self) -> PartKind:
        """What the part is."""
        return kind_of(self.at, self.stages)

    def to(self, device: torch.device | str) -> PartBatch:
        """The same there."""
        return moved_to(self, device)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch of pictures, each at one level.

    known_bits: float32 (B,), bits of each that no network predicts. weights, worth: float32 (B,),
    of each picture and of its level in the loss. places: of a picture's grid of blocks. parts: all
    but the root.
    """

    known_bits: Tensor
    weights: Tensor
    worth: Tensor
    places: int
    parts: tuple[PartBatch, ...]

    def to(self, device: torch.device | str) -> Prepared:
        """The same there."""
        return moved_to(self, device)


_Batch = TypeVar("_Batch")


def moved_to(batch: _Batch, device: torch.device | str) -> _Batch:
    """A dataclass with its tensors there, and all in its tuples that can go."""
    moved: dict[str, Any] = {}
    for field in fields(batch):  # type: ignore[arg-type]
        value = getattr(batch, field.name)
        if isinstance(value, Tensor):
            moved[field.name] = value.to(device)
        elif isinstance(value, tuple):
            moved[field.name] = tuple(each.to(device) for each in value)
    return replace(batch, **moved)  # type: ignore[type-var]


def level_index(levels: NDArray[np.int64]) -> Tensor:
    """Of levels (B,), the rows of the networks' biases."""
    return torch.tensor([level_row(level) for level in levels.tolist()])


def float_features(
    parts: Parts, levels: NDArray[np.int64], linear: Linear
) -> list[NDArray[np.float32]]:
    """The codec's features / SIGNED.unit of each part but the root: (B, h', w', features).

    Of each picture as they are when its level has told all of the parts before and nothing of this.
    """
    count, stages = len(levels), len(parts) - 2
    kinds = [DETAIL] * stages + [BLOCK]
    out = [
        np.empty(
            (count, *part.shape[1:3], FEATURES if kind is BLOCK else DETAIL_FEATURES), np.float32
        )
        for part, kind in zip(parts[1:], kinds, strict=True)
    ]
    for level in np.unique(levels).tolist():
        rows = levels == level
        some = [part[rows] for part in parts]
        all_means = means_of(some, level, told=True)
        for seen, part, means, kind in zip(out, some[1:], all_means, kinds, strict=True):
            known = known_before(part, kind, level, stages)
            if kind is BLOCK:
                seen[rows] = block_features(known, means, level, linear.block_row(level))
            else:
                seen[rows] = detail_features(known, means, level, linear.detail_row(level))
    for seen in out:
        seen /= SIGNED.unit
    return out


def prepare(
    coefficient: NDArray[np.int32],
    levels: NDArray[np.int64],
    linear: Linear,
    weights: NDArray[np.float32] | None = None,
    worth: NDArray[np.float32] | None = None,
    *,
    no_linear: bool = False,
) -> Prepared:
    """coefficient: (B, h, w, 48). levels: (B,), none above the pictures' first.

    weights, worth: ones unless given. no_linear: features of linear predictions are 0.
    """
    parts = split(coefficient)
    stages, everyone = len(parts) - 2, np.arange(len(levels))
    found = []
    for at, seen in enumerate(float_features(parts, levels, linear), start=1):
        kind = kind_of(at, stages)
        rows = np.flatnonzero(levels <= FIRST_BLOCK_LEVEL) if kind is BLOCK else everyone
        if no_linear:
            seen[..., kind.channels : 2 * kind.channels] = 0
        if rows.size:
            found.append(_part(at, stages, parts[at], rows, levels, seen))
    ones = np.ones(len(levels), np.float32)
    return Prepared(
        _unary_bits(parts, levels) + _root_bits(parts[0], levels, stages),
        torch.from_numpy(ones if weights is None else weights),
        torch.from_numpy(ones if worth is None else worth),
        coefficient.shape[1] * coefficient.shape[2],
        tuple(found),
    )


def _part(
    at: int,
    stages: int,
    part: NDArray[np.int32],
    rows: NDArray[np.int64],
    levels: NDArray[np.int64],
    seen: NDArray[np.float32],
) -> PartBatch:
    kind = kind_of(at, stages)
    symbols = symbols_of(part[rows], kind, levels[rows], stages)
    index = level_index(levels[rows])
    told = told_channels(kind)[index.numpy()]
    return PartBatch(
        at,
        stages,
        torch.from_numpy(rows),
        index,
        torch.from_numpy(seen[rows]),
        torch.from_numpy(symbols.fresh),
        torch.from_numpy(symbols.bit),
        torch.from_numpy(symbols.plus),
        torch.from_numpy(symbols.change),
        tuple(
            torch.from_numpy(np.flatnonzero(told[:, channels].any(1))) for channels in kind.groups
        ),
    )


def _unary_bits(parts: Parts, levels: NDArray[np.int64]) -> Tensor:
    stages, bits = len(parts) - 2, np.zeros(len(levels), np.float32)
    for level in np.unique(levels).tolist():
        rows = levels == level
        for at, part in enumerate(parts):
            bits[rows] += unary_bits(part[rows], kind_of(at, stages), level, stages)
    return torch.from_numpy(bits)


def _root_bits(root: NDArray[np.int32], levels: NDArray[np.int64], stages: int) -> Tensor:
    """(B,): bits of the root (B, 1, 1, 3), predicted by constants."""
    logits = np.empty((*root.shape[:3], HEAD_OUTPUTS * ROOT.channels), np.float32)
    for level in np.unique(levels).tolist():
        rows = levels == level
        logits[rows] = root_logits(rows.sum(), level - stages) / np.float32(BIN_LOGIT.unit)
    everyone, nothing = np.arange(len(levels)), np.zeros((len(levels), 0), np.float32)
    part = _part(0, stages, root, everyone, levels, nothing)
    return group_bits(torch.from_numpy(logits), part, 0)


def table_on(device: torch.device, values: NDArray[Any]) -> Tensor:
    """A copy there; one to be kept, so never of inference mode, which gradients refuse."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device)


@cache
def _channels(kind: PartKind, group: int, device: torch.device) -> Tensor:
    """int64 (n,), those of a group, there."""
    return table_on(device, kind.groups[group])


@cache
def _told_channels(kind: PartKind, group: int, device: torch.device) -> Tensor:
    """bool (levels, 1, 1, n): which of a group's channels each level tells of, there."""
    return table_on(device, told_channels(kind)[:, None, None, kind.groups[group]])


def group_bits(logits: Tensor, part: PartBatch, group: int) -> Tensor:
    """(R',): cross-entropy of a group's bits and signs, in bits, of the pictures it tells of.

    logits: (R', h, w, HEAD_OUTPUTS n), at each place those of the pass that tells of it.
    """
    rows, device = part.groups[group], logits.device
    channels = _channels(part.kind, group, device)
    fresh, bit, plus = (each[rows][..., channels] for each in (part.fresh, part.bit, part.plus))
    told = _told_channels(part.kind, group, device)[part.level_rows[rows]]
    first, both, positive, sign_logits = logits.chunk(HEAD_OUTPUTS, dim=-1)
    later = (both + torch.where(plus, positive, -positive)).clamp(_LOWEST, _HIGHEST)
    bit_logits = torch.where(fresh, first, later)
    nats = _nats(bit_logits, bit) * told
    nats = nats + _nats(sign_logits, plus) * (told & fresh & bit)
    return nats.sum((1, 2, 3)) / math.log(2)


def _nats(logits: Tensor, bins: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, bins.float(), reduction="none")
