"""Folders of runs as reports read them: whole, interrupted, empty, of another version."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from testbed.commands.run_command import RunOptions, run_scenario
from testbed.evaluation.run_folder import RunFolderError, open_run

SCENARIO = """
seed: 1
repetitions: 2
images: {source: samples32, limit: 6}
codecs: [{type: jpeg}, {type: webp}]
link: {channel: awgn, modulation: qpsk, code_rate: 1/2, cbr: 1/3, fidelity: tables, snr_db: [0, 3]}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    file = folder / "two.yaml"
    file.write_text(SCENARIO)
    run_scenario(file, [], ["testbed"], RunOptions(folder / "out", workers=1, quiet=True))
    return folder / "out"


def test_a_whole_run(finished: Path, tmp_path: Path) -> None:
    run = open_run(finished, tmp_path / "scratch")
    assert (run.name, run.codecs, run.reference, run.notes) == ("two", ("jpeg", "webp"), "jpeg", ())
    assert run.labels["jpeg"] == "jpeg (abbreviated)"
    assert [each.column for each in run.metrics] == ["psnr_db", "ssim"]
    assert len(run.trials()) == run.statistics["trials"].sum() == 48
    assert len(run.differences) == 2 and run.comparison is None
    assert run.certification is not None and run.certification["violated"] == 0
    assert not (tmp_path / "scratch").exists()


def test_an_interrupted_run_is_what_its_journal_holds(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(finished, folder)
    whole = pd.read_csv(folder / "trials.csv")
    for name in ("trials.csv", "statistics.csv", "differences.csv", "certification.json"):
        (folder / name).unlink()
    manifest = json.loads((folder / "manifest.json").read_text()) | {"finished_utc": None}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    # The last line is torn.
    (folder / "journal.jsonl").write_bytes(b"".join(lines[:31]) + lines[31][:40])
    run = open_run(folder, tmp_path / "scratch")
    assert "31 of 48 trials" in run.notes[0]
    found = run.trials()
    assert len(found) == run.statistics["trials"].sum() == 31
    merged = found.merge(whole, on="trial_id", suffixes=("", "_whole"))
    assert len(merged) == 31
    assert merged["psnr_db"].equals(merged["psnr_db_whole"])
    assert run.certification is None


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _without_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _of_another_version(folder: Path) -> None:
    content = json.loads((folder / "manifest.json").read_text())
    del content["codec_labels"]
    (folder / "manifest.json").write_text(json.dumps(content))


def _of_a_shard(folder: Path) -> None:
    content = json.loads((folder / "manifest.json").read_text()) | {"shard": "1/3"}
    (folder / "manifest.json").write_text(json.dumps(content))


def _no_json(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def _nothing_simulated(folder: Path) -> None:
    (folder / "trials.csv").unlink()
    (folder / "journal.jsonl").write_text("")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, "found nothing of that name"),
        (_emptied, "the folder is empty"),
        (_without_manifest, r"no manifest\.json.*goes on"),
        (_of_another_version, "another version"),
        (_of_a_shard, "part 1/3.*testbed merge"),
        (_no_json, "cannot be read"),
        (_nothing_simulated, "no finished trial"),
    ],
)
def test_folders_that_say_nothing(
    finished: Path, tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    folder = tmp_path / "out"
    shutil.copytree(finished, folder)
    change(folder)
    with pytest.raises(RunFolderError, match=message):
        open_run(folder, tmp_path / "scratch")
