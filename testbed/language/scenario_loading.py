"""From a YAML file to a checked Scenario, or to a list of what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pydantic import (
    ValidationError,
)
from pydantic_core import ErrorDetails

from testbed.errors import ScenarioError, ScenarioProblem
from testbed.language.codec_sections import CODEC_SECTIONS, codec_types
from testbed.language.comparison_section import Comparison, Published
from testbed.language.extends import read_extended
from testbed.language.image_sources import ImageSource
from testbed.language.link_grid import Link, Sweep
from testbed.language.overlay import Overlay
from testbed.language.protection import LayerProtection, Objective, Protection
from testbed.language.relative_paths import rebase_paths, rebase_plugins
from testbed.language.scenario import MAX_LINK_POINTS, Figures, Packets, Scenario, Strip
from testbed.language.scenario_values import Section, closest, did_you_mean
from testbed.language.stop_section import Stop
from testbed.language.variations import Combination, Variant, combinations
from testbed.language.yaml_source import (
    Document,
    KeyPath,
    Place,
    dotted,
    found_text,
    parse_override,
)
from testbed.plugins.loading import Plugin, PluginError, load_plugins, named_plugins

DOCUMENT_KEYS = ("extends", "vary")
"""Keys of a scenario's file beside those of a Scenario."""


def load_scenario(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """Reads a scenario and what it extends, changes it by `overrides`, varies it and checks it.

    Each override is the KEY=VALUE of a `--set`, such as `link.snr_db=[0,5]`; setting one of snr_db
    and ebn0_db takes the other away, and the ways to say modulation and rate do so, too. Raises
    ScenarioError, with a line for each problem found.
    """
    document = read_extended(path)
    overlay = Overlay(document)
    for override in overrides:
        overlay.set(parse_override(override))
    document.data.setdefault("name", _name_from(path))
    return check_document(document, folder=path.parent)


def check_document(document: Document, folder: Path) -> Scenario:
    """The scenario that a document describes, with its variants. Raises ScenarioError with every
    problem found.
    """
    if "extends" in document.data:
        raise document.places["extends",].error(
            "extends: expected it in a scenario's file, which it starts from"
        )
    plugins = _plugins(document, folder)
    checked = [(each, _checked(each, folder, plugins)) for each in combinations(document)]
    failed = [(each, found.problems) for each, found in checked if isinstance(found, ScenarioError)]
    if failed:
        raise ScenarioError(_attributed(document, [each for each, _ in checked], failed))
    variants = [Variant(each.case, found) for each, found in checked if isinstance(found, Scenario)]
    if not variants[0].case:
        return variants[0].scenario
    _differ(document, variants)
    points = sum(each.points for variant in variants for each in variant.scenario.link_grids())
    if points > MAX_LINK_POINTS:
        raise document.places["vary",].error(
            f"vary: expected at most {MAX_LINK_POINTS} link points in all variants, found {points}"
        )
    whole = variants[0].scenario.model_copy()
    whole._variants = tuple(variants)
    whole._problem = partial(_later_problem, document, "")
    return whole


def _plugins(document: Document, folder: Path) -> tuple[Plugin, ...]:
    """Loads the plug-ins that a document names, and with them what it may name."""
    rebase_plugins(document)
    value = document.data.get("plugins")
    if value is None:
        load_plugins(())
        return ()
    names = value if isinstance(value, list) else [value]
    for number, name in enumerate(names):
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            path, place = document.locate(("plugins", number))
            raise place.error(
                f"{dotted(path)}: expected a Python file or an installed plug-in's name, found "
                f"{found_text(name)}"
            )
    if not names:
        raise document.places["plugins",].error(
            "plugins: expected at least one value, found an empty list"
        )
    try:
        return named_plugins(names, folder)
    except PluginError as error:
        path, place = document.locate(("plugins", error.number))
        raise place.error(f"{dotted(path)}: {error}") from None


def _checked(
    combination: Combination, folder: Path, plugins: tuple[Plugin, ...]
) -> Scenario | ScenarioError:
    document = combination.document
    rebase_paths(document)
    context = {"folder": folder, "plugins": plugins}
    try:
        scenario = Scenario.model_validate(document.data, context=context)
    except ValidationError as error:
        details = error.errors(include_url=False)
        return ScenarioError([_problem(document, detail) for detail in details])
    scenario._folder = folder
    scenario._problem = partial(_later_problem, document, combination.case)
    return scenario


def _later_problem(
    document: Document, case: str, location: tuple[str | int, ...], message: str
) -> ScenarioError:
    path, place = document.locate(location)
    return place.error(f"{dotted(path)}: {message}{_in_variant(case)}")


def _in_variant(case: str) -> str:
    return f" (variant {case})" if case else ""


def _attributed(
    document: Document,
    combinations: Sequence[Combination],
    failed: Sequence[tuple[Combination, Sequence[ScenarioProblem]]],
) -> list[ScenarioProblem]:
    """The problems of variants, each once, in order of their places.

    What is wrong in some variants only is wrong because of what they vary: such a problem names the
    first of them, and the line of the choice without which it is not there.
    """
    concerned: dict[ScenarioProblem, list[Combination]] = {}
    for combination, problems in failed:
        for problem in dict.fromkeys(problems):
            concerned.setdefault(problem, []).append(combination)
    varied = set(document.places_within(("vary",)).values()) if len(combinations) > 1 else set()
    found: dict[ScenarioProblem, None] = {}
    for problem, those in concerned.items():
        if len(those) == len(combinations):
            found[problem] = None
            continue
        message = f"{problem.message}{_in_variant(those[0].case)}"
        place = Place(problem.file, problem.line, problem.column)
        if place not in varied:
            place = document.places[_cause(combinations, those)]
        found[ScenarioProblem(place.file, place.line, place.column, message)] = None
    main = document.places[()].file
    return sorted(
        found, key=lambda each: (each.file != main, each.file, each.line or 0, each.column or 0)
    )


def _cause(combinations: Sequence[Combination], those: Sequence[Combination]) -> KeyPath:
    """Where the choice stands that all of `those` and no others made; else `vary` itself."""
    cases = {each.case for each in those}
    for choice in those[0].choices:
        if all(each.case in cases for each in combinations if choice in each.choices):
            return choice.source
    return ("vary",)


def _differ(document: Document, variants: Sequence[Variant]) -> None:
    """Raises ScenarioError if two variants are the same scenario."""
    seen: dict[str, str] = {}
    for variant in variants:
        same = seen.setdefault(variant.scenario.scenario_hash, variant.case)
        if same != variant.case:
            raise document.places["vary",].error(
                f"vary: the variants {same!r} and {variant.case!r} are the same scenario: take one "
                "of them out"
            )


def _name_from(path: Path) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-")[:100] or "scenario"


_SECTIONS: dict[str, type[Section]] = {
    "images": ImageSource,
    "link": Link,
    "sweeps": Sweep,
    "protection": Protection,
    "layers": LayerProtection,
    "objective": Objective,
    "packets": Packets,
    "figures": Figures,
    "strip": Strip,
    "comparison": Comparison,
    "published": Published,
    "stop": Stop,
    **CODEC_SECTIONS,
}


def _problem(document: Document, detail: ErrorDetails) -> ScenarioProblem:
    context = detail.get("ctx", {})
    location = (*detail["loc"], *context.get("at", ()))
    path, place = document.locate(location)
    section: type[Section] = Scenario
    for part in location[:-1]:
        section = _SECTIONS.get(str(part), section)
    kind, found = detail["type"], found_text(detail["input"])
    if kind == "scenario":
        message = str(context["text"])
    elif kind == "missing":
        path = (*path, location[-1])
        expected = section.model_fields[str(location[-1])].description
        message = f"this key is missing: expected {expected}"
    elif kind == "extra_forbidden":
        keys = [*section.model_fields, *(DOCUMENT_KEYS if section is Scenario else ())]
        message = "unknown key" + did_you_mean(str(location[-1]), keys)
    elif kind == "union_tag_not_found":
        message = f"the key 'type' is missing: expected one of {', '.join(codec_types())}"
    elif kind == "union_tag_invalid":
        path, place = document.locate((*location, "type"))
        tag = detail["input"].get("type")
        message = f"expected one of {', '.join(codec_types())}; found {found_text(tag)}"
        message += closest(str(tag), codec_types())
    elif kind in ("model_type", "model_attributes_type", "dict_type"):
        message = f"expected a mapping (key: value), found {found}"
    else:
        message = f"{detail['msg'].lower()}, found {found}"
    return ScenarioProblem(
        place.file, place.line, place.column, f"{dotted(path)}: {message}" if path else message
    )
