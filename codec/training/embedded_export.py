"""From the trained networks to the files that the codec loads: integers and a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from codec.convolution import TrainableConv
from codec.embedded.networks import (
    PictureEstimator,
    PlanePredictor,
    TrainableLevelBias,
    network_integers,
    predictor_size,
    trunk_size,
)
from codec.embedded.profile import SMALL_PIXELS, embedded_profile_from_tensors
from codec.training.embedded_linear import Linear
from codec.training.embedded_measure import validation_figures
from codec.training.manifest import write_weights

PROFILE = "embedded"
TRAINED_WEIGHT = "conv.weight"
"""What a state_dict calls the weights of a TrainableConv."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What loop.train left of one network: its state_dict and how it came about."""

    model: dict[str, Tensor]
    minutes: float
    steps: int
    run: str


def load_checkpoint(path: Path) -> Checkpoint:
    """Raises SystemExit with one line if the file is missing or is something else."""
    if not path.is_file():
        raise SystemExit(f"{path}: not there; train this part first")
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        minutes = round(saved["used_s"] / 60, 2)
        return Checkpoint(saved["model"], minutes, saved["step"], saved["run"])
    except Exception as error:  # torch.load has no error of its own
        reason = str(error).partition("\n")[0]
        raise SystemExit(f"{path}: not a checkpoint of a training ({reason})") from None


def predictor_of(state: Mapping[str, Tensor]) -> PlanePredictor:
    """The network, as large as its state_dict. Raises KeyError, RuntimeError or ValueError if it
    does not fit."""
    sizes = (predictor_size(state, part, TRAINED_WEIGHT) for part in ("blocks", "details"))
    model = PlanePredictor(TrainableConv, TrainableLevelBias, *sizes)
    model.load_state_dict(state)
    return model.eval()


def estimator_of(state: Mapping[str, Tensor]) -> PictureEstimator:
    """The same of an estimator."""
    width, blocks = trunk_size(state, "trunk", TRAINED_WEIGHT)
    model = PictureEstimator(width=width, blocks=blocks)
    model.load_state_dict(state)
    return model.eval()


def embedded_tensors(
    states: Mapping[str, Mapping[str, Tensor]], linear: Linear
) -> dict[str, Tensor]:
    """All that the weights file holds.

    states: state_dicts of `estimator`, of `predictor` and, if they are there, of others of
        profile.STAND_INS.
    Raises KeyError, RuntimeError or ValueError if a state does not fit, ValueError if a network's
    weights are too large for exact sums.
    """
    tensors = {
        f"{part}.{key}": value.contiguous()
        for part, state in states.items()
        for key, value in network_integers(
            estimator_of(state) if part == "estimator" else predictor_of(state)
        ).items()
    }
    tensors["linear"] = torch.from_numpy(linear.blocks.copy())
    tensors["detail_linear"] = torch.from_numpy(linear.details.copy())
    return tensors


def write_embedded(
    path: Path,
    tensors: dict[str, Tensor],
    validation: NDArray[np.uint8],
    making: dict[str, Any],
    crops: NDArray[np.uint8] | None = None,
) -> dict[str, Any]:
    """Writes `path` (.safetensors) and its manifest (.json), which it returns.

    validation: held-out pictures (N, H, W, 3), coded and decoded by the real codec, reversibly, so
    by the predictor that is for such streams; crops: held-out parts of photographs, likewise for
    theirs, but without the correction that photographs have (adaptation.py), for which crops are
    too small. making: data, commands and whatever else the manifest shall tell. Nothing is written
    unless all are exact.
    """
    profile = embedded_profile_from_tensors(PROFILE, "", tensors)
    figures = {"validation": validation_figures(profile, validation)}
    if crops is not None:
        # As crops they would be small enough to be taken for thumbnails.
        theirs = profile.predictor_for(1, SMALL_PIXELS + 1, reversible=True)
        profile = replace(profile, predictors={"predictor": theirs})
        figures["validation_photographs"] = validation_figures(profile, crops)
    raw = save(tensors)
    return write_weights(path, raw, {"bytes": len(raw), "profile": PROFILE, **making}, figures)
