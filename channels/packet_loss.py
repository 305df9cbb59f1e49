"""Packets that vanish above the physical layer (queues, handover, routing), decodable or not.

A loss model of your own is a class with `losses`, registered like those here. It is asked for a
run of packets at once, so that a model with memory can follow the packets from number 0.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.randomness import ChannelRandomness


class PacketLoss(Protocol):
    """A loss model for the packets of one image."""

    def __init__(self, probability: float) -> None:
        """`probability` is the mean share of packets that are lost, 0 .. 1."""

    def losses(
        self, first_packet: int, count: int, randomness: ChannelRandomness
    ) -> NDArray[np.bool_]:
        """Which of the packets first_packet .. first_packet + count - 1 are lost.

        Returns:
            bool[count]. A packet's fate is the same in whatever run it is asked for.
        """
        ...


AnyPacketLoss = TypeVar("AnyPacketLoss", bound=type[PacketLoss])

#: Loss models by the name that a link setting gives.
PACKET_LOSSES: dict[str, type[PacketLoss]] = {}


def register_packet_loss(name: str) -> Callable[[AnyPacketLoss], AnyPacketLoss]:
    """Make a class available to link settings as `name`.

    Raises:
        ChannelError: the name is taken by another class.
    """

    def register(model: AnyPacketLoss) -> AnyPacketLoss:
        if PACKET_LOSSES.setdefault(name, model) is not model:
            raise ChannelError(
                f"packet loss {name!r}: expected a new name, found {PACKET_LOSSES[name]}"
            )
        return model

    return register


@register_packet_loss("iid")
class IidPacketLoss:
    """Every packet is lost with the same probability, independently of the others.

    Raises:
        ChannelError: a probability outside 0 .. 1.
    """

    def __init__(self, probability: float) -> None:
        if not 0.0 <= probability <= 1.0:
            raise ChannelError(f"packet loss: expected a probability 0 .. 1, found {probability}")
        self._probability = probability

    def losses(
        self, first_packet: int, count: int, randomness: ChannelRandomness
    ) -> NDArray[np.bool_]:
        """See `PacketLoss.losses`."""
        lost = np.zeros(count, np.bool_)
        if self._probability > 0.0:
            for i in range(count):
                # The same uniform variate at every probability: more loss means more of the same.
                lost[i] = randomness.uniform(first_packet + i) < self._probability
        return lost
