"""One convolution layer in two forms: one that learns, one that computes with integers only.

The networks (semantic_encoder.py, semantic_decoder.py, enhancement_network.py) are written once
and take the form as an argument:

    TrainableConv   conv -> batch normalisation -> clip (the ReLU) -> round to the domain's step
    ExactConv       the same with the normalisation folded into integer weights

ExactConv computes  floor((w * x + b) 2^-s)  with integers w, x, b held in float32. It is exact
because for every output channel  sum|w| max|x| + |b| < 2^24  (checked when weights are loaded):
each partial sum is an integer that float32 holds, so neither the order of summation nor fused
multiply-add, thread count, batch size or memory format can change a result. Convolution
algorithms that leave the integers (Winograd's transforms, TF32) must stay off: see device.py.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.fixed_point import ACTIVATION, EXACT_BOUND, FixedPoint

MAX_SHIFT = 14


class Conv(nn.Module):
    """What both forms share: sums of products, of all inputs at once or of the first ones ahead."""

    def __init__(self, stride: int, padding: int) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding

    def weight_and_bias(self) -> tuple[Tensor, Tensor | None]:
        """(C', C, size, size) and, if the sums have one, (C',)."""
        raise NotImplementedError

    def ahead(self, x: Tensor) -> Tensor:
        """What the first inputs, as many as x has, bring to the convolution's sums."""
        weight, _ = self.weight_and_bias()
        return F.conv2d(x, weight[:, : x.shape[1]], None, self.stride, self.padding)

    def sums(self, x: Tensor, ahead: Tensor | None) -> Tensor:
        """ahead: what `ahead` made of the first inputs, if x holds only the others."""
        weight, bias = self.weight_and_bias()
        if ahead is None:
            return F.conv2d(x, weight, bias, self.stride, self.padding)
        return F.conv2d(x, weight[:, -x.shape[1] :], bias, self.stride, self.padding).add_(ahead)


class ConvFactory(Protocol):
    """The signature that both forms share."""

    def __call__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        source: FixedPoint = ACTIVATION,
        target: FixedPoint = ACTIVATION,
        size: int = 3,
    ) -> Conv: ...


class TrainableConv(Conv):
    """Convolution in real numbers, 3x3 unless `size` says 1.

    (B, C, H, W) float -> (B, C', H/stride, W/stride) float.

    Activations are rounded to the domain's step with a straight-through gradient, so that the
    network learns under the rounding that it will meet. Heads (targets other than ACTIVATION)
    have a bias and no normalisation, and are left unrounded: their user decides.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        source: FixedPoint = ACTIVATION,
        target: FixedPoint = ACTIVATION,
        size: int = 3,
    ) -> None:
        super().__init__(stride, size // 2)
        self.source, self.target, self.is_head = source, target, target is not ACTIVATION
        self.conv = nn.Conv2d(
            in_channels, out_channels, size, stride=stride, padding=size // 2, bias=self.is_head
        )
        self.norm = nn.Identity() if self.is_head else nn.BatchNorm2d(out_channels)

    def weight_and_bias(self) -> tuple[Tensor, Tensor | None]:
        """See Conv."""
        return self.conv.weight, self.conv.bias

    def forward(
        self, x: Tensor, residual: Tensor | None = None, ahead: Tensor | None = None
    ) -> Tensor:
        """ahead: see Conv.sums."""
        y: Tensor = self.norm(self.sums(x, ahead))
        if residual is not None:
            y = y + residual
        y = y.clamp(self.target.low / self.target.unit, self.target.high / self.target.unit)
        if self.is_head:
            return y
        return y + (torch.round(y * self.target.unit) / self.target.unit - y).detach()

    @torch.no_grad()
    def integers(self) -> dict[str, Tensor]:
        """Folds the normalisation and rounds: {"weight": int16, "bias": int32, "shift": int8}.

        Each output channel gets the finest step 2^-shift for which its sums stay exact.
        """
        weight = self.conv.weight.double()
        if isinstance(self.norm, nn.BatchNorm2d):
            mean, var = self.norm.running_mean, self.norm.running_var
            assert mean is not None and var is not None
            gain = self.norm.weight.double() / (var.double() + self.norm.eps).sqrt()
            weight, bias = weight * gain.view(-1, 1, 1, 1), self.norm.bias - mean * gain
        else:
            assert self.conv.bias is not None
            bias = self.conv.bias.double()
        rows, biases, shifts = [], [], []
        for w, b in zip(weight, bias.double(), strict=True):
            for shift in range(MAX_SHIFT, -1, -1):
                rounded = torch.round(w * 2**shift)
                step = 2**shift * self.source.unit / self.target.unit
                # Half a step of the target makes the final floor a rounding.
                offset = torch.round(b * 2**shift * self.source.unit) + step / 2
                bound = rounded.abs().sum() * self.source.magnitude + offset.abs()
                if bound < EXACT_BOUND and rounded.abs().max() < 2**15 and step >= 2:
                    break
            else:
                raise ValueError("a channel's weights are too large for exact sums")
            rows.append(rounded.to(torch.int16))
            biases.append(offset.to(torch.int32))
            shifts.append(shift)
        return {
            "weight": torch.stack(rows),
            "bias": torch.stack(biases),
            "shift": torch.tensor(shifts, dtype=torch.int8),
        }


class ExactConv(Conv):
    """Convolution over integers held in float32, (B, C, H, W) -> (B, C', H/stride, W/stride).

    Values in and out are integers within the domains `source` and `target`. Buffers: weight
    (C', C, size, size) and bias (C',) integer-valued float32, scale (C',) a power of two.
    """

    weight: Tensor
    bias: Tensor
    scale: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        source: FixedPoint = ACTIVATION,
        target: FixedPoint = ACTIVATION,
        size: int = 3,
    ) -> None:
        super().__init__(stride, size // 2)
        self.source, self.target = source, target
        self.register_buffer("weight", torch.zeros(out_channels, in_channels, size, size))
        self.register_buffer("bias", torch.zeros(out_channels))
        self.register_buffer("scale", torch.ones(out_channels, 1, 1))

    def load_integers(self, weight: Tensor, bias: Tensor, shift: Tensor) -> None:
        """Takes over TrainableConv.integers. Raises ValueError if sums could be inexact."""
        for tensor in (weight, bias, shift):
            check_integers(tensor)
        channels = self.weight.shape[:1]
        for found, expected in (
            (weight.shape, self.weight.shape), (bias.shape, channels), (shift.shape, channels),
        ):  # fmt: skip
            if found != expected:
                raise ValueError(
                    f"expected weights of shape {tuple(expected)}, found {tuple(found)}"
                )
        if int(shift.min()) < 0 or int(shift.max()) > MAX_SHIFT:
            raise ValueError(f"expected shifts of 0 .. {MAX_SHIFT}")
        worst = (
            weight.to(torch.int64).abs().sum((1, 2, 3)) * self.source.magnitude
            + bias.to(torch.int64).abs()
        )
        if int(worst.max()) >= EXACT_BOUND:
            raise ValueError(f"sums up to {int(worst.max())} are not exact in float32")
        ratio = self.target.unit / self.source.unit
        steps = [ratio * 2.0 ** -int(each) for each in shift]
        self.weight = weight.to(torch.float32).contiguous(memory_format=torch.channels_last)
        self.bias = bias.to(torch.float32)
        self.scale = torch.tensor(steps, dtype=torch.float32).view(-1, 1, 1)

    def weight_and_bias(self) -> tuple[Tensor, Tensor | None]:
        """See Conv: whole numbers, and so are all sums."""
        return self.weight, self.bias

    def forward(
        self, x: Tensor, residual: Tensor | None = None, ahead: Tensor | None = None
    ) -> Tensor:
        """ahead: see Conv.sums."""
        y = self.sums(x, ahead).mul_(self.scale).floor_()
        if residual is not None:
            y = y.add_(residual)
        return y.clamp_(self.target.low, self.target.high)


def check_integers(tensor: Tensor) -> None:
    """Raises ValueError for what is not whole by its type, or too wide to be added up in int64.

    A value that is no number would pass every comparison and end as an index into a table.
    """
    if tensor.dtype not in (torch.int8, torch.int16, torch.int32):
        raise ValueError(f"expected integers of at most 32 bits, found {tensor.dtype}")


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut, (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int, conv: ConvFactory) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.second = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x), residual=x)
        return y


def integer_state(network: nn.Module) -> dict[str, Tensor]:
    """All integers of a trained network, keyed `<layer>.weight|bias|shift`: what is committed."""
    return {
        f"{name}.{key}": value
        for name, module in network.named_modules()
        if isinstance(module, TrainableConv)
        for key, value in module.integers().items()
    }


def load_integer_state(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Loads every ExactConv of `network`. Raises KeyError or ValueError if they do not fit."""
    for name, module in network.named_modules():
        if isinstance(module, ExactConv):
            keys = ("weight", "bias", "shift")
            module.load_integers(*(state[f"{name}.{key}"] for key in keys))
