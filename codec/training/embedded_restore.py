"""From a weights file back to networks that can be trained on.

The file holds integers without normalisations: these are folded. A restored network computes what
its integers say, first with normalisations that do nothing; calibrate() then gives them the
statistics of what they see, as training would have left them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from codec.convolution import TrainableConv
from codec.embedded.networks import (
    PictureEstimator,
    PlanePredictor,
    TrainableLevelBias,
    exact_estimator,
    exact_predictor,
    predictor_size,
    trunk_size,
)
from codec.embedded.profile import part_of, serving
from codec.fixed_point import ACTIVATION
from codec.training.embedded_export import PROFILE
from codec.training.embedded_linear import Linear, check_linear

WEIGHTS_NAME = f"{PROFILE}.safetensors"


def load_weights(path: Path) -> dict[str, Tensor]:
    """Raises SystemExit with one line if the file is missing or is something else."""
    try:
        return load_file(path)
    except Exception as error:  # safetensors has no error of its own for all cases
        reason = " ".join(str(error).split())
        raise SystemExit(f"{path}: not a file of weights ({reason})") from None


def restored_predictor(tensors: Mapping[str, Tensor], name: str) -> PlanePredictor:
    """A predictor of a weights file; KeyError or ValueError if its tensors do not fit."""
    state = network_of(tensors, name)
    exact_predictor(state)  # which looks whether all fits together
    sizes = (predictor_size(state, part) for part in ("blocks", "details"))
    model = PlanePredictor(TrainableConv, TrainableLevelBias, *sizes)
    _restore(model, state)
    return model.eval()


def restored_estimator(tensors: Mapping[str, Tensor]) -> PictureEstimator:
    """The same of the estimator."""
    state = network_of(tensors, "estimator")
    exact_estimator(state)
    width, blocks = trunk_size(state, "trunk")
    model = PictureEstimator(width=width, blocks=blocks)
    _restore(model, state)
    return model.eval()


def restored_linear(tensors: Mapping[str, Tensor]) -> Linear:
    """The linear predictions of a weights file; KeyError or ValueError if they do not fit."""
    found = Linear(tensors["linear"].numpy(), tensors["detail_linear"].numpy())
    check_linear(found)
    return found


def network_of(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one network, or of the one that serves in its place; empty without one."""
    return part_of(tensors, serving(name, {key.partition(".")[0] for key in tensors}))


@torch.no_grad()
def _restore(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Undoes network_integers: convolutions and biases get what their integers stand for."""
    for name, module in model.named_modules():
        if isinstance(module, TrainableLevelBias):
            module.table.weight.copy_(state[f"{name}.table"] / ACTIVATION.unit)
        elif isinstance(module, TrainableConv):
            scale = 2.0 ** state[f"{name}.shift"].double()
            step = scale * module.source.unit / module.target.unit
            weight = state[f"{name}.weight"].double() / scale.view(-1, 1, 1, 1)
            bias = (state[f"{name}.bias"].double() - step / 2) / (scale * module.source.unit)
            module.conv.weight.copy_(weight)
            if module.conv.bias is not None:
                module.conv.bias.copy_(bias)
            else:
                assert isinstance(module.norm, nn.BatchNorm2d)
                assert module.norm.running_var is not None
                module.norm.running_var.fill_(1 - module.norm.eps)
                module.norm.bias.copy_(bias)


@torch.no_grad()
def calibrate(model: nn.Module, look: Callable[[], None]) -> None:
    """Gives normalisations the statistics of what they see; what the model computes stays as it is.

    look: evaluates the model, which is in eval mode, on some batches. A normalisation that sees
    nothing is left alone.
    """
    seen: dict[nn.BatchNorm2d, list[Tensor]] = {}
    handles = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            hook = module.register_forward_pre_hook(
                lambda norm, inputs: seen.setdefault(norm, []).append(_moments(inputs[0]))
            )
            handles.append(hook)
    try:
        look()
    finally:
        for handle in handles:
            handle.remove()
    for norm, moments in seen.items():
        count, total, squares = torch.stack(moments).sum(0)
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        assert norm.running_mean is not None and norm.running_var is not None
        gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        offset = norm.bias - norm.running_mean * gain
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(gain * (norm.running_var.double() + norm.eps).sqrt())
        norm.bias.copy_(offset + norm.running_mean * gain)


def _moments(x: Tensor) -> Tensor:
    """(3, C) of (B, C, h, w): how many values, their sum and that of their squares."""
    values = x.double().movedim(1, 0).flatten(1)
    count = torch.full((len(values),), float(values.shape[1]), dtype=torch.float64)
    return torch.stack([count, values.sum(1), values.square().sum(1)])
