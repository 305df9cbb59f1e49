"""Folders of results that are not what they should be: one line that says what, and never more."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report_parts import SCENARIO, one_figure, with_pictures

from testbed.commands.report_command import DamagedRun, write_report
from testbed.commands.run_command import RunOptions, run_scenario
from testbed.errors import TestbedError
from testbed.evaluation.folder_checks import MOST_BYTES
from testbed.evaluation.run_folder import RunFolderError
from testbed.figures import catalogue
from testbed.reporting.html.pictures_data import picture_data

Change = Callable[[Path], object]


@pytest.fixture(autouse=True)
def _quick_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MAKERS", (one_figure,))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    file = folder / "two.yaml"
    file.write_text(SCENARIO.replace("[0, 3, 6]", "6").replace("limit: 6", "limit: 2"))
    run_scenario(file, [], ["testbed"], RunOptions(folder / "out", workers=1, quiet=True))
    return folder / "out"


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "out"))


def _json(name: str, **values: object) -> Change:
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | values))

    return change


def _scenario(**values: object) -> Change:
    def change(folder: Path) -> None:
        content = json.loads((folder / "manifest.json").read_text())
        content["scenario"] |= values
        (folder / "manifest.json").write_text(json.dumps(content))

    return change


def _cell(name: str, column: str, value: str | None) -> Change:
    """The column's first cell; the column itself goes with None."""

    def change(folder: Path) -> None:
        table = pd.read_csv(folder / name, keep_default_na=False, dtype=str)
        if value is None:
            del table[column]
        else:
            table.loc[0, column] = value
        table.to_csv(folder / name, index=False)

    return change


def _nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(depth):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_json("manifest.json", scenario="x"), "scenario: expected a valid dictionary"),
        (_json("manifest.json", versions=None), "versions: expected a valid dictionary"),
        (_json("manifest.json", images=[{"shape": ["a", 1]}]), "images.0.shape.0: expected"),
        (_json("manifest.json", trials=float("nan")), "trials: expected a valid integer"),
        (_json("manifest.json", metrics=["psnr_db"]), "metrics: expected"),
        (_scenario(name="x" * 10**6), "scenario.name: .* at most 500"),
        (_scenario(codecs=[{}]), r"scenario.codecs.0.name: Field required"),
        (_json("certification.json", passed="all"), "passed: expected"),
        (_cell("statistics.csv", "snr_db", None), "expected a column 'snr_db'"),
        (_cell("statistics.csv", "snr_db", "six"), "'snr_db': expected numbers, found 'six'"),
        (_cell("statistics.csv", "cbr", "inf"), "'cbr': expected finite numbers"),
        (_cell("statistics.csv", "codec", "<b>"), "codec '<b>' is not in the manifest"),
        (_cell("statistics.csv", "size", "../.."), "'size': expected such as '384x256'"),
        (_cell("differences.csv", "psnr_difference_low_db", "x"), "expected numbers"),
        (_cell("trials.csv", "parity_bits", None), "trials.csv: cannot be read"),
        (lambda folder: os.truncate(folder / "manifest.json", 1 << 40), "128 MiB at most"),
        (lambda folder: os.truncate(folder / "statistics.csv", MOST_BYTES + 1), "at most"),
        (lambda folder: (folder / "statistics.csv").write_bytes(b"\xff\x00"), "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    folder: Path, tmp_path: Path, change: Change, message: str
) -> None:
    change(folder)
    with pytest.raises(RunFolderError, match=message) as raised:
        write_report([folder], tmp_path / "report", "column")
    words = str(raised.value)
    assert "\n" not in words and len(words) < 500 and str(folder) in words
    assert not (tmp_path / "report" / "report.html").exists()


def test_what_no_check_foresees_is_a_line_too(folder: Path, tmp_path: Path) -> None:
    _scenario(extra=_nested(600))(folder)
    with pytest.raises(DamagedRun, match="no report can be made"):
        write_report([folder], tmp_path / "report", "column")


@pytest.mark.parametrize(
    "file", ["x" * 5000 + ".png", "../../secret.png", "/etc/passwd", 'x" onload="y.svg', "\u2028"]
)
def test_names_of_pictures_lead_nowhere(folder: Path, tmp_path: Path, file: str) -> None:
    with_pictures(folder)
    shutil.copy(folder / "examples" / "jpeg_0.png", tmp_path / "secret.png")
    _cell("examples/pictures.csv", "file", file)(folder)
    write_report([folder], tmp_path / "report", "column")
    assert file not in (tmp_path / "report" / "report.html").read_text()


def test_examples_that_are_a_link_are_not_shown(folder: Path, tmp_path: Path) -> None:
    from testbed.evaluation.run_folder import open_run

    with_pictures(folder)
    assert picture_data(open_run(folder, tmp_path), 1 << 20)
    (folder / "examples").rename(tmp_path / "elsewhere")
    (folder / "examples").symlink_to(tmp_path / "elsewhere")
    assert picture_data(open_run(folder, tmp_path), 1 << 20) is None


@pytest.mark.parametrize("snr_db", ["nan", "inf"])
def test_pictures_without_an_snr_are_left_out(folder: Path, tmp_path: Path, snr_db: str) -> None:
    with_pictures(folder)
    _cell("examples/pictures.csv", "snr_db", snr_db)(folder)
    write_report([folder], tmp_path / "report", "column")


def test_labels_that_look_like_yaml_stay_labels(folder: Path, tmp_path: Path) -> None:
    _scenario(link={"channel": ["rician(k={)"]})(folder)
    try:
        write_report([folder], tmp_path / "report", "column")
    except TestbedError as error:
        assert "files for a paper" in str(error)
    assert "rician(k={)" in (tmp_path / "report" / "report.html").read_text()
