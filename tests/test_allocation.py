"""The allocation of protection, against trying everything."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.sending.allocation import Offers, allocate, allocate_one


def value_of(gains, layers, weights, budget, choices, may_cut) -> tuple[float, list[float]]:
    """Mean dB, and P(the first n layers arrive) for each n: fade by fade as the sender goes."""
    mean, arrive = 0.0, [1.0] + [0.0] * len(layers)
    for g, weight in enumerate(weights):
        left, alive, number = float(budget), float(weight), 0
        for layer, j in enumerate(choices):
            offers = layers[layer][number]
            fitting = [t for t, uses in enumerate(offers.uses[j, :, g]) if uses <= left]
            t = fitting[-1] if fitting else 0
            share = 1.0 if fitting else left / offers.uses[j, 0, g] if may_cut else 0.0
            mean += share * gains[layer] * alive * offers.worth[j, t, g]
            alive *= offers.success[j, t, g]
            if not fitting:
                break
            arrive[layer + 1] += alive
            left -= offers.uses[j, t, g]
            number += offers.packets[j]
    return mean, arrive


def rank_of(gains, value, assured: float | None) -> tuple[float, float]:
    """Assured dB, mean dB."""
    mean, arrive = value
    if assured is None:
        return 0, mean
    sure = max(n for n, chance in enumerate(arrive) if n == 0 or chance >= assured - 1e-9)
    return round(sum(gains[:sure]), 9), mean


def best_of_all(gains, layers, weights, budget, may_cut, assured=None) -> tuple[float, float]:
    options = len(layers[0][0].packets)
    return max(
        rank_of(gains, value_of(gains, layers, weights, budget, choices, may_cut), assured)
        for choices in itertools.product(range(options), repeat=len(layers))
    )


def case(seed: int, fades: int, times: int = 1, numbered: bool = False) -> tuple:
    """Schemes of random rates over random fades; gains, layers, weights, budget."""
    random = np.random.default_rng(seed)
    count, schemes = random.integers(1, 5), random.integers(1, 5 if times == 1 else 3)
    # Some layers bring nothing.
    gains = random.exponential(4.0, count) * (random.random(count) < 0.8)
    rates = np.sort(random.uniform(0.3, 6, schemes))
    fade = np.sort(random.exponential(1.0, fades))
    needs = rates / rates.mean() * random.uniform(0.3, 1.5)
    layers, mean_uses = [], 0.0
    for layer in range(count):
        size = random.integers(20, 300)
        packets = random.integers(1, 3, schemes) if numbered else np.zeros(schemes, int)
        of_layer = {}
        for number in range(2 * layer + 1) if numbered else [0]:
            luck = random.uniform(0.7, 1.0) if numbered else 1.0
            gathered = np.arange(1, times + 1)[:, None] * fade
            steep = -8 * (gathered - needs[:, None, None])
            success = luck / (1 + np.exp(steep))
            failed = np.cumsum(1 - success, 1) - (1 - success)
            uses = np.ceil(size / rates)[:, None, None] * (1 + failed)
            # Each scheme sent at most 1 .. times times.
            at = [np.minimum(np.arange(times), limit) for limit in range(times)]
            options = [(scheme, limit) for scheme in range(schemes) for limit in range(times)]
            # Of some layers the first packets are of use without the last.
            worth = success + random.choice([0.0, random.uniform(0, 0.9)]) * (1 - success)
            of_layer[number] = Offers(
                np.array([uses[s, at[limit]] for s, limit in options]),
                np.array([success[s, at[limit]] for s, limit in options]),
                np.array([worth[s, at[limit]] for s, limit in options]),
                tuple(int(packets[s]) for s, _ in options),
            )
        layers.append(of_layer)
        mean_uses += size / rates.mean()
    weights = np.full(fades, 1 / fades)
    return gains, layers, weights, int(random.integers(10, 2 * mean_uses + 20))


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 7]), st.booleans(), st.booleans())
def test_nothing_that_could_be_tried_is_better(
    seed: int, fades: int, may_cut: bool, numbered: bool
) -> None:
    problem = case(seed, fades, numbered=numbered)
    found = allocate(*problem, may_cut=may_cut, gap_db=0.0)
    assert found.expected_db == pytest.approx(best_of_all(*problem, may_cut)[1])
    assert value_of(*problem, found.choices, may_cut)[0] == pytest.approx(found.expected_db)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 9]), st.booleans(), st.floats(0.3, 0.99))
def test_no_plan_assures_more_layers_or_as_many_with_a_better_mean(
    seed: int, fades: int, may_cut: bool, assured: float
) -> None:
    problem = case(seed, fades)
    found = allocate(*problem, may_cut=may_cut, assured=assured, gap_db=0.0)
    assert found.rank(problem[0]) == pytest.approx(best_of_all(*problem, may_cut, assured))
    reached = rank_of(problem[0], value_of(*problem, found.choices, may_cut), assured)
    assert reached == pytest.approx(found.rank(problem[0]))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 5]), st.booleans(), st.booleans())
def test_retransmissions_are_reckoned_as_the_sender_spends_them(
    seed: int, fades: int, may_cut: bool, quantile: bool
) -> None:
    problem = case(seed, fades, times=3)
    assured = 0.7 if quantile else None
    found = allocate(*problem, may_cut=may_cut, assured=assured, gap_db=0.0)
    best = best_of_all(*problem, may_cut, assured)
    reached = rank_of(problem[0], value_of(*problem, found.choices, may_cut), assured)
    assert reached == pytest.approx(found.rank(problem[0]))
    # Options that are passed over may be missed where the budget ends.
    assert reached[0] == pytest.approx(best[0])
    assert best[1] - 0.05 <= found.expected_db <= best[1] + 1e-9
    for option in range(len(problem[1][0][0].packets)):
        one = allocate_one(*problem, option, may_cut=may_cut, assured=assured)
        every = value_of(*problem, (option,) * len(problem[0]), may_cut)
        assert one.rank(problem[0]) == pytest.approx(rank_of(problem[0], every, assured))
        assert found.rank(problem[0]) >= one.rank(problem[0])


def test_a_gap_costs_no_more_than_it_says() -> None:
    for seed in range(30):
        problem = case(seed, 30)
        exact = allocate(*problem, may_cut=True, gap_db=0.0).expected_db
        rough = allocate(*problem, may_cut=True, gap_db=0.2).expected_db
        assert exact - 0.2 <= rough <= exact + 1e-9


def test_the_first_layer_is_protected_most_in_a_common_fade() -> None:
    """Four layers of one size over Rayleigh fading: the chosen rates rise from layer to layer."""
    rates = np.array([0.5, 1.0, 2.0, 4.0])
    power = -np.log(1 - (np.arange(64) + 0.5) / 64)
    success = (np.log2(1 + 10 * power) >= rates[:, None]).astype(float)
    uses = np.broadcast_to((1000 / rates)[:, None, None], (4, 1, 64))
    layers = [{0: Offers(uses, success[:, None], success[:, None], (0,) * 4)}] * 4
    problem = ([16.0, 4.0, 4.0, 2.0], layers, np.full(64, 1 / 64), 2300)
    found = allocate(*problem, may_cut=False)
    assert list(found.choices) == sorted(found.choices)
    assert found.choices[0] < found.choices[-1]
    one = max(allocate_one(*problem, j, may_cut=False).expected_db for j in range(4))
    assert found.expected_db > one + 0.3


def test_a_quantile_gives_up_what_rarely_arrives() -> None:
    """Two layers: the mean is best with a risk that the 5 % quantile does not take."""
    success = np.array([[0.999, 0.9], [0.9, 0.6]])[..., None, None]
    uses = np.array([100.0, 50.0])[:, None, None]
    layers = [{0: Offers(uses, row, row, (0, 0))} for row in (success[:, 0], success[:, 1])]
    problem = ([10.0, 10.0], layers, np.ones(1), 150)
    assert allocate(*problem, may_cut=False).expected_db == pytest.approx(9 + 8.1)
    found = allocate(*problem, may_cut=False, assured=0.95)
    assert found.choices[0] == 0
    assert found.assured_layers == 1
