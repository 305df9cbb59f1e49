"""Which protection each layer gets, so that the expected quality is greatest: exact methods.

A layer helps only if all layers before it arrived. With gains q_l in dB, the choice j_l for layer
l and its success s_l, the expected quality above that of no layer at all is

    sum over l:  q_l  E[ s_1 s_2 .. s_l ],        sum over l:  uses_l  <=  budget

`allocate` is for layers that fail independently, where E[...] is a product: dynamic programming
over (layer, channel uses left), each cost rounded up to a multiple of the step, so that a
result always fits; with a step of 1 it is the optimum.

`allocate_common` is for layers that meet the same fade: E is the mean over a set of fades. It
searches all assignments in which no layer is sent at more channel uses per bit than the one
before, by branch and bound; its result is within `gap_db` of the best of these. (With a fade that
either lets a choice through or does not, nothing is lost by that order: a layer more robust than
the one before it could be sent as that one is, in fewer uses, and would arrive as often when it
counts.)

Both may stop before the last layer, and cut the last layer that is sent if `may_cut`: the share of
a layer that fits is taken to bring the same share of its gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GRID = 4096
"""Steps of the budget in `allocate`, at most."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """`choices`: the option of each layer that is sent. `expected_db`: gain over no layer."""

    choices: tuple[int, ...]
    expected_db: float


def allocate(
    gains_db: Sequence[float],
    uses: NDArray[np.int64],
    success: NDArray[np.float64],
    budget_uses: int,
    *,
    may_cut: bool,
    grid: int = GRID,
) -> Allocation:
    """The best choices for layers that fail independently.

    gains_db: (L,) >= 0. uses: (L, J), channel uses of layer l under option j, > 0. success:
    (L, J), 0 .. 1.
    """
    layers, options = uses.shape
    step = max(1, -(-budget_uses // grid))
    size = budget_uses // step
    cost = -(-uses // step)
    left = np.arange(size + 1)
    best = np.zeros(size + 1)
    choice = np.full((layers, size + 1), -1, np.int64)
    for layer in reversed(range(layers)):
        value = np.zeros((options, size + 1))
        for j in range(options):
            c = int(cost[layer, j])
            if may_cut:
                share = np.minimum(left / c, 1.0)
                value[j] = success[layer, j] * gains_db[layer] * share
            if c <= size:
                value[j, c:] = success[layer, j] * (gains_db[layer] + best[: size + 1 - c])
        chosen = value.argmax(0)
        best = value[chosen, left]
        choice[layer] = np.where(best > 0.0, chosen, -1)
    choices: list[int] = []
    at = size
    for layer in range(layers):
        j = int(choice[layer, at])
        if j < 0:
            break
        choices.append(j)
        if cost[layer, j] > at:
            break
        at -= int(cost[layer, j])
    return Allocation(tuple(choices), float(best[size]))


def allocate_common(
    gains_db: Sequence[float],
    uses: NDArray[np.int64],
    success: NDArray[np.float64],
    weights: NDArray[np.float64],
    budget_uses: int,
    *,
    may_cut: bool,
    gap_db: float = 0.005,
) -> Allocation:
    """The best choices for layers that meet the same fade.

    gains_db: (L,) >= 0. uses: (L, J), options from the most robust to the least: falling along J.
    success: (L, J, G) in each of G fades. weights: (G,), their probabilities.
    """
    layers, options = uses.shape
    gains = np.asarray(gains_db, float)
    # What a layer and all after it could still bring in a fade, at their best and free of charge.
    easiest = success.max(1)
    ahead = np.zeros((layers + 1, len(weights)))
    for layer in reversed(range(layers)):
        ahead[layer] = easiest[layer] * (gains[layer] + ahead[layer + 1])
    found = Allocation((), 0.0)

    def search(
        layer: int, first: int, left: int, alive: NDArray[np.float64], sofar_db: float,
        chosen: tuple[int, ...],
    ) -> None:  # fmt: skip
        nonlocal found
        if sofar_db > found.expected_db:
            found = Allocation(chosen, sofar_db)
        if layer == layers or sofar_db + float(alive @ ahead[layer]) <= found.expected_db + gap_db:
            return
        steps = []
        for j in range(first, options):
            fits = int(uses[layer, j]) <= left
            if not fits and not may_cut:
                continue
            share = min(1.0, left / int(uses[layer, j]))
            then = alive * success[layer, j]
            steps.append((sofar_db + share * gains[layer] * float(then.sum()), j, fits, then))
        # The most promising first, so that the bound bites early.
        for value, j, fits, then in sorted(steps, key=lambda each: -each[0]):
            if fits:
                search(layer + 1, j, left - int(uses[layer, j]), then, value, (*chosen, j))
            elif value > found.expected_db:
                found = Allocation((*chosen, j), value)

    search(0, 0, budget_uses, np.asarray(weights, float), 0.0, ())
    return found
