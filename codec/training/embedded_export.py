"""From the two trained networks to the files that the codec loads: integers and a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from codec.embedded.networks import PictureEstimator, PlanePredictor, network_integers
from codec.embedded.profile import embedded_profile_from_tensors
from codec.training.embedded_measure import validation_figures
from codec.training.manifest import write_weights

PROFILE = "embedded"


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


def embedded_tensors(
    predictor_state: Mapping[str, Tensor],
    estimator_state: Mapping[str, Tensor],
    linear: NDArray[np.int16],
) -> dict[str, Tensor]:
    """All that the weights file holds, from state_dicts of PlanePredictor and PictureEstimator.

    linear: knowledge.LINEAR_SHAPE. Raises RuntimeError if a state does not fit, ValueError if a
    network's weights are too large for exact sums.
    """
    predictor, estimator = PlanePredictor(), PictureEstimator()
    predictor.load_state_dict(predictor_state)
    estimator.load_state_dict(estimator_state)
    parts = {"predictor": predictor, "estimator": estimator}
    tensors = {
        f"{part}.{key}": value.contiguous()
        for part, network in parts.items()
        for key, value in network_integers(network).items()
    }
    return {**tensors, "linear": torch.from_numpy(linear.copy())}


def write_embedded(
    path: Path,
    tensors: dict[str, Tensor],
    validation: NDArray[np.uint8],
    making: dict[str, Any],
) -> dict[str, Any]:
    """Writes `path` (.safetensors) and its manifest (.json), which it returns.

    validation: held-out pictures (N, H, W, 3), coded and decoded by the real codec. making: data,
    commands and whatever else the manifest shall tell. Nothing is written unless all are exact.
    """
    profile = embedded_profile_from_tensors(PROFILE, "", tensors)
    figures = validation_figures(profile, validation)
    raw = save(tensors)
    return write_weights(
        path, raw, {"bytes": len(raw), "profile": PROFILE, **making}, {"validation": figures}
    )  # fmt: skip
