"""How many codewords the LDPC decoder loses, beside Sionna's sum-product decoder on the same LLRs.

Offset min-sum approximates the sum-product rule that Sionna's default decoder computes exactly. The
measure of what that costs is the Es/N0 at which one block in a hundred is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from channels.ldpc_decoder import DEFAULT_ITERATIONS, decode_ldpc
from channels.ldpc_encoder import encode_ldpc
from channels.ldpc_graph import ldpc_graph
from channels.modulation import demodulate, modulate
from channels.randomness import ChannelRandomness, derive_key
from channels.snr import noise_power

#: Codewords that Sionna decodes at a time, to bound its memory.
_BATCH_BITS = 1_000_000


@dataclass(frozen=True)
class BlockErrorPoint:
    """One point of two curves, over QPSK and AWGN.

    Attributes:
        esn0_db: Es/N0 per complex symbol, in dB.
        words: codewords decoded by each decoder.
        block_errors: of ours, layered offset min-sum.
        sionna_block_errors: of Sionna's boxplus-phi, flooding.
    """

    esn0_db: float
    words: int
    block_errors: int
    sionna_block_errors: int


def ldpc_quality(
    k: int,
    code_rate: float,
    esn0_db: Sequence[float],
    words: int = 500,
    iterations: int = DEFAULT_ITERATIONS,
    seed: int = 0,
) -> list[BlockErrorPoint]:
    """Block errors of both decoders over QPSK and AWGN; the same words and noise at every SNR.

    Args:
        k: information bits per codeword, 12 .. 8448.
        code_rate: k / n, as nearly as whole symbols allow; 0.2 .. 0.95.
        esn0_db: Es/N0 of each point, in dB.
        words: codewords per point.
        iterations: of either decoder.
        seed: of the information bits and of the noise.

    Returns:
        One point for each of `esn0_db`.

    Raises:
        ChannelError: sizes that no code has.
    """
    import torch
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    n = round(k / code_rate / 2) * 2
    graph = ldpc_graph(k, n, 2)
    reference = LDPC5GDecoder(LDPC5GEncoder(k, n, 2), num_iter=iterations)
    randomness = ChannelRandomness(derive_key("ldpc_quality", seed, k, n))
    bits = randomness.generator("bits", 0).integers(0, 2, (words, k), np.uint8)
    symbols = modulate(encode_ldpc(bits, graph).reshape(-1), "qpsk")
    noise = randomness.noise(0, len(symbols))
    batch = max(1, _BATCH_BITS // n)

    def errors(decided: NDArray[np.generic]) -> int:
        return int(np.any(decided != bits, axis=1).sum())

    points = []
    for snr_db in esn0_db:
        no = noise_power(snr_db)
        llr = demodulate(symbols + np.sqrt(no) * noise, no, "qpsk").reshape(words, n)
        with torch.inference_mode():
            parts = [
                reference(torch.from_numpy(llr[first : first + batch])).numpy()
                for first in range(0, words, batch)
            ]
        ours, _ = decode_ldpc(llr, graph, iterations)
        points.append(BlockErrorPoint(snr_db, words, errors(ours), errors(np.concatenate(parts))))
    return points


def esn0_db_at(
    error_rate: float, esn0_db: Sequence[float], error_rates: Sequence[float]
) -> float | None:
    """Where a falling curve of error rates crosses one of them, log-linear between its points.

    Args:
        error_rate: greater than 0.
        esn0_db: Es/N0 of the points, ascending, in dB.
        error_rates: of the points.

    Returns:
        Es/N0 in dB at the first crossing; None if no two neighbouring points enclose it, the
        second being greater than 0.
    """
    for i in range(len(esn0_db) - 1):
        before, after = error_rates[i], error_rates[i + 1]
        if before >= error_rate > after > 0:
            share = np.log(before / error_rate) / np.log(before / after)
            return float(esn0_db[i] + share * (esn0_db[i + 1] - esn0_db[i]))
    return None
