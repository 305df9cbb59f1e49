"""Which of its options each layer of a picture is sent with: branch and bound.

A layer helps only if all layers before it arrived. In fade g, layer l under option j, with packets
sent up to t times, takes uses_l(j, t, g) channel uses on average, arrives with the probability
success_l(j, t, g), and brings the share worth_l(j, t, g) of its gain on average, its leading
packets being of use also where others are missing. In each fade the sender goes from layer to
layer: each is sent as often as the uses that are left there bear, up to what its option allows; one
that cannot even be sent once is cut (`may_cut`) or left out, and ends the stream. What a layer
takes in a fade is not left for the next in that fade.

With gains q_l in dB, shares c_l of a layer that is sent (1 but for the last, a share of a layer
being taken to bring that share of its gain) and the fades' weights w_g, the mean is

    sum over g:  w_g  sum over l:  q_l  c_l(g)  s_1(g) .. s_(l-1)(g)  worth_l(g)      above nothing

Layers that fail independently of each other are layers in a single fade.

`assured` asks for a quantile instead. The layers of a plan are a chain of events, each contained in
the one before, so the q-quantile of the quality is at least that of the first k layers if and only
if P(the first k layers arrive) >= 1 - q. The greatest quantile is therefore that of the largest k
for which any plan reaches this probability; k is tried from the top, and among the plans that reach
it, the one of the greatest mean is taken. (Counted are whole layers: the share of a layer that is
cut counts in the mean only.)

The search extends plans layer by layer and leaves out what cannot win: no plan brings more than a
sender that knows the fade could, which chooses layer by layer for each fade alone. That bound is a
dynamic programme over (layer, uses left), with uses in steps, rounded down, and the best success
and least uses of neighbouring fades; another one of the same kind bounds P(the first k layers
arrive). Options that take at least as much as another one in every fade, and succeed no more often,
are passed over. (That loses nothing but, at times, where the budget ends within a layer whose
packets may be sent several times.) The result is within `gap_db` of the best plan there is, and
never below that of the best single option for all layers, from which the search starts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

BOUND_CELLS = 4096
"""Groups of fades times steps of the budget, in the bounds."""
FADE_GROUPS = 40
TINY = 1e-9
"""Probabilities and decibels closer than this are equal."""


@dataclass(frozen=True, slots=True, eq=False)
class Offers:
    """What one layer can be sent with: J options, up to T transmissions, in G fades.

    uses: float64 (J, T, G), > 0, mean channel uses if packets may be sent up to 1 .. T times; they
        never fall along T. success: float64 (J, T, G), 0 .. 1, likewise. worth: float64 (J, T, G),
        success .. 1, likewise, the mean share of the layer's gain. An option that allows fewer
        transmissions than T repeats its last entries. packets: (J,), by how much each option moves
        the number of the next packet on; 0 where fates do not depend on numbers.
    """

    uses: Values
    success: Values
    worth: Values
    packets: tuple[int, ...]

    def among(self, options: Sequence[int]) -> Offers:
        """Those of some options."""
        chosen = list(options)
        return Offers(
            self.uses[chosen],
            self.success[chosen],
            self.worth[chosen],
            tuple(self.packets[j] for j in chosen),
        )


LayerOffers = Mapping[int, Offers]
"""Of one layer, by the number of its first packet."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """`choices`: the option of each layer that is sent. `expected_db`: mean gain over no layer.

    `assured_layers`: how many layers arrive with the probability that was asked for.
    """

    choices: tuple[int, ...]
    expected_db: float
    assured_layers: int = 0

    def rank(self, gains_db: Sequence[float]) -> tuple[float, float]:
        """Assured and mean gain in dB: the better of two plans has the greater rank."""
        return sum(gains_db[: self.assured_layers]), self.expected_db


def allocate(
    gains_db: Sequence[float],
    layers: Sequence[LayerOffers],
    weights: Values,
    budget_uses: int,
    *,
    may_cut: bool,
    assured: float | None = None,
    gap_db: float = 0.005,
) -> Allocation:
    """The best option for each layer.

    Args:
        gains_db: of each layer, each >= 0.
        layers: their offers, of the same options and fades; the first layer's under 0.
        weights: (G,), the probabilities of the fades.
        budget_uses: at least 0.
        may_cut: whether the last layer that is sent may be cut.
        assured: the probability 1 - q, 0 (excluded) .. 1, of the layers whose number is to be
            greatest; None: the mean is.
        gap_db: how far the mean may stay below the greatest.
    """
    search = _Search(gains_db, layers, weights, budget_uses, may_cut, assured, gap_db)
    start = max(map(search.single, search.options), key=lambda plan: plan.rank(gains_db))
    # Layers that bring nothing need not be assured.
    at_least = max((n + 1 for n in range(start.assured_layers) if gains_db[n] > 0), default=0)
    for wanted in range(len(layers), at_least, -1):
        if assured is not None and gains_db[wanted - 1] > 0:
            found = search.best(wanted, None)
            if found is not None:
                return found
    return search.best(at_least, start) or start


def allocate_one(
    gains_db: Sequence[float],
    layers: Sequence[LayerOffers],
    weights: Values,
    budget_uses: int,
    option: int,
    *,
    may_cut: bool,
    assured: float | None = None,
) -> Allocation:
    """The same for one option that serves all layers: what is expected of it."""
    search = _Search(gains_db, layers, weights, budget_uses, may_cut, assured, 0.0)
    return search.single(option)


@dataclass(frozen=True, slots=True, eq=False)
class _Node:
    """A plan for the first layers. `left`: (G,) uses. `alive`: (G,) P(fade, all arrived so far)."""

    choices: tuple[int, ...]
    number: int
    left: Values
    alive: Values
    value_db: float
    assured: int

    @property
    def plan(self) -> Allocation:
        return Allocation(self.choices, self.value_db, self.assured)


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """A node with one more layer, under each of some options: its fields with an axis in front."""

    options: Sequence[int]
    numbers: Sequence[int]
    left: Values
    alive: Values
    values_db: Values
    assured: NDArray[np.int64]

    def node(self, before: _Node, index: int) -> _Node:
        return _Node(
            (*before.choices, self.options[index]),
            self.numbers[index],
            self.left[index],
            self.alive[index],
            float(self.values_db[index]),
            int(self.assured[index]),
        )


class _Search:
    """One picture's search; arguments as of `allocate`."""

    def __init__(
        self,
        gains_db: Sequence[float],
        layers: Sequence[LayerOffers],
        weights: Values,
        budget_uses: int,
        may_cut: bool,
        assured: float | None,
        gap_db: float,
    ) -> None:
        self._gains, self._layers, self._may_cut = gains_db, layers, may_cut
        # Never reached unless asked for.
        self._assured = np.inf if assured is None else assured - TINY
        self._gap = gap_db
        self.options = range(len(layers[0][0].packets))
        left = np.full(len(weights), float(budget_uses))
        self._root = _Node((), 0, left, np.asarray(weights, float), 0.0, 0)

    def single(self, option: int) -> Allocation:
        """The plan that sends every layer with one option."""
        node = self._root
        for _ in self._layers:
            node = self._steps(node, self._layers, [option]).node(node, 0)
        return node.plan

    def best(self, wanted: int, start: Allocation | None) -> Allocation | None:
        """The plan of the greatest mean that assures the first `wanted` layers.

        `start` if it is as good; None if there is neither.
        """
        bounds, (layers, names), found = self._bounds, self._candidates, start
        reach = bounds.arrival(wanted)
        every = range(len(names))

        def search(node: _Node) -> None:
            nonlocal found
            if node.assured >= wanted and (found is None or node.value_db > found.expected_db):
                found = replace(node.plan, choices=tuple(names[j] for j in node.choices))
            depth = len(node.choices) + 1
            if depth > len(self._layers):
                return
            steps = self._steps(node, layers, every)
            most = steps.values_db + bounds.expected(bounds.gain[depth], steps)
            possible = steps.assured >= min(depth, wanted)
            if depth < wanted:
                possible &= bounds.expected(reach[depth], steps) >= self._assured
            # The most promising first, so that the bound bites early.
            for index in np.argsort(-most, kind="stable").tolist():
                if found is not None and most[index] <= found.expected_db + self._gap:
                    break
                if possible[index]:
                    search(steps.node(node, index))

        search(self._root)
        return found

    @cached_property
    def _bounds(self) -> _Bounds:
        return _Bounds(self._gains, self._layers, self._root, self._may_cut)

    @cached_property
    def _candidates(self) -> tuple[list[LayerOffers], list[int]]:
        """The offers of options that no other one outdoes in every layer, and which these are."""
        every = [offers for layer in self._layers for offers in layer.values()]
        if any(any(offers.packets) for offers in every):
            return list(self._layers), list(self.options)

        def joined(parts: list[Values]) -> Values:
            return np.concatenate([part.reshape(len(self.options), -1) for part in parts], axis=1)

        kept = _undominated(
            joined([offers.uses for offers in every] * 2),
            joined([offers.success for offers in every] + [offers.worth for offers in every]),
        )
        return [{0: layer[0].among(kept)} for layer in self._layers], kept

    def _steps(self, node: _Node, layers: Sequence[LayerOffers], options: Sequence[int]) -> _Steps:
        layer = len(node.choices)
        offers = layers[layer][node.number]
        if len(options) < len(offers.packets):
            offers = offers.among(options)
        uses, success = offers.uses, offers.success
        times = (uses <= node.left).sum(1)
        at = np.maximum(times - 1, 0)[:, None, :]
        needed = np.take_along_axis(uses, at, 1)[:, 0]
        arrived = node.alive * np.take_along_axis(success, at, 1)[:, 0]
        brought = node.alive * np.take_along_axis(offers.worth, at, 1)[:, 0]
        whole = times > 0
        share = np.where(whole, 1.0, node.left / needed if self._may_cut else 0.0)
        alive = np.where(whole, arrived, 0.0)
        assured = (node.assured == layer) & (alive.sum(1) >= self._assured)
        return _Steps(
            options,
            [node.number + more for more in offers.packets],
            np.where(whole, node.left - needed, 0.0),
            alive,
            node.value_db + self._gains[layer] * (share * brought).sum(1),
            node.assured + assured.astype(np.int64),
        )


class _Bounds:
    """What a sender that knows the fade could still reach from any layer and uses left.

    gain: one more than layers; float64 (groups, steps + 1), dB that the layers from this one on
    bring at most.
    """

    def __init__(
        self, gains_db: Sequence[float], layers: Sequence[LayerOffers], root: _Node, may_cut: bool
    ) -> None:
        fades = len(root.alive)
        groups = min(FADE_GROUPS, fades)
        self._last = BOUND_CELLS // groups
        self._step = max(float(root.left[0]), 1.0) / self._last
        # Fades in the order of what the first layer meets there: neighbours are alike.
        order = np.argsort(layers[0][0].success.sum((0, 1)), kind="stable")
        starts = np.arange(groups) * fades // groups
        self._group = np.empty(fades, np.intp)
        self._group[order] = np.searchsorted(starts, np.arange(fades), side="right") - 1
        self._ways = [_ways(offers, order, starts) for offers in layers]
        self.gain = [np.zeros((groups, self._last + 1))]
        ends = self._step * np.arange(1, self._last + 2)
        for gain_db, (uses, worth) in zip(reversed(gains_db), reversed(self._ways), strict=True):
            cut = np.zeros((groups, self._last + 1))
            for each, chance in zip(uses, worth, strict=True):
                if may_cut:
                    share = np.minimum(ends / each[:, None], 1.0)
                    np.maximum(cut, gain_db * chance[:, None] * share, out=cut)
            self.gain.insert(0, self._most(gain_db + self.gain[0], uses, worth, cut))

    def arrival(self, wanted: int) -> list[Values]:
        """By layer up to `wanted`: at most P(all layers from it up to that one arrive)."""
        none = np.zeros_like(self.gain[0])
        found = [none + 1.0]
        for uses, worth in reversed(self._ways[:wanted]):
            found.insert(0, self._most(found[0], uses, worth, none))
        return found

    def expected(self, bound: Values, steps: _Steps) -> Values:
        """The mean of a bound over the fades, after each of the steps."""
        cells = (steps.left / self._step + TINY).astype(np.intp)
        return np.asarray((steps.alive * bound[self._group, cells]).sum(1))

    def _most(self, after: Values, uses: Values, worth: Values, least: Values) -> Values:
        """The greatest worth * after(uses left) of all ways, or `least`."""
        most, at = least, np.arange(self._last + 1)
        for each, chance in zip(uses, worth, strict=True):
            then = at - np.floor(each / self._step - TINY).astype(np.intp)[:, None]
            value = np.take_along_axis(after, np.maximum(then, 0), 1) * chance[:, None]
            most = np.maximum(most, np.where(then >= 0, value, 0.0))
        return most


def _ways(
    layer: LayerOffers, order: NDArray[np.intp], starts: NDArray[np.intp]
) -> tuple[Values, Values]:
    """Every option, sent every number of times: least uses and best worth of each group of fades.

    Both (ways, groups); a way that is nowhere better than another one is left out. What a layer is
    worth is no less than how often it arrives, and so bounds both.
    """
    uses = np.min([offers.uses for offers in layer.values()], axis=0)
    worth = np.max([offers.worth for offers in layer.values()], axis=0)
    fades = uses.shape[2]
    uses = np.minimum.reduceat(uses.reshape(-1, fades)[:, order], starts, axis=1)
    worth = np.maximum.reduceat(worth.reshape(-1, fades)[:, order], starts, axis=1)
    kept = _undominated(uses, worth)
    return uses[kept], worth[kept]


def _undominated(uses: Values, success: Values) -> list[int]:
    """Rows for which no other one takes as few uses and succeeds as often everywhere.

    Both (rows, places); of equal rows one is kept. Successes are compared to within TINY.
    """
    kept: list[int] = []
    for row in np.lexsort((-success.sum(1), uses.sum(1))).tolist():
        better = (uses[kept] <= uses[row]) & (success[kept] >= success[row] - TINY)
        if not better.all(1).any():
            kept.append(row)
    return sorted(kept)
