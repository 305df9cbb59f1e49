"""The networks of the profile `embedded`: the same integers however and wherever evaluated."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from codec.convolution import ExactConv, TrainableConv
from codec.embedded.knowledge import (
    DETAIL_LINEAR_SHAPE,
    LINEAR_SHAPE,
    log_difference,
    log_magnitude,
    log_thresholds,
    place_of_logit,
)
from codec.embedded.networks import (
    DETAIL_FEATURES,
    DETAIL_SYMBOLS,
    FEATURES,
    HEAD_OUTPUTS,
    MOST_BLOCKS,
    MOST_WIDTH,
    STAGE_ROWS,
    SYMBOLS,
    ExactLevelBias,
    GroupHead,
    PictureEstimator,
    PlanePredictor,
    Size,
    TrainableLevelBias,
    exact_estimator,
    exact_predictor,
    network_integers,
)
from codec.embedded.profile import embedded_profile_from_tensors
from codec.embedded.schedule import BLOCK, DETAIL, LEVELS, first_level
from codec.embedded.slices import UNSLICED_SIDE
from codec.embedded.transform import SIDE
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


def test_no_difference_is_near_a_threshold() -> None:
    """Differences are over four times the step of a mean, so multiples of the smallest such unit.

    The pictures with the largest means, and so the longest steps, are the largest slices.
    """
    stages = (UNSLICED_SIDE // SIDE - 1).bit_length()
    bits = 2 + first_level(stages) + 1
    assert (stages, bits) == (8, 19)
    table = log_thresholds()
    assert table.size == 127
    with localcontext() as context:
        context.prec = 50
        for n, threshold in enumerate(table, 1):
            exact = Decimal(2) ** (Decimal(2 * n - 1) / 28) - 1
            assert abs(Decimal(float(threshold)) - exact) < Decimal("4e-13")
            units = exact * 2**bits
            assert abs(units - units.to_integral_value()) / 2**bits > Decimal("1e-12")


def test_differences_keep_their_sign_and_end_at_the_limit() -> None:
    x = np.array([0.0, 2.0**-19, -(2.0**-19), 1.0, -1.0, 3.0, 500, 600, -1e9])
    assert log_difference(x).tolist() == [0, 0, 0, 14, -14, 28, 126, 127, -127]
    assert log_difference(x).dtype == np.float32
    assert np.array_equal(log_difference(np.arange(300.0)), log_magnitude()[:300])


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


SMALL = Size(24, 2, 16), Size(16, 1, 24, heads_see_features=False)
"""Sizes of blocks and details that nobody ships."""


def extreme_predictor(*sizes: Size) -> PlanePredictor:
    return exact_predictor(extreme_integers(PlanePredictor(ExactConv, ExactLevelBias, *sizes), 1))


def extreme_estimator() -> PictureEstimator:
    return exact_estimator(extreme_integers(PictureEstimator(ExactConv, ExactLevelBias), 2))


@pytest.fixture(params=["shipped", "extreme", "small"], scope="module")
def networks(request: pytest.FixtureRequest) -> dict[str, tuple[nn.Module, int]]:
    """Each network with how many inputs it has."""
    if request.param == "shipped":
        profile = load_profile("embedded")
        predictor, estimator = profile.predictors["predictor"], profile.estimator
    else:
        sizes = SMALL if request.param == "small" else ()
        predictor, estimator = extreme_predictor(*sizes), extreme_estimator()
    found = {
        "trunk of blocks": (predictor.blocks.trunk, FEATURES),
        "trunk of details": (predictor.details.trunk, DETAIL_FEATURES),
        "estimator": (estimator, FEATURES + SYMBOLS),
    }
    for part, symbols in ((predictor.blocks, SYMBOLS), (predictor.details, DETAIL_SYMBOLS)):
        for g, head in enumerate(part.heads):
            found[f"head {g} of {symbols}"] = (head, head.first.weight.shape[1])
    return found


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
    if isinstance(network, GroupHead):
        # Where its inputs are parted does not matter.
        at = x.shape[1] // 3
        said: Tensor = network(x[:, at:], levels, network.ahead(x[:, :at]))
        return said
    # The trunk of details is told the stage as well.
    rows = (
        [levels] if getattr(network, "stage_bias", None) is None else [levels, levels % STAGE_ROWS]
    )
    y: Tensor = network(x, *rows)
    return y


def test_a_head_s_inputs_may_be_parted_anywhere(networks) -> None:
    heads = {name: each for name, each in networks.items() if name.startswith("head")}
    assert heads
    for name, (head, channels) in heads.items():
        x, levels = inputs(3, channels)
        with torch.inference_mode():
            expected = head.out(head.second(head.first(x, residual=head.bias(levels))))
            for at in (1, channels // 2, channels - 1):
                assert torch.equal(head(x[:, at:], levels, head.ahead(x[:, :at])), expected), name


def test_float32_is_as_exact_as_float64(networks) -> None:
    for name, (network, channels) in networks.items():
        x, levels = inputs(3, channels)
        found = evaluate(network, x, levels)
        double = evaluate(deepcopy(network).double(), x.double(), levels)
        assert torch.equal(found.double(), double), name
        assert torch.equal(found, found.round()), name
        domain = ACTIVATION if name.startswith("trunk") else BIN_LOGIT
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


@pytest.mark.parametrize("trunk", ["trunk of blocks", "trunk of details"])
def test_what_is_far_away_does_not_matter(networks, trunk: str) -> None:
    """So a picture's slices or a crop see the same: a trunk's layers reach a place each."""
    network, channels = networks[trunk]
    reach = 1 + 2 * len(network.blocks)
    x, levels = inputs(1, channels, 2 * reach + 10, 12)
    whole = evaluate(network, x, levels)
    part = evaluate(network, x[:, :, : reach + 7], levels)
    assert torch.equal(whole[:, :, :7], part[:, :, :7])


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
@pytest.mark.parametrize("sizes", [(), SMALL])
def test_the_trainable_predictor_is_the_exact_one_within_rounding(sizes: tuple[Size, ...]) -> None:
    torch.manual_seed(0)
    trainable = trained_like(PlanePredictor(TrainableConv, TrainableLevelBias, *sizes), 1)
    exact = exact_predictor(network_integers(trainable))
    for kind, name, features in (
        (BLOCK, "blocks", FEATURES), (DETAIL, "details", DETAIL_FEATURES),
    ):  # fmt: skip
        ours, theirs = getattr(trainable, name), getattr(exact, name)
        assert ours.heads_see_features == theirs.heads_see_features
        x, levels = inputs(8, features)
        seen = evaluate(ours.trunk, x / SIGNED.unit, levels) * ACTIVATION.unit
        error = seen - evaluate(theirs.trunk, x, levels)
        # Weights are rounded, too, so now and then an activation falls to the next step.
        assert rms(error) < 1
        assert rms(error) < 0.02 * rms(seen)
        x, levels = inputs(8, theirs.heads[0].first.weight.shape[1])
        for group, head, exact_head in zip(kind.groups, ours.heads, theirs.heads, strict=True):
            real = evaluate(head, x / SIGNED.unit, levels) * BIN_LOGIT.unit
            assert real.shape[1] == HEAD_OUTPUTS * len(group)
            error = real - evaluate(exact_head, x, levels)
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


def tensors_of(sizes: tuple[Size, ...] = SMALL) -> dict[str, Tensor]:
    """All of a profile with one predictor."""
    networks = {
        "predictor": PlanePredictor(ExactConv, ExactLevelBias, *sizes),
        "estimator": PictureEstimator(ExactConv, ExactLevelBias, 24, 1),
    }
    tensors = {
        f"{prefix}.{key}": value
        for prefix, network in networks.items()
        for key, value in extreme_integers(network, 1).items()
    }
    tensors["linear"] = torch.zeros(LINEAR_SHAPE, dtype=torch.int16)
    tensors["detail_linear"] = torch.zeros(DETAIL_LINEAR_SHAPE, dtype=torch.int16)
    return tensors


def test_networks_are_as_large_as_their_weights() -> None:
    profile = embedded_profile_from_tensors("x", "", tensors_of())
    predictor = profile.predictors["predictor"]
    assert predictor.blocks.trunk.stem.weight.shape[:2] == (24, FEATURES)
    assert predictor.details.trunk.stem.weight.shape[:2] == (16, DETAIL_FEATURES)
    # What heads see: of the trunk, of the features or not, and symbols.
    assert predictor.blocks.heads[0].first.weight.shape[1] == 24 + FEATURES + SYMBOLS
    assert predictor.details.heads[0].first.weight.shape[1] == 16 + DETAIL_SYMBOLS
    assert len(predictor.blocks.trunk.blocks) == 2
    assert len(predictor.details.trunk.blocks) == 1
    assert predictor.blocks.heads[3].second.weight.shape[:2] == (16, 16)
    assert set(profile.predictors) == {"predictor"}
    for size in ((64, 64), (1, 4097), (1024, 1024)):
        for reversible in (False, True):
            assert profile.predictor_for(*size, reversible=reversible) is predictor


@pytest.mark.parametrize(
    ("there", "small", "small_reversible", "large", "large_reversible"),
    [
        ("photographs", "predictor", "predictor", "photographs", "photographs"),
        ("reversible", "predictor", "reversible", "predictor", "reversible"),
        ("photographs reversible", "predictor", "reversible", "photographs", "photographs"),
        ("reversible_photographs", "predictor", "predictor", "predictor", "reversible_photographs"),
        (
            "photographs reversible reversible_photographs",
            "predictor", "reversible", "photographs", "reversible_photographs",
        ),
    ],
)  # fmt: skip
def test_some_pictures_have_predictors_of_their_own_if_there_are_any(
    there: str, small: str, small_reversible: str, large: str, large_reversible: str
) -> None:
    tensors = tensors_of()
    other = extreme_integers(PlanePredictor(ExactConv, ExactLevelBias, *SMALL[::-1]), 3)
    for name in there.split():
        tensors |= {f"{name}.{key}": value for key, value in other.items()}
    profile = embedded_profile_from_tensors("x", "", tensors)
    assert set(profile.predictors) == {"predictor", *there.split()}
    assert all(
        profile.predictors[name].blocks.trunk.stem.weight.shape[0] == 16 for name in there.split()
    )
    for size in ((1, 1), (32, 32), (64, 64), (4096, 1), (1, 4096)):
        assert profile.predictor_for(*size, reversible=False) is profile.predictors[small]
        assert profile.predictor_for(*size, reversible=True) is profile.predictors[small_reversible]
    for size in ((64, 65), (1, 4097), (512, 768)):
        assert profile.predictor_for(*size, reversible=False) is profile.predictors[large]
        assert profile.predictor_for(*size, reversible=True) is profile.predictors[large_reversible]


def test_half_a_network_is_none() -> None:
    tensors = tensors_of()
    other = extreme_integers(PlanePredictor(ExactConv, ExactLevelBias, *SMALL[::-1]), 3)
    tensors |= {f"photographs.{key}": value for key, value in other.items()}
    some = {k: v for k, v in tensors.items() if k != "photographs.details.heads.1.out.bias"}
    with pytest.raises(KeyError):
        embedded_profile_from_tensors("x", "", some)


def test_weights_that_do_not_fit_are_refused() -> None:
    tensors = tensors_of()
    assert embedded_profile_from_tensors("x", "", tensors).name == "x"
    for key in (
        "linear", "detail_linear", "predictor.blocks.trunk.bias.table", "estimator.out.weight",
        "predictor.details.trunk.stage_bias.table", "predictor.blocks.heads.4.second.weight",
        "predictor.blocks.trunk.blocks.0.second.weight", "predictor.blocks.heads.0.first.weight",
    ):  # fmt: skip
        with pytest.raises(KeyError):
            embedded_profile_from_tensors("x", "", {k: v for k, v in tensors.items() if k != key})
        with pytest.raises(ValueError, match="expected"):
            embedded_profile_from_tensors("x", "", tensors | {key: tensors[key][..., :1]})
    # A block less is not noticed by its number alone.
    gap = {k: v for k, v in tensors.items() if not k.startswith("predictor.blocks.trunk.blocks.0.")}
    with pytest.raises(KeyError):
        embedded_profile_from_tensors("x", "", gap)
    with pytest.raises(ValueError, match="int16"):
        embedded_profile_from_tensors("x", "", tensors | {"linear": tensors["linear"].int()})
    inexact = tensors["estimator.out.weight"] * 4 + 1
    with pytest.raises(ValueError, match="not exact"):
        embedded_profile_from_tensors("x", "", tensors | {"estimator.out.weight": inexact})


def test_weights_that_ask_for_too_much_memory_are_refused() -> None:
    """Before the networks are made; a weight that is repeated costs a file's writer nothing."""
    tensors = tensors_of()
    wide = torch.zeros(1, dtype=torch.int16).expand(MOST_WIDTH + 1, 1, 1, 1)
    for part in ("predictor.blocks", "predictor.details", "estimator"):
        for name in ("trunk.stem", "heads.0.first"):
            key = f"{part}.{name}.weight"
            if key in tensors:
                with pytest.raises(ValueError, match="at most 512"):
                    embedded_profile_from_tensors("x", "", tensors | {key: wide})
        many = {f"{part}.trunk.blocks.{k}.x": wide for k in range(MOST_BLOCKS + 1)}
        with pytest.raises(ValueError, match="at most 512 channels and 16 blocks"):
            embedded_profile_from_tensors("x", "", tensors | many)
