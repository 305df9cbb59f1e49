"""comparison.csv: codecs at their best over each medium, with intervals and paired differences.

    trials.csv --envelope--> Points --compare--> a row for each (codec, protection, kind, medium)

The kinds are `real` codes, `ideal` ones, `uncoded` symbols and `analog` codecs. A difference is of
mean PSNR, paired picture by picture and draw by draw, to the reference codec over the same medium.
It is to the reference's curve of the same kind, else to its real or analog one; and to that of the
protection that is asked for, else of the same, else to its first. The intervals are those of
`intervals.py`, an envelope's schemes being taken as given.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testbed.evaluation.envelope import Kind, Medium, Point, envelope, scheme_points, with_nan
from testbed.evaluation.intervals import intraclass_correlation, mean
from testbed.evaluation.summaries import extent_columns, mean_columns, quantile_columns
from testbed.evaluation.trials_table import case_of, finite, metrics_of, with_case
from testbed.language.protection import PLANNED
from testbed.language.setting_words import scheme_words
from testbed.whole_file import whole_file

COMPARISON_CSV = "comparison.csv"


def compare(
    table: pd.DataFrame,
    codecs: Sequence[str],
    reference: str,
    outage_psnr_db: float,
    reference_protection: str | None = None,
    planned: Collection[str] = PLANNED,
    shares: Collection[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """comparison.csv, and the curves of the single schemes below its real ones.

    table: a trials.csv as `read_table` gives it. codecs: names, in the order wanted. planned: names
    of the protections that choose schemes for each picture. shares: the metrics that are 0 or 1.

    Exact pictures count as `finite` says. A metric that is 0 or 1 is a share, with the interval of
    one. The second table has codec, protection, the medium's columns, `scheme` and `psnr_db`. Both
    have a column `case` after `codec` if the scenario has variations; each is compared by itself.
    Neither depends on the order of the table's rows, unless two pictures have one name.
    """
    table = with_case(table)
    cases = case_of(table)
    frames: list[pd.DataFrame] = []
    singles: list[pd.DataFrame] = []
    for case in cases:
        own = table if len(cases) == 1 else table[(table["case"] == case).to_numpy()]
        both = _compare_case(
            own, codecs, reference, outage_psnr_db, reference_protection, planned, shares
        )
        for frame, parts in zip(both, (frames, singles), strict=True):
            if case:
                frame.insert(1, "case", case)
            parts.append(frame)
    if len(cases) == 1:
        return frames[0], singles[0]
    return pd.concat(frames, ignore_index=True), pd.concat(singles, ignore_index=True)


def _compare_case(
    table: pd.DataFrame,
    codecs: Sequence[str],
    reference: str,
    outage_psnr_db: float,
    reference_protection: str | None,
    planned: Collection[str],
    shares: Collection[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    values = {name: with_nan(finite(table, name)) for name in metrics_of(table)}
    psnr_db = values.pop("psnr_db")
    outage = (table["psnr_db"].to_numpy() < outage_psnr_db).astype(np.float64)
    values["outage"] = with_nan(outage)
    values["failed"] = with_nan(table["failed"].to_numpy(np.float64))
    shares = {"outage", "failed", *shares}
    singles = scheme_points(table)
    points = envelope(singles, psnr_db)
    points.sort(key=lambda p: (codecs.index(p.codec), p.protection != "equal"))
    uses = with_nan(table["channel_uses"].to_numpy(np.float64))
    others = _Reference(
        [point for point in points if point.codec == reference], reference_protection
    )
    rows = []
    for _, curve in itertools.groupby(points, lambda p: (p.codec, p.protection, p.kind)):
        along = list(curve)
        # A point without events does not tell how alike a picture's draws are: the curve does.
        alike = {
            name: intraclass_correlation(values[name][point.rows] for point in along)
            for name in shares
        }
        for point in along:
            own = psnr_db[point.rows]
            row = _heading(point, planned) | extent_columns(own) | mean_columns("psnr_db", own)
            row |= quantile_columns(["psnr_db"], own[None])
            for name, value in values.items():
                row |= mean_columns(name, value[point.rows], alike.get(name))
            row["outage_psnr_db"] = outage_psnr_db
            row["channel_uses"] = mean(uses[point.rows])
            rows.append(row | _difference(point, others.of(point), psnr_db))
    # Means of loss that no model states would be None, and the column one of objects.
    frame = pd.DataFrame(rows).astype({"packet_loss": float})
    return frame, _single_schemes(singles, psnr_db)


def write_comparison(frame: pd.DataFrame, path: Path) -> Path:
    """As CSV of six significant digits; what is undefined is `nan`. Raises OutputError."""
    with whole_file(path) as partial:
        frame.to_csv(partial, index=False, float_format="%.6g", na_rep="nan", lineterminator="\n")
    return path


def is_share(label: str) -> bool:
    """Whether the metric that names an axis so is 0 or 1."""
    return label.endswith("(share)")


class _Reference:
    """The reference codec's points, to be found by another's."""

    def __init__(self, points: Sequence[Point], protection: str | None) -> None:
        """protection: the one that all others are compared with; None: each with its own."""
        self._protection = protection
        self._by_medium: dict[Medium, list[Point]] = {}
        for point in points:
            self._by_medium.setdefault(point.medium.as_known_to("analog"), []).append(point)

    def of(self, point: Point) -> Point | None:
        """The point that `point` is compared with; None: there is none, or it is its own."""
        kinds: tuple[Kind, ...] = (point.kind, "real", "analog")
        protection = self._protection or point.protection
        found = [
            each
            for each in self._by_medium.get(point.medium.as_known_to("analog"), [])
            if each.kind in kinds
            and (each.codec != point.codec or self._other_protection(each, point))
            and each.medium.as_known_to(each.kind, point.kind)
            == point.medium.as_known_to(each.kind, point.kind)
        ]
        return min(
            found,
            key=lambda each: (
                kinds.index(each.kind),
                each.protection != protection,
                each.medium != point.medium,
            ),
            default=None,
        )

    def _other_protection(self, own: Point, point: Point) -> bool:
        """Whether a codec is compared with itself: under the protection that is asked for."""
        return own.protection == self._protection != point.protection


def _heading(point: Point, planned: Collection[str]) -> dict[str, Any]:
    schemes = [scheme_words(each._asdict()) for each in point.schemes]
    # What chooses schemes goes by its own name.
    if point.protection in planned:
        schemes = [point.protection]
    return {
        "codec": point.codec,
        "protection": point.protection,
        "kind": point.kind,
        **point.medium._asdict(),
        "schemes": " | ".join(schemes),
    }


def _difference(
    point: Point, other: Point | None, psnr_db: NDArray[np.float64]
) -> dict[str, str | float]:
    words, paired = "", np.full((1, 1), math.nan)
    if other is not None:
        words = f"{other.codec}, {other.kind}, {other.protection}"
        paired = psnr_db[point.rows] - psnr_db[other.rows]
    return {"reference": words} | mean_columns("difference_db", paired)


def _single_schemes(points: Sequence[Point], psnr_db: NDArray[np.float64]) -> pd.DataFrame:
    rows = [
        {
            "codec": point.codec,
            "protection": point.protection,
            **point.medium._asdict(),
            "scheme": scheme_words(point.schemes[0]._asdict()),
            "psnr_db": mean(psnr_db[point.rows]),
        }
        for point in sorted(points, key=lambda p: (p.medium.order, p.schemes[0].order))
        if point.kind == "real"
    ]
    columns = ["codec", "protection", *Medium._fields, "scheme", "psnr_db"]
    return pd.DataFrame(rows, columns=columns).astype({"packet_loss": float})
