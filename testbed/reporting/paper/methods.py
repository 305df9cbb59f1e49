"""methods.md: what an author says of how the numbers came about, written from the run.

Every sentence is there only if the run's manifest says so; nothing is simulated or loaded. Sources
are cited as pandoc does; references.bib has their entries (bibliography.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from testbed.evaluation.intervals import BOOTSTRAP_DRAWS, FEWEST_IMAGES
from testbed.evaluation.run_folder import RunFolder
from testbed.language.codec_sections import CODEC_SECTIONS
from testbed.reporting.paper.methods_channels import channel_sentences, loss_sentences
from testbed.reporting.paper.methods_codecs import (
    codec_sentences,
    image_sentences,
    metric_sentences,
)
from testbed.reporting.paper.methods_link import (
    code_sentences,
    packet_sentences,
    ratio_sentences,
    repetition_sentences,
)
from testbed.reporting.paper.methods_protection import protection_sentences
from testbed.reporting.paper.scenario_facts import Canonical, grids, union, variants
from testbed.reporting.paper.wording import counted, listed, plural, sentence
from testbed.reporting.report_run import report_runs
from testbed.running.trials import ANALOG

MOST_CASES = 12
"""Of a scenario's variations that are told one by one."""
_SOFTWARE = {
    "torch": ("PyTorch", "pytorch"), "numpy": ("NumPy", "numpy"), "scipy": ("SciPy", "scipy"),
    "numba": ("Numba", "numba"), "sionna-no-rt": ("Sionna", "sionna"),
    "matplotlib": ("Matplotlib", "matplotlib"),
}  # fmt: skip
"""By the name in the manifest: what it is called, and the key of its entry."""


def methods(runs: Sequence[RunFolder], delta_axes: Collection[str] = ()) -> str:
    """Markdown: a section for each run. delta_axes: along which deltas.csv has numbers."""
    parts = ["# Methods"]
    for each in report_runs(runs):
        if len(runs) > 1:
            parts.append(f"## {each.name}")
        parts += [f"> {note}" for note in each.run.notes]
        parts += [f"**{title}.** {text}" for title, text in paragraphs(each.run)]
    if delta_axes:
        parts.append(f"**Distances between curves.** {_join(_delta_sentences(delta_axes))}")
    return "\n\n".join(parts) + "\n"


def paragraphs(run: RunFolder) -> list[tuple[str, str]]:
    """(title, text) of each paragraph that the run has something for."""
    scenario = run.scenario
    own = variants(scenario)
    links = [grid for each in own.values() for grid in grids(each)]
    codecs = _each_once(codec for each in own.values() for codec in each["codecs"])
    sizes = sorted({int(each["packets"]["max_bytes"]) for each in own.values()})
    analog = {codec["name"] for codec in codecs if _is_analog(codec, run)}
    digital = [grid for grid in links if set(grid["codecs"]) - analog]
    sources = _each_once(source for each in own.values() for source in each["images"])
    labels, blocks = union(links, "channel"), union(links, "fading_block")
    told = [
        ("Simulation", _run_sentences(run)),
        ("Variations", _variation_sentences(scenario)),
        ("Images", image_sentences(sources, run.manifest["images"])),
        ("Codecs", codec_sentences(codecs, run.labels, run.manifest["codecs"])),
        ("SNR and bandwidth", ratio_sentences(links, digital)),
        ("Packets", packet_sentences(codecs, sizes, digital)),
        ("Coding and modulation", code_sentences(digital)),
        ("Channels", channel_sentences(labels, blocks)),
        ("Packet losses", loss_sentences(union(links, "packet_loss"))),
        ("Retransmissions and erasure codes", repetition_sentences(digital)),
        ("Protection", protection_sentences(digital)),
        ("Metrics", metric_sentences(scenario.get("metrics"))),
        ("Repetitions and intervals", _interval_sentences(run, own)),
        ("Codecs at their best", _comparison_sentences(run)),
        ("Self-certification", _certification_sentences(run)),
        ("Software", _software_sentences(run)),
    ]
    written = [(title, _join(sentences)) for title, sentences in told]
    return [(title, text) for title, text in written if text]


def _join(sentences: Iterable[str]) -> str:
    return " ".join(map(sentence, sentences))


def _each_once(found: Iterable[Any]) -> list[Any]:
    seen: list[Any] = []
    for each in found:
        if each not in seen:
            seen.append(each)
    return seen


def _is_analog(codec: Canonical, run: RunFolder) -> bool:
    """Whether it sends symbols. What one of a plug-in does, the tables tell."""
    if codec["type"] in CODEC_SECTIONS:
        return CODEC_SECTIONS[codec["type"]].analog
    own = run.statistics[run.statistics["codec"] == codec["name"]]
    return bool((own["modulation"] == ANALOG).any())


def _run_sentences(run: RunFolder) -> Iterator[str]:
    manifest = run.manifest
    seeds = sorted({int(each["seed"]) for each in variants(run.scenario).values()})
    version = manifest["versions"].get("semcom-testbed", "")
    code = manifest.get("code") or {}
    commit = f", git commit {code['commit']}" if code.get("commit") else ""
    changed = ", with changes that are not committed" if commit and code.get("dirty") else ""
    yield (
        "All results come from simulation with semcom-testbed "
        f"[@semcom-testbed] (version {version}{commit}{changed})"
    )
    yield (
        f"The scenario `{run.name}` has the SHA-256 {manifest['scenario_sha256']}, the "
        f"{plural(len(seeds), 'seed', 'seeds')} {listed(map(str, seeds))} and "
        f"{counted(manifest['trials'], 'trial')}"
    )
    if manifest.get("trials_without_rows"):
        missing = manifest["trials_without_rows"]
        left = plural(missing, "is", "are")
        yield f"{counted(missing, 'trial')} raised an error and {left} left out"


def _variation_sentences(scenario: Canonical) -> Iterator[str]:
    cases = scenario.get("vary")
    if not cases:
        return
    yield f"The scenario has {counted(len(cases), 'variation')}, each simulated by itself"
    told = [f"`{case}`" for case in list(cases)[:MOST_CASES]]
    more = len(cases) - len(told)
    yield "They are " + listed([*told, *([f"{more} more"] if more else [])])


def _interval_sentences(run: RunFolder, own: dict[str, Canonical]) -> Iterator[str]:
    draws = sorted({int(each["repetitions"]) for each in own.values()})
    stop = run.scenario.get("stop")
    counts = listed((counted(each, "independent channel draw") for each in draws), "or")
    yield f"Every picture met {'up to ' if stop else ''}{counts} at each point"
    yield (
        "Noise, fades and losses are drawn by counters keyed by seed, picture, repetition and "
        "packet, never by codec, so that all codecs meet the same channel and differences are "
        "paired"
    )
    if stop:
        rules = {
            "interval_db": "the 95 % interval of its mean PSNR was at most {:g} dB wide",
            "failures": "{:,} pictures had failed",
            "trials": "it had had {:,} trials",
        }
        met = [words.format(stop[key]) for key, words in rules.items() if stop.get(key) is not None]
        yield (
            f"A point ended as soon as {listed(met, 'or')}, which was asked after every "
            f"{stop['every']:,} trials; intervals are computed as if the number had been fixed"
        )
    yield from _bootstrap_sentences(run, max(draws))
    yield (
        "Shares have Wilson's 95 % interval [@wilson1927] for an effective number of independent "
        "trials, which allows for the correlation of a picture's draws"
    )


def _bootstrap_sentences(run: RunFolder, draws: int) -> Iterator[str]:
    """Of means: over whole pictures where there are enough of a size, else over draws."""
    counts = Counter(tuple(sorted(each["shape"][:2])) for each in run.manifest["images"])
    many = any(count >= FEWEST_IMAGES for count in counts.values())
    few = draws > 1 and any(count < FEWEST_IMAGES for count in counts.values())
    if many:
        yield (
            "Intervals of means and of paired differences are for 95 %: percentiles of "
            f"{BOOTSTRAP_DRAWS:,} bootstrap resamples of whole pictures with all their draws "
            "[@davison1997]"
        )
    if few:
        first = (
            f"Of fewer than {FEWEST_IMAGES} pictures of one size they are"
            if many
            else "Intervals of means and of paired differences are for 95 %:"
        )
        cite = "" if many else " [@davison1997]"
        yield (
            f"{first} percentiles of {BOOTSTRAP_DRAWS:,} bootstrap resamples of the draws of each "
            f"picture{cite}, and speak for these pictures alone"
        )


def _comparison_sentences(run: RunFolder) -> Iterator[str]:
    section = run.scenario.get("comparison")
    # Of a run that has not ended nothing is chosen yet.
    if section is None or (run.notes and run.comparison is None):
        return
    yield (
        "Each codec is shown with its best scheme at each point: on either half of the pictures "
        "the one that has the greatest mean PSNR on the other half"
    )
    reference = run.labels.get(run.reference, run.reference)
    yield f"Differences are to `{reference}`"
    yield f"A picture below {section['outage_psnr_db']:g} dB counts as an outage"
    published = section.get("published") or []
    if published:
        labels = dict.fromkeys(each["label"] for each in published)
        yield f"Results of others are shown as they were published: {listed(labels)}"


def _certification_sentences(run: RunFolder) -> Iterator[str]:
    found = run.manifest.get("certification")
    if not found or not found["passed"] + found["violated"]:
        return
    yield (
        f"What the links delivered was held against what they state: {found['passed']:,} of "
        f"{counted(found['passed'] + found['violated'], 'check')} passed; a run without fault "
        f"fails any of them with a probability of at most {100 * found['false_alarm']:g} %"
    )


def _software_sentences(run: RunFolder) -> Iterator[str]:
    versions = run.manifest["versions"]
    named = [
        f"{words} {versions[package]} [@{key}]"
        for package, (words, key) in _SOFTWARE.items()
        if versions.get(package, "not")[:1].isdigit()
    ]
    python = f"Python {versions['python']}" if "python" in versions else "Python"
    machine = f" on {run.manifest['machine']}" if run.manifest.get("machine") else ""
    yield f"The software is {python}{' with ' if named else ''}{listed(named)}{machine}"


def _delta_sentences(axes: Collection[str]) -> Iterator[str]:
    if {"cbr", "bpp"} & set(axes):
        yield (
            "Distances between rate-distortion curves are Bjøntegaard's deltas [@bjontegaard2001] "
            "with piecewise cubic Hermite interpolation, over the channel uses or source bits that "
            "were really spent; curves of fewer than four points, or that do not rise, have none"
        )
    if "snr_db" in axes:
        yield (
            "Along the SNR, the mean difference of PSNR is over the SNRs that two curves have in "
            "common, and the SNR gain is how much less SNR, in dB, gives the same PSNR, on average "
            "over the PSNRs that both reach; points are joined by straight lines"
        )
