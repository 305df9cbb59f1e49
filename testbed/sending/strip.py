"""The pictures of a strip: chosen trials simulated once more, which gives the same pictures."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from testbed.evaluation.metrics import psnr_db
from testbed.figures.run_figures import Picture, draw_strip
from testbed.language.scenario import Strip
from testbed.running.plan import Plan
from testbed.running.runner import work_of
from testbed.running.trials import LinkPoint, Trial
from testbed.running.work import Outcome
from testbed.sending.simulation import simulate


def draw_scenario_strips(
    plan: Plan, known: Container[str], folder: Path, labels: Mapping[str, str]
) -> list[Path]:
    """One strip per channel for the scenario's `figures.strip`; none if it has no such section.

    Of several variants the first is drawn.

    known: ids of the trials that have a row; no others are simulated again, since they may be those
    that raise an error or end their process. labels: what to call each codec.
    """
    strip, index = plan.scenario.figures.strip, plan.strip
    if strip is None or index is None:
        return []
    original = Picture(plan.images[index].pixels, f"original\n{plan.images[index].name}")
    variant = plan.variants[0]
    made = [plan.trial(point, index, 0) for point in variant.points]
    own = [trial for trial in made if trial.trial_id in known]
    written = []
    for channel in dict.fromkeys(trial.link.channel.label for trial in own):
        rows = []
        for section in variant.scenario.codecs:
            met = [
                trial
                for trial in own
                if trial.codec_name == section.name and trial.link.channel.label == channel
            ]
            chosen = _longest_sweep(met, strip)
            outcomes = simulate(work_of(plan, variant, chosen)) if chosen else []
            outcomes.sort(key=lambda outcome: outcome.trial.link.snr_db)
            if outcomes:
                rows.append((labels[section.name], [_picture(original, each) for each in outcomes]))
        if rows:
            written += draw_strip(original, rows, folder / f"strip_{_file_name(channel)}")
    return written


def _file_name(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("-")


def _picture(original: Picture, outcome: Outcome) -> Picture:
    quality = f"PSNR {psnr_db(original.pixels, outcome.picture):.1f} dB"
    words = "failed" if outcome.failed else quality
    return Picture(outcome.picture, f"$E_s/N_0$ {outcome.trial.link.snr_db:g} dB\n{words}")


def _longest_sweep(trials: Sequence[Trial], strip: Strip) -> list[Trial]:
    """Those along the sweep of SNRs that has the most of the strip's; the first of several."""
    sweeps: dict[LinkPoint, list[Trial]] = {}
    for trial in trials:
        if strip.snr_db is None or trial.link.snr_db in strip.snr_db:
            fixed = replace(trial.link, snr_db=0.0, ebn0_db=0.0)
            sweeps.setdefault(fixed, []).append(trial)
    return max(sweeps.values(), key=len, default=[])
