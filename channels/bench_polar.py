"""Polar codes beside LDPC at equal payload, CRC and sent bits, and beside Sionna's list decoder.

The gain is in dB at 1 % block errors for short payloads, over QPSK and AWGN, each code with its own
decoder of the link; the decoding speed is against Sionna's on the same LLRs.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from channels.block_errors import BlockErrorTable, build_table
from channels.crc import append_crc
from channels.modulation import demodulate, modulate
from channels.polar_block import POLAR_CRC
from channels.polar_code import PolarCode, encode_polar, polar_code
from channels.polar_decoder import DEFAULT_LIST_SIZE, decode_polar
from channels.randomness import ChannelRandomness, derive_key
from channels.snr import noise_power

ERROR_RATE = 0.01
DEFAULT_WORDS = 6000
PAYLOADS = (40, 80, 120, 160, 200, 240, 256, 280, 320, 400)
CODE_RATES = (1 / 3, 1 / 2, 3 / 4)
SPEED_SIZES = ((80, 160, 3.0), (144, 288, 2.5), (256, 512, 1.8), (512, 1024, 1.5))
"""k, n and Es/N0 in dB of QPSK, each near 1 % block errors."""


@dataclass(frozen=True)
class PolarGain:
    """Es/N0 in dB at which each code loses one block in a hundred.

    With `DEFAULT_WORDS` the sampling error of either is about 0.04 dB.

    Attributes:
        payload_bits: CRC16 not counted.
        code_rate: CRC counted.
        ldpc_db: of LDPC.
        polar_db: of the polar code.
    """

    payload_bits: int
    code_rate: float
    ldpc_db: float
    polar_db: float

    @property
    def gain_db(self) -> float:
        """How much less the polar code needs."""
        return self.ldpc_db - self.polar_db


def polar_gain(
    payload_bits: int, code_rate: float, words: int = DEFAULT_WORDS, modulation: str = "qpsk"
) -> PolarGain:
    """Measure both codes with at most `words` blocks at each SNR.

    Raises:
        ChannelError: a payload or a code rate that one of the codes does not have.
    """
    ldpc, polar = (
        _snr_db_at(build_table(modulation, code_rate, payload_bits, words, code=code))
        for code in ("ldpc", "polar")
    )
    return PolarGain(payload_bits, code_rate, ldpc, polar)


def _snr_db_at(table: BlockErrorTable) -> float:
    deviates = [table.deviate(snr_db) for snr_db in table.snr_db]
    return float(np.interp(-ndtri(ERROR_RATE), deviates, table.snr_db))


@dataclass(frozen=True)
class PolarSpeed:
    """Decoding with a list of 8 on one core; speeds are information bits, CRC included.

    Attributes:
        k: information bits.
        n: sent bits.
        ours_mbit_s: of `decode_polar`.
        sionna_mbit_s: of Sionna's `PolarSCLDecoder`.
        block_errors: of ours, among `words`.
        sionna_block_errors: among the same words.
        words: how many.
    """

    k: int
    n: int
    ours_mbit_s: float
    sionna_mbit_s: float
    block_errors: int
    sionna_block_errors: int
    words: int

    @property
    def ratio(self) -> float:
        """How many times as fast as Sionna's."""
        return self.ours_mbit_s / self.sionna_mbit_s


def polar_speed(k: int, n: int, esn0_db: float, words: int = 200) -> PolarSpeed:
    """Time both decoders on the same words, QPSK over AWGN, one thread each.

    Raises:
        ChannelError: sizes that no polar code has.
    """
    code = polar_code(k, n)
    bits, llr = polar_words(code, esn0_db, words)
    sionna = sionna_decoder(code)
    decode_polar(llr[:1], code)
    sionna(llr)
    ours_s, decided = _timed(lambda: decode_polar(llr, code)[0])
    sionna_s, sionna_decided = _timed(lambda: sionna(llr))
    return PolarSpeed(
        k,
        n,
        k * words / ours_s / 1e6,
        k * words / sionna_s / 1e6,
        int((decided != bits).any(axis=1).sum()),
        int((sionna_decided != bits).any(axis=1).sum()),
        words,
    )


def polar_words(
    code: PolarCode, esn0_db: float, words: int, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Random information bits with their CRC16, uint8[words, k], and LLRs, float32[words, n].

    `code`: with an even n, for QPSK.
    """
    randomness = ChannelRandomness(derive_key("polar words", seed, code.k, code.n))
    payload = randomness.generator("bits", 0).integers(0, 2, (words, code.k - 16), np.uint8)
    bits = np.stack([append_crc(word, POLAR_CRC) for word in payload])
    symbols = modulate(encode_polar(bits, code).reshape(-1), "qpsk")
    no = noise_power(esn0_db)
    received = symbols + np.sqrt(no) * randomness.noise(0, len(symbols))
    return bits, demodulate(received, no, "qpsk").reshape(words, code.n)


def sionna_decoder(
    code: PolarCode, list_size: int = DEFAULT_LIST_SIZE
) -> Callable[[NDArray[np.float32]], NDArray[np.uint8]]:
    """Sionna's CRC-aided list decoder of the same code, behind this project's rate recovery."""
    import torch
    from sionna.phy.fec.polar import PolarSCLDecoder

    frozen = np.setdiff1d(np.arange(code.mother_bits), code.information)
    decoder = PolarSCLDecoder(
        frozen, code.mother_bits, list_size=list_size, crc_degree="CRC16", precision="single"
    )

    def decode(llr: NDArray[np.float32]) -> NDArray[np.uint8]:
        mother = np.zeros((len(llr), code.mother_bits), np.float32)
        np.add.at(mother.T, code.sent, llr.T)
        mother[:, code.known_zeros] = -100.0
        with torch.inference_mode():
            return np.asarray(decoder(torch.from_numpy(mother)).numpy(), np.uint8)

    return decode


def _timed(decode: Callable[[], NDArray[np.uint8]]) -> tuple[float, NDArray[np.uint8]]:
    # Of the processor, not of the clock: other work on the machine does not count.
    begin = time.process_time()
    decided = decode()
    return time.process_time() - begin, decided
