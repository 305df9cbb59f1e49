"""The allocation of protection, against trying everything."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.allocation import allocate, allocate_common


def expected_db(gains, uses, success, weights, budget, choices, may_cut) -> float:
    """The value of one assignment, layer by layer as the formula says; success (L, J, G)."""
    left, alive, total = budget, np.asarray(weights, float), 0.0
    for layer, j in enumerate(choices):
        share = min(1.0, left / uses[layer, j])
        if share < 1.0 and not may_cut:
            break
        alive = alive * success[layer, j]
        total += share * gains[layer] * alive.sum()
        if share < 1.0:
            break
        left -= uses[layer, j]
    return total


def best_of_all(gains, uses, success, weights, budget, may_cut, ordered) -> float:
    layers, options = uses.shape
    return max(
        expected_db(gains, uses, success, weights, budget, choices, may_cut)
        for count in range(layers + 1)
        for choices in itertools.product(range(options), repeat=count)
        if not ordered or list(choices) == sorted(choices)
    )


def case(seed: int, fades: int) -> tuple:
    random = np.random.default_rng(seed)
    layers, options = random.integers(1, 5), random.integers(1, 5)
    gains = random.exponential(4.0, layers)
    size = random.integers(20, 300, layers)
    rates = np.sort(random.uniform(0.3, 6, options))
    uses = np.ceil(size[:, None] / rates).astype(np.int64)
    # A larger rate needs a better fade.
    fade = np.sort(random.exponential(1.0, fades))
    needs = rates / rates.mean() * random.uniform(0.3, 1.5)
    success = 1 / (1 + np.exp(-8 * (fade - needs[:, None])))
    budget = int(random.integers(10, 2 * uses.sum() // options + 20))
    return gains, uses, np.broadcast_to(success, (layers, *success.shape)), budget


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_independent_layers_get_the_best_there_is(seed: int, may_cut: bool) -> None:
    gains, uses, success, budget = case(seed, 1)
    found = allocate(gains, uses, success[..., 0], budget, may_cut=may_cut, grid=10**6)
    best = best_of_all(gains, uses, success, [1.0], budget, may_cut, ordered=False)
    assert found.expected_db == pytest.approx(best)
    value = expected_db(gains, uses, success, [1.0], budget, found.choices, may_cut)
    assert value == pytest.approx(best)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_a_common_fade_gets_the_best_ordered_assignment(seed: int, may_cut: bool) -> None:
    gains, uses, success, budget = case(seed, 7)
    weights = np.full(7, 1 / 7)
    found = allocate_common(gains, uses, success, weights, budget, may_cut=may_cut, gap_db=0.0)
    best = best_of_all(gains, uses, success, weights, budget, may_cut, ordered=True)
    assert found.expected_db == pytest.approx(best)
    value = expected_db(gains, uses, success, weights, budget, found.choices, may_cut)
    assert value == pytest.approx(best)


def test_a_fade_that_lets_through_or_does_not_loses_nothing_by_the_order() -> None:
    """Under thresholds the best of all assignments is an ordered one."""
    for seed in range(40):
        gains, uses, success, budget = case(seed, 7)
        hard, weights = np.round(success), np.full(7, 1 / 7)
        ordered = best_of_all(gains, uses, hard, weights, budget, False, ordered=True)
        assert ordered == pytest.approx(
            best_of_all(gains, uses, hard, weights, budget, False, ordered=False)
        )


def test_a_coarse_grid_still_fits_and_costs_little() -> None:
    for seed in range(30):
        gains, uses, success, budget = case(seed, 1)
        uses, budget = 50 * uses, 50 * budget
        fine = allocate(gains, uses, success[..., 0], budget, may_cut=False, grid=10**6)
        coarse = allocate(gains, uses, success[..., 0], budget, may_cut=False, grid=500)
        used = sum(uses[layer, j] for layer, j in enumerate(coarse.choices))
        assert used <= budget
        assert coarse.expected_db <= fine.expected_db + 1e-9
        nearly = allocate(
            gains, uses, success[..., 0], budget - len(gains) * (budget // 500 + 1),
            may_cut=False, grid=10**6,
        )  # fmt: skip
        assert coarse.expected_db >= nearly.expected_db - 1e-9


def test_the_first_layer_is_protected_most_in_a_common_fade() -> None:
    """Four layers of one size over Rayleigh fading: the chosen rates rise from layer to layer."""
    rates = np.array([0.5, 1.0, 2.0, 4.0])
    uses = np.tile((1000 / rates).astype(np.int64), (4, 1))
    power = -np.log(1 - (np.arange(64) + 0.5) / 64)
    capacity = np.log2(1 + 10 * power)
    success = np.tile((capacity >= rates[:, None]).astype(float), (4, 1, 1))
    found = allocate_common(
        [16.0, 4.0, 4.0, 2.0], uses, success, np.full(64, 1 / 64), 2300, may_cut=False
    )
    assert list(found.choices) == sorted(found.choices)
    assert found.choices[0] < found.choices[-1]
    equal = max(
        expected_db(
            [16.0, 4.0, 4.0, 2.0], uses, success, np.full(64, 1 / 64), 2300, (j,) * 4, False
        )
        for j in range(4)
    )
    assert found.expected_db > equal + 0.3
