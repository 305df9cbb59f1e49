"""A larger network that begins by computing what a smaller one has learnt.

The smaller network's weights go into the corner of the larger one's. New units see all the others,
but none of the old ones sees them yet: their weights for new units are zero. A new block's second
convolution is normalised to zero, so the block hands on what it gets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from codec.embedded.networks import HEAD_INPUTS

_LAST = re.compile(r"(^|\.)out\.conv\.weight$")
"""Layers whose outputs no other layer sees."""


@torch.no_grad()
def widen(model: nn.Module, earlier: Mapping[str, Tensor]) -> None:
    """Fills a new PlanePredictor or PictureEstimator from the state_dict of one at most as large.

    Raises ValueError if a weight is missing or larger than there is room for.
    """
    state = model.state_dict()
    for key in earlier.keys() - state.keys():
        raise ValueError(f"{key} has no place in a network of this size")
    blocks = re.compile(r"(.*trunk\.blocks)\.(\d+)\.")
    known = [match for key in earlier if (match := blocks.match(key))]
    for key, new in state.items():
        if key not in earlier:
            added = blocks.match(key)
            if added is None or any(added[0] == other[0] for other in known):
                raise ValueError(f"{key} is missing")
            if key.endswith("second.norm.weight"):
                new.zero_()
            continue
        old = earlier[key]
        if old.dim() != new.dim() or any(a > b for a, b in zip(old.shape, new.shape, strict=True)):
            raise ValueError(f"{key}: {tuple(old.shape)} is larger than {tuple(new.shape)}")
        if new.dim() != 4:
            new[tuple(slice(n) for n in old.shape)] = old
            continue
        if _LAST.search(key) and len(old) != len(new):
            # They mean what they do by their number.
            raise ValueError(f"{key}: expected {len(new)} outputs, found {len(old)}")
        new[: len(old)] = 0
        # What heads see of features, if they do, and symbols comes after all that the trunk tells.
        features, symbols = _others(key)
        stem = f"{key.partition('.')[0]}.trunk.stem.conv.weight"
        first = len(earlier[stem]) if symbols else old.shape[1]
        new[: len(old), :first] = old[:, :first]
        if old.shape[1] > first + symbols:
            if new.shape[1] < len(state[stem]) + features + symbols:
                raise ValueError(f"{key}: expected heads that see no features")
            at = -features - symbols
            new[: len(old), at : at + features] = old[:, first : first + features]
        if symbols:
            new[: len(old), -symbols:] = old[:, -symbols:]


def _others(key: str) -> tuple[int, int]:
    """How many of a convolution's inputs may be features, and are symbols; none but of heads."""
    if ".heads." not in key or not key.endswith("first.conv.weight"):
        return 0, 0
    return HEAD_INPUTS[key.partition(".")[0]]
