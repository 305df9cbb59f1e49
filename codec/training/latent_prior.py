"""The network of latent_context.py in its learning form, and its way to integers."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.latent_context import (
    CAUSAL_PLACES,
    FIRST_BITS,
    FIRST_MAX,
    HIDDEN,
    HIDDEN_BITS,
    NEXT_BITS,
    NEXT_MAX,
    PLACES,
    RADIUS,
    SCALES,
    LatentModel,
    checked,
)
from codec.training.loop import LoopSettings, train

INPUT_STEP = 4.0
"""Latents are divided by this, so that weights start at a sensible size."""
LOG2_LOWEST_SCALE = -3.0
SCALES_PER_OCTAVE = 2.0


class LatentPrior(nn.Module):
    """P(latent): `bits(latent)` gives -log2 of each value's probability given those before it.

    A logistic distribution with the mean and scale of `LatentModel`, integrated over the unit
    interval around the value. Scale index i stands for 2^(i / 2 - 3).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        side = 2 * RADIUS + 1
        mask = torch.zeros(channels, HIDDEN, channels + 1, PLACES)
        for c in range(channels):
            mask[c, :, :c] = 1
            mask[c, :, c, :CAUSAL_PLACES] = 1
            mask[c, :, channels] = 1
        self.register_buffer("mask", mask.reshape(channels * HIDDEN, channels + 1, side, side))
        self.mask: Tensor
        self.first = nn.Conv2d(channels + 1, channels * HIDDEN, side, padding=RADIUS)
        self.second = nn.Conv2d(channels * HIDDEN, channels * HIDDEN, 1, groups=channels)
        self.last = nn.Conv2d(channels * HIDDEN, 2 * channels, 1, groups=channels)
        with torch.no_grad():
            self.last.weight.mul_(0.1)
            self.last.bias.copy_(torch.tensor([0.0, SCALES / 2]).repeat(channels))  # type: ignore[union-attr]

    def expectation(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) -> mean and log2 of the scale, of the same shape."""
        inside = torch.ones_like(latent[:, :1])
        x = torch.cat([latent / INPUT_STEP, inside], 1)
        x = F.relu(F.conv2d(x, self.first.weight * self.mask, self.first.bias, padding=RADIUS))
        x = self.last(F.relu(self.second(x)))
        mean, index = x.unflatten(1, (self.channels, 2)).unbind(2)
        # Outside of the table's range the scale does not follow, but a small gradient stays.
        index = index.clamp(0, SCALES - 1) + 0.01 * (index - index.clamp(0, SCALES - 1))
        return mean, index / SCALES_PER_OCTAVE + LOG2_LOWEST_SCALE

    def bits(self, latent: Tensor) -> Tensor:
        """(B, C, h, w) -> bits of each value; inputs may be real (noise in place of rounding)."""
        mean, log2_scale = self.expectation(latent)
        precision = torch.exp(-math.log(2) * log2_scale)
        x = (latent - mean).abs()
        # Both terms on the side where the sigmoid keeps its digits.
        mass = torch.sigmoid((0.5 - x) * precision) - torch.sigmoid((-0.5 - x) * precision)
        return -torch.log2(mass.clamp_min(1e-7))


def train_latent_prior(latents: NDArray[np.int32], settings: LoopSettings) -> LatentPrior:
    """Learns on latents (N, C, h, w) as they are coded."""
    torch.manual_seed(settings.seed)
    model = LatentPrior(latents.shape[1]).to(settings.device)

    def loss_of(indices: NDArray[np.int64]) -> tuple[Tensor, dict[str, float]]:
        batch = torch.from_numpy(latents[indices]).float().to(settings.device)
        bits = model.bits(batch)
        per_place = bits.sum() / (batch.shape[0] * batch.shape[2] * batch.shape[3])
        return per_place, {"bits_per_place": per_place.item()}

    train("latent_prior", model, loss_of, len(latents), settings)
    return model


def latent_model(prior: LatentPrior) -> LatentModel:
    """The prior's integers."""
    c = prior.channels

    def whole(weights: Tensor, bits: int, limit: int = (1 << 30)) -> NDArray[np.int32]:
        scaled = np.round(weights.detach().cpu().double().numpy() * 2.0**bits)
        integers: NDArray[np.int32] = np.clip(scaled, -limit, limit).astype(np.int32)
        return np.ascontiguousarray(integers)

    first = (prior.first.weight * prior.mask).reshape(c, HIDDEN, (c + 1) * PLACES)
    steps = torch.ones(c + 1, PLACES, device=first.device)
    steps[:c] = 1 / INPUT_STEP
    first = (first * steps.reshape(-1)).transpose(1, 2)
    biases = [layer.bias.reshape(c, -1) for layer in (prior.first, prior.second, prior.last)]  # type: ignore[union-attr]
    sum_bits = NEXT_BITS + HIDDEN_BITS
    return checked(
        LatentModel(
            whole(first, FIRST_BITS, FIRST_MAX),
            whole(biases[0], FIRST_BITS),
            whole(
                prior.second.weight.reshape(c, HIDDEN, HIDDEN).transpose(1, 2), NEXT_BITS, NEXT_MAX
            ),
            whole(biases[1], sum_bits),
            whole(prior.last.weight.reshape(c, 2, HIDDEN).transpose(1, 2), NEXT_BITS, NEXT_MAX),
            whole(biases[2], sum_bits),
        )
    )
