"""Everything trained that the profile `embedded` needs, from one safetensors file of integers.

predictor.*   a PlanePredictor (networks.py, codec.convolution): of small pictures and, unless there
              are others, of all
photographs.* one of pictures that are photographs (is_photograph)
reversible.*  reversible_photographs.*   those of streams of the reversible transform
estimator.*   the PictureEstimator
*.correction  int32 (ROWS, INPUTS), where the correction of a predictor begins (adaptation.py), if
              it comes with one
linear        int16 (10, 48, 48, 3, 3), the linear prediction of blocks (knowledge.block_features)
detail_linear int16 (13, 9, 3, 3, 3), that of the pyramid's details (knowledge.detail_features)
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.embedded.adaptation import INPUTS, MOST_WEIGHT, ROWS
from codec.embedded.knowledge import (
    DETAIL_LINEAR_SHAPE,
    LINEAR_SHAPE,
    block_features,
    detail_features,
)
from codec.embedded.networks import (
    PlanePredictor,
    exact_estimator,
    exact_predictor,
)
from codec.embedded.schedule import FIRST_BLOCK_LEVEL, level_row

CORRECTION = "correction"
"""What the weights file calls where a predictor's correction begins."""
SMALL_PIXELS = 64 * 64
"""Whole pictures of up to so many pixels are taken for thumbnails like CIFAR-10's: they hold more
detail per pixel than photographs do."""


def is_photograph(height: int, width: int) -> bool:
    """Whether a whole picture of so many pixels is taken for one, be it cut into slices or not."""
    return height * width > SMALL_PIXELS


REVERSIBLE = "reversible"
"""How the names of predictors begin that only streams of the reversible transform use."""
STAND_INS: Mapping[str, tuple[str, ...]] = {
    "predictor": (),
    "photographs": ("predictor",),
    REVERSIBLE: ("predictor",),
    f"{REVERSIBLE}_photographs": ("photographs", REVERSIBLE, "predictor"),
}
"""The predictors that a profile may have, with those that serve in the place of one that it has
not: the first that there is. `reversible`: of streams of the reversible transform. `predictor` is
always there."""


def predictor_name(*, photographs: bool, reversible: bool) -> str:
    """The name in STAND_INS of the predictor for photographs or not, reversible streams or not."""
    return "_".join([REVERSIBLE] * reversible + ["photographs"] * photographs) or "predictor"


def serving(name: str, there: Container[str]) -> str:
    """The network itself if it is there, or the first of its stand-ins that is, else the last."""
    names = (name, *STAND_INS.get(name, ()))
    return next((each for each in names if each in there), names[-1])


@dataclass(frozen=True)
class EmbeddedProfile:
    """The networks and tables of one trained codec; `sha256` is that of its weights file."""

    name: str
    sha256: str
    predictors: Mapping[str, PlanePredictor]
    """By the names of STAND_INS."""
    estimator: nn.Module
    """A PictureEstimator, or what takes its place in an ablation."""
    linear: NDArray[np.int16]
    detail_linear: NDArray[np.int16]
    corrects: bool = True
    """False, for comparison: nothing is corrected."""

    def predictor_for(self, height: int, width: int, *, reversible: bool) -> PlanePredictor:
        """Of a whole picture of so many pixels, and of its transform."""
        name = predictor_name(photographs=is_photograph(height, width), reversible=reversible)
        return self.predictors[serving(name, self.predictors)]

    def adaptive_for(self, height: int, width: int, *, reversible: bool) -> bool:
        """Whether what that predictor says is corrected: of photographs, and if it comes with where
        to begin. Of other pictures there are too few bins to learn from nothing."""
        predictor = self.predictor_for(height, width, reversible=reversible)
        return self.corrects and (is_photograph(height, width) or predictor.correction is not None)

    def block_features(
        self, known: NDArray[np.int32], means: NDArray[np.int32], level: int
    ) -> NDArray[np.float32]:
        """See knowledge.block_features. Levels above those of blocks take their first's weights."""
        row = max(FIRST_BLOCK_LEVEL - level, 0)
        return block_features(known, means, level, self.linear[row])

    def detail_features(
        self, known: NDArray[np.int32], means: NDArray[np.int32], level: int
    ) -> NDArray[np.float32]:
        """See knowledge.detail_features."""
        return detail_features(known, means, level, self.detail_linear[level_row(level)])


def part_of(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one network of the file, by their names in it; empty if it has none."""
    start = f"{name}."
    return {key.removeprefix(start): v for key, v in tensors.items() if key.startswith(start)}


def embedded_profile_from_tensors(
    name: str, sha256: str, tensors: dict[str, Tensor]
) -> EmbeddedProfile:
    """Builds a profile. Raises KeyError if a tensor is missing, ValueError if one does not fit."""
    for key, shape in (("linear", LINEAR_SHAPE), ("detail_linear", DETAIL_LINEAR_SHAPE)):
        found = tensors[key]
        if found.dtype != torch.int16 or tuple(found.shape) != shape:
            raise ValueError(f"{key}: expected int16 {shape}, found {tuple(found.shape)}")
    states = {each: part_of(tensors, each) for each in STAND_INS}
    there = {each: state for each, state in states.items() if state or not STAND_INS[each]}
    return EmbeddedProfile(
        name,
        sha256,
        {each: _predictor(each, state) for each, state in there.items()},
        exact_estimator(part_of(tensors, "estimator")),
        tensors["linear"].numpy(),
        tensors["detail_linear"].numpy(),
    )


def _predictor(name: str, state: dict[str, Tensor]) -> PlanePredictor:
    network, start = exact_predictor(state), state.get(CORRECTION)
    if start is not None:
        if start.dtype != torch.int32 or tuple(start.shape) != (ROWS, INPUTS):
            raise ValueError(
                f"{name}.{CORRECTION}: expected int32 {(ROWS, INPUTS)}, found {tuple(start.shape)}"
            )
        if int(start.long().abs().max()) > MOST_WEIGHT:
            raise ValueError(f"{name}.{CORRECTION}: a weight is out of range")
        network.correction = start.numpy().astype(np.int64)
    return network
