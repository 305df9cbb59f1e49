"""What several runs measured at the same point: their means side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from testbed.evaluation.summaries import interval_columns
from testbed.evaluation.trials_table import SETTING_COLUMNS
from testbed.reporting.report_run import ReportRun

METRIC = "psnr_db"


@dataclass(frozen=True, slots=True)
class SharedPoints:
    """Points of statistics.csv that two runs or more have: the same codec's name, setting, size.

    table  the point's columns, then for each run its mean PSNR and that mean's interval
    """

    label: str
    table: pd.DataFrame


def shared_points(runs: Sequence[ReportRun]) -> SharedPoints | None:
    """None with a single run. The cases of a scenario are its own, so they take part by name."""
    if len(runs) < 2:
        return None
    keys = ["codec", *SETTING_COLUMNS, "size"]
    low, high = interval_columns(METRIC)
    parts = []
    for each in runs:
        own = each.run.statistics
        words = [
            f"{value:.2f} [{below:.2f}, {above:.2f}]" if below == below else f"{value:.2f}"
            for value, below, above in zip(own[METRIC], own[low], own[high], strict=True)
        ]
        index = pd.MultiIndex.from_frame(own[keys])
        parts.append(pd.Series(words, index, name=f"{each.name}: PSNR (dB)"))
    names = [str(part.name) for part in parts]
    joined = pd.concat(parts, axis=1).reset_index()
    shared = joined[joined[names].notna().sum(axis=1) >= 2].fillna(dict.fromkeys(names, ""))
    return SharedPoints("mean PSNR and its 95 % interval", shared)
