"""What mistaken receivers lose, against closed forms."""

import numpy as np
import pytest

from channels.channel_estimation import LeastSquares
from channels.mismatch import least_squares_noise, turned_noise_powers
from channels.mutual_information import effective_snr_db
from channels.ofdm import Ofdm
from channels.snr import noise_power


@pytest.mark.parametrize(
    ("modulation", "snr_db"), [("bpsk", -5.0), ("qpsk", 4.0), ("16qam", 15.0), ("256qam", 25.0)]
)
def test_without_turns_nothing_is_lost(modulation: str, snr_db: float) -> None:
    noise = turned_noise_powers(np.zeros(10), modulation, noise_power(snr_db))
    assert -10 * np.log10(noise) == pytest.approx(np.full(10, snr_db), abs=1e-4)


@pytest.mark.parametrize(("degrees", "loss_db"), [(0.5, 0.104), (1.0, 0.399), (3.0, 2.762)])
def test_small_turns_add_their_square_to_the_noise(degrees: float, loss_db: float) -> None:
    """|exp(j phi) - 1|^2 = 4 sin(phi / 2)^2 beside a noise power of 0.0032, at 256QAM's 25 dB."""
    turns = np.full(10, np.deg2rad(degrees))
    noise = turned_noise_powers(turns, "256qam", noise_power(25.0))
    assert 25 + 10 * np.log10(noise) == pytest.approx(np.full(10, loss_db), rel=0.3)


@pytest.mark.parametrize("degrees", [-60.0, 20.0, 40.0, 60.0])
@pytest.mark.parametrize("snr_db", [0.0, 4.0])
def test_a_turn_weakens_bpsk_by_its_cosine(degrees: float, snr_db: float) -> None:
    """The part at right angles carries nothing, and its loss takes no scale to be told."""
    turns = np.full(10, np.deg2rad(degrees))
    noise = turned_noise_powers(turns, "bpsk", noise_power(snr_db))
    expected_db = snr_db + 20 * np.log10(np.cos(turns))
    assert -10 * np.log10(noise) == pytest.approx(expected_db, abs=0.2)


@pytest.mark.parametrize("snr_db", [4.0, 10.0])
def test_qpsk_turned_by_a_quarter_tells_nothing(snr_db: float) -> None:
    """One bit is always wrong, the other always right: no scale serves both."""
    turns = np.array([np.pi / 2, -np.pi / 2])
    noise = turned_noise_powers(turns, "qpsk", noise_power(snr_db))
    assert effective_snr_db(noise, "qpsk") < -20.0


@pytest.mark.parametrize("modulation", ["qpsk", "64qam"])
@pytest.mark.parametrize(("pilots", "loss_db"), [((1,), 3.01), ((1, 3), 1.76)])
def test_least_squares_lose_what_their_noise_adds(
    modulation: str, pilots: tuple[int, ...], loss_db: float
) -> None:
    """Of a response that stands still one pilot doubles the noise, two add half of it."""
    snr_db = {"qpsk": 7.0, "64qam": 16.0}[modulation]
    channel = Ofdm(speed_m_s=0.0, pilot_symbols=pilots, estimation="ls")
    estimator = channel.estimator()
    assert isinstance(estimator, LeastSquares)
    no = noise_power(20.0)
    noise = least_squares_noise(np.full(5, noise_power(snr_db)), estimator, (2,), modulation, no)
    assert snr_db + 10 * np.log10(noise) == pytest.approx(np.full(5, loss_db), abs=0.4)
