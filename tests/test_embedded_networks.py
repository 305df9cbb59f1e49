"""The networks of the profile `embedded`: the same integers however and wherever evaluated."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codec.convolution import ExactConv
from codec.embedded.knowledge import log_magnitude, place_of_logit
from codec.embedded.networks import (
    FEATURES,
    SYMBOLS,
    TRUNK_WIDTH,
    ExactLevelBias,
    PictureEstimator,
    PlanePredictor,
    TrainableLevelBias,
    exact_estimator,
    exact_predictor,
    load_network_integers,
    network_integers,
)
from codec.embedded.profile import embedded_profile_from_tensors
from codec.embedded.schedule import GROUPS, LEVELS
from codec.fixed_point import ACTIVATION, BIN_LOGIT, EXACT_BOUND, SIGNED
from codec.profile import load_profile

# ---------------------------------------------------------------------------------------- tables


def test_no_logarithm_is_near_a_tie() -> None:
    exact = 14 * np.log2(1.0 + np.arange(4096)) + 0.5
    distance = np.abs(exact - np.rint(exact))
    assert distance.min() > 1e-6
    table = log_magnitude()
    assert np.array_equal(table, np.floor(exact))
    assert table.size == 4096
    assert table[-1] <= 168
    assert (np.diff(table) >= 0).all()


def test_no_place_is_near_a_tie() -> None:
    exact = 4096 * np.tanh(np.arange(-8192, 8192) / 512) + 0.5
    distance = np.abs(exact - np.rint(exact))
    assert distance.min() > 1e-6
    table = place_of_logit()
    assert np.array_equal(table, np.floor(exact))
    assert (np.diff(table) >= 0).all()
    assert (table[0], table[8192], table[-1]) == (-4096, 0, 4096)


# ----------------------------------------------------------------------------------- exact forms


def extreme_integers(network: nn.Module, seed: int) -> dict[str, Tensor]:
    """Weights of random signs so large that sums come close to the bound of exactness."""
    random = np.random.default_rng(seed)
    state: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        if isinstance(module, ExactConv):
            fan_in = module.weight[0].numel()
            most = min((EXACT_BOUND - 2000) // (module.source.magnitude * fan_in), 32767)
            signs = random.choice([-1, 1], module.weight.shape)
            signs[::4] = 1
            sizes = random.integers(most // 2, most + 1, module.weight.shape)
            state[f"{name}.weight"] = torch.tensor(signs * sizes, dtype=torch.int16)
            bias = random.integers(-1000, 1000, len(module.bias))
            state[f"{name}.bias"] = torch.tensor(bias, dtype=torch.int32)
            state[f"{name}.shift"] = torch.tensor(
                random.integers(9, 15, len(module.bias)), dtype=torch.int8
            )
        elif isinstance(module, ExactLevelBias):
            bias = random.integers(-128, 129, module.table.shape)
            state[f"{name}.table"] = torch.tensor(bias, dtype=torch.int16)
    return state


def extreme_predictor() -> PlanePredictor:
    return exact_predictor(extreme_integers(PlanePredictor(ExactConv, ExactLevelBias), 1))


def extreme_estimator() -> PictureEstimator:
    return exact_estimator(extreme_integers(PictureEstimator(ExactConv, ExactLevelBias), 2))


@pytest.fixture(params=["shipped", "extreme"], scope="module")
def networks(request: pytest.FixtureRequest) -> dict[str, tuple[nn.Module, int]]:
    """Each network with how many inputs it has."""
    if request.param == "shipped":
        profile = load_profile("embedded")
        predictor, estimator = profile.predictor, profile.estimator
    else:
        predictor, estimator = extreme_predictor(), extreme_estimator()
    heads = {f"head {g}": (head, TRUNK_WIDTH + SYMBOLS) for g, head in enumerate(predictor.heads)}
    return {
        "trunk": (predictor.trunk, FEATURES),
        **heads,
        "estimator": (estimator, FEATURES + SYMBOLS),
    }


def inputs(count: int, channels: int, height: int = 7, width: int = 9) -> tuple[Tensor, Tensor]:
    """Whole numbers of the domain SIGNED, channels last as in the codec, and levels."""
    random = np.random.default_rng(count + channels)
    x = np.rint(random.laplace(0, 60, (count, height, width, channels))).clip(-255, 255)
    x[random.random(x.shape) < 0.3] = 0
    x[0] = SIGNED.high
    levels = torch.tensor(random.integers(0, len(LEVELS), count))
    return torch.from_numpy(x.astype(np.float32)).permute(0, 3, 1, 2), levels


@torch.inference_mode()
def evaluate(network: nn.Module, x: Tensor, levels: Tensor) -> Tensor:
    y: Tensor = network(x, levels)
    return y


def test_float32_is_as_exact_as_float64(networks) -> None:
    for name, (network, channels) in networks.items():
        x, levels = inputs(3, channels)
        found = evaluate(network, x, levels)
        double = evaluate(deepcopy(network).double(), x.double(), levels)
        assert torch.equal(found.double(), double), name
        assert torch.equal(found, found.round()), name
        domain = ACTIVATION if name == "trunk" else BIN_LOGIT
        assert domain.low <= int(found.min()) < int(found.max()) <= domain.high, name


def test_threads_batches_and_formats_change_nothing(networks) -> None:
    for name, (network, channels) in networks.items():
        x, levels = inputs(64, channels, 4, 5)
        together = evaluate(network, x, levels)
        for b in range(0, 64, 7):
            assert torch.equal(evaluate(network, x[b : b + 1], levels[b : b + 1])[0], together[b])
        order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
        assert torch.equal(evaluate(network, x[order], levels[order]), together[order]), name
        assert torch.equal(evaluate(network, x.contiguous(), levels), together), name
        torch.set_num_threads(2)
        try:
            assert torch.equal(evaluate(network, x, levels), together), name
        finally:
            torch.set_num_threads(1)


def test_what_is_far_away_does_not_matter(networks) -> None:
    """So a picture's slices or a crop see the same; the trunk's seven layers reach seven places."""
    network, channels = networks["trunk"]
    x, levels = inputs(1, channels, 24, 20)
    whole = evaluate(network, x, levels)
    part = evaluate(network, x[:, :, :16], levels)
    assert torch.equal(whole[:, :, :9], part[:, :, :9])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_a_gpu_gives_the_same_integers(networks) -> None:
    # Without cuDNN, which may transform: see codec/device.py.
    flags = torch.backends.cudnn.flags(enabled=False, benchmark=False, allow_tf32=False)
    for name, (network, channels) in networks.items():
        x, levels = inputs(16, channels)
        with flags:
            there = evaluate(deepcopy(network).cuda(), x.cuda(), levels.cuda()).cpu()
        assert torch.equal(there, evaluate(network, x, levels)), name


# ------------------------------------------------------------------------------- trainable forms


def trained_like(network: nn.Module, seed: int) -> nn.Module:
    """Normalisations and biases as a training might leave them."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=generator) * 0.2
            module.running_var = torch.rand(module.num_features, generator=generator) + 0.3
            with torch.no_grad():
                module.weight.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
                module.bias.copy_(torch.randn(module.num_features, generator=generator) * 0.3)
        elif isinstance(module, TrainableLevelBias):
            with torch.no_grad():
                module.table.weight.mul_(10)
    return network.eval()


def rms(values: Tensor) -> float:
    return float(values.double().pow(2).mean().sqrt())


@torch.inference_mode()
def test_the_trainable_predictor_is_the_exact_one_within_rounding() -> None:
    torch.manual_seed(0)
    trainable = trained_like(PlanePredictor(), 1)
    exact = PlanePredictor(ExactConv, ExactLevelBias)
    load_network_integers(exact, network_integers(trainable))
    x, levels = inputs(8, FEATURES)
    seen = trainable.trunk(x / SIGNED.unit, levels) * ACTIVATION.unit
    error = seen - exact.trunk(x, levels)
    # Weights are rounded, too, so now and then an activation falls to the next step.
    assert rms(error) < 1
    assert rms(error) < 0.02 * rms(seen)
    x, levels = inputs(8, TRUNK_WIDTH + SYMBOLS)
    for group, ours, theirs in zip(GROUPS, trainable.heads, exact.heads, strict=True):
        real = ours(x / SIGNED.unit, levels) * BIN_LOGIT.unit
        assert real.shape[1] == 2 * len(group)
        error = real - theirs(x, levels)
        # A step of the hidden activations is worth eight of the logit's.
        assert rms(error) < 8
        assert rms(error) < 0.02 * rms(real)


@torch.inference_mode()
def test_the_trainable_estimator_is_the_exact_one_within_rounding() -> None:
    torch.manual_seed(1)
    trainable = trained_like(PictureEstimator(), 2)
    exact = exact_estimator(network_integers(trainable))
    x, levels = inputs(8, FEATURES + SYMBOLS)
    real = trainable(x / SIGNED.unit, levels) * BIN_LOGIT.unit
    error = real - exact(x, levels)
    assert rms(error) < 8
    assert rms(error) < 0.02 * rms(real)


@pytest.mark.parametrize("value", [-129, 129])
def test_biases_out_of_range_are_refused(value: int) -> None:
    bias = ExactLevelBias(3)
    table = torch.zeros(len(LEVELS), 3, dtype=torch.int16)
    bias.load_integers(table)
    with pytest.raises(ValueError, match="shape"):
        bias.load_integers(table[:, :2])
    table[4, 1] = value
    with pytest.raises(ValueError, match="range"):
        bias.load_integers(table)


def test_weights_that_do_not_fit_are_refused() -> None:
    predictor = extreme_integers(PlanePredictor(ExactConv, ExactLevelBias), 1)
    estimator = extreme_integers(PictureEstimator(ExactConv, ExactLevelBias), 2)
    tensors = {f"predictor.{k}": v for k, v in predictor.items()}
    tensors |= {f"estimator.{k}": v for k, v in estimator.items()}
    tensors["linear"] = torch.zeros(len(LEVELS), 48, 48, 3, 3, dtype=torch.int16)
    assert embedded_profile_from_tensors("x", "", tensors).name == "x"
    for key in ("linear", "predictor.trunk.bias.table", "estimator.out.weight"):
        with pytest.raises(KeyError):
            embedded_profile_from_tensors("x", "", {k: v for k, v in tensors.items() if k != key})
        with pytest.raises(ValueError, match="expected"):
            embedded_profile_from_tensors("x", "", tensors | {key: tensors[key][..., :1]})
    with pytest.raises(ValueError, match="int16"):
        embedded_profile_from_tensors("x", "", tensors | {"linear": tensors["linear"].int()})
    inexact = tensors["estimator.out.weight"] * 2 + 1
    with pytest.raises(ValueError, match="not exact"):
        embedded_profile_from_tensors("x", "", tensors | {"estimator.out.weight": inexact})
