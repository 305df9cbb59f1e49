"""Trains the estimator of the embedded profile: the picture to show of a stream cut anywhere.

The squared error of the expected coefficients, weighted with their gains, is that of the picture.
The loss is its mean logarithm, the mean PSNR, so that coarse and fine pictures count alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.embedded.knowledge import block_features, known_of_part, middles
from codec.embedded.networks import (
    ESTIMATOR_BLOCKS,
    ESTIMATOR_WIDTH,
    FEATURES,
    SYMBOLS,
    PictureEstimator,
)
from codec.embedded.pyramid import split
from codec.embedded.schedule import BLOCK, MEANS, ROOT
from codec.embedded.transform import CHANNELS, GAIN
from codec.fixed_point import SIGNED
from codec.training.embedded_data import Batch, Batches
from codec.training.embedded_feed import Feed
from codec.training.embedded_linear import Linear
from codec.training.embedded_predictor import network_input
from codec.training.embedded_prepared import level_index, moved_to
from codec.training.embedded_symbols import known_after, means_of, random_prefix, symbols_of
from codec.training.loop import LoopSettings, train
from codec.training.muon import optimisers_for

SHARES = {
    11: 1, 10: 1, 9: 1, 8: 2, 7: 3, 6: 5, 5: 6, 4: 7, 3: 6, 2: 5, 1: 3, 0: 2, -1: 1
}  # fmt: skip
"""Pictures of each level in a batch."""
MEANS_TOLD = 0.9
"""Of the streams of a batch these end within blocks, the others before or within the means."""
CALIBRATION_BATCHES = 12
LEAST_MSE = 0.02
"""Added to mean squared errors: beyond 65 dB there is nothing to win."""


def intervals(
    blocks: NDArray[np.int32],
    means: NDArray[np.int32],
    level: int,
    told: NDArray[np.bool_],
    means_told: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Middles and half lengths of what is known of coefficients, (B, h, w, 48).

    blocks: the true ones. means: (B, h, w, 3), as they are known. told: (B, h, w, 48), of which
    coefficients the symbol of `level` has come; means_told: (B,), whether all means' have. See
    knowledge.estimates, which has the same in integers.
    """
    planes = BLOCK.planes(level)
    step = np.where(planes >= 0, 1 << np.maximum(planes, 0), 0).astype(np.float64)
    known = known_of_part(blocks, BLOCK, level)
    open_half = np.where(known != 0, step, 2 * step)
    # What is told ends with a whole number, what is still to be told in between.
    low = known_after(blocks, BLOCK, level)
    told_half = np.where(low != 0, (step - 1) / 2, step - 0.5)
    told_half = np.where(step <= 1, 0.0, told_half)
    told_middle = low + np.sign(low) * np.maximum(step - 1, 0) / 2
    middle = np.where(told, told_middle, middles(known, planes))
    half = np.where(told, told_half, open_half)
    middle[..., MEANS] = means
    half[..., MEANS] = 2.0 ** (ROOT.planes(level) + 1 - means_told[:, None, None, None])
    return middle.astype(np.float32), half.astype(np.float32)


@dataclass(frozen=True, slots=True)
class PreparedEnds:
    """Streams that end somewhere, as tensors.

    seen: float32 (B, h, w, features and symbols), over SIGNED.unit. level_rows: int64 (B,), of the
    networks' tables. off, half: float32 (B, h, w, 48), how far the interval's middle is from the
    truth, and half its length.
    """

    seen: Tensor
    level_rows: Tensor
    off: Tensor
    half: Tensor

    def to(self, device: torch.device | str) -> PreparedEnds:
        """The same there."""
        return moved_to(self, device)


def prepare_ends(
    coefficient: NDArray[np.int32],
    levels: NDArray[np.int64],
    told: NDArray[np.bool_],
    means_told: NDArray[np.bool_],
    linear: Linear,
) -> PreparedEnds:
    """coefficient, told: (B, h, w, 48). levels, means_told: (B,). See `intervals`."""
    parts = split(coefficient)
    blocks = parts[-1]
    seen = np.empty((*coefficient.shape[:3], FEATURES + SYMBOLS), np.float32)
    middle, half = (np.empty(coefficient.shape, np.float32) for _ in range(2))
    for level in np.unique(levels).tolist():
        rows = levels == level
        some = [part[rows] for part in parts]
        whole = means_told[rows]
        means = np.where(
            whole[:, None, None, None],
            means_of(some, level, told=True)[-1],
            means_of(some, level, told=False)[-1],
        )
        known = known_of_part(some[-1], BLOCK, level)
        seen[rows, ..., :FEATURES] = block_features(known, means, level, linear.block_row(level))
        middle[rows], half[rows] = intervals(some[-1], means, level, told[rows], whole)
    seen[..., :FEATURES] /= SIGNED.unit
    seen[..., FEATURES:-CHANNELS] = symbols_of(blocks, BLOCK, levels, len(parts) - 2).change * told
    seen[..., -CHANNELS:] = told
    off = middle - coefficient.astype(np.float32)
    return PreparedEnds(
        torch.from_numpy(seen),
        level_index(levels),
        torch.from_numpy(off),
        torch.from_numpy(half),
    )


def errors_of(model: PictureEstimator, ends: PreparedEnds, *, autocast: bool = False) -> Tensor:
    """(B,): mean squared error per value of each picture, were streams to end here.

    Both on one device. autocast: convolve in bfloat16, which holds activations and features
    exactly.
    """
    with torch.autocast(ends.seen.device.type, dtype=torch.bfloat16, enabled=autocast):
        logits = model(network_input(ends.seen), ends.level_rows)
    place = torch.tanh(logits.float()).permute(0, 2, 3, 1)
    gain = torch.from_numpy(GAIN.astype(np.float32)).to(place.device)
    errors: Tensor = ((ends.off + ends.half * place) * gain).square().mean((1, 2, 3))
    return errors


def new_estimator(
    seed: int, width: int = ESTIMATOR_WIDTH, blocks: int = ESTIMATOR_BLOCKS
) -> PictureEstimator:
    """An untrained network, its memory laid out for speed."""
    torch.manual_seed(seed)
    model = PictureEstimator(width=width, blocks=blocks)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def any_ends(batch: Batch, random: np.random.Generator, linear: Linear) -> PreparedEnds:
    """Of streams that end anywhere within the levels of a batch."""
    height, width = batch.coefficients.shape[1:3]
    means_told = random.random(len(batch.levels)) < MEANS_TOLD
    told = np.concatenate(
        [random_prefix(level, 1, height, width, random) for level in batch.levels.tolist()]
    )
    told &= means_told[:, None, None, None]
    return prepare_ends(batch.coefficients, batch.levels, told, means_told, linear)


@torch.no_grad()
def look(model: PictureEstimator, batches: Batches, linear: Linear) -> None:
    """Evaluates the model on what it is trained on, as calibrate() wants it."""
    for _ in range(CALIBRATION_BATCHES):
        ends = any_ends(batches.some(), batches.random, linear)
        errors_of(model, ends, autocast=True)


def train_estimator(
    model: PictureEstimator,
    batches: Batches,
    linear: Linear,
    settings: LoopSettings,
    muon_rate: float,
) -> None:
    """Trains for the settings' minutes; the checkpoint is `estimator.checkpoint.pt`."""

    def loss_of(ends: PreparedEnds) -> tuple[Tensor, dict[str, Tensor]]:
        mse = errors_of(model, ends.to(settings.device), autocast=True)
        psnr_db = 10 * torch.log10(255**2 / (mse.detach() + LEAST_MSE))
        return torch.log(mse + LEAST_MSE).mean(), {"psnr_db": psnr_db.mean()}

    feed = Feed(batches, partial(any_ends, linear=linear), settings.workers)
    model.to(settings.device)
    optimisers = optimisers_for(model, settings.peak_rate, muon_rate)
    train("estimator", model, loss_of, batches.count, settings, optimisers, feed)
    model.to("cpu")
