"""The journal survives what happens to files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from testbed.errors import OutputError
from testbed.journal import JOURNAL, Journal
from testbed.simulation import COLUMNS, OBSERVED


def row(trial_id: str) -> dict:
    return dict.fromkeys(COLUMNS, 1.5) | {"trial_id": trial_id, OBSERVED: {"symbols": 3}}


def test_rows_are_there_the_next_time(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add([row("a"), row("b") | {"psnr_db": float("inf"), "ssim": 0.1 + 0.2}])
    with Journal(tmp_path) as journal:
        assert journal.rows == {
            "a": row("a"),
            "b": row("b") | {"psnr_db": float("inf"), "ssim": 0.30000000000000004},
        }
        assert journal.damaged_lines == 0


def test_rows_keep_the_metrics_that_were_asked_for(tmp_path: Path) -> None:
    with_metric = dict.fromkeys((*COLUMNS, "ms_ssim"), 0.5) | {"trial_id": "m", OBSERVED: None}
    with Journal(tmp_path) as journal:
        journal.add([row("a"), with_metric])
    with Journal(tmp_path) as journal:
        assert journal.rows == {"a": row("a"), "m": with_metric}
        assert (journal.damaged_lines, journal.other_lines) == (0, 0)


def test_a_torn_last_line_is_dropped_and_written_over(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add([row("a"), row("b")])
    path = tmp_path / JOURNAL
    path.write_bytes(path.read_bytes()[:-30])
    with Journal(tmp_path) as journal:
        assert list(journal.rows) == ["a"]
        journal.add([row("c")])
    with Journal(tmp_path) as journal:
        assert list(journal.rows) == ["a", "c"]
        assert journal.damaged_lines == 0


def test_damaged_lines_cost_only_themselves(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add([row("a"), row("b")])
    path = tmp_path / JOURNAL
    path.write_bytes(b'\xff\xfe\n{"id": "x"}\n[]\n' + path.read_bytes())
    with Journal(tmp_path) as journal:
        assert list(journal.rows) == ["a", "b"]
        assert (journal.damaged_lines, journal.other_lines) == (3, 0)


def test_rows_of_another_version_are_no_damage(tmp_path: Path) -> None:
    """They are simulated again, and stay where they are for who goes back to that version."""
    earlier = {key: value for key, value in row("a").items() if key != OBSERVED}
    (tmp_path / JOURNAL).write_text(json.dumps(earlier) + "\n")
    with Journal(tmp_path) as journal:
        assert (list(journal.rows), journal.damaged_lines, journal.other_lines) == ([], 0, 1)
        journal.add([row("a")])
    with Journal(tmp_path) as journal:
        assert journal.rows == {"a": row("a")}
        assert (journal.damaged_lines, journal.other_lines) == (0, 1)


def test_two_runs_on_one_folder_are_refused(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(OutputError, match="another run is writing there"):
        Journal(tmp_path)


def test_a_folder_that_cannot_be_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another folder with --out"):
        Journal(tmp_path / "file" / "results")
