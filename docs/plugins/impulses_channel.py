"""A channel: white noise with impulses, as of switches and engines (Bernoulli-Gaussian noise).

    y = x + w + b g        b is 1 with `probability`, else 0; w and g complex normal

The impulse g is `excess_db` stronger than the noise w. Both together have the power that the link's
SNR says, so that it keeps its meaning. The receiver does not see which symbols are hit and reckons
with the mean power (M. Ghosh, "Analysis of the effect of impulse noise on multicarrier and single
carrier QAM systems", IEEE Trans. Commun. 44(2), 1996).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbed.plugin_api import Channel, ChannelRandomness, check_range, register_channel


@register_channel("impulses")
@dataclass(frozen=True)
class Impulses(Channel):
    """Bernoulli-Gaussian noise.

    Attributes:
        probability: of a symbol to be hit, 0 to 1.
        excess_db: power of an impulse over that of the noise beneath, 0 to 60.
    """

    probability: float = 0.02
    excess_db: float = 20.0

    def __post_init__(self) -> None:
        check_range("probability", self.probability, 0.0, 1.0)
        check_range("excess_db", self.excess_db, 0.0, 60.0)

    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        count = len(symbols)
        # All draws come from `randomness`, by a purpose of one's own and the packet's number: then
        # every codec meets the same impulses.
        generator = randomness.generator("impulses", packet)
        hit = generator.random(count) < self.probability
        excess = 10 ** (self.excess_db / 10)
        beneath = no / (1 + self.probability * excess)
        power = beneath * (1 + hit * excess)
        received = symbols + np.sqrt(power) * randomness.noise(packet, count)
        return received, np.full(count, no)

    def untold(self) -> str:
        """Block error tables know noise powers alone, and must not stand for this channel."""
        return "impulses that the receiver does not see"
