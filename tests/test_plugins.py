"""Plug-ins: what they register can be named, counts in ids, and works; nothing else runs."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from channels.randomness import ChannelRandomness
from codec.analog import ReceivedSymbols
from testbed.commands.check_command import print_choices
from testbed.errors import ScenarioError
from testbed.evaluation.trials_table import read_table
from testbed.images import SourceImage, load_images
from testbed.language.link_parts import make_part, names_of, part_class
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import load_scenario
from testbed.language.schema import scenario_schema
from testbed.plugins.figures import draw_plugin_figures
from testbed.plugins.loading import (
    PluginError,
    check_unchanged,
    load_plugins,
    named_plugins,
)
from testbed.registry import CodecSetupError, make_analog_codec, make_codec
from testbed.running.executors import PoolExecutor, SerialExecutor
from testbed.running.journal import Journal
from testbed.running.plan import plan
from testbed.running.runner import run_trials, write_table
from testbed.running.worker import WorkerSetup
from testbed.sending.choosing import PolicyError

EXAMPLES = Path(__file__).parent.parent / "docs" / "plugins"
HEAD = "from dataclasses import dataclass\nfrom testbed.plugin_api import *\n"
LOSS = HEAD + (
    "import numpy as np\n"
    "@register_packet_loss('every')\n"
    "@dataclass(frozen=True)\n"
    "class Every(PacketLoss):\n"
    "    number: int = 2\n"
    "    def __post_init__(self):\n"
    "        if self.number < 2:\n"
    "            raise ValueError('number: expected 2 or more')\n"
    "    def losses(self, first_packet, count, randomness):\n"
    "        return (first_packet + np.arange(count)) % self.number == 0\n"
)
SCENARIO = """
images: {source: samples32, limit: 2}
codecs: {type: jpeg}
link:
  snr_db: 12
"""


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    yield
    load_plugins(())


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Scenario]:
    """Writes plug-ins by name and a scenario that names them, and loads it."""

    def load_(scenario: str, **plugins: str) -> Scenario:
        for name, text in plugins.items():
            (tmp_path / f"{name}.py").write_text(text)
        named = f"plugins: [{', '.join(f'{name}.py' for name in plugins)}]\n" if plugins else ""
        (tmp_path / "my.yaml").write_text(scenario + named)
        return load_scenario(tmp_path / "my.yaml")

    return load_


def table_of(scenario: Scenario, folder: Path, workers: int = 1) -> pd.DataFrame:
    setup = WorkerSetup(scenario.plugins)
    planned = plan(scenario)
    with Journal(folder) as journal:
        executor = SerialExecutor(setup) if workers == 1 else PoolExecutor(setup, workers)
        outcome = run_trials(planned, journal, executor, images_at_once=1)
        assert outcome.failed == 0
        write_table(folder / "trials.csv", outcome.selection, journal.rows)
    return read_table(folder / "trials.csv")


def ids_of(scenario: Scenario) -> list[str]:
    return [trial.trial_id for trial in plan(scenario).trials]


def problem_of(load: Callable[..., Scenario], scenario: str = SCENARIO, **plugins: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(scenario, **plugins)
    text = str(caught.value)
    assert "\n" not in text and "Traceback" not in text
    return text


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_examples_run(file: Path, tmp_path: Path) -> None:
    scenario = load_scenario(file)
    (plugin,) = scenario.plugins
    assert Path(plugin.place) == EXAMPLES / f"{file.stem}.py"
    table = table_of(scenario, tmp_path)
    assert len(table) == len(plan(scenario).trials)
    assert not table["failed"].all()
    drawn = draw_plugin_figures(scenario.figures.more or (), table, tmp_path)
    assert len(drawn) == 2 * len(scenario.figures.more or ())
    assert all(path.stat().st_size > 1000 for path in drawn)


def test_every_kind_has_an_example() -> None:
    named_plugins([path.name for path in EXAMPLES.glob("*.py")], EXAMPLES)
    named = {
        "codec": "dct_zlib", "analog codec": "linear_dct", "channel": "impulses",
        "packet loss": "radar", "protection policy": "repeat_base",
        "metric": "gradient_similarity", "figure": "psnr_histogram",
    }  # fmt: skip
    for kind, name in named.items():
        assert name in names_of(kind)


def example(stem: str) -> Scenario:
    return load_scenario(EXAMPLES / f"{stem}.yaml")


def test_radar_comes_round() -> None:
    part = example("radar_loss").link.packet_loss[1]
    lost = make_part("packet loss", part).losses(0, 400, ChannelRandomness(5))
    assert lost.sum() == 40
    assert np.array_equal(lost[:-20], lost[20:])
    assert (np.diff(np.flatnonzero(np.diff(lost.astype(int)) == 1)) == 20).all()
    starts = {
        tuple(make_part("packet loss", part).losses(0, 20, ChannelRandomness(key)))
        for key in range(100)
    }
    assert len(starts) == 20


def test_impulses_have_the_power_that_is_said() -> None:
    part = example("impulses_channel").link.channel[2]
    channel = make_part("channel", part)
    sent = np.ones(200_000, np.complex128)
    heard, noise = channel.transmit(sent, 0.1, ChannelRandomness(1), 0)
    error = np.abs(heard - sent) ** 2
    assert np.mean(error) == pytest.approx(0.1, rel=0.03)
    assert (noise == 0.1).all()
    # Of a mixture of exponentials: E[e^2] = 2 E[power^2].
    beneath = 0.1 / 3
    fourth = 2 * beneath**2 * (0.98 + 0.02 * 101**2)
    assert np.mean(error**2) == pytest.approx(fourth, rel=0.1)


def test_gradient_similarity_against_its_formula() -> None:
    (metric,) = plan(example("gradient_metric")).metrics
    (source,) = load_images("samples32", Path(), 1)
    assert metric.measure(source, source.pixels) == 1.0
    # A ramp of slope s, halved in size: Prewitt's gradient is 2 s over the 3 rows, by 3.
    x = np.arange(64)
    ramps = [np.repeat(np.tile(s * x, (64, 1))[:, :, None], 3, 2).astype(np.uint8) for s in (1, 3)]
    a, b = 4.0, 12.0
    expected = (2 * a * b + 170) / (a**2 + b**2 + 170)
    inner = metric.measure(SourceImage("ramp", ramps[0], ""), ramps[1])
    # At both ends the ramp is continued by its last value: half the gradient in 2 of 32 columns.
    a, b = 2.0, 6.0
    edge = (2 * a * b + 170) / (a**2 + b**2 + 170)
    assert inner == pytest.approx((30 * expected + 2 * edge) / 32)


def test_the_linear_codec_is_exact_without_noise() -> None:
    codec = make_analog_codec(example("linear_codec").codecs[0])
    (source,) = load_images("samples32", Path(), 1)
    (symbols,) = codec.encode_symbols([source.pixels], 4000, 10.0)
    noise = np.full(len(symbols), 1e-12)
    (picture,) = codec.decode_symbols([ReceivedSymbols(symbols, noise, 32, 32)])
    assert np.array_equal(picture, source.pixels)
    lost = np.full(len(symbols), np.inf)
    (grey,) = codec.decode_symbols([ReceivedSymbols(np.zeros_like(symbols), lost, 32, 32)])
    assert (grey == 128).all()


def test_two_workers_give_the_same_bytes(tmp_path: Path) -> None:
    scenario = example("gradient_metric")
    one = table_of(scenario, tmp_path / "one")
    table_of(scenario, tmp_path / "two", workers=2)
    names = [tmp_path / each / "trials.csv" for each in ("one", "two")]
    assert names[0].read_bytes() == names[1].read_bytes()
    assert one["gradient_similarity"].between(0, 1).all()


def test_only_trials_that_use_a_plugin_have_it_in_their_ids(load) -> None:
    plain = SCENARIO + "  packet_loss: [0, 0.1]\n"
    using = SCENARIO + "  packet_loss: [0, 0.1, every, {type: every, number: 3}]\n"
    without = ids_of(load(plain))
    assert ids_of(load(plain, mine=LOSS)) == without
    mixed = ids_of(load(using, mine=LOSS))
    assert set(mixed) & set(without) == set(without)
    assert len(mixed) == 2 * len(without)
    changed = ids_of(load(using, mine=LOSS + "# another\n"))
    assert set(changed) & set(mixed) == set(without)
    assert ids_of(load(using, mine=LOSS)) == mixed


def test_ids_hold_the_codec_the_policy_and_the_metric(load) -> None:
    plugins = {
        stem: (EXAMPLES / f"{stem}.py").read_text()
        for stem in ("dct_codec", "repeat_base_policy", "gradient_metric", "histogram_figure")
    }
    base = SCENARIO.replace("{type: jpeg}", "[{type: jpeg}, {type: dct_zlib}]") + (
        "  protection: [equal, repeat_base]\nfigures: {more: psnr_histogram}\n"
    )

    def split(**changed: str) -> tuple[dict[tuple[str, str], set[str]], Scenario]:
        scenario = load(base, **(plugins | changed))
        found: dict[tuple[str, str], set[str]] = {}
        for trial in plan(scenario).trials:
            found.setdefault((trial.codec_name, trial.link.protection), set()).add(trial.trial_id)
        return found, scenario

    before, scenario = split()
    assert scenario.plugins[0].name == "dct_codec.py"
    for stem, concerned in {
        "dct_codec": {("dct_zlib", "equal"), ("dct_zlib", "repeat_base")},
        "repeat_base_policy": {("jpeg", "repeat_base"), ("dct_zlib", "repeat_base")},
        "gradient_metric": set(),
        "histogram_figure": set(),
    }.items():
        after, other = split(**{stem: plugins[stem] + "\n# changed\n"})
        assert {key for key in before if before[key] != after[key]} == concerned
        assert other.scenario_hash != scenario.scenario_hash
    base += "metrics: gradient_similarity\n"
    measured, _ = split()
    again, _ = split(gradient_metric=plugins["gradient_metric"] + "\n# changed\n")
    assert not any(measured[key] & again[key] or measured[key] & before[key] for key in before)


def test_a_scenario_without_plugins_is_what_it_was(load) -> None:
    scenario = load(SCENARIO)
    assert scenario.plugins == ()
    assert "plugins" not in scenario.canonical()
    assert "more" not in scenario.canonical()["figures"]
    with_one = load(SCENARIO, mine=LOSS)
    (told,) = with_one.canonical()["plugins"]
    assert told == {"name": "mine.py", "sha256": with_one.plugins[0].sha256}
    assert with_one.scenario_hash != scenario.scenario_hash


def test_only_what_the_scenario_names_can_be_named(load) -> None:
    using = SCENARIO + "  packet_loss: every\n"
    load(using, mine=LOSS)
    assert "expected a probability or one of" in problem_of(load, using)
    assert "every" not in names_of("packet loss")
    load(using, mine=LOSS)
    assert "every" in names_of("packet loss")


def test_a_file_that_changed_is_another_plugin(load) -> None:
    using = SCENARIO + "  packet_loss: every\n"
    load(using, mine=LOSS)
    load(using, mine=LOSS.replace("number: int = 2", "number: int = 7"))
    assert part_class("packet loss", "every")().number == 7


def test_a_process_runs_a_plugin_once(load, tmp_path: Path) -> None:
    log = tmp_path / "log"
    text = f"with open({str(log)!r}, 'a') as file:\n    file.write('x')\n" + LOSS
    scenario = load(SCENARIO, mine=text)
    load_plugins(())
    load_plugins(scenario.plugins)
    load(SCENARIO, mine=text)
    assert log.read_text() == "x"


def test_a_file_that_changes_during_a_run_is_refused(load, tmp_path: Path) -> None:
    scenario = load(SCENARIO, mine=LOSS)
    check_unchanged(scenario.plugins)
    (tmp_path / "mine.py").write_text(LOSS + "\n# changed\n")
    with pytest.raises(PluginError, match=r"mine\.py: it has changed since the run began"):
        check_unchanged(scenario.plugins)
    code = (
        "import pickle, sys\nfrom testbed.plugins.loading import load_plugins, PluginError\n"
        "try:\n    load_plugins(pickle.loads(sys.stdin.buffer.read()))\n"
        "except PluginError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(scenario.plugins), capture_output=True,
        check=True,
    )  # fmt: skip
    assert b"mine.py: it has changed since the run began" in done.stdout


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(PluginError("my.py:3: no", 2)))
    assert (str(error), error.number) == ("my.py:3: no", 2)


CLASS = "@dataclass(frozen=True)\nclass C(Channel):\n"
TRANSMIT = "    def transmit(self, symbols, no, randomness, packet): return symbols, no\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", "mine.py:1: not valid Python: "),
        ("x = 1\n\ny = z\n", "mine.py:3: NameError: name 'z' is not defined"),
        ("import nonsense_there_is_not\n", "mine.py:1: ModuleNotFoundError: No module named"),
        ("def f():\n    raise ValueError('a\\nb')\nf()\n", "mine.py:2: ValueError: a b"),
        ("import sys\nsys.exit(3)\n", "mine.py:2: SystemExit: 3"),
        ("\0", "mine.py: "),
        ("x = 1\n", "mine.py: expected a plug-in that registers something, found none"),
        (HEAD + f"@register_channel('awgn')\n{CLASS}{TRANSMIT}", "mine.py:3: channel 'awgn': "),
        (HEAD + "@register_codec('jpeg')\nclass C: pass\n", "mine.py:3: codec 'jpeg': expected a"),
        (HEAD + "@register_policy('table')\nclass C: pass\n", "mine.py:3: protection pol"),
        (HEAD + f"@register_channel('A b')\n{CLASS}{TRANSMIT}", "expected a name of a-z, 0-9 and"),
        (HEAD + f"@register_channel('c')\nclass C(Channel):\n{TRANSMIT}",
         "mine.py:4: channel 'c': C: expected a frozen dataclass"),
        (HEAD + f"@register_channel('c')\n@dataclass\nclass C(Channel):\n{TRANSMIT}",
         "C: expected a frozen dataclass: put @dataclass(frozen=True) above it"),
        (HEAD + f"@register_channel('c')\n{CLASS}    a: int = 1\n",
         "mine.py:5: channel 'c': C: expected the method transmit, found none"),
        (HEAD + f"@register_packet_loss('c')\n{CLASS}{TRANSMIT}",
         "C: expected a subclass of PacketLoss, found none"),
        (HEAD + "@register_codec('c')\n@dataclass(frozen=True)\nclass C(ImageCodec): a: int = 1\n",
         "expected the method encode_batch, the method decode_batch, the attribute scalable"),
        (HEAD + "@register_analog_codec('c')\n@dataclass(frozen=True)\nclass C:\n    a: int = 1\n",
         "expected the method encode_symbols, the method decode_symbols, found none"),
        (HEAD + f"@register_channel('c')\n{CLASS}    a: dict = None\n{TRANSMIT}",
         "C.a: expected float, int, str, bool, Path, Literal, a tuple"),
        (HEAD + f"@register_channel('c')\n{CLASS}    a: int\n{TRANSMIT}",
         "C.a: expected a default, found none"),
        (HEAD + f"@register_channel('c')\n{CLASS}    type: str = ''\n{TRANSMIT}",
         "C.type: expected a field of another name"),
        (HEAD + f"@register_channel('c')\n{CLASS}    a: 'Nonsense' = 1\n{TRANSMIT}",
         "C: its annotations cannot be read: name 'Nonsense' is not defined"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_plugin(load, text: str, message: str) -> None:
    problem = problem_of(load, SCENARIO, mine=text)
    assert ":6:11: plugins[0]: /" in problem
    assert message in problem
    # Nothing of it stays, and mended it is loaded.
    load(SCENARIO + "  packet_loss: every\n", mine=LOSS)
    assert names_of("codec") == names_of("protection policy") == ()


def test_names_of_plugins_that_are_none(load, tmp_path: Path) -> None:
    assert "none.py: there is no such file" in problem_of(load, SCENARIO + "plugins: none.py\n")
    (tmp_path / "folder.py").mkdir()
    assert "cannot be read (Is a directory)" in problem_of(load, SCENARIO + "plugins: folder.py\n")
    problem = problem_of(load, SCENARIO + "plugins: nonsense\n")
    assert "nonsense: expected a file that ends with .py, or an installed plug-in's" in problem
    assert "found 3" in problem_of(load, SCENARIO + "plugins: [3]\n")
    assert "found an empty list" in problem_of(load, SCENARIO + "plugins: []\n")
    problem = problem_of(load, SCENARIO + "plugins: [mine.py, ./mine.py]\n")
    assert "there is no such file" in problem
    (tmp_path / "mine.py").write_text(LOSS)
    problem = problem_of(load, SCENARIO + "plugins: [mine.py, ./mine.py]\n")
    assert "plugins[1]: ./mine.py: named twice: keep one of the two" in problem
    problem = problem_of(load, mine=LOSS, yours=LOSS + "# \n")
    assert (
        "plugins[1]: " in problem and "yours.py:4: packet loss 'every': expected a new" in problem
    )


@pytest.mark.parametrize(
    ("stem", "keys", "message"),
    [
        ("dct_codec", "codecs:\n  - {type: dct_zlib, steps_octave: 3}",
         ":2:22: codecs[0].steps_octave: unknown key: did you mean 'steps_per_octave'?"),
        ("dct_codec", "codecs:\n  - {type: dct_zlib, steps_per_octave: x}",
         ":2:22: codecs[0].steps_per_octave: expected a whole number, found the text 'x'"),
        ("dct_codec", "codecs:\n  - {type: dct_zlib, steps_per_octave: [1, 2]}",
         "expected a whole number, found a list"),
        ("dct_codec", "codecs:\n  - {type: dct_zlib, steps_per_octave: 99}",
         ":2:5: codecs[0]: dct_zlib(steps_per_octave=99): steps_per_octave: expected 1 to 16"),
        ("dct_codec", "codecs:\n  - {type: dct_zlib, name: A}", "codecs[0].name: expected a name"),
        ("dct_codec", "codecs: {type: dct_zip}", "codecs.type: expected one of semantic, "),
        ("dct_codec", "codecs: {type: dct_zip}", "dct_zlib; found the text 'dct_zip': did you"),
        ("linear_codec", "codecs: {type: linear_dct, decay: .nan}", "expected a number, found nan"),
        ("repeat_base_policy", "  protection: {policy: repeat_base, times: 1}",
         "protection: repeat_base(times=1): times: expected 2 to 32, found 1"),
        ("repeat_base_policy", "  protection: {policy: repeat_base, time: 1}",
         "protection.time: unknown key: did you mean 'times'?"),
        ("repeat_base_policy", "  protection: {policy: repeat_base, mcs: 1}",
         "protection.mcs: unknown key"),
        ("repeat_base_policy", "  protection: [repeat_base, {policy: repeat_base, times: 2}]",
         "expected a name of its own, found 'repeat_base' as in item 0"),
        ("repeat_base_policy", "  protection: repeat_bas", "did you mean 'repeat_base'?"),
        ("radar_loss", "  packet_loss: {type: radar, burst: 30}", "expected 0 <= burst <= period"),
        ("gradient_metric", "metrics: {type: gradient_similarity, constant: 0}",
         "constant: expected more than 0, found 0.0"),
        ("histogram_figure", "figures: {more: {type: psnr_histogram, bin: 3}}",
         "figures.more.bin: unknown key: did you mean 'bins'?"),
        ("radar_loss", "figures: {more: psnr_histogram}",
         "expected a figure of a plug-in, and no plug-in that is named has one; found the text"),
    ],
)  # fmt: skip
def test_mistakes_in_parameters_have_their_line(load, stem: str, keys: str, message: str) -> None:
    text = "images: samples32\n" if keys.startswith("codecs") else SCENARIO.lstrip() + keys + "\n"
    if keys.startswith("codecs"):
        text = keys + "\nimages: samples32\nlink: {snr_db: 3}\n"
    problem = problem_of(load, text, **{stem: (EXAMPLES / f"{stem}.py").read_text()})
    assert problem.count("my.yaml:") == 1
    assert message in problem


def test_errors_of_a_class_are_one_line(load) -> None:
    text = LOSS.replace("raise ValueError('number: expected 2 or more')", "[][self.number]")
    problem = problem_of(load, SCENARIO + "  packet_loss: {type: every, number: 1}\n", mine=text)
    assert "every(number=1): IndexError: list index out of range" in problem


def test_what_plugins_bring_is_listed_and_in_the_schema(capsys) -> None:
    before = scenario_schema()
    print_choices([str(path) for path in sorted(EXAMPLES.glob("*.py"))])
    lines = capsys.readouterr().out.splitlines()
    for line in (
        "  {type: dct_zlib, steps_per_octave: 4}", "  {type: linear_dct, decay: 2}",
        "  {type: impulses, probability: 0.02, excess_db: 20}",
        "  {type: radar, period: 20, burst: 2}", "  {policy: repeat_base, times: 4, share: 0.3}",
        "  {type: psnr_histogram, bins: 25, most_db: 50}",
        "  {type: gradient_similarity, constant: 170}",
    ):  # fmt: skip
        assert line in lines
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(json.dumps(scenario_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    good = {
        "images": "samples32",
        "codecs": [
            {"type": "dct_zlib", "steps_per_octave": 2}, {"type": "linear_dct"}, {"type": "jpeg"},
        ],
        "link": {
            "snr_db": 3, "channel": ["awgn", {"type": "impulses", "excess_db": [3, 4]}],
            "packet_loss": {"type": "radar", "burst": 1},
            "protection": [
                "equal", "repeat_base", {"policy": "repeat_base", "name": "b", "times": 2},
            ],
        },
        "figures": {"more": [{"type": "psnr_histogram", "bins": 3}]},
        "metrics": ["gradient_similarity"],
        "plugins": ["a.py"],
    }  # fmt: skip
    jsonschema.validate(good, schema)
    for path, value in (
        (("codecs", 0, "steps_per_octave"), "x"),
        (("codecs", 0, "steps_per_octav"), 3),
        (("link", "protection", 2, "tims"), 3),
        (("figures", "more", 0, "bins"), "many"),
    ):
        bad = json.loads(json.dumps(good))
        inner = bad
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)
    load_plugins(())
    assert scenario_schema() == before


def test_a_file_that_a_parameter_names_counts_by_its_content(load, tmp_path: Path) -> None:
    text = (EXAMPLES / "dct_codec.py").read_text().replace(
        "    # Not fields:", "    table: Path = Path()\n    # Not fields:"
    ).replace("import zlib\n", "import zlib\nfrom pathlib import Path\n")  # fmt: skip
    scenario = SCENARIO.replace("{type: jpeg}", "{type: dct_zlib, table: a.txt}")
    problem = problem_of(load, scenario, mine=text)
    assert "codecs.table: " in problem and "a.txt: cannot be read (No such file" in problem
    (tmp_path / "a.txt").write_text("1")
    (tmp_path / "b.txt").write_text("1")
    one = ids_of(load(scenario, mine=text))
    assert ids_of(load(scenario.replace("a.txt", "b.txt"), mine=text)) == one
    (tmp_path / "a.txt").write_text("2")
    assert not set(ids_of(load(scenario, mine=text))) & set(one)
    section = load(scenario, mine=text).codecs[0]
    assert make_codec(section)._codec.table == tmp_path / "a.txt"


def test_a_file_that_may_be_none_and_one_by_default_count_by_their_content(
    load, tmp_path: Path
) -> None:
    (tmp_path / "default.txt").write_text("1")
    text = LOSS.replace(
        "    def __post_init__",
        "    file: Path | None = None\n"
        f"    other: Path = Path({str(tmp_path / 'default.txt')!r})\n    def __post_init__",
    )
    text = "from pathlib import Path\n" + text
    scenario = SCENARIO + "  packet_loss: {type: every, file: a.txt}\n"
    seen: list[str] = []
    for name, content in (("a.txt", "1"), ("a.txt", "2"), ("default.txt", "2")):
        (tmp_path / name).write_text(content)
        loaded = load(scenario, mine=text)
        assert make_part("packet loss", loaded.link.packet_loss[0]).file == tmp_path / "a.txt"
        own = ids_of(loaded)
        assert not set(own) & set(seen)
        seen += own
    ids_of(load(scenario.replace("a.txt", "null"), mine=text))


def test_a_mean_loss_may_be_none(load) -> None:
    text = LOSS.replace("    def __post", "    mean_loss: float | None = 0.5\n    def __post")
    scenario = SCENARIO + "  packet_loss: {type: every, mean_loss: [null, 0.25]}\n"
    unknown, stated = load(scenario, mine=text).link.packet_loss
    assert (unknown.mean_loss, unknown.loss_model) == (None, "every(mean_loss=None)")
    assert (stated.mean_loss, stated.loss_model) == (0.25, "every")


def test_texts_that_look_like_several_are_other_trials(load) -> None:
    text = LOSS.replace(
        "    def __post_init__",
        "    words: tuple[str, ...] = ()\n    tag: str | None = 'x'\n    def __post_init__",
    )
    alike = [
        "{words: [a b]}", "{words: [a, b]}", "{tag: null}", "{tag: None}",
        "{tag: 'b, words=[c]'}", "{tag: b, words: [c]}", "{words: ['[c]', 'd']}",
    ]  # fmt: skip
    ids = []
    for keys in alike:
        scenario = SCENARIO + f"  packet_loss: {{type: every, {keys[1:-1]}}}\n"
        ids += ids_of(load(scenario, mine=text))
    assert len(set(ids)) == len(ids) == 2 * len(alike)
    problem = problem_of(
        load, SCENARIO + '  packet_loss: {type: every, tag: "\\0image"}\n', mine=text
    )
    assert "expected text on one line, found the text '\\x00image'" in problem


def test_plugins_of_an_extended_scenario_start_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "mine.py").write_text(LOSS)
    base = SCENARIO + "  packet_loss: every\nplugins: [mine.py]\n"
    (tmp_path / "base" / "base.yaml").write_text(base)
    (tmp_path / "my.yaml").write_text("extends: base/base.yaml\nseed: 3\n")
    scenario = load_scenario(tmp_path / "my.yaml")
    assert scenario.plugins[0].place == str(tmp_path / "base" / "mine.py")


PROMISES = {
    "return [None] * (len(images) + 1)": "expected 2 results, found 3",
    "return [3, 3]": "expected an EncodedImage",
    "return [EncodedImage(())] * 2": "expected 1 to 16 layers, found 0",
    "return [EncodedImage((Layer('a', b''),))] * 2": "expected layers of at least one byte",
    "return [EncodedImage((Layer('a', bytes(9999)),))] * 2": "bytes, found 9999",
}


@pytest.mark.parametrize("body", PROMISES)
def test_a_codec_that_breaks_its_promises_is_refused(load, body: str) -> None:
    text = HEAD + (
        "@register_codec('odd')\n@dataclass(frozen=True)\nclass Odd:\n    scalable = False\n"
        f"    def encode_batch(self, images, budget_bytes=None): {body}\n"
        "    def decode_batch(self, received): return [DecodedImage(None, 0)] * len(received)\n"
    )
    scenario = load(SCENARIO.replace("jpeg", "odd"), odd=text)
    images = [image.pixels for image in load_images("samples32", Path(), 2)]
    with pytest.raises(ValueError, match=PROMISES[body]):
        make_codec(scenario.codecs[0]).encode_batch(images, 100)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("np.ones(5)", "in one row of complex128, found float64"),
        ("np.ones(99, complex)", "expected 1 to 50 symbols"),
        ("np.full(5, 2 + 0j)", "expected a mean power of 1, found 4"),
        ("np.full(5, np.nan + 0j)", "expected a mean power of 1, found nan"),
    ],
)
def test_symbols_have_unit_power(load, body: str, message: str) -> None:
    text = HEAD + (
        "import numpy as np\n@register_analog_codec('odd')\n@dataclass(frozen=True)\nclass Odd:\n"
        f"    def encode_symbols(self, images, budget_uses, snr_db): return [{body}]\n"
        "    def decode_symbols(self, received): return []\n"
    )
    codec = make_analog_codec(load(SCENARIO.replace("jpeg", "odd"), odd=text).codecs[0])
    with pytest.raises(ValueError, match=message):
        codec.encode_symbols([np.zeros((8, 8, 3), np.uint8)], 50, 3.0)
    with pytest.raises(ValueError, match="expected 1 results, found 0"):
        codec.decode_symbols([ReceivedSymbols(np.ones(1, complex), np.ones(1), 8, 8)])


POLICY = HEAD + (
    "from dataclasses import replace\n"
    "@register_policy('odd')\n@dataclass(frozen=True)\nclass Odd(ProtectionPolicy):\n"
    "    def options(self, link): return OPTIONS\n"
    "    def choose(self, sender): return CHOICE\n"
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("[]", "odd: expected 1 to 1000 options, found 0"),
        ("[3]", "option 0: expected a LayerSetting, found 3"),
        ("[replace(link, modulation='5qam')]", "option 0: modulation: expected one of bpsk"),
        ("[link, replace(link, code_rate=2.0)]", "option 1: code_rate: expected 1/40 to 0.95"),
        ("[link, replace(link, transmissions=2, power_db=1.0)]", "transmissions: 1 with power_db"),
        ("nonsense", "odd: NameError: name 'nonsense' is not defined"),
    ],
)
def test_options_are_checked_when_the_scenario_is(load, options: str, message: str) -> None:
    text = POLICY.replace("OPTIONS", options).replace("CHOICE", "[0]")
    problem = problem_of(load, SCENARIO + "  protection: odd\n", odd=text)
    assert problem.split(": ")[1] == "link.protection"
    assert message in problem


@pytest.mark.parametrize("choice", ["[]", "[2]", "[-1]", "['a']"])
def test_choices_are_among_the_options(load, tmp_path: Path, choice: str) -> None:
    text = POLICY.replace("OPTIONS", "[link, link]").replace("CHOICE", choice)
    scenario = load(SCENARIO + "  protection: odd\n", odd=text)
    planned = plan(scenario)
    with Journal(tmp_path / "out") as journal:
        executor = SerialExecutor(WorkerSetup(scenario.plugins))
        outcome = run_trials(planned, journal, executor)
        assert outcome.failed == len(planned.trials) == 2
    assert issubclass(PolicyError, Exception) and issubclass(CodecSetupError, Exception)


def test_a_figure_that_fails_leaves_the_others(load, tmp_path: Path) -> None:
    text = HEAD + (
        "@register_figure('odd')\n@dataclass(frozen=True)\nclass Odd(TableFigure):\n"
        "    def draw(self, table):\n        import matplotlib.pyplot as plt\n"
        "        plt.figure()\n        return table['nonsense']\n"
    )
    figure = (EXAMPLES / "histogram_figure.py").read_text()
    scenario = load(
        SCENARIO + "figures: {more: [odd, psnr_histogram, {type: psnr_histogram, bins: 2}]}\n",
        odd=text, histogram_figure=figure,
    )  # fmt: skip
    table = pd.DataFrame({"codec": ["a", "b"], "psnr_db": [20.0, np.inf]})
    with pytest.raises(PluginError, match="figure odd: KeyError: 'nonsense'"):
        draw_plugin_figures(scenario.figures.more or (), table, tmp_path / "f")
    names = {path.name for path in (tmp_path / "f").iterdir()}
    stems = ("psnr_histogram", "psnr_histogram_2")
    assert names == {f"{stem}.{end}" for stem in stems for end in ("png", "pdf")}


def test_reading_results_runs_nothing(load, tmp_path: Path, monkeypatch) -> None:
    marker = tmp_path / "it_ran"
    results = tmp_path / "results"
    scenario = load(SCENARIO + "  packet_loss: every\n", mine=LOSS)
    table_of(scenario, results)
    load_plugins(())
    # Whatever lies there, and wherever one stands.
    bad = f"open({str(marker)!r}, 'w')\n" + LOSS.replace("every", "other")
    for name in ("mine.py", "plugin.py", "sitecustomize.py", "conftest.py", "testbed.py"):
        (results / name).write_text(bad)
    manifest = {"scenario": scenario.canonical() | {"plugins": ["mine.py"]}}
    (results / "manifest.json").write_text(json.dumps(manifest))
    shutil.copy(results / "mine.py", tmp_path / "mine.py")
    monkeypatch.chdir(results)
    with Journal(results) as journal:
        assert len(journal.rows) == 2
    assert len(read_table(results / "trials.csv")) == 2
    assert len(ids_of(load(SCENARIO))) == 2
    print_choices()
    assert not marker.exists()
    assert "other" not in names_of("packet loss")
    with pytest.raises(ScenarioError):
        load_scenario(results / "manifest.json")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch) -> Iterator[Path]:
    """A package with two plug-ins, as if it was installed."""
    site = tmp_path / "site"
    package = site / "semcom_example"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    good = LOSS.replace("np.arange(count)) %", "_count(count)) %")
    good = good.replace("import numpy as np", "from semcom_example.counting import _count")
    (package / "good.py").write_text(good)
    (package / "counting.py").write_text("import numpy as np\n_count = np.arange\n")
    (package / "bad.py").write_text("raise RuntimeError('it ran')\n")
    info = site / "semcom_example-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: semcom-example\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[semcom_testbed.plugins]\ngood = semcom_example.good\nbad = semcom_example.bad\n"
        "odd = semcom_example.good:Every\nlost = semcom_example_2.good\n"
    )
    monkeypatch.syspath_prepend(site)
    yield package
    load_plugins(())
    for name in [name for name in sys.modules if name.startswith("semcom_example")]:
        del sys.modules[name]


def test_installed_plugins_are_named_by_their_entry_point(load, installed: Path) -> None:
    text = SCENARIO + "  packet_loss: every\nplugins: good\n"
    scenario = load(text)
    assert scenario.plugins[0].place == "semcom_example.good"
    assert "semcom_example.bad" not in sys.modules
    before = ids_of(scenario)
    # Any file of the package may decide what is done.
    (installed / "counting.py").write_text("import numpy as np\n_count = np.arange  # \n")
    with pytest.raises(PluginError, match="it has changed since the run began"):
        check_unchanged(scenario.plugins)
    assert "it has changed since this process imported it: start anew" in problem_of(load, text)
    (installed / "counting.py").write_text("import numpy as np\n_count = np.arange\n")
    assert ids_of(load(text)) == before
    problem = problem_of(load, SCENARIO + "plugins: bad\n")
    assert "semcom_example.bad: RuntimeError: it ran" in problem
    assert "installed: bad, good, lost, odd" in problem_of(load, SCENARIO + "plugins: goood\n")
    assert "one module, found semcom_example.good:Every" in problem_of(
        load, SCENARIO + "plugins: odd"
    )
    assert "there is no such module" in problem_of(load, SCENARIO + "plugins: lost\n")


def test_the_tutorial_is_true(load) -> None:
    page = (EXAMPLES.parent / "plugins.md").read_text()
    (python,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    scenario = load(SCENARIO + "  packet_loss: {type: every, number: 5}\n", mine=python)
    (part,) = scenario.link.packet_loss
    lost = make_part("packet loss", part).losses(3, 6, ChannelRandomness(1))
    assert lost.tolist() == [False, False, True, False, False, False]
    (yaml,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    said = re.sub("^plugins:.*\n", "", yaml, flags=re.MULTILINE)
    assert load(said, every_loss=python).link.points == 3
    for target in re.findall(r"\]\(([^)#]+)\)", page):
        assert (EXAMPLES.parent / target).exists(), target
