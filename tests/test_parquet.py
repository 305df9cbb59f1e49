"""Parquet says what the CSV says, with types."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_envelope import table

from testbed.errors import OutputError
from testbed.evaluation import parquet as module
from testbed.evaluation.parquet import (
    DICTIONARY_COLUMNS,
    WHOLE_COLUMNS,
    check_parquet,
    write_parquet,
)
from testbed.evaluation.statistics import write_statistics
from testbed.evaluation.trials_table import METRICS
from testbed.sending.simulation import COLUMNS

pytest.importorskip("pyarrow")


def trials(folder: Path, **columns: object) -> Path:
    frame = table(psnr_db=[np.inf, 20.1] * 216, packet_loss=np.nan, **columns)
    frame = frame.assign(
        seed=2**63 - 1, trial_id="00e1", scenario="nan", cbr_used=0.1, bpp=1.0, failed=True
    )
    frame.to_csv(folder / "trials.csv", index=False, na_rep="nan")
    return folder / "trials.csv"


def test_trials_keep_their_types_and_values(tmp_path: Path, monkeypatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    # Several blocks and groups.
    monkeypatch.setattr(module, "BLOCK_BYTES", 1 << 13)
    monkeypatch.setattr(module, "GROUP_ROWS", 100)
    file = trials(tmp_path, codec=["007", "null"] * 216)
    path = write_parquet(file)
    assert path == tmp_path / "trials.parquet"
    assert pyarrow.parquet.ParquetFile(path).num_row_groups > 2
    read = pyarrow.parquet.read_table(path)
    types = dict(zip(read.column_names, read.schema.types, strict=True))
    assert {str(types[name]) for name in ("trial_id", "failed", "seed", "snr_db")} == {
        "string", "bool", "int64", "double",
    }  # fmt: skip
    assert pa.types.is_dictionary(types["codec"])
    expected = pd.read_csv(file, keep_default_na=False, na_values={"packet_loss": ["nan"]}, dtype={
        "codec": str, "trial_id": str,
    })  # fmt: skip
    assert read.column_names == list(expected)
    for name in expected:
        found = read[name].to_pandas()
        if name in ("psnr_db", "ssim", "cbr", "code_rate", "packet_loss"):
            np.testing.assert_allclose(found, expected[name], rtol=1e-14)
        else:
            assert found.tolist() == expected[name].tolist()
    assert read["packet_loss"].null_count == 432
    assert not list(tmp_path.glob("*.partial"))


def test_names_may_have_line_breaks(tmp_path: Path, monkeypatch) -> None:
    import pyarrow.parquet

    monkeypatch.setattr(module, "BLOCK_BYTES", 1 << 12)
    names = ["a\nb.png", "c.png"] * 216
    path = write_parquet(trials(tmp_path, image=names))
    assert pyarrow.parquet.read_table(path)["image"].to_pylist() == names


def test_statistics_and_tables_without_rows(tmp_path: Path) -> None:
    paths = write_statistics(trials(tmp_path), METRICS, "none", tmp_path)
    statistics, differences = (pd.read_parquet(write_parquet(path)) for path in paths)
    assert statistics["failed"].tolist() == [1.0] * 12
    assert statistics["trials"].dtype == "int64"
    assert len(differences) == 0
    assert differences["psnr_better"].dtype == "float64"


def test_every_column_of_a_run_has_a_type_that_fits() -> None:
    numbers = {
        "snr_db", "ebn0_db", "code_rate", "erasure_rate", "packet_loss", "cbr", "cbr_used", "bpp",
        "delivered_snr_db", "uncoded_ber", "psnr_db", "ssim",
    }  # fmt: skip
    assert set(COLUMNS) - WHOLE_COLUMNS - DICTIONARY_COLUMNS - numbers == {"trial_id", "failed"}


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OutputError, match=r"pip install -e \.\[parquet\]"):
        check_parquet()
    with pytest.raises(OutputError, match="parquet"):
        write_parquet(trials(tmp_path))


def test_a_table_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"trials\.parquet: cannot write"):
        write_parquet(tmp_path / "trials.csv")
