"""Metrics that a scenario asks for: their columns, ids, journals, figures, and what is refused."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import running
from run_folders import run_folder
from safetensors.numpy import save_file

from testbed.errors import ScenarioError
from testbed.evaluation.metric_catalogue import METRICS, Lpips, MsSsim, PsnrY, Task
from testbed.evaluation.metric_choice import exceptions
from testbed.evaluation.metrics import failed_picture, psnr_db, psnr_y_db
from testbed.evaluation.trials_table import METRICS as METRIC_LABELS
from testbed.evaluation.trials_table import read_table
from testbed.figures.curves import draw_curves
from testbed.images import SourceImage, load_images
from testbed.language.scenario_loading import check_document
from testbed.language.yaml_source import parse_document
from testbed.plugins.metric_registry import Metric, register_metric
from testbed.running.executors import PoolExecutor
from testbed.running.plan import plan
from testbed.running.runner import TRIALS_CSV
from testbed.running.worker import WorkerSetup
from testbed.sending.simulation import COLUMNS

SCENARIO = """
seed: 3
images: {source: samples32, limit: 3}
codecs: [{type: semantic, layers: 2}, {type: jpeg}]
link: {channel: rayleigh_block, snr_db: [4, 14], cbr: 1/3}
"""
ASKED = "metrics: [psnr_y_db, {type: task, against: original}, lopsided]\n"


@pytest.fixture(autouse=True)
def lopsided() -> Iterator[type[Metric]]:
    """A metric from elsewhere."""

    @register_metric("lopsided")
    @dataclasses.dataclass(frozen=True)
    class Lopsided(Metric):
        """The error of the left half, not known of the picture called by `except_for`."""

        except_for: str = ""

        column = "lopsided"
        label = "error on the left"
        higher_is_better = False
        bounds = (0.0, 255.0)

        def undefined(self, source):
            return "that picture" if source.name == self.except_for else ""

        def measure(self, source, picture):
            half = source.pixels.shape[1] // 2
            return float(np.abs(source.pixels[:, :half] - picture[:, :half].astype(int)).mean())

    yield Lopsided
    del METRICS["lopsided"]


def planned_of(text: str, folder: Path = Path()):
    return plan(check_document(parse_document(text.encode(), "f.yaml"), folder))


def problem_of(text: str, folder: Path = Path()) -> str:
    with pytest.raises(ScenarioError) as caught:
        planned_of(text, folder)
    return str(caught.value)


def run(planned, folder: Path, *executor, **options) -> Path:
    running.run(planned, folder, *executor, **options)
    return folder / TRIALS_CSV


def test_columns_follow_those_that_are_always_there(tmp_path: Path) -> None:
    planned = planned_of(SCENARIO + ASKED)
    table = read_table(run(planned, tmp_path))
    further = ["psnr_y_db", "task_original", "lopsided"]
    assert list(table) == [*COLUMNS, *further]
    assert set(table["task_original"]) <= {0.0, 1.0}
    failed = table[table["failed"]]
    assert 0 < len(failed) < len(table)
    for _, row in failed.iterrows():
        (source,) = (image for image in planned.images if image.name == row["image"])
        assert row["psnr_y_db"] == psnr_y_db(source.pixels, failed_picture(32, 32))
    labels = {metric.column: metric.label for metric in planned.metrics[1:]}
    drawings = draw_curves(run_folder(table, tmp_path / "drawn", METRIC_LABELS | labels), "page")
    names = [each.removesuffix("_db") for each in METRIC_LABELS | labels]
    assert [drawing.stem for drawing in drawings] == [f"{each}_vs_snr_32x32" for each in names]


def test_rows_are_those_without_metrics_and_more(tmp_path: Path) -> None:
    bare = read_table(run(planned_of(SCENARIO), tmp_path / "a"))
    more = read_table(run(planned_of(SCENARIO + ASKED), tmp_path / "b"))
    same = [column for column in COLUMNS if column != "trial_id"]
    pd.testing.assert_frame_equal(bare[same], more[same])
    assert not set(bare["trial_id"]) & set(more["trial_id"])


def test_batches_and_workers_change_no_byte(tmp_path: Path) -> None:
    # A worker has no metrics from elsewhere.
    planned = planned_of(SCENARIO + ASKED.replace(", lopsided", ""))
    reference = run(planned, tmp_path / "a").read_bytes()
    two = PoolExecutor(WorkerSetup(), 2)
    assert run(planned, tmp_path / "b", images_at_once=1).read_bytes() == reference
    assert run(planned, tmp_path / "c", two, images_at_once=2).read_bytes() == reference


def test_trials_are_reused_for_the_same_metrics_alone(tmp_path: Path) -> None:
    """In one journal: other metrics are other trials, another order only other columns."""

    def ids(metrics: str) -> set[str]:
        return {trial.trial_id for trial in planned_of(SCENARIO + metrics).trials}

    without = ids("")
    assert ids("metrics: [psnr_y_db, lopsided]\n") == ids("metrics: [lopsided, psnr_y_db]\n")
    asked = [without, ids("metrics: psnr_y_db\n"), ids("metrics: [psnr_y_db, lopsided]\n")]
    asked.append(ids("metrics: [psnr_y_db, {type: lopsided, except_for: x}]\n"))
    assert len(set.union(*asked)) == 4 * len(without)
    for metrics in ("metrics: [psnr_y_db, lopsided]\n", "", "metrics: [lopsided, psnr_y_db]\n"):
        planned = planned_of(SCENARIO + metrics)
        table = read_table(run(planned, tmp_path))
        assert list(table) == [*COLUMNS, *(metric.column for metric in planned.metrics)]
        assert table.notna().to_numpy().all()
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert len(lines) == 2 * len(without)


def test_ids_know_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    text = SCENARIO + "metrics: {type: task, against: original}\n"
    before = planned_of(text)
    (identity,) = (part.identity for part in before.scenario.metrics)
    assert identity.startswith("task(against=original) ")
    monkeypatch.setattr(Task, "content_sha256", "other weights")
    (first, *_), (again, *_) = before.trials, planned_of(text).trials
    assert first.trial_id != again.trial_id


def test_pictures_for_which_a_metric_is_not_defined(tmp_path: Path) -> None:
    name = load_images("samples32", Path(), 1)[0].name
    planned = planned_of(SCENARIO + f"metrics: {{type: lopsided, except_for: {name}}}\n")
    assert exceptions(planned.metrics, planned.images) == [
        "lopsided is not defined for that picture: nan for 1 of 3"
    ]
    table = read_table(run(planned, tmp_path))
    assert (table["lopsided"].isna() == (table["image"] == name)).all()
    labels = METRIC_LABELS | {"lopsided": "error"}
    *_, last = draw_curves(run_folder(table, tmp_path / "drawn", labels), "page")
    assert last.stem == "lopsided_vs_snr_32x32"


@pytest.mark.parametrize(
    ("metrics", "line", "message"),
    [
        ("psnr", 6, "metrics: expected one of lopsided, lpips, ms_ssim, psnr_y_db, task; found"),
        ("[ms_ssim]", 6, "ms_ssim is not defined for 32x32 pictures (both sides must be above 160"),
        ("[\n  {type: task}]", 6, "task is not defined for pictures without a label (use against:"),
        ("[psnr_y_db,\n  {type: task, aganst: x}]", 7, "metrics[1].aganst: unknown key: did you"),
        ("{type: task, against: labels}", 6, "against: expected one of label, original, found"),
        ("[psnr_y_db, psnr_y_db]", 6, "psnr_y_db is in the list twice, as items 0 and 1"),
        ("{type: lopsided, except_for: [a, b]}", 6, "expected a column of its own, found 'lopsid"),
        ("lpips", 6, "weights: expected the path of a safetensors file, found none"),
        ("{type: lpips, weights: no.st}", 6, "no.st: no weights of LPIPS: No such file or direct"),
        ("[]", 6, "metrics: expected at least one value, found an empty list"),
    ],
)
def test_what_is_refused(metrics: str, line: int, message: str) -> None:
    found = problem_of(f"{SCENARIO}metrics: {metrics}\n")
    assert re.match(rf"f\.yaml:{line}:[0-9]+: metrics", found)
    assert message in found


def test_the_task_is_right_by_label_or_by_original(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codec.classifier.class_of", lambda picture: int(picture[0, 0, 0]))
    sent, other = np.full((32, 32, 3), 3, np.uint8), np.full((32, 32, 3), 5, np.uint8)
    for label, by_label in ((3, (1.0, 0.0)), (5, (0.0, 1.0)), (None, (math.nan, math.nan))):
        source = SourceImage("", sent, "", label)
        found = [Task("label").value(source, picture) for picture in (sent, other)]
        assert found == pytest.approx(by_label, nan_ok=True)
        assert [Task("original").value(source, picture) for picture in (sent, other)] == [1.0, 0.0]


def test_every_metric_is_best_for_the_original_and_within_its_bounds(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    shapes = {
        0: (64, 3, 11),
        3: (192, 64, 5),
        6: (384, 192, 3),
        8: (256, 384, 3),
        10: (256, 256, 3),
    }
    tensors = {}
    for index, (number, (outputs, inputs, side)) in enumerate(shapes.items()):
        shape = (outputs, inputs, side, side)
        tensors[f"features.{number}.weight"] = 0.05 * random.standard_normal(shape)
        tensors[f"features.{number}.bias"] = random.random(outputs)
        tensors[f"lin{index}.model.1.weight"] = random.random((1, outputs, 1, 1))
    path = tmp_path / "w.safetensors"
    save_file({key: value.astype(np.float32) for key, value in tensors.items()}, path)
    image = load_images("samples_large", Path(), 1)[0]
    source = SourceImage(image.name, image.pixels[:200, :170].copy(), "")
    noise = random.normal(0, 60, source.pixels.shape)
    other = np.clip(source.pixels + noise, 0, 255).astype(np.uint8)
    assert psnr_db(source.pixels, other) < 20
    for metric in (PsnrY(), MsSsim(), Task("original"), Lpips(path)):
        low, high = metric.bounds
        best = high if metric.higher_is_better else low
        assert metric.value(source, source.pixels) == pytest.approx(best)
        value = metric.value(source, other)
        assert low <= value <= high
        if not isinstance(metric, Task):
            assert abs(value - best) > 0.01
