"""Every run certifies itself: what its links delivered is held against what they state.

    symbols   certification_symbols.py   SNR, noise and uncoded errors, as they were observed
    fading    certification_fading.py    distribution and autocorrelation of the gains
    losses    certification_losses.py    rate and bursts of packet loss

A run of true statements is called `violated` once in a thousand runs at most, however many checks
it has and however they hang together (Bonferroni). What gives too few draws, or has no theory, is
`not checked`, with the reason. All follows from the rows and the scenario's seed, so that it is the
same for any number of workers and interruptions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from testbed.evaluation.certification_check import Check, Verdict
from testbed.evaluation.certification_fading import (
    Fades,
    FadesKey,
    UsedPackets,
    fades_key,
    fading_checks,
    met_fades,
)
from testbed.evaluation.certification_losses import LossKey, loss_checks
from testbed.evaluation.certification_symbols import Group, symbol_checks
from testbed.evaluation.trials_table import SETTING_COLUMNS
from testbed.running.plan import Plan
from testbed.running.runner import finished
from testbed.running.selection import Selection
from testbed.running.trials import LinkPoint
from testbed.running.work import Row
from testbed.sending.transmission import layer_links
from testbed.whole_file import whole_file

CERTIFICATION_JSON = "certification.json"
FALSE_ALARM = 1e-3
"""Of a run, all its checks together."""


@dataclass(frozen=True, slots=True)
class Certification:
    """All checks of a run, each with its verdict, and the fades that it met."""

    checks: tuple[Check, ...]
    fades: tuple[Fades, ...] = ()

    def count(self, verdict: Verdict) -> int:
        """How many checks have this verdict."""
        return sum(check.verdict == verdict for check in self.checks)

    @property
    def made(self) -> int:
        """How many checks could be made."""
        return len(self.checks) - self.count("not checked")

    @property
    def violated(self) -> tuple[Check, ...]:
        """The checks that fail."""
        return tuple(check for check in self.checks if check.verdict == "violated")

    def summary(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "false_alarm": FALSE_ALARM,
            "passed": self.count("passed"),
            "violated": self.count("violated"),
            "not_checked": self.count("not checked"),
        }


def certify(selection: Selection, rows: Mapping[str, Row]) -> Certification:
    """Holds the rows of the selected trials, by trial id, against theory; without those that have
    no row. The rows are gone through twice, none is kept.
    """
    channels: dict[FadesKey, UsedPackets] = {}
    losses: dict[LossKey, UsedPackets] = {}
    for variant, trial, row in finished(selection, rows):
        seed, link = variant.scenario.seed, trial.link
        draw = seed, selection.plan.images[trial.image_index].sha256, trial.repetition
        for used in (
            channels.setdefault(fades_key(seed, link), UsedPackets(link)),
            losses.setdefault((seed, link.packet_loss), UsedPackets(link)),
        ):
            used.add(draw, row["packets_sent"])
    fades = met_fades(channels)
    checks = [check for group in _groups(selection, rows, fades) for check in symbol_checks(group)]
    checks += [check for each in fades.values() for check in fading_checks(each)]
    checks += loss_checks(losses)
    return judged(checks, fades.values())


def _groups(
    selection: Selection, rows: Mapping[str, Row], fades: Mapping[FadesKey, Fades]
) -> list[Group]:
    """By case, codec and link point."""
    plan = selection.plan
    words = _subjects(selection)
    found: dict[tuple[str, str, LinkPoint], Group] = {}
    firsts = _first_of_each(plan)
    for variant, trial, row in finished(selection, rows):
        # A picture that is there by two names meets the same draws twice.
        if trial.image_index not in firsts[variant.case]:
            continue
        seed = variant.scenario.seed
        key = variant.case, trial.codec_name, trial.link
        if key not in found:
            link = trial.link
            found[key] = Group(words[key], link, layer_links(link), fades[fades_key(seed, link)])
        sha256 = plan.images[trial.image_index].sha256
        found[key].take((seed, sha256, trial.repetition), row)
    return list(found.values())


def _first_of_each(plan: Plan) -> dict[str, set[int]]:
    """By case, the first image of each content."""
    return {
        variant.case: set(
            {plan.images[index].sha256: index for index in reversed(variant.images)}.values()
        )
        for variant in plan.variants
    }


def judged(checks: Sequence[Check], fades: Iterable[Fades] = ()) -> Certification:
    """The checks with their verdicts."""
    made = sum(check.p_value is not None for check in checks)

    def verdict(check: Check) -> Verdict:
        if check.p_value is None:
            return "not checked"
        return "violated" if check.p_value * made < FALSE_ALARM else "passed"

    decided = tuple(replace(check, verdict=verdict(check)) for check in checks)
    return Certification(decided, tuple(fades))


def _subjects(selection: Selection) -> dict[tuple[str, str, LinkPoint], str]:
    """Codec, channel, SNR, and of case and link what varies in the run."""
    points = [
        (variant.case, point.codec_name, point.link)
        for variant in selection.plan.variants
        for point in variant.points
    ]
    settings = [link.columns | {"case": case} for case, _, link in points]
    names = [
        name
        for name in SETTING_COLUMNS
        if name in ("channel", "snr_db") or len({str(each[name]) for each in settings}) > 1
    ]
    return {
        point: ", ".join([point[1], *(f"{name} {_short(each[name])}" for name in names)])
        for point, each in zip(points, settings, strict=True)
    }


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write_certification(folder: Path, certification: Certification) -> Path:
    """Writes certification.json; its path. Raises OutputError."""
    path = folder / CERTIFICATION_JSON
    content = certification.summary() | {"checks": [asdict(each) for each in certification.checks]}
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    return path
