"""What a bit of a QAM symbol tells, and the one SNR that tells as much as many different ones.

Bit-interleaved coded modulation treats the bits of a symbol as so many binary channels. Their mean
mutual information, with LLR the exact demapper's and b the sent bit, is

    I  =  1 - mean over bits of  E log2(1 + exp(-(2 b - 1) LLR))

(G. Caire, G. Taricco, E. Biglieri, "Bit-interleaved coded modulation", IEEE Trans. Inf. Theory
44(3), 1998). A code block whose symbols have different noise powers fails about as often as one
whose symbols all have the effective SNR

    I(effective SNR)  =  mean over symbols of I(SNR)

the mutual-information effective SNR mapping, MIESM (K. Brueninghaus et al., "Link performance
models for system level simulations of broadband radio access systems", IEEE PIMRC, 2005).

Real and imaginary part are alike and independent, so that I is an integral over one real number,
taken by Gauss-Hermite quadrature.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.channel import check_range
from channels.errors import ChannelError
from channels.kernels import kernel
from channels.modulation import axis_levels

#: The curves are tabulated at these distances; linear in between, which is off by at most 3e-5.
STEP_DB = 0.1
#: Below this SNR information is proportional to the SNR, to within 0.1 %.
LOWEST_DB = -30.0
#: Where less than this is missing to a whole bit, a curve ends: SNRs beyond count as its end.
SATURATION = 1e-9
_NODES = 96
#: Means over many symbols use a table by noise power, 2^-20 to 2^20, 512 points in each octave,
#: evenly spaced: a float64's exponent and leading bits are the number of the one below it.
_OCTAVES = 20
_STEPS = 512
_LOW_BITS = 52 - 9
_FIRST = (1023 - _OCTAVES) * _STEPS


@dataclass(frozen=True, eq=False)
class InformationCurve:
    """Information per bit against Es/N0 for one modulation.

    Attributes:
        snr_db: float64[points], LOWEST_DB, LOWEST_DB + STEP_DB, ...
        information: float64[points], strictly increasing, above 0 and below 1.
    """

    snr_db: NDArray[np.float64]
    information: NDArray[np.float64]


@lru_cache(maxsize=16)
def information_curve(modulation: str) -> InformationCurve:
    """The tabulated curve of a modulation, made on the first call (up to 1 s).

    Raises:
        ChannelError: unknown modulation.
    """
    levels = axis_levels(modulation)
    information: list[float] = []
    while True:
        snr_db = LOWEST_DB + STEP_DB * len(information)
        missing = missing_information(10.0 ** (-snr_db / 10.0), levels)
        information.append(1.0 - missing)
        if missing < SATURATION:
            break
    curve = InformationCurve(
        np.asarray(LOWEST_DB + STEP_DB * np.arange(len(information)), np.float64),
        np.array(information),
    )
    curve.snr_db.setflags(write=False)
    curve.information.setflags(write=False)
    return curve


def missing_information(no: float, levels: NDArray[np.float64]) -> float:
    """1 - I of one part of a symbol, by quadrature; not tabulated.

    Args:
        no: noise power of both parts together, > 0.
        levels: float64[2^b], the part's amplitudes by its bits, from `axis_levels`.
    """
    nodes, weights = _quadrature()
    # Levels are symmetric about 0: the positive ones stand for all.
    positive = np.flatnonzero(levels > 0)
    received = levels[positive, None] + np.sqrt(no) * nodes
    metric = -((received[:, :, None] - levels) ** 2) / no
    metric -= metric.max(axis=2, keepdims=True)
    density = np.exp(metric)
    bits = (np.arange(len(levels))[:, None] >> np.arange(int(np.log2(len(levels))))) & 1
    ones = density @ bits
    zeros = density @ (1 - bits)
    sent = bits[positive, None, :]
    right = np.where(sent == 1, ones, zeros)
    wrong = np.where(sent == 1, zeros, ones)
    # A sum below 1e-290 is met with a probability as small, and left out of the mean.
    loss = np.log2(1.0 + wrong / np.maximum(right, 1e-290))
    return float(np.mean(weights @ loss.mean(axis=2).T))


@lru_cache(maxsize=1)
def _quadrature() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = np.polynomial.hermite.hermgauss(_NODES)
    return nodes, weights / np.sqrt(np.pi)


@kernel
def _information(
    snr_db: float, table: NDArray[np.float64], lowest_db: float, step_db: float
) -> float:
    place = (snr_db - lowest_db) / step_db
    if place < 0.0:
        return float(table[0] * 10.0 ** ((snr_db - lowest_db) / 10.0))
    if place >= len(table) - 1:
        return float(table[-1])
    index = int(place)
    return float(table[index] + (place - index) * (table[index + 1] - table[index]))


@kernel
def snr_db_from_table(
    information: float, table: NDArray[np.float64], lowest_db: float, step_db: float
) -> float:
    """`snr_db_of_information`, for other kernels; `table` is that of the modulation's curve."""
    if information <= 0.0:
        return float(-np.inf)
    if information < table[0]:
        return float(lowest_db + 10.0 * np.log10(information / table[0]))
    if information >= table[-1]:
        return float(lowest_db + step_db * (len(table) - 1))
    index = np.searchsorted(table, information, side="right") - 1
    part = (information - table[index]) / (table[index + 1] - table[index])
    return float(lowest_db + step_db * (index + part))


@lru_cache(maxsize=16)
def information_by_noise(modulation: str) -> NDArray[np.float64]:
    """The table of `mean_information_from_table`."""
    octave = 2.0 ** np.arange(-_OCTAVES, _OCTAVES)[:, None] * (1.0 + np.arange(_STEPS) / _STEPS)
    noise = np.append(octave.ravel(), 2.0**_OCTAVES)
    curve = information_curve(modulation).information
    table = np.array(
        [_information(snr_db, curve, LOWEST_DB, STEP_DB) for snr_db in -10.0 * np.log10(noise)]
    )
    table.setflags(write=False)
    return table


@kernel
def mean_information_from_table(
    noise_powers: NDArray[np.float64], table: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """`mean_information`, for other kernels, of each of len(out) equal stretches.

    Args:
        noise_powers: float64[samples].
        table: of `information_by_noise`.
        out: float64[blocks], to be filled.
    """
    stretch = len(noise_powers) / len(out)
    bits = noise_powers.view(np.int64)
    lowest, highest = 2.0**-_OCTAVES, 2.0**_OCTAVES
    for block in range(len(out)):
        start, end = block * stretch, (block + 1) * stretch
        first, last = int(start), min(int(np.ceil(end)), len(noise_powers))
        total = 0.0
        for sample in range(first, last):
            if noise_powers[sample] >= highest:
                # A symbol that tells nothing.
                information = 0.0
            elif noise_powers[sample] < lowest:
                information = table[0]
            else:
                index = (bits[sample] >> _LOW_BITS) - _FIRST
                part = (bits[sample] & ((1 << _LOW_BITS) - 1)) / (1 << _LOW_BITS)
                information = table[index] + part * (table[index + 1] - table[index])
            # A sample on a border counts in part on either side.
            if sample == first or sample == last - 1:
                information *= min(end, sample + 1.0) - max(start, float(sample))
            total += information
        out[block] = total / stretch


def bicm_information(snr_db: float, modulation: str) -> float:
    """Mutual information per coded bit, 0 .. 1, at Es/N0 `snr_db` per complex symbol.

    Raises:
        ChannelError: unknown modulation, or an SNR that is not a number.
    """
    check_range("snr_db", snr_db, -np.inf, np.inf)
    return _information(snr_db, information_curve(modulation).information, LOWEST_DB, STEP_DB)


def information_of_each(noise_powers: NDArray[np.float64], modulation: str) -> NDArray[np.float64]:
    """`bicm_information` at each of these noise powers, > 0, of any shape."""
    curve = information_curve(modulation)
    snr_db = -10.0 * np.log10(noise_powers)
    within = np.interp(snr_db, curve.snr_db, curve.information)
    return np.asarray(within * np.minimum(10.0 ** ((snr_db - LOWEST_DB) / 10.0), 1.0))


def snr_db_of_information(information: float, modulation: str) -> float:
    """Es/N0 in dB at which a bit tells so much: the inverse of `bicm_information`.

    Args:
        information: 0 .. 1 bit; -inf dB at 0, the end of the curve (see `SATURATION`) at 1.
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.

    Raises:
        ChannelError: unknown modulation, or information outside 0 .. 1.
    """
    check_range("information", information, 0.0, 1.0)
    return snr_db_from_table(
        information, information_curve(modulation).information, LOWEST_DB, STEP_DB
    )


def effective_snr_db(noise_powers: NDArray[np.float64], modulation: str) -> float:
    """The Es/N0 in dB that tells as much as symbols of these noise powers do on average.

    Args:
        noise_powers: float64[n], of unit-power symbols, each > 0; n at least 1.
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.

    Raises:
        ChannelError: unknown modulation, or no symbols.
    """
    return float(effective_snrs_db(noise_powers, modulation, 1)[0])


def effective_snrs_db(
    noise_powers: NDArray[np.float64], modulation: str, blocks: int
) -> NDArray[np.float64]:
    """`effective_snr_db` of each of `blocks` equal stretches, one after the other.

    Args:
        noise_powers: float64[n], n at least 1; not only multiples of `blocks`.
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.
        blocks: at least 1.

    Returns:
        float64[blocks].

    Raises:
        ChannelError: unknown modulation, or sizes that do not fit.
    """
    means = mean_information(noise_powers, modulation, blocks)
    return np.array([snr_db_of_information(mean, modulation) for mean in means.tolist()])


def mean_information(
    noise_powers: NDArray[np.float64], modulation: str, blocks: int
) -> NDArray[np.float64]:
    """Mean of `bicm_information` over each of `blocks` equal stretches; see `effective_snrs_db`."""
    if noise_powers.ndim != 1 or blocks < 1 or len(noise_powers) < 1:
        raise ChannelError(
            f"effective SNR: expected noise powers for {blocks} equal blocks, found "
            f"shape {noise_powers.shape}"
        )
    out = np.empty(blocks)
    noise_powers = np.ascontiguousarray(noise_powers, np.float64)
    mean_information_from_table(noise_powers, information_by_noise(modulation), out)
    return out
