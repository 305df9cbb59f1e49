"""The README's example runs, its scenario is valid, its links lead somewhere."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from testbed.language.scenario_loading import load_scenario

README = Path(__file__).parent.parent / "README.md"
LINKS = README.parent / "docs" / "links.md"


def test_the_python_example_runs() -> None:
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted >= 8
    assert result.failed == 0


def test_the_scenarios_are_valid(tmp_path: Path) -> None:
    whole, link = (
        re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)[0] for page in (README, LINKS)
    )
    file = tmp_path / "my.yaml"
    file.write_text(whole)
    assert len(load_scenario(file).link.snr_db) == 4
    file.write_text("images: samples32\ncodecs: {type: semantic}\n" + link)
    assert load_scenario(file).link.points == 2 * 2 * 2 * 4


def test_nothing_is_left_to_be_filled_in() -> None:
    assert not re.search(r"@[A-Z]+@|TODO|TBD", README.read_text())


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README.read_text())
    assert len(targets) >= 8
    for target in targets:
        if "://" not in target:
            assert (README.parent / target).exists(), target
