"""What becomes of a layer: how often it arrives and what it takes, as its sender reckons.

    fades --packet_error_rate--> packets fail      loss model --> packets vanish
                     \\                               /
                      P(as many arrive as the layer needs),  mean channel uses

Fades. Of the channel the sender knows the model and the mean SNR, not the fade: it reckons with
draws for planning alone. Where all packets of a picture meet one fade, these are PLANNING_FADES
fades, evenly spaced in rank among RANKED_FADES draws by what a symbol can carry there, so that
rare bad fades are there in their proportion. Where each packet has a fade of its own, the mean
over PLANNING_FADES draws counts, packet by packet. An oracle is told the draws that the picture
will meet, and reckons with the fades of the packets' own numbers.

Retransmissions. Packets of a layer are sent up to t times, t = 1 .. T. Channel uses are means over
the noise (and over fades, where each packet has its own): in one and the same fade nearly every
packet needs the same number of transmissions, where fades differ the mean stands for a sum that
varies from picture to picture. When what is left in a fade does not bear all transmissions, all
packets of the layer are reckoned to have fewer.

Erasure coding. A layer of K packets and M parity packets arrives if any K of them do. Where packets
fail independently of each other, that is summed in closed form.

Loss above the physical layer. Independent losses are part of the closed form. Of models with memory
the sender reckons with as many runs drawn for planning alone, one to each fade where all
packets meet one: a burst that spoils a layer may be the one that spoiled the layer before it. A
layer has the losses of the place that it has if no layer before it has parity packets, and what
remains of its packets is taken to fail by their mean error rate. No retransmission answers such a
loss.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc

from channels.channel import Channel
from channels.erasure import MAX_BLOCK_PACKETS, parity_for, parity_sizes
from channels.link import NO_LOSS, LinkSetting, packet_cost
from channels.packet_loss import IidPacketLoss, PacketLoss
from channels.randomness import ChannelRandomness, derive_key
from channels.table_link import packet_error_rate
from testbed.sending.allocation import Offers, Values
from testbed.sending.packets import FLAG_BYTES, HEADER_BYTES, LayerLink

PLANNING_FADES = 400
RANKED_FADES = 4000
TABLE_WORDS = 600
"""Code blocks per point of the block error tables that plans are made with."""
SIZE_STEP_BYTES = 16
"""Packets are reckoned as long as the next multiple, so that pictures share error rates."""
_RANKING_SYMBOLS = 256


@dataclass(frozen=True, slots=True)
class Reckoning:
    """A picture's chances. `known`: the draws that it will meet, but for losses, for an oracle."""

    channel: Channel
    known: ChannelRandomness | None = None
    loss: PacketLoss = NO_LOSS
    """Above the physical layer, the same for all options."""
    cuttable: bool = False
    """Whether the leading packets of a layer are of use where others are missing."""

    @property
    def numbered(self) -> bool:
        """Whether a packet's fate depends on its number: an oracle's, with a fade for each."""
        return self.known is not None and fading_kind(self.channel) == "own"

    @property
    def weights(self) -> Values:
        """The probabilities of the fades, each with a run of losses where these have a memory."""
        together = self.known is None and fading_kind(self.channel) == "common"
        cases = PLANNING_FADES if together or _has_memory(self.loss) else 1
        return np.full(cases, 1 / cases)

    def offers(
        self,
        size: int,
        options: Sequence[LayerLink],
        max_bytes: int,
        *,
        first_packet: int,
        number: int,
    ) -> Offers:
        """Of a layer of `size` bytes under each of the options.

        first_packet: how many packets go before it without any parity packets. number: of its first
        packet, where fates depend on it. Raises ChannelError for links that tables cannot stand
        for.
        """
        most = max(link.setting.transmissions for link in options)
        schemes: dict[LayerLink, int] = {}
        for link in options:
            scheme = _sent_often(link, 1)
            schemes[scheme] = max(schemes.get(scheme, 0), link.setting.transmissions)
        found = {
            scheme: self._layer(size, _sent_often(scheme, times), max_bytes, first_packet, number)
            for scheme, times in schemes.items()
        }
        uses = np.empty((len(options), most, len(self.weights)))
        success, worth = np.empty_like(uses), np.empty_like(uses)
        packets = []
        for j, link in enumerate(options):
            at = np.minimum(np.arange(most), link.setting.transmissions - 1)
            each = found[_sent_often(link, 1)]
            uses[j], success[j], worth[j] = each[0][at], each[1][at], each[2][at]
            packets.append(each[3] if self.numbered else 0)
        return Offers(uses, success, worth, tuple(packets))

    def _layer(
        self, size: int, link: LayerLink, max_bytes: int, first_packet: int, number: int
    ) -> tuple[Values, Values, Values, int]:
        """Uses, success and worth, (T, G), and how many packets there are."""
        data, parity = packet_payloads(size, max_bytes, link.erasure_rate)
        payloads = data + parity
        if self.numbered:
            packets = [(payload, number + i, 1) for i, payload in enumerate(payloads)]
        else:
            packets = [(payload, 0, count) for payload, count in Counter(payloads).items()]
        fail: dict[tuple[int, int], Values] = {}
        arrive: list[Values] = []
        counts: Counter[tuple[int, int]] = Counter()
        uses = np.zeros((link.setting.transmissions, len(self.weights)))
        for payload, place, count in packets:
            length = HEADER_BYTES + payload
            rounded = -(-length // SIZE_STEP_BYTES) * SIZE_STEP_BYTES
            # Some codes carry no more than the longest packet that there is.
            key = (min(rounded, max(length, HEADER_BYTES + max_bytes)), place)
            rates = fail[key] = self._error_rates(key[0], link.setting, place)
            counts[key] += count
            arrive += [1 - rates] * count
            # It is sent again if it failed every time before.
            mean_times = 1 + np.cumsum(rates, 0) - rates
            uses += count * packet_cost(length, link.setting).channel_uses * mean_times
        success = chance_of_enough(
            len(data),
            [(1 - fail[key], count) for key, count in counts.items()],
            self.loss,
            first_packet,
        )
        success = np.broadcast_to(success, uses.shape)
        worth = success
        # With parity packets a layer is reckoned to be of use as a whole alone.
        if self.cuttable and not parity:
            worth = self._worth(payloads, arrive, first_packet, uses.shape)
        return uses, success, worth, len(payloads)

    def _worth(
        self, payloads: Sequence[int], arrive: Sequence[Values], first: int, shape: tuple[int, ...]
    ) -> Values:
        """The mean share of a layer's bytes before the first packet that is missing.

        arrive: of each packet, P(not failed in the physical layer), (T, fades).
        """
        kept = _kept(self.loss, first, len(payloads))
        before, found = np.ones(shape), np.zeros(shape)
        for payload, chance, keep in zip(payloads, arrive, kept, strict=True):
            before = before * chance * keep
            found += payload / sum(payloads) * before
        return found

    def _error_rates(self, packet_bytes: int, setting: LinkSetting, number: int) -> Values:
        """(T, G): after each transmission, in each fade."""
        plain = replace(setting, loss=NO_LOSS)
        if self.known is None:
            return _planning_error_rates(packet_bytes, plain)
        return _known_error_rates(packet_bytes, plain, self.known, number)


def packet_payloads(size: int, max_bytes: int, erasure_rate: float) -> tuple[list[int], list[int]]:
    """Bytes of a layer's packets as `packets.packetise` makes them: data and parity."""
    full, rest = divmod(size, max_bytes)
    data = [max_bytes] * full + [rest] * (rest > 0)
    parity = parity_for(len(data), erasure_rate) if data else 0
    return data, parity_sizes([FLAG_BYTES + n for n in data], parity) if parity else []


def chance_of_enough(
    needed: int, groups: Sequence[tuple[Values, int]], loss: PacketLoss, first_packet: int = 0
) -> Values:
    """P(at least `needed` of the packets arrive).

    groups: of packets alike, P(not failed in the physical layer), (..., fades), and how many they
    are. The answer has this shape, but for a loss model with memory (..., PLANNING_FADES), one fade
    or that of the same number with each of its runs.
    More than MAX_BLOCK_PACKETS packets are in blocks of their own, which are taken to be alike.
    """
    total = sum(count for _, count in groups)
    if isinstance(loss, IidPacketLoss):
        kept = 1 - loss.probability
        return _enough(needed, [(kept * chance, count) for chance, count in groups])
    lost = _loss_counts(loss, first_packet, total)
    mean: Values = np.sum([count * chance for chance, count in groups], axis=0) / total
    found = np.zeros((*mean.shape[:-1], PLANNING_FADES))
    for n in range(total - needed + 1):
        alike = lost == n
        if alike.any():
            chances = _enough(needed, groups if n == 0 else [(mean, total - n)])
            found[..., alike] = np.broadcast_to(chances, found.shape)[..., alike]
    return found


def _has_memory(loss: PacketLoss) -> bool:
    return not isinstance(loss, IidPacketLoss)


def _enough(needed: int, groups: Sequence[tuple[Values, int]]) -> Values:
    """P(at least `needed` of independent packets arrive), groups as in `chance_of_enough`."""
    total = sum(count for _, count in groups)
    if needed == total:
        return np.asarray(np.prod([chance**count for chance, count in groups], axis=0))
    blocks = -(-total // MAX_BLOCK_PACKETS)
    if blocks > 1:
        fewer = [(chance, -(-count // blocks)) for chance, count in groups]
        missing = (total - needed) // blocks
        return _enough(sum(count for _, count in fewer) - missing, fewer) ** blocks
    # The largest group in closed form, the number of arrivals of all others packet by packet.
    largest = max(range(len(groups)), key=lambda index: groups[index][1])
    chance, count = groups[largest]
    others = [np.ones_like(chance)]
    for index, (each, times) in enumerate(groups):
        for _ in range(times if index != largest else 0):
            none = np.zeros_like(each)
            others = [
                a * (1 - each) + b * each
                for a, b in zip([*others, none], [none, *others], strict=True)
            ]
    found = np.zeros_like(chance)
    for arrived, p in enumerate(others):
        missing = needed - arrived
        if missing <= count:
            some = bdtrc(missing - 1, count, chance) if missing > 0 else np.ones_like(chance)
            found += p * np.asarray(some)
    return found


@lru_cache(maxsize=64)
def fading_kind(channel: Channel) -> Literal["none", "common", "own"]:
    """Whether every packet meets the same ("none"), all packets of a picture meet one fade that
    another picture does not ("common"), or packets meet fades of their own ("own").
    """
    noise = np.array(
        [
            [np.mean(channel.noise_powers(64, 1.0, _draws(draw), n)) for n in (0, 1)]
            for draw in range(8)
        ]
    )
    if np.allclose(noise, noise[0, 0], rtol=1e-9):
        return "none"
    return "common" if np.allclose(noise[:, 0], noise[:, 1], rtol=1e-9) else "own"


@lru_cache(maxsize=RANKED_FADES)
def _draws(draw: int) -> ChannelRandomness:
    return ChannelRandomness(derive_key("planning", draw))


@lru_cache(maxsize=64)
def _planning_draws(channel: Channel, no: float) -> tuple[int, ...]:
    """Numbers of the draws that plans are made with."""
    kind = fading_kind(channel)
    if kind == "none":
        return (0,)
    if kind == "own":
        return tuple(range(PLANNING_FADES))
    capacity = [
        np.mean(np.log2(1 + 1 / channel.noise_powers(_RANKING_SYMBOLS, no, _draws(draw), 0)))
        for draw in range(RANKED_FADES)
    ]
    places = (2 * np.arange(PLANNING_FADES) + 1) * RANKED_FADES // (2 * PLANNING_FADES)
    return tuple(np.argsort(capacity, kind="stable")[places].tolist())


@lru_cache(maxsize=4096)
def _planning_error_rates(packet_bytes: int, setting: LinkSetting) -> Values:
    draws = _planning_draws(setting.channel, setting.no)
    rates = np.array([_rates(packet_bytes, setting, _draws(draw), 0) for draw in draws]).T
    if fading_kind(setting.channel) == "own":
        rates = rates.mean(1, keepdims=True)
    rates = np.ascontiguousarray(rates)
    rates.setflags(write=False)
    return rates


@lru_cache(maxsize=4096)
def _known_error_rates(
    packet_bytes: int, setting: LinkSetting, known: ChannelRandomness, number: int
) -> Values:
    rates = np.array(_rates(packet_bytes, setting, known, number))[:, None]
    rates.setflags(write=False)
    return rates


def _rates(
    packet_bytes: int, setting: LinkSetting, randomness: ChannelRandomness, number: int
) -> list[float]:
    """After each transmission."""
    return [
        packet_error_rate(
            packet_bytes, replace(setting, transmissions=times), randomness, number, TABLE_WORDS
        )
        for times in range(1, setting.transmissions + 1)
    ]


def _sent_often(link: LayerLink, transmissions: int) -> LayerLink:
    return replace(link, setting=replace(link.setting, transmissions=transmissions))


def _kept(loss: PacketLoss, first: int, count: int) -> Sequence[Values]:
    """Of each of the packets from `first` on, P(not lost), in all runs or each of them."""
    if isinstance(loss, IidPacketLoss):
        return [np.array(1.0 - loss.probability)] * count
    return [np.asarray(~lost, float) for lost in _losses(loss, first, count).T]


def _loss_counts(loss: PacketLoss, first: int, count: int) -> NDArray[np.int64]:
    """How many of the packets from `first` on are lost in each run."""
    return np.asarray(_losses(loss, first, count).sum(1))


def _losses(loss: PacketLoss, first: int, count: int) -> NDArray[np.bool_]:
    """bool (runs, count): which of the packets from `first` on are lost."""
    runs = _loss_patterns(loss, 1 << (first + count - 1).bit_length(), PLANNING_FADES)
    return runs[:, first : first + count]


@lru_cache(maxsize=32)
def _loss_patterns(loss: PacketLoss, count: int, runs: int) -> NDArray[np.bool_]:
    return np.array([loss.losses(0, count, _draws(draw)) for draw in range(runs)])
