"""The gains that a run's packets met, held against the distribution and the Doppler spectrum.

Gains hang on the image, the repetition and the packet's number alone: all codecs, SNRs and link
points share them. So they are drawn once more from the same keys, each once, for all packet numbers
that any trial of the image used (not only where a packet was sent: how many are sent may depend on
the fades). That the run's symbols met these very gains is part of the check of the delivered SNR.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0
from scipy.stats import kstest

from channels.channel import Channel
from channels.fading import FlatFading
from channels.ofdm import Ofdm
from channels.randomness import ChannelRandomness
from channels.tapped_delay import delay_profile, time_correlation
from testbed.evaluation.certification_check import Check, gamma_p_value
from testbed.language.link_parts import LinkPart
from testbed.running.trials import LinkPoint
from testbed.sending.transmission import image_randomness, layer_links

Draw = tuple[int, str, int]
"""What random draws are keyed by: the scenario's seed, the image's SHA-256, the repetition."""

MOST_DRAWS = 20_000
"""Of packets, for each channel and loss model; those of later images and repetitions are left out:
enough for a distance of .02 between distributions, and for seconds."""
FEWEST_DRAWS = 20


@dataclass(frozen=True)
class Fades:
    """One channel of a run and the power gains that its packets met.

    gains: float64[packets], by image and repetition; empty if the channel states none.
    """

    channel: Channel
    label: str
    randomness: dict[Draw, ChannelRandomness]
    gains: dict[Draw, NDArray[np.float64]]

    @cached_property
    def independent(self) -> dict[Draw, int]:
        """How many first packets of each draw have gains of their own."""
        one = getattr(self.channel, "fading_block", "packet") == "image"
        return {draw: 1 if one else len(gains) for draw, gains in self.gains.items()}


FadesKey = tuple[int, LinkPart, str]


def fades_key(seed: int, point: LinkPoint) -> FadesKey:
    """What a point's fades depend on."""
    return seed, point.channel, point.fading_block


class UsedPackets:
    """The draws of all trials that share a channel or a loss model, and the packets sent in them.

    Numbers of packets are those that any trial of the image sent, not of the draw alone.
    """

    def __init__(self, point: LinkPoint) -> None:
        self.point = point
        """One of those that share it."""
        self._most: dict[str, int] = {}
        self._draws: dict[Draw, None] = {}

    def add(self, draw: Draw, packets: int) -> None:
        """A trial."""
        self._most[draw[1]] = max(self._most.get(draw[1], 0), packets)
        self._draws[draw] = None

    def by_draw(self) -> dict[Draw, int]:
        """Of the first draws that have MOST_DRAWS packets together."""
        packets: dict[Draw, int] = {}
        left = MOST_DRAWS
        for draw in self._draws:
            count = self._most[draw[1]]
            if 0 < count <= left:
                packets[draw] = count
                left -= count
        return packets


def met_fades(used: Mapping[FadesKey, UsedPackets]) -> dict[FadesKey, Fades]:
    """The fades of every channel of the run."""
    result = {}
    for key, each in used.items():
        channel = layer_links(each.point)[0].setting.channel
        packets = each.by_draw()
        randomness = {draw: image_randomness(*draw) for draw in packets}
        gains = {
            draw: np.array([channel.power_gain(randomness[draw], p) for p in range(count)])
            for draw, count in packets.items()
            if channel.power_gain(randomness[draw], 0) is not None
        }
        label = f"{key[1].label}, a fade per {key[2]}"
        result[key] = Fades(channel, label, randomness, gains)
    return result


def fading_checks(fades: Fades) -> list[Check]:
    """Of the distribution, and of the autocorrelation where the channel has one in time."""
    return [*_distribution(fades), *_autocorrelation(fades)]


def _distribution(fades: Fades) -> list[Check]:
    gains = [gain for draw, n in fades.independent.items() for gain in fades.gains[draw][:n]]
    # A channel whose gain is a constant does not fade.
    if gains and np.ptp(gains) == 0.0 and len(gains) > 1:
        return []
    names = ("fading power", fades.label, "Kolmogorov-Smirnov distance of |h|^2")
    distribution = fades.channel.power_gain_distribution()
    if distribution is None or not gains:
        return [Check(*names, why="no distribution of the gain in closed form")]
    if len(gains) < FEWEST_DRAWS:
        return [Check(*names, draws=len(gains), why="too few draws")]
    test = kstest(gains, distribution.cdf)
    return [
        Check(
            *names,
            expected=0.0,
            found=float(test.statistic),
            draws=len(gains),
            p_value=float(test.pvalue),
        )
    ]


def _autocorrelation(fades: Fades) -> list[Check]:
    """By the mean of |h(t + lag) - h(t)|^2 = 2 (1 - R(lag)), at the start of independent fades.

    With complex normal gains each term is exponential, and so their sum gamma distributed. The lag
    is about 1 / (2 pi f), f the largest Doppler shift, where R is .77.
    """
    channel = fades.channel
    if isinstance(channel, FlatFading):
        if channel.variation != "doppler":
            return []
        return _of_changes(fades, *_flat_changes(fades, channel))
    if isinstance(channel, Ofdm):
        return _of_changes(fades, *_ofdm_changes(fades, channel))
    return []


def _of_changes(fades: Fades, correlation: float | None, changes: list[float]) -> list[Check]:
    names = ("Doppler", fades.label, "autocorrelation at a lag of about 1 / (2 pi f)")
    if correlation is None or correlation >= 1.0:
        why = "nothing moves" if correlation else "no autocorrelation in closed form"
        return [Check(*names, why=why)]
    if len(changes) < FEWEST_DRAWS:
        return [Check(*names, draws=len(changes), why="too few draws")]
    n, expected = len(changes), 1.0 - correlation
    return [
        Check(
            *names,
            expected=correlation,
            found=1.0 - float(np.mean(changes)),
            spread=expected / n**0.5,
            draws=n,
            p_value=gamma_p_value(float(np.sum(changes)) / expected, n),
        )
    ]


def _flat_changes(fades: Fades, channel: FlatFading) -> tuple[float | None, list[float]]:
    """R at the lag, and |h(lag) - h(0)|^2 / 2 of each independent fade, in scattered power."""
    scattered = channel.scattered_power
    if scattered is None or channel.shadowing_db > 0.0:
        return None, []
    if channel.doppler == 0.0:
        return 1.0, []
    lag = max(1, round(1.0 / (2.0 * np.pi * channel.doppler)))
    changes = []
    for draw, count in fades.independent.items():
        for packet in range(count):
            gains = channel.gains(fades.randomness[draw], packet, count=2, uses_each=lag)[0, 0]
            changes.append(float(abs(gains[1] - gains[0]) ** 2) / (2.0 * scattered))
    return float(j0(2.0 * np.pi * channel.doppler * lag)), changes


def _ofdm_changes(fades: Fades, channel: Ofdm) -> tuple[float | None, list[float]]:
    """The same of the response in the middle of the band, where it is the sum of the taps."""
    profile = delay_profile(channel.model)
    # A line of sight turns at its own pace; the clustered models' rays are not normal.
    if profile.los_power > 0.0 or profile.arrivals is not None:
        return None, []
    if channel.max_doppler_hz == 0.0:
        return 1.0, []
    times_s = np.array([0.0, 1.0 / (2.0 * np.pi * channel.max_doppler_hz)])
    changes = []
    for draw, count in fades.independent.items():
        for packet in range(count):
            taps = channel.fade(fades.randomness[draw], packet).taps(times_s, np.zeros(1))
            response = taps.sum(axis=0)[:, 0]
            changes.append(float(abs(response[1] - response[0]) ** 2) / 2.0)
    correlation = time_correlation(profile, channel.max_doppler_hz, times_s[1:])
    return float(correlation.sum().real), changes
