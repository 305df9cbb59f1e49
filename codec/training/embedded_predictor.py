"""Trains the predictor of the embedded profile: the cross-entropy of every bin of the stream.

Encoder and decoder evaluate a head once per pass, when all before it is told. Here the truth is
known, so the parts and passes of a level are independent: a head sees each picture twice, as it is
before its pass at even and at odd places.

    ablations, for comparison at equal time (no codec decodes these):
    single_pass   heads see nothing of what their own level has told of their own part
    no_linear     the features of the linear predictions are zero
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from codec.embedded.knowledge import block_features, detail_features
from codec.embedded.networks import (
    BLOCK_SIZE,
    DETAIL_FEATURES,
    FEATURES,
    STAGE_ROWS,
    PartPredictor,
    PlanePredictor,
    Size,
)
from codec.embedded.pyramid import Parts, split
from codec.embedded.root_model import root_logits
from codec.embedded.schedule import (
    BLOCK,
    DETAIL,
    FIRST_BLOCK_LEVEL,
    ROOT,
    PartKind,
    kind_of,
    level_row,
    places_with,
)
from codec.embedded.transform import SIDE, coefficients
from codec.fixed_point import BIN_LOGIT, SIGNED
from codec.training.embedded_data import Batches
from codec.training.embedded_linear import Linear
from codec.training.embedded_symbols import (
    Symbols,
    known_before,
    levels_of,
    means_of,
    symbols_of,
    told_before,
    told_channels,
    unary_bits,
)
from codec.training.loop import LoopSettings, train
from codec.training.muon import optimisers_for

Ablation: TypeAlias = Literal["none", "single_pass", "no_linear"]

SHARES = {
    11: 1, 10: 1, 9: 1, 8: 2, 7: 3, 6: 4, 5: 5, 4: 6, 3: 5, 2: 5, 1: 4, 0: 3, -1: 2
}  # fmt: skip
"""Pictures of each level in a batch."""
WEIGHTS = {
    11: 3.0, 10: 3.0, 9: 3.0, 8: 3.0, 7: 3.0, 6: 2.5, 5: 2.0, 4: 1.6, 3: 1.3, 2: 1.0, 1: 0.8,
    0: 0.7, -1: 0.7,
}  # fmt: skip
"""A bit of each level in the loss: early ones are in every stream, late ones only in long ones."""
TABLE_PICTURES = 300
CALIBRATION_BATCHES = 12
_AT_ONCE = 50


def network_input(channels_last: NDArray[np.float32] | Tensor) -> Tensor:
    """(B, h, w, C) as torch sees it, (B, C, h, w), in the same memory."""
    return torch.as_tensor(channels_last).permute(0, 3, 1, 2)


def level_index(levels: NDArray[np.int64]) -> Tensor:
    """Of levels (B,), the rows of the networks' biases."""
    return torch.tensor([level_row(level) for level in levels.tolist()])


def float_features(
    parts: Parts, levels: NDArray[np.int64], linear: Linear
) -> list[NDArray[np.float32]]:
    """The codec's features / SIGNED.unit of each part but the root: (B, h', w', features).

    Of each picture as they are when its level has told all of the parts before and nothing of this.
    """
    count, stages = len(levels), len(parts) - 2
    kinds = [DETAIL] * stages + [BLOCK]
    out = [
        np.empty(
            (count, *part.shape[1:3], FEATURES if kind is BLOCK else DETAIL_FEATURES), np.float32
        )
        for part, kind in zip(parts[1:], kinds, strict=True)
    ]
    for level in np.unique(levels).tolist():
        rows = levels == level
        some = [part[rows] for part in parts]
        all_means = means_of(some, level, told=True)
        for seen, part, means, kind in zip(out, some[1:], all_means, kinds, strict=True):
            known = known_before(part, kind, level, stages)
            if kind is BLOCK:
                seen[rows] = block_features(known, means, level, linear.block_row(level))
            else:
                seen[rows] = detail_features(known, means, level, linear.detail_row(level))
    for seen in out:
        seen /= SIGNED.unit
    return out


def predicted_bits(
    model: PlanePredictor,
    coefficient: NDArray[np.int32],
    levels: NDArray[np.int64],
    linear: Linear,
    ablation: Ablation = "none",
    *,
    autocast: bool = False,
) -> Tensor:
    """(B,): bits that the level of each picture takes, given all before; differentiable.

    coefficient: (B, h, w, 48). levels: (B,), none above the pictures' first. autocast: convolve in
    bfloat16, which holds activations and features exactly. Chroma is counted of grey pictures too.
    """
    parts = split(coefficient)
    stages = len(parts) - 2
    bits = _unary_bits(parts, levels) + _root_bits(parts[0], levels, stages)
    for at, seen in enumerate(float_features(parts, levels, linear), start=1):
        kind = kind_of(at, stages)
        rows = np.arange(len(levels))
        if kind is BLOCK:
            rows = np.flatnonzero(levels <= FIRST_BLOCK_LEVEL)
        if not rows.size:
            continue
        if ablation == "no_linear":
            seen[..., kind.channels : 2 * kind.channels] = 0
        index = level_index(levels[rows])
        network = model.blocks if kind is BLOCK else model.details
        stage = () if kind is BLOCK else (torch.full_like(index, min(stages - at, STAGE_ROWS - 1)),)
        symbols = symbols_of(parts[at][rows], kind, levels[rows], stages)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            trunk = network.trunk(network_input(seen[rows]), index, *stage)
            found = _part_bits(network, kind, trunk, symbols, index, ablation)
        bits = bits.index_add(0, torch.from_numpy(rows), found)
    return bits


def _unary_bits(parts: Parts, levels: NDArray[np.int64]) -> Tensor:
    stages, bits = len(parts) - 2, np.zeros(len(levels), np.float32)
    for level in np.unique(levels).tolist():
        rows = levels == level
        for at, part in enumerate(parts):
            bits[rows] += unary_bits(part[rows], kind_of(at, stages), level, stages)
    return torch.from_numpy(bits)


def _root_bits(root: NDArray[np.int32], levels: NDArray[np.int64], stages: int) -> Tensor:
    """(B,): bits of the root (B, 1, 1, 3), predicted by constants."""
    logits = np.empty((*root.shape[:3], 2 * ROOT.channels), np.float32)
    for level in np.unique(levels).tolist():
        rows = levels == level
        known = known_before(root[rows], ROOT, level, stages)
        logits[rows] = root_logits(known, level - stages) / np.float32(BIN_LOGIT.unit)
    symbols = symbols_of(root, ROOT, levels, stages)
    everyone = np.arange(len(levels))
    return _group_bits(
        torch.from_numpy(logits), ROOT, 0, symbols, everyone, level_index(levels)
    )  # fmt: skip


def _part_bits(
    network: PartPredictor,
    kind: PartKind,
    trunk: Tensor,
    symbols: Symbols,
    index: Tensor,
    ablation: Ablation,
) -> Tensor:
    """(B,): bits of one part. trunk: what the network's trunk makes of its features."""
    bits = torch.zeros(len(index))
    for group, channels in enumerate(kind.groups):
        taking_part = told_channels(kind)[index.numpy()][:, channels].any(1)
        rows = np.flatnonzero(taking_part)
        if rows.size:
            at = torch.from_numpy(rows)
            logits = _both_parities(
                network, kind, group, trunk[at], symbols.change[rows], index[at], ablation
            )
            bits = bits.index_add(0, at, _group_bits(logits, kind, group, symbols, rows, index[at]))
    return bits


def _both_parities(
    network: PartPredictor,
    kind: PartKind,
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
        told = told_before(kind, group, parity, height, width)[index.numpy()]
        if ablation == "single_pass":
            told = np.zeros_like(told)
        symbols = np.concatenate([change * told, told], axis=-1, dtype=np.float32)
        views.append(torch.cat([trunk, network_input(symbols)], 1))
    logits = network.heads[group](torch.cat(views), torch.cat([index, index])).float()
    even, odd = logits.permute(0, 2, 3, 1).chunk(2)
    return torch.where(torch.from_numpy(places_with(0, height, width))[..., None], even, odd)


def _group_bits(
    logits: Tensor,
    kind: PartKind,
    group: int,
    symbols: Symbols,
    rows: NDArray[np.int64],
    index: Tensor,
) -> Tensor:
    """(B,): cross-entropy of a group's bits and signs, in bits. logits: of the pictures `rows`."""
    channels = kind.groups[group]
    of_group = np.ix_(rows, *map(np.arange, logits.shape[1:3]), channels)
    bit, plus = symbols.bit[of_group], symbols.plus[of_group]
    told = told_channels(kind)[index.numpy()][:, None, None, channels]
    signed = told & symbols.fresh[of_group] & bit
    bit_logits, sign_logits = logits.chunk(2, dim=-1)
    nats = _nats(bit_logits, bit) * torch.from_numpy(told)
    nats = nats + _nats(sign_logits, plus) * torch.from_numpy(signed)
    return nats.sum((1, 2, 3)) / math.log(2)


def _nats(logits: Tensor, bins: NDArray[np.bool_]) -> Tensor:
    target = torch.from_numpy(bins).float()
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def new_predictor(seed: int, size: Size = BLOCK_SIZE) -> PlanePredictor:
    """An untrained network, its memory laid out for speed. size: of the part for blocks."""
    torch.manual_seed(seed)
    model = PlanePredictor(block_size=size)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def train_predictor(
    name: str,
    model: PlanePredictor,
    batches: Batches,
    linear: Linear,
    settings: LoopSettings,
    ablation: Ablation,
    muon_rate: float,
) -> None:
    """Trains for the settings' minutes; the checkpoint is `<name>.checkpoint.pt`."""

    def loss_of(indices: NDArray[np.int64]) -> tuple[Tensor, dict[str, float]]:
        batch = batches.draw(indices)
        bits = predicted_bits(
            model, batch.coefficients, batch.levels, linear, ablation, autocast=True
        )
        height, width = batch.coefficients.shape[1:3]
        bpp = bits * torch.from_numpy(batch.weights) / (height * width * SIDE**2)
        worth = torch.tensor([WEIGHTS[level] for level in batch.levels.tolist()])
        return (worth * bpp).sum(), {"bpp": float(bpp.detach().sum())}

    optimisers = optimisers_for(model, settings.peak_rate, muon_rate)
    train(name, model, loss_of, batches.count, settings, optimisers)


@torch.no_grad()
def look(model: PlanePredictor, batches: Batches, linear: Linear) -> None:
    """Evaluates the model on what it is trained on, as calibrate() wants it."""
    for _ in range(CALIBRATION_BATCHES):
        batch = batches.some()
        predicted_bits(model, batch.coefficients, batch.levels, linear, autocast=True)


@torch.inference_mode()
def bpp_by_level(
    model: PlanePredictor,
    pictures: NDArray[np.uint8],
    linear: Linear,
    ablation: Ablation = "none",
) -> dict[int, float]:
    """Mean bits per pixel that each level takes of pictures (N, H, W, 3), by the real numbers.

    Nothing is rounded but the activations, and the stream's header is left out.
    """
    model.eval()
    levels = levels_of(*pictures.shape[1:3])
    sums = dict.fromkeys(levels, 0.0)
    for start in range(0, len(pictures), _AT_ONCE):
        truth = coefficients(pictures[start : start + _AT_ONCE])
        for level in levels:
            at = np.full(len(truth), level)
            sums[level] += float(predicted_bits(model, truth, at, linear, ablation).sum())
    pixels = pictures.size / 3
    return {level: bits / pixels for level, bits in sums.items()}


def table(bpp: dict[int, float]) -> str:
    """Bits per pixel of each level and of all up to it, in lines of text."""
    lines, total = ["level   bpp      sum"], 0.0
    for level, each in bpp.items():
        total += each
        lines.append(f"{level:5d}   {each:.4f}   {total:.4f}")
    return "\n".join([*lines, f"lossless: {total / 3:.4f} bits per sub-pixel"])
