"""The scenario language: what it accepts, and that each error names its line and how to mend it."""

import json
import pickle
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.errors import ScenarioError, TestbedError
from testbed.language import scenario_values
from testbed.language.codec_sections import CODEC_SECTIONS
from testbed.language.link_parts import LinkPart
from testbed.language.overlay import Overlay
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import DOCUMENT_KEYS, check_document, load_scenario
from testbed.language.scenario_values import FADING_BLOCKS, MODULATION_BITS, as_fraction
from testbed.language.yaml_source import (
    MAX_BYTES,
    MAX_DEPTH,
    number_hint,
    parse_document,
    parse_override,
    read_document,
)

QUICKSTART = Path(__file__).parent.parent / "scenarios" / "quickstart.yaml"

SMALLEST = """\
images: samples32
codecs:
  - type: jpeg
link:
  snr_db: 10
"""


def scenario_of(text: str, overrides: list[str] | None = None) -> Scenario:
    document = parse_document(textwrap.dedent(text).encode(), "f.yaml")
    for override in overrides or []:
        Overlay(document).set(parse_override(override))
    return check_document(document, Path())


def problems_of(text: str, overrides: list[str] | None = None) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        scenario_of(text, overrides)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.problems)
    return lines


def problem_of(text: str) -> str:
    (line,) = problems_of(text)
    return line


# --- What is accepted -----------------------------------------------------------------------


def test_smallest_scenario_has_defaults() -> None:
    scenario = scenario_of(SMALLEST)
    assert (scenario.name, scenario.seed, scenario.repetitions) == ("scenario", 1, 1)
    assert scenario.images[0].source == "samples32"
    assert scenario.images[0].limit is None
    assert scenario.codecs[0].name == "jpeg"
    assert scenario.link.channel == (LinkPart("awgn"),)
    assert scenario.link.snr_db == (10.0,)
    assert scenario.link.cbr == (Fraction(1, 3),)
    assert scenario.packets.max_bytes == 256
    assert scenario.figures.strip is None


def test_quickstart_is_valid() -> None:
    scenario = load_scenario(QUICKSTART)
    assert scenario.name == "quickstart"
    assert scenario.folder == QUICKSTART.parent
    assert [codec.name for codec in scenario.codecs] == ["layered", "jpeg"]
    assert scenario.sweeps is not None
    assert scenario.sweeps[0].snr_db == tuple(range(0, 21, 2))
    assert scenario.sweeps[1].cbr == tuple(Fraction(1, n) for n in (12, 8, 6, 4, 3, 2))


@pytest.mark.parametrize(
    "images",
    ["samples32", "[samples32]", "{source: samples32}", "[{source: samples32}]"],
)
def test_images_may_be_written_four_ways(images: str) -> None:
    text = SMALLEST.replace("samples32", images)
    assert scenario_of(text).scenario_hash == scenario_of(SMALLEST).scenario_hash


def test_anchors_and_merge_keys() -> None:
    scenario = scenario_of("""\
        images: samples32
        codecs:
          - &jpeg {type: jpeg, headers: file, subsampling: 4:2:0}
          - {<<: *jpeg, name: other, headers: abbreviated}
        link: {snr_db: &snrs [1, 2]}
        figures: {strip: {snr_db: *snrs}}
        """)
    assert scenario.codecs[1].model_dump() == {
        "type": "jpeg",
        "name": "other",
        "headers": "abbreviated",
        "on_loss": "drop",
        "subsampling": "4:2:0",
        "progressive": False,
        "restart_interval": 0,
    }
    assert scenario.figures.strip is not None
    assert scenario.figures.strip.snr_db == (1.0, 2.0)


@pytest.mark.parametrize("text", ["1/3", "0.3333333333333333", "' 1 / 3 '"])
def test_a_third_is_a_third(text: str) -> None:
    assert scenario_of(SMALLEST + f"  cbr: {text}\n").link.cbr == (Fraction(1, 3),)


def test_as_fraction() -> None:
    assert as_fraction(1 / 3) == Fraction(1, 3)
    assert as_fraction(0.123456) == Fraction(123456, 1_000_000)
    assert as_fraction(2) == 2
    with pytest.raises(ValueError, match="fraction such as 1/3"):
        as_fraction("1/0")


def test_scenario_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        scenario_of(SMALLEST).seed = 2


def test_byte_order_mark_and_windows_line_ends() -> None:
    text = b"\xef\xbb\xbf" + SMALLEST.replace("\n", "\r\n").encode()
    check_document(parse_document(text, "f.yaml"), Path())


# --- The hash -------------------------------------------------------------------------------


def test_hash_ignores_order_comments_and_spelling() -> None:
    other = """\
        # a comment
        link: {snr_db: [1.0e+1], code_rate: 0.5, cbr: 1/3, channel: [awgn]}
        codecs: [{name: jpeg, type: jpeg}]
        seed: 1   # the default
        images: [{source: "samples32"}]
        """
    assert scenario_of(other).scenario_hash == scenario_of(SMALLEST).scenario_hash
    assert scenario_of(SMALLEST + "seed: 2\n").scenario_hash != scenario_of(SMALLEST).scenario_hash


def test_hash_value_is_pinned() -> None:
    # Changes only with the keys of the language: a new key changes what is said by default.
    expected = "b1ee4eaecb14c94d1cb4d4ee56858d5f08f258674ba09ea4ccd3d001a1057eec"
    assert scenario_of(SMALLEST).scenario_hash == expected


def test_canonical_is_plain_and_loads_again() -> None:
    scenario = load_scenario(QUICKSTART)
    canonical = scenario.canonical()
    text = yaml.safe_dump(
        {
            key: [{k: v for k, v in sweep.items() if v} for sweep in value]
            if key == "sweeps"
            else {k: v for k, v in value.items() if v}
            if key == "link"
            else value
            for key, value in canonical.items()
        }
    )
    assert scenario_of(text).scenario_hash == scenario.scenario_hash


# --- Errors in the YAML itself --------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "line", "part"),
    [
        (b"", 1, "found nothing"),
        (b"# only a comment\n", 1, "found nothing"),
        (b"- a\n- b\n", 1, "expected a mapping such as 'seed: 1' at the top level, found a list"),
        (b"\njust text\n", 2, "found the text 'just text'"),
        (b"seed: 1\nname: a\nseed: 2\n", 3, "the key 'seed' is already on line 1"),
        (b"link:\n  cbr: 1\n  cbr: 1\n", 3, "the key 'cbr' is already on line 2"),
        (b"a: {<<: {b: 1}, <<: {c: 1}}", 1, "the key '<<' is already on line 1"),
        (b"seed: 1\n1: 2\n", 2, "expected a key that is text, found 1"),
        (b"seed: 1\ntrue: 2\n", 2, "expected a key that is text, found true"),
        (b"seed: 1\n? [a]\n: 2\n", 2, "expected a key that is text, found a list"),
        (b"seed: 1\n~: 2\n", 2, "expected a key that is text, found nothing"),
        (b"seed: 1\n\tname: a\n", 2, "not valid YAML"),
        (b"link:\n\tcbr: 1\n", 2, "indent with spaces, not with tabs"),
        (b"seed: 1\nlink: [1, 2\nname: a\n", 3, "not valid YAML"),
        (b"seed: 1\nname: a: b\n", 2, "check the indentation"),
        (b"seed: 1\n  name: a\n", 2, "check the indentation"),
        (b"seed: 1\nname: @a\n", 2, "put the text in quotes"),
        (b"seed: 1\nname: *a\n", 2, "expected an anchor &a above"),
        (b"images: *.png\n", 1, "put the text in quotes"),
        (b"seed: 1\nname: &a [*a]\n", 2, "found *a inside &a"),
        (b"seed: 1\nname: !!python/name:os.system x\n", 2, "found the tag"),
        (b"seed: !!int 3\n", 1, "remove the tag"),
        (b"seed: 1\n---\nseed: 2\n", 2, "expected one YAML document"),
        (b"seed: 1\nname: \xff\n", 2, "expected text in UTF-8, found the byte 0xff"),
        (b"seed: 1\nname: a\x00b\n", 2, "expected printable text"),
        (b'seed: 1\nname: "\\U99999999"\n', 2, "out of range"),
        (b'seed: 1\nname: "\\ud800"\n', 2, "surrogate"),
        (b"seed: 1\nname: " + b"1" * 5000, 2, "at most 40 characters"),
        (b"link:\n  <<: 3\n", 2, "expected a mapping to merge after '<<', found 3"),
        (b"a: " + b"[" * 60 + b"]" * 60, 1, f"at most {MAX_DEPTH} levels of nesting"),
        (b"a: [" + b"1," * 30_000 + b"]", 1, "at most 20000 values"),
        (b"#" * (MAX_BYTES + 1), 1, f"at most {MAX_BYTES} bytes"),
    ],
)
def test_yaml_errors(content: bytes, line: int, part: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_document(content, "f.yaml")
    error = caught.value
    assert (error.file, error.line) == ("f.yaml", line)
    assert part in error.message
    assert error.column is not None and error.column >= 1
    assert str(error) == f"f.yaml:{line}:{error.column}: {error.message}"
    assert len(str(error).splitlines()) == 1


def test_alias_bomb_is_refused_before_it_expands() -> None:
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ScenarioError, match="at most 20000 values with aliases") as caught:
        parse_document("\n".join(levels).encode(), "f.yaml")
    assert caught.value.line == 5


def test_alias_chain_counts_for_depth() -> None:
    levels = ["l0: &l0 [x]"] + [f"l{n}: &l{n} [*l{n - 1}]" for n in range(1, 80)]
    with pytest.raises(ScenarioError, match="levels of nesting"):
        parse_document("\n".join(levels).encode(), "f.yaml")


def test_places_have_columns() -> None:
    document = parse_document(b"seed: 1\nlink:\n  snr_db: [0,\n    5]\n", "f.yaml")
    place = document.places["link", "snr_db", 1]
    assert (place.line, place.column) == (4, 5)
    assert document.places["link", "snr_db"].line == 3
    assert document.places[()].line == 1


@pytest.mark.parametrize("text", ["yes", "no", "on", "off", "Yes", "True", "2024-01-01", "="])
def test_words_stay_text(text: str) -> None:
    assert parse_document(f"a: {text}".encode(), "f.yaml").data == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1", 1), ("-3", -3), ("+3", 3), ("0", 0), ("1.5", 1.5), (".5", 0.5), ("2.", 2.0)],
        *[("1.0e-3", 0.001), ("1.0e3", 1000.0), ("true", True), ("null", None), ("~", None)],
        *[("", None), ("'1'", "1"), ("'true'", "true")],
    ],
)
def test_plain_values(text: str, value: object) -> None:
    (found,) = parse_document(f"a: {text}".encode(), "f.yaml").data.values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1e-3", ": write 1.0e-3"),
        ("010", ": write 10; a leading zero could also mean an octal number"),
        ("0x1F", ": write 31; only decimal numbers are read"),
        ("0b101", ": write 5; only decimal numbers are read"),
        ("0o17", ": write 15; only decimal numbers are read"),
        ("1_000", ": write 1000, without underscores"),
        ("1:30", ": write one decimal number; numbers to the base 60 are not read"),
        ("0,5", ": write 0.5 for a decimal point, or [0, 5]"),
        ("5 dB", ": write 5 without the unit"),
        ("1/2", ": write a decimal number; a fraction is not read here"),
        ("'5'", ": write 5 without quotes"),
        ("yes", ""),
    ],
)
def test_text_for_a_number_is_refused_with_a_hint(text: str, hint: str) -> None:
    found = text.strip("'")
    expected = f"expected a number from -100 to 100 (dB), found the text '{found}'{hint}"
    assert problem_of(SMALLEST.replace("10", text)) == f"f.yaml:5:3: link.snr_db: {expected}"
    assert number_hint(found) == hint


# --- Errors in what the YAML says -----------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "old", "new", "message"),
    [
        (5, "snr_db: 10", "snr_bd: 10", "link.snr_bd: unknown key: did you mean 'snr_db'?"),
        (5, "snr_db: 10", "snr_db: []", "link.snr_db: expected at least one value"),
        (5, "snr_db: 10", "snr_db:", "link.snr_db: expected a number"),
        (5, "snr_db: 10", "snr_db: {a: 1}", "found a mapping"),
        (5, "snr_db: 10", "snr_db: [1, .nan]", "link.snr_db[1]: expected a number"),
        (5, "snr_db: 10", "snr_db: .inf", "found inf"),
        (5, "snr_db: 10", "snr_db: 1.0e999", "found inf"),
        (5, "snr_db: 10", "snr_db: true", "found true"),
        (5, "snr_db: 10", "snr_db: 101", "expected a number from -100 to 100 (dB), found 101"),
        (6, "10", "[1,\n    1.0]", "link.snr_db[1]: 1.0 is in the list twice, as items 0 and 1"),
        (7, "10", "\n  - 1\n  - x", "link.snr_db[1]: expected a number"),
        (6, "10", "10\n  ebn0_db: 3", "expected snr_db or ebn0_db, found both: keep one"),
        (4, "snr_db: 10", "cbr: 1/3", "link: expected snr_db or ebn0_db, found neither"),
        (6, "10", "10\n  channel: rayleigh_blok", "did you mean 'rayleigh_block'?"),
        (6, "10", "10\n  channel: zzz", "link.channel: expected one of awgn, bec, bsc, "),
        (6, "10", "10\n  modulation: 16QAM", "did you mean '16qam'?"),
        (6, "10", "10\n  modulation: 16", "link.modulation: expected one of bpsk, qpsk, 16qam"),
        (6, "10", "10\n  code_rate: 1/41", "expected a number or a fraction from 1/40 to 0.95"),
        (6, "10", "10\n  code_rate: 0.96", "found 0.96"),
        (6, "10", "10\n  code_rate: 1e-1", "found the text '1e-1': write 1.0e-1"),
        (6, "10", "10\n  cbr: 0", "over 0 and at most 100, found 0"),
        (6, "10", "10\n  cbr: 1/0", "found the text '1/0'"),
        (6, "10", "10\n  cbr: .nan", "link.cbr: expected a number or a fraction"),
        (6, "10", "10\n  cbr: .inf", "link.cbr: expected a number or a fraction"),
        (6, "10", "10\n  cbr: [1/3, 2/6]", "link.cbr[1]: 1/3 is in the list twice"),
        (6, "10", "10\n  packet_loss: 1.5", "packet_loss: expected 0.0 .. 1.0, found 1.5"),
        (6, "10", "10\n  packet_loss: -0.1", "found -0.1"),
        (6, "10", "10\n  fading_block: pakcet", "did you mean 'packet'?"),
        (6, "10", "10\nseed: -1", "seed: expected a whole number from 0"),
        (6, "10", "10\nseed: 1.0", "found 1.0: write 1"),
        (6, "10", "10\nseed: 010", "found the text '010': write 10"),
        (6, "10", "10\nrepetitions: 0", "repetitions: expected a whole number from 1"),
        (6, "10", "10\nrepetitons: 2", "repetitons: unknown key: did you mean 'repetitions'?"),
        (6, "10", "10\nzzz: 2", "zzz: unknown key: use one of name, description, seed"),
        (6, "10", "10\n'a\\nb c': 2", "unknown key"),
        (6, "10", "10\nname: My Run", "name: expected a name of a-z, 0-9, '_' and '-'"),
        (6, "10", "10\nname: 5", "found 5: write '5' with the quotes"),
        (6, "10", "10\npackets: 3", "packets: expected a mapping (key: value), found 3"),
        (6, "10", "10\npackets: {max_bytes: 7}", "packets.max_bytes: expected a whole number fr"),
        (6, "10", "10\npackets: {max_byte: 9}", "did you mean 'max_bytes'?"),
        (6, "10", "10\nfigures: {strip: {image: -1}}", "figures.strip.image: expected an image's"),
        (6, "10", "10\nfigures: {strip: {snr: 1}}", "did you mean 'snr_db'?"),
        (6, "10", "10\nsweeps: []", "sweeps: expected at least one value, found an empty list"),
        (8, "10", "10\nsweeps:\n  - cbr: 1\n  - {}", "sweeps[1]: expected at least one value to"),
        (7, "10", "10\nsweeps:\n  - crb: 1", "sweeps[0].crb: unknown key: did you mean 'cbr'?"),
        (7, "10", "10\nsweeps:\n  - {cbr: 1, codecs: png}", "sweeps[0].codecs: expected a codec's"),
        (7, "10", "10\nsweeps:\n  - codecs: jpeg", "sweeps[0]: expected at least one value"),
        (7, "10", "10\nsweeps:\n  - {snr_db: 1, ebn0_db: 1}", "sweeps[0].ebn0_db: expected snr_db"),
        (1, "images: samples32", "images: []", "images: expected at least one value"),
        (1, "images: samples32", "images: ''", "expected one of samples32"),
        (1, "images: samples32", "images: [3]", "images[0]: expected a mapping"),
        (1, "images: samples32", "images: {limit: 3}", "images.source: this key is missing"),
        (1, "images: samples32", "images: {source: a, limit: 0}", "images.limit: expected a whol"),
        (1, "images: samples32", "seed: 1", "images: this key is missing: expected a source"),
        (3, "type: jpeg", "type: jpg", "codecs[0].type: expected one of semantic, jpeg, jpeg2"),
        (3, "type: jpeg", "type: [1]", "codecs[0].type: expected one of semantic, jpeg"),
        (3, "type: jpeg", "name: a", "codecs[0]: the key 'type' is missing"),
        (3, "- type: jpeg", "- jpeg", "codecs[0]: expected a mapping"),
        (4, "jpeg", "jpeg\n    header: file", "codecs[0].header: unknown key: did you mean 'hea"),
        (4, "jpeg", "jpeg\n    subsampling: 4:1:1", "codecs[0].subsampling: expected one of 4:4"),
        (4, "jpeg", "semantic\n    layers: 10", "codecs[0].layers: expected a whole number from"),
        (4, "jpeg", "jpeg\n  - type: jpeg", "codecs[1]: expected a name of its own, found 'jpeg'"),
        (5, "jpeg", "jpeg\n  - type: semantic\n    name: jpeg", "codecs[1].name: expected a name"),
    ],
)
def test_schema_errors(line: int, old: str, new: str, message: str) -> None:
    text = SMALLEST.replace(old, new, 1)
    assert text != SMALLEST
    found = problem_of(text)
    assert found.startswith(f"f.yaml:{line}:")
    assert message in found


def test_all_errors_of_a_file_are_reported_in_order() -> None:
    lines = problems_of("""\
        seed: x
        images: samples32
        codecs:
          - type: jpeg
            headers: fil
          - type: semantic
            layers: 0
        link:
          snr_db: [0, 1e1]
          modulation: 8psk
        """)
    assert [line.split(": ")[:2] for line in lines] == [
        ["f.yaml:1:1", "seed"],
        ["f.yaml:5:5", "codecs[0].headers"],
        ["f.yaml:7:5", "codecs[1].layers"],
        ["f.yaml:9:15", "link.snr_db[1]"],
        ["f.yaml:10:3", "link.modulation"],
    ]


def test_errors_in_aliased_values_point_to_where_they_are_written() -> None:
    lines = problems_of("""\
        images: samples32
        codecs: [{type: jpeg}]
        link:
          snr_db: &snrs
            - x
        figures: {strip: {snr_db: *snrs}}
        """)
    assert [line.split(": ")[0] for line in lines] == ["f.yaml:5:7", "f.yaml:5:7"]


def test_too_many_link_points() -> None:
    values = list(range(100))
    text = SMALLEST.replace("10", str(values)) + (
        f"  cbr: {[n + 1 for n in values]}\n  packet_loss: {[n / 100 for n in values]}\n"
    )
    assert "expected at most 100000 link points, found 1000000" in problem_of(text)


def test_every_codec_type_has_its_section() -> None:
    schema = Scenario.model_json_schema()
    mapping = schema["properties"]["codecs"]["anyOf"][0]["discriminator"]["mapping"]
    assert set(mapping) == set(CODEC_SECTIONS)


def test_names_are_those_of_the_channels() -> None:
    # The scenario may not import `channels`, so its lists are copies: they must not drift apart.
    from channels import channel, harq, link, mcs, modulation, transport_sizes

    assert FADING_BLOCKS == channel.FADING_BLOCKS
    assert modulation.BITS_PER_SYMBOL == MODULATION_BITS
    assert link.CODINGS == scenario_values.CODINGS
    assert link.GAUSSIAN == scenario_values.GAUSSIAN
    assert link.DAMAGES == scenario_values.DAMAGES
    assert set(harq.VERSION_SEQUENCES) == set(scenario_values.HARQ_MODES)
    assert link.MAX_TRANSMISSIONS == scenario_values.MAX_TRANSMISSIONS
    assert tuple(mcs.MCS_TABLES) == scenario_values.MCS_TABLES
    assert max(map(len, mcs.MCS_TABLES.values())) == scenario_values.MAX_MCS + 1
    assert transport_sizes.MIN_CODE_RATE == 1 / 40


# --- Files and overrides --------------------------------------------------------------------


def test_name_defaults_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "My first Run.yaml"
    path.write_text(SMALLEST)
    assert load_scenario(path).name == "my-first-run"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("missing.yaml", "there is no such file"),
        (".", "found a folder"),
        ("a/b\0c", "cannot be the name of a file"),
        ("x" * 5000, "cannot be read"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, part: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_document(tmp_path / name)
    assert part in str(caught.value)
    assert caught.value.line is None
    assert len(str(caught.value).splitlines()) == 1


@pytest.fixture
def smallest(tmp_path: Path) -> Path:
    path = tmp_path / "smallest.yaml"
    path.write_text(SMALLEST)
    return path


def test_overrides(smallest: Path) -> None:
    scenario = load_scenario(
        smallest,
        [
            "seed=3",
            "link.snr_db=[0,5]",
            "link.snr_db[1]=7",
            "codecs.0.headers=abbreviated",
            "packets.max_bytes=64",
            "sweeps=[{cbr: 1/6}]",
            "link.code_rate = 2/3",
        ],
    )
    assert scenario.seed == 3
    assert scenario.link.snr_db == (0.0, 7.0)
    assert scenario.link.code_rate == (Fraction(2, 3),)
    assert scenario.codecs[0].model_dump()["headers"] == "abbreviated"
    assert scenario.packets.max_bytes == 64
    assert scenario.sweeps is not None
    assert scenario.sweeps[0].cbr == (Fraction(1, 6),)


def test_override_of_one_snr_takes_the_other_away(smallest: Path) -> None:
    link = load_scenario(smallest, ["link.ebn0_db=[3]"]).link
    assert (link.snr_db, link.ebn0_db) == ((), (3.0,))


def test_sweeps_can_be_taken_away() -> None:
    scenario = load_scenario(QUICKSTART, ["sweeps=null", "link.snr_db=3"])
    assert scenario.link_grids() == (scenario.link,)


def test_override_of_mcs_and_of_what_it_stands_for_take_each_other_away() -> None:
    by_mcs = load_scenario(QUICKSTART, ["link.mcs=[3, 7]", "sweeps=null", "link.snr_db=3"]).link
    assert (by_mcs.mcs, by_mcs.modulation, by_mcs.code_rate) == ((3, 7), (), ())
    harq = QUICKSTART.parent / "channels" / "awgn.yaml"
    link = load_scenario(harq, ["link.modulation=qpsk"]).link
    assert (link.mcs, link.modulation, link.code_rate) == ((), ("qpsk",), (Fraction(1, 2),))


@pytest.mark.parametrize("file", sorted((QUICKSTART.parent / "channels").glob("*.yaml")))
def test_canonical_scenarios_say_the_same(file: Path) -> None:
    scenario = load_scenario(file)
    # Labels of channels and loss models identify them; they are not the language.
    said, again = (
        {key: each for key, each in link.items() if each and key not in ("channel", "packet_loss")}
        for link in (
            scenario.canonical()["link"],
            scenario_of(f"{SMALLEST.split('link')[0]}{_said(scenario)}").canonical()["link"],
        )
    )
    assert said == again
    assert ("mcs" in said) != ("modulation" in said)


def _said(scenario: Scenario) -> str:
    canonical = scenario.canonical()
    link = {
        key: each
        for key, each in canonical["link"].items()
        if each and key not in ("channel", "packet_loss")
    }
    return f"packets: {json.dumps(canonical['packets'])}\nlink: {json.dumps(link)}\n"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "link.snr_db=1e1",
            "link.snr_db: expected a number from -100 to 100 (dB), found the text ",
        ),
        ("link.snr_db=[0,", "not valid YAML"),
        ("link.snr_db=[0,x]", "link.snr_db[1]: expected a number"),
        ("lnk.snr_db=1", "lnk: unknown key: did you mean 'link'?"),
        ("sed=1", "sed: unknown key: did you mean 'seed'?"),
        ("seed", "expected KEY=VALUE"),
        ("=1", "expected KEY=VALUE"),
        ("a..b=1", "expected KEY=VALUE"),
        ("seed=", "seed: expected a whole number from 0"),
        ("codecs.1.layers=1", "codecs has items 0 to 0, found '1'"),
        ("codecs.x=1", "codecs has items 0 to 0, found 'x'"),
        ("images.limit=1", "images is the text 'samples32' and has no part 'limit'"),
        ("seed=!!int 3", "expected a plain value, found the tag '!!int'"),
        ("seed={a: 1, a: 2}", "the key 'a' is already there"),
        ("seed=\ud800", ""),
    ],
)
def test_override_errors(smallest: Path, override: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(smallest, [override])
    label = override if override.isprintable() else ascii(override)
    assert str(caught.value).startswith(f"--set {label}: {message}")
    assert caught.value.line is None
    assert len(str(caught.value).splitlines()) == 1


def test_both_snrs_by_override_are_refused(smallest: Path) -> None:
    with pytest.raises(ScenarioError, match="found both"):
        load_scenario(smallest, ["link.ebn0_db=3", "link.snr_db=4"])


# --- Fuzz -----------------------------------------------------------------------------------

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
YAMLISH = st.text(
    st.sampled_from("ab01: \n\t-,[]{}&*!|>'\"#%@?<=~./\\\x85é\ud7ff"),
    max_size=60,
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from(["awgn", "1/3", "jpeg", "1e-3", "010", "4:4:4"]),
)  # fmt: skip
KEYS = st.sampled_from(
    ["name", "type", "source", "limit", "snr_db", "ebn0_db", "cbr", "strip", "image", "layers", "x"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
SECTIONS = st.sampled_from([*Scenario.model_fields, *DOCUMENT_KEYS, "zzz"])


def only_scenario_errors(content: bytes) -> None:
    try:
        scenario = check_document(parse_document(content, "f.yaml"), Path())
    except ScenarioError as error:
        assert len(str(error).split("\n")) == len(error.problems)
    else:
        assert len(scenario.scenario_hash) == 64


@FUZZ
@given(st.binary(max_size=60) | YAMLISH.map(lambda text: text.encode()))
def test_any_bytes_raise_only_scenario_errors(content: bytes) -> None:
    only_scenario_errors(content)
    only_scenario_errors(SMALLEST.encode() + content)


@FUZZ
@given(st.dictionaries(SECTIONS, VALUES, max_size=6), st.booleans())
def test_any_document_raises_only_scenario_errors(changes: dict[str, Any], is_whole: bool) -> None:
    base = yaml.safe_load(SMALLEST) if is_whole else {}
    text = yaml.safe_dump(base | changes, allow_unicode=True)
    only_scenario_errors(text.encode("utf-8", errors="surrogatepass"))


@FUZZ
@given(YAMLISH, YAMLISH)
def test_any_override_raises_only_scenario_errors(key: str, value: str) -> None:
    document = parse_document(SMALLEST.encode(), "f.yaml")
    try:
        overlay = Overlay(document)
        overlay.set(parse_override(f"{key}={value}"))
        overlay.set(parse_override(f"link.snr_db={value}"))
        check_document(document, Path())
    except ScenarioError as error:
        assert len(str(error).split("\n")) == len(error.problems)


# --- Small promises -------------------------------------------------------------------------


def test_errors_survive_pickling() -> None:
    error = ScenarioError.at("f.yaml", 3, 7, "wrong")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, ScenarioError)
    assert (str(again), again.problems) == ("f.yaml:3:7: wrong", error.problems)
    assert issubclass(ScenarioError, TestbedError)


def test_loading_needs_no_heavy_imports() -> None:
    # Of `channels` the registry and the errors are plain Python.
    heavy = ["torch", "numba", "sionna", "pandas", "matplotlib", "numpy", "codec"]
    heavy += ["channels.channel", "channels.link"]
    code = f"import sys, testbed.running.trials; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
