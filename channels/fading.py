"""What happens to symbols between transmitter and demapper.

    y  =  h x  +  sqrt(no) w,      w circular complex normal of variance 1, h the gain

The receiver knows h (perfect channel state information) and hands the demapper y / h with the
effective noise power no / |h|^2. The mean of |h|^2 is 1, and `no` does not follow the fade: a weak
gain is a low SNR.

A channel of your own is a class with `transmit`, in any module that is imported before it is used:

    @register_channel("my_channel")
    class MyChannel:
        def __init__(self, fading_block: str) -> None: ...
        def transmit(self, symbols, no, randomness, packet): ...
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.randomness import ChannelRandomness

#: How long a gain lasts: each packet has its own, or all packets of an image share one.
FADING_BLOCKS = ("packet", "image")


class Channel(Protocol):
    """A channel for the packets of one image."""

    def __init__(self, fading_block: str) -> None:
        """`fading_block` is "packet" or "image"; a channel without fading ignores it."""

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
            complex128[n], equalised symbols, and float64[n], the noise power left in each.
        """
        ...


AnyChannel = TypeVar("AnyChannel", bound=type[Channel])

#: Channel classes by the name that a link setting gives.
CHANNELS: dict[str, type[Channel]] = {}


def register_channel(name: str) -> Callable[[AnyChannel], AnyChannel]:
    """Make a class available to link settings as `name`.

    Raises:
        ChannelError: the name is taken by another class.
    """

    def register(channel: AnyChannel) -> AnyChannel:
        if CHANNELS.setdefault(name, channel) is not channel:
            raise ChannelError(f"channel {name!r}: expected a new name, found {CHANNELS[name]}")
        return channel

    return register


@register_channel("awgn")
class Awgn:
    """Additive white Gaussian noise; the gain is 1."""

    def __init__(self, fading_block: str = "packet") -> None:
        del fading_block

    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """See `Channel.transmit`."""
        received = randomness.noise(packet, len(symbols))
        received *= np.sqrt(no)
        received += symbols
        return received, np.full(len(symbols), no)


@register_channel("rayleigh_block")
class RayleighBlock:
    """Flat Rayleigh fading, constant over a packet or over all packets of an image.

    The gain is circular complex normal of mean power 1, so |h|^2 is exponentially distributed:
    P(|h|^2 < x) = 1 - exp(-x).

    Raises:
        ChannelError: `fading_block` is neither "packet" nor "image".
    """

    def __init__(self, fading_block: str = "packet") -> None:
        if fading_block not in FADING_BLOCKS:
            expected = " or ".join(FADING_BLOCKS)
            raise ChannelError(f"fading_block: expected {expected}, found {fading_block!r}")
        self._per_packet = fading_block == "packet"

    def gain(self, randomness: ChannelRandomness, packet: int) -> complex:
        """The complex gain that a packet meets."""
        return randomness.fading(packet if self._per_packet else 0)

    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """See `Channel.transmit`."""
        gain = self.gain(randomness, packet)
        # (h x + sqrt(no) w) / h, in place.
        equalised = randomness.noise(packet, len(symbols))
        equalised *= np.sqrt(no) / gain
        equalised += symbols
        return equalised, np.full(len(symbols), no / abs(gain) ** 2)
