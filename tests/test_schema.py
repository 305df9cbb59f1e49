"""The JSON Schema accepts what the testbed accepts, and says the models' own defaults."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from typer.testing import CliRunner

from testbed.cli import app
from testbed.errors import ScenarioError
from testbed.language.codec_sections import CODEC_SECTIONS
from testbed.language.link_grid import Link
from testbed.language.link_parts import Kind, names_of, parameters_of
from testbed.language.protection import LayerProtection
from testbed.language.scenario import Figures, Packets, Scenario, Strip
from testbed.language.scenario_loading import check_document
from testbed.language.schema import default_of, scenario_schema
from testbed.language.yaml_source import parse_document, read_document

FILES = sorted((Path(__file__).parent.parent / "scenarios").glob("**/*.yaml"))
SCHEMA = scenario_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
BASE = """\
images: samples32
codecs: [{type: jpeg}]
link: {snr_db: 10}
"""


def data_of(text: str) -> Any:
    return parse_document(text.encode(), "f.yaml").data


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_shipped_scenarios_are_valid(file: Path) -> None:
    VALIDATOR.validate(read_document(file).data)


@pytest.mark.parametrize(
    "text",
    [
        BASE,
        BASE.replace("samples32", "[samples32, {source: 'a/*.png', limit: 3}]"),
        BASE.replace("10", "[0, 2.5]").replace("jpeg", "semantic, layers: 4, slice_side: 64"),
        BASE.replace("10", "10, packet_loss: 0.1, cbr: 1/6, protection: optimised"),
        BASE.replace("10", "10, channel: {type: ofdm, pilot_symbols: [2, 11]}"),
        BASE.replace("10", "10, channel: {type: rician, k_db: [0, 6]}"),
        BASE + "sweeps: null\nmetrics: [ms_ssim, {type: task, against: original}]\n",
        BASE + "vary: {grid: {link.cbr: [1/6, 1/3], codecs: {jpeg: {headers: [file]}}}}\n",
        BASE + "vary: {zip: {seed: [1, 2]}, cases: {a: null, b: {link: {mcs: 3}}}}\n",
        "extends: base.yaml\n",
        "extends: base.yaml\nlink: {snr_db: null, ebn0_db: 3}\nfigures: null\n",
    ],
)
def test_what_is_valid(text: str) -> None:
    VALIDATOR.validate(data_of(text))
    if "extends" not in text:
        check_document(parse_document(text.encode(), "f.yaml"), Path())


BROKEN = [
    ("link", "lnk"),
    ("snr_db", "snr"),
    ("snr_db: 10", "snr_db: ten"),
    ("snr_db: 10", "snr_db: true"),
    ("snr_db: 10", "snr_db: []"),
    ("snr_db: 10", "snr_db: 101"),
    ("jpeg", "jpg"),
    ("{type: jpeg}", "{headers: file}"),
    ("{type: jpeg}", "{type: jpeg, header: file}"),
    ("{type: jpeg}", "{type: jpeg, headers: fil}"),
    ("{type: jpeg}", "{type: semantic, layers: 10}"),
    ("{type: jpeg}", "{type: jpeg, name: My JPEG}"),
    ("[{type: jpeg}]", "[]"),
    ("images: samples32\n", ""),
    ("samples32", "{limit: 3}"),
    ("samples32", "{source: samples32, limit: 0}"),
    ("snr_db: 10", "snr_db: 10, channel: rayleigh_blok"),
    ("snr_db: 10", "snr_db: 10, channel: {type: rician, k: 3}"),
    ("snr_db: 10", "snr_db: 10, channel: {type: rician, k_db: six}"),
    ("snr_db: 10", "snr_db: 10, packet_loss: {type: iid, mean: 0.1}"),
    ("snr_db: 10", "snr_db: 10, modulation: 16QAM"),
    ("snr_db: 10", "snr_db: 10, code_rate: 0.96"),
    ("snr_db: 10", "snr_db: 10, cbr: -1/3"),
    ("snr_db: 10", "snr_db: 10, mcs: 29"),
    ("snr_db: 10", "snr_db: 10, protection: equl"),
    ("link", "seed: -1\nlink"),
    ("link", "repetitions: 0\nlink"),
    ("link", "packets: {max_bytes: 7}\nlink"),
    ("link", "metrics: [ms_sim]\nlink"),
    ("link", "sweeps: []\nlink"),
    ("link", "comparison: {refernce: jpeg}\nlink"),
    ("link", "extends: 3\nlink"),
    ("link", "vary: {}\nlink"),
    ("link", "vary: {grd: {seed: [1]}}\nlink"),
    ("link", "vary: {grid: {seed: 1}}\nlink"),
    ("link", "vary: {cases: {A: {}}}\nlink"),
]


@pytest.mark.parametrize(("old", "new"), BROKEN)
def test_what_is_broken_is_not_valid(old: str, new: str) -> None:
    text = BASE.replace(old, new, 1)
    assert text != BASE
    assert list(VALIDATOR.iter_errors(data_of(text)))
    with pytest.raises(ScenarioError):
        check_document(parse_document(text.encode(), "f.yaml"), Path())


def objects_of(schema: Any, name: str) -> dict[str, Any]:
    """The properties of a definition, also where it may be written in short."""
    definition = schema["$defs"][name]
    options = definition.get("anyOf", [definition])
    return next(each["properties"] for each in options if "properties" in each)


MODELS: list[type[BaseModel]] = [
    Link, Packets, Figures, Strip, LayerProtection, *CODEC_SECTIONS.values(),
]  # fmt: skip


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_defaults_are_the_models(model: type[BaseModel]) -> None:
    properties = objects_of(SCHEMA, model.__name__)
    assert set(properties) == set(model.model_fields)
    for key, field in model.model_fields.items():
        default = default_of(field)
        if default in (PydanticUndefined, []):
            assert "default" not in properties[key]
        elif key == "name":
            # What a section is called that does not say so.
            kind = properties["type"]["const"]
            assert model.model_validate({"type": kind}).name == properties[key]["default"]  # type: ignore[attr-defined]
        else:
            assert properties[key]["default"] == default, key
        assert properties[key].get("description") or key == "type", key


def test_defaults_said_in_full_change_nothing() -> None:
    def said(properties: dict[str, Any]) -> dict[str, Any]:
        return {
            key: value["default"]
            for key, value in properties.items()
            if value.get("default") is not None
        }

    whole = data_of(BASE)
    full = said(SCHEMA["properties"]) | whole
    full["link"] = said(objects_of(SCHEMA, "Link")) | whole["link"]
    full["codecs"] = [said(objects_of(SCHEMA, "JpegSection")) | whole["codecs"][0]]
    full["packets"] = said(objects_of(SCHEMA, "Packets"))
    text = json.dumps(full)
    VALIDATOR.validate(full)
    plain = check_document(parse_document(BASE.encode(), "f.yaml"), Path())
    again = check_document(parse_document(text.encode(), "f.yaml"), Path())
    assert again.canonical() == plain.canonical()


@pytest.mark.parametrize("kind", ["channel", "packet loss", "metric"])
def test_parts_are_those_that_are_registered(kind: Kind) -> None:
    key = {"channel": "one_channel", "packet loss": "one_packet_loss", "metric": "one_metrics"}
    options = SCHEMA["$defs"][key[kind]]["anyOf"]
    assert options[0]["enum"] == list(names_of(kind))
    found = {each["properties"]["type"]["const"]: each for each in options if "properties" in each}
    assert set(found) == set(names_of(kind))
    for name, option in found.items():
        assert option["description"]
        for parameter, (_, default) in parameters_of(kind, name).items():
            about = option["properties"][parameter]
            assert about["description"]
            if not isinstance(default, Path):
                assert about["default"] == (
                    list(default) if isinstance(default, tuple) else default
                )


def test_every_key_of_a_scenario_is_there() -> None:
    assert set(SCHEMA["properties"]) == {*Scenario.model_fields, "extends", "vary"}
    for key, about in SCHEMA["properties"].items():
        assert about.get("description"), key


def test_the_command_writes_the_same_each_time(tmp_path: Path) -> None:
    out = tmp_path / "schema.json"
    runner = CliRunner()
    printed = runner.invoke(app, ["schema"])
    assert runner.invoke(app, ["schema", "--out", str(out)]).exit_code == 0
    assert out.read_text() == printed.stdout
    assert json.loads(printed.stdout) == json.loads(json.dumps(SCHEMA))
