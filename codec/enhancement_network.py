"""The enhancement network: a U-Net that predicts the picture from what is known so far.

One per bitplane. Input are the current reconstruction and the planes already decoded (as the
lower end of the interval that they leave to each pixel); output is a correction to the current
reconstruction's logits, so that the sigmoid at the end gives the predicted picture.

    6 x H x W -> space to depth 24 x H/2 x W/2
      -> two convs  a ------------------- skip -------------------> concat -> two convs -> conv
           -> pool -> two convs  b x H/4 x W/4 -> nearest upsampling -^          -> depth to space

Source: Samarathunga et al., the enhancement network: "a modified U-Net with skip connections",
pairs of convolution, batch normalisation and ReLU, a sigmoid at the end. Its widths are ours.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.convolution import ConvFactory
from codec.fixed_point import LOGIT, PIXEL


class EnhancementNetwork(nn.Module):
    def __init__(self, conv: ConvFactory, width: int = 48, deep_width: int = 64) -> None:
        super().__init__()
        self.down = nn.Sequential(conv(24, width, source=PIXEL), conv(width, width))
        self.deep = nn.Sequential(conv(width, deep_width), conv(deep_width, deep_width))
        self.up = nn.Sequential(conv(width + deep_width, width), conv(width, width))
        self.head = conv(width, 12, target=LOGIT)

    def forward(self, current: Tensor, known: Tensor) -> Tensor:
        """Two pictures (B, 3, H, W) in the domain PIXEL -> logit corrections (B, 3, H, W).

        `current` is the reconstruction so far, `known` equation (1)'s V_corr: the planes already
        decoded, lower bits zero. H and W are multiples of 4.
        """
        x = F.pixel_unshuffle(torch.cat([current, known], 1), 2)
        skip = self.down(x)
        deep = self.deep(F.max_pool2d(skip, 2))
        x = self.up(torch.cat([skip, F.interpolate(deep, scale_factor=2.0)], 1))
        return F.pixel_shuffle(self.head(x), 2)
