"""The link's second tier of fidelity: the fate of a packet out of tables, no bit is sent.

    channel -> noise power of each symbol -> effective SNR -> block error rate -> one uniform draw
               Channel.effective_noise       mutual_information.py  block_errors.py
               ------------ or Channel.snr_meter ------------

It stands for `channels.link.send_packet` where only the fate of whole packets matters, and takes
the same fades from the same randomness. What it approximates:

  - the fate itself is drawn: packet by packet it is another one than that of the bit-exact link;
  - symbols of different noise powers count by their mean mutual information (MIESM), which is exact
    for those of one power only;
  - noise that is left after equalisation counts as Gaussian and independent;
  - where the receiver is mistaken (least-squares estimates, carrier offset, phase noise up to 2
    degrees a symbol) noise counts that leaves as much mutual information: see `channels.mismatch`;
  - errors of channel estimates count by their mean over all packets, given the response;
  - bits are not interleaved beyond their symbol, so that fast fades meet some parts of a codeword
    only: up to .3 dB too good at 30 m/s, .5 dB with least-squares estimates at rate 1/5;
  - sizes between those of the tables are interpolated;
  - retransmissions: a table of its own for each number of them, right for receptions of equal SNR.
    Of unequal SNR, for "chase" the mean SNR of a symbol's receptions counts, for "incremental" the
    mean information of all received symbols, as if all were worth the same: too good where the
    first reception, which holds the information bits themselves, is the worst.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import log10

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from channels.block_errors import DEFAULT_WORDS, BlockErrorCurve, error_curve
from channels.channel import Channel, check_range
from channels.errors import ChannelError
from channels.harq import redundancy_version
from channels.link import MAX_PACKETS, LinkSetting, PacketOutcome, send_packet
from channels.mutual_information import mean_information, snr_db_of_information
from channels.random_words import TableCode
from channels.randomness import ChannelRandomness, derive_key
from channels.transport_sizes import transport_sizes
from channels.wilson import wilson_interval

Noise = NDArray[np.float64]

#: Packets whose uniform variates are drawn together: a generator costs more than all else here.
_DRAWN_TOGETHER = 32
_NO_CODE = "block error tables: expected a code, found coding 'none'"


def check_channel(channel: Channel) -> None:
    """Raises ChannelError for a channel that does more to symbols than its noise powers tell."""
    untold = channel.untold()
    if untold is not None:
        raise ChannelError(
            "block error tables: expected a channel whose noise powers tell all that it does to "
            f"symbols, found {untold} in {channel}"
        )


def check_setting(setting: LinkSetting) -> None:
    """Raises ChannelError for a link that tables cannot stand for.

    Packets without coding, damaged packets that are delivered, and channels that do more than
    any noise powers tell (binary channels, strong phase noise) are those of the bit-exact link
    only.
    """
    if setting.coding == "none":
        raise ChannelError(_NO_CODE)
    if setting.damage != "drop":
        raise ChannelError(f"block error tables: expected damage drop, found {setting.damage!r}")
    check_channel(setting.channel)


def _table_code(setting: LinkSetting, payload_bits: int) -> TableCode:
    """Whose tables stand for packets of so many bits. ChannelError without coding."""
    name = setting.code(payload_bits).name
    if name == "none":
        raise ChannelError(_NO_CODE)
    return name


class _PacketPlan:
    """What does not change from packet to packet of one size over one link."""

    def __init__(self, setting: LinkSetting, payload_bytes: int, words: int) -> None:
        check_setting(setting)
        self._setting = setting
        self._payload_bits = 8 * payload_bytes
        self._words = words
        self._code = _table_code(setting, self._payload_bits)
        self._harq = setting.harq_of(self._payload_bits)
        sizes = transport_sizes(self._payload_bits, setting.code_rate, setting.bits_per_symbol)
        self.symbols = sizes.channel_uses
        self.no = setting.no
        self._code_blocks = sizes.code_blocks
        self._meter = setting.channel.snr_meter(
            setting.modulation, self.symbols, self._code_blocks, self.no
        )
        self._curves: dict[int, BlockErrorCurve] = {}

    def curve(self, transmissions: int) -> BlockErrorCurve:
        """The error rate of a code block received so often."""
        found = self._curves.get(transmissions)
        if found is None:
            setting = self._setting
            found = self._curves[transmissions] = error_curve(
                setting.modulation,
                setting.code_rate,
                self._payload_bits,
                self._words,
                versions=tuple(redundancy_version(self._harq, t) for t in range(transmissions)),
                max_iterations=setting.max_iterations,
                code=self._code,
            )
        return found

    def noise(self, randomness: ChannelRandomness, number_sent: int) -> Noise | float:
        """The noise powers of one transmission."""
        setting = self._setting
        return setting.channel.effective_noise(
            setting.modulation, self.symbols, self.no, randomness, number_sent
        )

    def first_error_rate(self, randomness: ChannelRandomness, number: int) -> float:
        """Error rate of a packet after its first transmission."""
        if self._meter is None:
            return self.error_rate([self.noise(randomness, number)])
        return self._error_rate(self.curve(1), self._meter(randomness, number))

    def error_rate(self, received: list[Noise | float]) -> float:
        """Error rate of the packet after receptions with these noise powers."""
        curve = self.curve(len(received))
        if len(received) > 1 and self._harq == "incremental":
            return self._error_rate(curve, self._snrs_db(received))
        # Of repetitions SNRs add up; the table is that of as many receptions at their mean.
        noise = received[0]
        if len(received) > 1:
            noise = len(received) / sum(1.0 / part for part in received)
        if isinstance(noise, float):
            right = 1.0 - curve.error_rate(-10.0 * log10(noise))
            return 1.0 - right**self._code_blocks
        return self._error_rate(curve, self._snrs_db([noise]))

    def _snrs_db(self, received: list[Noise | float]) -> NDArray[np.float64]:
        """Effective SNR of all symbols of each code block, float64[code blocks]."""
        modulation = self._setting.modulation
        total = np.zeros(self._code_blocks)
        for noise in received:
            total += mean_information(np.atleast_1d(noise), modulation, self._code_blocks)
        means = (total / len(received)).tolist()
        return np.array([snr_db_of_information(mean, modulation) for mean in means])

    @staticmethod
    def _error_rate(curve: BlockErrorCurve, snrs_db: NDArray[np.float64]) -> float:
        right = 1.0
        for snr_db in snrs_db.tolist():
            right *= 1.0 - curve.error_rate(snr_db)
        return 1.0 - right


@lru_cache(maxsize=4096)
def _plan(setting: LinkSetting, payload_bytes: int, words: int) -> _PacketPlan:
    return _PacketPlan(setting, payload_bytes, words)


@lru_cache(maxsize=256)
def _uniforms(randomness: ChannelRandomness, block: int) -> list[float]:
    """Of the packets from block * _DRAWN_TOGETHER on."""
    drawn: list[float] = (
        randomness.generator("table block error", block).random(_DRAWN_TOGETHER).tolist()
    )
    return drawn


def prepare_tables(
    setting: LinkSetting, payload_bytes: Iterable[int], words: int = DEFAULT_WORDS
) -> None:
    """Make all tables that packets of these sizes can need, before workers start on them.

    Raises:
        ChannelError: as `send_packet_by_table`.
    """
    for size in payload_bytes:
        for transmissions in range(1, setting.transmissions + 1):
            _plan(setting, size, words).curve(transmissions)


def packet_error_rate(
    payload_bytes: int,
    setting: LinkSetting,
    randomness: ChannelRandomness,
    number: int,
    words: int = DEFAULT_WORDS,
) -> float:
    """Probability that a packet fails for good, given the fades that it meets.

    Args:
        payload_bytes: at least 1.
        setting: the link; see `check_setting`.
        randomness: the image's draws.
        number: of the packet within the image, 0 .. MAX_PACKETS - 1.
        words: code blocks per point of the tables, see `channels.block_errors.TableKey`.

    Raises:
        ChannelError: as `send_packet_by_table`.
    """
    check_range("packet number", number, 0, MAX_PACKETS - 1)
    if payload_bytes < 1:
        raise ChannelError(f"packet {number}: expected at least 1 byte, found {payload_bytes}")
    return _fate(payload_bytes, setting, randomness, number, words, 0.0)[0]


def send_packet_by_table(
    packet: bytes,
    setting: LinkSetting,
    randomness: ChannelRandomness,
    number: int,
    words: int = DEFAULT_WORDS,
) -> PacketOutcome:
    """Send one packet over the link, by tables; `channels.link.send_packet` does it by bits.

    A packet has one uniform variate u, and fails up to transmission t if u is below the error rate
    after t receptions: more SNR or more transmissions never make it fail.

    Args:
        packet: at least 1 byte.
        setting: the link; see `check_setting`. Tables that are missing are made, which takes
            seconds: see `prepare_tables`.
        randomness: the image's draws; transmissions are numbered as in `send_packet`.
        number: of the packet within the image, 0 .. MAX_PACKETS - 1. What happens to it depends on
            its number, its size and the randomness only.
        words: code blocks per point of the tables, see `channels.block_errors.TableKey`.

    Returns:
        Its outcome; `bit_error_estimate` is 0, as in `send_packet` without damaged packets.

    Raises:
        ChannelError: an empty packet, a number outside its range, or a link for which there are no
            tables.
    """
    if not packet:
        raise ChannelError(f"packet {number}: expected at least 1 byte, found none")
    check_range("packet number", number, 0, MAX_PACKETS - 1)
    block, place = divmod(number, _DRAWN_TOGETHER)
    uniform = _uniforms(randomness, block)[place]
    error_rate, sent = _fate(len(packet), setting, randomness, number, words, uniform)
    decoded = uniform >= error_rate
    return PacketOutcome(packet if decoded else None, decoded, sent)


def _fate(
    payload_bytes: int,
    setting: LinkSetting,
    randomness: ChannelRandomness,
    number: int,
    words: int,
    uniform: float,
) -> tuple[float, int]:
    """Error rate after the last transmission, and their number: up to the first with
    uniform >= error rate, or to the last that is allowed.
    """
    plan = _plan(setting, payload_bytes, words)
    error_rate = plan.first_error_rate(randomness, number)
    if uniform >= error_rate or setting.transmissions == 1:
        return error_rate, 1
    received = [plan.noise(randomness, number)]
    for transmission in range(1, setting.transmissions):
        received.append(plan.noise(randomness, number + transmission * MAX_PACKETS))
        error_rate = min(error_rate, plan.error_rate(received))
        if uniform >= error_rate:
            break
    return error_rate, len(received)


@dataclass(frozen=True)
class MeasuredRate:
    """A block error rate and its 95 % interval.

    Attributes:
        errors: packets that failed for good.
        packets: packets sent.
    """

    errors: int
    packets: int

    @property
    def rate(self) -> float:
        """errors / packets."""
        return self.errors / self.packets

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Wilson's interval for the true rate, within 0 .. 1."""
        return wilson_interval(self.rate, self.packets, float(ndtri(0.5 + confidence / 2.0)))


@dataclass(frozen=True)
class Comparison:
    """Both tiers over the same fades.

    Attributes:
        exact: of the bit-exact link.
        table: drawn from tables.
        expected: mean over the packets of the tables' error rates: `table` without its draws.
        exact_transmissions: mean number of transmissions per packet.
        table_transmissions: the same by tables.
    """

    exact: MeasuredRate
    table: MeasuredRate
    expected: float
    exact_transmissions: float
    table_transmissions: float


def compare(
    setting: LinkSetting,
    packet_bytes: int,
    packets: int,
    seed: int,
    words: int = DEFAULT_WORDS,
) -> Comparison:
    """Send random packets by bits and by tables, each with randomness of its own.

    Args:
        setting: the link; see `check_setting`.
        packet_bytes: size of each packet, at least 1.
        packets: how many, at least 1.
        seed: of payloads and channel.
        words: see `send_packet_by_table`.

    Raises:
        ChannelError: as `send_packet_by_table`, or no packets.
    """
    check_range("packets", packets, 1, 1 << 40)
    exact_errors = table_errors = exact_sent = table_sent = 0
    expected = 0.0
    for index in range(packets):
        randomness = ChannelRandomness(derive_key("tier comparison", seed, index))
        packet = randomness.generator("payload", 0).bytes(packet_bytes)
        exact = send_packet(packet, setting, randomness, 0)
        table = send_packet_by_table(packet, setting, randomness, 0, words)
        exact_errors += not exact.decoded
        table_errors += not table.decoded
        exact_sent += exact.transmissions
        table_sent += table.transmissions
        expected += packet_error_rate(packet_bytes, setting, randomness, 0, words)
    return Comparison(
        MeasuredRate(exact_errors, packets),
        MeasuredRate(table_errors, packets),
        expected / packets,
        exact_sent / packets,
        table_sent / packets,
    )
