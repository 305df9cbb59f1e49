"""Runs: the same table for any workers, batches, order and interruptions; costs add up."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import running
from run_folders import run_folder

from channels.catalogue import CHANNELS, PACKET_LOSSES
from codec.base import DecodedImage, ReceivedLayer
from testbed.commands.check_command import check_scenario
from testbed.errors import ScenarioError
from testbed.evaluation.trials_table import read_table
from testbed.figures.curves import draw_curves, undrawn_curves
from testbed.language.scenario_loading import load_scenario
from testbed.running.executors import PoolExecutor
from testbed.running.journal import JOURNAL
from testbed.running.plan import Plan, plan
from testbed.running.runner import TRIALS_CSV, WORK_PIXELS
from testbed.running.worker import WorkerSetup
from testbed.sending.simulation import COLUMNS, _decode_damaged, rows_of

SCENARIO = """
name: small
seed: 3
repetitions: 2
images: [{source: samples32, limit: 5}]
codecs:
  - {type: semantic, name: layered}
  - {type: jpeg}
link: {channel: [awgn, rayleigh_block], snr_db: [4, 7, 14], modulation: 16qam, cbr: 1/3}
"""


LEDGER = [
    "payload_bits", "header_bits", "crc_bits", "parity_bits", "padding_bits", "erasure_bits",
    "retransmission_bits",
]  # fmt: skip
FILES = sorted((Path(__file__).parent.parent / "scenarios").rglob("*.yaml"))


def run(planned: Plan, folder: Path, *executor, **options) -> Path:
    running.run(planned, folder, *executor, **options)
    return folder / TRIALS_CSV


@pytest.fixture(scope="module")
def scenario_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "small.yaml"
    path.write_text(SCENARIO)
    return path


@pytest.fixture(scope="module")
def planned(scenario_file: Path):
    return plan(load_scenario(scenario_file))


@pytest.fixture(scope="module")
def reference(planned, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return run(planned, tmp_path_factory.mktemp("reference")).read_bytes()


def test_batches_and_workers_change_no_byte(planned, reference, tmp_path: Path) -> None:
    assert run(planned, tmp_path / "a", images_at_once=1).read_bytes() == reference
    pool = PoolExecutor(WorkerSetup(cache_folder=tmp_path / "cache", cache_bytes=1 << 20), 2)
    two = run(planned, tmp_path / "b", pool, images_at_once=2)
    assert two.read_bytes() == reference


def test_works_are_small_whatever_the_number_of_draws(scenario_file: Path) -> None:
    """A kill loses little and memory stays flat: trials are bounded, not only images."""
    many = plan(load_scenario(scenario_file, ["repetitions=1000"]))
    parts = [len(work.trials) for work in running.all_works(many)]
    assert sum(parts) == len(many.trials) == 5 * 2 * 6 * 1000
    assert max(parts) <= WORK_PIXELS // 1024


def test_order_changes_no_row(planned, reference) -> None:
    rows = {}
    for work in reversed(list(running.all_works(planned, 2))):
        turned = replace(work, trials=work.trials[::-1])
        rows |= {row["trial_id"]: row for row in rows_of(turned)}
    for line in pd.read_csv(pd.io.common.BytesIO(reference)).to_dict("records"):
        row = rows[line["trial_id"]]
        assert row["psnr_db"] == pytest.approx(line["psnr_db"], abs=0, rel=1e-15)
        assert row["layers_decoded"] == line["layers_decoded"]


# The child signals itself, so that the moment does not depend on who gets the processor.
SIGNALS_ITSELF = """
import atexit, os, signal, sys
from testbed.cli import main
from testbed.running.journal import Journal

name, moment = sys.argv.pop(1).split("-")
def send() -> None:
    os.kill(os.getpid(), getattr(signal, name))
add_lines = Journal.add_lines
def add_and_send(self, rows, failures) -> None:
    add_lines(self, rows, failures)
    send()
if moment == "journal":
    Journal.add_lines = add_and_send
else:
    atexit.register(send)
main()
"""


def run_child(signal_and_moment: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`testbed ARGUMENTS` in a process that signals itself at a moment."""
    return subprocess.run(
        [sys.executable, "-c", SIGNALS_ITSELF, signal_and_moment, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        # A parent that runs in the background may have handed down an ignored SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("end", ["SIGKILL", "SIGINT"])
def test_a_stopped_run_goes_on_to_the_same_table(
    scenario_file: Path, reference: bytes, tmp_path: Path, end: str
) -> None:
    """kill -9 or Ctrl-C when the journal has its first rows; a torn line on top; then once more."""
    arguments = ["run", str(scenario_file), "--out", str(tmp_path), "--workers", "1"]
    stopped = run_child(f"{end}-journal", *arguments)
    assert "Traceback" not in stopped.stderr
    if end == "SIGINT":
        assert stopped.returncode == 130
        assert stopped.stderr.endswith("stopped; run the same command again to go on\n")
    else:
        assert stopped.returncode == -signal.SIGKILL
    journal = tmp_path / JOURNAL
    lines = journal.read_bytes()
    assert 0 < lines.count(b"\n") < reference.count(b"\n") - 1
    journal.write_bytes(lines + lines[: lines.index(b"\n") // 2])
    command = [sys.executable, "-m", "testbed.cli", *arguments]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "trials.csv").read_bytes() == reference
    ids = [json.loads(line)["trial_id"] for line in journal.read_bytes().splitlines()]
    assert len(ids) == len(set(ids))


def test_ctrl_c_after_the_last_word_changes_nothing(scenario_file: Path) -> None:
    ended = run_child("SIGINT-exit", "check", str(scenario_file))
    assert ended.returncode == 0, ended.stderr
    assert "KeyboardInterrupt" not in ended.stderr


def test_rows_are_complete_and_account_for_every_use(planned, reference) -> None:
    table = pd.read_csv(pd.io.common.BytesIO(reference))
    assert tuple(table.columns) == COLUMNS
    assert len(table) == len(planned.trials) == 5 * 2 * 2 * 2 * 3
    assert table["trial_id"].is_unique
    assert (table[LEDGER].sum(axis=1) == table["coded_bits"]).all()
    assert (table["coded_bits"] == 4 * table["symbols"]).all()
    assert (table["symbols"] == table["channel_uses"]).all()
    assert (table[["erasure_bits", "retransmission_bits", "packets_damaged"]] == 0).all(axis=None)
    assert (table["transmissions"] == table["packets_sent"]).all()
    assert (table["channel_uses"] <= table["budget"]).all()
    assert (table["budget"] == 1024).all()
    assert (table.loc[table["failed"], "layers_decoded"] == 0).all()
    good = table[(table["channel"] == "awgn") & (table["snr_db"] == 14)]
    assert not good["failed"].any()
    assert (good["packets_lost"] == 0).all()
    assert good["psnr_db"].min() > 15
    # A cliff: at 4 dB, 16QAM of rate 1/2 is 2 dB below what it needs.
    low = table[(table["channel"] == "awgn") & (table["snr_db"] == 4)]
    assert low["failed"].all()


def test_trials_of_an_earlier_scenario_are_reused(
    scenario_file: Path, planned, tmp_path: Path
) -> None:
    run(planned, tmp_path)
    size = (tmp_path / JOURNAL).stat().st_size
    fewer = plan(load_scenario(scenario_file, ["link.snr_db=14", "name=other"]))
    table = pd.read_csv(run(fewer, tmp_path), keep_default_na=False)
    assert (tmp_path / JOURNAL).stat().st_size == size
    assert len(table) == len(planned.trials) // 3
    assert set(table["scenario"]) == {"other"}


def test_images_of_several_sizes_run_together(tmp_path: Path) -> None:
    from PIL import Image

    for index, size in enumerate([(20, 12), (8, 8), (20, 12)]):
        Image.effect_noise(size, 60).convert("RGB").save(tmp_path / f"{index}.png")
    file = tmp_path / "sizes.yaml"
    file.write_text("images: ['*.png']\ncodecs: [{type: semantic}]\nlink: {snr_db: 20, cbr: 1/2}\n")
    table = pd.read_csv(run(plan(load_scenario(file)), tmp_path / "out"))
    assert list(table["width"]) == [20, 8, 20]
    # SSIM's window does not fit into 8x8: not defined, and not zero.
    assert table["ssim"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_scenario_file_passes_its_check(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # One small picture for all: some metrics are not defined for it.
    check_scenario(file, ["images={source: samples32, limit: 1}", "figures={}", "metrics=null"])
    assert ": ok; " in capsys.readouterr().out


def test_scenario_files_have_names_of_their_own() -> None:
    """Their results go to folders of these names."""
    names = [load_scenario(file).name for file in FILES]
    assert len(set(names)) == len(names)


def test_every_channel_and_loss_model_is_in_a_scenario_file() -> None:
    grids = [grid for file in FILES for grid in load_scenario(file).link_grids()]
    assert {part.type for grid in grids for part in grid.channel} == set(CHANNELS)
    losses = {part.type for grid in grids for part in grid.packet_loss}
    assert losses == set(PACKET_LOSSES)


@pytest.mark.parametrize("name", ["harq", "protection", "uncoded", "trace", "tdl"])
def test_scenario_files_run(name: str, tmp_path: Path) -> None:
    (file,) = (file for file in FILES if file.stem == name)
    one = ["images={source: samples32, limit: 1}", "repetitions=1"]
    planned = plan(load_scenario(file, one))
    path = run(planned, tmp_path)
    table = read_table(path)
    assert (table[LEDGER].sum(axis=1) == table["coded_bits"]).all()
    assert (table["channel_uses"] <= table["budget"]).all()
    assert not table["failed"].all()
    if name == "harq":
        again = table[table["transmissions_allowed"] == 4]
        assert (again["retransmission_bits"] > 0).any()
        assert (table["transmissions"] >= table["packets_sent"]).all()
    if name == "protection":
        assert set(table["protection"]) == {"equal", "base_first", "power", "erasures"}
        assert (table.loc[table["protection"] == "erasures", "erasure_bits"] > 0).all()
    if name == "uncoded":
        damaged = table[table["packets_damaged"] > 0]
        assert set(damaged["damage"]) == {"deliver"}
        assert (damaged["packets_lost"] == 0).all()
        assert set(table["code_rate"]) == {1.0}
        folder = run_folder(table, tmp_path / "drawn")
        assert list(draw_curves(folder, "page"))
        assert undrawn_curves(folder) == 0
    if name == "tdl":
        assert (table["symbols"] * 5 < 4 * table["channel_uses"] + 50).all()
    if name == "trace":
        assert table["packet_loss"].nunique() == 1
        assert 0 < table["packet_loss"][0] < 1


def test_a_codec_that_stumbles_over_damage_loses_that_picture_only() -> None:
    class Stumbling:
        def decode_batch(self, received):
            if any(layers[0].data == b"bad" for layers in received):
                raise IndexError("such bytes")
            return [DecodedImage(np.zeros((1, 1, 3), np.uint8), 1) for _ in received]

    part = [(ReceivedLayer(data, True),) for data in (b"good", b"bad", b"fine")]
    decoded = _decode_damaged(Stumbling(), part)  # type: ignore[arg-type]
    assert [each.layers_decoded for each in decoded] == [1, 0, 1]
    assert decoded[1].image is None


def test_what_a_loss_model_does_not_state_is_not_a_number(tmp_path: Path) -> None:
    file = tmp_path / "jitter.yaml"
    file.write_text(
        "images: {source: samples32, limit: 1}\ncodecs: {type: jpeg}\n"
        "link: {snr_db: [8, 12], packet_loss: [jitter, 0.5]}\n"
    )
    path = run(plan(load_scenario(file)), tmp_path / "out")
    table = read_table(path)
    assert table["packet_loss"].isna().tolist() == [True, True, False, False]
    assert list(draw_curves(run_folder(table, tmp_path / "drawn"), "page"))
    # The journal gives the same row back.
    assert run(plan(load_scenario(file)), tmp_path / "out").read_text() == path.read_text()


def test_two_pictures_of_one_name_are_refused(tmp_path: Path) -> None:
    """The table has no other key of a picture: pairs would be of different ones."""
    from PIL import Image

    for folder, seed in (("a", 20), ("b", 60)):
        (tmp_path / folder).mkdir()
        Image.effect_noise((16, 16), seed).convert("RGB").save(tmp_path / folder / "one.png")
    file = tmp_path / "two.yaml"
    text = "images: [{}]\ncodecs: {{type: jpeg}}\nlink: {{snr_db: 20}}\n"
    file.write_text(text.format("a/one.png, b/one.png"))
    with pytest.raises(ScenarioError, match=r"two.yaml:1:2\d: images\[1\]: expected one picture"):
        plan(load_scenario(file))
    file.write_text(text.format("a/one.png, a/*.png"))
    assert len(plan(load_scenario(file)).images) == 1
    file.write_text(text.format('"*/one.png"'))
    assert len(plan(load_scenario(file)).images) == 2
