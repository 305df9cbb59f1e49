"""Stage 1: the semantic encoder and decoder, trained for rate + distortion.

loss = bits per pixel - weight * PSNR in dB, per picture as in the end. `weight` follows
the rate: it grows while pictures take fewer bits than asked for, and falls while they take more.
The rate is the cross-entropy of the latent, with uniform noise for rounding, under the network that
will choose CABAC's contexts (latent_context.py); the decoder sees rounded latents (straight-through
gradient).
Source: Balle et al., "End-to-end optimized image compression" (2017), section 3, for noise as
rounding.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.convolution import TrainableConv
from codec.fixed_point import PIXEL
from codec.semantic_decoder import SemanticDecoder
from codec.semantic_encoder import LATENT_CHANNELS, SemanticEncoder
from codec.training.latent_prior import LatentPrior
from codec.training.loop import LoopSettings, train

FIRST_WEIGHT_BPP_PER_DB = 0.13
WEIGHT_STEP = 0.01
"""Relative change of the weight in one step, for a rate that is off by its whole."""
LEAST_MSE = 1.0
"""Added to a picture's mean squared error: beyond 48 dB a base layer has nothing to win."""


class Autoencoder(nn.Module):
    """Encoder, prior and decoder in their learning form."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = SemanticEncoder(TrainableConv)
        self.decoder = SemanticDecoder(TrainableConv)
        self.prior = LatentPrior(LATENT_CHANNELS)
        self.register_buffer("log_weight", torch.tensor(math.log(FIRST_WEIGHT_BPP_PER_DB)))
        self.log_weight: Tensor

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (B, 3, H, W) -> predicted grey levels (B, 3, H, W) and bits of each latent."""
        x = pictures.float() / PIXEL.unit
        latent = self.encoder(x).float()
        bits = self.prior.bits(latent + torch.rand_like(latent) - 0.5)
        rounded = latent + (torch.round(latent) - latent).detach()
        return 256 * torch.sigmoid(self.decoder(rounded).float()) - 0.5, bits


def augment(pictures: NDArray[np.uint8], random: np.random.Generator) -> Tensor:
    """Mirrors a random half of the batch."""
    flip = random.random(len(pictures)) < 0.5
    flipped = np.where(flip[:, None, None, None], pictures[..., ::-1], pictures)
    return torch.from_numpy(np.ascontiguousarray(flipped))


def train_autoencoder(
    pictures: NDArray[np.uint8], settings: LoopSettings, target_bpp: float
) -> Autoencoder:
    """`target_bpp`: the mean rate aimed at, by the prior, in bits per pixel."""
    torch.manual_seed(settings.seed)
    random = np.random.default_rng(settings.seed)
    model = Autoencoder().to(settings.device)
    for half in (model.encoder, model.decoder):
        half.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss_of(indices: NDArray[np.int64]) -> tuple[Tensor, dict[str, float]]:
        batch = augment(pictures[indices], random).to(settings.device)
        with torch.autocast(settings.device, dtype=torch.bfloat16):
            predicted, bits = model(batch)
        bpp = bits.sum() / (batch.shape[0] * batch.shape[2] * batch.shape[3])
        squared = (predicted - batch.float()).square().mean((1, 2, 3))
        psnr_db = (10 * torch.log10(255**2 / (squared + LEAST_MSE))).mean()
        loss = bpp - model.log_weight.exp() * psnr_db
        model.log_weight += WEIGHT_STEP * (1 - bpp.detach() / target_bpp)
        figures = {
            "bpp": bpp.item(),
            "psnr_db": psnr_db.item(),
            "weight_bpp_per_db": model.log_weight.exp().item(),
        }
        return loss, figures

    train("autoencoder", model, loss_of, len(pictures), settings)
    return model
