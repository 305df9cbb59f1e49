"""Protection planned for each picture: expectations that come true, none worse than equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from channels.fading import Awgn, RayleighBlock
from channels.link import LinkSetting, send_packet
from channels.randomness import ChannelRandomness, derive_key
from testbed import planning
from testbed.errors import ScenarioError
from testbed.images import load_images
from testbed.packets import LayerLink
from testbed.planning import PictureLayers, fades_together, plan_equal, plan_layers
from testbed.scenario_loading import check_document
from testbed.simulation import Work, rows_of, simulate
from testbed.tables_command import verify_tables
from testbed.trials import expand_trials
from testbed.yaml_source import parse_document

PICTURE = PictureLayers((60, 70, 90, 140), (11.0, 25.0, 26.0, 28.0, 30.5))
SCHEMES = (("qpsk", 0.3), ("16qam", 0.5), ("64qam", 0.75))


@pytest.fixture(autouse=True, scope="module")
def small_tables(tmp_path_factory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTBED_TABLES", str(tmp_path_factory.mktemp("tables")))
        patch.setattr(planning, "TABLE_WORDS", 60)
        patch.setattr(planning, "PLANNING_FADES", 200)
        planning._error_rates.cache_clear()
        yield
        planning._error_rates.cache_clear()


def options(channel, snr_db: float) -> list[LayerLink]:
    return [
        LayerLink(LinkSetting(channel, snr_db, modulation=modulation, code_rate=rate))
        for modulation, rate in SCHEMES
    ]


def test_which_channels_fade_together() -> None:
    assert not fades_together(Awgn())
    assert not fades_together(RayleighBlock("packet"))
    assert fades_together(RayleighBlock("image"))


@pytest.mark.parametrize("block", ["image", "packet"])
@pytest.mark.parametrize("snr_db", [4.0, 12.0, 20.0])
def test_layers_of_their_own_are_expected_to_do_no_worse_than_one_scheme(
    block: str, snr_db: float
) -> None:
    links = options(RayleighBlock(block), snr_db)
    planned = plan_layers(PICTURE, links, 256, 700, may_cut=True)
    best = plan_equal([PICTURE] * 3, links, 256, 700, may_cut=True)
    equal = plan_layers(PICTURE, [links[best]], 256, 700, may_cut=True)
    # Both methods stop within their bounds of the optimum.
    assert planned.expected_db >= equal.expected_db - 0.02


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
    deviation = np.sqrt(expected * (1 - expected) * (1 / sent + 1 / planning.PLANNING_FADES))
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
        verify_tables(path, ["link.channel={type: impaired, cfo: 0.01}"], packets=1)


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("{snr_db: 1, protection: optimised, transmissions: 2}", "expected transmissions: 1 with"),
        ("{snr_db: 1, protection: oracle, coding: none}", "expected coding: ldpc with"),
        ("{snr_db: 1, protection: best_equal, damage: deliver}", "expected damage: drop with"),
        ("{snr_db: 1, protection: optimised, erasure_rate: 1/2}", "expected erasure_rate: 1 with"),
        ("{snr_db: 1, protection: {policy: equal, mcs: [1]}}", "expected mcs with one of"),
        ("{snr_db: 1, protection: {policy: optimised, mcs: [40]}}", "40"),
        ("{snr_db: 1, channel: bsc, modulation: bpsk, protection: optimised}", "bpsk only"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned_is_refused_with_its_line(link: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario_of(link)
    assert str(caught.value).startswith("f.yaml:6: ")
    assert message in str(caught.value)
