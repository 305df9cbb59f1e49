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

from testbed.certification_check import Check, Verdict
from testbed.certification_fading import Fades, fading_checks, met_fades
from testbed.certification_losses import loss_checks
from testbed.certification_symbols import groups, symbol_checks
from testbed.errors import OutputError
from testbed.figures import SETTING_COLUMNS
from testbed.runner import Plan
from testbed.simulation import Row

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


def certify(plan: Plan, rows: Mapping[str, Row]) -> Certification:
    """Holds the rows of the plan's trials, by trial id, against theory."""
    fades = met_fades(plan, rows)
    checks = [
        check
        for group in groups(plan, rows, fades, _subjects(plan, rows))
        for check in symbol_checks(group)
    ]
    checks += [check for each in fades.values() for check in fading_checks(each)]
    checks += loss_checks(plan, rows)
    return judged(checks, fades.values())


def judged(checks: Sequence[Check], fades: Iterable[Fades] = ()) -> Certification:
    """The checks with their verdicts."""
    made = sum(check.p_value is not None for check in checks)

    def verdict(check: Check) -> Verdict:
        if check.p_value is None:
            return "not checked"
        return "violated" if check.p_value * made < FALSE_ALARM else "passed"

    decided = tuple(replace(check, verdict=verdict(check)) for check in checks)
    return Certification(decided, tuple(fades))


def _subjects(plan: Plan, rows: Mapping[str, Row]) -> dict[str, str]:
    """By trial id: codec, channel, SNR, and of the rest of the link what varies in the run."""
    own = [rows[trial.trial_id] for trial in plan.trials]
    names = [
        name
        for name in SETTING_COLUMNS
        if name in ("channel", "snr_db") or len({str(row[name]) for row in own}) > 1
    ]
    return {
        row["trial_id"]: ", ".join(
            [row["codec"], *(f"{name} {_short(row[name])}" for name in names)]
        )
        for row in own
    }


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write_certification(folder: Path, certification: Certification) -> Path:
    """Writes certification.json; its path. Raises OutputError."""
    path = folder / CERTIFICATION_JSON
    partial = path.with_suffix(".partial")
    content = certification.summary() | {"checks": [asdict(each) for each in certification.checks]}
    try:
        partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write ({error.strerror})") from error
    return path
