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
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from channels.binary_channels import BinarySymmetricChannel
from channels.channel import Channel
from channels.fading import Awgn
from channels.observation import Observation, wrong_bits_per_symbol
from testbed.evaluation.certification_check import Check, count_p_value, gamma_p_value
from testbed.evaluation.certification_fading import Draw, Fades
from testbed.running.trials import LinkPoint
from testbed.running.work import Row
from testbed.sending.packets import LayerLink
from testbed.sending.simulation import OBSERVED

FEWEST_SYMBOLS = 100
FEWEST_FADES = 10
"""Effective number of them, weighted by the errors that they bring."""

DELIVERED = ("delivered SNR", "Es/N0 (dB)")
REPORTED = ("reported noise", "mean squared error over reported noise power")
UNCODED = ("uncoded error rate", "wrong bits before decoding, given the noise")
MEAN_RATE = ("mean uncoded error rate", "wrong bits before decoding, closed form")


@dataclass
class Group:
    """The trials of one codec at one link point, summed up. `fades`: of its channel.

    trials: how many were taken; repetitions: the most that a picture can have.
    unobserved: whether the symbols of some were not observed.
    square_symbols: sum of the squares of the trials' numbers of symbols.
    met, stated: opening gains of the packets, as observed and as stated, where the channel states
        them.
    square_per_fade: sum of the squared numbers of symbols over the fades that they met.
    """

    subject: str
    point: LinkPoint
    links: tuple[LayerLink, ...]
    fades: Fades
    trials: int = 0
    repetitions: int = 0
    unobserved: bool = False
    observed: Observation = field(default_factory=Observation)
    square_symbols: int = 0
    met: float = 0.0
    stated: float = 0.0
    square_per_fade: float = 0.0

    @property
    def channel(self) -> Channel:
        return self.links[0].setting.channel

    def take(self, draw: Draw, row: Row) -> None:
        """A trial's row; of a draw that was taken none may come again."""
        self.trials += 1
        self.repetitions = max(self.repetitions, draw[2] + 1)
        if row[OBSERVED] is None:
            self.unobserved = True
            return
        observed = Observation(**row[OBSERVED])
        self.observed += observed
        self.square_symbols += observed.symbols**2
        if draw in self.fades.gains:
            self.met += observed.opening_gain
            self.stated += float(self.fades.gains[draw][: row["packets_sent"]].sum())
        # The last packet may be shorter: as if there were one fewer.
        fades = max(1, min(self.fades.independent.get(draw, 1), row["packets_sent"]) - 1)
        self.square_per_fade += observed.symbols**2 / fades


def symbol_checks(group: Group) -> list[Check]:
    """The four checks, those that do not apply with the reason."""
    observed = group.observed
    if group.point.fidelity == "tables":
        why = "packets fail by tables, no symbol is sent"
    elif group.unobserved:
        why = "symbols were not observed"
    else:
        why = "too few symbols" if observed.symbols < FEWEST_SYMBOLS else ""
    if why:
        return [_unchecked(group, DELIVERED, why)]
    return [_reported(group, observed), *_delivered(group, observed), *_rates(group, observed)]


def _unchecked(group: Group, names: tuple[str, str], why: str, draws: int = 0) -> Check:
    return Check(names[0], group.subject, names[1], why=why, draws=draws)


def _independent_errors(group: Group, observed: Observation) -> float:
    """So many independent errors the symbols are worth, at least."""
    if group.channel.errors_are() == "white":
        return observed.symbols
    # Those of one trial may hang together in any way.
    return observed.symbols**2 / group.square_symbols


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
    n = observed.symbols
    # What the demapper was told to be less or more than stated, and what it was not told.
    noise = observed.error / n * (group.stated / group.met if group.met > 0.0 else 1.0)
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
    variance = observed.symbols * (within + group.repetitions * between)
    variance += faded * group.square_per_fade
    mean = observed.symbols * wrong
    if faded > 0.0 and mean**2 < FEWEST_FADES * variance:
        return [_unchecked(group, MEAN_RATE, "too few fades", group.trials)]
    return [_rate(group, MEAN_RATE, observed, mean, variance, group.trials)]


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
