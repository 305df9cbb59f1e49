"""A figure: how the PSNR of single pictures is spread, which a mean does not show."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from testbed.plugin_api import TableFigure, register_figure


@register_figure("psnr_histogram")
@dataclass(frozen=True)
class PsnrHistogram(TableFigure):
    """Histograms of the PSNR, one for each codec.

    Attributes:
        bins: at least 1.
        most_db: what is better counts as this, exact pictures among them.
    """

    bins: int = 25
    most_db: float = 50.0

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise ValueError(f"bins: expected 1 or more, found {self.bins}")

    def draw(self, table: pd.DataFrame) -> Figure:
        """table: one row per trial; README's table of columns says what they mean."""
        figure, axes = plt.subplots(figsize=(3.5, 2.6), layout="constrained")
        for codec, rows in table.groupby("codec", sort=False, observed=True):
            values = np.minimum(rows["psnr_db"].to_numpy(np.float64), self.most_db)
            axes.hist(
                values, self.bins, range=(0.0, self.most_db), histtype="step", label=str(codec)
            )
        axes.set_xlabel("PSNR (dB)")
        axes.set_ylabel("trials")
        axes.legend()
        return figure
