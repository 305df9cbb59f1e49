"""Trains the predictor of the embedded profile: the cross-entropy of every bin of the stream.

Encoder and decoder evaluate a head once per pass, when all before it is told. Here the truth is
known, so the parts and passes of a level are independent: a head sees each picture twice, as it is
before its pass at even and at odd places.

    ablations, for comparison at equal time (no codec decodes these):
    single_pass   heads see nothing of what their own level has told of their own part
    no_linear     the features of the linear predictions are zero
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.embedded.networks import (
    BLOCK_SIZE,
    STAGE_ROWS,
    GroupHead,
    PartPredictor,
    PlanePredictor,
    Size,
)
from codec.embedded.profile import REVERSIBLE
from codec.embedded.schedule import BLOCK, LEVELS, PartKind, places_with
from codec.embedded.transform import SIDE, coefficients
from codec.training.embedded_data import Batch, Batches
from codec.training.embedded_feed import Feed
from codec.training.embedded_linear import Linear
from codec.training.embedded_prepared import (
    PartBatch,
    Prepared,
    group_bits,
    prepare,
    table_on,
)
from codec.training.embedded_symbols import levels_of, told_before
from codec.training.loop import LoopSettings, train
from codec.training.muon import optimisers_for

Ablation: TypeAlias = Literal["none", "single_pass", "no_linear"]


@dataclass(frozen=True, slots=True)
class Emphasis:
    """What counts in a training.

    shares: pictures of each level in a batch; crop_shares: the same of crops of photographs.
    worth: of a bit of each level in the loss.
    """

    shares: Mapping[int, float]
    crop_shares: Mapping[int, float]
    worth: Mapping[int, float]


ALL = "all"
"""Of streams: any, or those that end in the exact picture (REVERSIBLE) alone."""
EMPHASIS = {
    ALL: Emphasis(
        {11: 1, 10: 1, 9: 1, 8: 2, 7: 3, 6: 4, 5: 5, 4: 6, 3: 5, 2: 5, 1: 4, 0: 3, -1: 2},
        dict.fromkeys(LEVELS, 1),
        {11: 3.0, 10: 3.0, 9: 3.0, 8: 3.0, 7: 3.0, 6: 2.5, 5: 2.0, 4: 1.6, 3: 1.3, 2: 1.0, 1: 0.8,
         0: 0.7, -1: 0.7},
    ),
    REVERSIBLE: Emphasis(
        {11: 1, 10: 1, 9: 1, 8: 2, 7: 2, 6: 3, 5: 4, 4: 5, 3: 5, 2: 5, 1: 5, 0: 5, -1: 4},
        {11: 1, 10: 1, 9: 1, 8: 1, 7: 1, 6: 1, 5: 1, 4: 1, 3: 2, 2: 2, 1: 3, 0: 4, -1: 4},
        {11: 2.0, 10: 2.0, 9: 2.0, 8: 2.0, 7: 2.0, 6: 1.8, 5: 1.5, 4: 1.3, 3: 1.1, 2: 1.0, 1: 1.0,
         0: 1.0, -1: 1.0},
    ),
}  # fmt: skip
"""By what a predictor is for. Early levels are in every stream, late ones only in long ones, but
of streams that end in the exact picture nearly all bits."""
TABLE_PICTURES = 300
CALIBRATION_BATCHES = 12
_AT_ONCE = 50


def network_input(channels_last: NDArray[np.float32] | Tensor) -> Tensor:
    """(B, h, w, C) as torch sees it, (B, C, h, w), in the same memory."""
    return torch.as_tensor(channels_last).permute(0, 3, 1, 2)


def predicted_bits(
    model: PlanePredictor,
    coefficient: NDArray[np.int32],
    levels: NDArray[np.int64],
    linear: Linear,
    ablation: Ablation = "none",
    *,
    autocast: bool = False,
) -> Tensor:
    """bits_of what `prepare` makes of these pictures."""
    prepared = prepare(coefficient, levels, linear, no_linear=ablation == "no_linear")
    return bits_of(model, prepared, ablation, autocast=autocast)


def bits_of(
    model: PlanePredictor,
    prepared: Prepared,
    ablation: Ablation = "none",
    *,
    autocast: bool = False,
) -> Tensor:
    """(B,): bits that the level of each picture takes, given all before; differentiable.

    Both on one device. autocast: convolve in bfloat16, which holds activations and features
    exactly. Chroma is counted of grey pictures too.
    """
    bits = prepared.known_bits
    for part in prepared.parts:
        index, is_block = part.level_rows, part.kind is BLOCK
        network = model.blocks if is_block else model.details
        stage_row = min(part.stages - part.at, STAGE_ROWS - 1)
        stage = () if is_block else (torch.full_like(index, stage_row),)
        with torch.autocast(bits.device.type, dtype=torch.bfloat16, enabled=autocast):
            features = network_input(part.seen)
            seen = network.trunk(features, index, *stage)
            if network.heads_see_features:
                seen = torch.cat([seen, features], 1)
            found = _part_bits(network, part, seen, ablation)
        bits = bits.index_add(0, part.rows, found)
    return bits


def _part_bits(network: PartPredictor, part: PartBatch, seen: Tensor, ablation: Ablation) -> Tensor:
    """(R,): bits of one part. seen: what the network's heads see before symbols."""
    bits = torch.zeros(len(part.level_rows), device=seen.device)
    for group, rows in enumerate(part.groups):
        if len(rows):
            logits = _both_parities(network, part, group, seen[rows], ablation)
            bits = bits.index_add(0, rows, group_bits(logits, part, group))
    return bits


def _both_parities(
    network: PartPredictor, part: PartBatch, group: int, seen: Tensor, ablation: Ablation
) -> Tensor:
    """Logits (R', h, w, HEAD_OUTPUTS n), at each place those of the pass that tells of it."""
    rows = part.groups[group]
    change, index = part.change[rows], part.level_rows[rows]
    grid, views = change.shape[1:3], []
    for parity in (0, 1):
        told = _told_before(part.kind, group, parity, *grid, change.device)[index]
        if ablation == "single_pass":
            told = torch.zeros_like(told)
        symbols = torch.cat([change * told, told], dim=-1)
        views.append(network_input(symbols))
    head = network.heads[group]
    assert isinstance(head, GroupHead)
    ahead = head.ahead(seen)
    logits = head(torch.cat(views), torch.cat([index, index]), torch.cat([ahead, ahead])).float()
    even, odd = logits.permute(0, 2, 3, 1).chunk(2)
    return torch.where(_even_places(*grid, change.device), even, odd)


@cache
def _told_before(
    kind: PartKind, group: int, parity: int, height: int, width: int, device: torch.device
) -> Tensor:
    """float32 (levels, h, w, C), embedded_symbols.told_before, there."""
    told = told_before(kind, group, parity, height, width)
    return table_on(device, told.astype(np.float32))


@cache
def _even_places(height: int, width: int, device: torch.device) -> Tensor:
    """bool (h, w, 1), there."""
    return table_on(device, places_with(0, height, width)[..., None])


def new_predictor(seed: int, size: Size = BLOCK_SIZE) -> PlanePredictor:
    """An untrained network, its memory laid out for speed. size: of the part for blocks."""
    torch.manual_seed(seed)
    model = PlanePredictor(block_size=size)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def prepared_batch(
    batch: Batch,
    random: np.random.Generator,
    linear: Linear,
    ablation: Ablation,
    worth_of: Mapping[int, float],
) -> Prepared:
    """What a training step asks of a batch. worth_of: see Emphasis.worth."""
    del random
    worth = np.array([worth_of[level] for level in batch.levels.tolist()], np.float32)
    return prepare(
        batch.coefficients, batch.levels, linear, batch.weights, worth,
        no_linear=ablation == "no_linear",
    )  # fmt: skip


def train_predictor(
    name: str,
    model: PlanePredictor,
    batches: Batches,
    linear: Linear,
    settings: LoopSettings,
    ablation: Ablation,
    muon_rate: float,
    worth: Mapping[int, float],
) -> None:
    """Trains for the settings' minutes; the checkpoint is `<name>.checkpoint.pt`.

    worth: see Emphasis.
    """

    def loss_of(batch: Prepared) -> tuple[Tensor, dict[str, Tensor]]:
        there = batch.to(settings.device)
        bits = bits_of(model, there, ablation, autocast=True)
        bpp = bits * there.weights / (there.places * SIDE**2)
        return (there.worth * bpp).sum(), {"bpp": bpp.detach().sum()}

    make = partial(prepared_batch, linear=linear, ablation=ablation, worth_of=worth)
    feed = Feed(batches, make, settings.workers)
    model.to(settings.device)
    optimisers = optimisers_for(model, settings.peak_rate, muon_rate)
    train(name, model, loss_of, batches.count, settings, optimisers, feed)
    model.to("cpu")


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
