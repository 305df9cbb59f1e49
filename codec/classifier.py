"""A small classifier of CIFAR-10's ten classes: does a received picture still show what it showed?

A residual network after K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image
recognition", CVPR 2016, no longer than 90 % needs. It ends in the greatest response anywhere in the
picture, and so takes pictures of any size, but has learned from 32x32 alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from codec.base import check_image
from codec.device import evaluate
from codec.weights_file import load_network

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
WEIGHTS = Path(__file__).parent / "weights" / "classifier" / "classifier.safetensors"


class Unit(nn.Module):
    """Convolution and rectifier."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.convolution(x))


MakeUnit = Callable[[int, int, int], nn.Module]
"""(input channels, output channels, stride) to a unit."""


class Residual(nn.Module):
    """Two units around which the input passes."""

    def __init__(self, unit: MakeUnit, channels: int) -> None:
        super().__init__()
        self.first, self.second = unit(channels, channels, 1), unit(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.second(self.first(x))
        return x + inner


class Classifier(nn.Module):
    """float (N, 3, H, W) in 0 .. 1 to the logits of CLASSES, (N, 10)."""

    def __init__(self, unit: MakeUnit = Unit) -> None:
        """`unit`: the training's carries a normalisation."""
        super().__init__()
        self.features = nn.Sequential(
            unit(3, 32, 1),
            unit(32, 64, 2),
            Residual(unit, 64),
            unit(64, 128, 2),
            Residual(unit, 128),
            unit(128, 256, 2),
            Residual(unit, 256),
        )
        self.out = nn.Linear(256, len(CLASSES))

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.out(self.features(4.0 * (pictures - 0.5)).amax((2, 3)))
        return logits


@cache
def load_classifier(path: Path = WEIGHTS) -> tuple[Classifier, str]:
    """The classifier, and the SHA-256 of its weights. Raises CodecError if they cannot be used."""
    return load_network(path, "the classifier", lambda _: Classifier())


@torch.no_grad()
def class_of(picture: NDArray[np.uint8]) -> int:
    """The most likely of CLASSES by number, of a uint8 (height, width, 3) picture.

    Pictures go through the network one by one: what it says of one never depends on others.
    Raises CodecError for anything but such a picture.
    """
    check_image(picture)
    pixels = torch.from_numpy(picture.transpose(2, 0, 1).astype(np.float32) / 255.0)
    return int(evaluate(load_classifier()[0], pixels[None]).argmax())
