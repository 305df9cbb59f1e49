"""Figures that plug-ins bring, drawn from the table of a run.

figures: {more: [psnr_histogram, {type: psnr_histogram, bins: 40}]}
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from channels.registry import add_to

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FIGURES: dict[str, type[TableFigure]] = {}
"""By the name that a scenario gives."""

AnyFigure = TypeVar("AnyFigure", bound="type[TableFigure]")


class TableFigure(ABC):
    """A frozen dataclass; its fields are its keys in the YAML."""

    @abstractmethod
    def draw(self, table: pd.DataFrame) -> Figure:
        """The figure, of the rows of trials.csv. It is drawn in the testbed's style and saved as
        PNG and PDF under the name that the class is registered by.
        """


def register_figure(name: str) -> Callable[[AnyFigure], AnyFigure]:
    """A decorator that enters a figure. ChannelError if another has the name."""
    return add_to(FIGURES, "figure", name)
