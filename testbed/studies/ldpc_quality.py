"""What `testbed reproduce ldpc_quality` does: the LDPC decoder beside sum-product decoding.

    ldpc_quality.csv          a row per point: words, errors of both; the curves' gap at 1 %
    ldpc_quality.png, .pdf    block error rates, a panel per code: k down, code rates across

Both decoders get the same words and the same noise, at most 20 iterations. Points go to
ldpc_quality.partial.jsonl as soon as they are known; it is removed at the end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

from channels import ldpc_decoder, sum_product
from channels.bench_ldpc_quality import TARGET, Gap, QualityBench, QualityPoint, gap_at_target
from channels.table_link import MeasuredRate
from testbed.errors import OutputError
from testbed.figures.drawing import STYLE
from testbed.figures.looks import COLOURS, MARKERS
from testbed.figures.saving import LINES, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INFORMATION_BITS = (128, 512, 1024, 2048, 4224, 8448)
CODE_RATES = (Fraction(1, 3), Fraction(1, 2), Fraction(3, 4), Fraction(8, 9))
BITS_PER_POINT = 4_000_000
"""Unless words are asked for: a short code's flat curve needs more words than a long one's ..."""
FEWEST_WORDS = 1000
"""... but at 1 % some errors are needed of any."""
DECODERS = {"errors": "layered offset min-sum", "reference_errors": "flooding sum-product"}
"""What the columns of the table are errors of."""
REQUIRED_DB = 0.1
"""No code may lose more than this to the reference."""


@dataclass(frozen=True)
class QualityCurve:
    """Both decoders over one code: its points, ascending in Es/N0, and the gap between them."""

    k: int
    n: int
    code_rate: Fraction
    points: Sequence[QualityPoint]
    gap: Gap | None


def reproduce_ldpc_quality(words: int | None, out: Path) -> None:
    """Measures, prints and writes the files above into `out`. Raises OutputError."""
    partial = out / "ldpc_quality.partial.jsonl"
    codes = [(k, rate) for rate in CODE_RATES for k in INFORMATION_BITS]
    try:
        out.mkdir(parents=True, exist_ok=True)
        curves = [
            measure(k, rate, words or max(BITS_PER_POINT // k, FEWEST_WORDS), partial)
            for k, rate in track(codes, "codes", console=Console(stderr=True))
        ]
        table = as_table(curves)
        table.to_csv(out / "ldpc_quality.csv", index=False, lineterminator="\n")
        figures = save(draw_ldpc_quality(table), out / "ldpc_quality")
        partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot write ({error.strerror})") from error
    _print(curves)
    print(", ".join(str(path) for path in (out / "ldpc_quality.csv", *figures)))


def measure(k: int, code_rate: Fraction, words: int, partial: Path) -> QualityCurve:
    """One code's curves; points that `partial` holds are taken from there, new ones added."""
    bench = QualityBench(k, float(code_rate), words)
    key = [k, bench.n, words, _decoders()]
    known = known_points(partial, key, words)

    def keep(point: QualityPoint) -> None:
        with partial.open("a") as file:
            # A line break first: the line before may be torn.
            file.write("\n" + json.dumps([key, point.esn0_db, point.wrong, point.reference_wrong]))

    points = bench.curve(known, keep)
    return QualityCurve(k, bench.n, code_rate, points, gap_at_target(points))


def known_points(partial: Path, key: list[object], words: int) -> dict[float, QualityPoint]:
    """What an earlier run has measured for `key`, by Es/N0; lines that are no points do not count.

    key: of the code and the decoders, as in each line. words: per point.
    """
    known: dict[float, QualityPoint] = {}
    for line in partial.read_bytes().splitlines() if partial.exists() else ():
        try:
            found_key, esn0_db, *errors = json.loads(line)
            wrong, reference_wrong = (tuple(map(int, each)) for each in errors)
            point = QualityPoint(float(esn0_db), words, wrong, reference_wrong)
        except (ValueError, TypeError, OverflowError, RecursionError):
            continue  # Torn by an interruption.
        if found_key == key:
            known[point.esn0_db] = point
    return known


def _decoders() -> str:
    """Hash of the decoders' sources: points of other ones do not count."""
    digest = hashlib.sha256()
    for module in (ldpc_decoder, sum_product):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]


def as_table(curves: Sequence[QualityCurve]) -> pd.DataFrame:
    """One row per point; what holds for a curve stands in each of its rows.

    Columns: k, n, code_rate; esn0_db, words, errors, reference_errors; ours_at_1_percent_db,
    reference_at_1_percent_db, gap_db, and its 95 % interval gap_low_db .. gap_high_db, which are
    empty where the points do not enclose 1 %.
    """
    return pd.DataFrame(
        {
            "k": curve.k,
            "n": curve.n,
            "code_rate": str(curve.code_rate),
            "esn0_db": point.esn0_db,
            "words": point.words,
            "errors": len(point.wrong),
            "reference_errors": len(point.reference_wrong),
            "ours_at_1_percent_db": round(gap.ours_db, 3) if gap else None,
            "reference_at_1_percent_db": round(gap.reference_db, 3) if gap else None,
            "gap_db": round(gap.gap_db, 3) if gap else None,
            "gap_low_db": round(gap.low_db, 3) if gap else None,
            "gap_high_db": round(gap.high_db, 3) if gap else None,
        }
        for curve in curves
        for gap in (curve.gap,)
        for point in curve.points
    )


def draw_ldpc_quality(table: pd.DataFrame) -> Figure:
    """A panel per code, from the table of `as_table`: both curves, their 95 % bands, the gap."""
    import matplotlib.pyplot as plt

    lengths, rates = table["k"].unique(), table["code_rate"].unique()
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(
            len(lengths), len(rates), figsize=(2.1 * len(rates) + 0.4, 1.25 * len(lengths) + 0.8),
            sharey=True, squeeze=False, layout="constrained",
        )  # fmt: skip
        for (k, rate), curve in table.groupby(["k", "code_rate"]):
            row, column = list(lengths).index(k), list(rates).index(rate)
            _draw_panel(grid[row, column], curve)
        for column, rate in enumerate(rates):
            grid[0, column].set_title(f"rate {rate}")
            grid[-1, column].set_xlabel("$E_s/N_0$ (dB)")
        for row, k in enumerate(lengths):
            grid[row, 0].set_ylabel(f"k = {k}\nblock error rate")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        figure.supxlabel(
            "5G LDPC, QPSK over AWGN, at most 20 iterations, the same words and noise for both; "
            "95 % intervals\ngap: what layered offset min-sum needs more at 1 % block errors, or "
            "less where it is below 0",
            fontsize=6, color="0.35",
        )  # fmt: skip
    return figure


def _draw_panel(axes: Axes, curve: pd.DataFrame) -> None:
    for index, (column, words) in enumerate(DECODERS.items()):
        measured = [
            MeasuredRate(int(errors), int(sent))
            for errors, sent in zip(curve[column], curve["words"], strict=True)
        ]
        rates = np.array([each.rate for each in measured])
        low, high = np.array([each.interval() for each in measured]).T
        axes.plot(
            curve["esn0_db"], np.where(rates > 0, rates, np.nan), label=words, color=COLOURS[index],
            marker=MARKERS[index], linestyle=LINES[index], markersize=2.5, linewidth=1,
        )  # fmt: skip
        axes.fill_between(
            curve["esn0_db"], low, high, color=COLOURS[index], alpha=0.15, linewidth=0
        )
    axes.axhline(TARGET, color="0.4", linewidth=0.8, linestyle=":")
    axes.set(yscale="log", ylim=(1e-3, 0.7))
    gap = curve.iloc[0]
    if pd.notna(gap["gap_db"]):
        axes.text(
            0.03, 0.05, f"gap {gap['gap_db']:.2f} dB\n({gap['gap_low_db']:.2f} .. "
            f"{gap['gap_high_db']:.2f})", transform=axes.transAxes, fontsize=6,
        )  # fmt: skip


def _print(curves: Sequence[QualityCurve]) -> None:
    shown = Table(title="Es/N0 in dB at 1 % block errors, QPSK over AWGN, 20 iterations")
    for heading in ("rate", "k", "n", "words", "ours", "sum-product", "gap", "95 % interval"):
        shown.add_column(heading, justify="right")
    for curve in curves:
        gap = curve.gap
        measured = (
            (f"{gap.ours_db:.2f}", f"{gap.reference_db:.2f}", f"{gap.gap_db:+.3f}",
             f"{gap.low_db:+.3f} .. {gap.high_db:+.3f}")
            if gap else ("", "", "too few words", "")
        )  # fmt: skip
        words = curve.points[0].words
        shown.add_row(str(curve.code_rate), str(curve.k), str(curve.n), str(words), *measured)
    Console(width=max(100, Console().width)).print(shown)
    gaps = [curve.gap for curve in curves if curve.gap]
    if gaps:
        largest = max(gaps, key=lambda gap: gap.gap_db)
        print(
            f"largest gap {largest.gap_db:+.3f} dB ({largest.low_db:+.3f} .. "
            f"{largest.high_db:+.3f}), required: at most {REQUIRED_DB:g} dB"
        )
