"""Delay line channels against their tables, closed forms, and Sionna's."""

import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import j0
from scipy.stats import kstest

from channels.errors import ChannelError
from channels.randomness import ChannelRandomness, derive_key
from channels.tapped_delay import (
    MODELS,
    DelayProfile,
    delay_profile,
    draw_fade,
    time_correlation,
)

RANDOMNESS = ChannelRandomness(derive_key("delay line tests"))
DOPPLER_HZ = 300.0
#: Up to half a turn of the fastest ray, past the first zero of J0.
SAMPLES_HZ = 8000.0
LAGS_S = np.arange(14) / SAMPLES_HZ


def draw_taps(profile: DelayProfile, fades: int, start_s: float = 0.0) -> NDArray[np.complex128]:
    """Taps of independent fades at LAGS_S, complex128[fades, taps, times]."""
    start = np.array([start_s])
    return np.stack(
        [
            draw_fade(profile, DOPPLER_HZ, RANDOMNESS.generator(profile.model, number)).taps(
                start, LAGS_S
            )[:, 0]
            for number in range(fades)
        ]
    )


def assert_same_mean(
    a: NDArray[np.complex128], b: NDArray[np.complex128] | complex, sigmas: float = 4.0
) -> None:
    """Means over the first axis agree within so many standard errors, in either part."""
    for part in (np.real, np.imag):
        expected, of_b = part(b), 0.0
        if np.ndim(b) == np.ndim(a):
            expected, of_b = part(b).mean(axis=0), part(b).var(axis=0) / len(b)
        error = np.sqrt(part(a).var(axis=0) / len(a) + of_b)
        assert np.all(np.abs(part(a).mean(axis=0) - expected) <= sigmas * error + 1e-9)


def test_tables() -> None:
    """Facts of TR 38.901: K factors, longest delays, strongest tap; rms delay spread 1."""
    longest = {"A": 9.6586, "B": 4.7834, "C": 8.6523, "D": 12.525, "E": 20.6519}
    for model in MODELS:
        profile = delay_profile(model)
        mean_powers = profile.mean_powers
        assert mean_powers.sum() == pytest.approx(1.0)
        mean = mean_powers @ profile.delays
        spread = np.sqrt(mean_powers @ (profile.delays - mean) ** 2)
        # The table of D, with its rounded powers, is 0.6 % short.
        assert spread == pytest.approx(1.0, rel=0.0065)
        # Table 7.7.1-5 ends at 20.6419, table 7.7.2-5 at 20.6519.
        assert profile.delays.max() == pytest.approx(longest[model[-1]], abs=0.011)
        k_db = {"D": 13.3, "E": 22.0}.get(model[-1])
        assert (profile.los_power > 0) == (k_db is not None)
        if k_db is not None:
            found_db = 10 * np.log10(profile.los_power / profile.powers[0])
            assert found_db == pytest.approx(k_db, abs=1e-6)
    tdl_a = delay_profile("TDL-A")
    assert len(tdl_a.powers) == 23
    assert tdl_a.powers[0] / tdl_a.powers[1] == pytest.approx(10**-1.34)


@pytest.mark.parametrize("model", ["TDL-B", "TDL-E", "CDL-A", "CDL-D"])
def test_power_delay_profile_and_time_correlation(model: str) -> None:
    """Of every tap, at any time; taps are uncorrelated."""
    profile = delay_profile(model)
    taps = draw_taps(profile, 2500, start_s=0.02)
    assert_same_mean(np.abs(taps[:, :, 5]) ** 2, profile.mean_powers)
    expected = time_correlation(profile, DOPPLER_HZ, LAGS_S)
    assert_same_mean(taps * taps[:, :, :1].conj(), expected, sigmas=4.5)
    assert_same_mean(taps[:, 0] * taps[:, 1].conj(), 0.0)


def test_tapped_delay_lines_have_the_jakes_spectrum() -> None:
    profile = delay_profile("TDL-A")
    taps = draw_taps(profile, 2000)
    assert_same_mean(
        np.sum(taps * taps[:, :, :1].conj(), axis=1), j0(2 * np.pi * DOPPLER_HZ * LAGS_S)
    )
    # The angles of one fade alone do it too, over far lags.
    fade = draw_fade(profile, DOPPLER_HZ, RANDOMNESS.generator("angles", 0))
    lags_s = np.linspace(0.0, 0.01, 50)
    of_angles = np.exp(2j * np.pi * fade.doppler_hz[:, :, None] * lags_s).mean(axis=1)
    expected = np.broadcast_to(j0(2 * np.pi * DOPPLER_HZ * lags_s), of_angles.shape)
    np.testing.assert_allclose(of_angles, expected, atol=1e-3)


def test_taps_without_line_of_sight_are_rayleigh() -> None:
    profile = delay_profile("TDL-C")
    power = np.abs(draw_taps(profile, 1500)[:, :, 9]) ** 2 / profile.powers
    assert kstest(power.ravel(), "expon").pvalue > 0.01
    # Not only nearly: the amplitudes of the rays are complex normal themselves.
    rays = draw_fade(profile, DOPPLER_HZ, RANDOMNESS.generator("rays", 0)).amplitudes
    of_rays = np.abs(rays) ** 2 / profile.powers[:, None] * rays.shape[1]
    assert kstest(of_rays.ravel(), "expon").pvalue > 0.01
    share = np.mean(power < 0.1)
    expected = 1 - np.exp(-0.1)
    assert abs(share - expected) < 2.576 * np.sqrt(expected * (1 - expected) / power.size)


def test_clusters_pair_azimuths_and_zeniths_at_random() -> None:
    """So that over the fades any ray of a cluster sees the cluster's mean Doppler power."""
    profile = delay_profile("CDL-A")
    assert profile.arrivals is not None
    shifts = np.stack(
        [
            draw_fade(profile, 1.0, RANDOMNESS.generator("pairs", number)).doppler_hz
            for number in range(1500)
        ]
    )
    expected = np.mean(np.sin(profile.arrivals.zenith) ** 2, axis=1, keepdims=True) / 2
    assert_same_mean(shifts**2, np.broadcast_to(expected, shifts[0].shape), sigmas=4.5)


@pytest.mark.parametrize("model", ["TDL-D", "CDL-D"])
def test_rician_k(model: str) -> None:
    """var |h|^2 / (E |h|^2)^2  =  (2 K + 1) / (K + 1)^2."""
    power = np.abs(draw_taps(delay_profile(model), 4000)[:, 0, 0]) ** 2
    v = power.var() / power.mean() ** 2
    k = (1 - v + np.sqrt(1 - v)) / v
    # The standard error of a variance from 4000 nearly normal values is 2.2 %.
    assert k == pytest.approx(10**1.33, rel=0.06)


def test_line_of_sight_doppler() -> None:
    profile = delay_profile("TDL-E")
    fade = draw_fade(profile, DOPPLER_HZ, RANDOMNESS.generator("los", 0))
    strongest = np.unravel_index(np.abs(fade.amplitudes).argmax(), fade.amplitudes.shape)
    assert strongest[0] == 0
    assert np.abs(fade.amplitudes[strongest]) ** 2 == pytest.approx(profile.los_power)
    assert fade.doppler_hz[strongest] == pytest.approx(0.7 * DOPPLER_HZ)


def test_taps_are_the_sum_of_their_rays() -> None:
    fade = draw_fade(delay_profile("CDL-C"), DOPPLER_HZ, RANDOMNESS.generator("sum", 3))
    starts_s, offsets_s = np.array([0.0, 1e-3, 0.5]), np.array([0.0, 3e-5])
    taps = fade.taps(starts_s, offsets_s)
    assert taps.shape == (24, 3, 2)
    for i, start in enumerate(starts_s):
        for j, offset in enumerate(offsets_s):
            waves = fade.amplitudes * np.exp(2j * np.pi * fade.doppler_hz * (start + offset))
            np.testing.assert_allclose(taps[:, i, j], waves.sum(axis=1), atol=1e-11)
    assert np.all(np.abs(fade.doppler_hz) <= DOPPLER_HZ)
    evenly_s = 0.5 + 2e-4 * np.arange(9)
    expected = fade.taps(evenly_s, np.zeros(1))[:, :, 0].T
    np.testing.assert_allclose(fade.taps_evenly(0.5, 2e-4, 9), expected, atol=1e-11)
    np.testing.assert_allclose(fade.taps_evenly(0.0, 0.0, 1)[0], taps[:, 0, 0], atol=1e-11)


CARRIER_HZ = 3.5e9
SPEED_M_S = DOPPLER_HZ * 299_792_458.0 / CARRIER_HZ
DROPS = 500


def sionna_tdl(letter: str) -> NDArray[np.complex128]:
    from sionna.phy.channel.tr38901 import TDL

    model = TDL(letter, 100e-9, CARRIER_HZ, min_speed=SPEED_M_S)
    taps, delays_s = model(DROPS, len(LAGS_S), SAMPLES_HZ)
    profile = delay_profile(f"TDL-{letter}")
    np.testing.assert_allclose(delays_s[0, 0, 0].numpy(), profile.delays * 100e-9, rtol=1e-5)
    return taps.numpy()[:, 0, 0, 0, 0].astype(np.complex128)


def sionna_cdl(letter: str) -> NDArray[np.complex128]:
    import torch
    from sionna.phy.channel.tr38901 import CDL, Antenna

    antenna = Antenna("single", "V", "omni", carrier_frequency=CARRIER_HZ)
    azimuth = np.random.default_rng(5).uniform(0, 2 * np.pi, DROPS)
    along = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(DROPS)], axis=1)
    velocity = torch.tensor(SPEED_M_S * along, dtype=torch.float32)
    model = CDL(letter, 100e-9, CARRIER_HZ, antenna, antenna, ut_velocity=velocity)
    taps, delays_s = model(DROPS, len(LAGS_S), SAMPLES_HZ)
    profile = delay_profile(f"CDL-{letter}")
    order = np.argsort(profile.delays)
    expected = profile.delays[order] * 100e-9
    np.testing.assert_allclose(delays_s[0, 0, 0].numpy(), expected, rtol=1e-5)
    found = np.empty((DROPS, len(order), len(LAGS_S)), np.complex128)
    found[:, order] = taps.numpy()[:, 0, 0, 0, 0]
    return found


@pytest.mark.parametrize("model", ["TDL-A", "TDL-D", "CDL-C", "CDL-D"])
def test_statistics_equal_sionna(model: str) -> None:
    """Power delay profile and autocorrelation of the taps, within what so many drops can tell."""
    from sionna.phy import config

    config.seed = 11
    family, letter = model.split("-")
    theirs = sionna_tdl(letter) if family == "TDL" else sionna_cdl(letter)
    ours = draw_taps(delay_profile(model), 1000)
    assert_same_mean(np.abs(ours[:, :, 0]) ** 2, np.abs(theirs[:, :, 0]) ** 2)
    # Of the whole channel: the errors that the drops leave are about 3 % of its power.
    assert_same_mean(
        np.sum(ours * ours[:, :, :1].conj(), axis=1),
        np.sum(theirs * theirs[:, :, :1].conj(), axis=1),
    )


@pytest.fixture
def no_tables() -> Iterator[None]:
    delay_profile.cache_clear()
    yield
    delay_profile.cache_clear()


@pytest.mark.usefixtures("no_tables")
def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ChannelError, match=r"model: expected one of TDL-A, .*, found 'TDL-F'"):
        delay_profile("TDL-F")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ChannelError, match="TDL-A: expected the package sionna-no-rt, found none"):
        delay_profile("TDL-A")
