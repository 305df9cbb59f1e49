"""Scenarios that extend others: what is inherited, where errors point, and where paths start."""

import os
import random
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.errors import ScenarioError
from testbed.language.extends import MAX_DEPTH, read_extended
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import check_document, load_scenario
from testbed.language.yaml_source import MAX_NODES

SCENARIOS = Path(__file__).parent.parent / "scenarios"

BASE = """\
name: base
description: what all have
images: {source: samples32, limit: 4}
codecs:
  - {type: semantic, name: layered}
  - {type: jpeg, headers: file}
link:
  snr_db: [0, 5]
  code_rate: 2/3
  packet_loss: {type: gilbert_elliott, mean_loss: 0.1}
figures: {strip: {image: 1}}
"""


def files(folder: Path, **contents: str) -> Path:
    """Writes NAME.yaml for each; the path of the last."""
    path = folder
    for name, content in contents.items():
        path = folder / f"{name}.yaml"
        path.write_text(content)
    return path


def extended(folder: Path, content: str, overrides: list[str] | None = None) -> Scenario:
    path = files(folder, base=BASE, own=f"extends: base.yaml\n{content}")
    return load_scenario(path, overrides or [])


def problem_of(path: Path, overrides: list[str] | None = None) -> str:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path, overrides or [])
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value).replace(f"{path.parent}/", "")


# --- What is inherited ----------------------------------------------------------------------


def test_mappings_merge_and_lists_replace(tmp_path: Path) -> None:
    scenario = extended(tmp_path, "images: {limit: 2}\nlink: {snr_db: [7], cbr: 1/6}\n")
    assert (scenario.images[0].source, scenario.images[0].limit) == ("samples32", 2)
    assert scenario.link.snr_db == (7.0,)
    assert str(scenario.link.code_rate[0]) == "2/3"
    assert scenario.description == "what all have"


def test_the_name_is_the_files_own(tmp_path: Path) -> None:
    assert extended(tmp_path, "").name == "own"
    assert extended(tmp_path, "name: mine\n").name == "mine"


def test_null_takes_a_key_away(tmp_path: Path) -> None:
    scenario = extended(tmp_path, "figures: null\nlink: {code_rate: null}\nsweeps: null\n")
    assert scenario.figures.strip is None
    assert str(scenario.link.code_rate[0]) == "1/2"


def test_another_type_replaces_the_whole_mapping(tmp_path: Path) -> None:
    loss = "link: {packet_loss: {type: iid, probability: 0.2}}\n"
    assert extended(tmp_path, loss).link.packet_loss[0].label == "iid(probability=0.2)"
    burst = "link: {packet_loss: {mean_burst: 9}}\n"
    assert extended(tmp_path, burst).link.packet_loss[0].label == (
        "gilbert_elliott(mean_loss=0.1, mean_burst=9)"
    )


def test_a_mapping_over_a_list_changes_the_items_that_it_names(tmp_path: Path) -> None:
    scenario = extended(tmp_path, "codecs: {jpeg: {headers: abbreviated}, layered: {layers: 3}}\n")
    assert [codec.name for codec in scenario.codecs] == ["layered", "jpeg"]
    assert scenario.codecs[0].model_dump()["layers"] == 3
    assert scenario.codecs[1].model_dump()["headers"] == "abbreviated"
    alone = extended(tmp_path, "codecs: {type: png}\n")
    assert [codec.name for codec in alone.codecs] == ["png"]


@pytest.mark.parametrize(
    ("own", "key", "gone"),
    [
        ("link: {ebn0_db: 3}", "ebn0_db", ["snr_db"]),
        ("link: {mcs: 5}", "mcs", ["code_rate", "modulation"]),
        ("link: {coding: ideal, spectral_efficiency: 2}", "spectral_efficiency", ["code_rate"]),
    ],
)
def test_a_rival_ousts_what_is_inherited(
    tmp_path: Path, own: str, key: str, gone: list[str]
) -> None:
    link = extended(tmp_path, own).link
    assert key in link.given
    assert not set(gone) & set(link.given)


def test_rivals_of_one_file_are_refused(tmp_path: Path) -> None:
    path = files(tmp_path, base=BASE, own="extends: base.yaml\nlink: {snr_db: 1, ebn0_db: 2}\n")
    assert problem_of(path).startswith("own.yaml:2:19: link.ebn0_db: expected snr_db or ebn0_db")


def test_a_null_rival_ousts_nothing(tmp_path: Path) -> None:
    assert extended(tmp_path, "link: {ebn0_db: null}").link.snr_db == (0.0, 5.0)


def test_sets_go_over_all_files(tmp_path: Path) -> None:
    scenario = extended(tmp_path, "seed: 5\n", ["seed=6", "link.ebn0_db=1", "codecs.jpeg.name=j"])
    assert (scenario.seed, scenario.link.snr_db, scenario.codecs[1].name) == (6, (), "j")


def test_chains(tmp_path: Path) -> None:
    contents = {f"n{index}": f"extends: n{index - 1}.yaml\n" for index in range(1, MAX_DEPTH + 2)}
    path = files(tmp_path, n0=BASE, **contents)
    allowed = load_scenario(tmp_path / f"n{MAX_DEPTH}.yaml")
    assert allowed.description == "what all have"
    assert "at most 10 files in a row, found more" in problem_of(path)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(sorted(SCENARIOS.glob("**/*.yaml"))),
    st.integers(0, 2**32),
    st.integers(1, 3),
)
def test_a_scenario_split_over_files_is_the_same(
    tmp_path: Path, scenario: Path, seed: int, bases: int
) -> None:
    whole = load_scenario(scenario)
    left = read_extended(scenario).data | {"name": whole.name}
    choose = random.Random(seed)
    contents: dict[str, str] = {}
    for number in range(bases):
        given_up = _split(left, choose)
        above = {"extends": f"f{number - 1}.yaml"} if number else {}
        contents[f"f{number}"] = _text(given_up | above or {"seed": whole.seed})
    own = files(tmp_path, **contents, own=_text(left | {"extends": f"f{bases - 1}.yaml"}))
    # Files that it names are beside the scenario.
    found = check_document(read_extended(own), scenario.parent)
    assert found.canonical() == whole.canonical()


def _text(data: dict[str, Any]) -> str:
    # Text that YAML 1.1 would read otherwise, such as 4:2:0, is quoted by the dumper.
    return yaml.safe_dump(data, sort_keys=False)


def _split(left: dict[str, Any], choose: random.Random) -> dict[str, Any]:
    """Takes a random part out of `left`, and gives some of it other values there instead."""
    taken: dict[str, Any] = {}
    for key in list(left):
        how = choose.choice(["keep", "take", "change", "deeper"])
        if key in ("name", "type", "policy"):
            continue
        if how == "take":
            taken[key] = left.pop(key)
        elif how == "change":
            taken[key] = deepcopy(left[key]) if isinstance(left[key], dict) else [1]
        elif how == "deeper" and isinstance(left[key], dict) and "type" not in left[key]:
            part = _split(left[key], choose)
            if part:
                taken[key] = part
    return taken


# --- Errors ---------------------------------------------------------------------------------


def test_errors_name_the_file_in_which_they_are(tmp_path: Path) -> None:
    wrong = BASE.replace("limit: 4", "limt: 4")
    path = files(tmp_path, base=wrong, own="seed: 0.5\nextends: base.yaml\n")
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert [str(each).removeprefix(f"{tmp_path}/") for each in caught.value.problems] == [
        "own.yaml:1:1: seed: expected a whole number from 0 to 9223372036854775807, found 0.5",
        "base.yaml:3:29: images.limt: unknown key: did you mean 'limit'?",
    ]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            "extends: bsae.yaml",
            "own.yaml:1:1: extends: bsae.yaml: there is no such file: did you m",
        ),
        ("extends: .", ": expected a YAML file, found a folder"),
        (
            "seed: 1\nextends: [base.yaml]",
            "own.yaml:2:1: extends: expected the path of a YAML file",
        ),
        ("extends: 3", "expected the path of a YAML file, found 3"),
        ("extends: ''", "expected the path of a YAML file, found the text ''"),
        ("extends: null", "expected the path of a YAML file, found nothing"),
        ('extends: "a\\x00b"', "own.yaml:1:1: extends: expected the path of a YAML file"),
        ("extends: own.yaml", "extends: a file extends itself: own.yaml -> own.yaml"),
        ("extends: back.yaml", "back.yaml:1:1: extends: a file extends itself: own.yaml -> back."),
        ("extends: broken.yaml", "broken.yaml:2:5: not valid YAML"),
        ("extends: many.yaml", f": expected at most {MAX_NODES} values"),
    ],
)
def test_what_cannot_be_extended(tmp_path: Path, own: str, message: str) -> None:
    path = files(
        tmp_path,
        base=BASE,
        back="extends: own.yaml\n",
        broken="seed: [1\nname: a\n",
        many="a: [" + "1," * MAX_NODES + "]\n",
        own=own + "\n",
    )
    assert message in problem_of(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "own.yaml").write_text("extends: pipe\n")
    with pytest.raises(ScenarioError, match=r"own.yaml:1:1: extends: .*pipe is no file"):
        load_scenario(tmp_path / "own.yaml")


def test_extends_cannot_be_set(tmp_path: Path) -> None:
    path = files(tmp_path, base=BASE)
    assert problem_of(path, ["extends=x.yaml"]).startswith("--set extends=x.yaml: extends: expect")


# --- Paths ----------------------------------------------------------------------------------


def test_paths_start_from_the_file_that_says_them(tmp_path: Path) -> None:
    shared = tmp_path / "shared" / "deep"
    shared.mkdir(parents=True)
    (shared / "losses.txt").write_text("0\n1\n0\n0\n")
    files(
        shared,
        base=BASE.replace("{source: samples32, limit: 4}", "[photos, {source: '/abs/*.png'}]")
        + "sweeps:\n  - packet_loss: {type: trace, file: losses.txt}\n",
    )
    files(tmp_path / "shared", middle="extends: deep/base.yaml\n")
    path = files(tmp_path, own="extends: shared/middle.yaml\n")
    scenario = load_scenario(path)
    assert scenario.folder == tmp_path
    assert [each.source for each in scenario.images] == ["shared/deep/photos", "/abs/*.png"]
    assert scenario.sweeps is not None
    # The trace is read from there: had it not been found, the scenario would be refused.
    (loss,) = scenario.sweeps[0].packet_loss
    assert dict(loss.parameters)["file"] == "shared/deep/losses.txt"
    again = load_scenario(path, ["images=photos", "sweeps=null"])
    assert again.images[0].source == "photos"


def test_a_packaged_set_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    files(tmp_path / "shared", base=BASE)
    scenario = load_scenario(files(tmp_path, own="extends: shared/base.yaml\n"))
    assert scenario.images[0].source == "samples32"
