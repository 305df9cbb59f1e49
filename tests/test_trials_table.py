"""The table that is read again: texts, sizes, pictures of one name, tables of before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from test_envelope import table

from testbed.evaluation.trials_table import (
    SETTING_COLUMNS,
    drawn_columns,
    finite,
    metrics_of,
    picture_numbers,
    read_table,
    sizes,
)


def saved(frame: pd.DataFrame, folder: Path) -> Path:
    """In the order of a run's table, without metrics."""
    frame = frame.assign(trial_id="1e5", payload_bits=7)
    names = [name for name in ("codec", "case") if name in frame]
    names += [name for name in frame if name not in (*names, "failed")]
    frame[[*names, "failed"]].to_csv(folder / "trials.csv", index=False, na_rep="nan")
    return folder / "trials.csv"


def test_needed_columns_alone_are_read(tmp_path: Path) -> None:
    file = saved(table(), tmp_path)
    read = read_table(file, drawn_columns(file))
    assert {"trial_id", "payload_bits"} <= set(read_table(file))
    assert set(table()) | {"case"} == set(read)
    assert {"codec", *SETTING_COLUMNS, "psnr_db", "failed"} <= set(read)
    assert metrics_of(list(read)) == ["psnr_db", "ssim"]


def test_a_table_without_variations_has_an_empty_one(tmp_path: Path) -> None:
    read = read_table(saved(table(), tmp_path))
    assert list(read)[:2] == ["codec", "case"]
    assert set(read["case"]) == {""}
    assert set(read_table(saved(table(case="a=1"), tmp_path))["case"]) == {"a=1"}


def test_names_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    read = read_table(saved(table(image="007", codec="1e3"), tmp_path))
    assert set(read["image"]) == {"007"}
    assert set(read["codec"]) == {"1e3"}


def test_chunks_make_one_table(tmp_path: Path, monkeypatch) -> None:
    file = saved(table(), tmp_path)
    whole = read_table(file)
    monkeypatch.setattr("testbed.evaluation.trials_table.CHUNK_ROWS", 50)
    pd.testing.assert_frame_equal(read_table(file), whole)


def test_numbers_may_be_read_digit_by_digit(tmp_path: Path) -> None:
    frame = table(cbr="0.10", packet_loss=np.nan)
    read = read_table(saved(frame, tmp_path), as_text=["cbr"])
    assert set(read["cbr"]) == {"0.10"}
    assert read["packet_loss"].isna().all()


def test_sizes_know_no_orientation() -> None:
    frame = pd.DataFrame({"height": [384, 256, 32], "width": [256, 384, 32]})
    assert sizes(frame).tolist() == ["384x256", "384x256", "32x32"]


def test_pictures_of_one_name_are_told_apart_within_a_point() -> None:
    frame = pd.DataFrame({"image": ["b", "a", "b", "b", "a"], "repetition": [0, 0, 0, 1, 0]})
    plain = picture_numbers(frame, np.array([0, 0, 1, 1, 1]))
    assert plain.tolist() == [1, 0, 1, 1, 0]
    both = picture_numbers(frame, np.zeros(5, np.intp))
    assert both.tolist() == [2, 0, 3, 2, 1]


def test_exact_pictures_are_finite_in_decibels_alone() -> None:
    frame = pd.DataFrame({"psnr_db": [np.inf, 70.0, 20.0], "lpips": [np.inf, 0.0, 1.0]})
    assert finite(frame, "psnr_db").tolist() == [60.0, 60.0, 20.0]
    assert finite(frame, "lpips").tolist() == [np.inf, 0.0, 1.0]
