"""The semantic encoder: a picture to the latent of the base layer.

    picture 3 x H x W
      -> space to depth           12 x H/2 x W/2
      -> conv, residual block     48 x H/2 x W/2
      -> conv, stride 2           96 x H/4 x W/4
      -> two residual blocks
      -> conv                      C x H/4 x W/4    the latent, rounded to integers

Source: Samarathunga et al., the autoencoder of the semantic base layer. The paper leaves sizes
open; these keep most of the work at half and quarter resolution.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from codec.convolution import ConvFactory, ResidualBlock
from codec.fixed_point import LATENT, PIXEL

LATENT_CHANNELS = 8
"""At the rates of a base layer no more than these come to life in training."""
LATENT_STRIDE = 4
"""One latent position stands for 4x4 pixels: heights and widths are padded to multiples of it."""


class SemanticEncoder(nn.Module):
    def __init__(self, conv: ConvFactory, width: int = 48) -> None:
        super().__init__()
        self.stem = conv(12, width, source=PIXEL)
        self.fine = ResidualBlock(width, conv)
        self.down = conv(width, 2 * width, stride=2)
        self.coarse = nn.Sequential(ResidualBlock(2 * width, conv), ResidualBlock(2 * width, conv))
        self.head = conv(2 * width, LATENT_CHANNELS, target=LATENT)

    def forward(self, picture: Tensor) -> Tensor:
        """(B, 3, H, W) in the domain PIXEL -> (B, C, H/4, W/4) in the domain LATENT."""
        x = self.stem(F.pixel_unshuffle(picture, 2))
        x = self.coarse(self.down(self.fine(x)))
        latent: Tensor = self.head(x)
        return latent
