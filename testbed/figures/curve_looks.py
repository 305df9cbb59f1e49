"""How curves look: a codec as in every figure (looks.py), its protections by line and marker.

codec       colour and marker
protection  line, and what of the marker is filled
kind        real and analog bold, ideal codes thin and dashed, uncoded symbols thin and dotted
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from testbed.evaluation.run_folder import RunFolder
from testbed.figures.looks import Look, looks_of
from testbed.running.trials import ANALOG

PROTECTION_LINES: tuple[Any, ...] = (
    "-", "-.", (0, (7, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)),
)  # fmt: skip
FILLS = ("full", "none", "left", "top")
KIND_LINES: Mapping[str, Any] = {"ideal": "--", "uncoded": ":"}
KIND_WORDS: Mapping[str, str] = {"ideal": "ideal code", "uncoded": "uncoded"}

FEW_CURVES = 4
"""In one panel, that may have thick lines and large markers."""
WIDTHS = (1.4, 1.0)
MARKER_SIZES = (4.0, 3.2)
"""Points: of few curves, of many."""
REFERENCE_WIDTH = 1.6
"""Of the reference codec's line, in relation to others."""
MOST_MARKERS = 12
"""Of a curve: beyond it, some points go without."""


@dataclass(frozen=True, slots=True)
class CurveLook:
    """Of one (codec, protection).

    label      its words in the legend
    style      arguments of `Axes.plot`
    emphasis   what the line's width is multiplied by
    """

    label: str
    style: Mapping[str, Any]
    emphasis: float = 1.0

    @property
    def colour(self) -> str:
        return str(self.style["color"])

    def line(self, kind: str, curves: int, points: int) -> dict[str, Any]:
        """Arguments of `Axes.plot` of a curve of `points` in a panel of `curves`."""
        many = curves > FEW_CURVES
        style = dict(self.style) | {
            "linewidth": WIDTHS[many] * self.emphasis,
            "markersize": MARKER_SIZES[many],
            "markevery": -(-points // MOST_MARKERS) or 1,
        }
        if kind in KIND_LINES:
            style |= {"linestyle": KIND_LINES[kind], "linewidth": 0.9, "markersize": 2.5}
        return style


def curve_looks(run: RunFolder, frame: pd.DataFrame) -> dict[tuple[str, str], CurveLook]:
    """By (codec, protection), in the scenario's order of codecs.

    frame: all points of the run, so that each looks the same in all figures. Labels name a
    protection where a codec has several, or not the run's first.
    """
    pairs = frame[["codec", "protection"]].drop_duplicates()
    protections = [str(each) for each in pairs["protection"].unique() if each != ANALOG]
    codecs = looks_of(run.codecs)
    found = {}
    for codec in run.codecs:
        own = pairs.loc[(pairs["codec"] == codec).to_numpy(), "protection"]
        for protection in map(str, own):
            number = 0 if protection == ANALOG else protections.index(protection)
            named = number > 0 or len(own) > 1
            label = f"{run.labels[codec]}, {protection}" if named else run.labels[codec]
            found[codec, protection] = CurveLook(label, _style(codecs[codec], number))
    return found


def emphasised(
    looks: Mapping[tuple[str, str], CurveLook], codec: str
) -> dict[tuple[str, str], CurveLook]:
    """The same with thicker lines for one codec."""
    return {
        key: CurveLook(look.label, look.style, REFERENCE_WIDTH if key[0] == codec else 1.0)
        for key, look in looks.items()
    }


def _style(look: Look, protection: int) -> dict[str, Any]:
    # A codec whose own markers are open has its protections' in the order that follows.
    fill = FILLS[(protection + (not look.filled)) % len(FILLS)]
    return {
        "color": look.colour,
        "marker": look.marker,
        "linestyle": PROTECTION_LINES[protection % len(PROTECTION_LINES)],
        "fillstyle": "full" if fill == "none" else fill,
        "markerfacecolor": "white" if fill == "none" else look.colour,
        "markerfacecoloralt": "white",
    }
