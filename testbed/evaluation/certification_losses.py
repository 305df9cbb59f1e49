"""The packets that vanished above the physical layer, held against the loss model.

Losses hang on the image, the repetition and the packet's number alone, so that all codecs and link
points share them: the pattern of each image and repetition counts once. The models are chains of
states with a probability of loss in each: with start distribution s, which is stationary,
transitions T and D = diag(loss),

    P(loss)  =  s D 1,        P(packets n and n + k lost)  =  s D T^k D 1

from which the variance of a number of losses follows, however they hang together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from channels.gilbert_elliott import GilbertElliott, GilbertElliottChain
from channels.jitter import Jitter
from channels.packet_loss import IidPacketLoss, PacketLoss
from testbed.evaluation.certification_check import Check, count_p_value
from testbed.evaluation.certification_fading import UsedPackets
from testbed.language.link_parts import LinkPart
from testbed.sending.transmission import image_randomness, layer_links

FEWEST_PACKETS = 100
FEWEST_LOSSES = 20


@dataclass(frozen=True, eq=False)
class LossChain:
    """A loss model as a chain of S states.

    start        float64[S], stationary
    transitions  float64[S, S], rows sum to 1
    loss         float64[S], P(loss | state)
    """

    start: NDArray[np.float64]
    transitions: NDArray[np.float64]
    loss: NDArray[np.float64]

    @property
    def mean_loss(self) -> float:
        """Share of packets lost."""
        return float(self.start @ self.loss)

    @property
    def again(self) -> float:
        """P(the next packet is lost | this one is): 1 - 1 / mean burst."""
        both = self.start @ np.diag(self.loss) @ self.transitions @ self.loss
        return float(both) / self.mean_loss

    def loss_variance(self, packets: int) -> float:
        """Variance of the losses among so many packets in a row."""
        lost = np.diag(self.loss)
        # Of one loss, and of two that are k apart.
        moments = [self.mean_loss, *self._products(self.start @ lost, lost, packets - 1)]
        return _variance(np.array(moments) - self.mean_loss**2, packets)

    def pair_variance(self, packets: int) -> float:
        """Variance of the sum of l_n (l_(n+1) - again) over so many packets; its mean is 0.

        l_n is 1 if packet n is lost.
        """
        lost, again = np.diag(self.loss), self.again
        term = lost @ self.transitions @ (lost - again * np.eye(len(lost)))
        one = np.ones(len(lost))
        # Squared; of neighbours, which share a packet; of terms that are farther apart.
        inner = (1.0 - 2.0 * again) * lost + again**2 * np.eye(len(lost))
        squared = self.start @ lost @ self.transitions @ inner @ one
        shared = (1.0 - again) * (self.start @ lost @ self.transitions @ term @ one)
        far = self._products(self.start @ term, term, packets - 3)
        return _variance(np.array([squared, shared, *far]), packets - 1)

    def _products(
        self, first: NDArray[np.float64], last: NDArray[np.float64], count: int
    ) -> list[float]:
        """first T^k last 1 for k = 1 .. count."""
        found = []
        for _ in range(count):
            first = first @ self.transitions
            found.append(float(first @ last @ np.ones(len(last))))
        return found


def _variance(covariances: NDArray[np.float64], terms: int) -> float:
    """Of a sum of `terms` stationary terms, by their covariance at the lags 0, 1, .."""
    if terms < 1:
        return 0.0
    lags = np.arange(1, terms)
    return float(
        terms * covariances[0] + 2.0 * np.sum((terms - lags) * covariances[1:][: terms - 1])
    )


def loss_chain(model: PacketLoss) -> LossChain | None:
    """The chain of a model; None for one that is none."""
    if isinstance(model, GilbertElliott):
        model = model.chain
    if isinstance(model, GilbertElliottChain):
        bad, p, q = model.bad_share, model.good_to_bad, model.bad_to_good
        return LossChain(
            np.array([1.0 - bad, bad]),
            np.array([[1.0 - p, p], [q, 1.0 - q]]),
            np.array([model.loss_in_good, model.loss_in_bad]),
        )
    if isinstance(model, IidPacketLoss):
        return _independent(model.probability)
    if isinstance(model, Jitter):
        return _independent(_too_late(model))
    return None


def _independent(probability: float) -> LossChain:
    return LossChain(np.ones(1), np.ones((1, 1)), np.array([probability]))


def _too_late(model: Jitter) -> float:
    """See `channels.jitter`."""
    spare_ms = model.deadline_ms - model.base_ms
    if spare_ms < 0.0 or model.jitter_ms == 0.0:
        return float(spare_ms < 0.0)
    late = float(gammaincc(model.shape, spare_ms * np.sqrt(model.shape) / model.jitter_ms))
    return late * (1.0 - model.duplicate_probability * (1.0 - late))


LossKey = tuple[int, LinkPart]


def loss_checks(used: Mapping[LossKey, UsedPackets]) -> list[Check]:
    """Rate and mean burst of every loss model of the run that loses anything."""
    checks = []
    for (_, part), each in used.items():
        model = layer_links(each.point)[0].setting.loss
        chain = loss_chain(model)
        if chain is None:
            why = "neither its rate nor its bursts follow from its parameters"
            checks.append(Check("packet loss", part.label, "share of packets lost", why=why))
            continue
        patterns = [
            model.losses(0, count, image_randomness(*draw))
            for draw, count in each.by_draw().items()
        ]
        if chain.mean_loss > 0.0 or any(lost.any() for lost in patterns):
            checks.append(_rate(part.label, chain, patterns))
        if 0.0 < chain.mean_loss < 1.0:
            checks.append(_burst(part.label, chain, patterns))
    return checks


def _rate(label: str, chain: LossChain, patterns: list[NDArray[np.bool_]]) -> Check:
    names = ("packet loss", label, "share of packets lost")
    packets, lost = sum(map(len, patterns)), sum(int(each.sum()) for each in patterns)
    if packets < FEWEST_PACKETS:
        return Check(*names, draws=packets, why="too few packets")
    expected = chain.mean_loss
    variance = sum(chain.loss_variance(len(each)) for each in patterns)
    # Of what is rarer, losses or packets that come through.
    rare = (lost, expected) if expected <= 0.5 else (packets - lost, 1.0 - expected)
    return Check(
        *names,
        expected=expected,
        found=lost / packets,
        spread=variance**0.5 / packets,
        draws=packets,
        p_value=count_p_value(rare[0], packets * rare[1], variance),
    )


def _burst(label: str, chain: LossChain, patterns: list[NDArray[np.bool_]]) -> Check:
    """By how often the packet after a lost one is lost: bursts that an image's end cuts count."""
    names = ("burst length", label, "mean length of a run of lost packets")
    lost = sum(int(each[:-1].sum()) for each in patterns)
    ends = sum(int((each[:-1] & ~each[1:]).sum()) for each in patterns)
    if lost < FEWEST_LOSSES:
        return Check(*names, draws=lost, why="too few losses")
    again = chain.again
    variance = sum(chain.pair_variance(len(each)) for each in patterns)
    rare = (ends, 1.0 - again) if again > 0.5 else (lost - ends, again)
    expected = 1.0 / (1.0 - again)
    return Check(
        *names,
        expected=expected,
        found=lost / ends if ends else None,
        # Of the share of losses that are the last of a run, carried over.
        spread=expected**2 * variance**0.5 / lost,
        draws=lost,
        p_value=count_p_value(rare[0], lost * rare[1], variance),
    )
