"""Two streams of symbols at once over two transmit antennas, parted again by the receiver.

    y  =  G x  +  sqrt(no) w,      G = H / sqrt(2) = [g1 g2]

with x the two symbols of a channel use, half the transmit power each, w circular complex normal of
unit power at every receive antenna, and H known to the receiver. With a = |g1|^2, b = |g2|^2,
c = g1* g2, the matched filter z = G* y and a load l, the first stream is

    x1^  =  ((b + l) z1 - c z2) / (a (b + l) - |c|^2),      noise power  no (b + l) / (the same)

and the second likewise. A load of no is the linear receiver of least mean squared error (LMMSE)
made unbiased: x1^ = x1 + error, and its noise power counts what is left of the other stream as
well. A load of 0 forces the other stream to zero (ZF). The formulas are those of D. Tse,
P. Viswanath, "Fundamentals of Wireless Communication", 2005, section 8.3.3, for two streams.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from channels.channel import (
    REMEMBERED_FADES,
    SnrMeter,
    check_choice,
    check_range,
    register_channel,
)
from channels.diversity import antenna_noise, in_pairs
from channels.gains import FadingChannel
from channels.kernels import kernel
from channels.mutual_information import (
    LOWEST_DB,
    STEP_DB,
    information_by_noise,
    information_curve,
    mean_information_from_table,
    snr_db_from_table,
)
from channels.randomness import ChannelRandomness

Detector = Literal["lmmse", "zf"]
#: Samples of two noise powers, one after the other: even in any of a few code blocks.
_PAIRED_SAMPLES = 256


@register_channel("spatial_multiplexing")
@dataclass(frozen=True, kw_only=True)
class SpatialMultiplexing(FadingChannel):
    """Two symbols per channel use over Rayleigh fading, two transmit antennas.

    Symbols with even numbers go to the first antenna, the others to the second; an odd number is
    filled up with a known symbol, which is charged. 1 / no is the mean Es/N0 at a receive antenna,
    both streams together.

    Attributes:
        receive_antennas: 2 .. 8.
        detector: "lmmse" or "zf".
        correlation: of the gains from one transmit antenna to neighbouring receive antennas,
            E[h_i conj(h_j)] = correlation^|i - j|; 0 .. 0.99.

    Raises:
        ChannelError: a value outside these; see also `FadingChannel`.
    """

    receive_antennas: int = 2
    detector: Detector = "lmmse"
    correlation: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("receive_antennas", self.receive_antennas, 2, 8)
        check_choice("detector", self.detector, get_args(Detector))
        check_range("correlation", self.correlation, 0.0, 0.99)

    def fade(self, scattered: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """See `FadingChannel.fade`; an exponential correlation among the first axis's antennas."""
        if self.correlation == 0.0:
            return scattered
        antenna = np.arange(self.receive_antennas)
        covariance = self.correlation ** np.abs(antenna[:, np.newaxis] - antenna)
        correlated = np.einsum("ij,jtk->itk", np.linalg.cholesky(covariance), scattered)
        return np.asarray(correlated, np.complex128)

    def uses(self, symbols: int) -> int:
        """See `Channel.uses`: half as many, rounded up."""
        return -(-symbols // 2)

    def symbols_within(self, uses: int) -> int:
        """See `Channel.symbols_within`."""
        return 2 * uses

    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """See `Channel.transmit`."""
        n, uses = len(symbols), self.uses(len(symbols))
        g1, g2 = self._stream_gains(uses, 1, randomness, packet)
        x1, x2 = in_pairs(symbols)
        noise = antenna_noise(randomness, packet, self.receive_antennas, uses)
        received = g1 * x1 + g2 * x2 + np.sqrt(no) * noise
        parted, noise_power = part_streams(received, g1, g2, no, self._load(no))
        return parted.T.reshape(-1)[:n].copy(), _in_order(noise_power, n)

    def noise_powers(
        self, symbols: int, no: float, randomness: ChannelRandomness, packet: int
    ) -> NDArray[np.float64]:
        """See `Channel.noise_powers`."""
        powers = self._powers(self.uses(symbols), 1, randomness, packet)
        return _noise_in_order(powers, no, self._load(no), symbols)

    def effective_noise(
        self,
        modulation: str,  # noqa: ARG002
        symbols: int,
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> NDArray[np.float64]:
        """See `Channel.effective_noise`."""
        powers = _remembered_powers(self, self.uses(symbols), randomness, packet)
        return _noise_in_order(powers, no, self._load(no), self._samples(symbols, powers))

    def snr_meter(self, modulation: str, symbols: int, blocks: int, no: float) -> SnrMeter:
        """See `Channel.snr_meter`."""
        uses, load = self.uses(symbols), self._load(no)
        table = information_by_noise(modulation)
        curve = information_curve(modulation).information
        # Streams that hold for the packet tell each code block the same.
        parts = blocks if self.variation != "block" else 1

        def measure(randomness: ChannelRandomness, packet: int) -> NDArray[np.float64]:
            powers = _remembered_powers(self, uses, randomness, packet)
            out = np.empty(parts)
            samples = self._samples(symbols, powers)
            _effective_snrs_db(powers, no, load, samples, table, curve, out)
            return out if parts == blocks else np.repeat(out, blocks)

        return measure

    def _samples(self, symbols: int, powers: NDArray[np.float64]) -> int:
        """Noise powers that stand for all of a packet's."""
        # A pair of streams that holds for the packet has to come often enough to be spread evenly.
        shown = 2 * powers.shape[1] if self.variation != "block" else _PAIRED_SAMPLES
        return min(symbols, shown)

    def _powers(
        self, uses: int, every: int, randomness: ChannelRandomness, packet: int
    ) -> NDArray[np.float64]:
        """a, b and |c|^2 of one in `every` of a packet's channel uses, float64[3, n]."""
        g1, g2 = self._stream_gains(-(-uses // every), every, randomness, packet)
        c = np.sum(g1.conj() * g2, axis=0)
        return np.stack(
            [np.sum(g.real**2 + g.imag**2, axis=0) for g in (g1, g2)] + [c.real**2 + c.imag**2]
        )

    def _stream_gains(
        self, count: int, every: int, randomness: ChannelRandomness, packet: int
    ) -> NDArray[np.complex128]:
        """complex128[2, receive, count or 1], half the transmit power each."""
        gains = self.gains(
            randomness,
            packet,
            receive=self.receive_antennas,
            transmit=2,
            count=count,
            uses_each=every,
        )
        return np.asarray(gains.transpose(1, 0, 2) * np.sqrt(0.5))

    def _load(self, no: float) -> float:
        return no if self.detector == "lmmse" else 0.0


@lru_cache(maxsize=REMEMBERED_FADES)
def _remembered_powers(
    channel: SpatialMultiplexing, uses: int, randomness: ChannelRandomness, packet: int
) -> NDArray[np.float64]:
    """Of samples spread evenly; remembered, as all SNRs of a sweep meet the same fades."""
    powers = channel._powers(uses, channel.sparse_uses(uses), randomness, packet)
    powers.setflags(write=False)
    return powers


@kernel
def _noise_in_order(
    powers: NDArray[np.float64], no: float, load: float, samples: int
) -> NDArray[np.float64]:
    """Noise powers of both streams in turn, float64[samples]; see `part_streams`.

    If those of `powers`[3, n] are too few, they come again.
    """
    uses = -(-samples // 2)
    noise = np.empty(2 * uses)
    for use in range(uses):
        place = use if use < powers.shape[1] else use % powers.shape[1]
        a, b, overlap = powers[0, place], powers[1, place], powers[2, place]
        noise[2 * use] = no * (b + load) / (a * (b + load) - overlap)
        noise[2 * use + 1] = no * (a + load) / ((a + load) * b - overlap)
    return noise[:samples]


@kernel
def _effective_snrs_db(
    powers: NDArray[np.float64],
    no: float,
    load: float,
    samples: int,
    table: NDArray[np.float64],
    curve: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    mean_information_from_table(_noise_in_order(powers, no, load, samples), table, out)
    for block in range(len(out)):
        out[block] = snr_db_from_table(out[block], curve, LOWEST_DB, STEP_DB)


def _in_order(streams: NDArray[np.float64], symbols: int) -> NDArray[np.float64]:
    """Noise powers float64[2, uses or 1] as those of the first `symbols`, one after another."""
    uses = -(-symbols // 2)
    return np.broadcast_to(streams, (2, uses)).T.reshape(-1)[:symbols].copy()


def part_streams(
    received: NDArray[np.complex128],
    g1: NDArray[np.complex128],
    g2: NDArray[np.complex128],
    no: float,
    load: float,
) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """The linear receiver above.

    Args:
        received: complex128[receive, uses].
        g1: gains of the first stream, complex128[receive, uses] or [receive, 1].
        g2: those of the second.
        no: noise power at each receive antenna.
        load: `no` for LMMSE, 0 for ZF.

    Returns:
        complex128[2, uses], the streams' symbols, and float64[2, uses] or [2, 1] as the gains
        are, their noise powers.
    """
    a = np.sum(np.abs(g1) ** 2, axis=0)
    b = np.sum(np.abs(g2) ** 2, axis=0)
    c = np.sum(g1.conj() * g2, axis=0)
    z1 = np.sum(g1.conj() * received, axis=0)
    z2 = np.sum(g2.conj() * received, axis=0)
    overlap = np.abs(c) ** 2
    first = a * (b + load) - overlap
    second = (a + load) * b - overlap
    streams = np.stack(
        [((b + load) * z1 - c * z2) / first, ((a + load) * z2 - c.conj() * z1) / second]
    )
    return streams, no * np.stack([(b + load) / first, (a + load) / second])
