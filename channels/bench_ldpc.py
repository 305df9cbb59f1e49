"""How fast the LDPC decoder is beside Sionna's, on the same LLRs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from channels.bench import seconds_per_run
from channels.bench_ldpc_quality import QualityBench
from channels.ldpc_decoder import DEFAULT_ITERATIONS, decode_ldpc


@dataclass(frozen=True)
class DecoderSpeed:
    """One decoder on one core.

    Attributes:
        decoder: its name.
        words: codewords decoded.
        block_errors: codewords with a wrong information bit.
        info_mbit_s: information bits per microsecond.
    """

    decoder: str
    words: int
    block_errors: int
    info_mbit_s: float


def bench_ldpc(
    k: int,
    code_rate: float,
    esn0_db: float,
    words: int,
    sionna_words: int,
    iterations: int = DEFAULT_ITERATIONS,
    seed: int = 0,
) -> list[DecoderSpeed]:
    """Decode words received over QPSK and AWGN, each decoder with one thread.

    Args:
        k: information bits per codeword, 12 .. 8448.
        code_rate: k / n, as nearly as whole symbols allow.
        esn0_db: Es/N0 per complex symbol, in dB.
        words: codewords for our decoder.
        sionna_words: so many of them, the first ones, for Sionna's, which take their time.
        iterations: at most; only ours stops early.
        seed: of the information bits and of the noise.

    Returns:
        Ours (layered offset min-sum), Sionna's default (boxplus-phi, flooding), and Sionna's
        layered offset min-sum.

    Raises:
        ChannelError: sizes that no code has, or no words.
    """
    import torch
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    bench = QualityBench(k, code_rate, words, iterations, seed)
    bits, llr = bench.receive(range(words), esn0_db)

    def measure(
        name: str, words: int, decode: Callable[[NDArray[np.float32]], NDArray[np.generic]]
    ) -> DecoderSpeed:
        wrong = np.empty(0, np.bool_)

        def run() -> None:
            nonlocal wrong
            wrong = (decode(llr[:words]) != bits[:words]).any(axis=1)

        seconds = seconds_per_run(run)
        return DecoderSpeed(name, words, int(wrong.sum()), words * k / seconds / 1e6)

    encoder = LDPC5GEncoder(k, bench.n, 2)
    default = LDPC5GDecoder(encoder, num_iter=iterations)
    layered = LDPC5GDecoder(
        encoder, cn_update="offset-minsum", cn_schedule="layered", num_iter=iterations
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            return [
                measure(
                    "ours, layered offset min-sum",
                    words,
                    lambda llr: decode_ldpc(llr, bench.graph, iterations)[0],
                ),
                measure(
                    "Sionna, boxplus-phi, flooding",
                    sionna_words,
                    lambda llr: default(torch.from_numpy(llr)).numpy(),
                ),
                measure(
                    "Sionna, layered offset min-sum",
                    sionna_words,
                    lambda llr: layered(torch.from_numpy(llr)).numpy(),
                ),
            ]
    finally:
        torch.set_num_threads(threads)
