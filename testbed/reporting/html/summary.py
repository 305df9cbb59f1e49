"""What a report says first: how large the run is, and how codecs stand to the reference."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.summaries import column
from testbed.language.setting_words import part_words
from testbed.reporting.html.certification_table import certification_words
from testbed.reporting.html.curve_facets import bandwidth_words


@dataclass(frozen=True, slots=True)
class Standing:
    """A codec beside the reference over one channel, on pictures of one size, in mean PSNR.

    above, below, level  points whose paired 95 % interval lies above zero, below it, or holds it;
                         unknown: points without an interval
    range_db             the smallest and the largest mean difference
    speaks_for           what the intervals are over, in words
    """

    codec: str
    size: str
    channel: str
    above: int
    below: int
    level: int
    unknown: int
    range_db: tuple[float, float]
    speaks_for: str

    @property
    def points(self) -> int:
        return self.above + self.below + self.level + self.unknown


def facts(run: RunFolder) -> list[tuple[str, str]]:
    """Key numbers, a name and words each; what the run does not have is left out."""
    table = run.statistics
    sizes = Counter(_size(each["shape"]) for each in run.manifest["images"])
    pictures = ", ".join(f"{count} of {size}" for size, count in sizes.items())
    draws = sorted(set(table["draws"].tolist()))
    found = [
        ("Pictures", pictures),
        ("Codecs", ", ".join(run.labels.values())),
        ("Channels", "; ".join(part_words(each) for each in dict.fromkeys(table["channel"]))),
        ("Es/N0", _span(table["snr_db"], " dB")),
        ("Bandwidth ratio", _ratios(table["cbr"])),
        ("Packet loss", _losses(table["packet_loss"])),
        ("Draws of each picture", _span(draws, "")),
        ("Trials", f"{int(table['trials'].sum()):,}"),
        ("Points", f"{len(table):,}"),
    ]
    certification = run.manifest.get("certification")
    if certification:
        found.append(("Self-certification", certification_words(certification)))
    return [(name, words) for name, words in found if words]


def standings(run: RunFolder) -> list[Standing]:
    """Of codecs at their best, if the run compares, else of every scheme; empty without a second
    codec."""
    table = run.comparison
    if table is not None:
        words = ("difference_db", "difference_low_db", "difference_high_db")
        table = table[(table["codec"] != run.reference) & table["difference_db"].notna()]
    else:
        table = run.differences
        words = (
            column("psnr_db", "difference"),
            column("psnr_db", "difference_low"),
            column("psnr_db", "difference_high"),
        )
    found = []
    for (codec, size, channel), own in table.groupby(["codec", "size", "channel"], sort=False):
        middle, low, high = (own[name].astype(float) for name in words)
        if middle.notna().any():
            above, below = int((low > 0).sum()), int((high < 0).sum())
            unknown = int((low.isna() | high.isna()).sum())
            found.append(
                Standing(
                    run.labels.get(str(codec), str(codec)), str(size), part_words(str(channel)),
                    above, below, len(own) - above - below - unknown, unknown,
                    (float(middle.min()), float(middle.max())), _speaks_for(own),
                )
            )  # fmt: skip
    return found


def _speaks_for(points: pd.DataFrame) -> str:
    words = {"images": "pictures like these", "draws": "these pictures alone", "none": "nothing"}
    return "; ".join(words.get(each, each) for each in dict.fromkeys(points["interval_over"]))


def _size(shape: Iterable[int]) -> str:
    height, width, *_ = shape
    return f"{max(height, width)}x{min(height, width)}"


def _span(values: Iterable[float], unit: str) -> str:
    distinct = sorted({value for value in values if not math.isnan(value)})
    if not distinct:
        return ""
    if len(distinct) <= 2:
        return " and ".join(f"{value:g}{unit}" for value in distinct)
    return f"{distinct[0]:g} to {distinct[-1]:g}{unit}, {len(distinct)} values"


def _ratios(values: pd.Series[float]) -> str:
    distinct = sorted(set(values))
    return ", ".join(map(bandwidth_words, distinct)) if len(distinct) <= 8 else _span(distinct, "")


def _losses(values: pd.Series[float]) -> str:
    distinct = sorted({100 * value for value in values if not math.isnan(value)})
    return _span(distinct, " %") if any(distinct) else ""
