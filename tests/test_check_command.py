"""What `testbed check` says before a scenario runs: trials by codec and variant, and warnings."""

import json
from pathlib import Path

import pytest

from testbed.commands.check_command import check_scenario, examine
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import check_document, load_scenario
from testbed.language.yaml_source import parse_document
from testbed.plugins.loading import load_plugins
from testbed.registry import make_codec
from testbed.sending.budget import link_budget

SCENARIO = """\
name: tiny
repetitions: 2
images: {source: samples32, limit: 3}
codecs:
  - {type: semantic, name: layered, layers: 2}
  - {type: jpeg, name: whole, headers: file}
link: {snr_db: 10, cbr: [1/6, 1/2], modulation: qpsk}
"""


def scenario_of(text: str) -> Scenario:
    return check_document(parse_document(text.encode(), "f.yaml"), Path())


def test_trials_are_counted_by_codec_and_variant() -> None:
    vary = "vary: {grid: {link.cbr: [1/2, [1/6, 1/3, 1]], repetitions: [1, 4]}}\n"
    checked = examine(scenario_of(SCENARIO + vary))
    # Three pictures.
    assert [list(counts.values()) for counts in checked.trials.values()] == [
        [3, 3],
        [12, 12],
        [9, 9],
        [36, 36],
    ]
    assert list(checked.trials) == [each.case for each in checked.scenario.variants]
    assert sum(sum(counts.values()) for counts in checked.trials.values()) == len(
        checked.plan.trials
    )


def test_a_file_that_fits_nowhere_is_warned_of() -> None:
    checked = examine(scenario_of(SCENARIO))
    (warning,) = checked.warnings
    # Of 32x32 at CBR 1/6 with QPSK of rate 1/2: 512 bits, less CRC and packet header. A JPEG file's
    # tables alone are over 600 bytes, and 1/2 has room for 1536 bits.
    assert warning.startswith("no whole file of image ")
    assert " fits 1/2 of 32x32 (" in warning
    assert warning.endswith(" bytes or less): mid-grey will be shown")
    most = int(warning.split("(")[1].split()[0])
    codec = make_codec(checked.scenario.codecs[1])
    assert codec.encode_batch([checked.plan.images[0].pixels], most) == [None]


def test_the_largest_budget_that_is_too_small_is_named() -> None:
    text = SCENARIO.replace("[1/6, 1/2]", "[1/24, 1/6, 1/3, 4, 8]").replace("qpsk", "16qam")
    (warning,) = (each for each in examine(scenario_of(text)).warnings if "whole" in each)
    checked = examine(scenario_of(text))
    codec = make_codec(checked.scenario.codecs[1])
    fits = {}
    for _, line in checked.budget:
        images = [image.pixels for image in checked.plan.images[:3]]
        streams = codec.encode_batch(images, line.capacity_bytes)
        fits[str(line.point.cbr)] = all(stream is not None for stream in streams)
    largest = [cbr for cbr, does in fits.items() if not does][-1]
    assert f" fits {largest} of 32x32 (" in warning
    assert fits["8"]


def test_a_budget_without_room_for_a_packet_is_warned_of() -> None:
    text = SCENARIO.replace("[1/6, 1/2]", "[1/200, 1]").replace("qpsk", "[qpsk, 256qam]")
    checked = examine(scenario_of(text.replace("headers: file", "headers: payload")))
    (warning,) = (each for each in checked.warnings if "packet" in each)
    # 15 uses carry 15 bits with QPSK of rate 1/2: less than a CRC. With 256QAM they carry 60.
    assert warning == (
        "not even one packet fits 1/200 of 32x32 (15 channel uses) over 1 of 2 links, such as qpsk "
        "with ldpc of rate 0.5: mid-grey will be shown"
    )


def test_nothing_is_warned_of_without_a_reason() -> None:
    text = SCENARIO.replace("headers: file", "headers: payload").replace("1/6, 1/2", "1, 2")
    assert examine(scenario_of(text)).warnings == ()
    analog = "images: samples32\ncodecs: {type: deepjscc}\nlink: {snr_db: 1, cbr: 1/12}\n"
    assert examine(scenario_of(analog)).warnings == ()


def test_a_plugins_policy_is_warned_of_by_its_best_option(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass, replace\n"
        "from testbed.plugin_api import ProtectionPolicy, register_policy\n"
        "@register_policy('robust_or_fast')\n"
        "@dataclass(frozen=True)\n"
        "class Either(ProtectionPolicy):\n"
        "    def options(self, link):\n"
        "        return [replace(link, modulation='bpsk', code_rate=0.03), link]\n"
        "    def choose(self, sender):\n"
        "        return [1]\n"
    )
    text = "plugins: mine.py\nimages: {source: samples32, limit: 1}\ncodecs: {type: semantic}\n"
    text += "link: {snr_db: 30, cbr: 1/6, protection: robust_or_fast}\n"
    (tmp_path / "f.yaml").write_text(text)
    try:
        assert examine(load_scenario(tmp_path / "f.yaml")).warnings == ()
    finally:
        load_plugins(())


def test_json_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(SCENARIO + "vary: {grid: {packets.max_bytes: [64, 256]}}\n")
    check_scenario(path, [], as_json=True)
    said = json.loads(capsys.readouterr().out)
    check_scenario(path, [])
    printed = capsys.readouterr().out
    assert said["trials"] == 2 * 2 * 2 * 3 * 2
    assert f"ok; {said['trials']} trials: 3 images, 2 codecs, 2 repetitions" in printed
    assert said["trials_by_variant"] == {
        "packets.max_bytes=64": {"layered": 12, "whole": 12},
        "packets.max_bytes=256": {"layered": 12, "whole": 12},
    }
    for warning in said["warnings"]:
        assert f"{path}: {warning}" in printed
    for line in said["budget"]:
        assert str(line["payload_bits"]) in printed
        assert line["variant"] in printed


def test_the_budget_says_which_codecs_meet_it(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(
        "images: {source: samples32, limit: 1}\n"
        "codecs: [{type: jpeg}, {type: webp}, {type: deepjscc}]\n"
        "link: {snr_db: 10, cbr: 1/6}\n"
        "sweeps: [{modulation: [qpsk, 16qam]}, {codecs: webp, modulation: 64qam}]\n"
    )
    found = {
        line.link.setting.modulation: line.codecs
        for line in link_budget(load_scenario(path), [(32, 32)])
    }
    assert found == {"qpsk": ("jpeg", "webp"), "16qam": ("jpeg", "webp"), "64qam": ("webp",)}
