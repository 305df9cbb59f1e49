"""What a packet's bits still tell where the receiver is mistaken about the channel.

A demapper that is told a wrong gain or a wrong noise power gives LLRs that are none. What they tell
a decoder for which the scale of all LLRs does not matter is the generalised mutual information

    I  =  max over s of  1  -  mean over bits of  E log2(1 + exp(-s (2 b - 1) LLR))

(A. Martinez, A. Guillen i Fabregas, G. Caire, F. M. J. Willems, "Bit-interleaved coded modulation
revisited: a mismatched decoding perspective", IEEE Trans. Inf. Theory 55(6), 2009). With LLRs that
are right, s is 1 and I that of `channels.mutual_information`.

The expectations are measured with the demapper itself, over the same symbols and noise as those of
a receiver that knows all; what that one would tell is known exactly, so only the loss is measured.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.channel_estimation import LeastSquares, LinearMinimumMeanSquareError
from channels.kernels import kernel
from channels.modulation import bits_per_symbol, demodulate, modulate
from channels.mutual_information import (
    bicm_information,
    information_of_each,
    snr_db_of_information,
)
from channels.randomness import ChannelRandomness, derive_key

_SYMBOLS = 4000
#: SNRs of the response at which the loss of least squares is measured; linear in between.
_SNRS_DB = np.arange(-20.0, 51.0, 1.0)
#: Roots of turns over pi at which their loss is measured, linear in between: the smallest turns,
#: which matter to large constellations, are the closest.
_TURN_ROOTS = np.linspace(0.0, 1.0, 49)
#: What the errors of an estimate are counted by: of several powers, and nodes in either part.
_ERROR_CLASSES = 8
_ESTIMATE_NODES = 12
#: Bins of roots of turns over pi, from 0 on.
_TURN_BINS = 768
_SCALES = np.array([0.15, 0.3, 0.45, 0.6, 0.8, 1.0])
#: Less than this, which may be negative, counts as this: no noise power tells less than nothing.
_LEAST_INFORMATION = 1e-3


def least_squares_noise(
    noise: NDArray[np.float64],
    estimator: LeastSquares,
    data_symbols: tuple[int, ...],
    modulation: str,
    no: float,
) -> NDArray[np.float64]:
    """Noise powers that leave a packet as much as division by least-squares estimates does.

    It is a mean over errors of the estimate, taken as complex normal, at the response of a symbol:
    those of a packet are many and nearly independent.

    Args:
        noise: float64[n], no / |response|^2.
        estimator: of the channel; with the same one, results are kept.
        data_symbols: OFDM symbols of a slot that carry the packet's data, at least one.
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.
        no: noise power of pilots and data.

    Returns:
        float64[n], each > 0.
    """
    snrs_db = _least_squares_snrs_db(estimator, data_symbols, modulation, no)
    return _noise_worth(noise, snrs_db)


def _noise_worth(noise: NDArray[np.float64], snrs_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noise powers of the SNRs that count instead: `snrs_db` in the place of _SNRS_DB."""
    return np.asarray(10.0 ** (np.interp(-10.0 * np.log10(noise), _SNRS_DB, snrs_db) / -10.0))


@lru_cache(maxsize=256)
def _least_squares_snrs_db(
    estimator: LeastSquares, data_symbols: tuple[int, ...], modulation: str, no: float
) -> NDArray[np.float64]:
    """SNRs at which a receiver that knows the response is told as much as at _SNRS_DB."""
    draws = ChannelRandomness(derive_key("loss of least squares"))
    raw_error = estimator.raw_error_power(no)
    scale, error = estimator.regression(no)
    worth = np.empty(len(_SNRS_DB))
    for place, snr_db in enumerate(_SNRS_DB.tolist()):
        generator = draws.generator("draws", place)
        bits, symbols = _random_symbols(generator, modulation)
        noise = np.sqrt(no) * _complex_normal(generator)
        when = generator.choice(np.array(data_symbols), _SYMBOLS)
        response = np.sqrt(no * 10.0 ** (snr_db / 10.0))
        estimate = response + np.sqrt(raw_error[when]) * _complex_normal(generator)
        estimate *= np.abs(scale[when])
        received = response * symbols + noise
        told = _information(
            bits, received / estimate, (no + error[when]) / np.abs(estimate) ** 2, modulation
        )
        right = _information(
            bits, received / response, np.full(_SYMBOLS, no / response**2), modulation
        )
        worth[place] = _snr_db(bicm_information(snr_db, modulation) + told - right, modulation)
    worth.setflags(write=False)
    return worth


def linear_estimate_noise(
    noise: NDArray[np.float64],
    estimator: LinearMinimumMeanSquareError,
    data_symbols: tuple[int, ...],
    modulation: str,
    no: float,
) -> NDArray[np.float64]:
    """Noise powers that leave a packet as much as division by the best linear estimates does.

    The error of such an estimate H^ is independent of it, so that what is left is noise of power
    (no + error) / |H^|^2, which the receiver knows. Of complex normal responses of mean power 1,

        H^  given H  =  (1 - error) H  +  complex normal of power error (1 - error)

    over which the mean is taken, and over the elements of the packet, by quadrature.

    Args:
        noise: float64[n], no / |response|^2.
        estimator: and the others, see `least_squares_noise`.
        data_symbols: see there.
        modulation: see there.
        no: see there.

    Returns:
        float64[n], each > 0.
    """
    snrs_db = _linear_estimate_snrs_db(estimator, data_symbols, modulation, no)
    return _noise_worth(noise, snrs_db)


@lru_cache(maxsize=256)
def _linear_estimate_snrs_db(
    estimator: LinearMinimumMeanSquareError,
    data_symbols: tuple[int, ...],
    modulation: str,
    no: float,
) -> NDArray[np.float64]:
    """SNRs at which a receiver that knows the response is told as much as at _SNRS_DB."""
    # Parts of equal size, each by its mean: the information is nearly linear in the error.
    ordered = np.sort(estimator.error_power(no)[list(data_symbols)], axis=None)
    parts = np.array_split(ordered, min(_ERROR_CLASSES, len(ordered)))
    powers = np.array([part.mean() for part in parts]).clip(0.0, 1.0)[:, None, None, None]
    shares = np.array([len(part) for part in parts]) / len(ordered)
    nodes, weights = np.polynomial.hermite.hermgauss(_ESTIMATE_NODES)
    weights = weights / np.sqrt(np.pi)
    response = np.sqrt(no * 10.0 ** (_SNRS_DB / 10.0))[:, None, None]
    spread = np.sqrt(powers * (1.0 - powers))
    real = (1.0 - powers) * response + spread * nodes[:, None]
    power = np.maximum(real**2 + (spread * nodes) ** 2, 1e-30)
    told = information_of_each((no + powers) / power, modulation)
    means = np.einsum("c,csij,i,j->s", shares, told, weights, weights)
    worth = np.array([_snr_db(mean, modulation) for mean in means.tolist()])
    worth.setflags(write=False)
    return worth


def turned_noise_powers(
    turns: NDArray[np.float64], modulation: str, no: float
) -> NDArray[np.float64]:
    """Noise powers that leave a packet as much as turns do of which the receiver is unaware.

    Args:
        turns: float64[n], angles in radians, -pi .. pi, by which the symbols are turned.
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.
        no: noise power, which the receiver knows.

    Returns:
        float64[n], each > 0.
    """
    best, mean, misled = _best_scale(turn_shares(turns, 1), _turn_curves(modulation, no)[0])
    if misled:
        return np.full(len(turns), 10.0 ** (_snr_db(mean, modulation) / -10.0))
    snrs_db = _turned(modulation, no)[1][best]
    roots = np.sqrt(np.abs(turns) / np.pi)
    return np.asarray(10.0 ** (np.interp(roots, _TURN_ROOTS, snrs_db) / -10.0))


def turn_shares(turns: NDArray[np.float64], blocks: int) -> NDArray[np.float64]:
    """The shares of a packet's turns in each of the bins that `turned_snrs_db` takes.

    A turn between two bins counts in part in each of them, by its distance.

    Args:
        turns: float64[n], see `turned_noise_powers`.
        blocks: equal stretches of the packet.

    Returns:
        float64[blocks, bins], whose rows sum to 1.
    """
    place = np.sqrt(np.abs(turns) / np.pi) * _TURN_BINS
    below = np.minimum(place.astype(np.intp), _TURN_BINS - 1)
    part = place - below
    below += (_TURN_BINS + 1) * (np.arange(len(turns)) * blocks // len(turns))
    bins = blocks * (_TURN_BINS + 1)
    counts = np.bincount(below, 1.0 - part, bins) + np.bincount(below + 1, part, bins)
    shares = np.asarray(counts.reshape(blocks, -1), np.float64)
    shares /= shares.sum(axis=1, keepdims=True)
    shares.setflags(write=False)
    return shares


def turned_snrs_db(shares: NDArray[np.float64], modulation: str, no: float) -> NDArray[np.float64]:
    """Effective SNRs in dB of code blocks whose turns have these `turn_shares`, float64[blocks]."""
    information, told = _turn_curves(modulation, no)
    best, mean, misled = _best_scale(shares, information)
    if misled:
        return np.full(len(shares), _snr_db(mean, modulation))
    means = (shares @ told[best]).tolist()
    return np.array([snr_db_of_information(each, modulation) for each in means])


@kernel
def _best_scale(
    shares: NDArray[np.float64], information: NDArray[np.float64]
) -> tuple[int, float, bool]:
    """The scale at which a packet's turns tell most, how much that is, and whether some mislead.

    What misleads takes from what the others tell, which no noise power of its own can say.
    """
    blocks, bins = shares.shape
    best, most, misled = 0, -np.inf, False
    for scale in range(len(information)):
        mean, least = 0.0, np.inf
        for block in range(blocks):
            for k in range(bins):
                if shares[block, k] > 0.0:
                    mean += shares[block, k] * information[scale, k] / blocks
                    least = min(least, information[scale, k])
        if mean > most:
            best, most, misled = scale, mean, least < _LEAST_INFORMATION
    return best, most, misled


@lru_cache(maxsize=256)
def _turn_curves(modulation: str, no: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Information by scale and bin, float64[scales, bins], and that of noise which tells as much:
    none of it below 0.
    """
    information, snrs_db = _turned(modulation, no)
    bins = np.arange(_TURN_BINS + 1) / _TURN_BINS
    among = np.array([np.interp(bins, _TURN_ROOTS, row) for row in information])
    noise = np.array([10.0 ** (np.interp(bins, _TURN_ROOTS, row) / -10.0) for row in snrs_db])
    return among, information_of_each(noise, modulation)


@lru_cache(maxsize=256)
def _turned(modulation: str, no: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Information, and the SNRs in dB that tell as much, at every scale and turn."""
    generator = ChannelRandomness(derive_key("loss of turns")).generator("draws", 0)
    bits, symbols = _random_symbols(generator, modulation)
    noise = np.sqrt(no) * _complex_normal(generator)
    told = np.array(
        [
            _scaled_information(
                bits, np.exp(1j * turn) * symbols + noise, np.full(_SYMBOLS, no), modulation
            )
            for turn in np.pi * _TURN_ROOTS**2
        ]
    ).T
    right = told[-1, 0]
    known = bicm_information(-10.0 * float(np.log10(no)), modulation)
    information = known + told - right
    snrs_db = np.vectorize(lambda i: _snr_db(i, modulation), otypes=[np.float64])(information)
    return information, snrs_db


def _random_symbols(
    generator: np.random.Generator, modulation: str
) -> tuple[NDArray[np.uint8], NDArray[np.complex128]]:
    bits = generator.integers(0, 2, _SYMBOLS * bits_per_symbol(modulation), np.uint8)
    return bits, modulate(bits, modulation)


def _complex_normal(generator: np.random.Generator) -> NDArray[np.complex128]:
    parts = generator.standard_normal(2 * _SYMBOLS) * np.sqrt(0.5)
    return np.asarray(parts.view(np.complex128))


def _scaled_information(
    bits: NDArray[np.uint8],
    received: NDArray[np.complex128],
    noise: NDArray[np.float64],
    modulation: str,
) -> NDArray[np.float64]:
    """Of the demapper's LLRs times each of _SCALES, the last of which is 1."""
    llr = demodulate(received, noise, modulation).astype(np.float64)
    right = np.where(bits == 1, llr, -llr)
    return np.array([1.0 - np.mean(np.logaddexp(0.0, -s * right)) / np.log(2.0) for s in _SCALES])


def _information(
    bits: NDArray[np.uint8],
    received: NDArray[np.complex128],
    noise: NDArray[np.float64],
    modulation: str,
) -> float:
    return float(_scaled_information(bits, received, noise, modulation)[-1])


def _snr_db(information: float, modulation: str) -> float:
    return snr_db_of_information(min(max(information, _LEAST_INFORMATION), 1.0), modulation)
