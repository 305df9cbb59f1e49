"""The link budget of a run: budget.csv, which the run leaves, and the table that reports show.

What fits into the channel uses of a picture follows from the scenario's link points, which plug-ins
may have their part in; so the run writes it down, and a report only reads it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from testbed.evaluation.run_folder import RunFolder, RunFolderError
from testbed.whole_file import whole_file

if TYPE_CHECKING:
    from testbed.running.plan import Plan

BUDGET_CSV = "budget.csv"
COLUMNS = (
    "case", "codecs", "height", "width", "cbr", "channel_uses", "snr_db", "ebn0_db", "protection",
    "layers", "modulation", "bits_per_symbol", "coding", "code_rate", "erasure_rate",
    "uses_per_symbol", "capacity_bytes", "capacity_bpp", "k", "n",
)  # fmt: skip
"""Of budget.csv. `codecs`: their names with ";" between; `k`, `n`: of the largest packet."""
SNR_COLUMNS = ("snr_db", "ebn0_db")


def write_budget(planned: Plan, folder: Path) -> Path:
    """budget.csv of a run: a line for each that `testbed check` prints. Raises OutputError."""
    path = folder / BUDGET_CSV
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_rows(planned))
    return path


def _rows(planned: Plan) -> Iterator[dict[str, object]]:
    """Each line once, with the first variant that it is of."""
    from testbed.sending.budget import link_budget

    met: set[tuple[object, ...]] = set()
    for variant in planned.variants:
        shapes = dict.fromkeys(planned.images[index].pixels.shape[:2] for index in variant.images)
        for line in link_budget(variant.scenario, list(shapes)):
            setting, point = line.link.setting, line.point
            ideal = setting.coding == "ideal"
            row = {
                "codecs": ";".join(line.codecs),
                "height": line.height,
                "width": line.width,
                "cbr": float(point.cbr),
                "channel_uses": line.budget_uses,
                "snr_db": point.snr_db,
                "ebn0_db": f"{point.ebn0_db:.4f}",
                "protection": point.protection,
                "layers": line.layers,
                "modulation": setting.modulation,
                "bits_per_symbol": "" if ideal else setting.bits_per_symbol,
                "coding": setting.coding,
                "code_rate": f"{setting.code_rate:.6g}",
                "erasure_rate": f"{line.link.erasure_rate:.6g}",
                "uses_per_symbol": f"{line.overhead:.6g}",
                "capacity_bytes": line.capacity_bytes,
                "capacity_bpp": f"{line.capacity_bpp:.6g}",
                "k": line.k,
                "n": line.n,
            }
            key = tuple(row.values())
            if key not in met:
                met.add(key)
                yield {"case": variant.case, **row}


def read_budget(run: RunFolder) -> pd.DataFrame | None:
    """budget.csv with lines that differ in SNR alone joined; None where the run left none.

    `snr_db` becomes a text: "8", or "0 to 20 (11)". Raises RunFolderError.
    """
    path = run.path / BUDGET_CSV
    if not path.is_file():
        return None
    texts = ("case", "codecs", "protection", "layers", "modulation", "coding")
    try:
        table = pd.read_csv(path, keep_default_na=False, dtype=dict.fromkeys(texts, str))
    except (OSError, ValueError) as error:
        words = " ".join(str(error).split())
        raise RunFolderError(f"{path}: cannot be read: {words}") from error
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise RunFolderError(f"{path}: expected a column {missing[0]!r}, found none")
    if len(table) and not pd.api.types.is_numeric_dtype(table["snr_db"]):
        raise RunFolderError(f"{path}: column 'snr_db': expected numbers in all rows")
    keys = [name for name in COLUMNS if name not in SNR_COLUMNS]
    grouped = table.groupby(keys, sort=False, dropna=False)
    joined = grouped["snr_db"].agg(_range_words).reset_index()
    return joined[[name for name in COLUMNS if name != "ebn0_db"]]


def _range_words(values: pd.Series[float]) -> str:
    distinct = sorted(set(values))
    if len(distinct) == 1:
        return f"{distinct[0]:g}"
    return f"{distinct[0]:g} to {distinct[-1]:g} ({len(distinct)})"
