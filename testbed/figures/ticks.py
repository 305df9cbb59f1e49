"""Numbers along axes: whole steps on linear ones, few and plain numbers on logarithmic ones."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axis import Axis

STEPS = (1, 2, 5, 10)
"""No quarters: SNRs are whole numbers of dB."""
FEW_DECADES = 0.8
"""An axis that is shorter has few powers of ten, halves and fifths of these."""
MANY_DECADES = 2.2
"""An axis that is longer has powers of ten alone."""


def linear_ticks(axis: Axis) -> None:
    """At multiples of STEPS."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", steps=STEPS))


def log_ticks(axis: Axis) -> None:
    """By the axis's range, which must be known; the ticks between have no numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    decades = math.log10(high / low)
    subs: tuple[float, ...] = (1.0, 2.0, 5.0)
    if decades < FEW_DECADES:
        subs = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    elif decades > MANY_DECADES:
        subs = (1.0,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_minor_formatter(NullFormatter())
    if decades <= MANY_DECADES:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
