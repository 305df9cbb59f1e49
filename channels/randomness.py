"""Random draws that depend on nothing but a key, a purpose and a packet's number.

Not on the order in which packets are sent, nor on who sends them: every codec that is compared
meets the same noise, the same fades and the same losses, in any process.

A draw is a Philox stream (J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random
numbers: as easy as 1, 2, 3", SC11) whose 256-bit counter starts at

    | purpose, 64 bits | packet, 64 bits | 0, 128 bits that count up |

so that no two streams of a key ever meet. Packets that were sent before the image have negative
numbers, in two's complement: -1 counts as 2^64 - 1, which no packet of an image reaches. The normal
variates are those of numpy's `Generator`.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.errors import ChannelError

_KEY_BITS = 128
_WORD = (1 << 64) - 1
_HALF = 1 << 63


def derive_key(*parts: int | str) -> int:
    """A 128-bit key from whatever names a trial, such as (seed, image, repetition).

    Equal parts give equal keys; parts that differ in value, type or number give other keys.

    Returns:
        The first 128 bits of the SHA-256 of the parts, each with its type and length.

    Raises:
        ChannelError: a part that is neither int nor str.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, (int, str)):
            raise ChannelError(f"key: expected parts of type int or str, found {part!r}")
        kind = b"s" if isinstance(part, str) else b"i"
        text = str(part).encode()
        digest.update(kind + len(text).to_bytes(8, "big") + text)
    return int.from_bytes(digest.digest()[: _KEY_BITS // 8], "big")


@dataclass(frozen=True)
class ChannelRandomness:
    """All random draws of one trial.

    Attributes:
        key: 0 .. 2^128 - 1, from `derive_key`.

    Raises:
        ChannelError: a key outside that range.
    """

    key: int

    def __post_init__(self) -> None:
        if not 0 <= self.key < 1 << _KEY_BITS:
            raise ChannelError(f"key: expected 0 .. 2^{_KEY_BITS} - 1, found {self.key}")

    def generator(self, purpose: str, index: int) -> np.random.Generator:
        """A fresh generator for one purpose and one packet (or block) number.

        Channels of your own use a purpose of their own.

        Raises:
            ChannelError: an index outside -2^63 .. 2^63 - 1.
        """
        if not -_HALF <= index < _HALF:
            raise ChannelError(f"packet number: expected -2^63 .. 2^63 - 1, found {index}")
        # numpy wants the least significant word first, of the key as of the counter.
        key = np.array([self.key & _WORD, self.key >> 64], np.uint64)
        counter = np.array([0, 0, int(index) & _WORD, _purpose_word(purpose)], np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))

    def noise(self, packet: int, n: int) -> NDArray[np.complex128]:
        """Circular complex normal variates of mean 0 and variance 1, complex128[n].

        Real and imaginary part are independent, of variance 1/2 each. The first n of a longer draw
        for the same packet are the same.
        """
        parts = self.generator("noise", packet).standard_normal(2 * n)
        parts *= np.sqrt(0.5)
        return parts.view(np.complex128)

    def fading(self, block: int) -> complex:
        """A circular complex normal gain of mean power 1: Rayleigh magnitude, uniform phase."""
        real, imaginary = self.generator("fading", block).standard_normal(2)
        return complex(real, imaginary) * float(np.sqrt(0.5))

    def uniform(self, packet: int) -> float:
        """A uniform variate in [0, 1), for the loss of a packet."""
        return float(self.generator("loss", packet).random())


@lru_cache(maxsize=64)
def _purpose_word(purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
