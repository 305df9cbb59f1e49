"""The table of a run, trials.csv, as it is read again: its columns, and what they count as.

A table may have millions of rows. So texts, of which there are few different ones, are read as
categories, and whoever needs some columns alone names them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import union_categoricals

from testbed.evaluation.metrics import EXACT_PSNR_DB

METRICS = {"psnr_db": "PSNR (dB)", "ssim": "SSIM"}
"""Those that are always measured, and the names of their axes."""
LINK_COLUMNS = (
    "channel", "snr_db", "modulation", "code_rate", "coding", "cbr", "loss_model", "packet_loss",
    "fading_block", "harq", "transmissions_allowed", "damage", "fidelity", "erasure_rate",
    "protection",
)  # fmt: skip
SETTING_COLUMNS = ("case", *LINK_COLUMNS)
"""What a codec is tried under: the scenario's variation, and the link."""
MEDIUM_COLUMNS = ("channel", "snr_db", "cbr", "loss_model", "packet_loss", "fading_block")
"""Of the link's: those that an analog codec knows, too."""
TEXT_COLUMNS = (
    "scenario", "codec", "case", "image", "channel", "modulation", "coding", "harq", "damage",
    "fidelity", "protection", "schemes", "fading_block", "loss_model",
)  # fmt: skip
"""Of few different texts each. `trial_id` is a text of its own in each row."""
UNDEFINED = (
    "ssim", "packet_loss", "delivered_snr_db", "uncoded_ber", "ebn0_db", "code_rate",
)  # fmt: skip
"""Columns that may hold no number."""
LAST_COLUMN = "failed"
"""The metrics that the scenario asked for follow it."""
CHUNK_ROWS = 1 << 15
"""That are texts, not yet categories, at a time."""


def columns_of(path: Path) -> list[str]:
    """The heading of a table."""
    return [str(name) for name in pd.read_csv(path, nrows=0)]


def metrics_of(columns: Iterable[object]) -> list[str]:
    """Those of quality: PSNR, SSIM, and all that follow `failed`."""
    names = [str(name) for name in columns]
    return ["psnr_db", "ssim", *names[names.index(LAST_COLUMN) + 1 :]]


def drawn_columns(path: Path) -> list[str]:
    """All that figures and comparisons are made from."""
    return [
        "codec", *SETTING_COLUMNS, "image", "height", "width", "repetition", "channel_uses",
        LAST_COLUMN, *metrics_of(columns_of(path)),
    ]  # fmt: skip


def read_table(
    path: Path, columns: Collection[str] | None = None, as_text: Collection[str] = ()
) -> pd.DataFrame:
    """A trials.csv as a whole; columns and as_text as in `table_chunks`."""
    parts: list[dict[str, pd.Series[Any]]] = []
    for chunk in table_chunks(path, columns, as_text, CHUNK_ROWS):
        parts.append({str(name): chunk[name].copy() for name in chunk})
    # Column by column, each chunk's given up as it is taken: in memory once, not twice.
    whole = {name: _joined([part.pop(name) for part in parts]) for name in tuple(parts[0])}
    return pd.DataFrame(whole, copy=False)


def _joined(parts: list[pd.Series[Any]]) -> Any:
    """One column. Texts have the categories of all, sorted."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0].dtype, pd.CategoricalDtype):
        return union_categoricals(parts, sort_categories=True)
    return pd.concat(parts, ignore_index=True)


def table_chunks(
    path: Path, columns: Collection[str] | None, as_text: Collection[str], rows: int
) -> Iterator[pd.DataFrame]:
    """A trials.csv, `rows` of it at a time; of an empty one a chunk without rows.

    Names stay text, also "null" and "007"; what is undefined is NaN. Texts are categories, each
    chunk having its own.

    columns: those that are needed, in the table's order; all unless given. as_text: columns of
    numbers that are wanted digit by digit.

    Tables without the column `case` are of scenarios without variations.
    """
    there = columns_of(path)
    metrics = there[there.index(LAST_COLUMN) + 1 :]
    wanted = there if columns is None else [name for name in there if name in columns]
    texts = [name for name in wanted if name in TEXT_COLUMNS or name in as_text]
    # As texts first: what is read as categories becomes numbers if it looks like these.
    chunks = pd.read_csv(
        path,
        usecols=wanted,
        keep_default_na=False,
        na_values={name: ["nan"] for name in (*UNDEFINED, *metrics) if name not in as_text},
        dtype=dict.fromkeys(("trial_id", *texts), str),
        chunksize=rows,
    )
    with chunks:
        for chunk in chunks:
            yield with_case(chunk.astype(dict.fromkeys(texts, "category")))


def with_case(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `case`, after `codec`, empty if it has none."""
    if "case" in table:
        return table
    codes = np.zeros(len(table), np.int8)
    case = pd.Series(pd.Categorical.from_codes(codes, pd.Index([""])), index=table.index)
    table = table.copy(deep=False)
    table.insert(list(table).index("codec") + 1, "case", case)
    return table


def finite(table: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    """A metric of all rows, as it counts in every mean, quantile and difference.

    An exact picture, whose PSNR is infinite, counts as EXACT_PSNR_DB, and so does one that is
    nearer to the original than that; so with all metrics in dB.
    """
    values = table[metric].to_numpy(np.float64)
    return np.minimum(values, EXACT_PSNR_DB) if metric.endswith("_db") else values


def sizes(table: pd.DataFrame) -> pd.Series[str]:
    """The size of each row's picture, such as "384x256", as categories.

    A picture on its side has the same rates: it has the size of the upright ones.
    """
    sides = np.sort(table[["height", "width"]].to_numpy(), axis=1)
    shorter, longer = sides.T
    codes, each = pd.factorize(longer.astype(np.int64) << 32 | shorter)
    words = [f"{size >> 32}x{size & 0xFFFFFFFF}" for size in each.tolist()]
    categories = pd.Index(words, dtype=str)
    return pd.Series(pd.Categorical.from_codes(codes, categories), index=table.index)


def picture_numbers(table: pd.DataFrame, points: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """A number for each row's picture, in the order of their names.

    points: the number of each row's point. Pictures of two sources may have one name: then those of
    a point come in the order of the table.
    """
    names = pd.factorize(table["image"], sort=True)[0].astype(np.int64)
    draws = table["repetition"].to_numpy()
    sides = [int(each.max(initial=0)) + 1 for each in (points, names, draws)]
    trials = np.ravel_multi_index((points, names, draws), sides)
    trials.sort()
    if (trials[1:] != trials[:-1]).all():
        return names
    keys = pd.DataFrame({"point": points, "name": names, "draw": draws})
    nth = keys.groupby(list(keys)).cumcount().to_numpy()
    return names * (int(nth.max()) + 1) + nth


def group_numbers(table: pd.DataFrame, columns: Iterable[str]) -> NDArray[np.intp]:
    """Of each row the number of its group, counted from 0 in order of appearance.

    A group has the same in all of these columns; what is undefined equals itself.
    """
    numbers = np.zeros(len(table), np.intp)
    for name in columns:
        own = table[name]
        if isinstance(own.dtype, pd.CategoricalDtype):
            codes, count = own.cat.codes.to_numpy(), len(own.cat.categories)
        else:
            codes, values = pd.factorize(own, use_na_sentinel=False)
            count = len(values)
        numbers = pd.factorize(numbers * count + codes)[0]
    return numbers


def case_of(table: pd.DataFrame) -> list[str]:
    """The variations in a table, in order of appearance; "" is a scenario without."""
    return [str(case) for case in table["case"].unique()]
