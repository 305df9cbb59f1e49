"""What a manifest's scenario says, value by value: variations, grids of the link, parts with their
parameters.

The scenario is in canonical form, as JSON. Nothing is loaded that belongs to a plug-in: a channel,
loss model and so on of a plug-in has the parameters that are written down, no others.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from testbed.language.link_grid import SCHEME_RIVALS, Link
from testbed.language.link_parts import Kind, parameters_of, value_text

Canonical: TypeAlias = dict[str, Any]

_LABEL = re.compile(r"(\w+)(?:\((.*)\))?(?:(?: plugin)? [0-9a-f]{64})*", re.DOTALL)
_PARAMETER = re.compile(r"(\w+)=(\[[^\]]*\]|'[^']*'|\"[^\"]*\"|[^,]*)(?:, |$)")


@dataclass(frozen=True)
class Part:
    """A channel, loss model or metric: its type and all of its parameters, as text.

    known: whether the type is the testbed's own, so that defaults are filled in.
    """

    type: str
    parameters: Mapping[str, str]
    known: bool


def part(kind: Kind, label: str) -> Part:
    """Of a label such as "rician(k_db=6)", with or without the hash of a file's content."""
    match = _LABEL.fullmatch(label)
    if match is None:
        return Part(label, {}, known=False)
    given = {key: value.strip("'\"") for key, value in _PARAMETER.findall(match[2] or "")}
    try:
        defaults = {k: value_text(default) for k, (_, default) in
                    parameters_of(kind, match[1]).items()}  # fmt: skip
    except KeyError:
        return Part(match[1], given, known=False)
    return Part(match[1], defaults | given, known=True)


def parts(kind: Kind, labels: Iterable[str]) -> dict[str, list[Part]]:
    """By type, in order of appearance."""
    found: dict[str, list[Part]] = {}
    for label in labels:
        one = part(kind, label)
        found.setdefault(one.type, []).append(one)
    return found


def values(alike: Sequence[Part], key: str) -> list[str]:
    """The values of a parameter, each once."""
    return list(dict.fromkeys(each.parameters[key] for each in alike if key in each.parameters))


def variants(scenario: Canonical) -> dict[str, Canonical]:
    """The scenarios that it stands for, by case; the scenario itself, as "", without variations."""
    found: dict[str, Canonical] = {}
    for case, changes in (scenario.get("vary") or {"": {}}).items():
        own = copy.deepcopy({key: each for key, each in scenario.items() if key != "vary"})
        for dotted, value in changes.items():
            place = own
            *above, last = dotted.split(".")
            for key in above:
                place = place.setdefault(key, {})
            place[last] = value
        found[case] = own
    return found


def grids(variant: Canonical) -> list[Canonical]:
    """The link of each sweep, or the link alone; `codecs` says whose it is, as in the scenario."""
    names = [codec["name"] for codec in variant["codecs"]]
    link = variant["link"]
    return [
        _replaced(link, sweep) | {"codecs": sweep.get("codecs") or names}
        for sweep in variant.get("sweeps") or [{}]
    ]


def _replaced(link: Canonical, sweep: Canonical) -> Canonical:
    """As `Link.replaced_by`, of canonical forms."""
    given = {key: value for key, value in sweep.items() if value and key in link}
    if "snr_db" in given or "ebn0_db" in given:
        given = {"snr_db": [], "ebn0_db": []} | given
    ousted: Canonical = {rival: [] for key in given for rival in SCHEME_RIVALS.get(key, ())}
    if ("modulation" in given or "code_rate" in given) and not link["modulation"]:
        fields = Link.model_fields
        default = {key: list(map(str, fields[key].default)) for key in ("modulation", "code_rate")}
        given = default | given
    return link | ousted | given


def union(found: Iterable[Canonical], key: str) -> list[Any]:
    """All values of a key of some grids, each once, in order of appearance."""
    seen: list[Any] = []
    for grid in found:
        seen += [value for value in grid[key] if value not in seen]
    return seen
