"""Everything trained that the profile `embedded` needs, from one safetensors file of integers.

predictor.*   estimator.*     the two networks (networks.py, codec.convolution)
linear        int16 (levels, 48, 48, 3, 3), the linear prediction (knowledge.features)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.embedded.knowledge import LINEAR_SHAPE, features
from codec.embedded.networks import (
    PlanePredictor,
    exact_estimator,
    exact_predictor,
)
from codec.embedded.schedule import LEVELS


@dataclass(frozen=True)
class EmbeddedProfile:
    """The networks and tables of one trained codec; `sha256` is that of its weights file."""

    name: str
    sha256: str
    predictor: PlanePredictor
    estimator: nn.Module
    """A PictureEstimator, or what takes its place in an ablation."""
    linear: NDArray[np.int16]

    def features(self, known: NDArray[np.int32], level: int) -> NDArray[np.float32]:
        """See knowledge.features."""
        return features(known, level, self.linear[LEVELS.index(level)])


def embedded_profile_from_tensors(
    name: str, sha256: str, tensors: dict[str, Tensor]
) -> EmbeddedProfile:
    """Builds a profile. Raises KeyError if a tensor is missing, ValueError if one does not fit."""

    def part(prefix: str) -> dict[str, Tensor]:
        start = f"{prefix}."
        return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}

    linear = tensors["linear"]
    if linear.dtype != torch.int16 or tuple(linear.shape) != LINEAR_SHAPE:
        raise ValueError(f"linear: expected int16 {LINEAR_SHAPE}, found {tuple(linear.shape)}")
    return EmbeddedProfile(
        name, sha256, exact_predictor(part("predictor")), exact_estimator(part("estimator")),
        linear.numpy(),
    )  # fmt: skip
