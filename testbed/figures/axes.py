"""What stands along a figure's axes: what is swept, and what is measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

from testbed.evaluation.run_folder import MetricWords
from testbed.evaluation.summaries import interval_columns
from testbed.language.setting_words import ratio_words


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is along the horizontal axis of curves.

    column  of the tables
    stem    what files' names say of it
    words   what headings and captions call it
    label   the axis's name, with its unit
    scale   what the column's values are multiplied by
    """

    column: str
    stem: str
    words: str
    label: str
    scale: float = 1.0

    def value_words(self, value: float) -> str:
        """Of a value along the axis, such as "12 dB", "loss 3 %", "CBR 1/6"."""
        if self.column == "cbr":
            return f"CBR {ratio_words(value)}"
        if self.column == "packet_loss":
            # A loss model need not state its mean.
            return "loss unknown" if math.isnan(value) else f"loss {value:.3g} %"
        return f"{value:g} dB"


SNR = Sweep("snr_db", "snr", "SNR", "$E_s/N_0$ per complex channel use (dB)")
BANDWIDTH = Sweep("cbr", "bandwidth", "bandwidth", "channel bandwidth ratio (complex uses / 3HW)")
PACKET_LOSS = Sweep(
    "packet_loss", "loss", "packet loss", "packet loss above the link (mean, %)", 100.0
)
SWEEPS = (SNR, BANDWIDTH, PACKET_LOSS)


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is along a vertical axis: a column of means, and its interval's if it has one.

    words  what headings and captions call it, without a unit
    scale  what values are multiplied by
    """

    column: str
    label: str
    words: str
    interval: tuple[str, str] | None = None
    scale: float = 1.0
    logarithmic: bool = False
    is_share: bool = False


FAILED = Quantity("failed", "failed (%)", "failures", ("failed_low", "failed_high"), 100.0)


def quantity_of(metric: MetricWords) -> Quantity:
    """A metric's mean. What is 0 or 1 is in percent."""
    label = metric.label.replace("(share)", "(%)") if metric.is_share else metric.label
    words = metric.label.partition(" (")[0]
    scale = 100.0 if metric.is_share else 1.0
    interval = interval_columns(metric.column)
    return Quantity(metric.column, label, words, interval, scale, is_share=metric.is_share)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a panel of curves consists of.

    name          what the files' names begin with
    above, below  what its two axes show
    heights       theirs, in relation to each other
    height_in     of both, in inches
    below_band    whether the interval of what is below is drawn
    """

    name: str
    above: Quantity
    below: Quantity = FAILED
    heights: tuple[int, int] = (4, 1)
    height_in: float = 2.5
    below_band: bool = False


def metric_layout(metric: MetricWords) -> Layout:
    """A metric, above the share of failed pictures."""
    return Layout(metric.column.removesuffix("_db"), quantity_of(metric))
