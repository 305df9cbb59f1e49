"""Trains the estimator of the embedded profile: the picture to show of a stream cut anywhere.

The squared error of the expected coefficients, weighted with their gains, is that of the picture.
The loss is its mean logarithm, the mean PSNR, so that coarse and fine pictures count alike.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.embedded.knowledge import known_before
from codec.embedded.networks import PictureEstimator
from codec.embedded.schedule import planes_of
from codec.embedded.transform import GAIN
from codec.training.embedded_data import Batches, EmbeddedData
from codec.training.embedded_predictor import (
    float_features,
    level_index,
    network_input,
    symbols_at,
)
from codec.training.embedded_symbols import random_prefix
from codec.training.loop import LoopSettings, train

SHARES = {8: 2, 7: 3, 6: 5, 5: 6, 4: 7, 3: 6, 2: 5, 1: 3, 0: 2, -1: 1}
"""Pictures of each level in a batch."""
LEAST_MSE = 0.02
"""Added to mean squared errors: beyond 65 dB there is nothing to win."""


def intervals(
    coefficient: NDArray[np.int32], level: int, told: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Middles and half lengths of what is known of coefficients (B, h, w, 48).

    told: of which of them the symbol of `level` has come. See knowledge.estimates, which has the
    same in integers.
    """
    planes = planes_of(level)
    step = np.where(planes >= 0, 1 << np.maximum(planes, 0), 0)
    sign, known = np.sign(coefficient), np.abs(known_before(coefficient, level))
    open_half = np.where(known != 0, step, 2 * step)
    open_middle = np.where(known != 0, known + step, 0)
    # What is told ends with a whole number, what is still to be told in between.
    low = np.where(step > 0, np.abs(coefficient) // np.maximum(step, 1) * step, 0)
    told_half = np.where(low != 0, (step - 1) / 2, step - 0.5)
    told_half = np.where(step <= 1, 0.0, told_half)
    told_middle = np.where(low != 0, low + (step - 1) / 2, 0.0)
    middle = sign * np.where(told, told_middle, open_middle)
    half = np.where(told, told_half, open_half)
    return middle.astype(np.float32), half.astype(np.float32)


def squared_errors(
    model: PictureEstimator,
    coefficient: NDArray[np.int32],
    levels: NDArray[np.int64],
    told: NDArray[np.bool_],
    linear: NDArray[np.int16],
    *,
    autocast: bool = False,
) -> Tensor:
    """(B,): mean squared error per value of each picture, were streams to end here.

    coefficient, told: (B, h, w, 48). levels: (B,). linear: knowledge.LINEAR_SHAPE.
    """
    change = symbols_at(coefficient, levels).change * told
    seen = np.concatenate(
        [float_features(coefficient, levels, linear), change, told], axis=-1, dtype=np.float32
    )
    middle, half = (np.empty(coefficient.shape, np.float32) for _ in range(2))
    for level in np.unique(levels).tolist():
        rows = levels == level
        middle[rows], half[rows] = intervals(coefficient[rows], level, told[rows])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        logits = model(network_input(seen), level_index(levels))
    place = torch.tanh(logits.float()).permute(0, 2, 3, 1)
    off = torch.from_numpy(middle - coefficient.astype(np.float32))
    gain = torch.from_numpy(GAIN.astype(np.float32))
    errors: Tensor = ((off + torch.from_numpy(half) * place) * gain).square().mean((1, 2, 3))
    return errors


def new_estimator(seed: int) -> PictureEstimator:
    """An untrained network, its memory laid out for speed."""
    torch.manual_seed(seed)
    model = PictureEstimator()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def train_estimator(
    data: EmbeddedData, linear: NDArray[np.int16], settings: LoopSettings
) -> PictureEstimator:
    """Trains for the settings' minutes; the checkpoint is `estimator.checkpoint.pt`."""
    model = new_estimator(settings.seed)
    batches = Batches(data, SHARES, settings.batch, settings.seed)

    def loss_of(indices: NDArray[np.int64]) -> tuple[Tensor, dict[str, float]]:
        batch = batches.draw(indices)
        height, width = batch.coefficients.shape[1:3]
        told = np.concatenate(
            [
                random_prefix(level, 1, height, width, batches.random)
                for level in batch.levels.tolist()
            ]
        )
        mse = squared_errors(model, batch.coefficients, batch.levels, told, linear, autocast=True)
        psnr_db = 10 * torch.log10(255**2 / (mse.detach() + LEAST_MSE))
        return torch.log(mse + LEAST_MSE).mean(), {"psnr_db": float(psnr_db.mean())}

    train("estimator", model, loss_of, len(data.train), settings)
    return model
