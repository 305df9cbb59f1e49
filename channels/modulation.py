"""BPSK, Gray-mapped QAM and their demapper (3GPP TS 38.211, 5.1).

Bits with even numbers in a symbol choose the real part, odd ones the imaginary part, each by the
same rule: with s(b) = 1 - 2 b, for 64QAM,

    part  =  s(b0) (4 - s(b2) (2 - s(b4)))  /  sqrt(42)

so that a symbol is demapped as two real amplitudes, which costs 2 * 2^(m/2) distances, not 2^m.
Noise of power `no` per complex symbol gives either part the log density -(y - level)^2 / no.

BPSK sends its one bit as the real part, +1 or -1, and nothing as the imaginary part. The standard's
BPSK (5.1.2) is the same turned by 45 degrees, which changes no distance and so no error rate.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.kernels import kernel

DemappingMethod = Literal["app", "maxlog"]

#: Bits per complex symbol by name.
BITS_PER_SYMBOL: dict[str, int] = {
    "bpsk": 1,
    "qpsk": 2,
    "16qam": 4,
    "64qam": 6,
    "256qam": 8,
    "1024qam": 10,
}


def bits_per_symbol(modulation: str) -> int:
    """Bits per complex symbol of a modulation.

    Raises:
        ChannelError: unknown name.
    """
    if modulation not in BITS_PER_SYMBOL:
        expected = ", ".join(BITS_PER_SYMBOL)
        raise ChannelError(f"modulation: expected one of {expected}, found {modulation!r}")
    return BITS_PER_SYMBOL[modulation]


@lru_cache(maxsize=8)
def axis_levels(modulation: str) -> NDArray[np.float64]:
    """Amplitudes of one part, float64[2^(m/2)], indexed by its bits, the first the highest.

    The mean power of a symbol is 1: 1/2 for each part, but for BPSK, whose float64[2] are the
    amplitudes of its only part.
    """
    m = bits_per_symbol(modulation)
    axis_bits = max(1, m // 2)
    index = np.arange(1 << axis_bits)
    amplitude: NDArray[np.float64] = np.zeros(len(index), np.float64)
    # From the innermost bracket outwards: the last bit first, then 2, 4, 8 ... as the centre.
    for position in range(axis_bits):
        sign = (1 - 2 * ((index >> position) & 1)).astype(np.float64)
        amplitude = sign * ((1 << position) - amplitude if position else 1.0)
    amplitude /= np.sqrt((1.0 if m == 1 else 2.0) * np.mean(amplitude**2))
    amplitude.setflags(write=False)
    return amplitude


@kernel
def _modulate(
    bits: NDArray[np.uint8], levels: NDArray[np.float64], axis_bits: int, out: NDArray[np.float64]
) -> None:
    for symbol in range(len(out) // 2):
        first = symbol * 2 * axis_bits
        real = 0
        imaginary = 0
        for position in range(axis_bits):
            real = 2 * real + bits[first + 2 * position]
            imaginary = 2 * imaginary + bits[first + 2 * position + 1]
        out[2 * symbol] = levels[real]
        out[2 * symbol + 1] = levels[imaginary]


@kernel
def _set_log_sum(metric: NDArray[np.float64], shift: int, value: int) -> float:
    """log sum exp over the levels whose bit at `shift` is `value`, relative to their largest."""
    largest = -np.inf
    for level in range(len(metric)):
        if (level >> shift) & 1 == value:
            largest = max(largest, metric[level])
    total = 0.0
    for level in range(len(metric)):
        # exp(-40) is less than the last digit of a sum that is at least 1.
        if (level >> shift) & 1 == value and metric[level] - largest > -40.0:
            total += np.exp(metric[level] - largest)
    return float(largest + np.log(total))


@kernel
def _demap_app(
    parts: NDArray[np.float64],
    no: NDArray[np.float64],
    levels: NDArray[np.float64],
    axis_bits: int,
    out: NDArray[np.float32],
) -> None:
    # Below this a sum has lost digits to underflow, and is taken again relative to its own largest.
    tiny = 1e-290
    metric = np.empty(len(levels))
    one = np.empty(axis_bits)
    zero = np.empty(axis_bits)
    for part in range(len(parts)):
        inverse = 1.0 / no[part // 2]
        largest = -np.inf
        for level in range(len(levels)):
            distance = parts[part] - levels[level]
            metric[level] = -distance * distance * inverse
            largest = max(largest, metric[level])
        one[:] = 0.0
        zero[:] = 0.0
        for level in range(len(levels)):
            density = np.exp(metric[level] - largest)
            for position in range(axis_bits):
                if (level >> position) & 1:
                    one[position] += density
                else:
                    zero[position] += density
        first = (part // 2) * 2 * axis_bits + part % 2
        for position in range(axis_bits):
            if min(one[position], zero[position]) > tiny:
                llr = np.log(one[position] / zero[position])
            else:
                llr = _set_log_sum(metric, position, 1) - _set_log_sum(metric, position, 0)
            out[first + 2 * (axis_bits - 1 - position)] = llr


@kernel
def _demap_maxlog(
    parts: NDArray[np.float64],
    no: NDArray[np.float64],
    levels: NDArray[np.float64],
    axis_bits: int,
    out: NDArray[np.float32],
) -> None:
    one = np.empty(axis_bits)
    zero = np.empty(axis_bits)
    for part in range(len(parts)):
        one[:] = np.inf
        zero[:] = np.inf
        for level in range(len(levels)):
            distance = parts[part] - levels[level]
            squared = distance * distance
            for position in range(axis_bits):
                if (level >> position) & 1:
                    one[position] = min(one[position], squared)
                else:
                    zero[position] = min(zero[position], squared)
        first = (part // 2) * 2 * axis_bits + part % 2
        for position in range(axis_bits):
            llr = (zero[position] - one[position]) / no[part // 2]
            out[first + 2 * (axis_bits - 1 - position)] = llr


def modulate(bits: NDArray[np.uint8], modulation: str) -> NDArray[np.complex128]:
    """Map bits to symbols of unit mean power.

    Args:
        bits: uint8[n], each 0 or 1; n a multiple of the modulation's bits per symbol m.
        modulation: a name in `BITS_PER_SYMBOL`.

    Returns:
        complex128[n / m].

    Raises:
        ChannelError: unknown modulation, or bits that do not fill whole symbols.
    """
    m = bits_per_symbol(modulation)
    if len(bits) % m:
        raise ChannelError(f"{modulation}: expected a multiple of {m} bits, found {len(bits)}")
    if m == 1:
        return axis_levels(modulation)[np.asarray(bits, np.uint8)].astype(np.complex128)
    parts = np.empty(len(bits) // m * 2)
    _modulate(np.ascontiguousarray(bits, np.uint8), axis_levels(modulation), m // 2, parts)
    return parts.view(np.complex128)


def demodulate(
    symbols: NDArray[np.complex128],
    no: float | NDArray[np.float64],
    modulation: str,
    method: DemappingMethod = "app",
) -> NDArray[np.float32]:
    """LLRs of the bits behind received, equalised symbols.

    Args:
        symbols: complex128[n].
        no: noise power of each symbol after equalisation, both dimensions together: float64[n],
            or one value for all; greater than 0.
        modulation: a name in `BITS_PER_SYMBOL`.
        method: "app", exact for equally likely bits, or "maxlog", which keeps the nearest level
            of either kind only.

    Returns:
        float32[n * m], log p(1) / p(0), in the order of sending.

    Raises:
        ChannelError: unknown modulation or method, or noise powers that do not fit the symbols.
    """
    m = bits_per_symbol(modulation)
    if method not in ("app", "maxlog"):
        raise ChannelError(f"demapping: expected app or maxlog, found {method!r}")
    power = np.asarray(no, np.float64)
    if power.ndim == 0:
        power = np.full(len(symbols), power)
    if power.shape != symbols.shape:
        raise ChannelError(f"demapping: expected no{symbols.shape}, found no{power.shape}")
    if m == 1:
        # Noise in the imaginary part says nothing of the bit.
        return np.asarray(-4.0 * symbols.real / power, np.float32)
    axis_bits = m // 2
    parts = np.ascontiguousarray(symbols, np.complex128).view(np.float64)
    out = np.empty(len(parts) * axis_bits, np.float32)
    # With one bit per part both methods are the same thing.
    demap = _demap_maxlog if method == "maxlog" or axis_bits == 1 else _demap_app
    demap(parts, np.ascontiguousarray(power), axis_levels(modulation), axis_bits, out)
    return out
