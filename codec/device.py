"""On which device networks are evaluated: the one place that knows.

    set_device("cuda")          once per process; "cpu" unless said otherwise
    evaluate(network, *inputs)  inputs and result are on the CPU, wherever it is computed
                                (method: another of its methods than forward)

On the CPU `evaluate` is a mere call. On another device a copy of the network is made once; the
network itself stays where it is.

What drives the arithmetic coder must come out as the same integers everywhere (convolution.py).
On a GPU that takes convolutions which are nothing but sums of products in IEEE binary32: cuDNN,
which may choose Winograd's or Fourier transforms, is off, and so is TF32. `set_device` also tries
such sums and refuses a GPU that gets one wrong. Networks that compute with floating point
(DeepJSCC, the classifier, LPIPS) differ from the CPU's in their last digits.
"""

from __future__ import annotations

import os
from copy import deepcopy
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codec.base import CodecError
from codec.fixed_point import ACTIVATION, EXACT_BOUND

HOME = torch.device("cpu")

_device = HOME
_copies: WeakKeyDictionary[nn.Module, nn.Module] = WeakKeyDictionary()


def set_device(name: str) -> None:
    """Has networks evaluated on `cpu` or `cuda` (the first GPU that torch sees) from here on.

    Raises CodecError if there is no such device, or its sums are not exact.
    """
    global _device
    if name not in ("cpu", "cuda"):
        raise CodecError(f"expected cpu or cuda, found {name!r}")
    found = torch.device(name)
    if found == _device:
        return
    if found != HOME:
        if not torch.cuda.is_available():
            raise CodecError(f"{_why_no_gpu()}; use the device cpu")
        sums_of_products_only()
        if not sums_are_exact(found):
            raise CodecError(
                f"{torch.cuda.get_device_name(found)} does not add integers exactly, "
                "so that its streams could not be decoded elsewhere; use the device cpu"
            )
    _copies.clear()
    _device = found


def device_name() -> str:
    """What was set: `cpu` or `cuda`."""
    return _device.type


def evaluate(network: nn.Module, *inputs: Tensor, method: str = "forward") -> Tensor:
    """`network.method(*inputs)` of tensors on the CPU; the result is there, too."""
    if _device == HOME:
        result: Tensor = getattr(network, method)(*inputs)
        return result
    result = getattr(_there(network), method)(*(each.to(_device) for each in inputs))
    return result.to(HOME)


def _there(network: nn.Module) -> nn.Module:
    """The network's copy on the device."""
    if network not in _copies:
        _copies[network] = deepcopy(network).to(_device)
    return _copies[network]


def sums_of_products_only() -> None:
    """Leaves torch no way to convolve on a GPU but by multiplying and adding float32 numbers."""
    # Read when cuBLAS starts; it outranks what is said in code.
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    torch.backends.cudnn.enabled = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def sums_are_exact(device: torch.device) -> bool:
    """Whether convolutions there are exact for sums just below EXACT_BOUND, of several sizes."""
    generator = torch.Generator().manual_seed(1)
    for channels, outputs, size, side, stride in (
        (12, 48, 3, 32, 1), (96, 96, 3, 16, 2), (97, 96, 3, 24, 1), (128, 128, 3, 8, 1),
        (64, 32, 1, 16, 1),
    ):  # fmt: skip
        most = EXACT_BOUND // ACTIVATION.magnitude // 4
        weight = torch.zeros(outputs, channels * size**2, dtype=torch.int64)
        # Half of what a sum may hold in one weight of 15 bits, half in many small ones.
        weight[:, 0] = 2 * most - 1
        small = 2 * most // weight.shape[1]
        weight[:, 1:] = torch.randint(-small, small + 1, weight[:, 1:].shape, generator=generator)
        weight[0, 1:] = small
        weight = weight.view(outputs, channels, size, size)
        x = torch.randint(0, ACTIVATION.high + 1, (2, channels, side, side), generator=generator)
        x[0] = ACTIVATION.high
        there = F.conv2d(
            x.float().to(device), weight.float().to(device), stride=stride, padding=size // 2
        )
        exact = F.conv2d(x.double(), weight.double(), stride=stride, padding=size // 2)
        if not torch.equal(there.to(HOME).double(), exact):
            return False
    return True


def _why_no_gpu() -> str:
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is a build without CUDA"
    return "torch finds no GPU that it can use"
