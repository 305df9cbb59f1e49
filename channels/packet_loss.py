"""Packets that vanish above the physical layer (queues, handover, routing), decodable or not.

A loss model is a frozen dataclass, its fields its parameters, with the method `losses`; one of your
own is registered like those here. It is asked for a run of packets at once, so that a model with
memory can follow the packets from number 0.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from channels.channel import check_range
from channels.randomness import ChannelRandomness
from channels.registry import add_to


class PacketLoss(ABC):
    """A loss model for the packets of one image."""

    @abstractmethod
    def losses(
        self, first_packet: int, count: int, randomness: ChannelRandomness
    ) -> NDArray[np.bool_]:
        """Which of the packets first_packet .. first_packet + count - 1 are lost.

        Returns:
            bool[count]. A packet's fate is the same in whatever run it is asked for.
        """

    def arrivals(
        self, first_packet: int, count: int, randomness: ChannelRandomness
    ) -> NDArray[np.int64]:
        """The same packets in order of arrival.

        Here in order of sending, each once; a model that reorders or duplicates says otherwise.

        Returns:
            int64[n], packet numbers: every packet that `losses` calls lost is absent, every other
            one is there at least once.
        """
        lost = self.losses(first_packet, count, randomness)
        return first_packet + np.flatnonzero(~lost).astype(np.int64)


AnyPacketLoss = TypeVar("AnyPacketLoss", bound=type[PacketLoss])

#: Loss models by the name that a scenario gives.
PACKET_LOSSES: dict[str, type[PacketLoss]] = {}


def register_packet_loss(name: str) -> Callable[[AnyPacketLoss], AnyPacketLoss]:
    """Make a class available to scenarios as `name`. Raises ChannelError if that is taken."""
    return add_to(PACKET_LOSSES, "packet loss", name)


@register_packet_loss("iid")
@dataclass(frozen=True)
class IidPacketLoss(PacketLoss):
    """Every packet is lost with the same `probability`, 0 .. 1, independently of the others.

    Raises:
        ChannelError: a probability outside 0 .. 1.
    """

    probability: float = 0.0

    def __post_init__(self) -> None:
        check_range("packet_loss", self.probability, 0.0, 1.0)

    def losses(
        self, first_packet: int, count: int, randomness: ChannelRandomness
    ) -> NDArray[np.bool_]:
        """See `PacketLoss.losses`."""
        lost = np.zeros(count, np.bool_)
        if self.probability > 0.0:
            for i in range(count):
                # The same uniform variate at every probability: more loss means more of the same.
                lost[i] = randomness.uniform(first_packet + i) < self.probability
        return lost
