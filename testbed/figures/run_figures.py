"""Figures of a run: quality against SNR, bandwidth and packet loss, and a strip of pictures.

Drawn from the tidy table alone (the strip: from the pictures that are handed in). Codecs differ
in colour, marker and line, so that a figure survives grey print and colour blindness; the colours
are those of Okabe and Ito. The bands are 95 % intervals of the mean over images (intervals.py),
left out where there are too few of them. Variations of a scenario have figures of their own.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.errors import OutputError
from testbed.evaluation.intervals import FEWEST_IMAGES, image_interval
from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.evaluation.trials_table import (
    LINK_COLUMNS,
    MEDIUM_COLUMNS,
    METRICS,
    case_of,
    finite,
    with_case,
)
from testbed.evaluation.trials_table import SETTING_COLUMNS as SETTING_COLUMNS
from testbed.evaluation.trials_table import read_table as read_table
from testbed.language.setting_words import setting_words
from testbed.running.trials import ANALOG

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")

STYLE = Path(__file__).with_name("paper.mplstyle")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")

TITLE_CHARACTERS = 48
"""Of a line of a panel's title that fits its width."""

NOTE_CHARACTERS = 78
"""Of the note below a figure that fit under one panel."""

PANEL_WIDTH_IN = 3.5
LEGEND_ENTRY_IN = (0.45, 0.046)
"""Width of a legend's entry: without its words, and for each of their characters."""
LEGEND_LINE_IN = 0.15

PANELS_PER_PAGE = 3
MAX_PAGES = 6
MAX_CASES = 12
"""Variations of a scenario that are drawn."""

AXES = {
    "snr_db": ("snr", "$E_s/N_0$ per complex channel use (dB)"),
    "cbr": ("bandwidth", "channel bandwidth ratio (complex uses / 3HW)"),
    "packet_loss": ("loss", "packet loss above the link (mean share)"),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """One received picture of a strip: uint8 (H, W, 3), and the lines above it."""

    pixels: NDArray[np.uint8]
    caption: str


def draw_figures(
    table: pd.DataFrame, folder: Path, metrics: Mapping[str, str] = METRICS
) -> tuple[list[Path], int]:
    """Every metric against SNR, bandwidth and packet loss, as PNG and PDF into `folder`.

    `metrics`: by column, the names of axes.
    An axis along which no setting takes two values gives no figure. Pictures of different sizes
    are drawn apart: their rates are not comparable. So are variations of a scenario, whose names
    end the files'. Settings that do not fit into one figure go on in the next, up to MAX_PAGES.
    Returns the files written, and how many settings were left out.
    """
    table = with_case(table)
    written: list[Path] = []
    skipped = 0
    for case, stem_end in case_stems(case_of(table)).items():
        own = table[(table["case"] == case).to_numpy()] if case else table
        sides = own[["width", "height"]]
        # A picture on its side has the same rates: it is drawn with the upright ones.
        for (longer, shorter), part in own.groupby([sides.max(axis=1), sides.min(axis=1)]):
            size = f"{longer}x{shorter}"
            for axis, (stem, _) in AXES.items():
                panels = _panels(part, axis)
                if stem_end is None:
                    skipped += len(panels)
                    continue
                skipped += left_out(panels)
                for number, shown in pages([(in_case(case, title), r) for title, r in panels]):
                    for metric, words in metrics.items():
                        if part[metric].notna().any():
                            name = (
                                f"{metric.removesuffix('_db')}_vs_{stem}_{size}{stem_end}{number}"
                            )
                            figure = _curves(shown, axis, metric, words, size)
                            written += save(figure, folder / name)
    return written, skipped


def case_stems(cases: Sequence[str]) -> dict[str, str | None]:
    """What ends the names of each variation's files; None for those that are not drawn."""
    stems: dict[str, str | None] = {}
    for case in cases:
        end = re.sub(r"[^A-Za-z0-9.=,-]+", "_", case).strip("_.")[:60]
        end = f"_{end}" if case else ""
        # Two names may differ in what a file's name cannot have.
        while end in stems.values():
            end += "_"
        stems[case] = end if len(stems) < MAX_CASES else None
    return stems


def in_case(case: str, title: str) -> str:
    """The title of a panel, below the name of its variation."""
    return f"{textwrap.fill(case, TITLE_CHARACTERS)}\n{title}" if case else title


def pages(panels: list[T]) -> Iterator[tuple[str, list[T]]]:
    """The end of a file's name and the panels of each figure, as far as MAX_PAGES go."""
    for page in range(min(MAX_PAGES, -(-len(panels) // PANELS_PER_PAGE))):
        shown = panels[PANELS_PER_PAGE * page : PANELS_PER_PAGE * (page + 1)]
        yield f"_{page + 1}" if page else "", shown


def left_out(panels: Sequence[object]) -> int:
    """How many panels `pages` leaves out."""
    return max(0, len(panels) - MAX_PAGES * PANELS_PER_PAGE)


def _panels(part: pd.DataFrame, axis: str) -> list[tuple[str, pd.DataFrame]]:
    """(what is held fixed, its rows) for each setting of everything else with >= 2 values.

    Protections are compared with each other: where there are several, they share a panel. Analog
    codecs stand beside all that meets the same medium.
    """
    is_analog = part["modulation"] == ANALOG
    analog = part[is_analog]
    if not is_analog.all():
        part = part[~is_analog]
    shared = {axis, "protection"} if part["protection"].nunique() > 1 else {axis}
    others = [column for column in LINK_COLUMNS if column not in shared]
    varying = [column for column in others if part[column].nunique() > 1]
    panels = []
    for values, rows in part.groupby(others, sort=False, dropna=False, observed=True):
        if rows[axis].nunique() < 2:
            continue
        setting = dict(zip(others, values, strict=True))
        title = setting_words(setting, varying, set(rows["protection"]))
        if not is_analog.all():
            medium = [column for column in MEDIUM_COLUMNS if column != axis]
            rows = pd.concat([rows, analog.merge(rows[medium].drop_duplicates())])
        panels.append((textwrap.fill(title, TITLE_CHARACTERS), rows))
    return panels


def _curves(
    panels: list[tuple[str, pd.DataFrame]], axis: str, metric: str, metric_name: str, size: str
) -> Figure:
    """Above the mean metric with its interval, below the share of failed pictures."""
    import matplotlib.pyplot as plt

    panels = [(title, rows[rows[metric].notna()]) for title, rows in panels]
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(
            2, len(panels), figsize=(PANEL_WIDTH_IN * len(panels), 3.4), sharex="col", sharey="row",
            squeeze=False, height_ratios=(4, 1), layout="constrained",
        )  # fmt: skip
        curves = _curve_looks(pd.concat([rows for _, rows in panels]))
        exact = False
        bands = panels[0][1]["image"].nunique() >= FEWEST_IMAGES
        for column, (title, rows) in enumerate(panels):
            above, below = grid[:, column]
            for (codec, protection), (label, look) in curves.items():
                own = rows[(rows["codec"] == codec) & (rows["protection"] == protection)]
                if own.empty:
                    continue
                points = [
                    (float(str(x)), *_mean_interval(group, metric), group["failed"].mean())
                    for x, group in own.groupby(axis)
                ]
                exact |= bool(np.isinf(own[metric]).any())
                x, mean, low, high, failed = np.array(points).T
                above.plot(x, mean, label=label, **look)
                if bands:
                    above.fill_between(x, low, high, color=look["color"], alpha=0.18, linewidth=0)
                below.plot(x, 100 * failed, **look)
            above.set_title(title)
            below.set_xlabel(AXES[axis][1])
            below.set_ylim(-5, 105)
        grid[0, 0].set_ylabel(metric_name)
        grid[1, 0].set_ylabel("failed (%)")
        handles = {
            label: handle
            for axes in grid[0]
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        columns = _legend_columns(list(handles), len(panels))
        figure.set_figheight(3.4 + LEGEND_LINE_IN * (-(-len(handles) // columns) - 1))
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=columns)
        first = panels[0][1]
        interval = "mean and 95 % interval" if bands else "mean (too few images for an interval)"
        draws = first["repetition"].nunique()
        counts = first.groupby(["codec", "protection", axis, "image"], observed=True).size()
        note = (
            f"{first['image'].nunique()} image(s) of {size} px, "
            f"{'up to ' * bool(counts.min() < draws)}{draws} channel draw(s) each; {interval}; "
            "a failed picture counts as mid-grey"
        )
        if exact:
            note += f"; an exact one as {EXACT_PSNR_DB:g} dB"
        lines = textwrap.fill(note, NOTE_CHARACTERS * len(panels))
        figure.supxlabel(lines, fontsize=6, color="0.35")
    return figure


def _legend_columns(labels: Sequence[str], panels: int) -> int:
    """How many entries fit side by side above the panels, at least one."""
    least_in, character_in = LEGEND_ENTRY_IN
    widest_in = least_in + character_in * max(map(len, labels))
    return max(1, min(len(labels), int(PANEL_WIDTH_IN * panels / widest_in)))


def _curve_looks(table: pd.DataFrame) -> dict[tuple[str, str], tuple[str, dict[str, str]]]:
    """Label and look of each (codec, protection).

    One colour for a codec if there are several, one for a protection otherwise; no two curves
    share both marker and line.
    """
    pairs = list(dict.fromkeys(zip(table["codec"], table["protection"], strict=True)))
    codecs = list(dict.fromkeys(codec for codec, _ in pairs))
    protections = list(dict.fromkeys(each for _, each in pairs if each != ANALOG)) or [ANALOG]
    looks = {}
    for index, (codec, protection) in enumerate(pairs):
        words = [codec] * (len(codecs) > 1 or len(protections) == 1)
        words += [protection] * (len(protections) > 1 and protection != ANALOG)
        hue = codecs.index(codec) if len(codecs) > 1 else protections.index(protection)
        several = len(protections) > 1 and protection != ANALOG
        line = protections.index(protection) if several else index
        look = {
            "color": COLOURS[hue % len(COLOURS)],
            "marker": MARKERS[index % len(MARKERS)],
            "linestyle": LINES[line % len(LINES)],
        }
        looks[codec, protection] = (", ".join(words), look)
    return looks


def _mean_interval(group: pd.DataFrame, metric: str) -> tuple[float, float, float]:
    """Mean over images of their means over draws, and its 95 % interval."""
    values = finite(group, metric)
    images = pd.factorize(group["image"], sort=True)[0]
    by_image = pd.Series(values).groupby(images)
    means = np.asarray(by_image.mean(), np.float64)
    even = by_image.size().nunique() == 1
    return float((values if even else means).mean()), *image_interval(means)


def draw_strip(
    original: Picture, rows: Sequence[tuple[str, Sequence[Picture]]], path: Path
) -> list[Path]:
    """The original, then one row of received pictures per codec. `path` has no suffix."""
    import matplotlib.pyplot as plt

    with plt.style.context(STYLE):
        columns = max(len(pictures) for _, pictures in rows) + 1
        height, width = original.pixels.shape[:2]
        side = 1.15
        figure, grid = plt.subplots(
            len(rows), columns, squeeze=False, layout="constrained",
            figsize=(side * columns, len(rows) * (side * height / width + 0.35)),
        )  # fmt: skip
        for axes in grid.flat:
            axes.axis("off")
        for line, (codec, pictures) in enumerate(rows):
            for column, picture in enumerate([original, *pictures]):
                if column == 0 and line > 0:
                    continue
                axes = grid[line, column]
                # Whole pixels, never smoothed: what is shown is what was received.
                axes.imshow(picture.pixels, interpolation="nearest")
                axes.set_title(picture.caption, fontsize=6, pad=2)
            grid[line, 1].text(
                -0.06, 0.5, codec, rotation=90, ha="right", va="center", fontsize=7,
                transform=grid[line, 1].transAxes,
            )  # fmt: skip
    return save(figure, path)


def save(figure: Figure, path: Path) -> list[Path]:
    """Writes path.png and path.pdf, with no time stamp in them. Raises OutputError."""
    import matplotlib.pyplot as plt

    files = [path.with_name(path.name + suffix) for suffix in (".png", ".pdf")]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for file in files:
            metadata = {"CreationDate": None} if file.suffix == ".pdf" else {"Software": None}
            figure.savefig(file, metadata=metadata)
    except OSError as error:
        raise OutputError(f"{path.parent}: cannot write figures ({error.strerror})") from error
    finally:
        plt.close(figure)
    return files
