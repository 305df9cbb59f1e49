"""The journal survives what happens to files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.errors import OutputError
from testbed.running.journal import FORMAT, JOURNAL, Journal, kind_of, line_of
from testbed.running.work import Failure
from testbed.sending.simulation import COLUMNS, OBSERVED

A, B, C, M = (f"{number:016x}" for number in (10, 11, 2**64 - 1, 13))


def row(trial_id: str) -> dict:
    return dict.fromkeys(COLUMNS, 1.5) | {"trial_id": trial_id, OBSERVED: {"symbols": 3}}


def test_rows_are_there_the_next_time(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add([row(A), row(B) | {"psnr_db": float("inf"), "ssim": 0.1 + 0.2}])
    with Journal(tmp_path) as journal:
        assert journal.rows == {
            A: row(A),
            B: row(B) | {"psnr_db": float("inf"), "ssim": 0.30000000000000004},
        }
        assert journal.damaged_lines == 0


def test_rows_keep_the_metrics_that_were_asked_for(tmp_path: Path) -> None:
    with_metric = dict.fromkeys((*COLUMNS, "ms_ssim"), 0.5) | {"trial_id": M, OBSERVED: None}
    with Journal(tmp_path) as journal:
        journal.add([row(A), with_metric])
    with Journal(tmp_path) as journal:
        assert journal.rows == {A: row(A), M: with_metric}
        assert (journal.damaged_lines, journal.other_lines) == (0, 0)


def test_a_torn_last_line_is_dropped_and_written_over(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add([row(A), row(B)])
    path = tmp_path / JOURNAL
    path.write_bytes(path.read_bytes()[:-30])
    with Journal(tmp_path) as journal:
        assert list(journal.rows) == [A]
        journal.add([row(C)])
    with Journal(tmp_path) as journal:
        assert list(journal.rows) == [A, C]
        assert journal.damaged_lines == 0


def test_damaged_lines_cost_only_themselves(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add([row(A), row(B)])
    path = tmp_path / JOURNAL
    path.write_bytes(b'\xff\xfe\n{"id": "x"}\n[]\n' + path.read_bytes())
    with Journal(tmp_path) as journal:
        assert list(journal.rows) == [A, B]
        assert (journal.damaged_lines, journal.other_lines) == (3, 0)


def test_rows_of_another_version_are_no_damage(tmp_path: Path) -> None:
    """They are simulated again, and stay where they are for who goes back to that version."""
    earlier = {key: value for key, value in row(A).items() if key != OBSERVED}
    (tmp_path / JOURNAL).write_text(json.dumps(earlier) + "\n")
    with Journal(tmp_path) as journal:
        assert (list(journal.rows), journal.damaged_lines, journal.other_lines) == ([], 0, 1)
        journal.add([row(A)])
    with Journal(tmp_path) as journal:
        assert journal.rows == {A: row(A)}
        assert (journal.damaged_lines, journal.other_lines) == (0, 1)


def test_two_runs_on_one_folder_are_refused(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(OutputError, match="another run is writing there"):
        Journal(tmp_path)


def test_a_folder_that_cannot_be_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another folder with --out"):
        Journal(tmp_path / "file" / "results")


def test_any_changed_byte_of_a_row_is_noticed() -> None:
    """Also one that leaves JSON: a digit of a result that became another."""
    line = line_of(row(A) | {"psnr_db": 31.25}, FORMAT)[:-1]
    assert kind_of(line) == ("row", A)
    for at in range(len(line)):
        for change in (1, 4, 128):
            changed = bytearray(line)
            changed[at] ^= change
            kind, _ = kind_of(bytes(changed))
            assert kind != "row", (at, change)
    for cut in range(len(line)):
        assert kind_of(line[:cut])[0] == "damaged"


def test_failures_are_kept_until_the_trial_succeeds(tmp_path: Path) -> None:
    failure = Failure(A, "", "jpeg", "one", 0, "awgn", 3.0, "ValueError: no")
    with Journal(tmp_path) as journal:
        journal.add([row(B)], [failure])
        assert list(journal.failures()) == [failure]
    with Journal(tmp_path) as journal:
        assert list(journal.failures()) == [failure]
        assert list(journal.rows) == [B]
        journal.add([row(A)])
        assert list(journal.failures()) == []
    with Journal(tmp_path) as journal:
        assert list(journal.failures()) == []
        assert list(journal.rows) == [B, A]


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """In a process that may write no more than so many bytes to a file."""
    script = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_journal import A, B, C, Journal, row
from pathlib import Path
from testbed.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal(Path({str(tmp_path)!r})) as journal:
    journal.add([row(A)])
    size = journal.path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + size // 2, resource.RLIM_INFINITY))
    try:
        journal.add([row(B), row(C)])
    except OutputError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    # There is room again: nothing is joined to half a line.
    journal.add([row(C)])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "run the same command again to go on" in done.stdout
    with Journal(tmp_path) as journal:
        assert list(journal.rows) == [A, C]
        assert journal.damaged_lines == 0


def test_a_journal_takes_in_what_it_does_not_have(tmp_path: Path) -> None:
    failure = Failure(C, "", "jpeg", "one", 0, "awgn", 3.0, "ValueError: no")
    with Journal(tmp_path / "one") as one, Journal(tmp_path / "two") as two:
        one.add([row(A), row(B)])
        two.add([row(B), row(M)], [failure])
        one.absorb(two)
        assert list(one.rows) == [A, B, M]
        assert list(one.failures()) == [failure]
        one.absorb(two)
        assert one.path.read_bytes().count(B.encode()) == 1


def test_rows_stay_on_the_disk(tmp_path: Path) -> None:
    """What memory holds of a row is a few bytes, whatever is in it."""
    many = [row(f"{number:016x}") for number in range(3000)]
    with Journal(tmp_path) as journal:
        for start in range(0, 3000, 100):
            journal.add(many[start : start + 100])
        assert journal.rows[f"{2999:016x}"] == many[2999]
        assert [each["trial_id"] for each in journal.rows.values()] == [
            each["trial_id"] for each in many
        ]
    assert (tmp_path / JOURNAL).stat().st_size > 3000 * 500
