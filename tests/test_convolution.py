"""Exact inference: the same integers whatever the arithmetic, batch, threads or memory format."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import correlate

from codec.convolution import ExactConv, TrainableConv, integer_state, load_integer_state
from codec.enhancement_network import EnhancementNetwork
from codec.fixed_point import ACTIVATION, LATENT, LOGIT, PIXEL, FixedPoint
from codec.semantic_decoder import SemanticDecoder
from codec.semantic_encoder import LATENT_CHANNELS, SemanticEncoder


def trained_pair(network_class, seed: int = 0):
    """A network in both forms, with weights and statistics as different as training makes them."""
    torch.manual_seed(seed)
    learning = network_class(TrainableConv)
    for module in learning.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_(0, 0.5)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.2, 2)
    learning.eval()
    exact = network_class(ExactConv)
    load_integer_state(exact, integer_state(learning))
    return learning, exact


def pictures(count: int, side: int = 32, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator).float()


@torch.inference_mode()
def outputs(exact: torch.nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
    return exact(*inputs)


@pytest.mark.parametrize("target", [ACTIVATION, LOGIT, LATENT])
def test_it_equals_integer_convolution(target: FixedPoint) -> None:
    """Against scipy's correlation of 64-bit integers and integer shifts."""
    torch.manual_seed(1)
    learning = TrainableConv(5, 4, source=PIXEL, target=target)
    integers = learning.eval().integers()
    exact = ExactConv(5, 4, source=PIXEL, target=target)
    exact.load_integers(**integers)
    x = torch.randint(0, 256, (1, 5, 9, 7))
    found = outputs(exact, x.float())[0].numpy()
    padded = np.pad(x[0].numpy(), ((0, 0), (1, 1), (1, 1)))
    for channel in range(4):
        weight = integers["weight"][channel].numpy().astype(np.int64)
        total = correlate(padded, weight, mode="valid", method="direct")[0]
        total += int(integers["bias"][channel])
        ratio = PIXEL.unit // target.unit if target.unit < PIXEL.unit else 1
        gain = target.unit // PIXEL.unit or 1
        expected = total * gain // (ratio << int(integers["shift"][channel]))
        assert np.array_equal(found[channel], expected.clip(target.low, target.high))


@pytest.mark.parametrize("network_class", [SemanticEncoder, SemanticDecoder, EnhancementNetwork])
def test_arithmetic_batch_threads_and_format_change_nothing(network_class) -> None:
    _, exact = trained_pair(network_class)
    if network_class is SemanticDecoder:
        generator = torch.Generator().manual_seed(5)
        inputs = [torch.randint(-63, 64, (8, LATENT_CHANNELS, 8, 8), generator=generator).float()]
    elif network_class is EnhancementNetwork:
        inputs = [pictures(8), pictures(8, seed=1)]
    else:
        inputs = [pictures(8)]
    reference = outputs(exact, *inputs)
    assert len(torch.unique(reference)) >= 3
    single = torch.cat([outputs(exact, *(x[b : b + 1] for x in inputs)) for b in range(8)])
    assert torch.equal(single, reference)
    last = [x.contiguous(memory_format=torch.channels_last) for x in inputs]
    assert torch.equal(outputs(exact, *last), reference)
    torch.set_num_threads(2)
    try:
        assert torch.equal(outputs(exact, *inputs), reference)
    finally:
        torch.set_num_threads(1)
    double = outputs(exact.double(), *(x.double() for x in inputs))
    assert torch.equal(double.float(), reference)


@pytest.mark.parametrize("network_class", [SemanticEncoder, EnhancementNetwork])
def test_the_integers_stand_for_the_network_that_was_trained(network_class) -> None:
    learning, exact = trained_pair(network_class)
    count = 2 if network_class is EnhancementNetwork else 1
    inputs = [pictures(4, seed=k) for k in range(count)]
    target = LOGIT if count == 2 else LATENT
    with torch.inference_mode():
        real = learning(*(x / PIXEL.unit for x in inputs))
    whole = outputs(exact, *inputs) / target.unit
    # The exact form rounds its weights (and a latent); activations are rounded in both.
    assert (whole - real).abs().mean() < 0.02 * real.abs().mean() + 0.5 / target.unit


def integers(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.int32)


def test_sums_that_float32_cannot_hold_are_refused() -> None:
    exact = ExactConv(64, 1)
    weight = torch.full((1, 64, 3, 3), 1000, dtype=torch.int16)
    with pytest.raises(ValueError, match="not exact"):
        exact.load_integers(weight, integers(1), integers(1))


def test_weights_of_another_shape_are_refused() -> None:
    exact = ExactConv(3, 1)
    with pytest.raises(ValueError, match="expected weights of shape"):
        exact.load_integers(integers(1, 4, 3, 3), integers(1), integers(1))
    with pytest.raises(ValueError, match="expected weights of shape"):
        ExactConv(3, 2).load_integers(integers(2, 3, 3, 3), integers(1), integers(2))
