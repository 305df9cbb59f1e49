"""What a run does not show: sentences made of its manifest and its tables.

Each rule looks at the run alone and says nothing where it does not apply, so that the list is as
long as the run deserves. docs/statistics.md has the sources of what is said of intervals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from testbed.evaluation.intervals import FEWEST_IMAGES
from testbed.evaluation.run_folder import RunFolder
from testbed.reporting.html.curve_facets import planned_protections

FEW_PICTURES = 30
FEW_DRAWS = 20
SHIPPED = ("samples32", "samples_large")
HEADERS = {
    "file": "every byte of its file",
    "abbreviated": "what a decoder that knows the codec's settings cannot know",
    "payload": "only the bytes that code the picture; no real receiver knows the headers for free",
    "mosaic": "what the picture adds to a file of 16 of which both ends know 15, which spreads the "
    "headers",
}
"""What is charged for, by the policy."""


def limitations(run: RunFolder) -> list[str]:
    """The sentences, those about the evidence first."""
    return [
        *run.notes,
        *_pictures(run),
        *_intervals(run),
        *_link(run),
        *_codecs(run),
        *_protections(run),
        *_code(run),
    ]


def _pictures(run: RunFolder) -> Iterator[str]:
    sources = {str(each.get("source")) for each in run.scenario.get("images", ())}
    shipped = sorted(sources & set(SHIPPED))
    if shipped:
        yield (
            f"The pictures of {' and '.join(shipped)} are few and several are cut from one "
            "photograph: they show that the system works and are no basis for ranking codecs."
        )
    for size, images in run.statistics.groupby("size", sort=False)["images"].max().items():
        if images < FEWEST_IMAGES:
            yield (
                f"Of {size} there {'is one picture' if images == 1 else f'are {images} pictures'}: "
                "intervals speak for these alone, under new channel draws."
            )
        elif images < FEW_PICTURES:
            yield (
                f"Of {size} there are {images} pictures: intervals over so few are somewhat too "
                "narrow."
            )


def _intervals(run: RunFolder) -> Iterator[str]:
    table = run.statistics
    none = int((table["interval_over"] == "none").sum())
    if none:
        yield f"{none} of {len(table)} points have no interval: too few pictures and draws."
    over_draws = table[table["interval_over"] == "draws"]
    if len(over_draws) and over_draws["draws"].min() < FEW_DRAWS:
        yield (
            f"Some intervals come from {over_draws['draws'].min()} channel draws of each picture; "
            "with few draws they are much too narrow."
        )
    if len(run.differences) > 20:
        yield (
            f"{len(run.differences)} differences are shown, and no interval allows for how many "
            "there are: of 100 that are truly none, about five have intervals without zero."
        )
    if (table["failed"] > 0).any():
        yield (
            "A picture of which nothing could be decoded counts as mid-grey in every mean, which "
            "makes means between failure and success depend on that choice; failure rates stand "
            "beside them."
        )
    if run.scenario.get("stop"):
        yield (
            "A stopping rule decided the number of draws from what was seen; intervals are "
            "computed as if it had been fixed."
        )


def _link(run: RunFolder) -> Iterator[str]:
    table = run.statistics
    channels = list(dict.fromkeys(table["channel"]))
    if (table["fidelity"] == "tables").any():
        yield (
            "Some links are simulated by block error tables, which give the error rate of a packet "
            "at its SNR instead of decoding its bits."
        )
    fading = [each for each in channels if re.match("rayleigh|rician|nakagami|ofdm|spatial", each)]
    if any("estimation=" not in each or "estimation=perfect" in each for each in fading):
        yield "Where fading is not estimated from pilots, the receiver knows the gain exactly."
    if (table["coding"] == "ideal").any():
        yield (
            "Ideal codes are bounds: their packets arrive if the symbols bear enough information, "
            "which no code of finite length achieves."
        )
    if (table["transmissions_allowed"] > 1).any():
        yield "The answers of HARQ are free and never wrong, and take no time."
    if {"bsc", "bec"} & {each.split("(")[0] for each in channels}:
        yield "The binary channels have no symbols and no noise: their SNR says nothing."
    yield (
        "The receiver knows the packets' sizes, order, number, modulation and code rate without "
        "being told; control information costs no channel uses."
    )
    yield "All links are simulated at baseband: no radio, no synchronisation beyond what is named."


def _codecs(run: RunFolder) -> Iterator[str]:
    for policy, words in HEADERS.items():
        named = [
            run.labels.get(str(each["name"]), str(each["name"]))
            for each in run.scenario.get("codecs", ())
            if each.get("headers") == policy
        ]
        if named:
            yield f"Headers of {', '.join(named)}: charged is {words}."
    if (run.statistics["protection"] == "analog").any():
        yield (
            "Analog codecs send no bits, CRCs or headers, and fail only if nothing of them "
            "arrives: their failure rate does not compare with that of others."
        )
    if (run.scenario.get("comparison") or {}).get("published"):
        yield "Published results are of other pictures and other simulations than this run's."


def _protections(run: RunFolder) -> Iterator[str]:
    used = set(run.statistics["protection"]) & planned_protections(run)
    if used:
        yield (
            f"Under {', '.join(sorted(used))} the sender chooses schemes by what it is told of the "
            "channel and of the codec; telling it costs nothing."
        )


def _code(run: RunFolder) -> Iterator[str]:
    if run.scenario.get("plugins"):
        yield "Code of plug-ins took part, which the testbed's own tests know nothing of."
    if run.manifest.get("code", {}).get("dirty"):
        yield "The code differed from the commit that is named."
    if run.manifest.get("reused_trials"):
        yield (
            f"{run.manifest['reused_trials']} trials were there from an earlier run, perhaps of "
            "other code."
        )
