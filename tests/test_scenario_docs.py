"""The scenarios of docs/scenario.md are what they say they are."""

import re
from pathlib import Path

import pytest
import yaml

from testbed.language.scenario_loading import load_scenario

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "scenario.md").read_text()
BLOCKS = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if ":\n" in block]
SMALLEST = """\
images: samples32
codecs: [{type: semantic, name: layered}, {type: jpeg}]
"""


def test_the_smallest_scenario(tmp_path: Path) -> None:
    (smallest,) = (block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[:1])
    path = tmp_path / "f.yaml"
    path.write_text(smallest)
    assert load_scenario(path).link.snr_db == (10.0,)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_examples_load(tmp_path: Path, block: str) -> None:
    said = yaml.safe_load(block)
    text = block.replace("../scenarios", str(ROOT / "scenarios"))
    if "extends" not in said:
        text = SMALLEST + ("" if "link" in said else "link: {snr_db: 3}\n") + text
    path = tmp_path / "f.yaml"
    path.write_text(text)
    assert len(load_scenario(path).variants) == (3 * 2 * 2 * 2 if "vary" in said else 1)
