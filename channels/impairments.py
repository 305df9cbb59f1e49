"""White noise, and oscillators that do not agree.

    y_n  =  exp(j phi_n) x_n  +  sqrt(no) w_n,      w circular complex normal of variance 1
    phi_n  =  2 pi cfo n  +  d_1 + .. + d_n,        d normal, standard deviation phase_noise_deg

The phase is right at the start of every packet, as after a preamble, and runs away from there: a
carrier frequency offset that was left over, and a Wiener process, the phase noise of a free-running
oscillator (A. Demir, A. Mehrotra, J. Roychowdhury, "Phase noise in oscillators: a unifying theory
and numerical methods for characterization", IEEE Trans. Circuits Syst. I 47(5), 2000). The receiver
knows of none of this: it takes y as it is, with noise power no.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.channel import (
    REMEMBERED_FADES,
    Channel,
    ErrorKind,
    SnrMeter,
    check_range,
    register_channel,
)
from channels.mismatch import turn_shares, turned_noise_powers, turned_snrs_db
from channels.randomness import ChannelRandomness

#: Up to this, what turns take from a packet depends little on which of its bits they meet.
MOST_TOLD_PHASE_NOISE_DEG = 2.0


@register_channel("impaired")
@dataclass(frozen=True)
class Impaired(Channel):
    """Additive white Gaussian noise with a carrier frequency offset and phase noise.

    Without either it is `Awgn`, draw for draw. Since the receiver is unaware, the noise power that
    it reports is that of the noise alone; with an impairment the true error is larger, and what is
    left of a packet is that of `channels.mismatch`.

    Attributes:
        cfo: carrier frequency offset over symbol rate, -0.5 .. 0.5.
        phase_noise_deg: standard deviation of the phase's step from symbol to symbol, in degrees,
            0 .. 180.
        mean_phase_known: whether a genie turns each packet back by its mean phase, the angle of
            the mean of exp(j phi_n).

    Raises:
        ChannelError: a value outside these.
    """

    cfo: float = 0.0
    phase_noise_deg: float = 0.0
    mean_phase_known: bool = False

    def __post_init__(self) -> None:
        check_range("cfo", self.cfo, -0.5, 0.5)
        check_range("phase_noise_deg", self.phase_noise_deg, 0.0, 180.0)

    def rotation(
        self, randomness: ChannelRandomness, packet: int, n: int
    ) -> NDArray[np.complex128]:
        """exp(j phi) of a packet's first n symbols, as the receiver is left with it."""
        rotation: NDArray[np.complex128] = np.exp(1j * self._phase(randomness, packet, n))
        return rotation

    def turns(self, randomness: ChannelRandomness, packet: int, n: int) -> NDArray[np.float64]:
        """The angles of `rotation`, float64[n], -pi .. pi."""
        phase = self._phase(randomness, packet, n)
        phase -= 2.0 * np.pi * np.rint(phase / (2.0 * np.pi))
        return phase

    def _phase(self, randomness: ChannelRandomness, packet: int, n: int) -> NDArray[np.float64]:
        phase = 2.0 * np.pi * (self.cfo * np.arange(n) % 1.0)
        if self.phase_noise_deg > 0.0 and n > 1:
            steps = randomness.generator("phase noise", packet).standard_normal(n - 1)
            phase[1:] += np.deg2rad(self.phase_noise_deg) * np.cumsum(steps)
        if self.mean_phase_known and n:
            phase -= np.arctan2(np.sin(phase).mean(), np.cos(phase).mean())
        return np.asarray(phase)

    def transmit(
        self,
        symbols: NDArray[np.complex128],
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
        """See `Channel.transmit`."""
        n = len(symbols)
        received = randomness.noise(packet, n)
        received *= np.sqrt(no)
        # The genie's turn leaves the noise's distribution as it is: it need not be turned.
        received += self.rotation(randomness, packet, n) * symbols
        return received, np.full(n, no)

    def errors_are(self) -> ErrorKind:
        """See `Channel.errors_are`."""
        return "white" if self.cfo == 0.0 and self.phase_noise_deg == 0.0 else "untold"

    def power_gain(
        self,
        randomness: ChannelRandomness,  # noqa: ARG002
        packet: int,  # noqa: ARG002
    ) -> float:
        """See `Channel.power_gain`."""
        return 1.0

    def noise_powers(
        self,
        symbols: int,  # noqa: ARG002
        no: float,
        randomness: ChannelRandomness,  # noqa: ARG002
        packet: int,  # noqa: ARG002
    ) -> float:
        """See `Channel.noise_powers`."""
        return float(no)

    def effective_noise(
        self,
        modulation: str,
        symbols: int,
        no: float,
        randomness: ChannelRandomness,
        packet: int,
    ) -> NDArray[np.float64] | float:
        """See `Channel.effective_noise`."""
        if self.cfo == 0.0 and self.phase_noise_deg == 0.0:
            return float(no)
        return turned_noise_powers(self.turns(randomness, packet, symbols), modulation, no)

    def snr_meter(self, modulation: str, symbols: int, blocks: int, no: float) -> SnrMeter | None:
        """See `Channel.snr_meter`."""
        if self.cfo == 0.0 and self.phase_noise_deg == 0.0:
            return None
        if self.phase_noise_deg == 0.0:
            # All packets turn alike.
            turns = self.turns(ChannelRandomness(0), 0, symbols)
            snrs_db = turned_snrs_db(turn_shares(turns, blocks), modulation, no)
            snrs_db.setflags(write=False)
            return lambda randomness, packet: snrs_db  # noqa: ARG005

        def measure(randomness: ChannelRandomness, packet: int) -> NDArray[np.float64]:
            shares = _turn_shares(self, symbols, blocks, randomness, packet)
            return turned_snrs_db(shares, modulation, no)

        return measure

    def untold(self) -> str | None:
        """See `Channel.untold`: beyond it, tables are too good by .5 dB and more."""
        if self.phase_noise_deg > MOST_TOLD_PHASE_NOISE_DEG:
            return f"phase noise above {MOST_TOLD_PHASE_NOISE_DEG:g} degrees a symbol"
        return None


@lru_cache(maxsize=REMEMBERED_FADES)
def _turn_shares(
    channel: Impaired, symbols: int, blocks: int, randomness: ChannelRandomness, packet: int
) -> NDArray[np.float64]:
    """Remembered, as all SNRs of a sweep meet the same turns."""
    return turn_shares(channel.turns(randomness, packet, symbols), blocks)
