"""Which picture is shown, and which of its trials: a sweep over each channel.

What the scenario's `figures.strip` names is kept as it is asked for. Otherwise bounds hold, so that
examples cost seconds after a run of minutes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Hashable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from testbed.language.link_parts import LinkPart
from testbed.language.scenario import Strip
from testbed.running.plan import Plan, VariantPlan
from testbed.running.trials import LinkPoint, Trial
from testbed.spreading import spread

MOST_VALUES = 6
"""Of a sweep that are shown."""
MOST_CHANNELS = 4
MOST_PIXELS = 1 << 20
"""Of a picture that is not asked for by name."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What may be swept: `value` of a link, and all that is the same along a sweep."""

    value: Callable[[LinkPoint], float]
    fixed: Callable[[LinkPoint], Hashable]


def _mean_loss(link: LinkPoint) -> float:
    mean = link.packet_loss.mean_loss
    return math.inf if mean is None else mean


SNR = Axis(lambda link: link.snr_db, lambda link: replace(link, snr_db=0.0, ebn0_db=0.0))
AXES = (
    SNR,
    Axis(lambda link: float(link.cbr), lambda link: replace(link, cbr=Fraction(1))),
    Axis(
        _mean_loss,
        lambda link: (link.packet_loss.loss_model, replace(link, packet_loss=LinkPart("iid"))),
    ),
)
"""In the order in which a sweep is looked for."""


def shown_variant(plan: Plan) -> VariantPlan:
    """Of several variants the first is shown."""
    return plan.variants[0]


def shown_image(plan: Plan) -> int | None:
    """The picture that is shown, by its number in the plan; None: all are too large."""
    if plan.strip is not None:
        return plan.strip
    fitting = (
        index
        for index in shown_variant(plan).images
        if plan.images[index].pixels.size <= 3 * MOST_PIXELS
    )
    return next(fitting, None)


def shown_trials(plan: Plan, known: Container[str], image: int) -> dict[int, list[Trial]]:
    """Draw 0 of a picture: by the codec's number, a sweep over each channel, in rising order.

    known: ids of the trials that have a row. Others may be those that raise an error or end their
    process, and are not chosen.
    """
    strip = plan.scenario.figures.strip
    found: dict[tuple[int, str], list[Trial]] = {}
    for point in shown_variant(plan).points:
        trial = plan.trial(point, image, 0)
        if trial.trial_id in known:
            key = trial.codec_index, trial.link.channel.label
            found.setdefault(key, []).append(trial)
    channels = list(dict.fromkeys(channel for _, channel in found))
    if strip is None:
        channels = channels[:MOST_CHANNELS]
    chosen: dict[int, list[Trial]] = {}
    for (codec, channel), trials in found.items():
        if channel in channels:
            chosen.setdefault(codec, []).extend(_sweep(trials, strip))
    return {codec: trials for codec, trials in chosen.items() if trials}


def _sweep(trials: Sequence[Trial], strip: Strip | None) -> list[Trial]:
    """The longest sweep of SNRs, or else of another axis; of several the first."""
    wanted = None if strip is None else strip.snr_db
    if wanted is not None:
        asked = [trial for trial in trials if trial.link.snr_db in wanted]
        return _longest(asked, SNR)
    for axis in AXES:
        longest = _longest(trials, axis)
        if len(longest) > 1:
            return spread(longest, MOST_VALUES)
    return list(trials[:1])


def _longest(trials: Sequence[Trial], axis: Axis) -> list[Trial]:
    sweeps: dict[Hashable, list[Trial]] = {}
    for trial in trials:
        sweeps.setdefault(axis.fixed(trial.link), []).append(trial)
    longest = max(sweeps.values(), key=len, default=[])
    return sorted(longest, key=lambda trial: axis.value(trial.link))
