"""What a scenario can say of polar codes, and what its tables and plans make of them."""

from pathlib import Path

import numpy as np
import pytest

from channels.block_errors import error_curve
from channels.fading import RayleighBlock
from channels.link import LinkSetting
from channels.table_link import compare
from testbed.errors import ScenarioError
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import check_document
from testbed.language.yaml_source import parse_document
from testbed.running.trials import expand_links
from testbed.sending.transmission import layer_links


def scenario_of(text: str) -> Scenario:
    document = "images: samples32\ncodecs: {type: jpeg}\n" + text
    return check_document(parse_document(document.encode(), "f.yaml"), Path("here"))


def test_codings_make_links_of_their_rate() -> None:
    scenario = scenario_of(
        "packets: {max_bytes: 100}\n"
        "link: {snr_db: 3, code_rate: 3/4, coding: [ldpc, polar, ldpc_polar, none]}\n"
    )
    links = [layer_links(point)[0].setting for point in expand_links(scenario)]
    assert [link.coding for link in links] == ["ldpc", "polar", "ldpc_polar", "none"]
    assert [link.code_rate for link in links[:3]] == [0.75] * 3
    assert [point.ebn0_db for point in expand_links(scenario)][:3] == [
        pytest.approx(3 - 10 * np.log10(3), abs=1e-3)
    ] * 3


@pytest.mark.parametrize(
    ("link", "largest"),
    [
        ("code_rate: 1/2", 123),
        ("code_rate: 1/2, erasure_rate: 1/2", 120),
        # At most 8192 bits are sent.
        ("code_rate: 1/40", 21),
        ("code_rate: [1/2, 1/10]", 98),
    ],
)
def test_packets_have_to_fit_a_polar_block(link: str, largest: int) -> None:
    text = "packets: {{max_bytes: {}}}\nlink:\n  snr_db: 3\n  {}\n  coding: [ldpc, {}]\n"
    lines = link.replace(", e", "\n  e")
    scenario_of(text.format(largest, lines, "polar"))
    scenario_of(text.format(largest + 1, lines, "ldpc_polar"))
    with pytest.raises(ScenarioError) as error:
        scenario_of(text.format(largest + 1, lines, "polar"))
    line = 6 + lines.count("\n") + 1
    assert f"f.yaml:{line}:3: link.coding" in str(error.value)
    assert f"max_bytes of at most {largest} " in str(error.value)


def test_layers_of_a_table_have_limits_of_their_own() -> None:
    text = (
        "packets: {{max_bytes: {}}}\n"
        "link: {{snr_db: 3, coding: polar, protection: {{policy: table, name: t, "
        "layers: [{{code_rate: 1/30}}, {{code_rate: 1/2}}]}}}}\n"
    )
    scenario_of(text.format(30))
    with pytest.raises(ScenarioError, match=r"at most 30 with polar codes of rate 0\.0333"):
        scenario_of(text.format(31))


@pytest.fixture
def own_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTBED_TABLES", str(tmp_path))


@pytest.mark.usefixtures("own_tables")
@pytest.mark.parametrize(
    "setting",
    [
        LinkSetting(snr_db=1.6, modulation="qpsk", coding="polar"),
        LinkSetting(snr_db=6.0, coding="ldpc_polar", channel=RayleighBlock()),
        LinkSetting(snr_db=-1.8, modulation="qpsk", coding="polar", transmissions=2),
    ],
)
def test_tables_stand_for_polar_codes(setting: LinkSetting) -> None:
    found = compare(setting, 20, 500, seed=3, words=1000)
    low, high = found.exact.interval(0.999)
    assert 0.01 < found.exact.rate < 0.9
    assert low < found.expected < high
    assert found.table_transmissions == pytest.approx(found.exact_transmissions, rel=0.08)


@pytest.mark.usefixtures("own_tables")
def test_sizes_between_those_of_the_tables() -> None:
    """The mixture of two tables, by how much it misses the threshold of the size's own table."""
    for payload in (104, 304):
        mixed = error_curve("qpsk", 0.5, payload, 600, code="polar")
        own = error_curve("qpsk", 0.5, payload, 600, code="polar", grid=(payload,))
        assert mixed.threshold_db == pytest.approx(own.threshold_db, abs=0.15)


def test_plans_take_polar_codes() -> None:
    text = "packets: {{max_bytes: 60}}\nlink: {{snr_db: 3, coding: {}, protection: optimised}}\n"
    scenario_of(text.format("[polar, ldpc_polar]"))
    with pytest.raises(ScenarioError, match="expected coding: ldpc or polar or ldpc_polar with"):
        scenario_of(text.format("none"))
