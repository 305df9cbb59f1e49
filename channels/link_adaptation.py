"""Link adaptation: which of several links a sender takes, knowing an old and noisy estimate.

    effective SNR that packet -d met            d: `delay_packets`, packet 0 is the first one sent
      + a normal error                          `error_db`
      + offset                                  the outer loop's
      >= SNR required                           where a packet fails with `target_error_rate`

The inner loop takes the link of the greatest spectral efficiency for which this holds, the most
robust one if there is none. Old estimates are old physics: the channel itself is asked what a
packet of a negative number met, so that where each packet has a fade of its own they tell nothing.

The outer loop (OLLA) moves the offset up by a small step after each packet that arrives and down by
(1 - target) / target of it after each that fails (A. Sampath, P. S. Kumar, J. M. Holtzman, "On
setting reverse link target SIR in a CDMA system", IEEE VTC, 1997; K. I. Pedersen et al., "Frequency
domain scheduling for OFDMA with limited and noisy channel feedback", IEEE VTC Fall, 2007). Its mean
step is zero where the share `target_error_rate` of the packets fails. That offset, the limit of
small steps and long traffic, is what `LinkAdaptation.offset_db` computes, from the block error
tables over EARLIER_PACKETS draws that no packet of an image meets, each for the first packet of an
image: later ones are older than the estimate by more. So a choice depends on nothing but the
image's own draws, and the order of images makes no difference.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.block_errors import DEFAULT_WORDS
from channels.channel import check_range
from channels.errors import ChannelError
from channels.fading import Awgn
from channels.link import MAX_PACKETS, LinkSetting, packet_cost
from channels.mutual_information import effective_snr_db
from channels.randomness import ChannelRandomness, derive_key
from channels.table_link import check_setting, packet_error_rate

EARLIER_PACKETS = 1000
"""Draws that stand for the traffic before; the realised error rate follows the target to about
the square root of target (1 - target) / EARLIER_PACKETS."""
OFFSET_LIMIT_DB = 20.0
"""The outer loop stays within +- this, where a target is out of its reach as well."""
LOWEST_TARGET = 1e-4
HIGHEST_TARGET = 0.5
_TOLERANCE_DB = 0.005
_REQUIRED_WITHIN_DB = (-60.0, 80.0)


@dataclass(frozen=True)
class LinkAdaptation:
    """A sender that takes one of several links.

    Attributes:
        links: from the least spectral efficiency to the greatest; they differ in modulation and
            code rate only. An error rate is that of a packet sent once.
        packet_bytes: size of the packet that is reckoned with, at least 1.
        target_error_rate: that a packet fails, LOWEST_TARGET .. HIGHEST_TARGET.
        delay_packets: age of the estimate, 0 (the first packet's own fade) .. MAX_PACKETS.
        error_db: standard deviation of the estimate's error, 0 .. 30.
        outer_loop: whether there is one; else the offset is 0.
        words: code blocks per point of the tables, see `channels.block_errors.TableKey`.

    Raises:
        ChannelError: a value outside these, or a link for which there are no tables.
    """

    links: tuple[LinkSetting, ...]
    packet_bytes: int
    target_error_rate: float = 0.1
    delay_packets: int = 1
    error_db: float = 1.0
    outer_loop: bool = True
    words: int = DEFAULT_WORDS

    def __post_init__(self) -> None:
        check_range("links", len(self.links), 1, 1000)
        check_range("packet_bytes", self.packet_bytes, 1, 1 << 20)
        check_range("target_error_rate", self.target_error_rate, LOWEST_TARGET, HIGHEST_TARGET)
        check_range("delay_packets", self.delay_packets, 0, MAX_PACKETS)
        check_range("error_db", self.error_db, 0.0, 30.0)
        for link in self.links:
            check_setting(link)
        if len({(link.channel, link.no) for link in self.links}) > 1:
            raise ChannelError("link adaptation: expected links of one channel and one SNR")
        bits = [link.bits_per_symbol * link.code_rate for link in self.links]
        if bits != sorted(bits):
            raise ChannelError(
                f"link adaptation: expected ascending spectral efficiencies, found {bits}"
            )

    def choice(self, randomness: ChannelRandomness) -> int:
        """The link that the packets of an image are sent over, an index of `links`.

        Args:
            randomness: the image's draws.
        """
        required_db, offset_db = _loops(self)
        return int(_choices(self.estimates_db(randomness) + offset_db - required_db))

    def estimates_db(self, randomness: ChannelRandomness) -> NDArray[np.float64]:
        """What the sender takes for the SNR of each link, float64[links].

        In a packet whose symbols differ it is an effective SNR, which depends on the modulation and
        on the packet's length over that link; it ends where the modulation's curve does (see
        `channels.mutual_information.SATURATION`), 10 dB and more above what a link requires.
        """
        error_db = self.error_db * randomness.generator("channel estimate", 0).standard_normal()
        return np.array([error_db + self._met_db(link, randomness) for link in self.links])

    def _met_db(self, link: LinkSetting, randomness: ChannelRandomness) -> float:
        symbols = _symbols(link, self.packet_bytes)
        noise = link.channel.effective_noise(
            link.modulation, symbols, link.no, randomness, -self.delay_packets
        )
        if isinstance(noise, float):
            return float(-10.0 * np.log10(noise))
        return effective_snr_db(noise, link.modulation)

    @property
    def offset_db(self) -> float:
        """What the outer loop adds to estimates; 0 without one.

        At it the share `target_error_rate` of the earlier packets fails, or less where the next
        faster link fails more often in all of them together; -OFFSET_LIMIT_DB if more fail whatever
        it is, as over fades that the most robust link does not survive.
        """
        return _loops(self)[1]


def required_snr_db(
    link: LinkSetting, packet_bytes: int, error_rate: float, words: int = DEFAULT_WORDS
) -> float:
    """Es/N0 in dB of all symbols at which a packet that is sent once fails with `error_rate`.

    Args:
        link: its channel and SNR play no part.
        packet_bytes: at least 1.
        error_rate: over 0, below 1.
        words: see `channels.block_errors.TableKey`.

    Returns:
        The SNR, to 0.005 dB; infinite for a code that fails more often without any noise.

    Raises:
        ChannelError: no tables for such a link.
    """
    white = replace(link, channel=Awgn(), power_db=0.0, transmissions=1)
    randomness = ChannelRandomness(0)

    def fails_too_often(snr_db: float) -> bool:
        there = replace(white, snr_db=snr_db)
        return packet_error_rate(packet_bytes, there, randomness, 0, words) > error_rate

    low, high = _REQUIRED_WITHIN_DB
    return float(np.inf) if fails_too_often(high) else _bisect(low, high, fails_too_often)[1]


@lru_cache(maxsize=4096)
def _symbols(link: LinkSetting, packet_bytes: int) -> int:
    return packet_cost(packet_bytes, link).symbols


def _choices(margins_db: NDArray[np.float64]) -> NDArray[np.intp]:
    """The last link whose margin is not negative, else the first: [..., links] -> [...]."""
    fits = margins_db >= 0.0
    return np.asarray(np.max(np.where(fits, np.arange(margins_db.shape[-1]), 0), axis=-1))


@lru_cache(maxsize=256)
def _loops(adaptation: LinkAdaptation) -> tuple[NDArray[np.float64], float]:
    """The SNR that each link requires, float64[links] in dB, and the outer loop's offset in dB."""
    size, words = adaptation.packet_bytes, adaptation.words
    required_db = np.array(
        [
            required_snr_db(link, size, adaptation.target_error_rate, words)
            for link in adaptation.links
        ]
    )
    required_db.setflags(write=False)
    if not adaptation.outer_loop:
        return required_db, 0.0
    once = [replace(link, transmissions=1) for link in adaptation.links]
    margins_db = np.empty((EARLIER_PACKETS, len(once)))
    error_rates = np.empty_like(margins_db)
    for draw in range(EARLIER_PACKETS):
        randomness = ChannelRandomness(derive_key("link adaptation", draw))
        margins_db[draw] = adaptation.estimates_db(randomness) - required_db
        error_rates[draw] = [packet_error_rate(size, link, randomness, 0, words) for link in once]
    return required_db, _outer_loop(margins_db, error_rates, adaptation.target_error_rate)


def _outer_loop(
    margins_db: NDArray[np.float64], error_rates: NDArray[np.float64], target: float
) -> float:
    """The offset in dB at which the loop's mean step is zero; both arguments [draws, links]."""

    def fails_too_often(offset_db: float) -> bool:
        chosen = _choices(margins_db + offset_db)
        return bool(np.take_along_axis(error_rates, chosen[:, None], axis=1).mean() > target)

    low, high = -OFFSET_LIMIT_DB, OFFSET_LIMIT_DB
    if fails_too_often(low):
        return low
    if not fails_too_often(high):
        return high
    return _bisect(low, high, lambda offset_db: not fails_too_often(offset_db))[0]


def _bisect(low: float, high: float, holds: Callable[[float], bool]) -> tuple[float, float]:
    """Neighbours such that `holds` is true at the lower one and false at the other."""
    while high - low > _TOLERANCE_DB:
        middle = (low + high) / 2.0
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low, high
