"""The command line as a user meets it: help, results, and one line for every mistake."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from testbed.cli import app, main
from testbed.images import load_images, read_picture

SCENARIO = """name: tiny
images:
  - {source: samples32, limit: 2}
codecs:
  - {type: semantic, name: layered}
  - {type: jpeg}
link:
  snr_db: [5, 12]
  cbr: [1/6, 1/3]
figures:
  strip: {image: 0}
"""


def invoke(*arguments: object, code: int = 0, cwd: Path | None = None) -> str:
    """stdout, or stderr if `code` is not 0, of a command in this process, without its imports."""
    out, err = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGINT)
    argv = ["testbed", *map(str, arguments)]
    try:
        with (
            mock.patch.object(sys, "argv", argv),
            redirect_stdout(out),
            redirect_stderr(err),
            chdir(cwd or Path.cwd()),
            pytest.raises(SystemExit) as ended,
        ):
            main()
    finally:
        # The command ends with it ignored.
        signal.signal(signal.SIGINT, handler)
    assert (ended.value.code or 0) == code, err.getvalue()
    return (err if code else out).getvalue()


def spawned(*arguments: object, code: int = 0) -> str:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "testbed.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def here(*arguments: object) -> str:
    """stdout of a command that succeeds, in this process: without its seconds of imports."""
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SCENARIO)
    return path


def test_help_loads_nothing_heavy() -> None:
    """What makes help slow is importing; what is heavy is imported where it is used."""
    script = (
        "import sys; sys.argv = ['testbed', '--help']\n"
        "from testbed import cli\n"
        "try: cli.app()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'numba', 'scipy', 'pandas', 'matplotlib', 'sionna', 'PIL',"
        " 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("run", "check", "list", "encode", "decode", "bench"):
        assert f"  {command} " in done.stdout


def test_run_leaves_table_manifest_and_figures(scenario: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    printed = spawned("run", scenario, "--out", out, "--workers", "1")
    assert "trials.csv: 16 rows" in printed
    assert len(pd.read_csv(out / "trials.csv")) == 16
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["scenario"]["name"] == "tiny"
    assert len(manifest["scenario_sha256"]) == 64
    assert "weights " in manifest["codecs"]["layered"]
    assert {"commit", "dirty"} <= set(manifest["code"])
    assert manifest["versions"]["torch"]
    assert manifest["threads_per_worker"] == 1
    assert len(manifest["images"][0]["sha256"]) == 64
    for stem in ("psnr_vs_snr", "ssim_vs_snr", "psnr_vs_bandwidth", "ssim_vs_bandwidth"):
        for suffix in ("png", "pdf"):
            assert (out / "figures" / f"{stem}_32x32.{suffix}").stat().st_size > 5000
    assert (out / "figures" / "strip_awgn.png").stat().st_size > 5000


def test_check_prints_the_link_budget(scenario: Path) -> None:
    printed = invoke("check", scenario)
    assert "(1024, 2048)" in printed
    assert "ok; 16 trials" in printed
    # Es/N0 12 dB at 16QAM of rate 1/2: Eb/N0 is 10 log10(2) less.
    assert "8.99" in printed


def test_list_names_what_a_scenario_may_use() -> None:
    printed = invoke("list")
    for name in ("semantic", "jpeg", "paper", "rayleigh_block", "256qam", "samples32", "ms_ssim"):
        assert name in printed
    for profile, words in (("paper", "the paper's scheme"), ("embedded", "one embedded stream")):
        assert f"  {profile}: {words}" in printed


@pytest.mark.parametrize("script", ["deepjscc", "classifier"])
def test_every_training_has_its_own_help(script: str) -> None:
    printed = invoke("train", script, "--help")
    assert ("--cbr" in printed) == (script == "deepjscc")
    assert ("Train the classifier" in printed) == (script == "classifier")


def test_encode_and_decode_files(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (21, 18, 3)).astype(np.uint8)
    picture = tmp_path / "noise.png"
    Image.fromarray(pixels).save(picture)
    printed = invoke("encode", picture, "--out", tmp_path / "coded")
    coded = tmp_path / "coded" / "noise.sctb"
    sizes = [int(line.split()[1]) for line in printed.splitlines() if line.startswith("  ")]
    index = int(printed.split("index ")[1].split()[0])
    assert len(sizes) == 9
    assert coded.stat().st_size == index + sum(sizes)
    invoke("decode", coded, "--out", tmp_path / "all")
    assert np.array_equal(read_picture(tmp_path / "all" / "noise.png"), pixels)
    printed = invoke("decode", coded, "--out", tmp_path / "some", "--layers", "3")
    assert "3 whole layers" in printed
    assert read_picture(tmp_path / "some" / "noise.png").shape == pixels.shape
    again = spawned("decode", coded, "--out", tmp_path / "some", code=1)
    assert "--force" in again
    # A file that was cut in transit still gives what came.
    coded.write_bytes(coded.read_bytes()[: index + sum(sizes[:2]) + 5])
    assert "2 whole layers" in invoke("decode", coded, "--out", tmp_path / "cut")


@pytest.mark.parametrize("profile", ["paper", "embedded"])
def test_files_are_cut_at_any_number_of_bytes(tmp_path: Path, profile: str) -> None:
    [picture] = load_images("samples32", Path(), 1)
    Image.fromarray(picture.pixels).save(tmp_path / "a.png")
    sent = ("encode", tmp_path / "a.png", "--profile", profile, "--out")
    lines = here(*sent, tmp_path / "whole").splitlines()[1:]
    whole = [int(line.split()[1]) for line in lines]
    assert len(whole) == 9
    most = sum(whole[:3]) + 7
    printed = here(*sent, tmp_path / "cut", "--bytes", most)
    lines = printed.splitlines()[1:]
    assert [int(line.split()[1]) for line in lines] == [*whole[:3], 7]
    assert f"cut from {whole[3]}" in lines[3]
    assert "cut" not in lines[2]
    coded = tmp_path / "cut" / "a.sctb"
    assert coded.stat().st_size == most + int(printed.split("index ")[1].split()[0])
    part = "3 whole layers and a part of the next"
    assert part in here("decode", coded, "--out", tmp_path / "one")
    # What the link, or a transfer that broke off, would have left.
    file = tmp_path / "whole" / "a.sctb"
    file.write_bytes(file.read_bytes()[: most - sum(whole)])
    assert part in here("decode", file, "--out", tmp_path / "other")
    one, other = (read_picture(tmp_path / name / "a.png") for name in ("one", "other"))
    assert np.array_equal(one, other)
    assert "3 whole layers\n" in here("decode", coded, "--out", tmp_path / "o", "--layers", 3)
    # Exactly at the end of a layer nothing is cut.
    here(*sent, tmp_path / "even", "--bytes", sum(whole[:2]))
    even = here("decode", tmp_path / "even" / "a.sctb", "--out", tmp_path / "even")
    assert "2 whole layers\n" in even


def test_what_is_about_the_papers_scheme_refuses_another_profile(tmp_path: Path) -> None:
    error = invoke("reproduce", "table1", "--profile", "embedded", "--out", tmp_path, code=1)
    assert error.strip() == "the profile 'embedded' is not of the paper's scheme"
    assert not list(tmp_path.iterdir())


MISTAKES = {
    "unknown key": (("snr_db: [5, 12]", "snr: [5, 12]"), 8, "snr_db"),
    "wrong type": (("snr_db: [5, 12]", "snr_db: [five]"), 8, "number"),
    "1e-3 as text": (("snr_db: [5, 12]", "snr_db: [5, 1e-3]"), 8, "1.0e-3"),
    "empty SNR list": (("snr_db: [5, 12]", "snr_db: []"), 8, "at least one value"),
    "broken YAML": (("link:", "link: ["), 7, ""),
    "unknown codec": (("type: jpeg", "type: jpg"), 6, "jpeg"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_in_the_scenario_is_one_line(scenario: Path, kind: str) -> None:
    (old, new), line, words = MISTAKES[kind]
    scenario.write_text(SCENARIO.replace(old, new, 1))
    error = invoke("run", scenario, "--out", scenario.parent / "out", code=1)
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1
    if kind != "broken YAML":
        assert error.startswith(f"{scenario}:{line}:")
    assert words in error


def test_missing_and_foreign_images_are_one_line(scenario: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for source in ("nowhere.png", "text.png"):
        (tmp_path / "text.png").write_text("not a picture")
        scenario.write_text(SCENARIO.replace("samples32", source))
        error = invoke("run", scenario, "--out", out, code=1)
        assert "Traceback" not in error
        assert len(error.strip().splitlines()) == 1
        assert source in error


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_scenario_that_is_not_there(tmp_path: Path, command: str) -> None:
    error = spawned(command, tmp_path / "none.yaml", code=1)
    assert "none.yaml" in error
    assert len(error.strip().splitlines()) == 1


def test_an_output_folder_that_cannot_be_written(scenario: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = invoke("run", scenario, "--out", tmp_path / "file" / "out", code=1)
    assert len(error.strip().splitlines()) == 1
    assert "--out" in error


def test_unknown_weights_and_broken_files(scenario: Path, tmp_path: Path) -> None:
    error = invoke("run", scenario, "--set", "codecs.0.profile=nonesuch", code=1)
    assert "no weights for the profile 'nonesuch'" in error
    (tmp_path / "x.sctb").write_bytes(b"SCTB")
    (tmp_path / "y.sctb").write_bytes(b"something else")
    for file in ("x.sctb", "y.sctb", "missing.sctb"):
        error = invoke("decode", tmp_path / file, "--out", tmp_path, code=1)
        assert len(error.strip().splitlines()) == 1
        assert file in error


def test_encode_never_writes_two_pictures_to_one_file(tmp_path: Path) -> None:
    for suffix in ("png", "bmp"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"a.{suffix}")
    error = invoke(
        "encode", tmp_path / "a.png", tmp_path / "a.bmp", "--out", tmp_path / "out", code=1
    )
    assert "would both become" in error
    assert not (tmp_path / "out").exists()
    assert "it is a folder" in invoke("encode", tmp_path, "--out", tmp_path / "out", code=1)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("image: 0", "image: 99", 11, "below 2"),
        ("image: 0", "image: nosuch", 11, "00_astronaut"),
        ("image: 0", "image: 0, snr_db: [5, 7]", 11, "7 dB is not simulated; there are 5, 12"),
    ],
)
def test_a_strip_that_cannot_be_is_refused_before_anything_runs(
    scenario: Path, old: str, new: str, line: int, words: str
) -> None:
    scenario.write_text(SCENARIO.replace(old, new))
    error = invoke("check", scenario, code=1)
    assert re.match(rf"{re.escape(str(scenario))}:{line}:[0-9]+: figures\.strip", error)
    assert words in error
    assert len(error.strip().splitlines()) == 1


def test_a_picture_that_a_codec_refuses_is_one_line(tmp_path: Path) -> None:
    Image.new("RGB", (66000, 2)).save(tmp_path / "long.png")
    file = tmp_path / "long.yaml"
    file.write_text("images: long.png\ncodecs: [{type: semantic}]\nlink: {snr_db: 10}\n")
    for workers in (1, 2):
        error = invoke("run", file, "--out", tmp_path / "o", "--workers", workers, code=1)
        assert "long.png" in error.strip().splitlines()[-1]
        assert "Traceback" not in error
    error = invoke("encode", tmp_path / "long.png", "--out", tmp_path / "o", code=1)
    assert len(error.strip().splitlines()) == 1
