"""The scenario language as a page for people: Markdown, made of the JSON Schema.

    schema.scenario_schema() -> scenario_reference() -> a section for a mapping, a row for a key

The page says what the schema says and nothing else, so that neither can lag behind the other. What
plug-ins have registered is among it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from testbed.language.schema import scenario_schema

Schema = Mapping[str, Any]

_PLURAL = {"integer": "integers", "number": "numbers", "string": "texts"}
_SINGULAR = {"integer": "an integer", "number": "a number", "string": "a text"}
_NAME = "^[a-z0-9_-]+$"
_RATIO = "/"
"""Stands in the patterns of fractions, and in no other."""
_SECTION_OF = {
    "ImageSource": "images",
    "codecs": "codecs",
    "Link": "link",
    "channel": "link.channel",
    "packet_loss": "link.packet_loss",
    "Protection": "link.protection",
    "LayerProtection": "link.protection.layers",
    "Sweep": "sweeps",
    "Packets": "packets",
    "metrics": "metrics",
    "Figures": "figures",
    "Strip": "figures.strip",
    "more": "figures.more",
    "Comparison": "comparison",
    "Published": "comparison.published",
    "Stop": "stop",
}
"""Definitions of the schema by the key that takes them, in dots; in the order of the page."""
_OF_TYPES = {
    "channel": "one_channel",
    "packet_loss": "one_packet_loss",
    "metrics": "one_metrics",
    "more": "one_more",
}


def scenario_reference() -> str:
    """Every section, key, type, default and bound of a scenario, as Markdown from level 2 on.

    Each section has the target `scenario-KEY`, dots as hyphens; a section of a type, such as a
    channel, `scenario-KEY-TYPE`.
    """
    schema = scenario_schema()
    return "\n".join(_page(schema, schema["$defs"])) + "\n"


def _page(schema: Schema, definitions: Schema) -> Iterator[str]:
    yield from _heading(2, "The file", "scenario-file")
    yield from _keys(schema["properties"], schema["then"]["required"])
    vary = _mapping(schema["properties"]["vary"])
    yield from _heading(2, "vary", "scenario-vary")
    yield from _keys(vary["properties"], ())
    for name, key in _SECTION_OF.items():
        yield from _heading(2, key, _target(key))
        if name in _OF_TYPES:
            yield from _types(key, definitions[_OF_TYPES[name]])
        elif name == "codecs":
            yield from _codecs(schema["properties"]["codecs"], definitions)
        elif name == "Sweep":
            yield from _sweep(definitions)
        else:
            about = _mapping(definitions[name])
            yield from _words(about.get("description", ""))
            yield from _keys(about["properties"], about.get("required", ()))


def _codecs(about: Schema, definitions: Schema) -> Iterator[str]:
    one = about["anyOf"][0]
    sections = [_resolved(option, definitions) for option in one.get("oneOf") or one["anyOf"]]
    names = ", ".join(f"`{section['properties']['type']['const']}`" for section in sections)
    yield f"A mapping with the key `type`, or a list of these: {names}."
    yield ""
    for section in sections:
        yield from _typed("codecs", section)


def _sweep(definitions: Schema) -> Iterator[str]:
    of_link = definitions["Link"]["properties"]
    sweep = definitions["Sweep"]
    yield from _words(sweep["description"])
    yield f"Every key of [`link`](#{_target('link')}), which its own value replaces, and:"
    yield ""
    own = {key: about for key, about in sweep["properties"].items() if key not in of_link}
    yield from _keys(own, ())


def _types(key: str, options: Schema) -> Iterator[str]:
    """A section for each type that a key may name."""
    named = [option for option in options["anyOf"] if "properties" in option]
    names = [f"`{option['properties']['type']['const']}`" for option in named]
    if not names:
        yield "None of the testbed's own: see [Plug-ins](../plugins.md)."
        yield ""
        return
    shorter = any(option.get("type") == "number" for option in options["anyOf"])
    also = ", a number (the probability of `iid`)" if shorter else ""
    yield f"A name, `{{type: NAME}}` with parameters{also}, or a list of these: {', '.join(names)}."
    yield ""
    for option in named:
        yield from _typed(key, option)


def _typed(key: str, about: Schema) -> Iterator[str]:
    name = about["properties"]["type"]["const"]
    yield from _heading(3, f"{key}: {name}", _target(f"{key}-{name}"))
    yield from _words(about.get("description", ""))
    properties = {k: v for k, v in about["properties"].items() if k != "type"}
    if properties:
        required = [each for each in about.get("required", ()) if each != "type"]
        yield from _keys(properties, required)
    else:
        yield "It has no parameters."
        yield ""


def _keys(properties: Schema, required: Any) -> Iterator[str]:
    yield "| key | takes | default | meaning |"
    yield "|---|---|---|---|"
    for key, about in properties.items():
        default = "**required**" if key in required else _default(about)
        meaning = markdown_text(about.get("description", ""))
        yield f"| `{key}` | {_takes(about)} | {default} | {meaning} |"
    yield ""


def _default(about: Schema) -> str:
    default = about.get("default")
    if default is None or default in ({}, ""):
        return ""
    text = str(default).lower() if isinstance(default, bool) else str(default)
    return f"`{text}`"


def _takes(about: Schema) -> str:
    """What a value may be, in words; null, which takes an inherited key away, goes without."""
    if "$ref" in about:
        return _reference(about["$ref"])
    options = about.get("anyOf") or about.get("oneOf")
    if options is None:
        return _simple(about)
    said = [_takes(each) for each in options if each != {"type": "null"}]
    lists = [each for each in options if each.get("type") == "array"]
    if len(lists) == 1 and len(said) > 1 and _is_list_of_the_others(lists[0], options):
        said = [each for each in said if not each.startswith("list of ")]
        return f"{' or '.join(dict.fromkeys(said))}; or a list"
    return " or ".join(dict.fromkeys(said))


def _is_list_of_the_others(many: Schema, options: Any) -> bool:
    items = many.get("items", {})
    return items in options or items.get("anyOf") == [
        each for each in options if each is not many and each != {"type": "null"}
    ]


def _simple(about: Schema) -> str:
    if "enum" in about:
        return ", ".join(f"`{each}`" for each in about["enum"]) or "a name"
    if "const" in about:
        return f"`{about['const']}`"
    if "properties" in about or about.get("type") == "object":
        return "a mapping"
    if about.get("type") == "array":
        items = about.get("items", {})
        plural = _PLURAL.get(items.get("type", ""), "") if _bounds(items) == "" else ""
        if "enum" in items or "pattern" in items:
            plural = ""
        return f"list of {plural or _takes(items) or 'values'}"
    if about.get("type") == "boolean":
        return "`true` or `false`"
    if "pattern" in about:
        return "a fraction such as `1/3`" if _RATIO in about["pattern"] else _named(about)
    return _SINGULAR.get(about.get("type", ""), "") + _bounds(about)


def _named(about: Schema) -> str:
    if ":" in about["pattern"]:
        return "a range such as `100:200`"
    return "a name of `a-z 0-9 _ -`" if about["pattern"] == _NAME else "a text"


def _bounds(about: Schema) -> str:
    low, high = about.get("minimum"), about.get("maximum")
    above = about.get("exclusiveMinimum")
    if high is not None and high >= 2**62:
        high = None
    if above is not None:
        return f" above {above}" + (f", at most {high}" if high is not None else "")
    if low is not None and high is not None:
        return f", {low} to {high}"
    if low is not None:
        return f", at least {low}"
    return f", at most {high}" if high is not None else ""


def _reference(reference: str) -> str:
    name = reference.rpartition("/")[2].removeprefix("one_")
    key = _SECTION_OF.get(name)
    if key is None:
        return "[a codec](#scenario-codecs)"
    return f"[`{key}`](#{_target(key)})"


def _resolved(option: Schema, definitions: Schema) -> Schema:
    if "$ref" not in option:
        return option
    found: Schema = definitions[option["$ref"].rpartition("/")[2]]
    return found


def _mapping(about: Schema) -> Schema:
    """The mapping among the forms that a value may have."""
    if "properties" in about:
        return about
    found: Schema = next(each for each in about["anyOf"] if "properties" in each)
    return found


def _heading(level: int, title: str, target: str) -> Iterator[str]:
    yield f"({target})="
    yield f"{'#' * level} {title}"
    yield ""


def _words(text: str) -> Iterator[str]:
    if text:
        yield markdown_text(text)
        yield ""


def _target(key: str) -> str:
    return "scenario-" + key.replace(".", "-").replace("_", "-")


def markdown_text(text: str) -> str:
    """Plain text with code in backticks as Markdown that shows it, on one line, also in a table."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(
        part.replace("|", r"\|")
        if part.startswith("`")
        else re.sub(r"([\\*_\[\]<>|$])", r"\\\1", part)
        for part in parts
    )
