"""What a codec is that sends complex symbols instead of bits: learned analog transmission.

Its symbols go straight over the channel: no CRC, no code, no constellation. Whatever arrives is
decoded; nothing fails but with the channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codec.base import Image


@dataclass(frozen=True, slots=True)
class ReceivedSymbols:
    """One picture's symbols behind the receiver's equaliser.

    symbols: complex128[n], as sent plus an error. noise: float64[n], the error's mean power, > 0;
    `math.inf` for a symbol of which nothing arrived. height, width: of the picture; sizes are
    control information, as packets' sizes are.
    """

    symbols: NDArray[np.complex128]
    noise: NDArray[np.float64]
    height: int
    width: int


class AnalogCodec(Protocol):
    """A codec between pictures and symbols."""

    name: str

    @property
    def versions(self) -> str:
        """What determines its symbols and pictures, such as the hash of its weights."""
        ...

    def encode_symbols(
        self, images: Sequence[Image], budget_uses: int, snr_db: float
    ) -> list[NDArray[np.complex128] | None]:
        """Complex symbols of each image, at most `budget_uses`; None if it needs more.

        The mean power over an image's symbols is 1. snr_db: the mean Es/N0, which the sender is
        told. The result never depends on which images share the batch. Raises CodecError for an
        array that is not an Image.
        """
        ...

    def decode_symbols(self, received: Sequence[ReceivedSymbols]) -> list[Image]:
        """The picture of each; it never depends on which are decoded together."""
        ...
