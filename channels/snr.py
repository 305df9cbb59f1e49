"""One signal-to-noise ratio in its several guises.

Es/N0 is the mean received energy of one complex channel use over the noise power of that use, both
dimensions together. The transmit power is 1, so the noise power is `no` = 1 / (Es/N0), half of it
in the real part and half in the imaginary part. Eb/N0 shares the energy out among the information
bits: Es/N0 = Eb/N0 * code rate * bits per symbol.
"""

import math


def noise_power(esn0_db: float) -> float:
    """Noise power `no` per complex channel use at unit transmit power."""
    return float(10.0 ** (-esn0_db / 10.0))


def esn0_db_from_ebn0_db(ebn0_db: float, code_rate: float, bits_per_symbol: int) -> float:
    """Es/N0 in dB of an Eb/N0 in dB; `code_rate` is 1 without coding."""
    return ebn0_db + 10.0 * math.log10(code_rate * bits_per_symbol)


def ebn0_db_from_esn0_db(esn0_db: float, code_rate: float, bits_per_symbol: int) -> float:
    """Eb/N0 in dB of an Es/N0 in dB; `code_rate` is 1 without coding."""
    return esn0_db - 10.0 * math.log10(code_rate * bits_per_symbol)
