"""How fast the demapper is, for each modulation and method."""

from dataclasses import dataclass
from typing import get_args

import numpy as np

from channels.bench import seconds_per_run
from channels.modulation import BITS_PER_SYMBOL, DemappingMethod, demodulate, modulate
from channels.mutual_information import snr_db_of_information
from channels.randomness import ChannelRandomness, derive_key
from channels.snr import noise_power

#: Mutual information per coded bit at the SNR of the measurement: that of a code of rate 3/4.
INFORMATION = 0.75


@dataclass(frozen=True)
class DemapperSpeed:
    """Coded Mbit/s on one core.

    Attributes:
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.
        snr_db: Es/N0 per complex symbol, in dB.
        coded_mbit_s: by method, "app" and "maxlog".
    """

    modulation: str
    snr_db: float
    coded_mbit_s: dict[DemappingMethod, float]


def bench_demapper(symbols: int = 10_000, seed: int = 0) -> list[DemapperSpeed]:
    """Demap random symbols received over AWGN, where a coded bit tells `INFORMATION` of a bit."""
    speeds = []
    for modulation, m in BITS_PER_SYMBOL.items():
        snr_db = snr_db_of_information(INFORMATION, modulation)
        no = noise_power(snr_db)
        randomness = ChannelRandomness(derive_key("bench_demapper", seed))
        bits = randomness.generator("bits", m).integers(0, 2, symbols * m, np.uint8)
        noise = np.sqrt(no) * randomness.noise(m, symbols)
        received = modulate(bits, modulation) + noise
        by_method: dict[DemappingMethod, float] = {}
        for method in get_args(DemappingMethod):
            seconds = seconds_per_run(lambda: demodulate(received, no, modulation, method))  # noqa: B023
            by_method[method] = len(bits) / seconds / 1e6
        speeds.append(DemapperSpeed(modulation, snr_db, by_method))
    return speeds
