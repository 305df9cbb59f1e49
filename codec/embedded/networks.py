"""The two networks of the profile `embedded`, each in a form that learns and one that is exact.

    PlanePredictor      what the next bins will be, given everything told so far
    PictureEstimator    where within its interval each coefficient lies: the picture to show

Both see the coefficients' grid, an eighth of the picture's samples wide and high per channel, and
serve all levels: every layer adds a bias of its own for each level. The predictor has a trunk,
evaluated once per level, and for every group a head, evaluated once per pass, which also sees what
this level has told so far. In the paper's terms both are enhancement networks: they predict what
the planes that are still missing hold. Here the prediction is a probability for each bin.

Activations are integers of eight bits in both forms (see codec.convolution), so the encoder and
every decoder compute the same probabilities.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from codec.convolution import (
    ConvFactory,
    ExactConv,
    TrainableConv,
    check_integers,
    integer_state,
)
from codec.convolution import load_integer_state as load_convolutions
from codec.embedded.schedule import GROUPS, LEVELS
from codec.embedded.transform import CHANNELS
from codec.fixed_point import ACTIVATION, BIN_LOGIT, SIGNED

FEATURES = 2 * CHANNELS + 1
"""What the levels before have told: see `knowledge.features`."""
SYMBOLS = 2 * CHANNELS
"""What this level has told so far: see `knowledge`."""

TRUNK_WIDTH, TRUNK_BLOCKS, HEAD_WIDTH = 96, 3, 64
ESTIMATOR_WIDTH, ESTIMATOR_BLOCKS = 128, 4
_BIAS_LIMIT = 2


class BiasFactory(Protocol):
    """The signature that both forms of a level's bias share."""

    def __call__(self, channels: int) -> nn.Module: ...


class TrainableLevelBias(nn.Module):
    """(B,) indices of levels -> (B, C, 1, 1), rounded as activations are."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.table = nn.Embedding(len(LEVELS), channels)
        nn.init.normal_(self.table.weight, std=0.1)

    def forward(self, index: Tensor) -> Tensor:
        bias = self.table(index)[:, :, None, None].clamp(-_BIAS_LIMIT, _BIAS_LIMIT)
        rounded = torch.round(bias * ACTIVATION.unit) / ACTIVATION.unit
        exact: Tensor = bias + (rounded - bias).detach()
        return exact

    @torch.no_grad()
    def integers(self) -> Tensor:
        """int16 (levels, C)."""
        bias = self.table.weight.clamp(-_BIAS_LIMIT, _BIAS_LIMIT) * ACTIVATION.unit
        return torch.round(bias).to(torch.int16)


class ExactLevelBias(nn.Module):
    """The same in integers held in float32."""

    table: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(len(LEVELS), channels))

    def forward(self, index: Tensor) -> Tensor:
        return self.table[index][:, :, None, None]

    def load_integers(self, table: Tensor) -> None:
        """Takes over TrainableLevelBias.integers. Raises ValueError if it does not fit."""
        if table.shape != self.table.shape:
            raise ValueError(f"expected biases of shape {tuple(self.table.shape)}")
        check_integers(table)
        if int(table.to(torch.int32).abs().max()) > _BIAS_LIMIT * ACTIVATION.unit:
            raise ValueError("a level's bias is out of range")
        self.table = table.float()


class LevelBlock(nn.Module):
    """Two convolutions and a shortcut, the first with a bias for the level."""

    def __init__(self, channels: int, conv: ConvFactory, bias: BiasFactory) -> None:
        super().__init__()
        self.first, self.second = conv(channels, channels), conv(channels, channels)
        self.bias = bias(channels)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x, residual=self.bias(index)), residual=x)
        return y


class LevelTrunk(nn.Module):
    """(B, inputs, h, w) SIGNED and (B,) indices of levels -> (B, width, h, w) ACTIVATION."""

    def __init__(
        self, inputs: int, width: int, blocks: int, conv: ConvFactory, bias: BiasFactory
    ) -> None:
        super().__init__()
        self.stem, self.bias = conv(inputs, width, source=SIGNED), bias(width)
        self.blocks = nn.ModuleList(LevelBlock(width, conv, bias) for _ in range(blocks))

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        x = self.stem(x, residual=self.bias(index))
        for block in self.blocks:
            x = block(x, index)
        return x


class GroupHead(nn.Module):
    """(B, TRUNK_WIDTH + SYMBOLS, h, w) -> (B, 2n, h, w) BIN_LOGIT for the n channels of a group.

    The first n outputs are the logits of the next bit being 1, the others of the sign being plus.
    """

    def __init__(self, channels: int, conv: ConvFactory, bias: BiasFactory) -> None:
        super().__init__()
        self.first = conv(TRUNK_WIDTH + SYMBOLS, HEAD_WIDTH, source=SIGNED)
        self.bias = bias(HEAD_WIDTH)
        self.second = conv(HEAD_WIDTH, HEAD_WIDTH)
        self.out = conv(HEAD_WIDTH, 2 * channels, target=BIN_LOGIT, size=1)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        y: Tensor = self.out(self.second(self.first(x, residual=self.bias(index))))
        return y


class PlanePredictor(nn.Module):
    """`trunk` once per level, `heads[group]` once per pass."""

    def __init__(
        self, conv: ConvFactory = TrainableConv, bias: BiasFactory = TrainableLevelBias
    ) -> None:
        super().__init__()
        self.trunk = LevelTrunk(FEATURES, TRUNK_WIDTH, TRUNK_BLOCKS, conv, bias)
        self.heads = nn.ModuleList(GroupHead(len(group), conv, bias) for group in GROUPS)


class PictureEstimator(nn.Module):
    """(B, FEATURES + SYMBOLS, h, w) SIGNED and (B,) levels -> (B, 48, h, w) BIN_LOGIT."""

    def __init__(
        self, conv: ConvFactory = TrainableConv, bias: BiasFactory = TrainableLevelBias
    ) -> None:
        super().__init__()
        inputs = FEATURES + SYMBOLS
        self.trunk = LevelTrunk(inputs, ESTIMATOR_WIDTH, ESTIMATOR_BLOCKS, conv, bias)
        self.out = conv(ESTIMATOR_WIDTH, CHANNELS, target=BIN_LOGIT)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        y: Tensor = self.out(self.trunk(x, index))
        return y


def network_integers(network: nn.Module) -> dict[str, Tensor]:
    """All integers of a trained network: convolutions and the levels' biases."""
    biases = {
        f"{name}.table": module.integers()
        for name, module in network.named_modules()
        if isinstance(module, TrainableLevelBias)
    }
    return {**integer_state(network), **biases}


def load_network_integers(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Loads a network made of the exact forms. Raises KeyError or ValueError if they do not fit."""
    load_convolutions(network, state)
    for name, module in network.named_modules():
        if isinstance(module, ExactLevelBias):
            module.load_integers(state[f"{name}.table"])


def exact_predictor(state: dict[str, Tensor]) -> PlanePredictor:
    network = PlanePredictor(ExactConv, ExactLevelBias)
    load_network_integers(network, state)
    return network.eval()


def exact_estimator(state: dict[str, Tensor]) -> PictureEstimator:
    network = PictureEstimator(ExactConv, ExactLevelBias)
    load_network_integers(network, state)
    return network.eval()
