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
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.randomness import ChannelRandomness
from channels.registry import add_to

#: How long a block-fading gain lasts: each packet has its own, or all of an image share one.
FADING_BLOCKS = ("packet", "image")
#: Packets whose fades are remembered by tables: those of a sweep's points meet the same ones.
REMEMBERED_FADES = 2048


ErrorKind = Literal["white", "mean", "untold"]

#: Effective SNR in dB of each code block of a packet, float64[blocks].
SnrMeter = Callable[[ChannelRandomness, int], NDArray[np.float64]]
#: Methods of a channel, each of which rests on those before it unless a class says otherwise.
_RESTING = ("transmit", "noise_powers", "effective_noise", "snr_meter")


class Distribution(Protocol):
    """A continuous distribution, such as those of `scipy.stats`."""

    def cdf(self, x: NDArray[np.float64], /) -> NDArray[np.float64]:
        """P(X <= x)."""
        ...


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

    def noise_powers(
        self, symbols: int, no: float, randomness: ChannelRandomness, packet: int
    ) -> NDArray[np.float64] | float:
        """The noise powers that `transmit` reports for a packet of so many symbols.

        Here it is asked; a channel that knows a shorter way overrides this, and has to agree with
        its `transmit`. A subclass that overrides `transmit` alone gets the methods here again,
        this one, `effective_noise` and `snr_meter`, not those of its base; likewise the later of
        them if it overrides an earlier one.

        Args:
            symbols: how many, at least 1.
            no: noise power per complex channel use.
            randomness: the image's draws.
            packet: the packet's number within the image.

        Returns:
            float64[symbols], each > 0, or one number for all of them, which is much faster.
        """
        return self.transmit(np.ones(symbols, np.complex128), no, randomness, packet)[1]

    def effective_noise(
        self,
        modulation: str,  # noqa: ARG002
        symbols: int,
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> NDArray[np.float64] | float:
        """Noise powers that stand for all that goes wrong with a packet's symbols.

        White noise of these powers, known to the receiver, lets as many packets fail: see
        `channels.table_link`. Here they are `noise_powers`; a channel whose receiver is mistaken
        about more than a mean answers otherwise, and so does one for which fewer samples do.

        Args:
            modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.
            symbols: see `noise_powers`, also for the others.
            no: noise power per complex channel use.
            randomness: the image's draws.
            packet: the packet's number within the image.

        Returns:
            float64[n], n at least 1 and at most `symbols`, each > 0: samples spread evenly over the
            packet, in order; their number depends on `symbols` alone. Or one number for all.
        """
        return self.noise_powers(symbols, no, randomness, packet)

    def snr_meter(
        self,
        modulation: str,  # noqa: ARG002
        symbols: int,  # noqa: ARG002
        blocks: int,  # noqa: ARG002
        no: float,  # noqa: ARG002
    ) -> SnrMeter | None:
        """A quicker way to the effective SNRs of packets than over their `effective_noise`.

        The answer has to be the same to within a few thousandths of a dB. It pays where the fades
        are much to look at and the same for many noise powers.

        Args:
            modulation: see `effective_noise`, also for the others.
            symbols: of each packet.
            blocks: code blocks of each packet: equal stretches of its symbols.
            no: noise power per complex channel use.

        Returns:
            A function of the image's draws and the packet's number; None where there is no
            quicker way, as here.
        """
        return None

    def untold(self) -> str | None:
        """What this channel does to symbols that no noise powers tell; None if they tell all."""
        return None

    def errors_are(self) -> ErrorKind:
        """How the errors that are left in the symbols go with the noise powers reported for them.

        "white": given these powers, complex normal and independent from symbol to symbol. "mean":
        of these powers on average, and no more is said. "untold": the receiver is mistaken. What a
        channel states here and in the two methods below is what a run is held against; none of it
        is used to send anything.
        """
        return "mean"

    def power_gain(
        self,
        randomness: ChannelRandomness,  # noqa: ARG002
        packet: int,  # noqa: ARG002
    ) -> float | None:
        """The power gain that a packet's first symbol meets; None where the channel states none.

        With white errors the noise power that is reported for this symbol is `no` over it.
        """
        return None

    def power_gain_distribution(self) -> Distribution | None:
        """The distribution of `power_gain`; None where it has no density in closed form."""
        return None

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        # What was right for the base's own ways need not be for others.
        own = [name in vars(cls) for name in _RESTING]
        for place, name in enumerate(_RESTING):
            if any(own[:place]) and not own[place]:
                setattr(cls, name, getattr(Channel, name))


AnyChannel = TypeVar("AnyChannel", bound=type[Channel])

#: Channel classes by the name that a scenario gives.
CHANNELS: dict[str, type[Channel]] = {}


def register_channel(name: str) -> Callable[[AnyChannel], AnyChannel]:
    """Make a class available to scenarios as `name`. Raises ChannelError if that is taken."""
    return add_to(CHANNELS, "channel", name)


def check_choice(field: str, found: object, known: tuple[str, ...]) -> None:
    """Raises ChannelError unless `found` is one of `known`."""
    if found not in known:
        raise ChannelError(f"{field}: expected one of {', '.join(known)}, found {found!r}")


def check_range(field: str, found: float, low: float, high: float) -> None:
    """Raises ChannelError unless low <= found <= high; NaN is in no range, nor is a text."""
    try:
        inside = low <= found <= high
    except TypeError:
        raise ChannelError(f"{field}: expected {low} .. {high}, found {found!r}") from None
    if not inside:
        raise ChannelError(f"{field}: expected {low} .. {high}, found {found}")
