"""What `testbed reproduce figure2` does: rate-distortion curves as CSV, figure and claims.

    figure2.csv           codec, accounting, setting, bpp, psnr_db, ssim, images
    figure2.png, .pdf     PSNR and SSIM (down) under each accounting (across)
    claims.md             the paper's claims beside these curves (claims.py, claims_markdown.py)

Source: Samarathunga et al., the figure of bpp against PSNR and against SSIM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from codec.base import CodecError, Image
from codec.layered import LayeredCodec
from codec.profile import profile_scheme
from testbed.errors import OutputError
from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.evaluation.trials_table import METRICS
from testbed.figures.drawing import STYLE
from testbed.figures.looks import COLOURS, MARKERS
from testbed.figures.saving import LINES, save
from testbed.images import load_same_size
from testbed.registry import CodecSetupError, open_layered_codec
from testbed.studies.claims import MOST_BPP
from testbed.studies.claims_markdown import write_claims
from testbed.studies.conventional_rd import StillCodec, available_codecs
from testbed.studies.rate_curve import read_curves
from testbed.studies.rate_distortion import (
    ACCOUNTING_WORDS,
    ACCOUNTINGS,
    CODEC_WORDS,
    OURS,
    RatePoint,
    layered_points,
    steps_of,
    still_points,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CSV_DIGITS = {"bpp": 6, "psnr_db": 4, "ssim": 6}


def reproduce_figure2(
    profile_name: str, source: str, limit: int | None, out: Path, earlier: Path | None = None
) -> None:
    """Measures, prints and writes the files above into `out`. Raises TestbedError.

    earlier: a figure2.csv of the same pictures, from which the conventional codecs are taken.
    """
    _check_folder(profile_name, out)
    pictures = load_same_size(source, limit)
    ours = open_layered_codec(profile_name)
    others, left_out = available_codecs()
    known = conventional_curves(earlier, len(pictures)) if earlier else None
    points = measure(ours, [] if earlier else others, [picture.pixels for picture in pictures])
    table = pd.concat([as_table(points), known], ignore_index=True)
    try:
        out.mkdir(parents=True, exist_ok=True)
        table.to_csv(out / "figure2.csv", index=False, lineterminator="\n")
    except OSError as error:
        raise OutputError(f"{out}: cannot write ({error.strerror})") from error
    note = f"{len(pictures)} images of {source}, weights {ours.profile.sha256[:16]}"
    figures = save(draw_figure2(table, note), out / "figure2")
    claims = write_claims(out, note)
    _print(table, len(pictures))
    for line in left_out:
        print(line)
    print(", ".join(str(path) for path in (out / "figure2.csv", *figures, claims)))


def _check_folder(profile_name: str, out: Path) -> None:
    """One claim is judged by the folder's table1.csv, which is of the paper's scheme."""
    try:
        scheme = profile_scheme(profile_name)
    except CodecError as error:
        raise CodecSetupError(str(error)) from error
    if scheme != "paper" and (out / "table1.csv").exists():
        raise OutputError(
            f"{out}: holds table1.csv of the paper's scheme; name another folder with --out for "
            f"the profile '{profile_name}'"
        )


def conventional_curves(earlier: Path, images: int) -> pd.DataFrame:
    """The rows of all codecs but ours. Raises OutputError unless they are of so many images."""
    try:
        table = read_curves(earlier)
        rows = table[table["codec"] != OURS]
        # A mosaic leaves out the images that its grid has no room for.
        found = int(rows["images"].max())
    except (OSError, ValueError) as error:
        raise OutputError(f"{earlier}: expected an earlier figure2.csv ({error})") from error
    if found != images:
        raise OutputError(f"{earlier}: expected curves over {images} images, found {found}")
    return rows


def measure(
    ours: LayeredCodec, others: Sequence[StillCodec], images: Sequence[Image]
) -> list[RatePoint]:
    """The points of all codecs, with a bar for each."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(CODEC_WORDS[OURS], total=steps_of(ours, images))
        points = layered_points(ours, images, partial(progress.advance, bar))
        for codec in others:
            words = CODEC_WORDS.get(codec.name, codec.name)
            bar = progress.add_task(words, total=steps_of(codec, images))
            points += still_points(codec, images, partial(progress.advance, bar))
    return points


def as_table(points: Sequence[RatePoint]) -> pd.DataFrame:
    """One row per point, in the order of the points."""
    return pd.DataFrame([asdict(point) for point in points]).round(CSV_DIGITS)


def draw_figure2(table: pd.DataFrame, note: str) -> Figure:
    """Six panels from the tidy table, up to MOST_BPP: metrics down, accountings across."""
    import matplotlib.pyplot as plt

    metrics = [metric for metric in METRICS if table[metric].notna().any()]
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(
            len(metrics), len(ACCOUNTINGS), figsize=(9.0, 2.5 * len(metrics) + 0.5),
            sharex=True, sharey="row", squeeze=False, layout="constrained",
        )  # fmt: skip
        for column, accounting in enumerate(ACCOUNTINGS):
            rows = table[table["accounting"] == accounting]
            for row, metric in enumerate(metrics):
                _draw_panel(grid[row, column], rows, metric)
            grid[0, column].set_title(ACCOUNTING_WORDS[accounting])
            grid[-1, column].set_xlabel("rate (bits per pixel)")
        for row, metric in enumerate(metrics):
            grid[row, 0].set_ylabel(METRICS[metric])
            grid[row, 0].set_ylim(*_limits(table, metric))
        grid[0, 0].set_xlim(0, MOST_BPP)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        figure.supxlabel(
            f"{note}; 4:4:4; of the layered codec every byte is charged in all panels; "
            f"means over images, an exact one counts as {EXACT_PSNR_DB:g} dB",
            fontsize=6, color="0.35",
        )  # fmt: skip
    return figure


def _draw_panel(axes: Axes, rows: pd.DataFrame, metric: str) -> None:
    for index, (codec, words) in enumerate(CODEC_WORDS.items()):
        curve = rows[rows["codec"] == codec].sort_values("bpp")
        if curve.empty:
            continue
        axes.plot(
            curve["bpp"], curve[metric], label=words,
            color=COLOURS[index], marker=MARKERS[index], linestyle=LINES[index % len(LINES)],
            markersize=5 if codec == OURS else 3, linewidth=1.8 if codec == OURS else 1.0,
            zorder=3 if codec == OURS else 2,
        )  # fmt: skip


def _limits(table: pd.DataFrame, metric: str) -> tuple[float, float]:
    """The layered codec and the better part of the others, as far as the figure goes."""
    shown = table[table["bpp"] <= MOST_BPP][metric]
    low, high = float(shown.quantile(0.02)), float(shown.max())
    margin = 0.04 * (high - low)
    return low - margin, (1.0 if metric == "ssim" else high) + margin


def _print(table: pd.DataFrame, images: int) -> None:
    shown = Table(title=f"Layered codec, all bytes charged; {images} images")
    for heading in ("up to layer", "bpp", "PSNR (dB)", "SSIM"):
        shown.add_column(heading, justify="right")
    ours = table[(table["codec"] == OURS) & (table["accounting"] == ACCOUNTINGS[0])]
    for _, row in ours.iterrows():
        shown.add_row(
            str(row["setting"]), f"{row['bpp']:.3f}", f"{row['psnr_db']:.2f}", f"{row['ssim']:.4f}"
        )
    Console().print(shown)
