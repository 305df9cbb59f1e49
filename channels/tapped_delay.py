"""Delay line channels of 3GPP TR 38.901, 7.7: tapped (TDL-A .. E) and clustered (CDL-A .. E).

A fade is a sum of plane waves, its rays; those of one tap arrive with one delay:

    h(tau, t)  =  sum over taps l  delta(tau - tau_l)  sum over rays i  a_li exp(j 2 pi f_li t)

TDL (7.7.2): a tap's rays arrive from evenly spaced azimuths, turned by a uniform angle, with
circular complex normal amplitudes. So at all times together a tap is complex normal (its magnitude
Rayleigh, not just nearly), and over the turns its autocorrelation is that of the Jakes spectrum,
J0(2 pi f_d dt). The line-of-sight ray of TDL-D and E has a Doppler shift of 0.7 f_d.

CDL (7.7.1, and 7.5 steps 7 to 11): 20 rays of equal power per cluster, their arrival angles from
the table with the offsets of table 7.5-3, azimuths and zeniths paired at random (step 8), their
initial phases uniform (step 10), their Doppler shifts from the angle to the direction of travel.
Simplified: one omnidirectional, vertically polarised antenna at either end, so that departure
angles and the cross-polarisation ratio have no effect; travel is horizontal, its azimuth uniform;
the phase of the line of sight is uniform, since no distance is known. Angles are not scaled.

The tables are read from the installed Sionna distribution, without importing Sionna.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from channels.channel import check_choice
from channels.errors import ChannelError
from channels.kernels import kernel
from channels.sionna_tables import sionna_folder

#: Models by name.
MODELS = tuple(f"{family}-{letter}" for family in ("TDL", "CDL") for letter in "ABCDE")

#: Rays of a TDL tap. Over the amplitudes alone the autocorrelation follows J0 up to 2 pi f_d dt of
#: about as many. The power of a single fade, however long, varies with them: its mean is 1.
TDL_RAYS = 32
#: Doppler shift of the line of sight in TDL-D and E, in units of the maximum (7.7.2).
TDL_LOS_DOPPLER = 0.7

#: Ray offset angles for a cluster with an rms spread of 1 (TR 38.901, table 7.5-3), either sign.
_RAY_OFFSETS = (
    0.0447, 0.1413, 0.2492, 0.3715, 0.5129, 0.6797, 0.8844, 1.1481, 1.5195, 2.1551,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Arrivals:
    """Where the rays of a clustered model come from, in radians.

    Attributes:
        azimuth: float64[taps, 20].
        zenith: float64[taps, 20]; any azimuth of a tap may go with any zenith of it.
        los_azimuth: of the line of sight; 0 where there is none.
        los_zenith: of the line of sight; pi/2 where there is none.
    """

    azimuth: NDArray[np.float64]
    zenith: NDArray[np.float64]
    los_azimuth: float
    los_zenith: float


@dataclass(frozen=True, eq=False)
class DelayProfile:
    """The table of one model (TR 38.901, tables 7.7.1-1 .. 5 and 7.7.2-1 .. 5).

    Attributes:
        model: a name of `MODELS`.
        delays: float64[taps], for an rms delay spread of 1.
        powers: float64[taps], scattered power of each tap; with `los_power` they sum to 1.
        los_power: power of the line of sight, a part of tap 0; 0 where there is none.
        arrivals: of a clustered model; None of a tapped one.
    """

    model: str
    delays: NDArray[np.float64]
    powers: NDArray[np.float64]
    los_power: float
    arrivals: Arrivals | None

    @property
    def mean_powers(self) -> NDArray[np.float64]:
        """Power of each tap, line of sight included, float64[taps]; their sum is 1."""
        powers = self.powers.copy()
        powers[0] += self.los_power
        return powers


@dataclass(frozen=True, eq=False)
class Fade:
    """One realisation: the rays of every tap. The line of sight is a ray of tap 0.

    Attributes:
        amplitudes: complex128[taps, rays], at time 0.
        doppler_hz: float64[taps, rays].
    """

    amplitudes: NDArray[np.complex128]
    doppler_hz: NDArray[np.float64]

    def taps(
        self, starts_s: NDArray[np.float64], offsets_s: NDArray[np.float64]
    ) -> NDArray[np.complex128]:
        """Gains of the taps at every start plus every offset, complex128[taps, starts, offsets]."""
        # exp(j w (s + o)) = exp(j w s) exp(j w o): few exponentials, and the sum over the rays is
        # a product of matrices.
        turns = 2j * np.pi * self.doppler_hz
        at_starts = np.exp(turns[:, None, :] * starts_s[:, None])
        at_starts *= self.amplitudes[:, None, :]
        gains: NDArray[np.complex128] = at_starts @ np.exp(turns[:, :, None] * offsets_s)
        return gains

    def taps_evenly(self, start_s: float, step_s: float, count: int) -> NDArray[np.complex128]:
        """Gains of the taps at start, start + step, ..., complex128[count, taps]: few, quickly."""
        wave = self.amplitudes.copy()
        if start_s != 0.0:
            wave *= _turned(self.doppler_hz * start_s)
        gains = np.empty((count, len(wave)), np.complex128)
        _sum_of_rays(wave, _turned(self.doppler_hz * step_s), gains)
        return gains


def _turned(turns: NDArray[np.float64]) -> NDArray[np.complex128]:
    """exp(j 2 pi turns); a cosine and a sine take less time than a complex exponential."""
    angle = 2.0 * np.pi * turns
    out = np.empty(turns.shape, np.complex128)
    np.cos(angle, out=out.real)
    np.sin(angle, out=out.imag)
    return out


@kernel
def _sum_of_rays(
    wave: NDArray[np.complex128], turn: NDArray[np.complex128], out: NDArray[np.complex128]
) -> None:
    """out[t, l] = sum over i of wave[l, i] turn[l, i]^t; `wave` is used up."""
    for t in range(len(out)):
        for tap in range(len(wave)):
            total = 0j
            for ray in range(wave.shape[1]):
                total += wave[tap, ray]
                wave[tap, ray] *= turn[tap, ray]
            out[t, tap] = total


@lru_cache(maxsize=len(MODELS))
def delay_profile(model: str) -> DelayProfile:
    """The table of a model.

    Raises:
        ChannelError: an unknown name, or Sionna is not installed.
    """
    check_choice("model", model, MODELS)
    table = _read_table(model)
    delays = np.array(table["delays"], np.float64)
    powers = 10.0 ** (np.array(table["powers"]) / 10.0)
    powers /= powers.sum()
    # The first row of the table is the line of sight, the second what is scattered beside it.
    los = int(table["los"])
    arrivals = None
    if model.startswith("CDL"):
        azimuth = np.deg2rad(np.array(table["aoa"], np.float64))
        zenith = np.deg2rad(np.array(table["zoa"], np.float64))
        offsets = np.deg2rad(np.concatenate([_RAY_OFFSETS, np.negative(_RAY_OFFSETS)]))
        arrivals = Arrivals(
            azimuth=azimuth[los:, None] + table["cASA"] * offsets,
            zenith=zenith[los:, None] + table["cZSA"] * offsets,
            los_azimuth=float(azimuth[0]) if los else 0.0,
            los_zenith=float(zenith[0]) if los else np.pi / 2,
        )
    los_power = float(powers[0]) if los else 0.0
    return DelayProfile(model, delays[los:], powers[los:], los_power, arrivals)


def draw_fade(profile: DelayProfile, max_doppler_hz: float, generator: np.random.Generator) -> Fade:
    """Draw the rays of all taps; the mean power of the taps together is 1."""
    if profile.arrivals is None:
        return _draw_tapped(profile, max_doppler_hz, generator)
    return _draw_clustered(profile, profile.arrivals, max_doppler_hz, generator)


def time_correlation(
    profile: DelayProfile, max_doppler_hz: float, lags_s: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """E h_l(t + lag) h_l(t)* of each tap, over all fades: complex128[taps, *lags_s.shape].

    Its value at lag 0 is the tap's mean power. Taps are uncorrelated with each other.
    """
    # Imported here since it takes longer than all else that a link without OFDM needs.
    from scipy.special import j0

    turn = 2.0 * np.pi * max_doppler_hz * np.asarray(lags_s, np.float64)
    shape = (-1, *(1,) * turn.ndim)
    if profile.arrivals is None:
        scattered = j0(turn)
        los = np.exp(1j * TDL_LOS_DOPPLER * turn)
    else:
        # The mean over a uniform azimuth of travel leaves the zeniths.
        sines = np.sin(profile.arrivals.zenith)
        scattered = np.mean([j0(turn * ray.reshape(shape)) for ray in sines.T], axis=0)
        los = j0(turn * np.sin(profile.arrivals.los_zenith))
    correlation: NDArray[np.complex128] = profile.powers.reshape(shape) * (scattered + 0j)
    correlation[0] += profile.los_power * los
    return correlation


def _draw_tapped(
    profile: DelayProfile, max_doppler_hz: float, generator: np.random.Generator
) -> Fade:
    taps = len(profile.delays)
    turned = generator.random((taps, 1))
    azimuth = 2.0 * np.pi / TDL_RAYS * (np.arange(TDL_RAYS) + turned)
    normal = generator.standard_normal((taps, 2 * TDL_RAYS)).view(np.complex128)
    los_phase = 2.0 * np.pi * generator.random()
    return _with_los(
        profile,
        normal * np.sqrt(profile.powers / (2 * TDL_RAYS))[:, None],
        max_doppler_hz * np.cos(azimuth),
        los_phase,
        max_doppler_hz * TDL_LOS_DOPPLER,
    )


def _draw_clustered(
    profile: DelayProfile,
    arrivals: Arrivals,
    max_doppler_hz: float,
    generator: np.random.Generator,
) -> Fade:
    travel = 2.0 * np.pi * generator.random()
    phase = 2.0 * np.pi * generator.random(arrivals.azimuth.shape)
    los_phase = 2.0 * np.pi * generator.random()
    zenith = generator.permuted(arrivals.zenith, axis=1)
    rays = phase.shape[1]
    # The part of a ray's direction along the horizontal direction of travel (7.5-22).
    along = np.sin(zenith) * np.cos(arrivals.azimuth - travel)
    los_along = np.sin(arrivals.los_zenith) * np.cos(arrivals.los_azimuth - travel)
    return _with_los(
        profile,
        np.sqrt(profile.powers / rays)[:, None] * np.exp(1j * phase),
        max_doppler_hz * along,
        los_phase,
        max_doppler_hz * float(los_along),
    )


def _with_los(
    profile: DelayProfile,
    amplitudes: NDArray[np.complex128],
    doppler_hz: NDArray[np.float64],
    los_phase: float,
    los_doppler_hz: float,
) -> Fade:
    if profile.los_power == 0.0:
        return Fade(amplitudes, doppler_hz)
    amplitudes = np.pad(amplitudes, ((0, 0), (0, 1)))
    doppler_hz = np.pad(doppler_hz, ((0, 0), (0, 1)))
    amplitudes[0, -1] = np.sqrt(profile.los_power) * np.exp(1j * los_phase)
    doppler_hz[0, -1] = los_doppler_hz
    return Fade(amplitudes, doppler_hz)


def _read_table(model: str) -> dict[str, Any]:
    folder = sionna_folder(model, "channel", "tr38901", "models")
    path = folder / "v19_2" / f"{model}.json"
    if not path.is_file():
        raise ChannelError(f"{model}: expected its table in sionna-no-rt 2.2 or later, found none")
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table
