"""How fast the LDPC decoder is, and how well it decodes, beside Sionna's on the same LLRs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from channels.fading import Awgn
from channels.ldpc_decoder import DEFAULT_ITERATIONS, decode_ldpc
from channels.ldpc_encoder import encode_ldpc
from channels.ldpc_graph import ldpc_graph
from channels.modulation import bits_per_symbol, demodulate, modulate
from channels.randomness import ChannelRandomness, derive_key
from channels.snr import esn0_db_from_ebn0_db, noise_power

Result = TypeVar("Result")


@dataclass(frozen=True)
class LdpcBench:
    """One run of `bench_ldpc`; speeds are information Mbit/s on one core.

    Attributes:
        k: information bits per codeword.
        n: sent bits per codeword.
        modulation: name of the QAM.
        ebn0_db: Eb/N0 in dB at the actual rate k / n.
        words: codewords decoded by each decoder.
        iterations: at most, for each decoder; only ours stops early.
        ours_mbit_s: our layered offset min-sum.
        sionna_default_mbit_s: Sionna's boxplus-phi, flooding.
        sionna_layered_mbit_s: Sionna's offset min-sum, layered.
        ours_block_errors: codewords with a wrong information bit.
        sionna_default_block_errors: the same.
        sionna_layered_block_errors: the same.
    """

    k: int
    n: int
    modulation: str
    ebn0_db: float
    words: int
    iterations: int
    ours_mbit_s: float
    sionna_default_mbit_s: float
    sionna_layered_mbit_s: float
    ours_block_errors: int
    sionna_default_block_errors: int
    sionna_layered_block_errors: int

    @property
    def speedup(self) -> float:
        """Ours over Sionna's default decoder."""
        return self.ours_mbit_s / self.sionna_default_mbit_s

    @property
    def speedup_layered(self) -> float:
        """Ours over Sionna's layered offset min-sum."""
        return self.ours_mbit_s / self.sionna_layered_mbit_s


def bench_ldpc(
    k: int = 1024,
    code_rate: float = 0.5,
    ebn0_db: float = 3.6,
    modulation: str = "16qam",
    words: int = 100,
    iterations: int = DEFAULT_ITERATIONS,
    seed: int = 0,
) -> LdpcBench:
    """Decode the same received words with our decoder and with two of Sionna's, on one thread.

    Args:
        k: information bits per codeword, 12 .. 8448.
        code_rate: k / n, as nearly as whole symbols allow.
        ebn0_db: Eb/N0 over AWGN, in dB.
        modulation: "qpsk", "16qam", "64qam" or "256qam".
        words: codewords.
        iterations: at most.
        seed: of the information bits and of the noise.

    Raises:
        ChannelError: sizes that no code has.
    """
    import torch
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    m = bits_per_symbol(modulation)
    n = round(k / code_rate / m) * m
    graph = ldpc_graph(k, n, m)
    randomness = ChannelRandomness(derive_key("bench_ldpc", seed))
    sent = randomness.generator("bits", 0).integers(0, 2, (words, k), np.uint8)
    no = noise_power(esn0_db_from_ebn0_db(ebn0_db, k / n, m))
    symbols = modulate(encode_ldpc(sent, graph).reshape(-1), modulation)
    received, noise = Awgn().transmit(symbols, no, randomness, 0)
    llr = demodulate(received, noise, modulation).reshape(words, n)

    encoder = LDPC5GEncoder(k, n, m)
    default = LDPC5GDecoder(encoder, num_iter=iterations)
    layered = LDPC5GDecoder(
        encoder, cn_update="offset-minsum", cn_schedule="layered", num_iter=iterations
    )
    llr_tensor = torch.from_numpy(llr)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            default(llr_tensor[:2])
            layered(llr_tensor[:2])
            default_s, default_bits = _time(lambda: default(llr_tensor).numpy(), 0.0)
            layered_s, layered_bits = _time(lambda: layered(llr_tensor).numpy(), 0.0)
    finally:
        torch.set_num_threads(threads)
    decode_ldpc(llr[:2], graph, iterations)
    ours_s, ours_bits = _time(lambda: decode_ldpc(llr, graph, iterations)[0], 0.5)
    mbit = words * k / 1e6

    def errors(decided: NDArray[np.generic]) -> int:
        return int(np.any(decided != sent, axis=1).sum())

    return LdpcBench(
        k=k,
        n=n,
        modulation=modulation,
        ebn0_db=ebn0_db,
        words=words,
        iterations=iterations,
        ours_mbit_s=mbit / ours_s,
        sionna_default_mbit_s=mbit / default_s,
        sionna_layered_mbit_s=mbit / layered_s,
        ours_block_errors=errors(ours_bits),
        sionna_default_block_errors=errors(default_bits),
        sionna_layered_block_errors=errors(layered_bits),
    )


def _time(run: Callable[[], Result], at_least_s: float) -> tuple[float, Result]:
    """Mean seconds of one run, over as many as fill `at_least_s`, and the last result."""
    start = time.perf_counter()
    runs = 0
    while True:
        result = run()
        runs += 1
        elapsed = time.perf_counter() - start
        if elapsed >= at_least_s:
            return elapsed / runs, result
