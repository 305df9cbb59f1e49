"""The ledger of channel uses: what the coded bits of a picture are, as means over trials.csv."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trials_table import SETTING_COLUMNS, sizes
from testbed.reporting.data_table import FIRST_ROWS

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


def ledger(run: RunFolder) -> Ledger:
    """Its first rows, in the table's order. Parts that no row has are left out."""
    keys = ["codec", *(name for name in SETTING_COLUMNS if name not in OVER)]
    table = run.trials([*keys, "height", "width", *PARTS, *SPENT])
    table["size"] = sizes(table)
    keys.append("size")
    grouped = table.groupby(keys, observed=True, sort=False, dropna=False)
    means = grouped[[*PARTS, *SPENT]].mean()
    counts = grouped.size().to_numpy()
    index = means.index.to_frame(index=False).astype(object)
    varying = [name for name in keys if name == "codec" or index[name].nunique(dropna=False) > 1]
    parts = [name for name in PARTS if means[name].any()]
    return Ledger(
        varying,
        [PARTS[name] for name in parts],
        [
            LedgerRow(
                [_cell(run, name, index[name].iloc[row]) for name in varying],
                int(counts[row]),
                _shares(means.iloc[row], parts),
                [float(means[name].iloc[row]) for name in SPENT],
            )
            for row in range(min(len(means), FIRST_ROWS))
        ],
        len(means),
    )


def _shares(row: pd.Series[float], parts: list[str]) -> list[float]:
    coded = float(row["coded_bits"])
    return [100 * float(row[name]) / coded for name in parts] if coded else []


def _cell(run: RunFolder, name: str, value: object) -> str:
    if name == "codec":
        return run.labels.get(str(value), str(value))
    if isinstance(value, float):
        return "-" if value != value else f"{value:.4g}"
    return str(value)
