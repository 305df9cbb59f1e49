"""Link adaptation: estimates as old and as wrong as they should be, error rates that come true."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from running import expand_trials
from scipy.special import j0

from channels import link_adaptation
from channels.channel import Channel
from channels.errors import ChannelError
from channels.fading import Awgn, Rayleigh, RayleighBlock
from channels.link import LinkSetting
from channels.link_adaptation import LinkAdaptation, required_snr_db
from channels.mcs import mcs
from channels.ofdm import Ofdm
from channels.randomness import ChannelRandomness, derive_key
from channels.spatial_multiplexing import SpatialMultiplexing
from channels.table_link import packet_error_rate
from testbed.errors import ScenarioError
from testbed.images import load_images
from testbed.language.scenario_loading import check_document
from testbed.language.yaml_source import parse_document
from testbed.running.trials import Trial, expand_links
from testbed.running.work import Work
from testbed.sending import choosing
from testbed.sending.packets import HEADER_BYTES, LayerLink
from testbed.sending.planning import PictureLayers, plan_layers
from testbed.sending.simulation import rows_of

MCS = (2, 12, 20)
"""QPSK, 16QAM and 64QAM of rates .19, .42 and .55."""
PACKET_BYTES = 48
MAX_BYTES = PACKET_BYTES - HEADER_BYTES
WORDS = 100
DRAWS = 1500
MOVING = Rayleigh(variation="doppler", fading_block="image", doppler=2e-4, packet_spacing_uses=1000)


@pytest.fixture(autouse=True, scope="module")
def small_tables(tmp_path_factory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTBED_TABLES", str(tmp_path_factory.mktemp("tables")))
        patch.setattr(choosing, "TABLE_WORDS", WORDS)
        patch.setattr(link_adaptation, "EARLIER_PACKETS", DRAWS)
        yield


def sender(channel: Channel, snr_db: float = 12.0, **keys) -> LinkAdaptation:
    links = tuple(
        LinkSetting(channel, snr_db, modulation=row.modulation, code_rate=float(row.code_rate))
        for row in (mcs(1, index) for index in MCS)
    )
    return LinkAdaptation(links, PACKET_BYTES, words=WORDS, **keys)


def fresh(draw: int) -> ChannelRandomness:
    return ChannelRandomness(derive_key("adaptation test", draw))


def error_rates(adapted: LinkAdaptation) -> list[float]:
    """Of the first packet of images that no loop has seen."""
    rates = []
    for draw in range(DRAWS):
        link = adapted.links[adapted.choice(fresh(draw))]
        rates.append(packet_error_rate(PACKET_BYTES, link, fresh(draw), 0, WORDS))
    return rates


def deviation(rates: Sequence[float]) -> float:
    """Of the difference of two means, over the loop's draws and over these."""
    return float(np.std(rates) * np.sqrt(2 / DRAWS))


# --- Packets before the image ---------------------------------------------------------------


@pytest.mark.parametrize(
    "channel",
    [
        RayleighBlock(),
        Rayleigh(shadowing_db=6.0, antennas="1x2"),
        Rayleigh(variation="symbol", antennas="2x2_alamouti"),
        Rayleigh(variation="doppler", doppler=1e-3),
        SpatialMultiplexing(),
        Ofdm(subcarriers=24),
    ],
    ids=lambda channel: type(channel).__name__,
)
def test_packets_before_an_image_have_fades_of_their_own(channel: Channel) -> None:
    seen = [np.mean(channel.noise_powers(24, 0.1, fresh(0), n)) for n in range(-3, 3)]
    assert len(set(seen)) == 6
    # Independent: over many images, packets 0 and -1 are not correlated.
    pairs = np.log(
        [
            [np.mean(channel.noise_powers(24, 0.1, fresh(draw), n)) for n in (0, -1)]
            for draw in range(400)
        ]
    )
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 2.576 / np.sqrt(400)


@pytest.mark.parametrize(
    "channel",
    [
        RayleighBlock("image"),
        Rayleigh(fading_block="image", shadowing_db=6.0, antennas="2x1_alamouti"),
        SpatialMultiplexing(fading_block="image"),
        Ofdm(subcarriers=24, fading_block="image", packet_interval_ms=0.0),
    ],
    ids=lambda channel: type(channel).__name__,
)
def test_packets_before_an_image_meet_its_one_fade(channel: Channel) -> None:
    for number in (-1, -1000):
        np.testing.assert_array_equal(
            channel.noise_powers(24, 0.1, fresh(0), number),
            channel.noise_powers(24, 0.1, fresh(0), 0),
        )


@pytest.mark.parametrize("delay", [1, 2, 3])
def test_estimates_of_a_moving_receiver_decorrelate_as_bessels_function_squared(delay: int) -> None:
    """E |h(0)|^2 |h(-t)|^2 - 1 = J0(2 pi f t)^2 for complex normal h."""
    still = sender(MOVING, -20.0, error_db=0.0, delay_packets=0)
    old = dataclasses.replace(still, delay_packets=delay)
    draws = 3000
    snr_db = np.array(
        [[each.estimates_db(fresh(draw))[2] for each in (still, old)] for draw in range(draws)]
    )
    now, then = (10 ** (snr_db / 10) / 0.01).T
    expected = j0(2 * np.pi * 2e-4 * 1000 * delay) ** 2
    products = (now - 1) * (then - 1)
    # The packet lasts a while, through which its own gain turns a little.
    assert abs(products.mean() - expected) < 2.576 * products.std() / np.sqrt(draws) + 0.02


def test_an_ofdm_channel_ages_too() -> None:
    """TDL-A: J0(2 pi f t)^2 is .98, .27 and .01 after a millisecond at these speeds."""
    for speed_m_s, low, high in ((2.0, 0.95, 1.0), (20.0, 0.1, 0.45), (30.0, -0.15, 0.2)):
        channel = Ofdm(subcarriers=24, fading_block="image", speed_m_s=speed_m_s)
        powers = [
            [np.mean(1 / channel.noise_powers(24, 1.0, fresh(draw), n)) for n in (0, -1)]
            for draw in range(400)
        ]
        assert low < np.corrcoef(np.transpose(powers))[0, 1] < high


# --- Inner loop -----------------------------------------------------------------------------


def test_a_packet_fails_with_the_target_at_the_snr_required() -> None:
    for target in (0.5, 0.1, 0.01):
        for link in sender(Awgn()).links:
            required = required_snr_db(link, PACKET_BYTES, target, WORDS)
            there = dataclasses.replace(link, snr_db=required)
            rate = packet_error_rate(PACKET_BYTES, there, fresh(0), 0, WORDS)
            assert rate == pytest.approx(target, rel=0.05)


def test_without_error_and_delay_it_is_the_fastest_link_that_holds_the_target() -> None:
    """The sender knows the packet's fade: what trying every link finds."""
    for channel in (RayleighBlock("image"), MOVING, Rayleigh(variation="symbol")):
        adapted = sender(channel, delay_packets=0, error_db=0.0, outer_loop=False)
        for draw in range(200):
            known = fresh(draw)
            rates = [
                packet_error_rate(PACKET_BYTES, link, known, 0, WORDS) for link in adapted.links
            ]
            holds = [index for index, rate in enumerate(rates) if rate <= 0.1]
            # The SNR required is known to 0.005 dB.
            if all(abs(rate - 0.1) > 0.003 for rate in rates):
                assert adapted.choice(known) == max(holds, default=0)


def test_knowing_the_fade_it_never_beats_the_oracle() -> None:
    picture = PictureLayers(
        tuple(MAX_BYTES * packets for packets in (1, 2, 2, 3)), (11.0, 25.0, 26.0, 28.0, 30.5)
    )
    adapted = sender(RayleighBlock("image"), delay_packets=0, error_db=0.0, outer_loop=False)
    links = [LayerLink(link) for link in adapted.links]
    gaps = []
    for draw in range(60):
        known = fresh(draw)
        (mine, best) = (
            plan_layers(picture, options, MAX_BYTES, 900, may_cut=True, known=known).expected_db
            for options in ([links[adapted.choice(known)]], links)
        )
        gaps.append(best - mine)
    assert min(gaps) > -0.02
    # Most of the time its scheme is the one to take, or as good.
    assert np.mean(np.array(gaps) < 0.5) > 0.5


# --- Outer loop -----------------------------------------------------------------------------


@pytest.mark.parametrize("target", [0.05, 0.1, 0.3])
@pytest.mark.parametrize(
    "channel",
    [RayleighBlock("image"), RayleighBlock("packet"), MOVING],
    ids=("image", "packet", "moving"),
)
def test_the_error_rate_comes_true_with_the_outer_loop(channel: Channel, target: float) -> None:
    adapted = sender(channel, 15.0, target_error_rate=target, error_db=2.0)
    rates = error_rates(adapted)
    assert abs(np.mean(rates) - target) < 2.576 * deviation(rates) + 1e-3


def test_without_it_old_or_wrong_estimates_miss_the_target() -> None:
    fastest_db = required_snr_db(sender(Awgn()).links[-1], PACKET_BYTES, 0.1, WORDS)
    for old_or_wrong in (
        sender(RayleighBlock("packet"), 15.0, error_db=0.0, outer_loop=False),
        sender(Awgn(), fastest_db - 1.5, error_db=3.0, outer_loop=False),
    ):
        rates = error_rates(old_or_wrong)
        assert np.mean(rates) > 0.1 + 2.576 * deviation(rates)


def test_the_offset_falls_as_estimates_grow_worse() -> None:
    by_error = [sender(RayleighBlock("image"), error_db=each).offset_db for each in (0, 3, 6)]
    assert by_error == sorted(by_error, reverse=True)
    assert by_error[2] < by_error[0] - 2
    by_delay = [sender(MOVING, delay_packets=each, error_db=0.0).offset_db for each in (0, 1, 2)]
    assert by_delay == sorted(by_delay, reverse=True)
    assert by_delay[2] < min(0, by_delay[0] - 3)
    assert sender(MOVING, outer_loop=False).offset_db == 0.0


def test_links_that_send_again_are_chosen_by_their_first_transmission() -> None:
    once = sender(RayleighBlock("image"))
    often = dataclasses.replace(
        once, links=tuple(dataclasses.replace(link, transmissions=4) for link in once.links)
    )
    assert often.offset_db == once.offset_db
    assert all(often.choice(fresh(draw)) == once.choice(fresh(draw)) for draw in range(50))


def test_out_of_reach_of_the_loop() -> None:
    lost = sender(RayleighBlock("image"), -10.0)
    assert lost.offset_db == -link_adaptation.OFFSET_LIMIT_DB
    assert {lost.choice(fresh(draw)) for draw in range(50)} == {0}
    clear = sender(Awgn(), 50.0)
    assert clear.offset_db == link_adaptation.OFFSET_LIMIT_DB
    assert clear.choice(fresh(0)) == 2


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"target_error_rate": 0.6}, "target_error_rate: expected 0.0001 .. 0.5, found 0.6"),
        ({"delay_packets": -1}, "delay_packets: expected 0 .."),
        ({"error_db": -0.5}, "error_db: expected 0.0 .. 30.0, found -0.5"),
    ],
)
def test_values_outside_their_ranges(keys: dict[str, float], message: str) -> None:
    with pytest.raises(ChannelError, match=message):
        sender(Awgn(), **keys)


def test_links_that_cannot_be_compared() -> None:
    slow, _, fast = sender(Awgn()).links
    with pytest.raises(ChannelError, match="ascending spectral efficiencies"):
        LinkAdaptation((fast, slow), PACKET_BYTES)
    with pytest.raises(ChannelError, match="one channel and one SNR"):
        LinkAdaptation((slow, dataclasses.replace(fast, snr_db=3.0)), PACKET_BYTES)


# --- In a scenario --------------------------------------------------------------------------


def scenario_of(link: str):
    text = "images: {source: samples32, limit: 2}\ncodecs:\n  - type: semantic\n  - type: jpeg\n"
    text += f"repetitions: 3\npackets: {{max_bytes: {MAX_BYTES}}}\nlink:\n{link}\n"
    return check_document(parse_document(text.encode(), "f.yaml"), Path())


ADAPTIVE = """\
  channel: {type: rayleigh, variation: doppler, doppler: 0.0002, packet_spacing_uses: 1000}
  fading_block: image
  snr_db: [8, 16]
  protection:
    - {policy: adaptive, name: fresh, mcs: [2, 12], estimate_delay_packets: 0, outer_loop: false}
    - {policy: adaptive, name: old, mcs: [2, 12], estimate_delay_packets: 3}
"""


def test_a_picture_is_sent_over_one_scheme_whatever_else_is_simulated() -> None:
    scenario = scenario_of(ADAPTIVE)
    images = load_images("samples32", Path(), 2)
    names = [(image.name, image.sha256) for image in images]
    trials = expand_trials(scenario, names, {"semantic": "", "jpeg": ""})
    for index, codec in enumerate(scenario.codecs):
        own = [trial for trial in trials if trial.codec_index == index]

        def rows(some: Sequence[Trial], codec=codec) -> dict[str, dict]:
            found = rows_of(Work("s", 1, MAX_BYTES, codec, dict(enumerate(images)), tuple(some)))
            return {row["trial_id"]: row for row in found}

        together = rows(own)
        assert {row["schemes"] for row in together.values()} == {"qpsk 0.188", "16qam 0.424"}
        assert together == rows(own[::-1])
        assert rows(own[5:6])[own[5].trial_id] == together[own[5].trial_id]


def test_packets_may_be_sent_again_and_have_parity_packets() -> None:
    link = "  snr_db: 10\n  transmissions: 4\n  erasure_rate: 4/5\n  protection: adaptive"
    (point,) = expand_links(scenario_of(link))
    assert {(each.transmissions, each.erasure_rate) for each in point.layers} == {(4, 0.8)}


def test_every_key_makes_another_trial_and_defaults_are_no_keys() -> None:
    def points(keys: str) -> list:
        protection = f"{{policy: adaptive{keys}}}"
        return expand_links(scenario_of(f"  snr_db: 10\n  protection: {protection}"))

    (default,) = points("")
    assert points(", target_error_rate: 0.1, estimate_error_db: 1, outer_loop: true") == [default]
    for keys in (
        "target_error_rate: 0.2",
        "estimate_delay_packets: 2",
        "estimate_error_db: 0",
        "outer_loop: false",
    ):
        (other,) = points(", " + keys)
        assert other.canonical() != default.canonical()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("target_error_rate: 0.00001", "expected a number from 0.0001 to 0.5, found 1e-05"),
        ("target_error_rate: 0.6", "expected a number from 0.0001 to 0.5, found 0.6"),
        ("estimate_delay_packets: -1", "expected a whole number from 0 to 1048576, found -1"),
        ("estimate_delay_packets: 0.5", "expected a whole number from 0 to 1048576"),
        ("estimate_error_db: -1", "expected a number from 0 to 30 (dB), found -1"),
        ("outer_loop: 1", "expected true or false, found 1"),
        ("estimate_delay: 1", "unknown key: did you mean 'estimate_delay_packets'?"),
        ("mcs: 29", "expected a whole number from 0 to 28, found 29"),
        ("layers: [{}]", "expected no layers of the policy adaptive"),
    ],
)
def test_what_is_refused(key: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario_of(f"  snr_db: 1\n  protection:\n    policy: adaptive\n    {key}")
    assert str(caught.value).startswith("f.yaml:11:5: link.protection."), caught.value
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("protection: {policy: oracle, outer_loop: true}", "outer_loop with adaptive, found it"),
        ("protection: adaptive\n  coding: none", "coding: ldpc"),
        ("protection: adaptive\n  damage: deliver", "damage: drop"),
        ("protection: adaptive\n  channel: bsc\n  modulation: bpsk", "bpsk only"),
    ],
)
def test_links_that_cannot_be_adapted(link: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario_of(f"  snr_db: 1\n  {link}")
    assert str(caught.value).startswith("f.yaml:")
    assert message in str(caught.value)
