"""What `testbed reproduce` does: the paper's results beside ours, as text, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from testbed.errors import OutputError
from testbed.images import load_same_size
from testbed.registry import open_paper_profile
from testbed.studies.table1 import PAPER_BCF_PERCENT, PAPER_EN_PERCENT, PlaneErrors, plane_errors


def reproduce_table1(profile_name: str, source: str, limit: int | None, out: Path) -> None:
    """Measures, prints and writes table1.csv and table1.tex into `out`. Raises TestbedError."""
    profile = open_paper_profile(profile_name)
    images = load_same_size(source, limit)
    errors = plane_errors(profile, np.stack([image.pixels.transpose(2, 0, 1) for image in images]))
    table = as_table(errors)
    try:
        out.mkdir(parents=True, exist_ok=True)
        table.to_csv(out / "table1.csv", index=False, lineterminator="\n")
        note = f"{len(images)} images of {source}, weights {profile.sha256[:16]}"
        (out / "table1.tex").write_text(as_latex(errors, note))
    except OSError as error:
        raise OutputError(f"{out}: cannot write ({error.strerror})") from error
    _print(errors, len(images))
    print(f"{out / 'table1.csv'}, {out / 'table1.tex'}")


def as_table(errors: Sequence[PlaneErrors]) -> pd.DataFrame:
    """One row per rule and plane."""
    return pd.DataFrame(
        {
            "rule": each.rule,
            "plane": each.plane,
            "bits": each.bits,
            "initial_errors": each.initial,
            "errors_after_bcf": each.after_bcf,
            "errors_after_en": each.after_en,
            "bcf_reduction_percent": round(each.bcf_percent, 2),
            "en_reduction_percent": round(each.en_percent, 2),
            "paper_bcf_reduction_percent": PAPER_BCF_PERCENT.get(each.plane),
            "paper_en_reduction_percent": PAPER_EN_PERCENT[each.plane],
        }
        for each in sorted(errors, key=lambda each: (each.rule, -each.plane))
    )


def as_latex(errors: Sequence[PlaneErrors], note: str) -> str:
    """A booktabs table: planes down, the paper and both rules across."""
    by_rule: dict[int, dict[str, PlaneErrors]] = {}
    for each in errors:
        by_rule.setdefault(each.plane, {})[each.rule] = each
    lines = [
        f"% {note}",
        r"\begin{tabular}{rrrrrrrr}",
        r"\toprule",
        r" & initial & \multicolumn{2}{c}{paper} & \multicolumn{2}{c}{one-sided} "
        r"& \multicolumn{2}{c}{interval} \\",
        r"plane & errors (\%) & BCF & EN & BCF & EN & BCF & EN \\",
        r"\midrule",
    ]
    for plane, rules in by_rule.items():
        one, both = rules["one_sided"], rules["interval"]
        paper = PAPER_BCF_PERCENT.get(plane)
        cells = [
            str(plane),
            f"{100 * one.initial / one.bits:.2f}",
            "--" if paper is None else f"{paper:.2f}",
            f"{PAPER_EN_PERCENT[plane]:.2f}",
            *(f"{x:.2f}" for x in (one.bcf_percent, one.en_percent)),
            *(f"{x:.2f}" for x in (both.bcf_percent, both.en_percent)),
        ]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _print(errors: Sequence[PlaneErrors], images: int) -> None:
    table = Table(title=f"Bitplane errors removed, % of the initial errors; {images} images")
    for heading in ("rule", "plane", "initial %", "BCF", "EN", "both", "paper BCF", "paper EN"):
        table.add_column(heading, justify="right")
    for each in sorted(errors, key=lambda each: (each.rule, -each.plane)):
        paper_bcf = PAPER_BCF_PERCENT.get(each.plane, 0.0)
        table.add_row(
            each.rule, str(each.plane), f"{100 * each.initial / each.bits:.2f}",
            f"{each.bcf_percent:.2f}", f"{each.en_percent:.2f}",
            f"{each.bcf_percent + each.en_percent:.2f}",
            f"{paper_bcf:.2f}", f"{PAPER_EN_PERCENT[each.plane]:.2f}",
        )  # fmt: skip
    Console().print(table)
    for rule in sorted({each.rule for each in errors}):
        ours = sum(e.bcf_percent + e.en_percent for e in errors if e.rule == rule)
        paper = sum(PAPER_BCF_PERCENT.values()) + sum(PAPER_EN_PERCENT.values())
        print(f"{rule}: BCF and EN, summed over planes: {ours:.1f}; the paper: {paper:.1f}")
