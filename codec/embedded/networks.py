"""The networks of the profile `embedded`, each in a form that learns and one that is exact.

    PlanePredictor      what the next bins will be, given everything told so far
    PictureEstimator    where within its interval each coefficient lies: the picture to show

Both see the grid of blocks, a quarter of the picture's width and height, and serve all levels; of
predictors there may be several, for thumbnails and for photographs (profile.py). Every layer adds a
bias of its own for each level. The predictor has a trunk, evaluated once per level, and for every
group a head, evaluated once per pass, which also sees what this level has told so far; and the same
once more, smaller, for the details of the pyramid and on their grids, all stages with one network.
In the paper's terms both are enhancement networks: they predict what the planes that are still
missing hold. Here the prediction is a probability for each bin.

How wide and deep a network is, its weights say (`exact_predictor`).

Activations are integers of eight bits in both forms (see codec.convolution), so the encoder and
every decoder compute the same probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.convolution import (
    ConvFactory,
    ExactConv,
    TrainableConv,
    check_integers,
    integer_state,
)
from codec.convolution import load_integer_state as load_convolutions
from codec.embedded.schedule import BLOCK, DETAIL, LEVELS, PartKind
from codec.embedded.transform import CHANNELS
from codec.fixed_point import ACTIVATION, BIN_LOGIT, SIGNED

FEATURES = 2 * CHANNELS + 1
"""What the networks see of blocks before a level: see `knowledge.block_features`."""
SYMBOLS = 2 * CHANNELS
"""What this level has told of blocks so far: see `knowledge`."""
DETAIL_FEATURES = 2 * DETAIL.channels + 2 * 3 + 1
DETAIL_SYMBOLS = 2 * DETAIL.channels
HEAD_OUTPUTS = 4
"""Of each channel: see GroupHead."""
HEAD_INPUTS = {"blocks": (FEATURES, SYMBOLS), "details": (DETAIL_FEATURES, DETAIL_SYMBOLS)}
"""Features, if heads see them, and symbols, by the parts of a PlanePredictor."""
STAGE_ROWS = 5
"""Stages that the details' network tells apart, the finest first; all others are the last."""


@dataclass(frozen=True, slots=True)
class Size:
    """Of a trunk and its heads; heads_see_features: whether these do so beside the trunk."""

    width: int
    blocks: int
    head_width: int
    heads_see_features: bool = True


BLOCK_SIZE, DETAIL_SIZE = Size(96, 3, 64), Size(64, 2, 48)
"""What is trained unless something else is asked for."""
ESTIMATOR_WIDTH, ESTIMATOR_BLOCKS = 128, 4
MOST_WIDTH, MOST_BLOCKS = 512, 16
INTEGER_WEIGHT = "weight"
"""What the integers of a convolution call its weights."""
_BIAS_LIMIT = 2


class BiasFactory(Protocol):
    """The signature that both forms of a level's bias share."""

    def __call__(self, channels: int, rows: int = ...) -> nn.Module: ...


class TrainableLevelBias(nn.Module):
    """(B,) rows of a table -> (B, C, 1, 1), rounded as activations are. A row for each level."""

    def __init__(self, channels: int, rows: int = len(LEVELS)) -> None:
        super().__init__()
        self.table = nn.Embedding(rows, channels)
        nn.init.normal_(self.table.weight, std=0.1)

    def forward(self, index: Tensor) -> Tensor:
        bias = self.table(index)[:, :, None, None].clamp(-_BIAS_LIMIT, _BIAS_LIMIT)
        rounded = torch.round(bias * ACTIVATION.unit) / ACTIVATION.unit
        exact: Tensor = bias + (rounded - bias).detach()
        return exact

    @torch.no_grad()
    def integers(self) -> Tensor:
        """int16 (rows, C)."""
        bias = self.table.weight.clamp(-_BIAS_LIMIT, _BIAS_LIMIT) * ACTIVATION.unit
        return torch.round(bias).to(torch.int16)


class ExactLevelBias(nn.Module):
    """The same in integers held in float32."""

    table: Tensor

    def __init__(self, channels: int, rows: int = len(LEVELS)) -> None:
        super().__init__()
        self.register_buffer("table", torch.zeros(rows, channels))

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
    """(B, inputs, h, w) SIGNED and (B,) rows of levels -> (B, width, h, w) ACTIVATION.

    stages: if not 0, what it sees is a stage of the pyramid: its (B,) rows add a bias too.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        blocks: int,
        conv: ConvFactory,
        bias: BiasFactory,
        stages: int = 0,
    ) -> None:
        super().__init__()
        self.stem, self.bias = conv(inputs, width, source=SIGNED), bias(width)
        self.stage_bias = bias(width, stages) if stages else None
        self.blocks = nn.ModuleList(LevelBlock(width, conv, bias) for _ in range(blocks))

    def forward(self, x: Tensor, index: Tensor, stage: Tensor | None = None) -> Tensor:
        offset = self.bias(index)
        if self.stage_bias is not None:
            offset = offset + self.stage_bias(stage)
        x = self.stem(x, residual=offset)
        for block in self.blocks:
            x = block(x, index)
        return x


class GroupHead(nn.Module):
    """-> (B, HEAD_OUTPUTS n, h, w) BIN_LOGIT for the n channels of a group.

    n outputs of each kind in turn: of a coefficient that is still 0, the logit of the next bit
    being 1; of any other, the same as far as it holds for both signs, and what is added if the
    coefficient is positive and subtracted if it is negative; of a new one, the logit of its sign
    being plus. So what the coder knows of the coefficient itself no network has to carry along.

    It sees what no pass of the level changes, and symbols, (B, inputs, h, w) SIGNED together. What
    its first layer makes of the former serves both of a group's passes: `ahead`.
    """

    def __init__(
        self, inputs: int, width: int, channels: int, conv: ConvFactory, bias: BiasFactory
    ) -> None:
        super().__init__()
        self.first = conv(inputs, width, source=SIGNED)
        self.bias = bias(width)
        self.second = conv(width, width)
        self.out = conv(width, HEAD_OUTPUTS * channels, target=BIN_LOGIT, size=1)

    def ahead(self, seen: Tensor) -> Tensor:
        """(B, inputs before symbols, h, w) -> (B, width, h, w), for `forward`."""
        return self.first.ahead(seen)

    def forward(self, symbols: Tensor, index: Tensor, ahead: Tensor) -> Tensor:
        """(B, 2C, h, w), (B,) rows of levels."""
        x = self.first(symbols, residual=self.bias(index), ahead=ahead)
        y: Tensor = self.out(self.second(x))
        return y


class PartPredictor(nn.Module):
    """For parts of one kind: `trunk` once per level and part, `heads[group]` once per pass.

    A head sees what the trunk makes of the features; these themselves too if the size says so, for
    few of them come through the trunk undimmed; and the symbols.
    """

    def __init__(
        self,
        kind: PartKind,
        features: int,
        size: Size,
        conv: ConvFactory,
        bias: BiasFactory,
        stages: int = 0,
    ) -> None:
        super().__init__()
        self.heads_see_features = size.heads_see_features
        self.trunk = LevelTrunk(features, size.width, size.blocks, conv, bias, stages)
        inputs = size.width + features * size.heads_see_features + 2 * kind.channels
        self.heads = nn.ModuleList(
            GroupHead(inputs, size.head_width, len(group), conv, bias) for group in kind.groups
        )


class PlanePredictor(nn.Module):
    """`details` for the stages of the pyramid, `blocks` for the blocks; the root has constants.

    correction: where the weights begin that correct what it says (adaptation.new_mixer), if it
    comes with such.
    """

    correction: NDArray[np.int64] | None = None

    def __init__(
        self,
        conv: ConvFactory = TrainableConv,
        bias: BiasFactory = TrainableLevelBias,
        block_size: Size = BLOCK_SIZE,
        detail_size: Size = DETAIL_SIZE,
    ) -> None:
        super().__init__()
        self.details = PartPredictor(DETAIL, DETAIL_FEATURES, detail_size, conv, bias, STAGE_ROWS)
        self.blocks = PartPredictor(BLOCK, FEATURES, block_size, conv, bias)


class PictureEstimator(nn.Module):
    """(B, FEATURES + SYMBOLS, h, w) SIGNED and (B,) levels -> (B, 48, h, w) BIN_LOGIT."""

    def __init__(
        self,
        conv: ConvFactory = TrainableConv,
        bias: BiasFactory = TrainableLevelBias,
        width: int = ESTIMATOR_WIDTH,
        blocks: int = ESTIMATOR_BLOCKS,
    ) -> None:
        super().__init__()
        self.trunk = LevelTrunk(FEATURES + SYMBOLS, width, blocks, conv, bias)
        self.out = conv(width, CHANNELS, target=BIN_LOGIT)

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
    """As large as its weights. Raises KeyError or ValueError if they do not fit together."""
    network = PlanePredictor(
        ExactConv, ExactLevelBias, predictor_size(state, "blocks"), predictor_size(state, "details")
    )
    load_network_integers(network, state)
    return network.eval()


def exact_estimator(state: dict[str, Tensor]) -> PictureEstimator:
    """As large as its weights. Raises KeyError or ValueError if they do not fit together."""
    network = PictureEstimator(ExactConv, ExactLevelBias, *trunk_size(state, "trunk"))
    load_network_integers(network, state)
    return network.eval()


def predictor_size(state: Mapping[str, Tensor], part: str, weight: str = INTEGER_WEIGHT) -> Size:
    """Of `details` or `blocks`. KeyError or ValueError as of trunk_size."""
    width, blocks = trunk_size(state, f"{part}.trunk", weight)
    head_width, inputs = _shape(state, f"{part}.heads.0.first.{weight}")[:2]
    if head_width > MOST_WIDTH:
        raise ValueError(f"{part}: expected heads of at most {MOST_WIDTH}, found {head_width}")
    features, symbols = HEAD_INPUTS[part]
    if inputs not in (width + symbols, width + features + symbols):
        raise ValueError(
            f"{part}: expected heads of {width} + {symbols} or {width} + {features} + {symbols} "
            f"inputs, found {inputs}"
        )
    return Size(width, blocks, head_width, heads_see_features=inputs > width + symbols)


def trunk_size(
    state: Mapping[str, Tensor], trunk: str, weight: str = INTEGER_WEIGHT
) -> tuple[int, int]:
    """Width and blocks of a network's integers; `weight`: what its convolutions call their weights.

    KeyError if there is no such trunk, ValueError if memory does not bear it. Blocks are counted by
    their numbers, so that a missing one is missed when they are loaded.
    """
    width = _shape(state, f"{trunk}.stem.{weight}")[0]
    start = f"{trunk}.blocks."
    blocks = len({key.removeprefix(start).split(".")[0] for key in state if key.startswith(start)})
    if width > MOST_WIDTH or blocks > MOST_BLOCKS:
        raise ValueError(
            f"{trunk}: expected at most {MOST_WIDTH} channels and {MOST_BLOCKS} blocks, "
            f"found {width} and {blocks}"
        )
    return width, blocks


def _shape(state: Mapping[str, Tensor], key: str) -> tuple[int, ...]:
    """Of a convolution's weights."""
    shape = tuple(state[key].shape)
    if len(shape) != 4:
        raise ValueError(f"{key}: expected weights of four dimensions, found {shape}")
    return shape
