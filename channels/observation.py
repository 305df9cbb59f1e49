"""What symbols really met: the errors in them, beside those that the reported noise lets expect.

Of transmitted symbols x, equalised ones y and the noise powers N that the demapper is told,

    delivered Es/N0   =   sum |x|^2 / N   /   (sum |y - x|^2 / N)

is the mean SNR by the errors that there were. If N is true, each term of the last sum has mean 1.

A hard decision takes the nearest level of either part. At a level a of the sent part the nearest
one is another, b, with the probability that normal noise of variance N / 2 carries the part between
the thresholds around b; by the Gray mapping it costs as many bits as their numbers differ in. So
the expected number of wrong bits is exact for the symbols that were sent, not a mean over all
(compare K. Cho, D. Yoon, "On the general BER expression of one- and two-dimensional amplitude
modulations", IEEE Trans. Commun. 50(7), 2002).
"""

from dataclasses import dataclass
from functools import lru_cache
from math import log10, nan

import numpy as np
from numpy.typing import NDArray

from channels.kernels import kernel
from channels.modulation import axis_levels, bits_per_symbol

#: Expected errors are known at noise powers from 2^-20 to 2^20, 128 in each octave, evenly spaced:
#: a float64's exponent and leading bits are the number of the one below it. Between them they are
#: interpolated, off by less than a thousandth down to an error rate of 10^-6.
_OCTAVES = 20
_STEPS = 128
_LOW_BITS = 52 - 7
_FIRST = (1023 - _OCTAVES) * _STEPS


@dataclass(frozen=True, slots=True)
class Observation:
    """Sums over symbols, so that those of several packets add up.

    Attributes:
        symbols: complex symbols sent, retransmissions included.
        energy: sum |x|^2 of what was sent.
        signal: sum |x|^2 / N, N being the noise power reported for a symbol.
        error: sum |y - x|^2 / N; its mean is `symbols` if N is true.
        opening_gain: sum of no / N over the first symbol of each packet's first transmission: the
            power gain that the packets began with.
        bits: coded bits sent.
        bit_errors: of hard decisions, before decoding.
        expected_bit_errors: their mean, if the errors are white noise of the reported power.
        bit_error_variance: the variance of `bit_errors` then.
    """

    symbols: int = 0
    energy: float = 0.0
    signal: float = 0.0
    error: float = 0.0
    opening_gain: float = 0.0
    bits: int = 0
    bit_errors: int = 0
    expected_bit_errors: float = 0.0
    bit_error_variance: float = 0.0

    def __add__(self, other: "Observation") -> "Observation":
        return Observation(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    @property
    def delivered_snr_db(self) -> float:
        """Mean Es/N0 in dB by the errors that there were; NaN without symbols or errors."""
        return 10.0 * log10(self.signal / self.error) if self.error > 0.0 else nan

    @property
    def uncoded_ber(self) -> float:
        """Share of bits that hard decisions get wrong; NaN without bits."""
        return self.bit_errors / self.bits if self.bits else nan


def observe(
    sent: NDArray[np.complex128],
    received: NDArray[np.complex128],
    noise: NDArray[np.float64],
    no: float,
    modulation: str,
    *,
    retransmission: bool = False,
) -> Observation:
    """Compare what was sent with what the demapper is given.

    Args:
        sent: complex128[n], symbols of `modulation`; n at least 1.
        received: complex128[n], equalised.
        noise: float64[n], the noise power reported for each, > 0.
        no: noise power per complex channel use at a power gain of 1.
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.
        retransmission: of a packet that was sent before.

    Raises:
        ChannelError: unknown modulation.
    """
    m = bits_per_symbol(modulation)
    levels = axis_levels(modulation)
    table = _wrong_bits(modulation)
    counts = np.zeros(len(levels), np.int64)
    x, y = (np.ascontiguousarray(each, np.complex128).view(np.float64) for each in (sent, received))
    # One of two parts for BPSK: noise in the imaginary part says nothing of the bit.
    parts = 2 if m > 1 else 1
    steps = (len(levels) - 1.0) / (levels.max() - levels.min())
    if len(levels) == 2:
        step = 3 - parts
        errors = int(np.count_nonzero((x[::step] < 0.0) != (y[::step] < 0.0)))
        # Both levels err alike.
        counts[0] = parts * len(sent)
    else:
        errors = _count_errors(x, y, steps, _label_distances(len(levels)), counts)
    if noise.min() == noise.max():
        # The same for all symbols: their levels need only be counted.
        energy = float(np.vdot(x, x))
        distance = y - x
        signal, error = energy / noise[0], float(np.vdot(distance, distance)) / noise[0]
        moments = counts @ _interpolated(table, float(noise[0]))
    else:
        moments = np.zeros(2)
        energy, signal, error = _sums(
            x, y, noise, noise.view(np.int64), steps, parts, table, moments
        )
    return Observation(
        symbols=len(sent),
        energy=energy,
        signal=float(signal),
        error=float(error),
        opening_gain=0.0 if retransmission else no / float(noise[0]),
        bits=m * len(sent),
        bit_errors=errors,
        expected_bit_errors=float(moments[0]),
        bit_error_variance=float(moments[1]),
    )


def observe_analog(
    sent: NDArray[np.complex128],
    received: NDArray[np.complex128],
    noise: NDArray[np.float64],
    no: float,
) -> Observation:
    """`observe` for symbols that carry no bits: of any constellation, or of none."""
    energy = sent.real**2 + sent.imag**2
    error = np.abs(received - sent) ** 2
    return Observation(
        symbols=len(sent),
        energy=float(energy.sum()),
        signal=float((energy / noise).sum()),
        error=float((error / noise).sum()),
        opening_gain=no / float(noise[0]),
    )


def wrong_bits_per_symbol(no: NDArray[np.float64], modulation: str) -> NDArray[np.float64]:
    """What hard decisions get wrong over white noise, for random symbols of the constellation.

    Args:
        no: float64[n], noise powers, > 0.
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.

    Returns:
        float64[n, 3]: the mean number of wrong bits per symbol, which over the bits per symbol is
        the uncoded bit error rate; the variance of that number given the symbol; the variance over
        symbols of its mean given the symbol.

    Raises:
        ChannelError: unknown modulation.
    """
    moments = _moments(axis_levels(modulation), np.asarray(no, np.float64))
    mean, variance = moments[..., 0], moments[..., 1]
    parts = 2 if bits_per_symbol(modulation) > 1 else 1
    return parts * np.stack([mean.mean(axis=1), variance.mean(axis=1), mean.var(axis=1)], axis=1)


def _moments(levels: NDArray[np.float64], no: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean and variance of the wrong bits of one part: float64[noise, positions, 2].

    Position 0 is that of the lowest level.
    """
    from scipy.special import ndtr

    ordered = np.sort(levels)
    thresholds = np.concatenate([[-np.inf], (ordered[1:] + ordered[:-1]) / 2, [np.inf]])
    scaled = (thresholds - ordered[:, None]) / np.sqrt(no / 2)[:, None, None]
    # By the tail that is smaller: 1 - ndtr loses the small probabilities of one side.
    below, above = ndtr(scaled), ndtr(-scaled)
    likely = np.where(
        scaled[..., 1:] <= 0, below[..., 1:] - below[..., :-1], above[..., :-1] - above[..., 1:]
    )
    positions = np.arange(len(levels))
    distance = _label_distances(len(levels))[positions[:, None] ^ positions].astype(np.float64)
    mean = np.sum(likely * distance, axis=-1)
    variance = np.sum(likely * distance**2, axis=-1) - mean**2
    return np.stack([mean, variance], axis=-1)


@lru_cache(maxsize=8)
def _label_distances(levels: int) -> NDArray[np.uint8]:
    """Bits by which the labels of positions i and j differ, at i ^ j: uint8[levels].

    Labels are reflected Gray numbers i ^ (i >> 1), but for a constant; both are linear in ^.
    """
    return np.array([(d ^ d >> 1).bit_count() for d in range(levels)], np.uint8)


@lru_cache(maxsize=8)
def _wrong_bits(modulation: str) -> NDArray[np.float64]:
    """`_moments` on the grid of noise powers."""
    octaves = np.exp2(np.arange(-_OCTAVES, _OCTAVES, dtype=np.float64))
    grid = np.outer(octaves, 1.0 + np.arange(_STEPS) / _STEPS).ravel()
    # In pieces, for the memory of the many levels of 1024QAM.
    levels = axis_levels(modulation)
    table = np.concatenate([_moments(levels, piece) for piece in np.split(grid, 2 * _OCTAVES)])
    table.setflags(write=False)
    return table


def _interpolated(table: NDArray[np.float64], no: float) -> NDArray[np.float64]:
    """The moments at a noise power, float64[positions, 2]."""
    row, weight = _place(np.array([no]).view(np.int64)[0], len(table))
    return np.asarray(table[row] + weight * (table[row + 1] - table[row]))


@kernel
def _place(word: int, rows: int) -> tuple[int, float]:
    """The row of a noise power, given by the bits of its float64, and how far the next one is."""
    row = (word >> _LOW_BITS) - _FIRST
    if row < 0:
        return 0, 0.0
    if row > rows - 2:
        return rows - 2, 1.0
    return row, (word & ((1 << _LOW_BITS) - 1)) * (0.5**_LOW_BITS)


@kernel
def _count_errors(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    steps: float,
    distance: NDArray[np.uint8],
    counts: NDArray[np.int64],
) -> int:
    """Wrong bits of hard decisions; adds up in `counts` how often each position was sent."""
    errors = 0
    highest = len(distance) - 1.0
    for i in range(len(x)):
        sent = int(x[i] * steps + (0.5 * highest + 0.5))
        decided = int(min(max(y[i] * steps + (0.5 * highest + 0.5), 0.0), highest + 0.5))
        counts[sent] += 1
        errors += distance[sent ^ decided]
    return errors


@kernel
def _sums(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    noise: NDArray[np.float64],
    words: NDArray[np.int64],
    steps: float,
    parts: int,
    table: NDArray[np.float64],
    moments: NDArray[np.float64],
) -> tuple[float, float, float]:
    """Energy, signal and error of symbols of unequal noise; adds up the moments of wrong bits.

    `words`: the bits of `noise`.
    """
    energy = signal = error = mean = variance = 0.0
    middle = 0.5 * table.shape[1]
    for i in range(len(noise)):
        inverse = 1.0 / noise[i]
        real, imaginary = x[2 * i], x[2 * i + 1]
        power = real * real + imaginary * imaginary
        energy += power
        signal += power * inverse
        error += ((y[2 * i] - real) ** 2 + (y[2 * i + 1] - imaginary) ** 2) * inverse
        row, weight = _place(words[i], len(table))
        for part in range(parts):
            position = int(x[2 * i + part] * steps + middle)
            below, above = table[row, position], table[row + 1, position]
            mean += below[0] + weight * (above[0] - below[0])
            variance += below[1] + weight * (above[1] - below[1])
    moments[0] += mean
    moments[1] += variance
    return energy, signal, error
