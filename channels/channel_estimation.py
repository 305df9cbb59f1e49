"""Estimates of an OFDM channel from pilot symbols, and how far off they are.

A slot has full pilot symbols: every subcarrier of the OFDM symbols `pilot_symbols` is known. What
is received there is H + noise of power `no`, H being the channel's frequency response, of mean
power 1. Both estimators take one slot at a time and answer with

    H  =  response + error,      error of mean 0, uncorrelated with the response

so that a symbol divided by the response is unbiased, with noise of power
(no + error power) / |response|^2. Error powers are means over all fades, not over one.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ChannelMoments:
    """Second moments of the response over one slot: all that is known of it beforehand.

    Attributes:
        time: complex128[taps, symbols, symbols], E h_l(t) h_l(t')*; mean powers included, which
            sum to 1 over the taps. Taps are uncorrelated.
        steering: complex128[taps, subcarriers], exp(-j 2 pi f tau_l).
    """

    time: NDArray[np.complex128]
    steering: NDArray[np.complex128]


class ChannelEstimator(Protocol):
    """Estimates the response over whole slots."""

    def estimate(
        self, pilots: NDArray[np.complex128], no: float
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """From pilots received with noise of power `no`, divided by their known values.

        Args:
            pilots: complex128[slots, pilot symbols, subcarriers].
            no: > 0.

        Returns:
            The response, complex128[slots, symbols, subcarriers], and its mean error power,
            float64[symbols, subcarriers].
        """


def interpolation_weights(symbols: int, pilot_symbols: tuple[int, ...]) -> NDArray[np.float64]:
    """Linear interpolation between pilot symbols; before the first and after the last, the nearest.

    Args:
        symbols: OFDM symbols per slot.
        pilot_symbols: ascending, at least one.

    Returns:
        float64[symbols, pilot symbols]; rows sum to 1.
    """
    units = np.eye(len(pilot_symbols))
    return np.stack([np.interp(np.arange(symbols), pilot_symbols, unit) for unit in units], axis=1)


class LeastSquares:
    """Least squares at the pilots, linear interpolation in time.

    Needs the channel's time correlation only to say how far off it is, and to scale the result.
    """

    def __init__(self, moments: ChannelMoments, pilot_symbols: tuple[int, ...]) -> None:
        time = moments.time.sum(axis=0)
        pilots = np.array(pilot_symbols)
        self._weights = interpolation_weights(len(time), pilot_symbols)
        #: E H(t) raw(t)* and, without noise, E |raw(t)|^2.
        self._cross = np.sum(time[:, pilots] * self._weights, axis=1)
        among = time[np.ix_(pilots, pilots)]
        self._power = np.einsum("tp,pq,tq->t", self._weights, among, self._weights).real

    def interpolate(self, pilots: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Raw estimates, complex128[slots, symbols, subcarriers]."""
        return self._weights @ pilots

    def raw_error_power(self, no: float) -> NDArray[np.float64]:
        """Mean power of raw estimate minus response, float64[symbols].

        The noise of the pilots, and what linear interpolation misses of a channel that changes.
        """
        missed = np.maximum(1.0 + self._power - 2.0 * self._cross.real, 0.0)
        power: NDArray[np.float64] = no * np.sum(self._weights**2, axis=1) + missed
        return power

    def regression(self, no: float) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """Of the response on raw estimates: factors, complex128[symbols], and error powers."""
        raw_power = self._power + no * np.sum(self._weights**2, axis=1)
        error = np.maximum(1.0 - np.abs(self._cross) ** 2 / raw_power, 0.0)
        return self._cross / raw_power, error

    def estimate(
        self, pilots: NDArray[np.complex128], no: float
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """See `ChannelEstimator.estimate`.

        The raw estimate H + noise is too large: its regression of the response on it is below 1,
        and a symbol divided by it is biased towards 0. So it is scaled by that regression, element
        by element.
        """
        scale, error = self.regression(no)
        response = scale[:, None] * self.interpolate(pilots)
        return response, np.repeat(error[:, None], pilots.shape[2], axis=1)


class LinearMinimumMeanSquareError:
    """The best linear estimate from all pilots of a slot, in time and frequency at once.

    Assumes that the receiver knows `no` and the second moments of the channel: delays, mean powers
    and Doppler spectrum of every tap; not the fade, nor a direction of travel.

    The slot's response is Phi g with g white of variance 1: for each tap the eigenvectors of its
    time correlation, times its steering vector. With the singular value decomposition of the
    pilots' rows, Phi_p = U s V^H, the estimate is

        Phi V  diag(s / (s^2 + no))  U^H  pilots

    which inverts nothing that noise does not keep away from 0, at any `no`.
    """

    def __init__(self, moments: ChannelMoments, pilot_symbols: tuple[int, ...]) -> None:
        taps, symbols, _ = moments.time.shape
        subcarriers = moments.steering.shape[1]
        values, vectors = np.linalg.eigh(moments.time)
        kept = max(1, int(np.sum(values.max(axis=0) > 1e-15)))
        values, vectors = values[:, -kept:], vectors[:, :, -kept:]
        modes = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        basis = np.einsum("ltq,lf->tflq", modes, moments.steering)
        basis = basis.reshape(symbols, subcarriers, taps * kept)
        rows = basis[list(pilot_symbols)].reshape(-1, taps * kept)
        self._u, self._s, v = np.linalg.svd(rows, full_matrices=False)
        self._u = self._u.conj().T
        self._basis = basis @ v.conj().T
        #: What no pilot sees.
        self._unseen = np.maximum(1.0 - np.sum(np.abs(self._basis) ** 2, axis=2), 0.0)

    def estimate(
        self, pilots: NDArray[np.complex128], no: float
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """See `ChannelEstimator.estimate`."""
        slots = len(pilots)
        symbols, subcarriers, rank = self._basis.shape
        seen = pilots.reshape(slots, len(self._u.T)) @ self._u.T
        seen *= self._s / (self._s**2 + no)
        response = seen @ self._basis.reshape(-1, rank).T
        return response.reshape(slots, symbols, subcarriers), self.error_power(no)

    def error_power(self, no: float) -> NDArray[np.float64]:
        """Mean error power of the estimate, float64[symbols, subcarriers]."""
        power: NDArray[np.float64] = np.abs(self._basis) ** 2 @ (no / (self._s**2 + no))
        power += self._unseen
        return power
