"""The pictures of a strip: chosen trials simulated once more, which gives the same pictures."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from testbed.figures import Picture, draw_strip
from testbed.metrics import psnr_db
from testbed.runner import Plan, works
from testbed.scenario import Strip
from testbed.simulation import simulate
from testbed.trials import ANALOG, LinkPoint, analog_point
from testbed.work import Outcome


def draw_scenario_strips(plan: Plan, folder: Path) -> list[Path]:
    """One strip per channel for the scenario's `figures.strip`; none if it has no such section."""
    strip, index = plan.scenario.figures.strip, plan.strip
    if strip is None or index is None:
        return []
    original = Picture(plan.images[index].pixels, f"original\n{plan.images[index].name}")
    written = []
    for fixed, links in _lines(plan, strip).items():
        chosen = [
            trial
            for trial in plan.trials
            if trial.image_index == index and trial.repetition == 0 and trial.link in links
        ]
        outcomes = [outcome for work in works(plan, chosen, 1) for outcome in simulate(work)]
        outcomes.sort(key=lambda outcome: outcome.trial.link.snr_db)
        rows = [
            (
                section.name,
                [_picture(original, o) for o in outcomes if o.trial.codec_name == section.name],
            )
            for section in plan.scenario.codecs
        ]
        written += draw_strip(original, rows, folder / f"strip_{_file_name(fixed)}")
    return written


def _file_name(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", label).strip("-")


def _picture(original: Picture, outcome: Outcome) -> Picture:
    quality = f"PSNR {psnr_db(original.pixels, outcome.picture):.1f} dB"
    words = "failed" if outcome.failed else quality
    return Picture(outcome.picture, f"$E_s/N_0$ {outcome.trial.link.snr_db:g} dB\n{words}")


def _lines(plan: Plan, strip: Strip) -> dict[str, list[LinkPoint]]:
    """Per channel, the links along the longest SNR sweep of it, and the same for analog codecs."""
    sweeps: dict[LinkPoint, list[LinkPoint]] = {}
    links = dict.fromkeys(trial.link for trial in plan.trials)
    of_bits = [link for link in links if link.modulation != ANALOG]
    for link in of_bits or links:
        if strip.snr_db is None or link.snr_db in strip.snr_db:
            fixed = replace(link, snr_db=0.0, ebn0_db=0.0)
            sweeps.setdefault(fixed, []).append(link)
    longest: dict[str, list[LinkPoint]] = {}
    for along in sweeps.values():
        channel = along[0].channel.label
        if len(along) > len(longest.get(channel, [])):
            longest[channel] = along
    return {
        channel: list(dict.fromkeys([*along, *map(analog_point, along)]))
        for channel, along in longest.items()
    }
