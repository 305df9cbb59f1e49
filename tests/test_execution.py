"""Executors, shards and stopping rules: whoever simulates, the table is the same, byte for byte."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import running
from typer.testing import CliRunner

from testbed.cli import app
from testbed.errors import ScenarioError, TestbedError
from testbed.language.scenario_loading import load_scenario
from testbed.running.executors import PoolExecutor, WorkerError
from testbed.running.journal import JOURNAL, Journal
from testbed.running.plan import Plan, plan
from testbed.running.runner import TRIALS_CSV, run_trials, write_table
from testbed.running.selection import Selection
from testbed.running.sharding import Shard, ShardError
from testbed.running.stopping import Moments, interval_width_db
from testbed.running.worker import WorkerSetup

SCENARIO = """
name: parts
seed: 5
repetitions: 6
images: [{source: samples32, limit: 7}]
codecs: [{type: jpeg}]
link: {channel: [awgn, rayleigh_block], snr_db: [6, 9, 20], modulation: 16qam, cbr: 1/3}
"""


def planned(folder: Path, *overrides: str) -> Plan:
    file = folder / "parts.yaml"
    file.write_text(SCENARIO)
    return plan(load_scenario(file, overrides))


def table(made: Plan, folder: Path, *executor: PoolExecutor) -> bytes:
    running.run(made, folder, *executor)
    return (folder / TRIALS_CSV).read_bytes()


def merged(made: Plan, folder: Path, count: int) -> bytes:
    for number in range(1, count + 1):
        running.run(made, folder / str(number), shard=Shard(number, count))
    with Journal(folder) as journal:
        for number in range(1, count + 1):
            with Journal(folder / str(number)) as other:
                journal.absorb(other)
        outcome = run_trials(made, journal, None)
        assert outcome.missing == 0
        write_table(folder / TRIALS_CSV, outcome.selection, journal.rows)
    return (folder / TRIALS_CSV).read_bytes()


@pytest.mark.parametrize("count", [2, 3, 8, 50])
def test_shards_merged_are_the_whole(count: int, tmp_path: Path) -> None:
    """Also more of them than pictures, and more than there is work for."""
    made = planned(tmp_path, "repetitions=2")
    whole = table(made, tmp_path / "whole")
    assert merged(made, tmp_path / "merged", count) == whole
    parts = [pd.read_csv(path) for path in (tmp_path / "merged").glob("*/trials.csv")]
    assert sum(map(len, parts)) == len(made.trials)
    if count <= 7:
        # A picture belongs to one shard: none is encoded twice.
        assert sum(part["image"].nunique() for part in parts) == 7


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_shards_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ShardError, match="expected i/n"):
        Shard.parse(text)


RULES = {
    "trials": "{trials: 20, every: 5}",
    "failures": "{failures: 4, every: 3}",
    "interval": "{interval_db: 4, every: 6}",
    "all": "{trials: 30, failures: 9, interval_db: 2, every: 4}",
}


@pytest.mark.parametrize("rule", RULES)
def test_stopping_rules_hold_for_whoever_runs(rule: str, tmp_path: Path) -> None:
    made = planned(tmp_path, f"stop={RULES[rule]}")
    whole = table(made, tmp_path / "whole")
    assert merged(made, tmp_path / "merged", 3) == whole
    # Interrupted in the middle, then with other batches.
    part = planned(tmp_path, "stop={trials: 8, every: 4}")
    table(part, tmp_path / "resumed")
    running.run(made, tmp_path / "resumed", images_at_once=1)
    assert (tmp_path / "resumed" / TRIALS_CSV).read_bytes() == whole
    # A journal with more trials than the rules let be changes nothing.
    everything = planned(tmp_path)
    table(everything, tmp_path / "more")
    assert table(made, tmp_path / "more") == whole


def test_two_workers_stop_where_one_does(tmp_path: Path) -> None:
    made = planned(tmp_path, f"stop={RULES['all']}")
    pool = PoolExecutor(WorkerSetup(), 2)
    assert table(made, tmp_path / "two", pool) == table(made, tmp_path / "one")


def test_a_point_ends_when_its_rule_first_holds(tmp_path: Path) -> None:
    running.run(planned(tmp_path), tmp_path / "all")
    everything = pd.read_csv(tmp_path / "all" / TRIALS_CSV)
    running.run(planned(tmp_path, "stop={failures: 4, every: 3}"), tmp_path / "some")
    some = pd.read_csv(tmp_path / "some" / TRIALS_CSV)
    keys = ["channel", "snr_db"]
    order = ["repetition", "image"]
    sizes = set()
    for key, rows in everything.groupby(keys):
        rows = rows.sort_values(order, kind="stable")
        failures = rows["failed"].cumsum().to_numpy()
        ends = [n for n in range(3, 43, 3) if failures[n - 1] >= 4]
        expected = rows.iloc[: ends[0] if ends else 42]
        here = (some["channel"] == key[0]) & (some["snr_db"] == key[1])
        found = some[here].sort_values(order, kind="stable")
        assert found["trial_id"].tolist() == expected["trial_id"].tolist()
        sizes.add(len(found))
    assert {6, 42} <= sizes | {6}
    assert max(sizes) == 42
    assert min(sizes) < 42


def moments(values: list[float]) -> Moments:
    made = Moments()
    for value in values:
        made.add(value)
    return made


def test_moments_are_those_of_all_values() -> None:
    values = np.random.default_rng(2).normal(1e3, 1e-3, 500).tolist()
    assert moments(values).mean == pytest.approx(np.mean(values), rel=1e-14)
    assert moments(values).variance == pytest.approx(np.var(values, ddof=1), rel=1e-6)


def test_the_width_of_an_interval() -> None:
    random = np.random.default_rng(1)
    many = [list(random.normal(25, 2, 4)) for _ in range(400)]
    means = np.array([np.mean(each) for each in many])
    expected = 2 * 1.96 * means.std(ddof=1) / 20
    assert interval_width_db(list(map(moments, many))) == pytest.approx(expected, rel=0.1)
    one = [moments(list(random.normal(25, 2, 400)))]
    assert interval_width_db(one) == pytest.approx(2 * 1.96 * 2 / 20, rel=0.1)
    assert interval_width_db([moments([25.0]), moments([26.0])]) == math.inf
    assert interval_width_db([]) == math.inf


@pytest.mark.parametrize("stop", ["{}", "{every: 3}", "{trials: 0}", "{interval_db: 0}", "{x: 1}"])
def test_rules_that_cannot_be_are_refused(stop: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="stop"):
        planned(tmp_path, f"stop={stop}")


VARIED = (
    "codecs=[{type: semantic, name: layered}, {type: jpeg}]", "link.snr_db=[9, 20]",
    "vary.grid={codecs.layered.layers: [1, 4]}", "vary.cases={few: {repetitions: 2}, more: {}}",
)  # fmt: skip


@pytest.mark.parametrize("stop", ["null", "{trials: 20, every: 6}"])
def test_what_variants_share_is_simulated_once(stop: str, tmp_path: Path) -> None:
    """Also by several workers, where it is handed out before the first of its results is known."""
    made = planned(tmp_path, f"stop={stop}", *VARIED)
    outcome, rows = running.run(made, tmp_path / "one")
    written = pd.read_csv(tmp_path / "one" / TRIALS_CSV)
    assert (outcome.trials, outcome.missing, outcome.failed) == (len(written), 0, 0)
    assert len(rows) == written["trial_id"].nunique() < len(written)
    for case, part in written.groupby("case"):
        assert part["trial_id"].is_unique, case
    pool = PoolExecutor(WorkerSetup(), 2)
    assert table(made, tmp_path / "two", pool) == (tmp_path / "one" / TRIALS_CSV).read_bytes()
    for folder in ("one", "two"):
        journal = (tmp_path / folder / JOURNAL).read_bytes()
        assert journal.count(b"\n") == len(rows)
    again, _ = running.run(made, tmp_path / "two")
    assert (again.trials, again.missing) == (len(written), 0)
    assert merged(made, tmp_path / "merged", 3) == (tmp_path / "one" / TRIALS_CSV).read_bytes()


def test_rounds_do_not_look_through_all_repetitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block of a point costs what is in it, however many repetitions there could be."""
    looks = 0
    has = Selection.has

    def counted(self: Selection, cell: int, image: int, position: int) -> bool:
        nonlocal looks
        looks += 1
        return has(self, cell, image, position)

    monkeypatch.setattr(Selection, "has", counted)
    made = planned(tmp_path, "repetitions=1000", "stop={trials: 10, every: 5}")
    outcome, rows = running.run(made, tmp_path / "out")
    assert len(rows) == outcome.trials == 6 * 10
    assert looks < 10 * len(rows)


SABOTAGE = '''
import os
from dataclasses import dataclass
from pathlib import Path

from testbed.plugin_api import Metric, register_metric


@register_metric("sabotage")
@dataclass(frozen=True)
class Sabotage(Metric):
    """Fails for one picture as long as a file is there: with an error, or by ending its process."""

    how: str = "raise"
    column = "sabotage"
    label = "brightness"
    higher_is_better = True
    bounds = (0.0, 255.0)

    def measure(self, source, picture):
        if source.name.startswith("02_") and (Path(__file__).parent / "armed").exists():
            if self.how == "kill":
                os.kill(os.getpid(), 9)
            raise ArithmeticError("no\\nbrightness")
        return float(picture.mean())
'''


FLAT = """
from dataclasses import dataclass

import numpy as np

from testbed.plugin_api import Metric, register_metric


@register_metric("flat")
@dataclass(frozen=True)
class Flat(Metric):
    column = "flat"
    label = "brightness"
    higher_is_better = True
    bounds = (0.0, 255.0)

    def measure(self, source, picture):
        return np.float32(0.5)
"""


def test_numbers_of_any_kind_can_be_journalled(tmp_path: Path) -> None:
    (tmp_path / "flat.py").write_text(FLAT)
    made = planned(tmp_path, "plugins=[flat.py]", "metrics=flat", "repetitions=1", "link.snr_db=9")
    _, rows = running.run(made, tmp_path / "out")
    assert {row["flat"] for row in rows.values()} == {0.5}


MASKED = """
from dataclasses import dataclass
import signal, time

from testbed.plugin_api import Metric, register_metric


@register_metric("masked")
@dataclass(frozen=True)
class Masked(Metric):
    column = "masked"
    label = "whether Ctrl-C is kept from the process"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def measure(self, source, picture):
        time.sleep(0.1)
        return float(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_what_cannot_travel_to_a_worker_is_told_in_one_line(tmp_path: Path) -> None:
    words = "        object.__setattr__(self, 'value_of', lambda: 0.5)\n"
    (tmp_path / "flat.py").write_text(f"{FLAT}\n    def __post_init__(self):\n{words}")
    made = planned(tmp_path, "plugins=[flat.py]", "metrics=flat", "repetitions=1")
    pool = PoolExecutor(WorkerSetup(made.scenario.plugins), 2)
    with pytest.raises(WorkerError, match="use --workers 1"):
        running.run(made, tmp_path / "out", pool)


def test_ctrl_c_reaches_no_worker(tmp_path: Path) -> None:
    """Whichever task has started it."""
    (tmp_path / "masked.py").write_text(MASKED)
    made = planned(tmp_path, "plugins=[masked.py]", "metrics=masked", "repetitions=2")
    pool = PoolExecutor(WorkerSetup(made.scenario.plugins), 2)
    _, rows = running.run(made, tmp_path / "out", pool, images_at_once=1)
    assert {row["masked"] for row in rows.values()} == {1.0}


@pytest.mark.parametrize("how", ["raise", "kill"])
def test_a_picture_that_breaks_its_trials_costs_only_these(how: str, tmp_path: Path) -> None:
    """Whether they raise an error or kill their process; the next run tries them again."""
    (tmp_path / "sabotage.py").write_text(SABOTAGE)
    overrides = [
        "plugins=[sabotage.py]", f"metrics={{type: sabotage, how: {how}}}", "repetitions=1",
        "images={source: samples32, limit: 3}", "link.snr_db=20", "link.channel=awgn",
    ]  # fmt: skip
    made = planned(tmp_path, *overrides)
    whole = table(made, tmp_path / "whole")
    (tmp_path / "armed").touch()
    pool = PoolExecutor(WorkerSetup(made.scenario.plugins), 2)
    outcome, rows = running.run(made, tmp_path / "broken", pool if how == "kill" else None)
    assert (outcome.trials, outcome.missing, outcome.failed) == (3, 1, 1)
    assert {row["image"][:3] for row in rows.values()} == {"00_", "01_"}
    with Journal(tmp_path / "broken") as journal:
        (failure,) = journal.failures()
    assert (failure.image[:3], failure.channel) == ("02_", "awgn")
    assert failure.error.startswith(
        "its process died twice" if how == "kill" else "ArithmeticError: no brightness"
    )
    (tmp_path / "armed").unlink()
    assert table(made, tmp_path / "broken") == whole


def invoke(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    if code:
        assert isinstance(done.exception, TestbedError)
        return str(done.exception)
    assert done.exit_code == 0, done.output
    return done.output


def test_merge_writes_what_a_run_in_one_piece_writes(tmp_path: Path) -> None:
    file = tmp_path / "parts.yaml"
    file.write_text(SCENARIO)
    few = ["--set", "repetitions=1", "--set", "images={source: samples32, limit: 4}", "--quiet"]
    invoke("run", file, "--out", tmp_path / "whole", "--workers", 1, *few)
    out = tmp_path / "merged"
    said = invoke("merge", file, "--out", out, *few, code=1)
    assert "expected folders shard-1-of-N" in said
    for number in (1, 2):
        shard = ["--shard", f"{number}/2", "--out", out / f"shard-{number}-of-2"]
        invoke("run", file, *shard, "--workers", 1, *few)
        if number == 1:
            assert "12 of 24 trials are in none of 1 folders" in invoke(
                "merge", file, "--out", out, *few, code=1
            )
    invoke("merge", file, "--out", out, *few)
    # What tells when and how a run was made is its own.
    own = {"manifest.json", "timings.json", "progress.json", "run.log", "journal.jsonl"}
    names = {path.relative_to(out.parent / "whole") for path in (tmp_path / "whole").rglob("*.*")}
    assert {"trials.csv", "statistics.csv", "certification.json"} <= set(map(str, names))
    for name in names:
        if str(name) not in own:
            assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_shard_does_not_take_the_place_of_a_whole_run(tmp_path: Path) -> None:
    file = tmp_path / "parts.yaml"
    file.write_text(SCENARIO)
    (tmp_path / "certification.json").write_text("{}")
    said = invoke("run", file, "--out", tmp_path, "--shard", "1/2", code=1)
    assert "holds a whole run: choose another folder with --out" in said


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--executor", "slurm", "expected pool, dask or dask://HOST:PORT"),
        ("--shard", "5/4", "expected i/n with i from 1 to n"),
        ("--device", "tpu", "expected cpu or cuda"),
    ],
)
def test_options_that_cannot_be(option: str, value: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "parts.yaml"
    file.write_text(SCENARIO)
    assert words in invoke("run", file, "--out", tmp_path / "out", option, value, code=1)


def test_failed_trials_are_told_when_all_others_are_there(tmp_path: Path) -> None:
    file = tmp_path / "parts.yaml"
    file.write_text(SCENARIO)
    (tmp_path / "sabotage.py").write_text(SABOTAGE)
    (tmp_path / "armed").touch()
    out = tmp_path / "out"
    command = ["run", file, "--out", out, "--workers", 1, "--quiet"]
    for override in (
        "plugins=[sabotage.py]", "metrics=sabotage", "repetitions=1", "link.snr_db=20",
        "images={source: samples32, limit: 4}",
    ):  # fmt: skip
        command += ["--set", override]
    said = invoke(*command, code=1)
    assert "2 of 8 trials raised an error (the first: ArithmeticError: no brightness)" in said
    errors = pd.read_csv(out / "errors.csv")
    assert errors["error"].tolist() == ["ArithmeticError: no brightness"] * 2
    assert len(pd.read_csv(out / "trials.csv")) == 6
    assert (out / "figures").is_dir()
    assert "Traceback" in (out / "run.log").read_text()
    (tmp_path / "armed").unlink()
    invoke(*command)
    assert not (out / "errors.csv").exists()
    assert len(pd.read_csv(out / "trials.csv")) == 8
