"""What a training with `--start-from` begins with: an earlier run's checkpoints, or its weights.

Checkpoints hold the networks as training left them. Where a folder has none, as codec/weights, the
weights file's integers are made into networks again (embedded_restore.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from codec.embedded.networks import INTEGER_WEIGHT, Size, predictor_size, trunk_size
from codec.embedded.profile import STAND_INS, part_of, serving
from codec.training.embedded_export import (
    PROFILE,
    TRAINED_WEIGHT,
    load_checkpoint,
)
from codec.training.embedded_linear import FILE_NAME, Linear, load_linear
from codec.training.embedded_restore import (
    WEIGHTS_NAME,
    calibrate,
    load_weights,
    network_of,
    restored_estimator,
    restored_linear,
    restored_predictor,
)
from codec.training.embedded_widen import widen
from codec.training.manifest import earlier_manifest

UNFIT = (KeyError, ValueError, IndexError, TypeError, RuntimeError)
"""What comes of tensors that are not those of a network."""


def checkpoint_path(folder: Path, name: str) -> Path:
    """Where loop.train keeps the checkpoint of a network."""
    return folder / f"{name}.checkpoint.pt"


def begin(model: nn.Module, folder: Path, name: str, look: Callable[[Any], None]) -> None:
    """The model, at least as large as the earlier one, then computes what that does.

    name: estimator, or that of a predictor, which may begin as one that serves in its place
    (profile.STAND_INS). look: evaluates a network on some batches of what it will be trained on.
    Raises SystemExit with one line if there is nothing to begin with or it does not fit.
    """
    path = _source(folder, name)
    try:
        if path.suffix == ".pt":
            widen(model, load_checkpoint(path).model)
            return
        tensors = load_weights(path)
        if name == "estimator":
            earlier: nn.Module = restored_estimator(tensors)
        else:
            earlier = restored_predictor(tensors, name)
        calibrate(earlier, partial(look, earlier))
        widen(model, earlier.state_dict())
    except UNFIT as error:
        raise _unfit(path, error) from None


def earlier_size(folder: Path, name: str) -> Size:
    """How large the network is that `begin` would begin with; of an estimator's no heads: 0.

    Raises SystemExit as `begin` does.
    """
    path = _source(folder, name)
    try:
        if path.suffix == ".pt":
            state, weight = load_checkpoint(path).model, TRAINED_WEIGHT
        else:
            state, weight = network_of(load_weights(path), name), INTEGER_WEIGHT
        if name == "estimator":
            return Size(*trunk_size(state, "trunk", weight), 0)
        return predictor_size(state, "blocks", weight)
    except UNFIT as error:
        raise _unfit(path, error) from None


def reason_of(error: Exception) -> str:
    """One of UNFIT, in words and on one line."""
    reason = " ".join(str(error).split())
    return f"no {reason}" if isinstance(error, KeyError) else reason


def _unfit(path: Path, error: Exception) -> SystemExit:
    return SystemExit(f"{path}: cannot be started from ({reason_of(error)})")


def earlier_linear(folder: Path) -> Linear:
    """Of the run, or of its weights. Raises SystemExit with one line if there is neither."""
    path = folder / FILE_NAME
    if path.is_file() or not (folder / WEIGHTS_NAME).is_file():
        return load_linear(path)
    try:
        return restored_linear(load_weights(folder / WEIGHTS_NAME))
    except UNFIT as error:
        raise _unfit(folder / WEIGHTS_NAME, error) from None


def earlier_networks(folder: Path | None) -> dict[str, dict[str, Tensor]]:
    """The integers of each network of a folder's weights, by its name; empty without weights.

    Checkpoints that lie beside are not looked at: they are no weights yet. Raises SystemExit with
    one line if the file is something else.
    """
    if folder is None or not (folder / WEIGHTS_NAME).is_file():
        return {}
    tensors = load_weights(folder / WEIGHTS_NAME)
    states = {name: part_of(tensors, name) for name in (*STAND_INS, "estimator")}
    return {name: state for name, state in states.items() if state}


def check_start(folder: Path, names: list[str]) -> None:
    """Raises SystemExit with one line if the folder lacks what these networks begin with."""
    earlier_manifest(folder, PROFILE)
    if (folder / WEIGHTS_NAME).is_file():
        return
    for path in (folder / FILE_NAME, *(_source(folder, name) for name in names)):
        if not path.is_file():
            raise SystemExit(f"{path}: not there, nothing to start from")


def _source(folder: Path, name: str) -> Path:
    """The file that a network begins with, the latest form first; it may be missing."""
    own = checkpoint_path(folder, name)
    if own.is_file():
        return own
    if (folder / WEIGHTS_NAME).is_file():
        return folder / WEIGHTS_NAME
    there = {other for other in STAND_INS if checkpoint_path(folder, other).is_file()}
    return checkpoint_path(folder, serving(name, there))
