"""`testbed report`: the page against the run's tables read by other means; bad input."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
from PIL import Image
from report_parts import SCENARIO, Page, one_figure, with_pictures
from typer.testing import CliRunner

from testbed.cli import app
from testbed.commands.report_command import IncompleteReport, WidthError, write_report
from testbed.commands.run_command import RunOptions, run_scenario
from testbed.evaluation.run_folder import RunFolder, RunFolderError, open_run
from testbed.figures import catalogue
from testbed.figures.drawing import Drawing, Width, save_drawing
from testbed.language.scenario_loading import load_scenario
from testbed.reporting.html import curve_data, data_table, html_report, ledger_table
from testbed.reporting.html.curve_data import chart_data
from testbed.reporting.html.inlining import Room
from testbed.reporting.html.limitations import limitations
from testbed.reporting.html.link_budget_table import BUDGET_CSV, write_budget
from testbed.reporting.html.pictures_data import picture_data
from testbed.reporting.html.rerun import needs_files, scenario_yaml
from testbed.reporting.html.shared_points import shared_points
from testbed.reporting.html.summary import standings
from testbed.reporting.report_run import report_runs
from testbed.running.plan import plan

HOSTILE = "</script><img src=x onerror=alert(1)> & \u2028 \"'{{ 7*7 }}"


@pytest.fixture(autouse=True)
def _quick_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MAKERS", (one_figure,))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, with its link budget."""
    folder = tmp_path_factory.mktemp("run")
    file = folder / "two.yaml"
    file.write_text(SCENARIO)
    run_scenario(file, [], ["testbed"], RunOptions(folder / "out", workers=1, quiet=True))
    write_budget(plan(load_scenario(file, [])), folder / "out")
    return folder / "out"


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(finished, tmp_path / "out"))


def _changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _report(*folders: Path, out: Path) -> Page:
    write_report(folders, out, "column")
    return Page(out / "report.html")


def test_curves_are_the_means_of_the_trials(finished: Path, tmp_path: Path) -> None:
    """Of trials.csv, read without pandas: every point once, with its mean and its failures."""
    source = _report(finished, out=tmp_path).data["curves"][0]
    facets = {each["id"]: each for each in source["facets"]}
    metrics = {each["id"]: each for each in source["metrics"]}
    schemes = {"qpsk": "QPSK rate 0.5", "16qam": "16QAM rate 0.5"}
    channels = {"awgn": "AWGN", "rayleigh_block": "Rayleigh block fading"}
    expected = defaultdict(list)
    with (finished / "trials.csv").open() as file:
        for row in csv.DictReader(file):
            key = (
                row["codec"], channels[row["channel"]], schemes[row["modulation"]],
                float(row["snr_db"]),
            )  # fmt: skip
            expected[key].append((float(row["psnr_db"]), row["failed"] == "True"))
    found = {}
    for row, series in enumerate(source["of"]):
        words = [facets[name]["values"][facets[name]["of"][row]] for name in ("channel", "scheme")]
        key = (source["series"][series]["codec"], *words, source["axes"][0]["x"][row])
        found[key] = metrics["psnr_db"]["mean"][row], source["failed"][row]
    assert found.keys() == expected.keys() and len(source["of"]) == len(found) == 24
    for key, trials in expected.items():
        psnr_db, failed = zip(*trials, strict=True)
        assert found[key] == pytest.approx((fmean(psnr_db), fmean(failed)), rel=1e-4)


def test_no_two_points_of_a_curve_have_one_place(finished: Path, tmp_path: Path) -> None:
    """Whatever is along the axis: the chart would join them with an upright line."""
    for source in _report(finished, out=tmp_path).data["curves"]:
        assert source["rows"] == source["shown"] == len(source["of"])
        for axis in source["axes"]:
            places = Counter(
                zip(
                    source["of"], axis["x"],
                    *(each["of"] for each in source["facets"] if each["axis"] != axis["id"]),
                    strict=True,
                )
            )  # fmt: skip
            assert set(places.values()) == {1}


def test_analog_codecs_are_at_every_scheme(finished: Path, tmp_path: Path) -> None:
    run = open_run(finished, tmp_path)
    table = run.statistics.copy()
    analog = table.iloc[:1].assign(
        codec="webp", modulation="analog", coding="none", code_rate=float("nan"),
        protection="analog",
    )  # fmt: skip
    run.__dict__["statistics"] = pd.concat([table, analog], ignore_index=True)
    source = chart_data(report_runs([run]))[0]
    facets = {each["id"]: each for each in source["facets"]}
    assert facets["scheme"]["of"][-1] == facets["tier"]["of"][-1] == -1
    assert facets["scheme"]["values"] == ["QPSK rate 0.5", "16QAM rate 0.5"]
    assert facets["channel"]["of"][-1] != -1
    assert source["series"][-1]["dash"] == 0


def test_ledger_is_that_of_the_trials(finished: Path, tmp_path: Path) -> None:
    page = _report(finished, out=tmp_path)
    with (finished / "trials.csv").open() as file:
        rows = [
            row for row in csv.DictReader(file)
            if (row["codec"], row["channel"], row["modulation"]) == ("webp", "awgn", "qpsk")
        ]  # fmt: skip
    coded = fmean(float(row["coded_bits"]) for row in rows)
    share = 100 * fmean(float(row["payload_bits"]) for row in rows) / coded
    ledger = page.text[page.text.index("Ledger of channel uses") :]
    line = ledger[ledger.index("webp") :]
    cells = line[: line.index("webp", 5)]
    assert f"{share:.1f}" in cells and f"{coded:.5g}" in cells
    parts = [float(each) for each in _numbers(html_report.ledger(open_run(finished, tmp_path)))]
    assert parts == pytest.approx([100.0] * len(parts))


def test_ledger_does_not_depend_on_chunks(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = open_run(finished, tmp_path)
    whole = ledger_table.ledger(run)
    monkeypatch.setattr(ledger_table, "CHUNK_ROWS", 7)
    chunked = ledger_table.ledger(run)
    assert whole.total == chunked.total == 8 and whole.parts == chunked.parts
    for one, other in zip(whole.rows, chunked.rows, strict=True):
        assert (one.key, one.trials, one.shares) == (other.key, other.trials, other.shares)
        assert one.spent == pytest.approx(other.spent, rel=1e-12)
    assert sum(each.trials for each in whole.rows) == 288


def _numbers(ledger: Any) -> Iterator[float]:
    for row in ledger.rows:
        yield sum(row.shares)


def test_link_budget_is_what_check_prints(finished: Path, tmp_path: Path) -> None:
    """1/3 of 3 x 32 x 32 is 1024 channel uses: 2048 bits of QPSK, half of them information."""
    with (finished / BUDGET_CSV).open() as file:
        row = next(csv.DictReader(file))
    assert (row["channel_uses"], row["k"], row["n"]) == ("1024", "1024", "2048")
    # Header 16 bits, CRC 16 bits.
    assert int(row["capacity_bytes"]) == (1024 - 32) // 8
    page = _report(finished, out=tmp_path)
    assert "0 to 6 (3)" in page.text and "capacity_bytes" in page.text
    (tmp_path / "other").mkdir()
    bare = Path(shutil.copytree(finished, tmp_path / "bare"))
    (bare / BUDGET_CSV).unlink()
    assert "left no budget.csv" in _report(bare, out=tmp_path / "other").text


def test_standings_count_intervals(finished: Path, tmp_path: Path) -> None:
    with (finished / "differences.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["channel"] == "awgn"]
    low = [float(row["psnr_difference_low_db"]) for row in rows]
    high = [float(row["psnr_difference_high_db"]) for row in rows]
    found = standings(open_run(finished, tmp_path))[0]
    assert (found.codec, found.channel) == ("webp (abbreviated)", "AWGN")
    assert found.above == sum(each > 0 for each in low)
    assert found.below == sum(each < 0 for each in high)
    assert found.points == len(rows) and found.speaks_for == "pictures like these"


def test_numbers_are_aligned_and_figures_have_words(finished: Path, tmp_path: Path) -> None:
    """Attributes that are written by expressions would be escaped, and mean nothing."""
    page = _report(finished, out=tmp_path)
    assert ("td", "class", "number") in page.attributes
    assert not [value for value in page.values("class") if '"' in value]
    assert ("img", "alt", "A line. It rises from 0 & <b>stops</b>.") in page.attributes


def test_every_run_has_its_share_of_the_room(
    finished: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(run: RunFolder, width: Width) -> Iterator[Drawing]:
        for stem in "abcd":
            yield from (replace(each, stem=stem) for each in one_figure(run, width))

    monkeypatch.setattr(catalogue, "MAKERS", (large,))
    _report(finished, folder, out=tmp_path / "r")
    svg = (tmp_path / "r" / "figures").glob("*.svg")
    room = int(4.5 * 4 / 3 * max(path.stat().st_size for path in svg))
    monkeypatch.setattr(html_report, "Room", lambda _: Room(room))
    page = _report(finished, folder, out=tmp_path / "r")
    runs = (tmp_path / "r" / "report.html").read_text().split('role="tabpanel"')[1:]
    assert [each.count('<img src="data:') for each in runs] == [2, 2]
    assert "no room left" in page.text


def test_a_long_scenario_lies_beside(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html_report, "LONGEST_SCENARIO", 100)
    monkeypatch.setattr(data_table, "MOST_INLINE_BYTES", 100)
    page = _report(folder, out=tmp_path / "report")
    assert "repetitions: 2" not in page.text
    assert "repetitions: 2" in (tmp_path / "report" / "tables" / "scenario.yaml").read_text()


def test_nothing_is_loaded_from_elsewhere(folder: Path, tmp_path: Path) -> None:
    with_pictures(folder)
    page = _report(folder, out=tmp_path / "report")
    policy = next(value for value in page.values("content") if value.startswith("default-src"))
    assert policy.split("; ") == [
        "default-src 'none'", "style-src 'unsafe-inline'", "script-src 'unsafe-inline'",
        "img-src data:",
    ]  # fmt: skip
    assert all(each.startswith("data:") for each in page.values("src"))
    for each in page.values("href"):
        inside = each.startswith("data:") or (each[0] == "#" and each[1:] in page.ids)
        assert inside or (tmp_path / "report" / each).is_file(), each
    assert not {"link", "iframe", "object"} & set(page.elements) - {"link"}
    whole = (tmp_path / "report" / "report.html").read_text()
    assert "@import" not in whole and "url(" not in whole and "fetch(" not in whole
    assert {"summary", "curves", "pictures-0", "figures-0", "rerun-0"} <= page.ids


def test_names_are_text_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    def hostile(manifest: dict[str, Any]) -> None:
        manifest["scenario"] |= {"name": HOSTILE, "description": f"{HOSTILE} \ud800"}
        manifest["codec_labels"]["jpeg"] = HOSTILE
        manifest["command"] = HOSTILE
        manifest["versions"][HOSTILE] = HOSTILE

    plain = _report(folder, out=tmp_path / "plain")
    _changed(folder, hostile)
    page = _report(folder, out=tmp_path / "hostile")
    assert Counter(page.elements)["script"] == Counter(plain.elements)["script"]
    assert Counter(page.elements)["img"] == Counter(plain.elements)["img"]
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert page.text.count(HOSTILE) >= 4
    assert page.data["curves"][0]["series"][0]["label"] == HOSTILE
    assert "\u2028" not in "".join(page.scripts)


def test_the_same_run_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    with_pictures(folder)
    for name in "ab":
        _report(folder, out=tmp_path / name)
    files = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in _files(tmp_path / name)}
        for name in "ab"
    ]
    assert files[0] == files[1] and len(files[0]) > 5


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def test_a_figure_that_fails_costs_no_other(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run: RunFolder, width: Width) -> Iterator[Drawing]:
        yield from (replace(each, stem="before") for each in one_figure(run, width))
        raise ValueError("no <such>\ncolumn")

    monkeypatch.setattr(catalogue, "MAKERS", (broken, one_figure))
    done = CliRunner().invoke(app, ["report", str(finished), "--out", str(tmp_path)])
    assert isinstance(done.exception, IncompleteReport)
    assert "figures of broken: ValueError: no <such> column" in str(done.exception)
    assert "\n" not in str(done.exception)
    page = Page(tmp_path / "report.html")
    assert "ValueError: no <such> column" in page.text
    captions = json.loads((tmp_path / "figures" / "captions.json").read_text())
    assert list(captions) == ["before", "one"] and len(captions["one"]["files"]) == 3
    assert (
        "caption-one\\endcsname{It rises from 0 \\& "
        in (tmp_path / "figures" / "captions.tex").read_text()
    )


def test_a_run_that_has_not_ended(folder: Path, tmp_path: Path) -> None:
    for name in ("trials.csv", "statistics.csv", "differences.csv", "certification.json"):
        (folder / name).unlink()
    _changed(folder, lambda manifest: manifest.update(finished_utc=None, certification=None))
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join(lines[:200]))
    page = _report(folder, out=tmp_path / "report")
    assert "200 of 288 trials" in page.text and "Not made: the run has not ended" in page.text


def test_a_single_snr(tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(SCENARIO.replace("[0, 3, 6]", "6").replace("limit: 6", "limit: 2"))
    run_scenario(file, [], ["testbed"], RunOptions(tmp_path / "out", workers=1, quiet=True))
    source = _report(tmp_path / "out", out=tmp_path / "report").data["curves"][0]
    assert [each["id"] for each in source["axes"]] == ["snr_db"]
    assert set(source["axes"][0]["x"]) == {6.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: None, "the folder is empty"),
        (lambda path: (path / "notes.txt").write_text("x"), "expected a folder of results"),
        (lambda path: path.rmdir(), "found nothing of that name"),
    ],
)
def test_folders_that_hold_no_run(
    tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    (tmp_path / "other").mkdir()
    change(tmp_path / "other")
    with pytest.raises(RunFolderError, match=message):
        write_report([tmp_path / "other"], tmp_path / "report", "column")
    assert not (tmp_path / "report").exists()


def test_a_width_that_is_none(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(WidthError, match="--width wide: expected column or page"):
        write_report([finished], tmp_path, "wide")


def test_several_runs_side_by_side(finished: Path, folder: Path, tmp_path: Path) -> None:
    table = pd.read_csv(folder / "statistics.csv", keep_default_na=False)
    table.loc[table["codec"] == "jpeg"].to_csv(folder / "statistics.csv", index=False)
    page = _report(finished, folder, out=tmp_path / "report")
    source = page.data["curves"][0]
    runs = {each["run"] for each in source["series"]}
    assert len(runs) == 2 and all(name.startswith("two") for name in runs)
    looks = defaultdict(set)
    for each in source["series"]:
        looks[each["codec"]].add((each["colour"], each["marker"]))
        assert each["run"] in each["label"]
    assert all(len(each) == 1 for each in looks.values())
    dashes = {each["run"]: each["dash"] for each in source["series"]}
    assert len(set(dashes.values())) == 2
    opened = [open_run(path, tmp_path / "s") for path in (finished, folder)]
    shared = shared_points(report_runs(opened))
    assert shared is not None and set(shared.table["codec"]) == {"jpeg"}
    assert len(shared.table) == 12
    last = shared.table[shared.table.columns[-2:]]
    assert (last.iloc[:, 0] == last.iloc[:, 1]).all()
    assert Counter(page.values("role"))["tab"] == 2
    assert len(list((tmp_path / "report" / "figures").glob("*_one.svg"))) == 2


def test_runs_of_one_name_and_one_folder(finished: Path, tmp_path: Path) -> None:
    run = open_run(finished, tmp_path)
    names = [each.name for each in report_runs([run, run])]
    assert names == ["two (out), 1", "two (out), 2"]
    assert len({each.slug for each in report_runs([run, run])}) == 2


def test_what_does_not_fit_lies_beside(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html_report, "Room", lambda _: Room(30_000))
    page = _report(finished, out=tmp_path)
    beside = [each for each in page.values("href") if each[:5] != "data:" and each[0] != "#"]
    assert beside and all((tmp_path / each).is_file() for each in beside)
    # The figure itself comes before its files, and was room enough for.
    assert any(each.startswith("data:image/svg+xml") for each in page.values("src"))


def test_a_long_table_is_cut_and_lies_beside(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_data, "MOST_ROWS", 300)
    monkeypatch.setattr(data_table, "MOST_INLINE_BYTES", 20_000)
    table = pd.read_csv(folder / "statistics.csv", keep_default_na=False)
    long = pd.concat([table.assign(snr_db=table["snr_db"] + 10 * n) for n in range(15)])
    long.to_csv(folder / "statistics.csv", index=False)
    page = _report(folder, out=tmp_path / "report")
    source = page.data["curves"][0]
    assert (source["shown"], source["rows"], len(source["of"])) == (300, 360, 300)
    assert "The first 250 of 360 rows" in page.text
    copied = tmp_path / "report" / "tables" / "statistics.csv"
    assert copied.read_bytes() == (folder / "statistics.csv").read_bytes()


def test_pictures_of_the_folder_alone(folder: Path, tmp_path: Path) -> None:
    with_pictures(folder)
    table = folder / "examples" / "pictures.csv"
    secret = tmp_path / "secret.png"
    shutil.copy(folder / "examples" / "jpeg_0.png", secret)
    table.write_text(table.read_text().replace("jpeg_1.png", f"../../{secret.name}"))
    (folder / "examples" / "webp_1.png").write_bytes(b"no PNG")
    (folder / "examples" / "webp_2.png").unlink()
    (folder / "examples" / "webp_2.png").symlink_to(secret)
    pictures = _report(folder, out=tmp_path / "report").data["pictures"][0]
    assert set(pictures["files"]) == {"original.png", "jpeg_0.png", "jpeg_2.png", "webp_0.png"}
    setting = pictures["settings"][0]
    assert (setting["title"], setting["snrs_db"]) == ("AWGN", [0.0, 6.0])
    jpeg, webp = setting["codecs"]
    assert jpeg["at"][0]["words"] == "failed: mid-grey stands in, 20.0 dB, SSIM 0.500"
    assert webp["at"][1] is None


def test_large_pictures_are_thinned(folder: Path, tmp_path: Path) -> None:
    with_pictures(folder, (0.0, 2.0, 4.0, 6.0))
    sizes = [path.stat().st_size for path in (folder / "examples").glob("*.png")]
    run = open_run(folder, tmp_path)
    pictures = picture_data(run, sum(sizes) - 1)
    assert pictures is not None and pictures["thinned"]
    assert pictures["settings"][0]["snrs_db"] == [2.0, 6.0]
    whole = picture_data(run, sum(sizes))
    assert whole is not None and not whole["thinned"]
    assert picture_data(run, 10) is None


def test_limitations_follow_the_run(finished: Path, tmp_path: Path) -> None:
    run = open_run(finished, tmp_path)
    words = " ".join(limitations(run))
    assert "block error tables" in words and "receiver knows the gain" in words
    assert "samples32" in words and "Headers of jpeg (abbreviated), webp (abbreviated)" in words
    assert "HARQ" not in words and "Analog" not in words and "plug-ins" not in words
    assert "there are 6 pictures" in words
    again = run.statistics.assign(fidelity="exact", transmissions_allowed=2, channel="awgn")
    run.__dict__["statistics"] = again.assign(images=40)
    words = " ".join(limitations(run))
    assert "HARQ" in words and "tables" not in words and "gain" not in words
    assert "40 pictures" not in words


def _scenarios() -> list[Path]:
    return sorted(Path("scenarios").rglob("*.yaml"))


@pytest.mark.parametrize("file", _scenarios(), ids=lambda path: path.stem)
def test_the_scenario_runs_again_as_it_was(file: Path, tmp_path: Path) -> None:
    """Every scenario that ships, by its hash; one with a file of its author's says so."""
    scenario = load_scenario(file, [])
    run = cast("RunFolder", SimpleNamespace(scenario=scenario.canonical()))
    if needs_files(run):
        assert "file:" in file.read_text()
        return
    again = tmp_path / file.name
    again.write_text(scenario_yaml(run))
    found = load_scenario(again, [])
    if len(scenario.variants) == 1:
        assert found.scenario_hash == scenario.scenario_hash
    # Variants of a grid become cases, of other names.
    assert [each.scenario.canonical() for each in found.variants] == [
        each.scenario.canonical() for each in scenario.variants
    ]


def test_formats_of_a_figure_agree(finished: Path, tmp_path: Path) -> None:
    """The layout is made once: PDF and SVG have one size, PNG is longer by its caption alone."""
    drawing = next(one_figure(open_run(finished, tmp_path), "column"))
    files = {path.suffix: path for path in save_drawing(drawing, tmp_path)}
    png, pdf, svg = (files[suffix] for suffix in (".png", ".pdf", ".svg"))
    head = svg.read_text()[:2000]
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', head)
    box = re.search(rb"/MediaBox \[ *0 0 ([\d.]+) ([\d.]+)", pdf.read_bytes())
    assert found and box
    sides = [float(each) for each in found.groups()]
    assert [float(each) for each in box.groups()] == pytest.approx(sides, abs=0.01)
    with Image.open(png) as picture:
        width, height = (72 / 200 * each for each in picture.size)
    assert width == pytest.approx(sides[0], abs=0.5)
    assert 5 < height - sides[1] < 20
