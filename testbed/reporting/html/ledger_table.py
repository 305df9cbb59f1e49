"""The ledger of channel uses: what the coded bits of a picture are, as means over trials.csv.

The table is read chunk by chunk: what is in memory grows with the settings, not with the trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.evaluation.run_folder import RunFolder, RunFolderError
from testbed.evaluation.trials_table import (
    CHUNK_ROWS,
    SETTING_COLUMNS,
    group_numbers,
    sizes,
    table_chunks,
)
from testbed.language.setting_words import part_words
from testbed.reporting.html.curve_facets import bandwidth_words
from testbed.reporting.html.data_table import FIRST_ROWS

PARTS = {
    "payload_bits": "payload",
    "header_bits": "packet headers",
    "crc_bits": "CRC",
    "parity_bits": "parity",
    "erasure_bits": "erasure parity",
    "retransmission_bits": "retransmissions",
    "padding_bits": "padding",
}
"""They add up to coded_bits."""
SPENT = ("coded_bits", "symbols", "channel_uses", "cbr_used")
OVER = ("snr_db", "packet_loss")
"""Means are over these, too: they change what is sent only where a policy or HARQ answers them."""
_KEYS = ("codec", *(name for name in SETTING_COLUMNS if name not in OVER))
_COUNTED = (*PARTS, *SPENT)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One codec at one setting, whatever the SNR and the loss.

    key     cells of the columns that vary
    shares  of coded_bits in percent, in the order of PARTS; empty of symbols without bits
    spent   means, in the order of SPENT
    """

    key: list[str]
    trials: int
    shares: list[float]
    spent: list[float]


@dataclass(frozen=True, slots=True)
class Ledger:
    headings: list[str]
    parts: list[str]
    rows: list[LedgerRow]
    total: int


@dataclass(slots=True)
class _Sum:
    """Over the trials of a setting. values: in the order of _COUNTED."""

    trials: int = 0
    values: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(_COUNTED)))

    def mean(self, names: Sequence[str]) -> list[float]:
        return [float(self.values[_COUNTED.index(name)]) / self.trials for name in names]


def ledger(run: RunFolder, first: int = FIRST_ROWS) -> Ledger:
    """Its first rows, in the table's order. Parts that no row has are left out.

    Raises RunFolderError for a table that cannot be read.
    """
    try:
        sums = _sums(run)
    except (OSError, ValueError, KeyError) as error:
        words = " ".join(str(error).split())[:200]
        raise RunFolderError(f"{run.trials_path}: cannot be read: {words}") from error
    names = (*_KEYS, "size")
    varying = [
        at for at, name in enumerate(names)
        if name == "codec" or len({setting[at] for setting in sums}) > 1
    ]  # fmt: skip
    parts = [
        name for at, name in enumerate(_COUNTED)
        if name in PARTS and any(each.values[at] for each in sums.values())
    ]  # fmt: skip
    return Ledger(
        [names[at] for at in varying],
        [PARTS[name] for name in parts],
        [
            LedgerRow(
                [_cell(run, names[at], setting[at]) for at in varying],
                each.trials,
                _shares(each, parts),
                each.mean(SPENT),
            )
            for setting, each in list(sums.items())[:first]
        ],
        len(sums),
    )


def _sums(run: RunFolder) -> dict[tuple[str, ...], _Sum]:
    """By the table's own texts of _KEYS and the size, in the order of their first trials."""
    sums: dict[tuple[str, ...], _Sum] = {}
    wanted = [*_KEYS, "height", "width", *_COUNTED]
    for chunk in table_chunks(run.trials_path, wanted, _KEYS, CHUNK_ROWS):
        chunk["size"] = sizes(chunk)
        numbers = group_numbers(chunk, (*_KEYS, "size"))
        heads = chunk.iloc[np.unique(numbers, return_index=True)[1]]
        texts = zip(*(heads[name].astype(str) for name in (*_KEYS, "size")), strict=True)
        values = chunk[list(_COUNTED)].groupby(numbers).sum().to_numpy(np.float64)
        for setting, count, own in zip(texts, np.bincount(numbers), values, strict=True):
            total = sums.setdefault(setting, _Sum())
            total.trials += int(count)
            total.values += own
    return sums


def _shares(each: _Sum, parts: Sequence[str]) -> list[float]:
    (coded,) = each.mean(["coded_bits"])
    return [100 * part / coded for part in each.mean(parts)] if coded else []


def _cell(run: RunFolder, name: str, text: str) -> str:
    if name == "codec":
        return run.labels.get(text, text)
    if name in ("channel", "loss_model"):
        return part_words(text)
    number = pd.to_numeric(text, errors="coerce")
    if math.isfinite(number):
        return bandwidth_words(number) if name == "cbr" else f"{number:.4g}"
    return "-" if text == "nan" else text
