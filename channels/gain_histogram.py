"""The power gains of a packet as a histogram: what they tell at any noise power is one product.

What a symbol of power gain g tells at the noise power `no` is a function of g / no, or with
channel estimates of g and no; over a code block of n symbols

    mean over symbols of I(g, no)  =  sum over bins k of  share_k  I(g_k, no)

The shares are the fade's, whatever the noise power and the modulation: the points of a sweep, which
meet the same fades, have them in common. A gain between two bins counts in part in each of them, by
its distance, which makes the sum that of I interpolated linearly between bins. With bins of .03 to
.07 dB effective SNRs are off by less than .002 dB, as tests/test_gain_histogram.py holds against
sums over the symbols; above an SNR where a bit lacks 10^-3 of its information, which no code
notices, by up to .01 dB.
"""

from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from channels.channel import REMEMBERED_FADES, SnrMeter
from channels.kernels import kernel
from channels.mutual_information import (
    LOWEST_DB,
    STEP_DB,
    information_curve,
    information_of_each,
    snr_db_from_table,
)
from channels.randomness import ChannelRandomness

#: Bins are at 2^-32 .. 2^32, evenly spaced within an octave: a float64's exponent and leading bits
#: are the number of the one below it. A gain beyond counts as the end.
_OCTAVES = 32
_STEPS = 64
_LOW_BITS = 52 - 6
_FIRST = (1023 - _OCTAVES) * _STEPS
_BINS = 2 * _OCTAVES * _STEPS + 1

#: Power gains of the bins, float64[bins], ascending.
GAINS: NDArray[np.float64] = np.append(
    (2.0 ** np.arange(-_OCTAVES, _OCTAVES)[:, None] * (1.0 + np.arange(_STEPS) / _STEPS)).ravel(),
    2.0**_OCTAVES,
)
GAINS.setflags(write=False)


class GainSource(Protocol):
    """A channel that says which gains a packet meets; equal ones answer the same."""

    def __hash__(self) -> int: ...

    def sampled_gains(
        self, symbols: int, randomness: ChannelRandomness, packet: int
    ) -> NDArray[np.float64]:
        """Power gains float64[n] > 0 of samples spread evenly over a packet, in order."""
        ...


def gain_meter(
    source: GainSource,
    modulation: str,
    symbols: int,
    blocks: int,
    information: NDArray[np.float64],
) -> SnrMeter:
    """Tells the effective SNRs of a source's packets; see `channels.channel.Channel.snr_meter`.

    Args:
        source: of the gains; histograms of its packets are remembered.
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.
        symbols: of each packet, at least 1.
        blocks: code blocks of each packet, at least 1: equal stretches of it.
        information: per bit, 0 .. 1, of a symbol that meets each of `GAINS`, float64[bins].
    """
    curve = information_curve(modulation).information

    def measure(randomness: ChannelRandomness, packet: int) -> NDArray[np.float64]:
        first, shares = _histogram(source, symbols, blocks, randomness, packet)
        out = np.empty(blocks)
        _effective_snrs_db(first, shares, information, curve, out)
        return out

    return measure


@lru_cache(maxsize=1024)
def information_of_gains(modulation: str, no: float) -> NDArray[np.float64]:
    """Per bit of a symbol that meets each of `GAINS` in noise of power `no`, float64[bins].

    Raises:
        ChannelError: unknown modulation.
    """
    information = information_of_each(no / GAINS, modulation)
    information.setflags(write=False)
    return information


def gain_histogram(gains: NDArray[np.float64], blocks: int) -> tuple[int, NDArray[np.float64]]:
    """The shares of a packet's gains in each bin.

    Args:
        gains: float64[n], > 0, of samples spread evenly over the packet.
        blocks: equal stretches, which need not be whole numbers of samples.

    Returns:
        The number of the bin at or below the smallest gain, and float64[blocks, bins from there to
        the one above the largest], whose rows sum to 1.
    """
    first, shares = _count(np.ascontiguousarray(gains, np.float64), blocks)
    shares.setflags(write=False)
    return first, shares


@lru_cache(maxsize=REMEMBERED_FADES)
def _histogram(
    source: GainSource, symbols: int, blocks: int, randomness: ChannelRandomness, packet: int
) -> tuple[int, NDArray[np.float64]]:
    return gain_histogram(source.sampled_gains(symbols, randomness, packet), blocks)


@kernel
def _count(gains: NDArray[np.float64], blocks: int) -> tuple[int, NDArray[np.float64]]:
    """See `gain_histogram`."""
    bits = gains.view(np.int64)
    lowest = highest = bits[0]
    for each in bits:
        lowest, highest = min(lowest, each), max(highest, each)
    first_bin, above = _bin(lowest)[0], _bin(highest)[0] + 1
    shares = np.zeros((blocks, above + 1 - first_bin))
    stretch = len(gains) / blocks
    for block in range(blocks):
        start, end = block * stretch, (block + 1) * stretch
        first, last = int(start), min(int(np.ceil(end)), len(gains)) - 1
        # A sample on a border counts in part on either side.
        weight = (min(end, first + 1.0) - start) / stretch
        for sample in range(first, last):
            below, part = _bin(bits[sample])
            shares[block, below - first_bin] += weight * (1.0 - part)
            shares[block, below - first_bin + 1] += weight * part
            weight = 1.0 / stretch
        below, part = _bin(bits[last])
        weight = (end - max(start, float(last))) / stretch
        shares[block, below - first_bin] += weight * (1.0 - part)
        shares[block, below - first_bin + 1] += weight * part
    return first_bin, shares


@kernel
def _bin(bits: int) -> tuple[int, float]:
    """The bin below a gain of these bits, and how far it is from there to the next, 0 .. 1."""
    index = (bits >> _LOW_BITS) - _FIRST
    if index < 0:
        return 0, 0.0
    if index >= _BINS - 1:
        return _BINS - 2, 1.0
    return index, (bits & ((1 << _LOW_BITS) - 1)) / (1 << _LOW_BITS)


@kernel
def _effective_snrs_db(
    first: int,
    shares: NDArray[np.float64],
    information: NDArray[np.float64],
    curve: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    blocks, bins = shares.shape
    for block in range(blocks):
        # Four sums beside each other: one alone waits for each of its additions.
        a = b = c = d = 0.0
        whole = bins - bins % 4
        for k in range(0, whole, 4):
            a += shares[block, k] * information[first + k]
            b += shares[block, k + 1] * information[first + k + 1]
            c += shares[block, k + 2] * information[first + k + 2]
            d += shares[block, k + 3] * information[first + k + 3]
        for k in range(whole, bins):
            a += shares[block, k] * information[first + k]
        out[block] = snr_db_from_table((a + b) + (c + d), curve, LOWEST_DB, STEP_DB)
