"""What every channel is, and the list of those that a link setting can name.

A channel stands between modulator and demapper: it takes the symbols of one packet and gives back
equalised symbols with the noise power left in each. It is a frozen dataclass; its fields are its
parameters, so that equal settings are equal channels. One of your own, in any module that is
imported before it is used:

    @register_channel("my_channel")
    @dataclass(frozen=True)
    class MyChannel(Channel):
        leak: float = 0.1
        def transmit(self, symbols, no, randomness, packet): ...
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.randomness import ChannelRandomness

#: How long a block-fading gain lasts: each packet has its own, or all of an image share one.
FADING_BLOCKS = ("packet", "image")


class Channel(ABC):
    """A channel for the packets of one image."""

    def uses(self, symbols: int) -> int:
        """Complex channel uses of a packet of so many symbols, with its pilots and prefixes.

        Grows with `symbols`; one use each unless a channel says otherwise.
        """
        return symbols

    def symbols_within(self, uses: int) -> int:
        """The most symbols whose `uses` are at most `uses`; 0 if none are."""
        low, high = 0, 1
        while self.uses(high) <= uses:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.uses(middle) <= uses else (low, middle)
        return low

    @abstractmethod
    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """Send the symbols of one packet.

        Args:
            symbols: complex128[n], unit mean power.
            no: noise power per complex channel use, both dimensions together.
            randomness: the image's draws; nothing else may be random.
            packet: the packet's number within the image.

        Returns:
            complex128[n], equalised symbols, and float64[n], the noise power left in each, > 0.
        """


AnyChannel = TypeVar("AnyChannel", bound=type[Channel])

#: Channel classes by the name that a scenario gives.
CHANNELS: dict[str, type[Channel]] = {}


def register_channel(name: str) -> Callable[[AnyChannel], AnyChannel]:
    """Make a class available to scenarios as `name`.

    Raises:
        ChannelError: the name is taken by another class.
    """

    def register(channel: AnyChannel) -> AnyChannel:
        if CHANNELS.setdefault(name, channel) is not channel:
            raise ChannelError(f"channel {name!r}: expected a new name, found {CHANNELS[name]}")
        return channel

    return register


def check_choice(field: str, found: object, known: tuple[str, ...]) -> None:
    """Raises ChannelError unless `found` is one of `known`."""
    if found not in known:
        raise ChannelError(f"{field}: expected one of {', '.join(known)}, found {found!r}")


def check_range(field: str, found: float, low: float, high: float) -> None:
    """Raises ChannelError unless low <= found <= high; NaN is in no range."""
    if not low <= found <= high:
        raise ChannelError(f"{field}: expected {low} .. {high}, found {found}")
