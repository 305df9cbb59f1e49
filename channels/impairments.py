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

import numpy as np
from numpy.typing import NDArray

from channels.channel import Channel, check_range, register_channel
from channels.randomness import ChannelRandomness


@register_channel("impaired")
@dataclass(frozen=True)
class Impaired(Channel):
    """Additive white Gaussian noise with a carrier frequency offset and phase noise.

    Without either it is `Awgn`, draw for draw. Since the receiver is unaware, the noise power that
    it reports is that of the noise alone; with an impairment the true error is larger.

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
        phase = 2.0 * np.pi * (self.cfo * np.arange(n) % 1.0)
        if self.phase_noise_deg > 0.0 and n > 1:
            steps = randomness.generator("phase noise", packet).standard_normal(n - 1)
            phase[1:] += np.deg2rad(self.phase_noise_deg) * np.cumsum(steps)
        rotation: NDArray[np.complex128] = np.exp(1j * phase)
        if self.mean_phase_known and n:
            rotation *= np.exp(-1j * np.angle(rotation.mean()))
        return rotation

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
