"""Trains the predictor of the embedded profile: the cross-entropy of every bin of the stream.

Encoder and decoder evaluate a head once per pass, when all before it is told. Here the truth is
known, so the passes of a level are independent: a head sees each picture twice, as it is before its
pass at even and at odd places.

    ablations, for comparison at equal time (no codec decodes these):
    single_pass   heads see nothing of what their own level has told
    no_linear     the features of the linear prediction are zero
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from codec.embedded.knowledge import features, known_before
from codec.embedded.networks import FEATURES, PlanePredictor
from codec.embedded.schedule import GROUPS, LEVELS, PASSES, places_with
from codec.embedded.transform import CHANNELS, SIDE, coefficients
from codec.fixed_point import SIGNED
from codec.training.embedded_data import Batches, EmbeddedData
from codec.training.embedded_symbols import (
    Symbols,
    symbols_of,
    told_before,
    told_channels,
    unary_bits,
)
from codec.training.loop import LoopSettings, train

Ablation: TypeAlias = Literal["none", "single_pass", "no_linear"]

SHARES = {8: 2, 7: 2, 6: 3, 5: 4, 4: 6, 3: 6, 2: 6, 1: 5, 0: 4, -1: 2}
"""Pictures of each level in a batch."""
WEIGHTS = {8: 3.0, 7: 3.0, 6: 2.5, 5: 2.0, 4: 1.6, 3: 1.3, 2: 1.0, 1: 0.8, 0: 0.6, -1: 0.6}
"""A bit of each level in the loss: early ones are in every stream, late ones only in long ones."""
TABLE_PICTURES = 300
_AT_ONCE = 50


def network_input(channels_last: NDArray[np.float32] | Tensor) -> Tensor:
    """(B, h, w, C) as torch sees it, (B, C, h, w), in the same memory."""
    return torch.as_tensor(channels_last).permute(0, 3, 1, 2)


def level_index(levels: NDArray[np.int64]) -> Tensor:
    """Of levels (B,), the rows of the networks' biases."""
    return torch.from_numpy(LEVELS[0] - levels)


def float_features(
    coefficient: NDArray[np.int32], levels: NDArray[np.int64], linear: NDArray[np.int16]
) -> NDArray[np.float32]:
    """knowledge.features / SIGNED.unit of coefficients (B, h, w, 48), each before its level."""
    out = np.empty((*coefficient.shape[:3], FEATURES), np.float32)
    for level in np.unique(levels).tolist():
        rows = levels == level
        known = known_before(coefficient[rows], level)
        out[rows] = features(known, level, linear[LEVELS.index(level)])
    out /= SIGNED.unit
    return out


def symbols_at(coefficient: NDArray[np.int32], levels: NDArray[np.int64]) -> Symbols:
    """The symbols of coefficients (B, h, w, 48), of each picture those of its level."""
    shape = coefficient.shape
    fresh, bit, plus = (np.empty(shape, np.bool_) for _ in range(3))
    change = np.empty(shape, np.float32)
    for level in np.unique(levels).tolist():
        rows = levels == level
        found = symbols_of(coefficient[rows], level)
        fresh[rows], bit[rows], plus[rows] = found.fresh, found.bit, found.plus
        change[rows] = found.change
    return Symbols(fresh, bit, plus, change)


def predicted_bits(
    model: PlanePredictor,
    coefficient: NDArray[np.int32],
    levels: NDArray[np.int64],
    linear: NDArray[np.int16],
    ablation: Ablation = "none",
    *,
    autocast: bool = False,
) -> Tensor:
    """(B,): bits that the level of each picture takes, given all before; differentiable.

    coefficient: (B, h, w, 48). levels: (B,). linear: knowledge.LINEAR_SHAPE. autocast: convolve in
    bfloat16, which holds activations and features exactly. Chroma is counted of grey pictures too.
    """
    seen = float_features(coefficient, levels, linear)
    if ablation == "no_linear":
        seen[..., CHANNELS : 2 * CHANNELS] = 0
    symbols = symbols_at(coefficient, levels)
    index = level_index(levels)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        trunk = model.trunk(network_input(seen), index)
    bits = torch.zeros(len(coefficient))
    for level in np.unique(levels).tolist():
        rows = levels == level
        bits[rows] = torch.from_numpy(unary_bits(coefficient[rows], level)).float()
    for group in range(len(GROUPS)):
        taking_part = [lv for lv in LEVELS if any(step.group == group for step in PASSES[lv])]
        rows = np.flatnonzero(np.isin(levels, taking_part))
        if rows.size:
            at = torch.from_numpy(rows)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
                logits = _both_parities(
                    model, group, trunk[at], symbols.change[rows], index[at], ablation
                )
            bits = bits.index_add(0, at, _group_bits(logits, group, symbols, rows, index[at]))
    return bits


def _both_parities(
    model: PlanePredictor,
    group: int,
    trunk: Tensor,
    change: NDArray[np.float32],
    index: Tensor,
    ablation: Ablation,
) -> Tensor:
    """Logits (B, h, w, 2n), at each place those of the pass that tells of it."""
    height, width = change.shape[1:3]
    views = []
    for parity in (0, 1):
        told = told_before(group, parity, height, width)[index.numpy()]
        if ablation == "single_pass":
            told = np.zeros_like(told)
        symbols = np.concatenate([change * told, told], axis=-1, dtype=np.float32)
        views.append(torch.cat([trunk, network_input(symbols)], 1))
    logits = model.heads[group](torch.cat(views), torch.cat([index, index])).float()
    even, odd = logits.permute(0, 2, 3, 1).chunk(2)
    return torch.where(torch.from_numpy(places_with(0, height, width))[..., None], even, odd)


def _group_bits(
    logits: Tensor, group: int, symbols: Symbols, rows: NDArray[np.int64], index: Tensor
) -> Tensor:
    """(B,): cross-entropy of a group's bits and signs, in bits."""
    channels = GROUPS[group]
    of_group = np.ix_(rows, *map(np.arange, logits.shape[1:3]), channels)
    bit, plus = symbols.bit[of_group], symbols.plus[of_group]
    told = told_channels()[index.numpy()][:, None, None, channels]
    signed = told & symbols.fresh[of_group] & bit
    bit_logits, sign_logits = logits.chunk(2, dim=-1)
    nats = _nats(bit_logits, bit) * torch.from_numpy(told)
    nats = nats + _nats(sign_logits, plus) * torch.from_numpy(signed)
    return nats.sum((1, 2, 3)) / math.log(2)


def _nats(logits: Tensor, bins: NDArray[np.bool_]) -> Tensor:
    target = torch.from_numpy(bins).float()
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def new_predictor(seed: int) -> PlanePredictor:
    """An untrained network, its memory laid out for speed."""
    torch.manual_seed(seed)
    model = PlanePredictor()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def train_predictor(
    data: EmbeddedData, linear: NDArray[np.int16], settings: LoopSettings, ablation: Ablation
) -> PlanePredictor:
    """Trains for the settings' minutes; the checkpoint is `predictor.checkpoint.pt`."""
    model = new_predictor(settings.seed)
    batches = Batches(data, SHARES, settings.batch, settings.seed)

    def loss_of(indices: NDArray[np.int64]) -> tuple[Tensor, dict[str, float]]:
        batch = batches.draw(indices)
        bits = predicted_bits(
            model, batch.coefficients, batch.levels, linear, ablation, autocast=True
        )
        height, width = batch.coefficients.shape[1:3]
        bpp = bits * torch.from_numpy(batch.weights) / (height * width * SIDE**2)
        worth = torch.tensor([WEIGHTS[level] for level in batch.levels.tolist()])
        return (worth * bpp).sum(), {"bpp": float(bpp.detach().sum())}

    train("predictor", model, loss_of, len(data.train), settings)
    return model


@torch.inference_mode()
def bpp_by_level(
    model: PlanePredictor,
    pictures: NDArray[np.uint8],
    linear: NDArray[np.int16],
    ablation: Ablation = "none",
) -> dict[int, float]:
    """Mean bits per pixel that each level takes of pictures (N, H, W, 3), by the real numbers.

    Nothing is rounded but the activations, and the stream's header is left out.
    """
    model.eval()
    sums = dict.fromkeys(LEVELS, 0.0)
    for start in range(0, len(pictures), _AT_ONCE):
        truth = coefficients(pictures[start : start + _AT_ONCE])
        for level in LEVELS:
            levels = np.full(len(truth), level)
            sums[level] += float(predicted_bits(model, truth, levels, linear, ablation).sum())
    pixels = pictures.size / 3
    return {level: bits / pixels for level, bits in sums.items()}


def table(bpp: dict[int, float]) -> str:
    """Bits per pixel of each level and of all up to it, in lines of text."""
    lines, total = ["level   bpp      sum"], 0.0
    for level, each in bpp.items():
        total += each
        lines.append(f"{level:5d}   {each:.4f}   {total:.4f}")
    return "\n".join([*lines, f"lossless: {total / 3:.4f} bits per sub-pixel"])
