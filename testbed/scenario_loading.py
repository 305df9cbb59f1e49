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

from testbed.codec_sections import CODEC_SECTIONS
from testbed.comparison_section import Comparison, Published
from testbed.errors import ScenarioError, ScenarioProblem
from testbed.protection import LayerProtection, Objective, Protection
from testbed.scenario import (
    SCHEME_RIVALS,
    Figures,
    ImageSource,
    Link,
    Packets,
    Scenario,
    Strip,
    Sweep,
)
from testbed.scenario_values import Section, closest, did_you_mean
from testbed.yaml_source import Document, dotted, found_text, read_document


def load_scenario(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """Reads, changes by `overrides` and checks a scenario.

    Each override is the KEY=VALUE of a `--set`, such as `link.snr_db=[0,5]`; setting one of snr_db
    and ebn0_db takes the other away, and the ways to say modulation and rate do so, too. Raises
    ScenarioError, with a line for each problem found.
    """
    document = read_document(path)
    for override in overrides:
        _ousts_its_rivals(document, document.set(override))
    document.data.setdefault("name", _name_from(path))
    return check_document(document, folder=path.parent)


def check_document(document: Document, folder: Path) -> Scenario:
    """The scenario that a document describes. Raises ScenarioError with every problem found."""
    try:
        scenario = Scenario.model_validate(document.data, context={"folder": folder})
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = {_problem(document, detail): None for detail in details}
        raise ScenarioError(sorted(problems, key=lambda found: found.line or 0)) from None
    scenario._folder = folder
    scenario._problem = partial(_later_problem, document)
    return scenario


def _later_problem(
    document: Document, location: tuple[str | int, ...], message: str
) -> ScenarioError:
    path, place = document.locate(location)
    return ScenarioError.at(place.file, place.line, f"{dotted(path)}: {message}")


_RIVALS = {
    "snr_db": ("ebn0_db",),
    "ebn0_db": ("snr_db",),
    **SCHEME_RIVALS,
}


def _ousts_its_rivals(document: Document, path: tuple[str | int, ...]) -> None:
    if path[0] not in ("link", "sweeps"):
        return
    for key in _RIVALS.get(str(path[-1]), ()):
        rival = (*path[:-1], key)
        # One without a line came from a --set too: then both were asked for, which is refused.
        if rival in document.places and document.places[rival].line is not None:
            document.remove(rival)


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
        message = "unknown key" + did_you_mean(str(location[-1]), section.model_fields)
    elif kind == "union_tag_not_found":
        message = f"the key 'type' is missing: expected one of {', '.join(CODEC_SECTIONS)}"
    elif kind == "union_tag_invalid":
        path, place = document.locate((*location, "type"))
        tag = detail["input"].get("type")
        message = f"expected one of {', '.join(CODEC_SECTIONS)}; found {found_text(tag)}"
        message += closest(str(tag), list(CODEC_SECTIONS))
    elif kind in ("model_type", "model_attributes_type", "dict_type"):
        message = f"expected a mapping (key: value), found {found}"
    else:
        message = f"{detail['msg'].lower()}, found {found}"
    return ScenarioProblem(
        place.file, place.line, f"{dotted(path)}: {message}" if path else message
    )
