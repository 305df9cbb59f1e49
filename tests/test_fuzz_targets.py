"""Each target of `testbed fuzz`, with a few hundred cases: readers and decoders fail at nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from codec.conventional import FORMATS
from testbed.fuzz.catalogue import TARGETS
from testbed.fuzz.harness import run_cases

CASES = {
    "paper": 150,
    "embedded": 100,
    "broken": 150,
    "scenarios": 60,
    "losses": 50,
    "packets": 100,
    "weights": 12,
    "networks": 40,
    "curves": 100,
}
"""Of the slower ones."""
LIBRARIES = {"heif": "pillow_heif", "jpegxl": "imagecodecs"}


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_fails(name: str, tmp_path: Path) -> None:
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    target = TARGETS[name]
    cases = target.prepare(tmp_path)
    numbers = range(CASES.get(name, 300))
    for start in range(0, len(numbers), target.at_once):
        run_cases(target, cases, 0, numbers[start : start + target.at_once])


def test_every_conventional_format_is_a_target() -> None:
    assert set(FORMATS) <= set(TARGETS)
