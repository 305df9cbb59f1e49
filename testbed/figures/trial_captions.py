"""Sentences of captions of figures that are drawn from single trials."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.evaluation.run_folder import RunFolder
from testbed.evaluation.summaries import extent_columns
from testbed.evaluation.trial_store import Point, TrialStore
from testbed.evaluation.trials_table import case_of
from testbed.examples.reading import read_examples
from testbed.figures.captions import counted_range, header_sentences

PSNR_WORDS = (
    f"Failed pictures, of which nothing could be decoded, count as mid-grey, exact ones as "
    f"{EXACT_PSNR_DB:g} dB."
)
EQUAL_WEIGHTS = "Every picture weighs the same, however many draws it has."


def extent_words(trials: TrialStore, points: Iterable[Point]) -> str:
    """How many pictures of which size, and channel draws of each: a sentence.

    Where points differ, the fewest and the most.
    """
    images: dict[str, set[int]] = {}
    draws: dict[str, set[int]] = {}
    for point in points:
        extent = extent_columns(trials.share(point, "psnr_db"))
        images.setdefault(point.size, set()).add(int(extent["images"]))
        draws.setdefault(point.size, set()).add(int(extent["draws"]))
    each = [
        f"{counted_range(own, 'picture')} of {size} pixels, "
        f"{counted_range(draws[size], 'channel draw')} each"
        for size, own in images.items()
    ]
    return f"{'; '.join(each)}."


def headers_words(run: RunFolder, points: Iterable[Point]) -> str:
    """Which headers conventional codecs are charged; "" without such codecs."""
    return " ".join(header_sentences(run, {point.codec for point in points}))


def left_out_words(left_out: int, of_what: str) -> str:
    """A sentence, "" if nothing is left out. of_what: such as "panel"."""
    if not left_out:
        return ""
    there = f"is 1 further {of_what}" if left_out == 1 else f"are {left_out} further {of_what}s"
    return f"There {there}, not drawn; those drawn are spread evenly over all."


def caption(sentences: Sequence[str]) -> str:
    """Those that are not empty."""
    return " ".join(filter(None, sentences))


def examples_words(run: RunFolder) -> str:
    """Of several variations, which one the examples are of: a sentence. Raises ExamplesError."""
    case = next(iter(case_of(read_examples(run.path).pictures)), "")
    return f"Of several variations: {case}." if case else ""
