"""LPIPS: how far apart two pictures are to a network that has learned to see.

R. Zhang, P. Isola, A. Efros, E. Shechtman, O. Wang, "The unreasonable effectiveness of deep
features as a perceptual metric", CVPR 2018: the variant with AlexNet's features, version 0.1.
Nothing is fetched. The weights are two published files, `alexnet-owt-7be5be79.pth` of torchvision
and `weights/v0.1/alex.pth` of the package lpips, made into one, with their names of tensors:

    import torch, safetensors.torch
    both = [torch.load(f, weights_only=True) for f in ("alexnet-owt-7be5be79.pth", "alex.pth")]
    kept = {k: v for each in both for k, v in each.items() if k.startswith(("features.", "lin"))}
    safetensors.torch.save_file(kept, "lpips_alex.safetensors")
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from codec.device import evaluate
from codec.weights_file import load_network

LEAST_SIDE = 31
"""Pixels below which nothing is left of a picture at AlexNet's third convolution."""
_MEAN = (-0.030, -0.088, -0.188)
_DEVIATION = (0.458, 0.448, 0.450)
_LEAST_NORM = 1e-10


class LpipsNetwork(nn.Module):
    """AlexNet's convolutions, and a weight for each of their channels."""

    def __init__(self) -> None:
        super().__init__()
        # The names of the published tensors: rectifiers and pools have numbers, too.
        self.features = nn.ModuleDict(
            {
                "0": nn.Conv2d(3, 64, 11, stride=4, padding=2),
                "3": nn.Conv2d(64, 192, 5, padding=2),
                "6": nn.Conv2d(192, 384, 3, padding=1),
                "8": nn.Conv2d(384, 256, 3, padding=1),
                "10": nn.Conv2d(256, 256, 3, padding=1),
            }
        )
        for index, channels in enumerate((64, 192, 384, 256, 256)):
            weight = nn.Conv2d(channels, 1, 1, bias=False)
            self.add_module(f"lin{index}", nn.ModuleDict({"model": nn.ModuleDict({"1": weight})}))

    def weights_of(self, layer: int) -> Tensor:
        """(channels, 1, 1)."""
        return self.get_parameter(f"lin{layer}.model.1.weight")[0]

    def directions(self, pixels: Tensor) -> list[Tensor]:
        """Of float32 (3, H, W), 0 .. 255: after each rectifier, (C, H, W) with vectors of length 1
        along C.
        """
        shift, scale = (
            torch.tensor(values, device=pixels.device)[:, None, None]
            for values in (_MEAN, _DEVIATION)
        )
        x = (pixels / 127.5 - 1.0 - shift) / scale
        found = []
        for number, convolution in self.features.items():
            if number in ("3", "6"):
                x = functional.max_pool2d(x, 3, 2)
            x = functional.relu(convolution(x))
            found.append(x / (x.square().sum(0).sqrt() + _LEAST_NORM))
        return found

    def forward(self, reference: Tensor, picture: Tensor) -> Tensor:
        """A number, of two float32 (3, H, W), 0 .. 255."""
        pairs = zip(self.directions(reference), self.directions(picture), strict=True)
        layers = [
            (self.weights_of(layer) * (a - b).square()).sum(0).mean()
            for layer, (a, b) in enumerate(pairs)
        ]
        return torch.stack(layers).sum()

    @torch.no_grad()
    def distance(self, reference: NDArray[np.uint8], picture: NDArray[np.uint8]) -> float:
        """Of uint8 (height, width, 3), both of one size, sides at least LEAST_SIDE; 0 if equal."""
        pixels = (
            torch.from_numpy(each.transpose(2, 0, 1).astype(np.float32))
            for each in (reference, picture)
        )
        return float(evaluate(self, *pixels))


@cache
def load_lpips(path: Path) -> tuple[LpipsNetwork, str]:
    """The network of a safetensors file, and its SHA-256. Raises CodecError if it is none."""
    return load_network(path, "LPIPS", lambda _: LpipsNetwork())
