"""The protection of layers, retransmissions and damage in the scenario language."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest

from channels.mcs import MCS_TABLES
from testbed.errors import ScenarioError
from testbed.language.link_parts import mcs_scheme
from testbed.language.overlay import Overlay
from testbed.language.protection import POLICIES, LayerSetting, Protection, policy_parameters
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import check_document
from testbed.language.yaml_source import parse_document, parse_override
from testbed.running.trials import LinkPoint, expand_links
from testbed.sending.budget import link_budget
from testbed.sending.transmission import layer_links

HEAD = "images: samples32\ncodecs: {type: jpeg}\n"


def scenario_of(link: str, more: str = "", overrides: tuple[str, ...] = ()) -> Scenario:
    document = parse_document(f"{HEAD}link: {{snr_db: 10, {link}}}\n{more}".encode(), "f.yaml")
    overlay = Overlay(document)
    for override in overrides:
        overlay.set(parse_override(override))
    return check_document(document, Path())


def points_of(link: str, more: str = "") -> list[LinkPoint]:
    return expand_links(scenario_of(link, more))


def test_equal_protection_is_the_link_itself() -> None:
    (point,) = points_of("transmissions: 3, erasure_rate: 4/5, code_rate: 1/3")
    assert point.protection == "equal"
    assert point.layers == (LayerSetting("16qam", 1 / 3, 3, 0.8),)
    assert points_of("protection: equal") == points_of("protection: {policy: equal}")


def test_a_table_replaces_values_layer_by_layer() -> None:
    table = """protection: {policy: table, name: uep, layers: [
        {mcs: 2, transmissions: 4}, {modulation: qpsk}, {erasure_rate: 1/2, code_rate: 3/4}, {}]}"""
    (point,) = points_of(f"transmissions: 2, {table}")
    assert point.protection == "uep"
    assert point.layers == (
        LayerSetting("qpsk", 193 / 1024, 4, 1.0),
        LayerSetting("qpsk", 0.5, 2, 1.0),
        LayerSetting("16qam", 0.75, 2, 0.5),
        LayerSetting("16qam", 0.5, 2, 1.0),
    )
    links = layer_links(point)
    assert [link.setting.transmissions for link in links] == [4, 2, 2, 2]
    assert [link.erasure_rate for link in links] == [1.0, 1.0, 0.5, 1.0]


def test_policies_are_swept() -> None:
    points = points_of(
        "code_rate: [1/2, 2/3], "
        "protection: [equal, {policy: table, layers: [{code_rate: 1/3}, {}]}]"
    )
    assert [(p.protection, p.layers[0].code_rate) for p in points] == [
        ("equal", 0.5), ("table", 1 / 3), ("equal", 2 / 3), ("table", 1 / 3),
    ]  # fmt: skip
    assert len({str(point.canonical()) for point in points}) == 4


@pytest.mark.parametrize("table", [1, 2, 3])
def test_mcs_stands_for_modulation_and_code_rate(table: int) -> None:
    indices = list(range(len(MCS_TABLES[table])))
    points = points_of(f"mcs: {indices}, mcs_table: {table}")
    assert [(p.modulation, p.code_rate) for p in points] == [
        (row.modulation, float(row.code_rate)) for row in MCS_TABLES[table]
    ]
    assert all(layer_links(point) for point in points)


def test_the_same_point_by_mcs_is_the_same_point() -> None:
    assert points_of("mcs: 0") == points_of("modulation: qpsk, code_rate: 120/1024")


def test_mcs_in_a_sweep_ousts_modulation_and_code_rate_and_the_other_way_round() -> None:
    points = points_of("modulation: 64qam, code_rate: 3/4", "sweeps: [{mcs: 3}, {cbr: 1/6}]")
    assert [(p.modulation, p.code_rate) for p in points] == [("qpsk", 251 / 1024), ("64qam", 0.75)]
    points = points_of("mcs: 3", "sweeps: [{modulation: 64qam}, {code_rate: 2/3}, {cbr: 1/6}]")
    assert [(p.modulation, p.code_rate) for p in points] == [
        ("64qam", 0.5), ("16qam", 2 / 3), ("qpsk", 251 / 1024),
    ]  # fmt: skip


def test_without_coding_the_rate_is_one() -> None:
    ldpc, uncoded = points_of("coding: [ldpc, none], code_rate: [1/2]")
    assert (uncoded.code_rate, uncoded.layers[0].code_rate) == (1.0, 1.0)
    assert uncoded.ebn0_db == pytest.approx(10 - 6.0206, abs=1e-4)
    assert layer_links(uncoded)[0].setting.ebn0_db == pytest.approx(uncoded.ebn0_db)
    assert layer_links(ldpc)[0].setting.ebn0_db == pytest.approx(ldpc.ebn0_db)
    # Rates that are not used make no points.
    assert len(points_of("coding: none, code_rate: [1/2, 1/3]")) == 1


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("mcs: 3, code_rate: 1/2", "link.mcs: expected mcs or code_rate, found both: keep one"),
        ("modulation: qpsk, mcs: 3", "expected mcs or modulation, found both"),
        ("mcs: 29", "link.mcs: expected a whole number from 0 to 28, found 29"),
        ("mcs: 28, mcs_table: 2", "link.mcs: MCS index of table 2: expected 0 .. 27, found 28"),
        ("mcs: [1, 1]", "1 is in the list twice"),
        ("mcs_table: 4", "expected a whole number from 1 to 3, found 4"),
        ("coding: turbo", "expected one of ldpc, polar, ldpc_polar, none, ideal; found"),
        ("harq: chace", "did you mean 'chase'?"),
        ("damage: keep", "expected one of drop, deliver"),
        ("transmissions: 0", "expected a whole number from 1 to 32, found 0"),
        ("transmissions: [1, 33]", "link.transmissions[1]: expected a whole number from 1 to 32"),
        ("erasure_rate: 0", "expected a number or a fraction from 1/256 to 1, found 0"),
        ("coding: none, transmissions: 2", "link.coding: expected transmissions: 1 without coding"),
        ("protection: uneven", "oracle, adaptive; found the text 'uneven'"),
        ("protection: table", "expected the key 'layers' of a table, found none"),
        ("protection: {policy: table}", "expected the key 'layers'"),
        ("protection: {policy: table, layers: []}", "expected at least one value"),
        ("protection: {layers: [{}]}", "write policy: table"),
        ("protection: {policy: table, layers: [{code_rte: 1/2}]}", "did you mean 'code_rate'?"),
        ("protection: {policy: table, layer: [{}]}", "unknown key: did you mean 'layers'?"),
        ("protection: {policy: table, layers: [{mcs: 2, code_rate: 1/2}]}", "found both: keep one"),
        (
            "mcs_table: 2, protection: {policy: table, layers: [{mcs: 28}]}",
            "link.protection.layers: MCS index of table 2: expected 0 .. 27, found 28",
        ),
        (
            "protection: [equal, {policy: table, name: equal, layers: [{}]}]",
            "link.protection[1]: expected a name of its own, found 'equal' as in item 0",
        ),
        (
            "transmissions: 2, protection: {policy: table, layers: [{power_db: 2}, {}]}",
            "link.protection: expected transmissions: 1 with power_db",
        ),
        (
            "coding: none, protection: {policy: table, layers: [{transmissions: 2}, {}]}",
            "expected transmissions: 1 without coding",
        ),
        (
            "channel: bsc, modulation: bpsk, protection: {policy: table, layers: [{mcs: 1}, {}]}",
            "link.channel: bsc takes bpsk only, found qpsk",
        ),
        ("channel: bsc, mcs: 1", "bsc takes bpsk only, found qpsk"),
        ("channel: bsc", "bsc takes bpsk only, found 16qam"),
    ],
)
def test_mistakes(link: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario_of(link)
    assert str(caught.value).startswith("f.yaml:3:")
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_budget_knows_pilots_protection_and_mcs() -> None:
    scenario = scenario_of(
        "mcs: 10, cbr: 1/3, channel: [awgn, rayleigh_block, ofdm], protection: [equal, "
        "{policy: table, layers: [{mcs: 2}, {erasure_rate: 1/2}]}]"
    )
    lines = list(link_budget(scenario, [(32, 32)]))
    # AWGN and Rayleigh fading cost the same.
    assert [(line.point.channel.type, line.layers) for line in lines] == [
        ("awgn", "all"), ("awgn", "0"), ("awgn", "1+"),
        ("ofdm", "all"), ("ofdm", "0"), ("ofdm", "1+"),
    ]  # fmt: skip
    flat, strong, erasure = (line.capacity_bytes for line in lines[:3])
    ofdm = lines[3]
    # 16QAM of rate 340/1024 against QPSK of 193/1024; parity for half of the packets.
    assert strong == pytest.approx(flat * 193 / 680, rel=0.1)
    assert erasure == pytest.approx(flat / 2, rel=0.1)
    # 14 of 12 OFDM symbols, and 9/128 of prefix on each.
    assert ofdm.overhead == pytest.approx(14 / 12 * 137 / 128, rel=0.01)
    assert ofdm.capacity_bytes == pytest.approx(flat / ofdm.overhead, rel=0.03)
    assert lines[0].link.setting.code_rate == float(Fraction(340, 1024))


@pytest.mark.parametrize("policy", POLICIES)
def test_the_parameters_that_are_listed_are_keys_with_their_defaults(policy: str) -> None:
    listed = policy_parameters(policy)
    assert set(listed) <= set(Protection.model_fields)
    given = {key: each for key, each in listed.items() if each != "the link's"}
    if policy == "table":
        given = {"layers": [{}]}
    if "mcs" in given:
        given["mcs"] = list(given["mcs"])
    written = Protection(policy=policy, **given)
    plain = Protection(policy=policy, **({"layers": [{}]} if policy == "table" else {}))
    link = LayerSetting("qpsk", 0.5, 1, 1.0)
    scheme = partial(mcs_scheme, 1)
    assert written.settings(link, scheme) == plain.settings(link, scheme)
    assert (written.adaptation, written.quantile) == (plain.adaptation, plain.quantile)
