"""Block error tables: how often a code block fails over AWGN, measured once and kept on disk.

A table is made with the encoder, modulator, demapper and decoder of the bit-exact link, for one
modulation, code rate and payload, at Es/N0 in steps of 0.25 dB. Between its points, and between the
tables of two payloads, the normal deviate z of the error rate p = Q(z) is interpolated, Q being the
tail of the normal distribution: for codes of a finite length it is nearly linear in the SNR
(Y. Polyanskiy, H. V. Poor, S. Verdú, "Channel coding rate in the finite blocklength regime", IEEE
Trans. Inf. Theory 56(5), 2010, eq. 1), and what is linear can be interpolated. See
`BlockErrorTable` and `BlockErrorCurve`.

After retransmissions a table of its own holds, made with all the receptions at the same SNR and
combined as in `channels.harq`.
"""

import hashlib
import json
import os
import tempfile
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from math import erfc, sqrt
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import ndtri

from channels.channel import check_choice, check_range
from channels.errors import ChannelError
from channels.ldpc_decoder import DEFAULT_ITERATIONS
from channels.ldpc_graph import choose_base_graph
from channels.modulation import bits_per_symbol, demodulate, modulate
from channels.mutual_information import information_curve, snr_db_of_information
from channels.polar_block import largest_polar_payload_bits, polar_sizes
from channels.polar_code import mother_bits
from channels.random_words import TableCode, random_words
from channels.randomness import ChannelRandomness, derive_key
from channels.scrambling import gold_sequence, shared_channel_c_init
from channels.snr import noise_power
from channels.transport_sizes import TransportSizes, transport_sizes
from channels.user_cache import user_cache_folder

#: Part of every file name: raise it when the same key would give another table, as when the decoder
#: or the demapper decides differently.
TABLE_VERSION = 2
STEP_DB = 0.25
DEFAULT_WORDS = 4000
DEFAULT_SEED = 0
#: A point is done after so many errors ...
ENOUGH_ERRORS = 100
#: ... a table at the first point where at most this share of the blocks fails ...
LOWEST_RATE = 1e-3
#: ... and it starts where at least this share does.
HIGHEST_RATE = 0.97
#: Beyond this no noise matters, and what still fails will always fail.
_ABOVE_SATURATION_DB = 2.0
_BELOW_CAPACITY_DB = 15.0
#: Error rate that names a table's threshold.
THRESHOLD_RATE = 0.1
_THRESHOLD_DEVIATE = float(-ndtri(THRESHOLD_RATE))
_BATCH_WORDS = 100
_BATCH_BITS = 1 << 20

#: Payloads that have tables, in bits: octaves, half octaves where curves are steep, and both sides
#: of the sizes where the base graph changes. The last is the largest of one code block.
PAYLOAD_GRID = (
    8, 16, 32, 64, 128, 256, 272, 280, 384, 512, 720, 1024, 1448, 2048, 2896, 3808, 3816, 3824,
    4096, 5792, 8424,
)  # fmt: skip
#: Of polar codes each family, see `_family`, has tables at its ends and in such steps between.
_POLAR_STEP = 1.2


@dataclass(frozen=True)
class TableKey:
    """All that determines a table.

    Attributes:
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.
        code_rate: as in `channels.link.LinkSetting`.
        payload_bits: of one transport block of one code block, without its CRC.
        words: code blocks per point, at most; at least 1.
        seed: of the random words and the noise.
        versions: redundancy versions received, in order; each at the table's SNR.
        max_iterations: of the LDPC decoder.
        code: "ldpc" or "polar"; polar codes have redundancy version 0 only.

    Raises:
        ChannelError: an unknown modulation, a value outside its range, or a payload that takes
            more than one code block.
    """

    modulation: str
    code_rate: float
    payload_bits: int
    words: int = DEFAULT_WORDS
    seed: int = DEFAULT_SEED
    versions: tuple[int, ...] = (0,)
    max_iterations: int = DEFAULT_ITERATIONS
    code: TableCode = "ldpc"

    def __post_init__(self) -> None:
        check_choice("code", self.code, get_args(TableCode))
        check_range("words", self.words, 1, 10_000_000)
        check_range("versions", len(self.versions), 1, 1000)
        if self.code == "polar" and any(self.versions):
            raise ChannelError(
                f"block error table: expected version 0 of a polar code, found {self.versions}"
            )
        if self.sizes.code_blocks > 1:
            raise ChannelError(
                f"block error table: expected a payload of one code block, found "
                f"{self.payload_bits} bits, which take {self.sizes.code_blocks}"
            )

    @property
    def sizes(self) -> TransportSizes:
        """Of the transport block."""
        return _sizes(
            self.code, self.payload_bits, self.code_rate, bits_per_symbol(self.modulation)
        )

    def file_name(self) -> str:
        """SHA-256 of all fields and `TABLE_VERSION`, with ".json"."""
        text = json.dumps([TABLE_VERSION, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest() + ".json"


@dataclass(frozen=True, eq=False)
class BlockErrorTable:
    """Measured block errors of one code, and the curve through them.

    The measured rates, (errors + 1/2) / (words + 1), are made non-increasing in SNR by isotonic
    regression; between two points the normal deviate is linear. Beyond the last point it goes on
    with the mean slope from the threshold (10 % errors) to that point, so that an error floor
    below what was measured is not seen; before the first with errors but not only errors, with
    the mean slope up to the threshold. A code that does not reach it stays at its end points.

    Attributes:
        key: what was measured.
        snr_db: float64[points], ascending, multiples of `STEP_DB`; at least one.
        words: int64[points], blocks sent.
        errors: int64[points], blocks whose information bits, CRC included, were not all right.
    """

    key: TableKey
    snr_db: NDArray[np.float64]
    words: NDArray[np.int64]
    errors: NDArray[np.int64]
    _points: list[float] = field(init=False, repr=False)
    _deviates: list[float] = field(init=False, repr=False)
    _end_slopes: tuple[float, float] = field(init=False, repr=False)
    _threshold_db: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Of the points where all fail only the last one says anything.
        some_right = np.flatnonzero(self.errors < self.words)
        start = max(int(some_right[0]) - 1, 0) if len(some_right) else 0
        points, words, errors = self.snr_db[start:], self.words[start:], self.errors[start:]
        rates = (errors + 0.5) / (words + 1.0)
        fitted = isotonic_regression(rates, weights=words, increasing=False).x
        deviates = -ndtri(fitted)
        threshold_db, first_slope, last_slope = float(points[-1]), 0.0, 0.0
        if deviates[0] < _THRESHOLD_DEVIATE < deviates[-1]:
            after = int(np.argmax(deviates > _THRESHOLD_DEVIATE))
            low, high = deviates[after - 1], deviates[after]
            part = (_THRESHOLD_DEVIATE - low) / (high - low)
            threshold_db = float(points[after - 1] + part * (points[after] - points[after - 1]))
            first_slope = float((_THRESHOLD_DEVIATE - deviates[0]) / (threshold_db - points[0]))
            last_slope = float((deviates[-1] - _THRESHOLD_DEVIATE) / (points[-1] - threshold_db))
        for name, value in (
            ("_points", points.tolist()),
            ("_deviates", deviates.tolist()),
            ("_end_slopes", (first_slope, last_slope)),
            ("_threshold_db", threshold_db),
        ):
            object.__setattr__(self, name, value)

    @property
    def threshold_db(self) -> float:
        """Es/N0 at 10 % errors; the last point's where fewer are never reached."""
        return self._threshold_db

    def deviate(self, snr_db: float) -> float:
        """z such that the block error rate is Q(z); never decreases with the SNR."""
        points = self._points
        after = bisect_right(points, snr_db)
        if after == 0:
            return self._deviates[0] + self._end_slopes[0] * (snr_db - points[0])
        if after == len(points):
            return self._deviates[-1] + self._end_slopes[1] * (snr_db - points[-1])
        low, high = self._deviates[after - 1], self._deviates[after]
        part = (snr_db - points[after - 1]) / (points[after] - points[after - 1])
        return low + part * (high - low)

    def error_rate(self, snr_db: float) -> float:
        """Block error rate, 0 .. 1, at Es/N0 `snr_db` of each reception."""
        return _tail(self.deviate(snr_db))


def _tail(deviate: float) -> float:
    return 0.5 * erfc(deviate / sqrt(2.0))


def build_table(
    modulation: str,
    code_rate: float,
    payload_bits: int,
    words: int = DEFAULT_WORDS,
    seed: int = DEFAULT_SEED,
    versions: tuple[int, ...] = (0,),
    max_iterations: int = DEFAULT_ITERATIONS,
    code: TableCode = "ldpc",
) -> BlockErrorTable:
    """Measure a table: from an SNR where nearly all blocks fail up to where hardly any does.

    Every point meets the same words and the same noise, scaled; a point ends after
    `ENOUGH_ERRORS` errors or `words` blocks, and the table at the first point with at most
    `LOWEST_RATE` errors, or where noise no longer matters. Takes seconds: see `load_table`.

    Raises:
        ChannelError: as `TableKey`.
    """
    return _measure(
        TableKey(modulation, code_rate, payload_bits, words, seed, versions, max_iterations, code)
    )


def _measure(key: TableKey) -> BlockErrorTable:
    blocks = _CodeBlocks(key)
    found: dict[int, tuple[int, int]] = {}
    sizes = key.sizes
    # About the capacity limit: a point to start from, no more.
    share = sizes.block_information_bits / sizes.block_coded_bits / len(key.versions)
    first = int(np.floor(snr_db_of_information(share, key.modulation) / STEP_DB))
    lowest = first - round(_BELOW_CAPACITY_DB / STEP_DB)
    saturated_db = information_curve(key.modulation).snr_db[-1]
    last = int((saturated_db + _ABOVE_SATURATION_DB) / STEP_DB)

    step = first
    while True:
        found[step] = blocks.count_errors(step * STEP_DB)
        sent, wrong = found[step]
        if wrong >= HIGHEST_RATE * sent or step == lowest:
            break
        step -= 1
    step = max(found)
    while True:
        if step not in found:
            found[step] = blocks.count_errors(step * STEP_DB)
        sent, wrong = found[step]
        if wrong <= LOWEST_RATE * sent or step >= last:
            break
        step += 1
    steps = sorted(found)
    return BlockErrorTable(
        key,
        np.array(steps) * STEP_DB,
        np.array([found[step][0] for step in steps]),
        np.array([found[step][1] for step in steps]),
    )


class _CodeBlocks:
    """Sends random code blocks over AWGN, the same at every SNR."""

    def __init__(self, key: TableKey) -> None:
        self._key = key
        self._words = random_words(
            key.code, key.sizes, bits_per_symbol(key.modulation), key.versions
        )
        self._n = key.sizes.block_coded_bits
        # As the link's. It matters where a bit comes again in another place: its symbol's other
        # bits, on which its reliability depends, are then other ones.
        self._scrambling = gold_sequence(self._n, shared_channel_c_init(1))
        self._batch = max(1, min(_BATCH_WORDS, _BATCH_BITS // (self._n * len(key.versions))))
        self._randomness = ChannelRandomness(derive_key("block error table", key.seed))

    def count_errors(self, snr_db: float) -> tuple[int, int]:
        """Blocks sent and blocks not decoded."""
        sent = wrong = 0
        while sent < self._key.words and wrong < ENOUGH_ERRORS:
            count = min(self._batch, self._key.words - sent)
            wrong += self._send(sent // self._batch, noise_power(snr_db))[:count].sum()
            sent += count
        return sent, int(wrong)

    def _send(self, batch: int, no: float) -> NDArray[np.bool_]:
        """Whether each block of a batch fails."""
        generator = self._randomness.generator("table words", batch)
        words = self._words.draw(generator, self._batch)
        received = []
        for transmission in range(len(self._key.versions)):
            scrambled = self._words.encode(words, transmission) ^ self._scrambling
            symbols = modulate(scrambled.reshape(-1), self._key.modulation)
            noise = generator.standard_normal(2 * len(symbols)).view(np.complex128)
            noise *= np.sqrt(no / 2.0)
            heard = demodulate(symbols + noise, no, self._key.modulation)
            heard = heard.reshape(self._batch, self._n)
            received.append(np.where(self._scrambling == 1, -heard, heard))
        decided = self._words.decode(received, self._key.max_iterations)
        return np.asarray((decided != words).any(axis=1))


def tables_folder() -> Path:
    """Where tables are kept: $TESTBED_TABLES, else semcom-testbed/tables in the user's cache."""
    return user_cache_folder("tables", "TESTBED_TABLES")


def load_table(key: TableKey) -> BlockErrorTable:
    """The table of a key: from memory, from `tables_folder`, or made now and kept there.

    A damaged file is made anew. Processes that make the same table at once make the same file,
    and each puts its own in place as a whole.
    """
    return _load(key, tables_folder())


@lru_cache(maxsize=1024)
def _load(key: TableKey, folder: Path) -> BlockErrorTable:
    path = folder / key.file_name()
    table = _read(path, key)
    if table is None:
        table = _measure(key)
        _write(path, table)
    return table


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _content(table: BlockErrorTable) -> dict[str, Any]:
    key = asdict(table.key)
    key["versions"] = list(table.key.versions)
    return {
        "version": TABLE_VERSION,
        "key": key,
        "snr_db": table.snr_db.tolist(),
        "words": table.words.tolist(),
        "errors": table.errors.tolist(),
    }


def _read(path: Path, key: TableKey) -> BlockErrorTable | None:
    """None if there is no such file, or not as it was written."""
    try:
        content = json.loads(path.read_bytes())
        digest = content.pop("sha256")
        if digest != _digest(content):
            return None
        table = BlockErrorTable(
            key,
            np.array(content["snr_db"], np.float64),
            np.array(content["words"], np.int64),
            np.array(content["errors"], np.int64),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError):
        return None
    except RecursionError:  # json's, of brackets without end.
        return None
    return table if _content(table) == content else None


def _write(path: Path, table: BlockErrorTable) -> None:
    content = _content(table)
    content["sha256"] = _digest(content)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        warnings.warn(f"block error table not kept in {path.parent}: {error}", stacklevel=2)


@dataclass(frozen=True, eq=False)
class BlockErrorCurve:
    """Error rate of a code block of any size, between the tables of two payloads.

    Both tables are shifted to a threshold that is linear in the logarithm of the information bits,
    and their normal deviates are mixed by the same weights. The true threshold is a sawtooth in the
    size, as shortened codes (k well below what the lifting size holds) are a little worse: in 23
    sizes between those of the grid (QPSK 1/4, 16QAM 1/2, 64QAM 3/4) it was off by 0.02 dB in the
    middle and by up to 0.1 dB, half of it the tables' own sampling. Long blocks are steep: there
    0.04 dB can double an error rate. Of polar codes, whose rate matching is uneven, 30 sizes were
    off by 0.08 dB in the root mean square, one by 0.24 dB. `error_curve` with the payload itself as
    its grid is exact.

    Attributes:
        lower: table of the next smaller payload in the grid with the same family of codes: LDPC
            codes of one base graph, polar codes of one mother code.
        upper: of the next larger one; the same as `lower` at a size of the grid or at its ends.
        weight: of the upper one, 0 .. 1.
    """

    lower: BlockErrorTable
    upper: BlockErrorTable
    weight: float

    @property
    def threshold_db(self) -> float:
        """Es/N0 at 10 % errors."""
        low, high = self.lower.threshold_db, self.upper.threshold_db
        return low + self.weight * (high - low)

    def error_rate(self, snr_db: float) -> float:
        """Block error rate, 0 .. 1, at Es/N0 `snr_db` of each reception."""
        if self.weight == 0.0:
            return self.lower.error_rate(snr_db)
        above = snr_db - self.threshold_db
        low = self.lower.deviate(self.lower.threshold_db + above)
        high = self.upper.deviate(self.upper.threshold_db + above)
        return _tail(low + self.weight * (high - low))


def error_curve(
    modulation: str,
    code_rate: float,
    payload_bits: int,
    words: int = DEFAULT_WORDS,
    seed: int = DEFAULT_SEED,
    versions: tuple[int, ...] = (0,),
    max_iterations: int = DEFAULT_ITERATIONS,
    grid: Sequence[int] | None = None,
    code: TableCode = "ldpc",
) -> BlockErrorCurve:
    """The error rate of each code block of a payload; loads or makes one or two tables.

    Args:
        modulation: and the others, see `TableKey`.
        code_rate: see `TableKey`.
        payload_bits: any number, also of several code blocks.
        words: see `TableKey`.
        seed: see `TableKey`.
        versions: see `TableKey`.
        max_iterations: see `TableKey`.
        grid: payloads that may have tables, ascending; those of several code blocks or another
            family of codes are passed over. By default `PAYLOAD_GRID`, of polar codes one that
            depends on rate and modulation.
        code: see `TableKey`.

    Raises:
        ChannelError: see `TableKey`, or no payload of the grid fits.
    """
    m = bits_per_symbol(modulation)
    if grid is None:
        grid = PAYLOAD_GRID if code == "ldpc" else _polar_grid(code_rate, m)
    sizes = _sizes(code, payload_bits, code_rate, m)
    k, family = sizes.block_information_bits, _family(code, sizes)
    lower: tuple[int, int] | None = None
    upper: tuple[int, int] | None = None
    for payload in grid:
        sizes = _sizes(code, payload, code_rate, m)
        node = sizes.block_information_bits
        if sizes.code_blocks > 1 or _family(code, sizes) != family:
            continue
        if node <= k:
            lower = (node, payload)
        elif upper is None:
            upper = (node, payload)
    lower, upper = lower or upper, upper or lower
    if lower is None or upper is None:
        raise ChannelError(f"block error tables: expected a payload near {payload_bits} in {grid}")
    if lower[0] == k:
        upper = lower

    def table(payload: int) -> BlockErrorTable:
        return load_table(
            TableKey(modulation, code_rate, payload, words, seed, versions, max_iterations, code)
        )

    if lower == upper:
        return BlockErrorCurve(table(lower[1]), table(lower[1]), 0.0)
    weight = float(np.log(k / lower[0]) / np.log(upper[0] / lower[0]))
    return BlockErrorCurve(table(lower[1]), table(upper[1]), weight)


def _family(code: TableCode, sizes: TransportSizes) -> tuple[int, bool]:
    """Codes of the same are alike: they have one base graph; or one mother code, that is not sent
    as a whole, or of which bits are repeated."""
    k, n = sizes.block_information_bits, sizes.block_coded_bits
    if code == "ldpc":
        return choose_base_graph(k, n), False
    length = mother_bits(k, n)
    return length, n > length


@lru_cache(maxsize=512)
def _polar_grid(code_rate: float, bits_per_symbol: int) -> tuple[int, ...]:
    """Payloads of whole bytes that have tables."""
    families: dict[tuple[int, bool], list[int]] = {}
    for payload in range(8, largest_polar_payload_bits(code_rate, bits_per_symbol) + 1, 8):
        sizes = polar_sizes(payload, code_rate, bits_per_symbol)
        family = _family("polar", sizes)
        nodes = families.setdefault(family, [])
        # The last one so far is not needed where the one before it is near, in what is sent and in
        # what is frozen of the mother code.
        if (
            len(nodes) > 1
            and payload <= _POLAR_STEP * nodes[-2]
            and family[0] - nodes[-2] <= _POLAR_STEP * (family[0] - payload)
        ):
            nodes.pop()
        nodes.append(payload)
    return tuple(sorted(payload for nodes in families.values() for payload in nodes))


def _sizes(
    code: TableCode, payload_bits: int, code_rate: float, bits_per_symbol: int
) -> TransportSizes:
    sizes = transport_sizes if code == "ldpc" else polar_sizes
    return sizes(payload_bits, code_rate, bits_per_symbol)
