"""Packets that come late, out of order or twice: a network's delay against a playout deadline.

    packet n:   sent at n * interval,   delay  d  =  base + jitter,   on time if d <= deadline

The jitter is gamma distributed, as packet delays beyond their minimum were measured to be
(A. Mukherjee, "On the dynamics and significance of low frequency components of Internet load",
Internetworking: Research and Experience 5, 1994): with shape k and standard deviation s its mean
is sqrt(k) s and

    P(late)  =  Q(k, (deadline - base) sqrt(k) / s),     Q the regularised upper incomplete gamma
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from channels.channel import check_range
from channels.packet_loss import PacketLoss, register_packet_loss
from channels.randomness import ChannelRandomness

#: A day.
LONGEST_MS = 86_400_000.0


@register_packet_loss("jitter")
@dataclass(frozen=True)
class Jitter(PacketLoss):
    """A packet is lost unless it, or its duplicate, arrives by its deadline.

    The deadline counts from the packet's own sending, as for a receiver that plays everything a
    fixed time after it was sent: so a packet's fate does not depend on its number, and
    `interval_ms` matters for the order of arrival only. Packets that arrive at the same time keep
    their order. A later deadline, a smaller base or jitter and a larger duplicate probability only
    take losses away.

    Attributes:
        interval_ms: between the sending of two packets, in ms, at least 0.
        base_ms: the smallest delay, in ms, at least 0.
        jitter_ms: standard deviation of the delay, in ms, at least 0.
        deadline_ms: the largest delay that is not too late, in ms, at least 0.
        shape: of the gamma distribution, 0.01 .. 1000; 1 is the exponential distribution, and the
            larger, the closer to normal.
        duplicate_probability: P(the network makes a second copy of a packet), 0 .. 1; the copy has
            a delay of its own, of the same distribution. A packet is then lost with probability
            P(late) (1 - duplicate_probability (1 - P(late))).

    Raises:
        ChannelError: a value outside its range; times end at a day.
    """

    interval_ms: float = 1.0
    base_ms: float = 20.0
    jitter_ms: float = 5.0
    deadline_ms: float = 40.0
    shape: float = 2.0
    duplicate_probability: float = 0.0

    def __post_init__(self) -> None:
        check_range("interval_ms", self.interval_ms, 0.0, LONGEST_MS)
        check_range("base_ms", self.base_ms, 0.0, LONGEST_MS)
        check_range("jitter_ms", self.jitter_ms, 0.0, LONGEST_MS)
        check_range("deadline_ms", self.deadline_ms, 0.0, LONGEST_MS)
        check_range("shape", self.shape, 0.01, 1000.0)
        check_range("duplicate_probability", self.duplicate_probability, 0.0, 1.0)

    def losses(
        self, first_packet: int, count: int, randomness: ChannelRandomness
    ) -> NDArray[np.bool_]:
        """See `PacketLoss.losses`."""
        late = self._delays_ms(first_packet, count, randomness) > self.deadline_ms
        return late[:, 0] & late[:, 1]

    def arrivals(
        self, first_packet: int, count: int, randomness: ChannelRandomness
    ) -> NDArray[np.int64]:
        """See `PacketLoss.arrivals`: a packet of which two copies are on time is there twice."""
        delay_ms = self._delays_ms(first_packet, count, randomness)
        packets = np.repeat(first_packet + np.arange(count, dtype=np.int64), 2)
        on_time = (delay_ms <= self.deadline_ms).ravel()
        arrival_ms = packets * self.interval_ms + delay_ms.ravel()
        order = np.argsort(arrival_ms[on_time], kind="stable")
        return packets[on_time][order]

    def _delays_ms(
        self, first_packet: int, count: int, randomness: ChannelRandomness
    ) -> NDArray[np.float64]:
        """float64[count, 2]: of each packet and its copy; infinite where there is no copy."""
        delay_ms = np.empty((count, 2))
        scale_ms = self.jitter_ms / np.sqrt(self.shape)
        for i in range(count):
            generator = randomness.generator("loss jitter", first_packet + i)
            has_copy = generator.random() < self.duplicate_probability
            delay_ms[i] = self.base_ms + scale_ms * generator.standard_gamma(self.shape, 2)
            if not has_copy:
                delay_ms[i, 1] = np.inf
        return delay_ms
