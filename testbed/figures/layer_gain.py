"""What each layer brings for what it costs: dB per 1000 channel uses, layer by layer.

dB of a layer    PSNR of the layers up to it, without a channel, minus that of those before it:
                 from examples/layers.csv; the base layer's minus that of mid-grey
its uses         its bytes there, times the channel uses that this run spent for each payload
                 byte of that codec, all that comes with it included
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.trials_table import sizes
from testbed.examples.reading import read_examples
from testbed.figures.captions import counted
from testbed.figures.drawing import STYLE, Drawing, Width
from testbed.figures.looks import Look, looks_of
from testbed.figures.small_multiples import drawn, pages, panel_grid
from testbed.figures.table_settings import TITLE_CHARACTERS
from testbed.figures.ticks import log_ticks
from testbed.figures.trial_captions import (
    caption,
    examples_words,
    left_out_words,
)
from testbed.language.setting_words import scheme_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCHEME = (
    "modulation", "code_rate", "coding", "harq", "transmissions_allowed", "erasure_rate",
    "protection",
)  # fmt: skip
"""Columns that say what a payload byte costs."""
BITS = 8
PLAIN_FROM = 100
"""Numbers above have no fractions, and no powers of ten."""


@dataclass(frozen=True, slots=True)
class LayerGains:
    """Of one codec on pictures of one size; one value for each layer.

    images         how many pictures, of those that the run keeps examples of
    names          of the layers; without the base layer where mid-grey's PSNR is not known
    gain_db        mean over pictures
    uses           channel uses, mean over pictures
    uses_per_byte  of payload, of this run's trials with `scheme`
    """

    codec: str
    size: str
    scheme: str
    images: int
    names: tuple[str, ...]
    gain_db: NDArray[np.float64]
    uses: NDArray[np.float64]
    uses_per_byte: float

    @property
    def db_per_1000_uses(self) -> NDArray[np.float64]:
        return 1000 * self.gain_db / self.uses


def draw_layer_gain(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """For each layered codec and each size of pictures; nothing of a run that keeps no examples."""
    found = layer_gains(run)
    left_out = len(found) - len(drawn(found, width, rows=2))
    for end, shown in pages(found, width, rows=2):
        images = " and ".join(
            dict.fromkeys(
                f"{counted(each.images, 'picture')} of {each.size} pixels" for each in shown
            )
        )
        yield Drawing(
            stem=f"layer_gain{end}",
            title="What each layer brings for its channel uses",
            caption=caption(
                [
                    "Above, by how much a layer raises PSNR when all before it are there, without "
                    f"a channel, mean over {images} that the run keeps as examples; the base layer "
                    "against mid-grey, where the run has it of all these pictures; an exact "
                    f"picture counts as {EXACT_PSNR_DB:g} dB. Below, that divided by the channel "
                    "uses of the layer: its bytes times the channel uses that the run spent per "
                    "payload byte with the scheme named, headers, CRCs, parity, padding, "
                    "retransmissions, pilots and prefixes included; logarithmic scale.",
                    examples_words(run),
                    left_out_words(left_out, "panel"),
                ]
            ),
            group="layers",
            figure=_figure(run, shown, width),
        )


def layer_gains(run: RunFolder) -> list[LayerGains]:
    """Codecs in the scenario's order, sizes in that of the examples."""
    table = read_examples(run.path).layers
    # A row for a budget is of a codec without layers.
    table = table[table["budget_bytes"].isna()]
    layered = [
        codec
        for codec in run.codecs
        if table.loc[(table["codec"] == codec).to_numpy(), "layers"].max() > 1
    ]
    if not layered:
        return []
    columns = ["codec", "image", "height", "width", "psnr_db", "failed", "channel_uses"]
    trials = run.trials([*columns, "case", "payload_bits", *SCHEME])
    # Examples are of the first variation.
    trials = trials[(trials["case"] == trials["case"].iloc[0]).to_numpy()].copy()
    trials["size"] = sizes(trials)
    found = []
    for codec in layered:
        own = table[(table["codec"] == codec).to_numpy()]
        for size in own["size"].unique():
            here = ((trials["codec"] == codec) & (trials["size"] == size)).to_numpy()
            gains = _gains(
                codec, size, own[(own["size"] == size).to_numpy()], trials[here],
                _grey_db(trials[(trials["size"] == size).to_numpy()]),
            )  # fmt: skip
            if gains is not None:
                found.append(gains)
    return found


def _gains(
    codec: str,
    size: str,
    examples: pd.DataFrame,
    trials: pd.DataFrame,
    grey_db: Mapping[str, float],
) -> LayerGains | None:
    """None of a codec that sent nothing of this size.

    examples: rows of layers.csv. trials: of the codec and size. grey_db: of pictures by name.
    """
    trials = trials[trials["payload_bits"] > 0]
    if trials.empty:
        return None
    groups = trials.groupby(list(SCHEME), observed=True, dropna=False, sort=False)
    totals = groups[["channel_uses", "payload_bits"]].sum()
    usual = int(groups.size().to_numpy().argmax())
    scheme = dict(zip(SCHEME, totals.index[usual], strict=True))
    uses_per_byte = BITS * float(
        totals["channel_uses"].iloc[usual] / totals["payload_bits"].iloc[usual]
    )
    by_layer = examples.assign(psnr_db=examples["psnr_db"].clip(upper=EXACT_PSNR_DB)).pivot(
        index="image", columns="layers", values=["psnr_db", "payload_bytes"]
    )
    psnr, payload = by_layer["psnr_db"], by_layer["payload_bytes"]
    grey = psnr.index.map(dict(grey_db)).to_numpy(np.float64)[:, None]
    gain_db = np.diff(psnr.to_numpy(np.float64), axis=1, prepend=grey)
    layer_bytes = np.diff(payload.to_numpy(np.float64), axis=1, prepend=0.0)
    names = examples.drop_duplicates("layers").set_index("layers")["layer"]
    # Of a mean over some of the pictures nobody would know what it is of.
    known = ~np.isnan(gain_db).any(axis=0)
    return LayerGains(
        codec,
        size,
        _words(scheme),
        len(psnr),
        tuple(_spaced(names[count]) for count in psnr.columns[known]),
        gain_db[:, known].mean(axis=0),
        uses_per_byte * layer_bytes[:, known].mean(axis=0),
        uses_per_byte,
    )


def _grey_db(trials: pd.DataFrame) -> dict[str, float]:
    """PSNR of the mid-grey picture, by the name of the picture, as far as trials failed."""
    failed = trials[trials["failed"].to_numpy(bool)]
    first = failed.groupby("image", observed=True)["psnr_db"].first()
    return {str(image): float(psnr) for image, psnr in first.items()}


def _words(scheme: dict[str, object]) -> str:
    words = scheme_words(scheme)
    protection = scheme["protection"]
    return words if protection == "equal" else f"{words}, protection {protection}"


def _spaced(name: str) -> str:
    """ "plane4low" as "plane 4 low"."""
    return " ".join(re.findall(r"\d+|[^\d]+", name))


def _figure(run: RunFolder, shown: Sequence[LayerGains], width: Width) -> Figure:
    import matplotlib.pyplot as plt

    looks = looks_of(run.codecs)
    titles = [
        f"{run.labels[each.codec]}, {each.size}\n"
        + textwrap.fill(
            f"{each.scheme}: {each.uses_per_byte:.3g} uses per payload byte",
            TITLE_CHARACTERS,
        )
        for each in shown
    ]
    with plt.style.context(STYLE):
        figure, stacks = panel_grid(width, titles, [1.1, 1.3])
        for each, (above, below) in zip(shown, stacks, strict=True):
            look = looks[each.codec]
            above.bar(
                range(len(each.names)), each.gain_db, width=0.7, color=look.colour, alpha=0.75,
                edgecolor="0.15", hatch=look.hatch, linewidth=0.5,
            )  # fmt: skip
            low, high = min(0.0, each.gain_db.min()), each.gain_db.max()
            above.set_ylim(low, low + 1.2 * (high - low))
            above.set_ylabel("gain (dB)")
            _write(above, each.gain_db, "{:.1f}", 0.0)
            _efficiency(below, each.db_per_1000_uses, look)
            for axes in (above, below):
                axes.set_xlim(-0.6, len(each.names) - 0.4)
                axes.grid(axis="x", visible=False)
                axes.set_axisbelow(True)
            above.set_xticks(range(len(each.names)), [])
            below.set_xticks(range(len(each.names)), each.names, rotation=45, ha="right")
            below.set_ylabel("dB per 1000\nchannel uses")
    return figure


def _efficiency(axes: Axes, values: NDArray[np.float64], look: Look) -> None:
    """A layer that brings nothing has its number at the bottom: a logarithm cannot show it."""
    axes.set_yscale("log")
    positive = values[values > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 1.0)
    axes.set_ylim(low / 2, high * 3)
    log_ticks(axes.yaxis)
    shown = np.where(values > 0, values, np.nan)
    axes.plot(range(len(values)), shown, linestyle="none", **look.line)
    _write(axes, values, "{:.2g}", low / 2, above_points=3)


def _write(
    axes: Axes, values: NDArray[np.float64], words: str, bottom: float, above_points: float = 1.5
) -> None:
    for place, value in enumerate(values.tolist()):
        number = f"{value:.0f}" if value >= PLAIN_FROM else words.format(value)
        axes.annotate(
            number, (place, max(value, bottom)), xytext=(0, above_points),
            ha="center", textcoords="offset points", fontsize=5.5,
        )  # fmt: skip
