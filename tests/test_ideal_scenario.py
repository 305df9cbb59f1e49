"""What a scenario can say of ideal codes, and what runs make of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running import simulated

from codec.conventional import ConventionalCodec
from codec.conventional.jpeg import Jpeg
from testbed.errors import ScenarioError
from testbed.evaluation.certification import certify
from testbed.images import load_images
from testbed.language.overlay import Overlay
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import check_document, load_scenario
from testbed.language.yaml_source import parse_document, parse_override
from testbed.running.plan import Plan, plan
from testbed.running.selection import Selection
from testbed.running.trials import budget_channel_uses, expand_links
from testbed.running.work import Row
from testbed.sending.budget import link_budget
from testbed.sending.packets import HEADER_BYTES, capacity_bytes
from testbed.sending.transmission import layer_links
from testbed.studies.anchors import capacity_bits, fitting_psnr_db

HEAD = "images: {source: samples32, limit: 2}\ncodecs: {type: jpeg}\n"
LEDGER = [
    "payload_bits", "header_bits", "crc_bits", "parity_bits", "padding_bits", "erasure_bits",
    "retransmission_bits",
]  # fmt: skip


def scenario_of(text: str, overrides: Iterable[str] = ()) -> Scenario:
    document = parse_document((HEAD + text).encode(), "f.yaml")
    overlay = Overlay(document)
    for override in overrides:
        overlay.set(parse_override(override))
    document.data.setdefault("name", "ideal")
    return check_document(document, Path("here"))


def planned(text: str, *overrides: str) -> Plan:
    return plan(scenario_of(text, overrides))


def run(made: Plan) -> dict[str, Row]:
    return simulated(made)


def table_of(text: str, *overrides: str) -> pd.DataFrame:
    return pd.DataFrame(run(planned(text, *overrides)).values())


def test_capacity_stands_beside_real_codes() -> None:
    points = expand_links(
        scenario_of(
            "link: {snr_db: [0, 10]}\n"
            "sweeps: [{mcs: 5}, {coding: ideal, spectral_efficiency: [capacity, 3/2]}]\n"
        )
    )
    assert [point.coding for point in points] == ["ldpc"] * 2 + ["ideal"] * 4
    ideal = points[2:]
    assert {point.modulation for point in ideal} == {"gaussian"}
    assert [point.code_rate for point in ideal] == pytest.approx([1.0, math.log2(11.0), 1.5, 1.5])
    for point in ideal:
        rate = 10.0 ** ((point.snr_db - point.ebn0_db) / 10.0)
        assert rate == pytest.approx(point.code_rate)
        (link,) = layer_links(point)
        assert link.setting.ebn0_db == pytest.approx(point.ebn0_db)
        assert link.setting.code_rate == point.code_rate
    link = "link: {snr_db: -60, coding: ideal, spectral_efficiency: capacity}\n"
    (shannon_limit,) = expand_links(scenario_of(link))
    assert shannon_limit.ebn0_db == pytest.approx(10.0 * math.log10(math.log(2.0)), abs=1e-5)
    (at_ebn0,) = expand_links(
        scenario_of("link: {ebn0_db: 2, coding: ideal, spectral_efficiency: 4}\n")
    )
    assert at_ebn0.snr_db == pytest.approx(2.0 + 10.0 * math.log10(4.0))


def test_each_way_to_say_the_scheme_ousts_the_others(tmp_path: Path) -> None:
    grids = scenario_of(
        "link: {snr_db: 0, coding: ideal, spectral_efficiency: 2}\n"
        "sweeps:\n"
        "  - {coding: ldpc, mcs: 3}\n"
        "  - {coding: ldpc, modulation: qpsk}\n"
        "  - {spectral_efficiency: [1, 3]}\n"
    ).link_grids()
    said = [(g.modulation, g.code_rate, g.mcs, g.spectral_efficiency) for g in grids]
    assert said == [
        ((), (), (3,), ()),
        (("qpsk",), (0.5,), (), ()),
        ((), (), (), (1, 3)),
    ]
    file = tmp_path / "s.yaml"
    file.write_text(HEAD + "link: {snr_db: 0, mcs: 3}\n")
    link = load_scenario(file, ["link.coding=ideal", "link.spectral_efficiency=capacity"]).link
    assert (link.mcs, link.spectral_efficiency) == ((), ("capacity",))


@pytest.mark.parametrize(
    ("link", "line", "message"),
    [
        ("coding: ideal", 5, "link.coding: expected spectral_efficiency with coding ideal"),
        ("spectral_efficiency: 1", 5, "expected coding: ideal with spectral_efficiency"),
        ("coding: ideal\n  mcs: 3\n  spectral_efficiency: 1", 7, "or mcs, found both: keep one"),
        ("coding: ideal\n  code_rate: 1/2\n  spectral_efficiency: 1", 7, "or code_rate, found b"),
        ("spectral_efficiency: 1\n  coding: [ldpc, ideal]", 6, "coding: ideal with an ideal code"),
        ("coding: ideal\n  spectral_efficiency: 0", 6, "over 0 and at most 100, or capacity"),
        ("coding: ideal\n  spectral_efficiency: capacty", 6, "found the text 'capacty'"),
        (
            "coding: ideal\n  spectral_efficiency: capacity\n  channel: rayleigh",
            6,
            "give a list of numbers, and look at the best of them",
        ),
        ("coding: ideal\n  spectral_efficiency: 1\n  channel: bsc", 7, "found bits that are fl"),
        (
            "coding: ideal\n  spectral_efficiency: 1\n  channel: {type: impaired, cfo: 0.01}",
            7,
            "noise that the receiver does not know of",
        ),
        (
            "coding: ideal\n  spectral_efficiency: 1\n  damage: [drop, deliver]",
            7,
            "expected damage: drop with an ideal code, found deliver: say so in a sweep",
        ),
        (
            "coding: ideal\n  spectral_efficiency: 1\n  protection: [equal, optimised]",
            7,
            "expected protection: equal with an ideal code, found optimised",
        ),
    ],
)
def test_what_does_not_go_with_an_ideal_code(link: str, line: int, message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        scenario_of(f"link:\n  snr_db: 3\n  {link}\n")
    assert re.match(rf"f\.yaml:{line}:[0-9]+: link\.", str(error.value))
    assert message in str(error.value)


def test_capacity_hangs_on_the_snr_of_a_symbol() -> None:
    with pytest.raises(ScenarioError, match="capacity with snr_db, found ebn0_db"):
        scenario_of("link: {ebn0_db: 3, coding: ideal, spectral_efficiency: capacity}\n")


@pytest.mark.parametrize("snr_db", [0, 10, 21.7])
@pytest.mark.parametrize("cbr", ["1/24", "1/6", "2/1"])
@pytest.mark.parametrize("max_bytes", [256, 8192])
def test_budgets_are_capacity_but_for_headers(snr_db: float, cbr: str, max_bytes: int) -> None:
    """A header of each packet, and less than a symbol and a byte that packets are rounded by."""
    scenario = scenario_of(
        f"packets: {{max_bytes: {max_bytes}}}\n"
        f"link: {{snr_db: {snr_db}, cbr: {cbr}, coding: ideal, spectral_efficiency: capacity}}\n"
    )
    (point,) = expand_links(scenario)
    uses = budget_channel_uses(cbr, 96, 128)
    fits = capacity_bytes(max_bytes, uses, layer_links(point)[0])
    packets = -(-fits // max_bytes)
    bound = capacity_bits(cbr, np.zeros((96, 128, 3), np.uint8), snr_db) / 8.0
    rounding = packets * point.code_rate / 8.0 + 1.0
    assert 0.0 <= bound - (fits + HEADER_BYTES * packets) <= rounding
    (line,) = link_budget(scenario, [(96, 128)])
    assert line.capacity_bytes == fits
    assert line.k == 8 * (min(fits, max_bytes) + HEADER_BYTES)
    assert line.k / line.n == pytest.approx(point.code_rate, rel=point.code_rate / line.k)


def test_jpeg_over_white_noise_is_jpeg_at_capacity() -> None:
    """A run against the bound by itself, with no packets and no link."""
    table = table_of(
        "packets: {max_bytes: 8192}\n"
        "link: {snr_db: [0, 10], cbr: 1/12, coding: ideal, spectral_efficiency: capacity}\n",
        "images={source: samples_large, limit: 1}",
        "codecs={type: jpeg, headers: file}",
    )
    assert not table["failed"].any()
    assert (table["packets_lost"] == 0).all()
    assert (table[LEDGER].sum(axis=1) == table["coded_bits"]).all()
    assert (table["channel_uses"] == table["symbols"]).all()
    assert (table["channel_uses"] <= table["budget"]).all()
    photograph = load_images("samples_large", Path())[0].pixels
    for row in table.to_dict("records"):
        bits = capacity_bits("1/12", photograph, row["snr_db"])
        assert row["header_bits"] == 16 * row["packets_sent"]
        assert row["coded_bits"] <= bits
        bound_db = fitting_psnr_db(ConventionalCodec(Jpeg()), photograph, bits)
        assert bound_db - 0.1 <= row["psnr_db"] <= bound_db


def test_fades_fail_as_they_are_too_deep_and_runs_certify_it() -> None:
    made = planned(
        "repetitions: 40\n"
        "link: {channel: rayleigh_block, fading_block: image, cbr: 1, snr_db: 8, coding: ideal, "
        "spectral_efficiency: 2}\n"
    )
    rows = run(made)
    table = pd.DataFrame(rows.values())
    outage = 1.0 - math.exp(-3.0 / 10.0**0.8)
    lost = table.groupby(["image", "repetition"])["failed"].all()
    assert abs(lost.mean() - outage) < 2.6 * math.sqrt(outage * (1.0 - outage) / len(lost))
    assert table["uncoded_ber"].isna().all()
    certified = certify(Selection(made), rows)
    assert not certified.violated
    found = {check.family: check.verdict for check in certified.checks}
    assert found["delivered SNR"] == "not checked"
    assert found["fading power"] == "passed"


def test_lost_packets_are_brought_back_by_parity_packets() -> None:
    table = table_of(
        "packets: {max_bytes: 16}\nrepetitions: 10\n"
        "link: {snr_db: 10, cbr: 1, packet_loss: 0.2, erasure_rate: [1, 1/3], coding: ideal, "
        "spectral_efficiency: capacity}\n"
    )
    plain, protected = (part for _, part in table.groupby(table["erasure_rate"] < 1.0))
    assert (plain["failed"].mean(), protected["failed"].mean()) == (1.0, 0.0)
    assert (protected["packets_lost"] > 0).any()
    assert (protected["erasure_bits"] > 0).all()


def test_both_tiers_are_one() -> None:
    link = "snr_db: 8, cbr: 1, channel: rayleigh, coding: ideal, spectral_efficiency: [1, 3]"
    exact, by_tables = (
        table_of(f"repetitions: 5\nlink: {{{link}, fidelity: {fidelity}}}\n").drop(
            columns=["trial_id", "fidelity"]
        )
        for fidelity in ("exact", "tables")
    )
    pd.testing.assert_frame_equal(exact, by_tables)
    assert 0.0 < exact["failed"].mean() < 1.0
