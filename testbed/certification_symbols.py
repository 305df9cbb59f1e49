"""What the symbols of a run met, held against what the link states and the theory of QAM.

By codec and link point: all trials of one point and one codec are of different images or
repetitions, and so meet independent noise. Whether a symbol is sent may depend on earlier noise
(retransmissions), never on its own, so that sums stay unbiased.

    delivered SNR        Es/N0 by the errors that there were, relative to the power gains stated
    reported noise       those errors over the noise power that the demapper was told
    uncoded error rate   hard decisions against the errors expected of just these symbols
    mean uncoded rate    the same against the mean over all symbols, and over all fades
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from channels.binary_channels import BinarySymmetricChannel
from channels.channel import Channel
from channels.fading import Awgn
from channels.observation import Observation, wrong_bits_per_symbol
from testbed.certification_check import Check, count_p_value, gamma_p_value
from testbed.certification_fading import Draw, Fades, FadesKey, fades_key
from testbed.packets import LayerLink
from testbed.runner import Plan
from testbed.simulation import OBSERVED, Row
from testbed.transmission import layer_links
from testbed.trials import LinkPoint

FEWEST_SYMBOLS = 100
FEWEST_FADES = 10
"""Effective number of them, weighted by the errors that they bring."""

DELIVERED = ("delivered SNR", "Es/N0 (dB)")
REPORTED = ("reported noise", "mean squared error over reported noise power")
UNCODED = ("uncoded error rate", "wrong bits before decoding, given the noise")
MEAN_RATE = ("mean uncoded error rate", "wrong bits before decoding, closed form")


@dataclass(frozen=True)
class Group:
    """The trials of one codec at one link point. `fades`: of its channel."""

    subject: str
    point: LinkPoint
    links: tuple[LayerLink, ...]
    fades: Fades
    rows: dict[Draw, Row]

    @property
    def channel(self) -> Channel:
        return self.links[0].setting.channel

    @property
    def observed(self) -> Observation:
        """What all its symbols met."""
        return sum(map(observation, self.rows.values()), Observation())


def observation(row: Row) -> Observation:
    """What a trial's symbols met. KeyError or TypeError where none were sent one by one."""
    return Observation(**row[OBSERVED])


def groups(
    plan: Plan, rows: Mapping[str, Row], fades: Mapping[FadesKey, Fades], words: Mapping[str, str]
) -> list[Group]:
    """All groups of the run; `words` names those of a trial."""
    found: dict[tuple[str, LinkPoint], Group] = {}
    for trial in plan.trials:
        key = (trial.codec_name, trial.link)
        if key not in found:
            found[key] = Group(
                words[trial.trial_id],
                trial.link,
                layer_links(trial.link),
                fades[fades_key(trial.link)],
                {},
            )
        draw = plan.images[trial.image_index].sha256, trial.repetition
        # A picture that is there by two names meets the same draws twice.
        found[key].rows.setdefault(draw, rows[trial.trial_id])
    return list(found.values())


def symbol_checks(group: Group) -> list[Check]:
    """The four checks, those that do not apply with the reason."""
    observed = None
    if group.point.fidelity == "tables":
        why = "packets fail by tables, no symbol is sent"
    elif any(row[OBSERVED] is None for row in group.rows.values()):
        why = "symbols were not observed"
    else:
        observed = group.observed
        why = "too few symbols" if observed.symbols < FEWEST_SYMBOLS else ""
    if observed is None or why:
        return [_unchecked(group, DELIVERED, why)]
    return [_reported(group, observed), *_delivered(group, observed), *_rates(group, observed)]


def _unchecked(group: Group, names: tuple[str, str], why: str, draws: int = 0) -> Check:
    return Check(names[0], group.subject, names[1], why=why, draws=draws)


def _independent_errors(group: Group, observed: Observation) -> float:
    """So many independent errors the symbols are worth, at least."""
    if group.channel.errors_are() == "white":
        return observed.symbols
    # Those of one trial may hang together in any way.
    symbols = [observation(row).symbols for row in group.rows.values()]
    return sum(symbols) ** 2 / sum(n * n for n in symbols)


def _reported(group: Group, observed: Observation) -> Check:
    if group.channel.errors_are() == "untold":
        return _unchecked(group, REPORTED, "the receiver does not know of all errors")
    n = _independent_errors(group, observed)
    mean = observed.error / observed.symbols
    return Check(
        REPORTED[0],
        group.subject,
        REPORTED[1],
        expected=1.0,
        found=mean,
        spread=n**-0.5,
        draws=int(n),
        p_value=gamma_p_value(mean * n, n),
    )


def _delivered(group: Group, observed: Observation) -> list[Check]:
    """Only where the gain that the noise power is reported for is stated."""
    if group.channel.errors_are() != "white" or not group.fades.gains:
        return []
    met = stated = 0.0
    for draw, row in group.rows.items():
        if draw in group.fades.gains:
            met += observation(row).opening_gain
            stated += float(group.fades.gains[draw][: row["packets_sent"]].sum())
    n = observed.symbols
    # What the demapper was told to be less or more than stated, and what it was not told.
    noise = observed.error / n * (stated / met if met > 0.0 else 1.0)
    return [
        Check(
            DELIVERED[0],
            group.subject,
            DELIVERED[1],
            expected=group.point.snr_db,
            found=group.point.snr_db - 10.0 * math.log10(noise) if noise > 0.0 else None,
            spread=10.0 / math.log(10.0) * n**-0.5,
            draws=n,
            p_value=gamma_p_value(noise * n, n),
        )
    ]


def _rates(group: Group, observed: Observation) -> list[Check]:
    bits, channel = observed.bits, group.channel
    if not bits:
        return [_unchecked(group, UNCODED, "no bits are sent")]
    if isinstance(channel, BinarySymmetricChannel):
        mean = bits * channel.flip_probability
        variance = mean * (1.0 - channel.flip_probability)
        return [_rate(group, UNCODED, observed, mean, variance, bits)]
    if channel.errors_are() != "white":
        return [_unchecked(group, UNCODED, "errors are not white noise")]
    mean, variance = observed.expected_bit_errors, observed.bit_error_variance
    return [
        _rate(group, UNCODED, observed, mean, variance, observed.symbols),
        *_mean_rate(group, observed),
    ]


def _rate(
    group: Group,
    names: tuple[str, str],
    observed: Observation,
    mean: float,
    variance: float,
    draws: int,
) -> Check:
    bits = observed.bits
    return Check(
        names[0],
        group.subject,
        names[1],
        expected=mean / bits,
        found=observed.uncoded_ber,
        spread=variance**0.5 / bits,
        draws=draws,
        p_value=count_p_value(observed.bit_errors, mean, variance),
    )


def _mean_rate(group: Group, observed: Observation) -> list[Check]:
    """Where all symbols are sent alike, once, and their number does not depend on the fades."""
    schemes = {(link.setting.modulation, link.setting.power_db) for link in group.links}
    once = all(link.setting.transmissions == 1 for link in group.links)
    if len(schemes) > 1 or not once or group.point.policy not in ("equal", "table"):
        return []
    setting = group.links[0].setting
    moments = _over_fades(group.channel, setting.no, setting.modulation)
    if moments is None:
        return []
    wrong, within, between, faded = moments
    # A picture is sent again in every repetition, with the same symbols.
    repetitions = max(repetition for _, repetition in group.rows) + 1
    variance = observed.symbols * (within + repetitions * between)
    independent = group.fades.independent
    for draw, row in group.rows.items():
        # The last packet may be shorter: as if there were one fewer.
        fades = max(1, min(independent.get(draw, 1), row["packets_sent"]) - 1)
        variance += faded * observation(row).symbols ** 2 / fades
    mean = observed.symbols * wrong
    if faded > 0.0 and mean**2 < FEWEST_FADES * variance:
        return [_unchecked(group, MEAN_RATE, "too few fades", len(group.rows))]
    return [_rate(group, MEAN_RATE, observed, mean, variance, len(group.rows))]


@lru_cache(maxsize=256)
def _over_fades(
    channel: Channel, no: float, modulation: str
) -> tuple[float, float, float, float] | None:
    """`wrong_bits_per_symbol` over all fades, and the variance over fades of its first.

    None where the distribution of the fades is not known. The fade is taken to last for a packet.
    """
    if isinstance(channel, Awgn):
        mean, within, between = wrong_bits_per_symbol(np.array([no]), modulation)[0]
        return float(mean), float(within), float(between), 0.0
    distribution = channel.power_gain_distribution()
    if distribution is None:
        return None
    edges = np.geomspace(1e-9, 1e3, 2001)
    likely = np.diff(distribution.cdf(edges))
    middles = np.sqrt(edges[1:] * edges[:-1])
    moments = wrong_bits_per_symbol(no / middles, modulation)
    mean, within, between = (float(each) for each in likely @ moments)
    return mean, within, between, float(likely @ (moments[:, 0] - mean) ** 2)
