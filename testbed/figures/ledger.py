"""Where the channel uses go: payload, and all that it takes to bring it over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trial_store import Point, TrialStore
from testbed.figures.drawing import STYLE, Drawing, Width
from testbed.figures.legends import legend_above, legend_entries
from testbed.figures.small_multiples import (
    drawn,
    pages,
    panel_grid,
)
from testbed.figures.table_settings import (
    AXES,
    Panel,
    measured_trials,
    panels_of,
)
from testbed.figures.trial_captions import (
    caption,
    extent_words,
    headers_words,
    left_out_words,
)
from testbed.spreading import spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Kind(NamedTuple):
    """What channel uses are for, and how it looks: shades differ in grey, too."""

    label: str
    colour: str
    hatch: str


BIT_KINDS: Mapping[str, Kind] = {
    "payload_bits": Kind("payload", "#0072B2", ""),
    "header_bits": Kind("headers", "#E69F00", "////"),
    "crc_bits": Kind("CRCs", "#000000", ""),
    "parity_bits": Kind("parity", "#9BD3F2", ""),
    "padding_bits": Kind("padding", "#FFFFFF", ""),
    "erasure_bits": Kind("erasure parity", "#5FC9A7", "xxxx"),
    "retransmission_bits": Kind("retransmissions", "#E58A50", "\\\\\\\\"),
}
"""Columns that add up to coded_bits."""
ANALOG_KIND = Kind("analog symbols", "#D9A5C3", "....")
BEYOND_KIND = Kind("pilots, prefixes", "#BBBBBB", "||||")
KINDS = (*BIT_KINDS.values(), ANALOG_KIND, BEYOND_KIND)
TOTALS = ("coded_bits", "symbols", "channel_uses")

AXES_TRIED = ("cbr", "snr_db", "packet_loss")
"""Along which bars are drawn, the first along which they differ."""
NOTICEABLE = 0.01
"""Of all channel uses: bars that differ by less are the same."""
MOST_BARS = 18
MOST_GROUPS = 6
WRITTEN = 0.08
"""A share that has room for its number."""


@dataclass(frozen=True, slots=True)
class _Bars:
    """A panel's shares by group, such as "CBR 1/6", and codec.

    is_whole   whether no group is left out
    alike      panels with the same shares
    """

    panel: Panel
    groups: dict[str, dict[str, dict[str, float]]]
    is_whole: bool = True
    alike: list[Panel] = field(default_factory=list)

    @property
    def title(self) -> str:
        count = len(self.alike)
        more = f"and {count} further setting{'s' * (count > 1)}, alike"
        return f"{self.panel.title}\n{more}" if count else self.panel.title

    @property
    def points(self) -> list[Point]:
        return [point for panel in (self.panel, *self.alike) for point in panel.points]


def draw_ledger(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """Stacked bars of each codec for each setting, along bandwidth, SNR or packet loss where these
    change something.
    """
    with measured_trials(run, *BIT_KINDS, *TOTALS) as trials:
        found = _without_repeats(
            _bars(trials, panel, run.codecs)
            for panel in panels_of(trials, AXES_TRIED)
            if any(shares(trials, [point]) for point in panel.points)
        )
        left_out = len(found) - len(drawn(found, width))
        for end, shown in pages(found, width):
            points = [point for each in shown for point in each.points]
            yield Drawing(
                stem=f"ledger{end}",
                title="Where the channel uses go",
                caption=caption(
                    [
                        "Channel uses by what they are for, of all that were spent in the trials "
                        "of a bar: coded bits of each kind as a share of all coded bits, which "
                        "fill the symbols, and channel uses beyond the symbols. The number in a "
                        "bar is in percent; a codec without a bar sent nothing.",
                        "Along bandwidth, or SNR, or packet loss if that changes a share by "
                        f"{100 * NOTICEABLE:g} % of the uses; over all values if none does. "
                        "Settings of which no share differs by as much are drawn once.",
                        ""
                        if all(each.is_whole for each in shown)
                        else "Of many values some are drawn, spread evenly.",
                        extent_words(trials, points),
                        headers_words(run, points),
                        left_out_words(left_out, "panel"),
                    ]
                ),
                group="cost",
                figure=_figure(shown, width),
            )


def shares(trials: TrialStore, points: Iterable[Point]) -> dict[str, float]:
    """Of the channel uses of all trials of `points`, by the label of a Kind; they add up to 1.

    Empty if nothing was sent. Spatial multiplexing sends more symbols than there are channel uses:
    then no uses are beyond the symbols.
    """
    totals = dict.fromkeys((*BIT_KINDS, *TOTALS), 0.0)
    for point in points:
        values = trials.values(point)
        for name in totals:
            totals[name] += float(np.nansum(values[trials.names.index(name)]))
    uses, symbols, coded = (totals[name] for name in ("channel_uses", "symbols", "coded_bits"))
    if not uses:
        return {}
    of_symbols = min(symbols / uses, 1.0)
    found = {BEYOND_KIND.label: 1 - of_symbols}
    if coded:
        found |= {kind.label: of_symbols * totals[name] / coded for name, kind in BIT_KINDS.items()}
    else:
        found[ANALOG_KIND.label] = of_symbols
    return {kind.label: found[kind.label] for kind in KINDS if found.get(kind.label)}


def _bars(trials: TrialStore, panel: Panel, codecs: Sequence[str]) -> _Bars:
    there = panel.codecs(codecs)
    most = max(1, min(MOST_GROUPS, MOST_BARS // len(there)))
    for axis in AXES_TRIED:
        groups = {
            AXES[axis].value_words(value): {
                codec: shares(
                    trials, [each for each in panel.at(axis, value) if each.codec == codec]
                )
                for codec in there
            }
            for value in panel.values(axis)
        }
        if any(_differ([own[codec] for own in groups.values()]) for codec in there):
            shown = {name: groups[name] for name in spread(list(groups), most)}
            return _Bars(panel, shown, is_whole=len(shown) == len(groups))
    whole = {codec: shares(trials, panel.of_codec(codec)) for codec in there}
    return _Bars(panel, {"": whole})


def _without_repeats(found: Iterable[_Bars]) -> list[_Bars]:
    """One of each that look the same, of pictures of one size."""
    kept: list[_Bars] = []
    for each in found:
        same = next((other for other in kept if _are_alike(each, other)), None)
        if same is None:
            kept.append(each)
        else:
            same.alike.append(each.panel)
    return kept


def _are_alike(one: _Bars, two: _Bars) -> bool:
    if one.panel.size != two.panel.size or list(one.groups) != list(two.groups):
        return False
    pairs = [(own, two.groups[name]) for name, own in one.groups.items()]
    return all(list(own) == list(its) for own, its in pairs) and not any(
        bool(own[codec]) != bool(its[codec]) or _differ([own[codec], its[codec]])
        for own, its in pairs
        for codec in own
    )


def _differ(bars: Sequence[Mapping[str, float]]) -> bool:
    return any(
        max(own) - min(own) >= NOTICEABLE
        for own in ([bar.get(kind.label, 0.0) for bar in bars if bar] for kind in KINDS)
        if own
    )


def _figure(shown: Sequence[_Bars], width: Width) -> Figure:
    import matplotlib.pyplot as plt

    with plt.style.context([STYLE, {"hatch.linewidth": 0.5}]):
        figure, stacks = panel_grid(width, [each.title for each in shown], [1.6])
        for each, (axes,) in zip(shown, stacks, strict=True):
            _draw_bars(axes, each.groups)
        entries = legend_entries([axes for (axes,) in stacks])
        in_order = [kind.label for kind in KINDS if kind.label in entries]
        legend_above(figure, {label: entries[label] for label in in_order})
    return figure


def _draw_bars(axes: Axes, groups: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    names: list[str] = []
    places: list[float] = []
    at = 0.0
    for group, bars in groups.items():
        axes.text(at + (len(bars) - 1) / 2, 1.02, group, ha="center", va="bottom", fontsize=6)
        for codec, parts in bars.items():
            _draw_bar(axes, at, parts)
            names.append(codec)
            places.append(at)
            at += 1
        at += 0.7
    # A single bar would be as wide as the panel.
    margin = max(0.0, (6 - at) / 2)
    axes.set_xlim(-0.7 - margin, at - 1 + margin)
    many = len(names) > 4
    axes.set_xticks(places, names, rotation=90 if many else 0, fontsize=6 if many else 7)
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, 1.12)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.set_ylabel("channel uses (%)")
    axes.grid(axis="x", visible=False)
    axes.set_axisbelow(True)


def _draw_bar(axes: Axes, at: float, parts: Mapping[str, float]) -> None:
    bottom = 0.0
    for kind in KINDS:
        share = parts.get(kind.label, 0.0)
        if not share:
            continue
        axes.bar(
            at, share, bottom=bottom, width=0.8, color=kind.colour, hatch=kind.hatch,
            edgecolor="0.15", linewidth=0.4, label=kind.label,
        )  # fmt: skip
        if share >= WRITTEN and not kind.hatch:
            dark = kind.colour in ("#0072B2", "#000000")
            axes.text(
                at, bottom + share / 2, f"{100 * share:.0f}", ha="center", va="center",
                fontsize=5.5, color="white" if dark else "black",
            )  # fmt: skip
        bottom += share
