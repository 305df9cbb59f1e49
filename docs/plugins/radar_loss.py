"""A loss model: a source of interference that comes round, such as a radar.

Of every `period` packets, `burst` in a row are lost. Where in its turn it stands when a picture
begins is drawn for each picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testbed.plugin_api import ChannelError, ChannelRandomness, PacketLoss, register_packet_loss


@register_packet_loss("radar")
@dataclass(frozen=True)
class Radar(PacketLoss):
    """Periodic bursts.

    Attributes:
        period: packets from one burst's beginning to the next one's, at least 1.
        burst: packets of a burst, 0 to period.
    """

    period: int = 20
    burst: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.burst <= self.period or self.period == 0:
            raise ChannelError(
                f"expected 0 <= burst <= period, found a burst of {self.burst} and a period of "
                f"{self.period}"
            )

    @property
    def mean_loss(self) -> float:
        """Goes into the column packet_loss."""
        return self.burst / self.period

    def losses(
        self, first_packet: int, count: int, randomness: ChannelRandomness
    ) -> NDArray[np.bool_]:
        # One draw for the picture, whatever packets are asked for.
        start = int(randomness.generator("radar", 0).integers(self.period))
        lost: NDArray[np.bool_] = (
            start + first_packet + np.arange(count)
        ) % self.period < self.burst
        return lost
