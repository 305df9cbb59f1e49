"""Sentences of captions, made from rows of statistics.csv or comparison.csv."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pandas as pd

from testbed.evaluation.intervals import FEWEST_IMAGES
from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.summaries import column
from testbed.figures.axes import Quantity

FAILED_WORDS = "failed pictures, of which nothing could be decoded, count as mid-grey"
_OVER = {
    "images": "bootstrapped over pictures",
    "draws": "bootstrapped over channel draws, for these pictures alone",
}


def plain(title: str) -> str:
    """A panel's title without its markup and line breaks."""
    return title.replace("$E_s/N_0$", "Es/N0").replace("\n", ": ")


def mean_words(quantity: Quantity) -> str:
    """What its means are called at the beginning of a sentence."""
    return f"{'Share of' if quantity.is_share else 'Mean'} {quantity.words}"


def extent_sentence(rows: pd.DataFrame) -> str:
    """How many pictures and channel draws: "24 pictures of 32x32 pixels, 4 channel draws each."

    rows: with the columns `images`, `draws` and `size`.
    """
    sizes = " and ".join(rows["size"].unique())
    pictures = counted_range(rows["images"], "picture")
    return f"{pictures} of {sizes} pixels, {counted_range(rows['draws'], 'channel draw')} each."


def interval_sentence(rows: pd.DataFrame, quantity: Quantity, mark: str) -> str:
    """What the intervals of a quantity's means speak for. mark: what they are drawn as."""
    drawn = quantity.interval is not None and rows[list(quantity.interval)].notna().any(axis=None)
    if quantity.is_share and drawn:
        return f"{mark} are 95 % intervals of shares (Wilson)."
    over = set(rows["interval_over"])
    known = [words for name, words in _OVER.items() if name in over]
    if not (known and drawn):
        return f"No intervals: fewer than {FEWEST_IMAGES} pictures, of a single draw."
    return f"{mark} are 95 % intervals of the mean, {' or '.join(known)}."


def exact_sentences(rows: pd.DataFrame, metric: str) -> Iterable[str]:
    """That an exact picture has a finite PSNR, where one counts so."""
    highest = column(metric, "q95")
    if (
        metric.endswith("_db")
        and (rows[highest if highest in rows else metric]).ge(EXACT_PSNR_DB).any()
    ):
        yield f"An exact picture counts as {EXACT_PSNR_DB:g} dB."


def header_sentences(run: RunFolder, codecs: Collection[str]) -> Iterable[str]:
    """Which headers conventional codecs are charged: it decides a comparison on small pictures."""
    charged: dict[str, list[str]] = {}
    for section in run.scenario["codecs"]:
        if section["name"] in codecs and "headers" in section:
            charged.setdefault(str(section["headers"]), []).append(str(section["name"]))
    if charged:
        words = (f"{policy} ({', '.join(names)})" for policy, names in charged.items())
        yield f"Headers charged: {'; '.join(words)}."


def fixed_sentence(titles: Iterable[str]) -> str:
    """What is held fixed, in each panel."""
    words = [plain(title) for title in titles]
    return f"Fixed: {words[0]}." if len(words) == 1 else f"Panels: {'; '.join(words)}."


def sentence(words: str) -> str:
    """With a capital and a full stop."""
    return f"{words[0].upper()}{words[1:]}."


def counted(number: int, noun: str) -> str:
    """ "1 picture", "2 pictures"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def counted_range(numbers: Iterable[int], noun: str) -> str:
    """The fewest and the most, where they differ: "2 to 5 pictures"."""
    different = sorted(set(numbers))
    fewest = "" if len(different) == 1 else f"{int(different[0])} to "
    return fewest + counted(int(different[-1]), noun)
