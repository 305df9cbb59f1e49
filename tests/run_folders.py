"""Runs as figures read them, made of tables in tests: no plan, no pictures, no codecs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from testbed.evaluation.comparison import COMPARISON_CSV, compare, is_share, write_comparison
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.statistics import write_statistics
from testbed.evaluation.trials_table import METRICS
from testbed.running.runner import TRIALS_CSV

COSTS = {"channel_uses": 100, "cbr_used": 0.25, "bpp": 1.0}


def run_folder(
    frame: pd.DataFrame,
    folder: Path,
    metrics: Mapping[str, str] = METRICS,
    *,
    reference: str | None = None,
    comparison: Mapping[str, Any] | None = None,
    sections: Sequence[Mapping[str, Any]] = (),
) -> RunFolder:
    """A run of these trials, its tables written.

    metrics: names of axes by column. comparison: the scenario's section, in canonical form; then
    comparison.csv is written, too. sections: of codecs, as the scenario has them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    codecs = list(dict.fromkeys(frame["codec"]))
    reference = reference or codecs[0]
    missing = {name: value for name, value in COSTS.items() if name not in frame}
    # Metrics follow `failed`, which follows all else.
    last = [name for name in metrics if name not in METRICS]
    table = frame.assign(**missing)
    table = table[[name for name in table if name not in {"failed", *last}] + ["failed", *last]]
    table.to_csv(folder / TRIALS_CSV, index=False, na_rep="nan")
    write_statistics(folder / TRIALS_CSV, metrics, reference, folder)
    if comparison is not None:
        shares = [name for name, label in metrics.items() if is_share(label)]
        limit_db = comparison["outage_psnr_db"]
        rows, _ = compare(table.reset_index(drop=True), codecs, reference, limit_db, shares=shares)
        write_comparison(rows, folder / COMPARISON_CSV)
    scenario = {
        "name": "made",
        "codecs": [*sections] or [{"type": name, "name": name} for name in codecs],
        "comparison": comparison,
    }
    manifest = {
        "scenario": scenario,
        "codec_labels": dict(zip(codecs, codecs, strict=True)),
        "reference": reference,
        "metrics": {
            name: {"label": label, "higher_is_better": True} for name, label in metrics.items()
        },
    }
    return RunFolder(folder, manifest, folder)
