"""How one stream of symbols uses several antennas, and how the receiver combines them.

With r receive antennas, gains h known to the receiver, transmit power 1 in total, and w circular
complex normal of variance 1:

Maximal-ratio combining, one transmit antenna (D. G. Brennan, "Linear diversity combining
techniques", Proc. IRE 47, 1959):

    y_r  =  h_r x  +  sqrt(no) w_r
    x^   =  sum_r conj(h_r) y_r / P           noise power no / P,       P = sum_r |h_r|^2

Alamouti's code, two transmit antennas (S. M. Alamouti, "A simple transmit diversity technique for
wireless communications", IEEE JSAC 16(8), 1998): a pair of symbols in two channel uses, the gains
constant for both,

    y_r    =  (h_r1 x1 + h_r2 x2) / sqrt(2)  +  sqrt(no) w_r
    y'_r   =  (h_r2 conj(x1) - h_r1 conj(x2)) / sqrt(2)  +  sqrt(no) w'_r
    x1^    =  sqrt(2) sum_r (conj(h_r1) y_r + h_r2 conj(y'_r)) / P
    x2^    =  sqrt(2) sum_r (conj(h_r2) y_r - h_r1 conj(y'_r)) / P

with noise power 2 no / P, P = sum_r |h_r1|^2 + |h_r2|^2: the diversity of 2 r receive antennas, and
their SNR less 3 dB, since the transmit power is shared.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from channels.randomness import ChannelRandomness

Complex = NDArray[np.complex128]
Real = NDArray[np.float64]


def antenna_noise(randomness: ChannelRandomness, packet: int, receive: int, n: int) -> Complex:
    """Noise of unit power at each receive antenna, complex128[receive, n].

    The first antenna's is that of a link with one antenna.
    """
    noise = np.empty((receive, n), np.complex128)
    noise[0] = randomness.noise(packet, n)
    for antenna in range(1, receive):
        generator = randomness.generator(f"noise {antenna}", packet)
        noise[antenna] = generator.standard_normal(2 * n).view(np.complex128) * np.sqrt(0.5)
    return noise


def in_pairs(symbols: Complex) -> Complex:
    """The symbols as complex128[2, ceil(n / 2)], the first of each pair in row 0.

    An odd number is filled up with a 1, which the receiver does not use.
    """
    if len(symbols) % 2:
        symbols = np.append(symbols, 1.0)
    return symbols.reshape(-1, 2).T


class Combining(Protocol):
    """A use of several antennas for one stream."""

    @property
    def transmit_antennas(self) -> int: ...

    @property
    def receive_antennas(self) -> int: ...

    @property
    def symbols_per_gain(self) -> int:
        """Symbols, and channel uses, for which the gains have to be constant."""
        ...

    def transfer(
        self, symbols: Complex, gains: Complex, noise: Complex, no: float
    ) -> tuple[Complex, Real]:
        """Send symbols and combine what is received.

        Args:
            symbols: complex128[n].
            gains: complex128[receive, transmit, ceil(n / symbols_per_gain)], or [.., .., 1].
            noise: complex128[receive, ceil(n / symbols_per_gain) * symbols_per_gain], unit power.
            no: noise power at each receive antenna.

        Returns:
            complex128[n], equalised symbols, and their noise power, float64[n].
        """
        ...


@dataclass(frozen=True)
class MaximalRatio:
    """One transmit antenna, one or more at the receiver; see above."""

    receive_antennas: int = 1
    transmit_antennas: int = 1
    symbols_per_gain: int = 1

    def transfer(
        self, symbols: Complex, gains: Complex, noise: Complex, no: float
    ) -> tuple[Complex, Real]:
        """See `Combining.transfer`."""
        gain = gains[:, 0]
        received = gain * symbols + np.sqrt(no) * noise
        power = _power(gain)
        combined = np.sum(gain.conj() * received, axis=0) / power
        return combined, np.broadcast_to(no / power, symbols.shape).copy()


@dataclass(frozen=True)
class Alamouti:
    """Two transmit antennas, one or more at the receiver; see above."""

    receive_antennas: int = 1
    transmit_antennas: int = 2
    symbols_per_gain: int = 2

    def transfer(
        self, symbols: Complex, gains: Complex, noise: Complex, no: float
    ) -> tuple[Complex, Real]:
        """See `Combining.transfer`."""
        n = len(symbols)
        x1, x2 = in_pairs(symbols) * np.sqrt(0.5)
        h1, h2 = gains[:, 0], gains[:, 1]
        y = h1 * x1 + h2 * x2 + np.sqrt(no) * noise[:, 0::2]
        later = h2 * x1.conj() - h1 * x2.conj() + np.sqrt(no) * noise[:, 1::2]
        power = _power(h1) + _power(h2)
        combined = np.empty((len(x1), 2), np.complex128)
        combined[:, 0] = np.sum(h1.conj() * y + h2 * later.conj(), axis=0)
        combined[:, 1] = np.sum(h2.conj() * y - h1 * later.conj(), axis=0)
        combined *= (np.sqrt(2.0) / power)[:, np.newaxis]
        noise_power = np.broadcast_to((2.0 * no / power)[:, np.newaxis], combined.shape)
        return combined.reshape(-1)[:n], noise_power.reshape(-1)[:n].copy()


def _power(gain: Complex) -> Real:
    """Sum over the receive antennas of |h|^2, float64[k]."""
    return np.asarray(np.sum(gain.real**2 + gain.imag**2, axis=0))


#: Transmit x receive antennas by the name that a scenario gives.
COMBININGS: dict[str, Combining] = {
    "1x1": MaximalRatio(1),
    "1x2": MaximalRatio(2),
    "1x4": MaximalRatio(4),
    "2x1_alamouti": Alamouti(1),
    "2x2_alamouti": Alamouti(2),
}
