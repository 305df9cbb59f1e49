"""The semantic decoder: the latent back to a picture, the base layer's reconstruction.

    latent C x H/4 x W/4
      -> conv, two residual blocks   96 x H/4 x W/4
      -> conv, depth to space        48 x H/2 x W/2
      -> residual block
      -> conv, depth to space         3 x H x W      logits; a sigmoid makes them pixel values

Source: Samarathunga et al., the autoencoder of the semantic base layer.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from codec.convolution import ConvFactory, ResidualBlock
from codec.fixed_point import LATENT, LOGIT
from codec.semantic_encoder import LATENT_CHANNELS


class SemanticDecoder(nn.Module):
    def __init__(self, conv: ConvFactory, width: int = 48) -> None:
        super().__init__()
        self.stem = conv(LATENT_CHANNELS, 2 * width, source=LATENT)
        self.coarse = nn.Sequential(ResidualBlock(2 * width, conv), ResidualBlock(2 * width, conv))
        self.up = conv(2 * width, 4 * width)
        self.fine = ResidualBlock(width, conv)
        self.head = conv(width, 12, target=LOGIT)

    def forward(self, latent: Tensor) -> Tensor:
        """(B, C, H/4, W/4) in the domain LATENT -> (B, 3, H, W) in the domain LOGIT."""
        x = self.coarse(self.stem(latent))
        x = self.fine(F.pixel_shuffle(self.up(x), 2))
        return F.pixel_shuffle(self.head(x), 2)
