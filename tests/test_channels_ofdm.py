"""OFDM: its channel against closed forms, its receiver against theory, its books, its draws."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import j0

from channels.channel import Channel
from channels.channel_estimation import LeastSquares
from channels.errors import ChannelError
from channels.link import LinkSetting, send_packet
from channels.modulation import modulate
from channels.ofdm import ESTIMATIONS, Ofdm
from channels.randomness import ChannelRandomness, derive_key
from channels.tapped_delay import MODELS, delay_profile

RANDOMNESS = ChannelRandomness(derive_key("ofdm tests"))
SYMBOLS = np.exp(1j * np.arange(2000))


def responses(setting: Ofdm, packets: int) -> NDArray[np.complex128]:
    """First slots of so many packets, complex128[packets, symbols, subcarriers]."""
    return np.stack([setting.response(RANDOMNESS, packet, 1)[0] for packet in range(packets)])


def within(samples: NDArray[np.float64], expected: float, sigmas: float = 2.576) -> bool:
    """The mean of independent samples is as expected, by default within 99 %."""
    error = samples.std() / np.sqrt(len(samples))
    return bool(abs(samples.mean() - expected) < sigmas * error)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("estimation", ESTIMATIONS)
def test_keeps_the_contract(model: str, estimation: str) -> None:
    setting = Ofdm(model, estimation=estimation)
    symbols = SYMBOLS[:900]
    for no in (1e-12, 0.01, 10.0):
        received, noise = setting.transmit(symbols, no, RANDOMNESS, 7)
        assert received.dtype == np.complex128
        assert noise.dtype == np.float64
        assert received.shape == noise.shape == symbols.shape
        assert np.all(noise > 0)
        assert np.isfinite(received).all()
    still = replace(setting, speed_m_s=0.0, delay_spread_ns=0.0, subcarriers=1)
    received, noise = still.transmit(symbols[:500], 1e-9, RANDOMNESS, 0)
    np.testing.assert_allclose(received, symbols[:500], atol=0.05)
    empty, noise = setting.transmit(symbols[:0], 0.1, RANDOMNESS, 0)
    assert empty.shape == noise.shape == (0,)


@pytest.mark.parametrize("model", MODELS)
def test_mean_power_is_one(model: str) -> None:
    power = np.abs(responses(Ofdm(model), 400)) ** 2
    assert within(power.mean(axis=(1, 2)), 1.0, sigmas=4.0)


def test_frequency_correlation() -> None:
    """E H(f + df) H(f)*  =  sum of p_l exp(-j 2 pi df tau_l)."""
    setting = Ofdm("TDL-C", delay_spread_ns=250.0, subcarriers=160)
    response = responses(setting, 2000)[:, 3]
    product = response * response[:, :1].conj()
    profile = delay_profile("TDL-C")
    step_hz = np.arange(160) * 30e3
    phase = -2j * np.pi * np.outer(step_hz, profile.delays * 250e-9)
    expected = np.exp(phase) @ profile.mean_powers
    assert np.abs(expected).min() < 0.3
    for part in (np.real, np.imag):
        found = part(product)
        error = found.std(axis=0) / np.sqrt(len(found))
        assert np.all(np.abs(found.mean(axis=0) - part(expected)) < 4 * error + 1e-12)


def test_time_correlation_over_slots() -> None:
    """From the first symbol of a slot to the last of the fourth: J0, at the symbols' times."""
    setting = Ofdm("TDL-A", speed_m_s=30.0)
    first_last = np.stack(
        [setting.response(RANDOMNESS, packet, 4)[[0, -1], [0, -1]] for packet in range(600)]
    )
    lag_s = (4 * 14 - 1) * (1 + 9 / 128) / 30e3
    expected = j0(2 * np.pi * setting.max_doppler_hz * lag_s)
    assert expected < -0.2
    correlation = (first_last[:, 1] * first_last[:, 0].conj()).real.mean(axis=1)
    assert within(correlation, float(expected))


def test_uncoded_qpsk_in_rayleigh_fading() -> None:
    """Each element is Rayleigh, so the bit error rate is that of flat fading."""
    # Many coherence bandwidths, so that a packet says much.
    setting = Ofdm("TDL-B", delay_spread_ns=1700.0, subcarriers=600, cyclic_prefix="extended")
    no, bits_per_packet = 0.1, 2 * setting.subcarriers
    rng = np.random.default_rng(3)
    errors = []
    for packet in range(1200):
        bits = rng.integers(0, 2, bits_per_packet, np.uint8)
        received, _ = setting.transmit(modulate(bits, "qpsk"), no, RANDOMNESS, packet)
        decided = np.stack([received.real < 0, received.imag < 0], axis=1).ravel()
        errors.append(np.mean(decided != bits))
    g = 0.5 / no
    expected = (1 - np.sqrt(g / (1 + g))) / 2
    found = np.array(errors)
    assert within(found, float(expected))
    assert found.std() / np.sqrt(len(found)) < 0.02 * expected


def test_perfect_estimation_reports_the_noise_exactly() -> None:
    setting, no = Ofdm("CDL-B"), 0.03
    squared = []
    for packet in range(60):
        received, noise = setting.transmit(SYMBOLS, no, RANDOMNESS, packet)
        squared.append(np.abs(received - SYMBOLS) ** 2 / noise)
        # And it is what the response leaves: elements in order of frequency, then time.
        response = np.delete(setting.response(RANDOMNESS, packet, 3), (2, 11), axis=1)
        expected = no / np.abs(response.reshape(-1)[:2000]) ** 2
        np.testing.assert_allclose(noise, expected)
    assert within(np.concatenate(squared), 1.0)


@pytest.mark.parametrize("estimation", ["ls", "lmmse"])
@pytest.mark.parametrize("model", ["TDL-A", "TDL-D", "CDL-E"])
def test_estimation_reports_the_noise_that_is_left(estimation: str, model: str) -> None:
    """With its own error in it, and without bias."""
    setting = Ofdm(model, estimation=estimation, speed_m_s=20.0)
    ratios, projections = [], []
    for packet in range(400):
        received, noise = setting.transmit(SYMBOLS[:864], 0.05, RANDOMNESS, packet)
        error = received - SYMBOLS[:864]
        ratios.append(np.mean(np.abs(error) ** 2 / noise))
        # Weighted by what it is worth: division by small estimates has no variance.
        projections.append(np.mean((error * SYMBOLS[:864].conj()).real / noise * 0.05))
    assert within(np.array(ratios), 1.0, sigmas=3.0)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.03)
    assert within(np.array(projections), 0.0, sigmas=3.0)


def measured_error(
    setting: Ofdm, no: float, packets: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """|response - estimate|^2 of each packet and OFDM symbol, and the reported mean."""
    estimator = setting.estimator()
    assert estimator is not None
    rng = np.random.default_rng(8)
    found = []
    for packet in range(packets):
        response = setting.response(RANDOMNESS, packet, 1)
        pilots = response[:, list(setting.pilot_symbols)]
        noise = rng.standard_normal((*pilots.shape, 2)) @ np.array([1, 1j])
        estimate, reported = estimator.estimate(pilots + np.sqrt(no / 2) * noise, no)
        found.append(np.mean(np.abs(response - estimate)[0] ** 2, axis=1))
    return np.array(found), reported.mean(axis=1)


@pytest.mark.parametrize("model", ["TDL-B", "TDL-E", "CDL-A", "CDL-D"])
def test_lmmse_is_as_good_as_it_says_and_better_than_ls(model: str) -> None:
    no = 0.02
    ls = Ofdm(model, estimation="ls", speed_m_s=25.0)
    found, reported = measured_error(replace(ls, estimation="lmmse"), no, 600)
    error = found.std(axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(found.mean(axis=0) - reported) < 4 * error)
    of_ls, reported_ls = measured_error(ls, no, 600)
    error = of_ls.std(axis=0) / np.sqrt(len(of_ls))
    assert np.all(np.abs(of_ls.mean(axis=0) - reported_ls) < 4 * error)
    assert np.all(reported < reported_ls)
    assert np.all(found.mean(axis=0) < of_ls.mean(axis=0))
    # Neighbouring subcarriers see nearly the same channel: at pilots the noise averages out.
    assert reported[2] < no / 4 < no / 2 < reported_ls[2]


def test_raw_least_squares() -> None:
    """Error power `no` at pilots, and between them as the weights and J0 predict."""
    no, packets = 0.002, 1500
    setting = Ofdm("TDL-A", estimation="ls", speed_m_s=40.0)
    estimator = setting.estimator()
    assert isinstance(estimator, LeastSquares)
    response = responses(setting, packets)
    noise = np.random.default_rng(4).standard_normal((packets, 2, 72, 2)) @ np.array([1, 1j])
    raw = estimator.interpolate(response[:, [2, 11]] + np.sqrt(no / 2) * noise)
    found = np.mean(np.abs(raw - response) ** 2, axis=2)

    def correlation(symbols: float) -> float:
        lag_s = symbols * (1 + 9 / 128) / 30e3
        return float(j0(2 * np.pi * setting.max_doppler_hz * lag_s))

    expected = np.empty(14)
    for t in range(14):
        b = np.clip((t - 2) / 9, 0.0, 1.0)
        a = 1 - b
        expected[t] = (a * a + b * b) * (1 + no) + 1 + 2 * a * b * correlation(9)
        expected[t] -= 2 * a * correlation(t - 2) + 2 * b * correlation(t - 11)
    assert expected[2] == pytest.approx(no)
    assert expected[6] > 2 * no
    np.testing.assert_allclose(estimator.raw_error_power(no), expected)
    error = found.std(axis=0) / np.sqrt(packets)
    assert np.all(np.abs(found.mean(axis=0) - expected) < 4 * error)


def test_lmmse_solves_the_normal_equations() -> None:
    """Against the textbook form R_dp (R_pp + no I)^-1 on a grid small enough for it."""
    setting = Ofdm(
        "TDL-C", 200.0, 30.0, subcarriers=10, estimation="lmmse", pilot_symbols=(1, 5, 12)
    )
    profile, no = delay_profile("TDL-C"), 0.05
    symbol, subcarrier = np.divmod(np.arange(14 * 10), 10)
    lag_s = (symbol[:, None] - symbol) * (1 + 9 / 128) / 30e3
    step_hz = (subcarrier[:, None] - subcarrier) * 30e3
    in_frequency = np.exp(-2j * np.pi * step_hz[..., None] * profile.delays * 200e-9)
    covariance = j0(2 * np.pi * setting.max_doppler_hz * lag_s) * (in_frequency @ profile.powers)
    pilot = np.isin(symbol, (1, 5, 12))
    inverse = np.linalg.inv(covariance[np.ix_(pilot, pilot)] + no * np.eye(pilot.sum()))
    weights = covariance[:, pilot] @ inverse
    error = 1 - np.einsum("tp,tp->t", weights, covariance[:, pilot].conj()).real

    estimator = setting.estimator()
    assert estimator is not None
    pilots = np.random.default_rng(2).standard_normal((2, 3, 10, 2)) @ np.array([1, 1j])
    response, reported = estimator.estimate(pilots, no)
    for slot in range(2):
        np.testing.assert_allclose(response[slot].ravel(), weights @ pilots[slot].ravel())
    np.testing.assert_allclose(reported.ravel(), error, rtol=1e-9)


def test_overhead() -> None:
    """14 symbols with prefixes of 9/128 for 12 of data; one rounding up per packet."""
    setting = Ofdm()
    assert setting.overhead == Fraction(14, 12) * Fraction(137, 128)
    assert setting.data_elements == 864
    # 1078.875 for a slot.
    assert [setting.uses(n) for n in (0, 1, 864, 1728)] == [0, 2, 1079, 2158]
    # Without pilots every element carries data.
    extended = Ofdm(cyclic_prefix="extended", pilot_symbols=())
    assert extended.overhead == Fraction(5, 4)
    _, noise = extended.transmit(SYMBOLS, 0.01, RANDOMNESS, 0)
    response = extended.response(RANDOMNESS, 0, 3).ravel()[:2000]
    np.testing.assert_allclose(noise, 0.01 / np.abs(response) ** 2)


@given(
    st.integers(0, 10**7),
    st.integers(1, 3300),
    st.sampled_from(["normal", "extended"]),
    st.lists(st.integers(0, 11), unique=True, max_size=11),
)
@settings(deadline=None)
def test_uses_and_symbols_within_are_inverse(
    symbols: int, subcarriers: int, prefix: str, pilots: list[int]
) -> None:
    setting = Ofdm(
        subcarriers=subcarriers, cyclic_prefix=prefix, pilot_symbols=tuple(sorted(pilots))
    )
    uses = setting.uses(symbols)
    assert uses - 1 < symbols * setting.overhead <= uses
    assert setting.symbols_within(uses) >= symbols
    for budget in (symbols, uses):
        assert setting.symbols_within(budget) == Channel.symbols_within(setting, budget)
    assert setting.symbols_within(0) == setting.symbols_within(-3) == 0


@pytest.mark.parametrize("model", ["TDL-D", "CDL-A"])
@pytest.mark.parametrize("fading_block", ["packet", "image"])
def test_a_packet_depends_on_its_number_only(model: str, fading_block: str) -> None:
    setting = Ofdm(model, estimation="lmmse", fading_block=fading_block)
    forward = [setting.transmit(SYMBOLS, 0.1, RANDOMNESS, packet) for packet in range(4)]
    for packet in reversed(range(4)):
        for a, b in zip(
            Ofdm(model, estimation="lmmse", fading_block=fading_block).transmit(
                SYMBOLS, 0.1, RANDOMNESS, packet
            ),
            forward[packet],
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    # A shorter packet is the beginning of a longer one, and every SNR meets the same draws.
    short, _ = setting.transmit(SYMBOLS[:1000], 0.1, RANDOMNESS, 2)
    np.testing.assert_allclose(short, forward[2][0][:1000], rtol=1e-9)
    perfect = replace(setting, estimation="perfect")
    weak, _ = perfect.transmit(SYMBOLS, 0.1, RANDOMNESS, 1)
    strong, _ = perfect.transmit(SYMBOLS, 0.001, RANDOMNESS, 1)
    np.testing.assert_allclose(weak - SYMBOLS, 10 * (strong - SYMBOLS), rtol=1e-6, atol=1e-9)


def test_fading_blocks() -> None:
    slot_ms = 14 * (1 + 9 / 128) / 30
    image = Ofdm("TDL-A", speed_m_s=30, fading_block="image", packet_interval_ms=slot_ms)
    line = image.response(RANDOMNESS, 0, 5)
    for packet in range(5):
        np.testing.assert_allclose(
            image.response(RANDOMNESS, packet, 1)[0], line[packet], atol=1e-10
        )
    own = replace(image, fading_block="packet")
    np.testing.assert_array_equal(own.response(RANDOMNESS, 0, 5), line)
    assert np.abs(own.response(RANDOMNESS, 1, 1)[0] - line[1]).mean() > 0.3
    other = ChannelRandomness(RANDOMNESS.key ^ 1)
    assert np.abs(image.response(other, 0, 1)[0] - line[0]).mean() > 0.3


@pytest.mark.parametrize("estimation", ESTIMATIONS)
def test_packets_arrive(estimation: str) -> None:
    """Coded, over many elements, far above the fades."""
    packets = [np.random.default_rng(size).bytes(size) for size in (1, 40, 700)]
    channel = Ofdm("CDL-A", estimation=estimation, subcarriers=240)
    setting = LinkSetting(channel, 30.0, "16qam", 0.5)
    outcomes = [send_packet(p, setting, RANDOMNESS, n) for n, p in enumerate(packets)]
    assert [outcome.data for outcome in outcomes] == packets


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (lambda: Ofdm("TDL-F"), "model: expected one of TDL-A, .*, found 'TDL-F'"),
        (lambda: Ofdm(delay_spread_ns=-1.0), "delay_spread_ns: expected 0.0 .*, found -1.0"),
        (lambda: Ofdm(delay_spread_ns=float("nan")), "delay_spread_ns: expected .*, found nan"),
        (lambda: Ofdm(delay_spread_ns=243.0), "cyclic prefix of 2344 ns, found 2347 ns"),
        (lambda: Ofdm(speed_m_s=-1.0), "speed_m_s: expected 0.0"),
        (lambda: Ofdm(speed_m_s=80.0), "speed_m_s: .* at most 900 Hz, .*, found 934 Hz"),
        (lambda: Ofdm(carrier_ghz=0.0), "carrier_ghz: expected 0.5 .. 100.0, found 0.0"),
        (lambda: Ofdm(subcarrier_spacing_khz=0.0), "subcarrier_spacing_khz: expected 1.0"),
        (lambda: Ofdm(subcarriers=0), "subcarriers: expected 1 .. 3300, found 0"),
        (lambda: Ofdm(subcarriers=7.5), "subcarriers: expected a whole number, found 7.5"),  # type: ignore[arg-type]
        (lambda: Ofdm(cyclic_prefix="long"), "cyclic_prefix: expected one of normal, extended"),
        (lambda: Ofdm(pilot_symbols=(2, 14)), r"pilot_symbols: .* 0 \.\. 13, found \[2, 14\]"),
        (lambda: Ofdm(pilot_symbols=(-1,)), r"pilot_symbols: expected ascending"),
        (lambda: Ofdm(pilot_symbols=(5, 5)), r"pilot_symbols: expected ascending"),
        (lambda: Ofdm(pilot_symbols=tuple(range(14))), "at most 13, found 14, which leave no data"),
        (lambda: Ofdm(pilot_symbols=(), estimation="ls"), "at least one for estimation ls"),
        (lambda: Ofdm(cyclic_prefix="extended", pilot_symbols=(12,)), r"0 \.\. 11, found \[12\]"),
        (lambda: Ofdm(estimation="mmse"), "estimation: expected one of perfect, ls, lmmse"),
        (lambda: Ofdm(fading_block="slot"), "fading_block: expected one of packet, image"),
        (lambda: Ofdm(packet_interval_ms=-1.0), "packet_interval_ms: expected 0.0"),
    ],
)
def test_refusals(setting: Callable[[], object], message: str) -> None:
    with pytest.raises(ChannelError, match=message):
        setting()
