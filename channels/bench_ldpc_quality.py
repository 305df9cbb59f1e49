"""What the LDPC decoder loses to sum-product decoding of the same words, over QPSK and AWGN.

Offset min-sum approximates the sum-product rule. The measure of what that costs is the gap between
the Es/N0 at which one block in a hundred is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.ldpc_decoder import DEFAULT_ITERATIONS, decode_ldpc
from channels.ldpc_encoder import encode_ldpc
from channels.ldpc_graph import ldpc_graph
from channels.modulation import demodulate, modulate
from channels.mutual_information import snr_db_of_information
from channels.randomness import ChannelRandomness, derive_key
from channels.snr import noise_power
from channels.sum_product import decode_sum_product

#: The block error rate at which decoders are compared.
TARGET = 0.01
#: Curves reach from a point where both decoders fail at least so often ...
_HIGHEST_RATE = 0.1
#: ... to one where neither fails more often than this.
_LOWEST_RATE = 0.004
#: Steps from the first guess either way, at most: not every code's errors fall below that.
_MOST_STEPS = 60
_BATCH_BITS = 1 << 20
_BOOTSTRAP_DRAWS = 1000

Decided = NDArray[np.uint8]


@dataclass(frozen=True)
class QualityPoint:
    """Which of the words each decoder gets wrong at one SNR.

    Attributes:
        esn0_db: Es/N0 per complex symbol, in dB.
        words: codewords decoded by each decoder.
        wrong: numbers of the words, ascending, that ours (layered offset min-sum) decides wrongly.
        reference_wrong: the same of flooding sum-product decoding.
    """

    esn0_db: float
    words: int
    wrong: tuple[int, ...]
    reference_wrong: tuple[int, ...]


@dataclass(frozen=True)
class Gap:
    """How much more Es/N0 than the reference our decoder needs at `TARGET`, in dB.

    Attributes:
        ours_db: Es/N0 in dB at which one of a hundred blocks is wrong with our decoder.
        reference_db: the same with the reference.
        low_db: lower end of the 95 % interval of the gap.
        high_db: its upper end.
    """

    ours_db: float
    reference_db: float
    low_db: float
    high_db: float

    @property
    def gap_db(self) -> float:
        """Below 0: ours is the better one."""
        return self.ours_db - self.reference_db


class QualityBench:
    """Random words of one code, which meet the same noise at every SNR, only scaled.

    Args:
        k: information bits per codeword, 12 .. 8448.
        code_rate: k / n, as nearly as whole symbols allow; 0.2 .. 0.95.
        words: how many, at least 1. Word i is the same for any number of them.
        iterations: of either decoder, at most.
        seed: of the information bits and of the noise.

    Raises:
        ChannelError: sizes that no code has, or no words.
    """

    def __init__(
        self,
        k: int,
        code_rate: float,
        words: int,
        iterations: int = DEFAULT_ITERATIONS,
        seed: int = 0,
    ) -> None:
        if words < 1:
            raise ChannelError(f"LDPC quality: expected at least 1 word, found {words}")
        self.k = k
        self.n = round(k / code_rate / 2) * 2
        self.words = words
        self._iterations = iterations
        self.graph = ldpc_graph(k, self.n, 2)
        self._randomness = ChannelRandomness(derive_key("ldpc_quality", seed, k, self.n))
        self._batch = max(1, _BATCH_BITS // self.n)

    def point(self, esn0_db: float) -> QualityPoint:
        """Decode all words at one SNR with both decoders."""
        wrong: list[int] = []
        reference_wrong: list[int] = []
        for first in range(0, self.words, self._batch):
            numbers = range(first, min(first + self._batch, self.words))
            bits, llr = self.receive(numbers, esn0_db)
            ours, _ = decode_ldpc(llr, self.graph, self._iterations)
            reference = decode_sum_product(llr, self.graph, self._iterations)
            for decided, found in ((ours, wrong), (reference, reference_wrong)):
                found += (first + np.flatnonzero((decided != bits).any(axis=1))).tolist()
        return QualityPoint(esn0_db, self.words, tuple(wrong), tuple(reference_wrong))

    def receive(self, numbers: range, esn0_db: float) -> tuple[Decided, NDArray[np.float32]]:
        """Information bits and LLRs of some words: uint8[numbers, k] and float32[numbers, n]."""
        bits = np.stack(
            [
                self._randomness.generator("bits", i).integers(0, 2, self.k, np.uint8)
                for i in numbers
            ]
        )
        noise = np.concatenate([self._randomness.noise(i, self.n // 2) for i in numbers])
        no = noise_power(esn0_db)
        symbols = modulate(encode_ldpc(bits, self.graph).reshape(-1), "qpsk")
        llr = demodulate(symbols + np.sqrt(no) * noise, no, "qpsk")
        return bits, llr.reshape(len(numbers), self.n)

    def curve(
        self,
        known: Mapping[float, QualityPoint] | None = None,
        done: Callable[[QualityPoint], object] = lambda _: None,
    ) -> list[QualityPoint]:
        """Points that enclose `TARGET`, ascending: from 10 % to .4 % block errors of both decoders.

        They lie the closer the longer the code, as curves get steeper with the square root of n.

        Args:
            known: points of this bench by Es/N0 in dB, from an earlier call that was interrupted.
            done: told of every other point as soon as it is measured.
        """
        step_db = 0.025 * max(1, round(240 / np.sqrt(self.n)))
        # Capacity, and what codes of this length and these decoders need above it: a start.
        guess_db = snr_db_of_information(self.k / self.n, "qpsk") + 0.6 + 35 / np.sqrt(self.n)
        start = round(guess_db / step_db)
        found: dict[int, QualityPoint] = {}

        def rates(step: int) -> tuple[float, float]:
            if step not in found:
                esn0_db = round(step * step_db, 3)
                point = known.get(esn0_db) if known else None
                if point is None:
                    point = self.point(esn0_db)
                    done(point)
                found[step] = point
            errors = len(found[step].wrong), len(found[step].reference_wrong)
            return min(errors) / self.words, max(errors) / self.words

        for step in range(start, start - _MOST_STEPS, -1):
            if rates(step)[0] >= _HIGHEST_RATE:
                break
        for step in range(start, start + _MOST_STEPS):
            if rates(step)[1] <= _LOWEST_RATE:
                break
        return [found[step] for step in sorted(found)]


def gap_at_target(points: Sequence[QualityPoint]) -> Gap | None:
    """The gap between two curves, and its interval; None where they do not enclose `TARGET`.

    Error rates are (errors + 1/2) / (words + 1), and the curves log-linear between points. The
    interval is that of a bootstrap over words, each with its fate at every point and with both
    decoders, so that what the decoders share does not widen it (percentile method).
    """
    words = points[0].words
    fates = np.zeros((words, 2, len(points)), np.bool_)
    for i, point in enumerate(points):
        fates[list(point.wrong), 0, i] = True
        fates[list(point.reference_wrong), 1, i] = True
    kinds, counts = np.unique(fates.reshape(words, -1), axis=0, return_counts=True)
    esn0_db = [point.esn0_db for point in points]

    def crossings(drawn: NDArray[np.int64]) -> tuple[float | None, float | None]:
        rates = ((drawn @ kinds + 0.5) / (words + 1.0)).reshape(2, -1)
        return esn0_db_at(TARGET, esn0_db, rates[0]), esn0_db_at(TARGET, esn0_db, rates[1])

    ours_db, reference_db = crossings(counts)
    if ours_db is None or reference_db is None:
        return None
    random = np.random.default_rng(0)
    drawn = [
        crossings(each) for each in random.multinomial(words, counts / words, _BOOTSTRAP_DRAWS)
    ]
    gaps = [
        ours - reference for ours, reference in drawn if ours is not None and reference is not None
    ]
    low_db, high_db = np.quantile(gaps, (0.025, 0.975))
    return Gap(ours_db, reference_db, float(low_db), float(high_db))


def esn0_db_at(
    error_rate: float, esn0_db: Sequence[float], error_rates: Sequence[float] | NDArray[np.float64]
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
