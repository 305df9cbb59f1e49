"""How a codec looks: the same in every figure of a run.

Colours are those of Okabe and Ito, which the colour-blind tell apart, without their yellow, which
white paper swallows, and then three of Paul Tol's muted ones. No two codecs share a marker, so that
figures survive grey print; from the eleventh on, colours come again with open markers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255",
    "#999933", "#777777",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p", "h")
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "ooo", "+++", "***", "|||", "OOO", "//..")
"""Of filled areas, in the order of colours."""


@dataclass(frozen=True, slots=True)
class Look:
    """Of one codec, or of one of its protections: what its lines, markers and areas have."""

    colour: str
    marker: str
    filled: bool
    hatch: str

    @property
    def line(self) -> dict[str, Any]:
        """Arguments of `Axes.plot`."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "markerfacecolor": self.colour if self.filled else "white",
        }


def look_of(number: int) -> Look:
    """Of the codec that is the scenario's `number`-th, counted from 0."""
    return Look(
        colour=COLOURS[number % len(COLOURS)],
        marker=MARKERS[number % len(MARKERS)],
        filled=number % (2 * len(COLOURS)) < len(COLOURS),
        hatch=HATCHES[number % len(HATCHES)],
    )


def looks_of(codecs: Sequence[str]) -> dict[str, Look]:
    """By name. codecs: all of the scenario's, in its order."""
    return {name: look_of(number) for number, name in enumerate(codecs)}
