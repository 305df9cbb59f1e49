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

from codec.embedded.networks import DETAIL_SYMBOLS, SYMBOLS


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
        new[: len(old)] = 0
        # What heads see of symbols comes after all that the trunk tells them.
        last = _symbols(key)
        first = old.shape[1] - last
        new[: len(old), :first] = old[:, :first]
        if last:
            new[: len(old), -last:] = old[:, -last:]


def _symbols(key: str) -> int:
    """How many of a convolution's last inputs are symbols and not another layer's units."""
    if ".heads." not in key or not key.endswith("first.conv.weight"):
        return 0
    return SYMBOLS if key.startswith("blocks.") else DETAIL_SYMBOLS
