"""Protection planned for each picture: what is expected comes true, none is worse than equal."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from running import expand_trials

from channels.channel import Channel
from channels.fading import Awgn, RayleighBlock
from channels.gilbert_elliott import GilbertElliott
from channels.link import NO_LOSS, LinkSetting, send_packet
from channels.packet_loss import IidPacketLoss, PacketLoss
from channels.randomness import ChannelRandomness, derive_key
from channels.table_link import send_packet_by_table
from codec.base import EncodedImage, Layer
from testbed.commands.tables_command import verify_tables
from testbed.errors import ScenarioError
from testbed.images import load_images
from testbed.language.scenario_loading import check_document
from testbed.language.yaml_source import parse_document
from testbed.running.trials import expand_links
from testbed.running.work import Work
from testbed.sending import layer_chances, transmission
from testbed.sending.packets import LayerLink
from testbed.sending.planning import PictureLayers, expect_equal, plan_equal, plan_layers
from testbed.sending.simulation import rows_of, simulate
from testbed.sending.transmission import transmit

PICTURE = PictureLayers((60, 70, 90, 140), (11.0, 25.0, 26.0, 28.0, 30.5))
SCHEMES = (("qpsk", 0.3), ("16qam", 0.5), ("64qam", 0.75))


def forget_rates() -> None:
    layer_chances._planning_draws.cache_clear()
    layer_chances._planning_error_rates.cache_clear()


@pytest.fixture(autouse=True, scope="module")
def small_tables(tmp_path_factory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTBED_TABLES", str(tmp_path_factory.mktemp("tables")))
        patch.setattr(layer_chances, "TABLE_WORDS", 60)
        patch.setattr(layer_chances, "PLANNING_FADES", 200)
        forget_rates()
        yield
        forget_rates()


def options(
    channel: Channel,
    snr_db: float,
    loss: PacketLoss = NO_LOSS,
    transmissions: tuple[int, ...] = (1,),
    erasure_rates: tuple[float, ...] = (1.0,),
) -> list[LayerLink]:
    return [
        LayerLink(
            LinkSetting(
                channel, snr_db, modulation=modulation, code_rate=code_rate, transmissions=times,
                loss=loss,
            ),
            erasure_rate,
        )
        for (modulation, code_rate), times, erasure_rate in itertools.product(
            SCHEMES, transmissions, erasure_rates
        )
    ]  # fmt: skip


LINKS = {
    "common fade": lambda: options(RayleighBlock("image"), 12.0),
    "own fades": lambda: options(RayleighBlock("packet"), 12.0),
    "retransmissions": lambda: options(RayleighBlock("image"), 8.0, transmissions=(1, 2)),
    "losses": lambda: options(Awgn(), 12.0, IidPacketLoss(0.15), (1, 2), (1.0, 0.5)),
    "bursts": lambda: options(Awgn(), 12.0, GilbertElliott(0.15, 3), (1,), (1.0, 0.5)),
    "everything": lambda: options(
        RayleighBlock("image"), 14.0, IidPacketLoss(0.1), (1, 2), (1.0, 0.7)
    ),
}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("quantile", [None, 0.1])
@pytest.mark.parametrize("oracle", [False, True])
def test_layers_of_their_own_are_expected_to_do_no_worse_than_one_option(
    name: str, quantile: float | None, oracle: bool
) -> None:
    links = LINKS[name]()
    known = ChannelRandomness(derive_key("known", 3)) if oracle else None
    planned = plan_layers(PICTURE, links, 60, 700, may_cut=True, known=known, quantile=quantile)
    best = plan_equal(
        [PICTURE] * len(links), links, 60, 700, may_cut=True, known=known, quantile=quantile
    )
    ranks = [
        PICTURE.rank(
            expect_equal(PICTURE, link, 60, 700, may_cut=True, known=known, quantile=quantile)
        )
        for link in links
    ]
    assert max(ranks) == ranks[best] <= PICTURE.rank(planned)


def test_more_to_choose_from_is_expected_to_do_no_worse() -> None:
    channel, loss = RayleighBlock("image"), IidPacketLoss(0.1)
    expected = [
        plan_layers(
            PICTURE, options(channel, 12.0, loss, times, rates), 60, 700, may_cut=True
        ).expected_db
        for times, rates in [((1,), (1.0,)), ((1, 2), (1.0,)), ((1, 2), (1.0, 0.5))]
    ]  # fmt: skip
    # Plans are within .005 dB of the best.
    assert np.all(np.diff(expected) > -0.01)
    # Retransmissions are used where the fade asks for them: they adapt to what is not known.
    assert expected[1] > expected[0] + 0.5


def test_a_layer_of_many_packets_gets_parities_where_packets_vanish() -> None:
    picture = PictureLayers((600,), (10.0, 30.0))
    links = options(Awgn(), 30.0, IidPacketLoss(0.1), erasure_rates=(1.0, 0.8, 0.5))
    plan = plan_layers(picture, links, 60, 10_000, may_cut=True)
    assert links[plan.choices[0]].erasure_rate == 0.5
    # Bin(20, .1) <= 10: nearly sure; without parities .9^n for the first n.
    assert plan.expected_db == pytest.approx(20.0, abs=0.01)
    bare = plan_layers(picture, options(Awgn(), 30.0, IidPacketLoss(0.1)), 60, 10_000, may_cut=True)
    whole = plan_layers(
        picture, options(Awgn(), 30.0, IidPacketLoss(0.1)), 60, 10_000, may_cut=False
    )
    assert whole.expected_db == pytest.approx(20 * 0.9**10, rel=1e-3)
    # Of a stream that may be cut each packet is of use if those before it are there.
    assert bare.expected_db == pytest.approx(2 * sum(0.9**n for n in range(1, 11)), rel=1e-3)


@pytest.mark.parametrize("snr_db", [10.0, 16.0])
def test_a_plan_for_a_quantile_keeps_its_word(snr_db: float, monkeypatch) -> None:
    """Rayleigh fading per image: over fades that were not planned with, by the tables."""
    monkeypatch.setattr(
        transmission,
        "send_packet_by_table",
        partial(send_packet_by_table, words=layer_chances.TABLE_WORDS),
    )
    links = options(RayleighBlock("image"), snr_db)
    q = 0.1
    plan = plan_layers(PICTURE, links, 256, 900, may_cut=True, quantile=q)
    mean = plan_layers(PICTURE, links, 256, 900, may_cut=True)
    assert plan.assured_layers >= 1
    assert mean.expected_db >= plan.expected_db - 0.01
    encoded = EncodedImage(tuple(Layer("", bytes(size)) for size in PICTURE.sizes_bytes))
    trials, kept = 1500, 0
    for n in range(trials):
        sent = transmit(
            encoded, [links[choice] for choice in plan.choices],
            ChannelRandomness(derive_key("quantile", n)),
            max_bytes=256, budget_uses=900, may_cut=True, fidelity="tables",
        )  # fmt: skip
        kept += sum(layer.complete for layer in sent.received) >= plan.assured_layers
    spread = np.sqrt(q * (1 - q) * (1 / trials + 1 / layer_chances.RANKED_FADES))
    assert kept / trials > 1 - q - 2.576 * spread - 0.01


def test_the_expectation_comes_true_over_the_exact_link() -> None:
    """Base layer only, Rayleigh block fading: P(arrives) as planned, within 99 %."""
    setting = options(RayleighBlock("image"), 12.0)[1].setting
    picture = PictureLayers((120,), (0.0, 1.0))
    expected = plan_layers(picture, [LayerLink(setting)], 256, 10_000, may_cut=False).expected_db
    sent = 500
    arrived = sum(
        send_packet(bytes(122), setting, ChannelRandomness(derive_key("plan", n)), 0).decoded
        for n in range(sent)
    )
    deviation = np.sqrt(expected * (1 - expected) * (1 / sent + 1 / layer_chances.RANKED_FADES))
    assert abs(arrived / sent - expected) < 2.576 * deviation


def test_an_oracle_sends_more_when_the_fade_is_good() -> None:
    links = options(RayleighBlock("image"), 12.0)
    by_gain = []
    for n in range(30):
        known = ChannelRandomness(derive_key("oracle", n))
        power = abs(RayleighBlock("image").gain(known, 0)) ** 2
        plan = plan_layers(PICTURE, links, 256, 700, may_cut=True, known=known)
        by_gain.append((power, plan.expected_db))
    values = [value for _, value in sorted(by_gain)]
    assert values == sorted(values)
    assert values[-1] > values[0] + 10


def scenario_of(link: str):
    text = "images: {source: samples32, limit: 1}\ncodecs:\n  - type: semantic\n  - type: jpeg\n"
    text += f"link:\n  {link}\n"
    return check_document(parse_document(text.encode(), "f.yaml"), Path())


def test_policies_run_and_say_what_they_chose() -> None:
    scenario = scenario_of(
        "{snr_db: 12, channel: rayleigh_block, fading_block: image, protection: "
        "[equal, {policy: best_equal, mcs: [2, 12]}, {policy: optimised, mcs: [2, 12]}, "
        "{policy: optimised, name: outage, mcs: [2, 12], objective: {quantile: 0.1}}, "
        "{policy: oracle, mcs: [2, 12]}]}"
    )
    (image,) = load_images("samples32", Path(), 1)
    trials = expand_trials(scenario, [(image.name, image.sha256)], {"semantic": "", "jpeg": ""})
    for index, codec in enumerate(scenario.codecs):
        part = tuple(trial for trial in trials if trial.codec_index == index)
        work = Work("s", 1, 256, codec, {0: image}, part)
        rows = {row["protection"]: row for row in rows_of(work)}
        assert rows["equal"]["schemes"] == "16qam 0.5"
        chosen = {row["schemes"] for name, row in rows.items() if name != "equal"}
        allowed = {"qpsk 0.188", "16qam 0.424", "qpsk 0.188, 16qam 0.424"}
        assert chosen <= allowed
        assert all(row["channel_uses"] <= row["budget"] for row in rows.values())
        if codec.type == "jpeg":
            assert "," not in rows["optimised"]["schemes"]
        again = [outcome.links for outcome in simulate(work)]
        assert again == [outcome.links for outcome in simulate(work)]


def test_far_from_the_threshold_tables_tell_what_the_exact_link_does() -> None:
    scenario = scenario_of("{snr_db: [-5, 25], fidelity: [exact, tables]}")
    (image,) = load_images("samples32", Path(), 1)
    trials = expand_trials(scenario, [(image.name, image.sha256)], {"semantic": "", "jpeg": ""})
    part = tuple(trial for trial in trials if trial.codec_index == 0)
    rows = rows_of(Work("s", 1, 256, scenario.codecs[0], {0: image}, part))
    same = ("snr_db", "channel_uses", "packets_lost", "layers_decoded", "psnr_db", "failed")
    by_tier = {
        tier: [[row[key] for key in same] for row in rows if row["fidelity"] == tier]
        for tier in ("exact", "tables")
    }
    assert by_tier["exact"] == by_tier["tables"]
    assert [row[-1] for row in by_tier["exact"]] == [True, False]


def test_tables_are_compared_with_the_exact_link(tmp_path, capsys) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "images: samples32\ncodecs: {type: jpeg}\npackets: {max_bytes: 62}\n"
        "link: {snr_db: [-5, 25], modulation: qpsk}\n"
    )
    verify_tables(path, [], packets=20)
    printed = capsys.readouterr().out
    assert "1.000 (0.839 .. 1.000)" in printed
    assert "0.000 (0.000 .. 0.161)" in printed
    assert "0 of 2 expectations outside" in printed
    with pytest.raises(ScenarioError, match=r"link\.channel: block error tables: expected"):
        verify_tables(path, ["link.channel=bsc", "link.modulation=bpsk"], packets=1)


def test_a_plan_may_retransmit_beside_a_table_that_shifts_power() -> None:
    scenario = scenario_of(
        "{snr_db: 1, erasure_rate: 4/5, protection: [{policy: table, layers: [{power_db: 2}, {}]}, "
        "{policy: optimised, mcs: [2, 9], transmissions: [1, 2]}]}"
    )
    _, planned = expand_links(scenario)
    assert [(each.transmissions, each.erasure_rate) for each in planned.layers] == [
        (1, 0.8), (2, 0.8), (1, 0.8), (2, 0.8),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("{snr_db: 1, protection: oracle, coding: none}", "expected coding: ldpc"),
        ("{snr_db: 1, protection: best_equal, damage: deliver}", "expected damage: drop with"),
        ("{snr_db: 1, protection: {policy: equal, transmissions: 2}}", "expected transmissions w"),
        ("{snr_db: 1, protection: {policy: adaptive, erasure_rate: 1/2}}", "it with adaptive"),
        ("{snr_db: 1, protection: {policy: oracle, objective: median}}", "expected mean or"),
        (
            "{snr_db: 1, protection: {policy: oracle, objective: {quantile: 1}}}",
            "link.protection.objective.quantile: expected a number from 0.01 to 0.9, found 1",
        ),
        ("{snr_db: 1, protection: {policy: oracle, objective: {quantil: .1}}}", "did you mean 'q"),
        ("{snr_db: 1, protection: {policy: equal, objective: {quantile: .1}}}", "expected obj"),
        ("{snr_db: 1, protection: {policy: oracle, transmissions: 33}}", "from 1 to 32, found 33"),
        ("{snr_db: 1, protection: {policy: oracle, erasure_rate: [1, 2]}}", "from 1/256 to 1"),
        ("{snr_db: 1, protection: {policy: equal, mcs: [1]}}", "expected mcs with one of"),
        ("{snr_db: 1, protection: {policy: optimised, mcs: [40]}}", "40"),
        ("{snr_db: 1, channel: bsc, modulation: bpsk, protection: optimised}", "bpsk only"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused_with_its_line(link: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario_of(link)
    assert str(caught.value).startswith("f.yaml:6:")
    assert message in str(caught.value)
