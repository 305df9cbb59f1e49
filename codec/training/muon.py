"""Muon: steps of convolutions' weights along orthogonal matrices.

The gradient's running mean, as a matrix of outputs by inputs, is replaced by the nearest matrix
whose singular values are all about one, so that a step goes equally far in every direction that
the gradients have and not mostly along the few that dominate. Behind these convolutions comes a
normalisation which makes their weights' scale meaningless: a step is a share of the weights' norm.
Once it has settled (loop.py) their scale does count; by then steps are short.

Source: Jordan and others, "Muon: an optimizer for hidden layers in neural networks" (2024), with
its momentum, polynomial and number of iterations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor, nn

from codec.convolution import TrainableConv

MOMENTUM = 0.95
ITERATIONS = 5
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
_LEAST_NORM = 1e-9


def orthogonalised(matrix: Tensor) -> Tensor:
    """(m, n) -> the same with singular values between about 0.7 and 1.2, by Newton and Schulz.

    Directions whose singular value is below about a thousandth of the norm come out smaller.
    """
    x = matrix / (matrix.norm() + _LEAST_NORM)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    linear, cubic, quintic = _POLYNOMIAL
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = linear * x + (cubic * square + quintic * square @ square) @ x
    found: Tensor = x.T if tall else x
    return found


class Muon(torch.optim.Optimizer):
    """For weights (outputs, inputs, ...) whose scale has no effect.

    lr: the length of a step as a share of the weights' norm.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @overload
    def step(self, closure: None = ...) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step along the present gradients; `closure` is not supported."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(weight, group["lr"])
        return None

    def _step(self, weight: Tensor, rate: float) -> None:
        gradient = weight.grad
        assert gradient is not None
        state: dict[str, Any] = self.state[weight]
        if not state:
            state["mean"] = torch.zeros_like(weight)
        mean = state["mean"].mul_(MOMENTUM).add_(gradient)
        ahead = gradient.add(mean, alpha=MOMENTUM)
        way = orthogonalised(ahead.reshape(len(ahead), -1)).view_as(weight)
        weight.sub_(way, alpha=float(rate * weight.norm() / (way.norm() + _LEAST_NORM)))


def optimisers_for(model: nn.Module, rate: float, muon_rate: float) -> list[torch.optim.Optimizer]:
    """AdamW at `rate`; with `muon_rate` above 0, Muon for convolutions that are normalised.

    That is all but those of the last layers, whose scale matters.
    """
    hidden = [
        each.conv.weight
        for each in model.modules()
        if isinstance(each, TrainableConv) and not each.is_head and muon_rate > 0
    ]
    taken = {id(weight) for weight in hidden}
    rest = [each for each in model.parameters() if id(each) not in taken]
    adam = torch.optim.AdamW(rest, lr=rate, weight_decay=1e-4)
    return [adam, Muon(hidden, muon_rate)] if hidden else [adam]
