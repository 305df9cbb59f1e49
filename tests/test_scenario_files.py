"""The scenarios that ship are to be copied: each says what it asks, and what its lines mean."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from testbed.errors import TestbedError
from testbed.images import load_subset
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import load_scenario

FOLDER = Path(__file__).parent.parent / "scenarios"
FILES = sorted(FOLDER.rglob("*.yaml"))
LONGEST_LINE = 100
LEAST_EXPLAINED = 0.9
DURATION = re.compile(r"\b(seconds|(half )?a minute|minutes|(half )?an hour)\b", re.IGNORECASE)

each_file = pytest.mark.parametrize(
    "path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix()
)


@dataclass(frozen=True)
class Line:
    """What YAML's own scanner finds in a line: a value, a comment. `shape`: its keys, in order."""

    has_value: bool
    has_comment: bool
    shape: tuple[int, tuple[str, ...]]

    @property
    def is_comment(self) -> bool:
        return self.has_comment and not self.has_value and not self.shape[1]


def read_lines(text: str) -> list[Line]:
    values: set[int] = set()
    ends: dict[int, int] = {}
    keys: dict[int, list[str]] = {}
    key_comes = False
    for token in yaml.scan(io.StringIO(text), Loader=yaml.SafeLoader):
        if isinstance(token, yaml.ScalarToken | yaml.FlowMappingStartToken):
            number = token.start_mark.line
            if key_comes and isinstance(token, yaml.ScalarToken):
                keys.setdefault(number, []).append(token.value)
            else:
                values.update(range(number, token.end_mark.line + 1))
            key_comes = False
        key_comes = key_comes or isinstance(token, yaml.KeyToken)
        if token.end_mark.column:
            ends[token.end_mark.line] = token.end_mark.column
    return [
        Line(
            number in values,
            "#" in line[ends.get(number, 0) :],
            (len(line) - len(line.lstrip()), tuple(keys.get(number, ()))),
        )
        for number, line in enumerate(text.splitlines())
    ]


def unexplained(text: str) -> Iterator[int]:
    """Numbers of lines with a value of which no comment says anything: none on the line, none
    directly above it or above a run of lines of the same keys that it belongs to."""
    explained_run: tuple[int, tuple[str, ...]] | None = None
    is_below_comment = False
    for number, line in enumerate(read_lines(text), 1):
        if line.is_comment:
            is_below_comment, explained_run = True, None
            continue
        if is_below_comment:
            explained_run = line.shape
        elif line.shape != explained_run:
            explained_run = None
        is_below_comment = False
        if line.has_value and not line.has_comment and explained_run is None:
            yield number


def opening(text: str) -> list[str]:
    lines = text.splitlines()
    first_other = next(n for n, line in enumerate(lines) if not line.startswith("#"))
    return [line.removeprefix("#").strip() for line in lines[:first_other]]


def test_what_counts_as_explained() -> None:
    text = """\
# Opening.
a: 1          # beside
# above
b: {c: 2, d: "#"}
e:
  - {f: 1}
  # of all that follow
  - {f: 2}
  - {f: 3}
  - {f: 3, g: 4}
h: "not # a comment"
"""
    assert list(unexplained(text)) == [6, 10, 11]


@each_file
def test_it_says_what_it_asks(path: Path) -> None:
    said = opening(path.read_text())
    assert 2 <= len(said) <= 7
    first = re.match(r"[^\s].*?[.:?](?=\s|$)", " ".join(said))
    assert first and first[0][0] in f"`{said[0][0]}"
    assert all(said), "an empty line in the opening comment"
    assert DURATION.search(" ".join(said)), "how long does it take?"


@each_file
def test_its_lines_are_explained(path: Path) -> None:
    text = path.read_text()
    values = sum(line.has_value for line in read_lines(text))
    missing = list(unexplained(text))
    assert len(missing) <= (1 - LEAST_EXPLAINED) * values, f"lines {missing}"


@each_file
def test_it_is_tidy(path: Path) -> None:
    text = path.read_text()
    assert "\t" not in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    for number, line in enumerate(text.splitlines(), 1):
        assert len(line) <= LONGEST_LINE, f"line {number}"
        assert line == line.rstrip(), f"line {number}"


def needs(scenario: Scenario) -> str:
    """The name of the published data set that it needs, by the name that people know."""
    names = {"cifar10_test": "CIFAR-10", "cifar10_train": "CIFAR-10", "kodak": "Kodak"}
    return next((names[each.source] for each in scenario.images if each.source in names), "")


@each_file
def test_it_loads_and_says_what_it_needs(path: Path) -> None:
    scenario = load_scenario(path)
    said = " ".join(opening(path.read_text()))
    assert ("Needs" in said) == bool(needs(scenario))
    assert needs(scenario) in said
    for source in scenario.images:
        try:
            assert load_subset(source.source, scenario.folder, source.subset)
        except TestbedError:
            if not needs(scenario):
                raise
            pytest.skip(f"{needs(scenario)} is not here")


def test_names_are_unique() -> None:
    names = [path.stem for path in FILES]
    assert len(set(names)) == len(names)
