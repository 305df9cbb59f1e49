"""What is seen of a run from outside: progress, log, status, and what it will take."""

from __future__ import annotations

import fcntl
import io
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from running import all_works, run
from typer.testing import CliRunner

from testbed.cli import app
from testbed.commands.check_command import check_scenario
from testbed.commands.status_command import StatusError, status_of
from testbed.language.scenario_loading import load_scenario
from testbed.quantity_words import duration_words, rate_words, size_words
from testbed.running import worker
from testbed.running.estimates import estimate
from testbed.running.journal import FAILURE_FORMAT, FORMAT, JOURNAL, line_of
from testbed.running.monitor import Listener, Progress, Rate, RunFacts, Watch
from testbed.running.plan import plan
from testbed.running.progress import PlainLines, TerminalBar
from testbed.running.progress_file import PROGRESS_JSON, ProgressFile
from testbed.running.run_log import RUN_LOG, RunLog
from testbed.running.run_report import JsonReport
from testbed.running.stream_cache import CacheUse
from testbed.running.work import Failure, Seconds, WorkResult
from testbed.running.worker import WorkerSetup
from testbed.sending import simulation

SCENARIO = """name: seen
images: {source: samples32, limit: 2}
codecs: [{type: jpeg}]
link: {snr_db: [12, 14], cbr: 1/3}
repetitions: 3
"""
FAILURE = Failure("0" * 16, "", "jpeg", "a", 0, "awgn", 5.0, "ValueError: it broke")


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def facts(folder: Path) -> RunFacts:
    return RunFacts("seen", "ab" * 32, folder, "testbed run x.yaml", "pool", 2, "2026-01-01")


def result(rows: int, *failures: Failure, **more: Any) -> WorkResult:
    row = {"trial_id": "1" * 16, "case": "", "channel": "awgn", "snr_db": 12.0}
    return WorkResult("jpeg", [line_of(row, FORMAT)] * rows, list(failures), Seconds(), **more)


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "seen.yaml"
    path.write_text(SCENARIO)
    return path


def invoke(*arguments: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    if code == 0 and done.exception:
        raise done.exception
    return done


def test_words_for_quantities() -> None:
    durations = {0.2: "under 1 s", 21: "21 s", 99: "99 s", 420: "7 min", 7810: "2 h 10 min"}
    assert {s: duration_words(s) for s in durations} == durations
    assert duration_words(3 * 86400) == "3 days"
    assert [size_words(n) for n in (812, 1536, 240 << 20, 1023 << 20, 5 << 30)] == [
        "812 bytes", "1.5 KiB", "240 MiB", "1.0 GiB", "5.0 GiB",
    ]  # fmt: skip
    assert [rate_words(r) for r in (210.4, 2.08, 0.2)] == ["210 per s", "2.1 per s", "12 per min"]


def test_the_rate_is_of_the_last_half_minute() -> None:
    rate = Rate(0.0)
    assert rate.per_s is None
    for second in range(1, 101):
        rate.add(10, float(second))
    assert rate.per_s == pytest.approx(10)
    for second in range(101, 141):
        rate.add(2, float(second))
    assert rate.per_s == pytest.approx(2)
    # Works longer than the window: the latest one tells.
    slow = Rate(0.0)
    slow.add(50, 100.0)
    slow.add(100, 200.0)
    assert slow.per_s == pytest.approx(1.0)


def test_known_trials_are_no_speed(tmp_path: Path) -> None:
    clock, heard = Clock(), []

    class Ear(Listener):
        def moved(self, progress: Progress, result: WorkResult) -> None:
            heard.append(progress)
            assert result.codec == "jpeg"

        def warned(self, words: str) -> None:
            heard.append(words)

    watch = Watch(facts(tmp_path), [Ear()], clock)
    watch.begin(100, 60)
    clock.now_s += 2
    full = CacheUse(problem="the disk is full")
    watch.took(result(9, FAILURE, cache=full), done=69, total=100)
    assert heard[0].rate_per_s == pytest.approx(5)
    assert heard[0].seconds_left == pytest.approx((100 - 70) / 5)
    assert heard[0].point == "jpeg, awgn 12 dB"
    clock.now_s += 2
    # With stopping rules, known trials come to `done` on the way, and the total falls.
    watch.took(result(10, cache=full), done=85, total=90)
    assert heard[-1].rate_per_s == pytest.approx(5)
    assert heard[-1].seconds_left == pytest.approx((90 - 86) / 5)
    assert [each for each in heard if isinstance(each, str)] == ["the disk is full"]


def test_without_a_terminal_there_is_a_plain_line_now_and_then(tmp_path: Path) -> None:
    clock, lines = Clock(), []
    watch = Watch(facts(tmp_path), [PlainLines(lines.append, clock)], clock)
    watch.begin(1000, 0)
    for done in range(10, 1010, 10):
        clock.now_s += 0.1
        watch.took(result(10), done, 1000)
    assert len(lines) == 10
    assert (
        lines[0] == "simulating: 100 of 1000 trials (10 %), 100 per s, 9 s left; jpeg, awgn 12 dB"
    )
    clock.now_s += 31
    watch.took(result(1), 1000, 1001)
    assert len(lines) == 11
    assert all(line.isprintable() for line in lines)


def test_a_terminal_gets_a_bar(tmp_path: Path) -> None:
    text, clock = io.StringIO(), Clock()
    bar = TerminalBar(Console(file=text, force_terminal=True, width=120))
    watch = Watch(facts(tmp_path), [bar], clock)
    try:
        watch.begin(40, 20)
        clock.now_s += 1
        watch.took(result(9, FAILURE), 29, 40)
        watch.simulated(40, 29)
    finally:
        bar.stop()
    last = text.getvalue()
    for words in ("30/40", "1 failed", "10 per s", "1 s left", "jpeg, awgn 12 dB"):
        assert words in last


def test_json_progress_comes_once_a_second_at_most(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    report = JsonReport(clock)
    with report:
        watch = Watch(facts(tmp_path), [report], clock)
        watch.begin(100, 0)
        for done in range(1, 101):
            clock.now_s += 0.05
            failures = [replace(FAILURE, snr_db=float("nan"))] if done == 50 else []
            watch.took(result(1, *failures), done, 100)
        watch.finished()
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    kinds = [each["event"] for each in events]
    assert kinds[0] == "begin"
    assert kinds[-1] == "finished"
    assert 5 <= kinds.count("progress") <= 6
    (failure,) = (each for each in events if each["event"] == "failure")
    assert failure["snr_db"] is None
    assert failure["error"] == FAILURE.error


def test_the_log_tells_failures_and_each_traceback_once(tmp_path: Path) -> None:
    clock = Clock()
    run_facts = facts(tmp_path)
    with RunLog(run_facts, clock) as log:
        watch = Watch(run_facts, [log], clock)
        watch.begin(9, 0)
        for done in (1, 2):
            clock.now_s += 6
            watch.took(result(1, FAILURE, tracebacks=("Traceback\n  in line 3\n",)), done, 9)
        logging.getLogger("testbed.running.executors").warning("a worker process died")
        watch.simulated(9, 2)
        watch.finished()
    logging.getLogger("testbed.running.executors").warning("not in this log")
    text = (tmp_path / RUN_LOG).read_text()
    assert text.count("ValueError: it broke") == 2
    assert text.count("Traceback\n      in line 3\n") == 1
    assert text.count("per s, ") + text.count("per min, ") == 1
    assert "testbed run x.yaml" in text
    assert "numpy" in text
    assert "WARNING a worker process died" in text
    assert "finished in 12 s" in text
    assert "not in this log" not in text
    with pytest.raises(ZeroDivisionError), RunLog(run_facts):
        1 // 0  # noqa: B018
    assert (tmp_path / RUN_LOG).read_text().startswith(text)
    assert "ZeroDivisionError" in (tmp_path / RUN_LOG).read_text()


def test_a_log_that_cannot_be_written_fails_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / RUN_LOG).mkdir()
    (tmp_path / PROGRESS_JSON).mkdir()
    run_facts = facts(tmp_path)
    with RunLog(run_facts) as log, ProgressFile(run_facts) as progress:
        Watch(run_facts, [log, progress]).begin(9, 0)
    assert capsys.readouterr() == ("", "")
    full = facts(Path("/dev"))
    if Path("/dev/full").exists():
        handler = replace(full, folder=tmp_path / "full")
        handler.folder.mkdir()
        (handler.folder / RUN_LOG).symlink_to("/dev/full")
        with RunLog(handler) as log:
            Watch(handler, [log]).begin(9, 0)
        assert capsys.readouterr() == ("", "")


def test_a_run_in_json_and_its_status(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a process of its own: without the streams of other tests.
    monkeypatch.setattr(simulation, "_streams", {})
    out = tmp_path / "out"
    arguments = ["run", scenario, "--out", out, "--workers", 1, "--json"]
    done = invoke(*arguments, "--cache", tmp_path / "cache")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0] | {"event": "begin", "scenario": "seen", "trials": 12, "known": 0} == events[0]
    last = events[-1]
    assert last["event"] == "finished"
    assert (last["trials"], last["done"], last["failed"]) == (12, 12, 0)
    assert last["certification"]["violated"] == 0
    assert {"trials.csv", "manifest.json", "certification.json"} <= {
        Path(file).name for file in last["files"]
    }
    assert all(Path(file).is_file() for file in last["files"])
    status = status_of(out)
    assert (status.state, status.running, status.trials, status.done) == ("finished", False, 12, 12)
    assert status.files["journal.jsonl"] == (out / JOURNAL).stat().st_size
    use = json.loads((out / "timings.json").read_text())["stream_cache"]
    assert (use["hits"], use["misses"]) == (0, 2)
    assert "12 trials, 0 of them known" in (out / RUN_LOG).read_text()
    again = invoke("status", out, "--json")
    assert json.loads(again.stdout)["trials"] == 12
    assert f"{out}: seen, finished" in invoke("status", out).stdout
    quiet = invoke("run", scenario, "--out", out, "--workers", 1, "--quiet")
    assert quiet.stderr == ""
    assert [line.split(":")[0] for line in quiet.stdout.splitlines()] == [
        str(out / "trials.csv"), str(out / "examples"), str(out / "figures"),
    ]  # fmt: skip


def test_json_tells_errors_and_failed_trials(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = invoke("run", tmp_path / "none.yaml", "--json", code=1)
    (event,) = (json.loads(line) for line in missing.stdout.splitlines())
    assert (event["event"], event["kind"]) == ("error", "ScenarioError")

    rows_of = worker.rows_of

    def broken(work: Any, seconds: Any = None) -> Any:
        if any(trial.link.snr_db == 14 and trial.repetition == 1 for trial in work.trials):
            raise ZeroDivisionError("in a plug-in")
        return rows_of(work, seconds)

    monkeypatch.setattr(worker, "rows_of", broken)
    out = tmp_path / "out"
    done = invoke("run", scenario, "--out", out, "--workers", 1, "--json", code=1)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [each["event"] for each in events]
    assert kinds.count("failure") == 2
    assert kinds[-2:] == ["finished", "error"]
    assert (events[-2]["done"], events[-2]["failed"]) == (10, 2)
    assert str(out / "errors.csv") in events[-2]["files"]
    assert (status_of(out).done, status_of(out).failed) == (10, 2)
    log = (out / RUN_LOG).read_text()
    assert log.count("ZeroDivisionError: in a plug-in\n") == 3
    assert log.count("Traceback") == 1


def test_status_of_a_run_that_is_writing_and_of_one_that_was_killed(tmp_path: Path) -> None:
    run_facts, clock = facts(tmp_path), Clock()
    rows = [line_of({"trial_id": f"{k:016x}", "psnr_db": 1.0}, FORMAT) for k in range(5)]
    failed = line_of(FAILURE.content(), FAILURE_FORMAT)
    journal = tmp_path / JOURNAL
    # Rows of another scenario, from before.
    journal.write_bytes(rows[0])
    with journal.open("ab", buffering=0) as held, ProgressFile(run_facts, clock) as file:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert status_of(tmp_path).state == "starting"
        watch = Watch(run_facts, [file], clock)
        watch.begin(8, 0)
        clock.now_s += 1
        held.write(rows[1])
        watch.took(result(1), 1, 8)
        clock.now_s += 3
        held.write(rows[2])
        watch.took(result(1), 2, 8)
        # Journalled, not counted yet, and a line that is being written.
        held.write(rows[3] + failed + b"garbage\n" + rows[4][:-9])
        status = status_of(tmp_path)
        assert status.running
        assert (status.state, status.trials, status.done, status.failed) == ("simulating", 8, 3, 1)
        assert status.damaged_lines == 1
        assert status.rate_per_s == pytest.approx(0.5)
        assert status.seconds_left == pytest.approx(4 / 0.5)
        printed = invoke("status", tmp_path).stdout
        assert "seen, running, process" in printed
        assert "3 of 8 (38 %), 1 raised an error" in printed
        assert "0.5 per s, 8 s left; jpeg, awgn 12 dB" in printed
        fcntl.flock(held, fcntl.LOCK_UN)
        killed = status_of(tmp_path)
        assert (killed.state, killed.running, killed.seconds_left) == ("interrupted", False, None)
    with pytest.raises(KeyboardInterrupt), ProgressFile(run_facts) as file:
        Watch(run_facts, [file]).begin(8, 3)
        # Journalled, and stopped before anybody was told.
        with journal.open("ab") as more:
            more.write(b"\n" + rows[4])
        raise KeyboardInterrupt
    stopped = status_of(tmp_path)
    assert (stopped.state, stopped.done, stopped.trials) == ("stopped", 4, 8)
    # A run without progress.json: what is in the journal is all that is known.
    (tmp_path / PROGRESS_JSON).unlink()
    assert (status_of(tmp_path).done, status_of(tmp_path).trials) == (5, None)


def test_status_of_shards(tmp_path: Path) -> None:
    for number, done in ((1, 4), (2, 1)):
        folder = tmp_path / f"shard-{number}-of-2"
        folder.mkdir()
        (folder / JOURNAL).touch()
        with ProgressFile(facts(folder)) as file:
            watch = Watch(facts(folder), [file])
            watch.begin(4, done)
            if done == 4:
                watch.finished()
    printed = invoke("status", tmp_path).stdout
    assert "5 of 8 trials in the 2 that are here" in printed
    assert "shard-1-of-2: seen, finished, 4 of 4 (100 %)" in printed
    assert "shard-2-of-2: seen, interrupted" in printed


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "the folder is empty"),
        ({"a.txt": b""}, "expected a folder of results, with journal.jsonl, found a.txt"),
        ({"trials.csv": b"", "manifest.json": b"{}"}, "there is no journal.jsonl"),
        ({JOURNAL: line_of({"trial_id": "0" * 16}, "0badf00d")}, "another version"),
        ({JOURNAL: b"", PROGRESS_JSON: b'{"format": 99}'}, "expected format 1, found 99"),
        ({JOURNAL: b"", PROGRESS_JSON: b"\xff"}, "cannot be read"),
        ({JOURNAL: b"", PROGRESS_JSON: b'{"format": 1, "state": 7}'}, "state is 7"),
    ],
)
def test_status_of_what_is_no_results_folder(
    tmp_path: Path, files: dict[str, bytes], words: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StatusError, match=words) as error:
        status_of(tmp_path)
    assert "\n" not in str(error.value)
    for other in (tmp_path / "none", Path(__file__)):
        with pytest.raises(StatusError, match="expected a folder of results, found"):
            status_of(other)


def test_an_estimate_is_near_what_a_run_takes(scenario: Path, tmp_path: Path) -> None:
    """Bytes are near; seconds of a machine that others use are of the right order."""
    planned = plan(load_scenario(scenario, ["repetitions=20"]))
    found = estimate(planned)
    outcome, _ = run(planned, tmp_path)
    assert found.trials == found.all_trials == len(planned.trials)
    assert found.problems == ()
    assert found.journal_bytes == pytest.approx((tmp_path / JOURNAL).stat().st_size, rel=0.05)
    assert found.table_bytes == pytest.approx((tmp_path / "trials.csv").stat().st_size, rel=0.1)
    real_s = sum(sum(each.by_stage.values()) for each in outcome.seconds.values())
    assert real_s / 20 < found.seconds(1) < 20 * real_s
    assert found.seconds(2) < found.seconds(1)


def test_an_estimate_without_time_rests_on_one_sample(scenario: Path) -> None:
    planned = plan(load_scenario(scenario, ["images=[samples32, samples_large]"]))
    found = estimate(planned, sample_s=1e-6)
    assert found.sampled == 2
    assert found.trials == found.all_trials
    small, *large = found.groups
    assert small.sampled == 2
    per_trial = [each.seconds / each.trials for each in large if each.seconds is not None]
    assert per_trial[0] == pytest.approx(small.seconds / small.trials * 96, rel=0.5)


def test_an_estimate_says_what_it_could_not_try(
    scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = plan(load_scenario(scenario, ["link.fidelity=tables"]))
    found = estimate(tables)
    assert found.trials == 0
    assert "rest on block error tables" in found.problems[0]
    assert found.words(2) == "no estimate of time and disk"

    def broken(*_: object) -> None:
        raise KeyError("no such thing")

    monkeypatch.setattr(worker, "rows_of", broken)
    found = estimate(plan(load_scenario(scenario)))
    assert "jpeg: no estimate, since a trial raises an error" in found.problems[0]
    assert "no such thing" in found.problems[0]


def test_check_tells_the_estimate_unless_it_is_quick(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_scenario(scenario, [], estimated=True)
    assert "of simulation with" in capsys.readouterr().out.splitlines()[-1]
    assert "estimated" not in invoke("check", scenario, "--quick").stdout
    found = json.loads(invoke("check", scenario, "--json").stdout)["estimate"]
    assert found["estimated_trials"] == 12
    assert found["seconds"] > 0
    assert json.loads(invoke("check", scenario, "--json", "--quick").stdout)["estimate"] is None


def test_cache_use_is_counted_by_work(
    tmp_path: Path, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulation, "_streams", {})
    setup = WorkerSetup(cache_folder=tmp_path / "streams", cache_bytes=1 << 20)
    setup.begin()
    planned = plan(load_scenario(scenario, ["seed=77"]))
    (work,) = all_works(planned)
    first, second = worker.run_work(work), worker.run_work(work)
    assert (first.cache.misses, first.cache.hits) == (2, 0)
    # This process has its streams: the cache is not asked.
    assert second.cache == CacheUse()
