"""The scenario's `vary`: any of its parameters in grids, in step, or in named cases.

    vary:
      cases:                                         what belongs together, by name
        short: {packets.max_bytes: 64}
        long: {packets.max_bytes: 512, link: {code_rate: 2/3}}
      zip: {link.snr_db: [0, 5], link.cbr: [1/6, 1/3]}      lists of one length, in step
      grid: {codecs.layered.layers: [1, 4, 9]}              every value with every other

Cases, zip and grid multiply, and each combination is a scenario of its own: a variant. A case is
laid over the scenario like a file that extends it (overlay.py), what zip and grid give replaces.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from testbed.language.link_parts import value_text
from testbed.language.overlay import Overlay
from testbed.language.scenario import Scenario
from testbed.language.scenario_values import did_you_mean
from testbed.language.yaml_source import (
    Document,
    KeyPath,
    Place,
    dotted,
    dotted_parts,
    found_text,
    item_index,
)

MAX_VARIANTS = 1000
MAX_LABEL_CHARACTERS = 200
ALIKE = (
    "vary",
    "extends",
    "plugins",
    "name",
    "description",
    "metrics",
    "comparison",
    "figures",
    "stop",
)
"""What all variants of a run have in common: one table, with one set of columns and figures."""
_FORMS = ("cases", "zip", "grid")

Owner = TypeVar("Owner")


@dataclass(frozen=True, slots=True)
class Variant:
    """One of the scenarios that a scenario stands for. `case` says what it varies, if anything."""

    case: str
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class Setting:
    """A dotted key that is varied, where its value stands in `vary`, and whether it is merged."""

    key: str
    source: KeyPath
    merges: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A case, a step of a zip or a value of a grid. Those of one `dimension` exclude each other."""

    dimension: str
    label: str
    source: KeyPath
    """Where it stands in the document."""
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True)
class Combination:
    """One choice of each dimension, and the document that they make of the scenario's."""

    choices: tuple[Choice, ...]
    document: Document

    @property
    def case(self) -> str:
        return ", ".join(choice.label for choice in self.choices)


def combinations(document: Document) -> list[Combination]:
    """All variants of a document, in order: cases, then zip, then grid, the last key fastest.

    A document without `vary` has one, itself. Raises ScenarioError for what is wrong with `vary`.
    """
    if document.data.get("vary") is None:
        plain = document.copied()
        plain.data.pop("vary", None)
        return [Combination((), plain)]
    dimensions = _dimensions(document)
    count = math.prod(map(len, dimensions))
    place = document.places["vary",]
    if count > MAX_VARIANTS:
        sizes = " x ".join(str(len(each)) for each in dimensions)
        raise place.error(f"vary: expected at most {MAX_VARIANTS} variants, found {sizes}: {count}")
    _each_key_once(document, dimensions)
    plain = document.copied()
    plain.remove(("vary",))
    found = [
        Combination(choices, _varied(document, plain, choices))
        for choices in itertools.product(*dimensions)
    ]
    seen: set[str] = set()
    for each in found:
        if each.case in seen:
            raise place.error(
                f"vary: two variants are called {each.case!r}: take a value out that is there "
                "twice, or use cases, which have names"
            )
        seen.add(each.case)
        if len(each.case) > MAX_LABEL_CHARACTERS:
            raise place.error(
                f"vary: the variant {each.case[:60]!r}... has a name of {len(each.case)} "
                f"characters, expected at most {MAX_LABEL_CHARACTERS}: use cases, which have names"
            )
    return found


def _varied(document: Document, plain: Document, choices: Sequence[Choice]) -> Document:
    varied = plain.copied()
    overlay = Overlay(varied)
    for choice in choices:
        for setting in choice.settings:
            path = varied.path_of(setting.key, document.places[setting.source])
            lay = overlay.lay if setting.merges else overlay.replace
            lay(document, setting.source, path)
    return varied


def _dimensions(document: Document) -> list[list[Choice]]:
    vary = _mapping(document, ("vary",), "with grid, zip or cases")
    for key in vary:
        if key not in _FORMS:
            mend = did_you_mean(key, _FORMS)
            if dotted_parts(key)[0] in Scenario.model_fields:
                mend = f": write vary: {{grid: {{{key}: [..]}}}}"
            raise document.places["vary", key].error(f"{dotted(('vary', key))}: unknown key{mend}")
    dimensions: list[list[Choice]] = []
    if vary.get("cases") is not None:
        dimensions.append(list(_cases(document)))
    if vary.get("zip") is not None:
        dimensions.append(list(_zip(document)))
    if vary.get("grid") is not None:
        grid = _lists(document, ("vary", "grid"))
        dimensions += [[_choice(document, key, (each,)) for each in s] for key, s in grid.items()]
    return dimensions


def _cases(document: Document) -> Iterator[Choice]:
    at = ("vary", "cases")
    for name, body in _mapping(document, at, "of names").items():
        path = (*at, name)
        place = document.places[path]
        if not re.fullmatch(r"[a-z0-9_-]{1,100}", name, re.ASCII):
            raise place.error(
                f"vary.cases: expected a name of a-z, 0-9, '_' and '-' (at most 100), found "
                f"{found_text(name)}"
            )
        keys = {} if body is None else _mapping(document, path, "of what the case sets", least=0)
        for key in keys:
            _may_vary(key, document.places[*path, key])
        settings = tuple(Setting(key, (*path, key), merges=True) for key in keys)
        yield Choice("cases", name, path, settings)


def _zip(document: Document) -> Iterator[Choice]:
    lists = _lists(document, ("vary", "zip"))
    lengths = {key: len(items) for key, items in lists.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise document.places["vary", "zip"].error(
            f"vary.zip: expected lists of one length: {found}"
        )
    for step in zip(*lists.values(), strict=True):
        yield _choice(document, "zip", step)


def _choice(document: Document, dimension: str, settings: tuple[Setting, ...]) -> Choice:
    label = ", ".join(f"{each.key}={_words(document.at(each.source))}" for each in settings)
    return Choice(dimension, label, settings[0].source, settings)


def _lists(document: Document, at: KeyPath) -> dict[str, list[Setting]]:
    """By dotted key the values of a grid or a zip, whose keys may also be nested mappings."""
    lists: dict[str, list[Setting]] = {}

    def gather(path: KeyPath, prefix: str) -> None:
        for name, value in _mapping(document, path, "of keys and lists of values").items():
            key, here = f"{prefix}{name}", (*path, name)
            place = document.places[here]
            _may_vary(key, place)
            if isinstance(value, dict):
                gather(here, f"{key}.")
            elif not isinstance(value, list) or not value:
                mend = "" if isinstance(value, list) else f": write [{_words(value)}]"
                raise place.error(
                    f"{dotted(here)}: expected a list of values, found {found_text(value)}{mend}"
                )
            elif key in lists:
                raise place.error(f"{dotted(here)}: expected each key once, found {key} twice")
            else:
                lists[key] = [Setting(key, (*here, index)) for index in range(len(value))]

    gather(at, "")
    return lists


def _mapping(document: Document, path: KeyPath, words: str, least: int = 1) -> dict[str, Any]:
    value = document.at(path)
    if isinstance(value, dict) and len(value) >= least:
        return value
    found = "an empty one" if value == {} else found_text(value)
    raise document.places[path].error(f"{dotted(path)}: expected a mapping {words}, found {found}")


def _may_vary(key: str, place: Place) -> None:
    parts = dotted_parts(key)
    if "" in parts:
        raise place.error(f"vary: expected a key such as link.snr_db, found {found_text(key)}")
    if parts[0] in ALIKE:
        raise place.error(f"vary: {parts[0]} is the same for all variants and cannot be varied")


def _each_key_once(document: Document, dimensions: Sequence[Sequence[Choice]]) -> None:
    """Refuses a key that is set twice in some variant, also as a part of another."""
    seen: _Claims[str] = _Claims()
    for choice in itertools.chain.from_iterable(dimensions):
        own: _Claims[KeyPath] = _Claims()
        claimed = []
        for setting in choice.settings:
            start = _known_path(document, setting.key)
            value = document.at(setting.source) if setting.merges else None
            for path in [(*start, *within) for within in _leaves(value)]:
                found = seen.other(path, choice.dimension) or own.other(path, setting.source)
                if found:
                    other, source = found
                    raise document.places[setting.source].error(
                        f"vary: {dotted(max(path, other, key=len))} is set twice, by "
                        f"{dotted(source)} and by {dotted(setting.source)}: keep one"
                    )
                own.add(path, setting.source, setting.source)
                claimed.append((path, setting.source))
        for path, source in claimed:
            seen.add(path, choice.dimension, source)


class _Claims(Generic[Owner]):
    """Which paths are set, by whom, and where that stands. What two set, also as a part of another,
    is found without looking at all.
    """

    def __init__(self) -> None:
        self._whole: dict[KeyPath, tuple[Owner, KeyPath]] = {}
        self._by_start: dict[KeyPath, dict[Owner, tuple[KeyPath, KeyPath]]] = {}

    def add(self, path: KeyPath, owner: Owner, source: KeyPath) -> None:
        self._whole[path] = (owner, source)
        for depth in range(1, len(path) + 1):
            self._by_start.setdefault(path[:depth], {}).setdefault(owner, (path, source))

    def other(self, path: KeyPath, owner: Owner) -> tuple[KeyPath, KeyPath] | None:
        """Of another owner: a path that is part of `path`, or of which this is one, and where it
        stands.
        """
        for depth in range(1, len(path)):
            by, source = self._whole.get(path[:depth], (owner, ()))
            if by != owner:
                return path[:depth], source
        within = self._by_start.get(path, {})
        return next((found for by, found in within.items() if by != owner), None)


def _known_path(document: Document, key: str) -> KeyPath:
    """The path of a dotted key, names of items resolved as far as the scenario has them."""
    path: KeyPath = ()
    value: Any = document.data
    for part in dotted_parts(key):
        index = item_index(value, part) if isinstance(value, list) else None
        step = part if index is None else index
        path = (*path, step)
        known = index is not None or (isinstance(value, dict) and part in value)
        value = value[step] if known else None
    return path


def _leaves(value: Any) -> Iterator[KeyPath]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from ((key, *rest) for rest in _leaves(child))
    else:
        yield ()


def _words(value: Any) -> str:
    """The value for a label, on one line: [0 5], rician(k_db=6), null."""
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{' '.join(map(_words, value))}]"
    if isinstance(value, dict):
        kind = next((key for key in ("type", "policy") if key in value), None)
        name = "" if kind is None else _words(value[kind])
        keys = [f"{key}={_words(child)}" for key, child in value.items() if key != kind]
        return f"{name}({', '.join(keys)})" if keys or kind is None else name
    if isinstance(value, str):
        words = " ".join(value.split())
        return words if words.isprintable() else ascii(words)
    text: str = value_text(value)
    return text
