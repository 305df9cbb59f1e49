"""Bursts of loss: a Markov chain of two states, good and bad, that steps once per packet.

    good --p--> bad,  bad --q--> good;      a packet is lost with the probability of its state

    stationary share of bad packets  p / (p + q),    mean stay in bad  1 / q packets

E. N. Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39, 1960 (no
loss in the good state); E. O. Elliott, "Estimates of error rates for codes on burst-noise
channels", Bell System Technical Journal 42, 1963 (both states lose).

Each packet has one uniform variate u that moves the chain: packet n is bad if u is below P(bad at
n | state at n - 1), and packet 0 if u is below the stationary share. So u < min(p, 1 - q) means
bad and u >= max(p, 1 - q) means good from either state, and the state of any packet is found from
the latest such packet before it, after about 1 / (p + q) steps back, without a memory.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from channels.channel import check_range
from channels.errors import ChannelError
from channels.packet_loss import PacketLoss, register_packet_loss
from channels.randomness import ChannelRandomness

#: Packets; longer bursts are those of another image.
LONGEST_BURST = 1e6


@register_packet_loss("gilbert_elliott_chain")
@dataclass(frozen=True)
class GilbertElliottChain(PacketLoss):
    """The chain by its four probabilities, each 0 .. 1; packet 0 is in the stationary state.

    While good_to_bad + bad_to_good <= 1 and loss_in_good <= loss_in_bad, whatever makes losses
    likelier adds losses to those that there were: a larger good_to_bad or loss probability, a
    smaller bad_to_good.

    Attributes:
        good_to_bad: P(next packet bad | this one good).
        bad_to_good: P(next packet good | this one bad).
        loss_in_good: P(loss | good).
        loss_in_bad: P(loss | bad).

    Raises:
        ChannelError: a probability outside 0 .. 1, or a chain that never leaves either state.
    """

    good_to_bad: float = 0.02
    bad_to_good: float = 0.4
    loss_in_good: float = 0.0
    loss_in_bad: float = 1.0

    def __post_init__(self) -> None:
        check_range("good_to_bad", self.good_to_bad, 0.0, 1.0)
        check_range("bad_to_good", self.bad_to_good, 0.0, 1.0)
        check_range("loss_in_good", self.loss_in_good, 0.0, 1.0)
        check_range("loss_in_bad", self.loss_in_bad, 0.0, 1.0)
        if self.good_to_bad == 0.0 and self.bad_to_good == 0.0:
            raise ChannelError(
                "good_to_bad, bad_to_good: expected at least one above 0 (else there is no "
                "stationary state), found 0 and 0"
            )

    @property
    def bad_share(self) -> float:
        """Stationary probability of the bad state, 0 .. 1."""
        return self.good_to_bad / (self.good_to_bad + self.bad_to_good)

    @property
    def mean_loss(self) -> float:
        """Stationary probability of a loss, 0 .. 1."""
        bad = self.bad_share
        return (1.0 - bad) * self.loss_in_good + bad * self.loss_in_bad

    @property
    def mean_burst(self) -> float:
        """Mean length of a run of lost packets, in packets: P(loss) / P(loss, then no loss)."""
        p, q = self.good_to_bad, self.bad_to_good
        kept_in_good, kept_in_bad = 1.0 - self.loss_in_good, 1.0 - self.loss_in_bad
        bad = self.bad_share
        ends = (1.0 - bad) * self.loss_in_good * ((1.0 - p) * kept_in_good + p * kept_in_bad)
        ends += bad * self.loss_in_bad * (q * kept_in_good + (1.0 - q) * kept_in_bad)
        if ends == 0.0:
            return float("inf") if self.mean_loss > 0.0 else 0.0
        return self.mean_loss / ends

    def losses(
        self, first_packet: int, count: int, randomness: ChannelRandomness
    ) -> NDArray[np.bool_]:
        """See `PacketLoss.losses`."""
        lost = np.zeros(count, np.bool_)
        if count == 0 or self.mean_loss == 0.0:
            return lost
        bad = first_packet > 0 and self._is_bad(first_packet - 1, randomness)
        for i in range(count):
            packet = first_packet + i
            step, loss = _draws(packet, randomness)
            bad = step < (self._to_bad(bad) if packet > 0 else self.bad_share)
            lost[i] = loss < (self.loss_in_bad if bad else self.loss_in_good)
        return lost

    def _to_bad(self, bad: bool) -> float:
        return 1.0 - self.bad_to_good if bad else self.good_to_bad

    def _is_bad(self, packet: int, randomness: ChannelRandomness) -> bool:
        from_good, from_bad = self._to_bad(False), self._to_bad(True)
        flipped = False
        while packet > 0:
            step, _ = _draws(packet, randomness)
            if step < min(from_good, from_bad) or step >= max(from_good, from_bad):
                return (step < from_good) != flipped
            # Between the two, the packet has the state of the one before, or the opposite one.
            flipped ^= from_good > from_bad
            packet -= 1
        return (_draws(0, randomness)[0] < self.bad_share) != flipped


@register_packet_loss("gilbert_elliott")
@dataclass(frozen=True)
class GilbertElliott(PacketLoss):
    """Gilbert's chain by what is measured: good packets arrive, bad ones are lost.

    At the shortest `mean_burst` losses are independent; shorter ones, where a loss would make the
    next loss less likely, are refused. At the same `mean_burst`, a larger `mean_loss` adds losses
    to those that there were.

    Attributes:
        mean_loss: share of packets lost, 0 .. 1 (excluded).
        mean_burst: mean length of a run of lost packets, 1 / (1 - mean_loss) .. 10^6 packets.

    Raises:
        ChannelError: a value outside its range.
    """

    mean_loss: float = 0.05
    mean_burst: float = 3.0

    def __post_init__(self) -> None:
        check_range("mean_loss", self.mean_loss, 0.0, 1.0)
        if self.mean_loss == 1.0:
            raise ChannelError("mean_loss: expected less than 1 (a burst must end), found 1")
        check_range("mean_burst", self.mean_burst, 1.0, LONGEST_BURST)
        # What independent losses have may be given in decimals.
        if self.mean_burst * (1.0 - self.mean_loss) < 1.0 - 1e-6:
            raise ChannelError(
                f"mean_burst: expected at least {1.0 / (1.0 - self.mean_loss):.7g}, as independent "
                f"losses have at a mean_loss of {self.mean_loss:g}, found {self.mean_burst:g}"
            )

    @property
    def chain(self) -> GilbertElliottChain:
        """The same model by its probabilities; it loses the same packets."""
        bad_to_good = 1.0 / self.mean_burst
        odds = self.mean_loss / (1.0 - self.mean_loss)
        return GilbertElliottChain(min(odds * bad_to_good, 1.0), bad_to_good)

    def losses(
        self, first_packet: int, count: int, randomness: ChannelRandomness
    ) -> NDArray[np.bool_]:
        """See `PacketLoss.losses`."""
        return self.chain.losses(first_packet, count, randomness)


def _draws(packet: int, randomness: ChannelRandomness) -> tuple[float, float]:
    """Uniform variates in [0, 1): the step of the chain, and the loss given the state."""
    step, loss = randomness.generator("loss chain", packet).random(2)
    return float(step), float(loss)
