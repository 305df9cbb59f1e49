"""The scenario language as JSON Schema, for editors to complete and check by.

It is made of the models that check a scenario, so that it cannot say anything else than they do.
What hangs on several keys at once it does not say: `testbed check` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticUndefined

from testbed.errors import OutputError
from testbed.language.codec_sections import CODEC_SECTIONS
from testbed.language.link_parts import Kind, LinkPart, names_of, parameters_of, part_class
from testbed.language.protection import Protection
from testbed.language.scenario import Scenario
from testbed.language.scenario_values import IMAGE_SETS, ratio_text
from testbed.plugins.loading import named_plugins

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PART_KEYS: dict[str, Kind] = {
    "channel": "channel",
    "packet_loss": "packet loss",
    "metrics": "metric",
    "more": "figure",
}
_MERGED = ("Link", "Packets", "Figures", "Strip", "Comparison")
"""Mappings from which a file that extends another may take a key away, with null."""
_NULL = {"type": "null"}
_VALUES = {"type": "array", "minItems": 1, "items": {}}
_GRID = {"type": "object", "minProperties": 1}
_GRID["additionalProperties"] = {"anyOf": [_VALUES, {"type": "object"}]}
_CODECS_BY_NAME = {
    "description": "with `extends`: keys of codecs that the other scenario has, by their names",
    "type": "object",
    "minProperties": 1,
    # One codec, not a list of them, has a type.
    "not": {"required": ["type"]},
    "additionalProperties": {"type": ["object", "null"]},
}
_OWN_KEYS: dict[str, Any] = {
    "extends": {
        "type": "string",
        "minLength": 1,
        "description": "the scenario that this one starts from, relative to this file's folder",
    },
    "vary": {
        "description": "what is varied, in scenarios of their own: cases x zip x grid",
        "default": None,
        "anyOf": [
            _NULL,
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": False,
                "properties": {
                    "grid": _GRID
                    | {"description": "dotted keys and lists of values: each with each other"},
                    "zip": _GRID | {"description": "dotted keys and lists of one length: in step"},
                    "cases": {
                        "description": "names, and the keys that each sets, dotted or nested",
                        "type": "object",
                        "minProperties": 1,
                        "propertyNames": {"pattern": "^[a-z0-9_-]{1,100}$"},
                        "additionalProperties": {"type": ["object", "null"]},
                    },
                },
            },
        ],
    },
}


class _Generator(GenerateJsonSchema):
    """Without titles, which repeat the keys, and with defaults as a scenario would say them."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False

    def encode_default(self, dft: Any) -> Any:
        return said(dft)


def said(value: Any) -> Any:
    """A model's value as a scenario may say it: of a single item the item alone."""
    if isinstance(value, tuple):
        values = [said(each) for each in value]
        return values[0] if len(values) == 1 else values
    if isinstance(value, Fraction):
        return ratio_text(value)
    if isinstance(value, LinkPart):
        return value.label
    if isinstance(value, Protection):
        return value.policy
    return value


def scenario_schema() -> dict[str, Any]:
    """The schema of a scenario's file, JSON-able; the same for the same models and plug-ins."""
    schema = Scenario.model_json_schema(schema_generator=_Generator)
    definitions: dict[str, Any] = schema.pop("$defs")
    _without(schema, "title")
    _without(definitions, "title")
    _without(schema, "discriminator")
    for name in ("link", "packets", "figures"):
        schema["properties"][name]["default"] = {}
    for about in schema["properties"].values():
        if about.get("default") == []:
            # None at all is said by leaving the key out.
            del about["default"]
    # It is named after the file, a codec after its type, a protection after its policy.
    for named in (schema, definitions["Protection"]):
        named["properties"]["name"].pop("default")
    for section in CODEC_SECTIONS.values():
        properties = definitions[section.__name__]["properties"]
        properties["name"]["default"] = properties["type"]["const"]
    for key, of_link in definitions["Link"]["properties"].items():
        of_sweep = definitions["Sweep"]["properties"][key]
        of_sweep["description"] += "; as in link unless given"
        if "default" not in of_link and not key.endswith("_db"):
            of_link["description"] += "; none unless given"
    for key, kind in _PART_KEYS.items():
        _hoist_parts(key, kind, schema, definitions)
    source = definitions["ImageSource"]["properties"]["source"]
    source["anyOf"] = [{"enum": list(IMAGE_SETS)}, {"type": "string", "minLength": 1}]
    del source["type"]
    definitions["ImageSource"] = {"anyOf": [source, definitions["ImageSource"]]}
    policy = definitions["Protection"]["properties"]["policy"]
    definitions["Protection"] = {
        "anyOf": [{k: policy[k] for k in policy if k != "default"}, definitions["Protection"]]
    }
    for name in _MERGED:
        _let_keys_go(definitions[name]["properties"])
    required = schema.pop("required")
    properties = schema.pop("properties")
    properties["codecs"]["anyOf"].append(_CODECS_BY_NAME)
    _let_keys_go(properties)
    # What a scenario must say, one that it extends or its cases may have said.
    unless = {"anyOf": [{"required": ["extends"]}, {"required": ["vary"]}]}
    return {
        "$schema": DIALECT,
        "title": "A scenario of semcom-testbed",
        **schema,
        "description": "What is sent, by which codecs, over which links, and what is varied.",
        "properties": _OWN_KEYS | properties,
        "if": {"not": unless},
        "then": {"required": required},
        "$defs": dict(sorted(definitions.items())),
    }


def write_schema(out: Path | None, plugins: Sequence[str] = ()) -> None:
    """Writes the schema to a file, or prints it, with what plug-ins add. Raises TestbedError.

    plugins: files relative to the working directory, or names of entry points.
    """
    named_plugins(plugins, Path())
    text = json.dumps(scenario_schema(), indent=1, allow_nan=False)
    if out is None:
        print(text)
        return
    try:
        out.write_text(text + "\n")
    except OSError as error:
        raise OutputError(f"{out}: cannot write ({error.strerror})") from error


def default_of(field: FieldInfo) -> Any:
    """A field's default as the schema states it; PydanticUndefined for a key that must be given."""
    default = field.get_default(call_default_factory=True)
    return PydanticUndefined if default is PydanticUndefined else said(default)


def _hoist_parts(key: str, kind: Kind, schema: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Moves what a key of links, loss models or metrics takes into a definition of its own."""
    for owner in [schema, *definitions.values()]:
        found = owner.get("properties", {}).get(key)
        if found is None:
            continue
        options = found.pop("anyOf")
        reference = {"$ref": f"#/$defs/{key}"}
        optional = options[-1] == _NULL
        found |= {"anyOf": [reference, options.pop()]} if optional else reference
        if key not in definitions:
            for option in options:
                _describe(option, kind)
            many = options[-1] | {"items": {"$ref": f"#/$defs/one_{key}"}}
            definitions[f"one_{key}"] = {"anyOf": options[:-1]}
            definitions[key] = {"anyOf": [{"$ref": f"#/$defs/one_{key}"}, many]}


def _describe(option: dict[str, Any], kind: Kind) -> None:
    """Completes what is known of a type with the words of its class, and every default."""
    name = option.get("properties", {}).get("type", {}).get("const")
    if name not in names_of(kind):
        return
    made = part_class(kind, name)
    option["description"] = _first_sentence(made)
    words = _attribute_words(made)
    for key, (_, default) in parameters_of(kind, name).items():
        about = option["properties"][key]
        about["description"] = words.get(key, option["description"])
        if isinstance(default, tuple):
            # One list, or a list of them to sweep.
            one = dict(about)
            about.clear()
            about["description"] = one.pop("description")
            about["anyOf"] = [one, {"type": "array", "items": one, "minItems": 1}]
        if not isinstance(default, Path):
            about["default"] = list(default) if isinstance(default, tuple) else default


def _first_sentence(made: type[Any]) -> str:
    return " ".join((made.__doc__ or "").split("\n\n")[0].split())


def _attribute_words(made: type[Any]) -> dict[str, str]:
    """What the docstrings of a class and of its bases say of each attribute."""
    words: dict[str, str] = {}
    for each in reversed(made.__mro__):
        _, _, section = (each.__doc__ or "").partition("Attributes:\n")
        section = re.split(r"\n\s*\n", section)[0]
        indents = [len(line) - len(line.lstrip()) for line in section.splitlines() if line.strip()]
        entries = re.split(rf"(?m)^ {{{min(indents, default=0)}}}(?=\w+(?:, \w+)*: )", section)
        for entry in entries:
            keys, _, text = entry.partition(": ")
            words |= {key.strip(): " ".join(text.split()) for key in keys.split(",")}
    return words


def _let_keys_go(properties: dict[str, Any]) -> None:
    for key, about in properties.items():
        options = about.get("anyOf", [])
        if _NULL in options:
            continue
        kept = {k: about.pop(k) for k in ("description", "default") if k in about}
        choices = options if set(about) == {"anyOf"} else [dict(about)]
        properties[key] = {"anyOf": [*choices, _NULL], **kept}


def _without(value: Any, key: str) -> None:
    """Takes an annotation out, everywhere; a property of that name stays."""
    if isinstance(value, dict):
        if key == "discriminator" or isinstance(value.get(key), str):
            value.pop(key, None)
        for child in value.values():
            _without(child, key)
    elif isinstance(value, list):
        for child in value:
            _without(child, key)
