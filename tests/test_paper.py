"""What an author copies, of a small run: tables against the run's own CSV, LaTeX that is whole."""

import csv
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from running import run as simulate

from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.statistics import write_statistics
from testbed.evaluation.trials_table import METRICS
from testbed.language.scenario_loading import load_scenario
from testbed.reporting.paper.deltas import deltas
from testbed.reporting.paper.latex_lists import delta_tables
from testbed.reporting.paper.result_groups import groups
from testbed.reporting.paper.writing import write_paper
from testbed.reporting.report_run import report_runs
from testbed.reporting.saved_drawing import SavedDrawing
from testbed.running.plan import plan

SCENARIO = """
images: {source: samples32, limit: 5}
repetitions: 2
codecs:
  - {type: jpeg, name: jpeg_plain}
  - {type: jpeg, name: progressive_1, progressive: true, headers: payload}
  - {type: webp}
link: {modulation: qpsk}
sweeps:
  - {channel: [awgn, rayleigh_block], cbr: 1/4, snr_db: [0, 1, 2, 3, 4, 5, 6, 7, 8]}
  - {snr_db: 12, cbr: [1/6, 1/5, 1/4, 1/3, 1/2]}
"""
FILES = ["tables.tex", "figures.tex", "methods.md", "references.bib", "deltas.csv"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("run")
    path = folder / "small_run.yaml"
    path.write_text(SCENARIO)
    planned = plan(load_scenario(path))
    simulate(planned, folder)
    write_statistics(folder / "trials.csv", METRICS, "jpeg_plain", folder)
    said = {
        "scenario": planned.scenario.canonical(),
        "scenario_sha256": planned.scenario.scenario_hash,
        "trials": len(planned.trials),
        "trials_without_rows": 0,
        "certification": None,
        "codecs": planned.fingerprints,
        # All that LaTeX takes for commands.
        "codec_labels": {"jpeg_plain": "jpeg_plain 50 %", "progressive_1": "p & #1 {x}",
                         "webp": "webp ~^\\$"},
        "reference": "jpeg_plain",
        "metrics": {name: {"label": text, "higher_is_better": True}
                    for name, text in METRICS.items()},
        "images": [{"name": image.name, "sha256": image.sha256, "shape": [32, 32, 3]}
                   for image in planned.images],
        "code": {"commit": None, "dirty": None},
        "versions": {"python": "3.11.2", "semcom-testbed": "0.1.0"},
    }  # fmt: skip
    return RunFolder(folder, said, folder)


@pytest.fixture(scope="module")
def paper(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper")
    drawing = folder / "figures" / "psnr_vs_snr=1.pdf"
    drawing.parent.mkdir()
    _draw(drawing)
    drawings = [
        SavedDrawing("small", drawing.stem, "T", "50 % of all & more.", "quality", [drawing])
    ]
    assert [path.name for path in write_paper([run], drawings, folder)] == FILES
    return folder


def _draw(path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2))
    figure.add_subplot().plot([0, 1])
    figure.savefig(path)


def test_latex_is_whole(paper: Path) -> None:
    """Environments close, braces match, every row has as many cells as its table has columns."""
    for name in ("tables.tex", "figures.tex"):
        text = (paper / name).read_text()
        open_: list[str] = []
        for kind, environment in re.findall(r"\\(begin|end)\{([a-z*]+)\}", text):
            if kind == "begin":
                open_.append(environment)
            else:
                assert open_.pop() == environment
        assert not open_
        bare = re.sub(r"\\[\\{}]", "", text)
        assert bare.count("{") == bare.count("}")
        assert text.count(r"\label{") == len(set(re.findall(r"\\label\{([^}]*)\}", text)))
    text = (paper / "tables.tex").read_text()
    tabulars = re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", text, re.S)
    assert tabulars
    for spec, body in tabulars:
        for row in re.findall(r"^(.*?) \\\\$", body, re.M):
            if "multicolumn" not in row:
                assert len(re.findall(r"(?<!\\)&", row)) == len(spec) - 1, row
    assert max(len(spec) for spec, _ in tabulars) <= 10
    assert r"jpeg\_plain 50 \%" in text
    assert r"p \& \#1 \{x\}" in text


def test_numbers_are_those_of_the_statistics(run: RunFolder, paper: Path) -> None:
    text = (paper / "tables.tex").read_text()
    with (run.path / "statistics.csv").open() as file:
        rows = [
            row for row in csv.DictReader(file)
            if row["codec"] == "webp" and row["channel"] == "rayleigh_block"
        ]  # fmt: skip
    assert len(rows) == 9
    row_of_webp = r"^webp [^&]*& (.*?) \\\\$"
    panels = re.findall(
        rf"Rayleigh block.*?PSNR \(dB\).*?{row_of_webp}.*?Failed.*?{row_of_webp}", text, re.S | re.M
    )
    cells = [cell for panel, _ in panels[:2] for cell in panel.split(" & ")]
    failed = [cell for _, panel in panels[:2] for cell in panel.split(" & ")]
    assert len(cells) == 9
    for cell, share, row in zip(cells, failed, rows, strict=True):
        found = re.search(r"(-?[0-9.]+)(?:_\{\\pm([0-9.]+)\})?", cell)
        assert found
        digits = len(found[1].partition(".")[2])
        assert abs(float(found[1]) - float(row["psnr_db"])) <= 0.5 * 10**-digits + 1e-9
        half = (float(row["psnr_high_db"]) - float(row["psnr_low_db"])) / 2
        assert abs(float(found[2]) - half) <= 0.5 * 10**-digits + 1e-9
        assert abs(float(re.sub("[^0-9.]", "", share)) - 100 * float(row["failed"])) <= 0.5


def test_the_best_is_bold(run: RunFolder, paper: Path) -> None:
    """Of the bandwidth sweep: the codec of the greatest mean in each column."""
    (group,) = (each for each in groups(run) if each.axis == "cbr")
    text = (paper / "tables.tex").read_text()
    body = re.search(r"by CBR: AWGN.*?PSNR \(dB\).*?\\\\\n(.*?)\\midrule", text, re.S)
    assert body
    lines = [line.removesuffix(r" \\").split(" & ") for line in body[1].strip().splitlines()]
    for column, x in enumerate(group.x):
        means = [float(row[x]["psnr_db"]) for row in group.rows.values()]
        is_bold = [r"\mathbf" in cells[-len(group.x) + column] for cells in lines]
        assert is_bold[means.index(max(means))]


def test_rows_of_deltas_say_what_tells_them_apart(run: RunFolder) -> None:
    (each,) = report_runs([run])
    rows = [row for row in deltas([run]) if row["axis"] == "snr_db"]
    others = [row | {"cbr": "0.166667"} for row in rows]
    text = "".join(delta_tables(each, rows + others))
    lines = [line for line in text.splitlines() if "& SNR &" in line]
    assert len(lines) == len(set(lines)) > 2
    for cbr in ("1/4", "1/6"):
        assert any(f"AWGN, QPSK rate 1/2, CBR {cbr} " in line for line in lines)
    assert "positive SNR gain" in text


def test_the_setting_of_differences_is_in_the_caption(paper: Path) -> None:
    text = (paper / "tables.tex").read_text()
    captions = re.findall(r"minus that of .*?channel draw; (.*?)\. ", text)
    assert "AWGN, QPSK rate 0.5, CBR 1/4, 32x32" in captions
    assert "Rayleigh block fading, QPSK rate 0.5, CBR 1/4, 32x32" in captions


def test_groups_show_every_point_once_along_each_axis(run: RunFolder) -> None:
    found = groups(run)
    assert [(each.axis, len(each.x), len(each.rows)) for each in found] == [
        # The tenth SNR is that of the bandwidth sweep, at the same bandwidth.
        ("snr_db", 10, 3), ("snr_db", 9, 3), ("cbr", 5, 3),
    ]  # fmt: skip
    assert [len(part.x) for part in found[0].parts(6)] == [5, 5]
    shown = {record.name for each in found for record in each.records}
    assert shown == set(run.statistics.index)


def test_words_and_references(paper: Path) -> None:
    text = (paper / "methods.md").read_text()
    bib = (paper / "references.bib").read_text()
    keys = set(re.findall(r"@([\w-]+)", re.sub(r"\(.*?\)", lambda m: m[0], text)))
    assert {"webp", "jpeg", "bjontegaard2001", "semcom-testbed"} <= keys
    assert set(re.findall(r"^@\w+\{([\w-]+),", bib, re.M)) == keys


def test_figures_have_the_width_that_they_were_drawn_for(paper: Path) -> None:
    text = (paper / "figures.tex").read_text()
    assert r"\includegraphics[width=\textwidth]{figures/psnr_vs_snr=1.pdf}" in text
    assert r"\caption{50 \% of all \& more.}" in text
    assert r"\label{fig:psnr-vs-snr-1}" in text


def test_the_same_bytes_again(run: RunFolder, paper: Path, tmp_path: Path) -> None:
    write_paper([run], [], tmp_path)
    for name in FILES:
        if name != "figures.tex":
            assert (tmp_path / name).read_bytes() == (paper / name).read_bytes()


def test_two_runs_of_one_name_are_told_apart(run: RunFolder, tmp_path: Path) -> None:
    write_paper([run, run], [], tmp_path)
    names = re.findall(r"\\label\{([^}]*)\}", (tmp_path / "tables.tex").read_text())
    assert len(names) == len(set(names))
    assert len(deltas([run, run])) == 2 * len(deltas([run]))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX")
def test_latex_compiles(paper: Path, tmp_path: Path) -> None:
    (tmp_path / "document.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs}\usepackage{graphicx}"
        rf"\graphicspath{{{{{paper}/}}}}"
        rf"\begin{{document}}\input{{{paper}/tables}}\input{{{paper}/figures}}\end{{document}}"
    )
    found = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-2000:]
    assert "Overfull" not in found.stdout
