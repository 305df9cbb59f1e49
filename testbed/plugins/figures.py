"""Draws the figures of plug-ins that a scenario asks for: `figures: {more: [..]}`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import error_words
from testbed.language.link_parts import LinkPart, make_part
from testbed.plugins.figure_registry import TableFigure
from testbed.plugins.loading import PluginError

if TYPE_CHECKING:
    import pandas as pd


def draw_plugin_figures(parts: Sequence[LinkPart], table: pd.DataFrame, folder: Path) -> list[Path]:
    """PNG and PDF of each into `folder`, named after its type; the files.

    table: a trials.csv as `trials_table.read_table` gives it, with all columns. Raises PluginError
    for a figure that cannot be drawn, when all others are.
    """
    import matplotlib.pyplot as plt
    from matplotlib.figure import Figure

    from testbed.figures.drawing import STYLE
    from testbed.figures.saving import save

    written: list[Path] = []
    problems: list[str] = []
    for number, part in enumerate(parts):
        earlier = [each.type for each in parts[:number]].count(part.type)
        name = f"{part.type}_{earlier + 1}" if earlier else part.type
        figure: TableFigure = make_part("figure", part)
        open_before = set(plt.get_fignums())
        try:
            with plt.style.context(STYLE):
                drawn = figure.draw(table.copy())
                if not isinstance(drawn, Figure):
                    raise TypeError(f"expected a matplotlib Figure, found {type(drawn).__name__}")
                written += save(drawn, folder / name)
        except Exception as error:
            # The class is the user's own and may say anything.
            problems.append(f"figure {part.label}: {error_words(error)}")
        finally:
            for each in set(plt.get_fignums()) - open_before:
                plt.close(each)
    if problems:
        raise PluginError("\n".join(problems))
    return written
