"""The parity-check graph of a 5G LDPC code and what rate matching sends of it.

A base graph (3GPP TS 38.212, tables 5.3.2-2 and 5.3.2-3) is a small matrix; each of its entries
stands for a Z x Z identity matrix shifted cyclically to the right. Its columns are

    | information, 22 or 10 columns | 4 core parities | one extension parity for each further row |

    sent from here:  ^ third column    filler bits (known zeros, at the end of the information
                                       columns) are skipped, unsent extension parities cut out

What is sent is a stretch of the circular buffer (5.4.2.1): redundancy version 0 begins with the
third column, the others further on. A stretch longer than the buffer repeats bits.

The number tables are read from the installed Sionna distribution, without importing Sionna.
"""

import csv
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.sionna_tables import sionna_folder

BaseGraph = Literal[1, 2]

MIN_INFORMATION_BITS = 12
MAX_INFORMATION_BITS = 8448
#: Base graph 2 has ten information columns of at most 384 bits.
MAX_INFORMATION_BITS_BG2 = 3840
MAX_CODE_RATE = 0.95

INFORMATION_COLUMNS: dict[BaseGraph, int] = {1: 22, 2: 10}
BASE_ROWS: dict[BaseGraph, int] = {1: 46, 2: 42}
#: The first four rows tie the four core parities together and always take part.
CORE_ROWS = 4
#: The first two columns are never sent.
PUNCTURED_COLUMNS = 2
#: Where each redundancy version begins, in columns of a full buffer (TS 38.212, table 5.4.2.1-2).
VERSION_START_COLUMNS: dict[BaseGraph, tuple[int, ...]] = {1: (0, 17, 33, 56), 2: (0, 13, 25, 43)}
REDUNDANCY_VERSIONS = 4

#: Lifting sizes by set index (3GPP TS 38.212, table 5.3.2-1): a * 2^j up to 384.
LIFTING_SIZES: tuple[tuple[int, ...], ...] = tuple(
    tuple(a << j for j in range(8) if a << j <= 384) for a in (2, 3, 5, 7, 9, 11, 13, 15)
)


@dataclass(frozen=True, eq=False)
class LdpcGraph:
    """One 5G LDPC code with its rate matching, pruned to the rows that the sent bits need.

    An extension parity that is not sent makes its row say nothing about the others, so both are
    left out and later rows and columns move up. Bits of the pruned lifted codeword are numbered
    column by column: bit i of column c is c * lifting_size + i. Row r holds the check equations
    r * lifting_size + i:

        sum over edges e of row r:  codeword[edge_column[e] * Z + (i + edge_shift[e]) % Z]  =  0

    Attributes:
        k: information bits per codeword, CRC included.
        n: sent bits per codeword.
        bits_per_symbol: modulation order of the bit interleaver.
        base_graph: 1 or 2.
        lifting_size: Z, bits per base column.
        set_index: which of the eight sets of shifts applies, 0..7.
        information_columns: base columns before the first parity, 22 or 10.
        rows: rows of the base graph that take part, 4..46. Row r holds the parity column
            information_columns + r for r >= 4.
        row_start: int32[rows + 1]; the edges of row r are row_start[r] .. row_start[r + 1] - 1.
        edge_column: int32[edges], ascending within a row.
        edge_shift: int32[edges], 0 .. Z - 1.
        sent: int32[n]; the codeword bit behind each sent bit, in the order of sending (after bit
            selection and interleaving). A bit occurs more than once only where n exceeds the
            circular buffer and bits are repeated.
    """

    k: int
    n: int
    bits_per_symbol: int
    base_graph: BaseGraph
    lifting_size: int
    set_index: int
    information_columns: int
    rows: int
    row_start: NDArray[np.int32]
    edge_column: NDArray[np.int32]
    edge_shift: NDArray[np.int32]
    sent: NDArray[np.int32]

    @property
    def information_end(self) -> int:
        """Bits in the information columns: k information bits, then the filler bits."""
        return self.information_columns * self.lifting_size

    @property
    def filler_bits(self) -> int:
        """Known zeros between the information bits and the first parity bit; never sent."""
        return self.information_end - self.k

    @property
    def codeword_bits(self) -> int:
        """Length of the pruned lifted codeword."""
        return (self.information_columns + self.rows) * self.lifting_size


def choose_base_graph(k: int, n: int) -> BaseGraph:
    """Base graph for k information and n sent bits (3GPP TS 38.212, 6.2.2 and 7.2.2).

    Clause 7.2.2 speaks of the transport block's size and nominal rate; here both are those of the
    code block. Above 3840 bits base graph 2 has no code, so low rates there repeat bits of base
    graph 1.
    """
    rate = k / n
    if k <= 292 or (k <= 3824 and rate <= 0.67):
        return 2
    if rate <= 0.25 and k <= MAX_INFORMATION_BITS_BG2:
        return 2
    return 1


def choose_lifting(k: int, base_graph: BaseGraph) -> tuple[int, int]:
    """Smallest lifting size Z that holds k bits, and its set index (3GPP TS 38.212, 5.2.2)."""
    if base_graph == 1:
        filled_columns = 22
    elif k > 640:
        filled_columns = 10
    elif k > 560:
        filled_columns = 9
    elif k > 192:
        filled_columns = 8
    else:
        filled_columns = 6
    return min(
        (z, index)
        for index, sizes in enumerate(LIFTING_SIZES)
        for z in sizes
        if filled_columns * z >= k
    )


@lru_cache(maxsize=2)
def base_graph_table(base_graph: BaseGraph) -> NDArray[np.int32]:
    """Entries of a base graph as int32[entries, 10]: row, column, shifts of set index 0..7.

    Ordered by row, then column. Source: 3GPP TS 38.212, tables 5.3.2-2 and 5.3.2-3, as they are
    shipped with Sionna.

    Raises:
        ChannelError: Sionna is not installed.
    """
    folder = sionna_folder("LDPC tables", "fec", "ldpc", "codes")
    entries: list[list[int]] = []
    row = -1
    with (folder / f"5G_bg{base_graph}.csv").open(newline="", encoding="utf-8-sig") as table:
        # Two lines of headings; then the row's number stands only beside its first entry.
        for number, fields in enumerate(csv.reader(table, delimiter=";")):
            if number < 2 or not any(fields):
                continue
            row = int(fields[0]) if fields[0] else row
            entries.append([row, int(fields[1]), *(int(shift) for shift in fields[2:10])])
    entries.sort()
    return np.array(entries, np.int32)


@dataclass(frozen=True)
class MotherCode:
    """The code before anything is left out, and its circular buffer.

    Attributes:
        k: information bits per codeword.
        base_graph: 1 or 2.
        lifting_size: Z, bits per base column.
        set_index: which of the eight sets of shifts applies, 0..7.
    """

    k: int
    base_graph: BaseGraph
    lifting_size: int
    set_index: int

    @property
    def information_columns(self) -> int:
        """Base columns before the first parity, 22 or 10."""
        return INFORMATION_COLUMNS[self.base_graph]

    @property
    def codeword_bits(self) -> int:
        """All bits, the two columns that are never sent and the filler bits included."""
        return (self.information_columns + BASE_ROWS[self.base_graph]) * self.lifting_size

    @property
    def filler_bits(self) -> int:
        """Known zeros after the k information bits; never sent."""
        return self.information_columns * self.lifting_size - self.k

    @property
    def buffer_bits(self) -> int:
        """Length of the circular buffer, filler bits not counted."""
        return self.codeword_bits - PUNCTURED_COLUMNS * self.lifting_size - self.filler_bits

    def start(self, rv: int) -> int:
        """Where redundancy version `rv` begins in the buffer, filler bits not counted.

        Source: 3GPP TS 38.212, table 5.4.2.1-2, for a buffer that holds the whole codeword
        (I_LBRM = 0), so that k0 is a whole number of columns.
        """
        k0 = VERSION_START_COLUMNS[self.base_graph][rv] * self.lifting_size
        first_filler = self.k - PUNCTURED_COLUMNS * self.lifting_size
        return k0 - min(max(k0 - first_filler, 0), self.filler_bits)

    def sent_positions(self, n: int, bits_per_symbol: int, rv: int) -> NDArray[np.int32]:
        """The codeword bit behind each of n sent bits, int32[n], in the order of sending."""
        selected = (np.arange(n, dtype=np.int32) + np.int32(self.start(rv))) % self.buffer_bits
        selected += PUNCTURED_COLUMNS * self.lifting_size
        selected[selected >= self.k] += self.filler_bits
        # 5.4.2.2: bits are written row by row into Qm rows and read column by column.
        return np.ascontiguousarray(selected.reshape(bits_per_symbol, -1).T).reshape(-1)


@lru_cache(maxsize=512)
def mother_code(k: int, n: int) -> MotherCode:
    """The code from which n bits are sent for k information bits.

    Raises:
        ChannelError: sizes outside the limits of `ldpc_graph`.

    Source: 3GPP TS 38.212, 5.2.2, 6.2.2, 7.2.2.
    """
    _check_sizes(k, n)
    base_graph = choose_base_graph(k, n)
    z, set_index = choose_lifting(k, base_graph)
    return MotherCode(k, base_graph, z, set_index)


@lru_cache(maxsize=512)
def ldpc_graph(k: int, n: int, bits_per_symbol: int = 1, rv: int = 0) -> LdpcGraph:
    """The 5G LDPC code that carries k information bits in n sent bits.

    Args:
        k: 12 .. 8448, any CRC included.
        n: a multiple of `bits_per_symbol` with k / n <= 0.95. Where n exceeds what the mother
            code has (rate 1/3 or 1/5) the circular buffer of 3GPP TS 38.212, 5.4.2.1 starts
            again and bits are repeated.
        bits_per_symbol: modulation order Qm of the bit interleaver (5.4.2.2); 1 means none.
        rv: redundancy version, 0 .. 3.

    Raises:
        ChannelError: sizes outside these limits.

    Source: 3GPP TS 38.212, 5.2.2, 5.3.2, 5.4.2.
    """
    code = mother_code(k, n)
    _check_symbols(n, bits_per_symbol)
    check_version(rv)
    return _pruned_graph(code, code.sent_positions(n, bits_per_symbol, rv), bits_per_symbol)


@lru_cache(maxsize=512)
def combined_graph(k: int, n: int, bits_per_symbol: int, versions: frozenset[int]) -> LdpcGraph:
    """The code of everything that several redundancy versions have sent together.

    Its `sent` lists each bit once, in the order of `received_positions`; its `n` counts them and
    its `bits_per_symbol` is 1, as LLRs are combined behind the deinterleaver.

    Args:
        k: as for `ldpc_graph`.
        n: sent bits of each version.
        bits_per_symbol: of each version.
        versions: redundancy versions, at least one of 0 .. 3.
    """
    positions = received_positions(k, n, bits_per_symbol, versions)
    return _pruned_graph(mother_code(k, n), positions, bits_per_symbol=1)


@lru_cache(maxsize=512)
def received_positions(
    k: int, n: int, bits_per_symbol: int, versions: frozenset[int]
) -> NDArray[np.int32]:
    """Bits of the mother code that any of the versions sends: int32[count], ascending."""
    code = mother_code(k, n)
    _check_symbols(n, bits_per_symbol)
    if not versions:
        raise ChannelError("redundancy versions: expected at least one, found none")
    for rv in versions:
        check_version(rv)
    parts = [code.sent_positions(n, bits_per_symbol, rv) for rv in sorted(versions)]
    positions = np.unique(np.concatenate(parts))
    positions.setflags(write=False)
    return positions


def _pruned_graph(
    code: MotherCode, positions: NDArray[np.int32], bits_per_symbol: int
) -> LdpcGraph:
    """The part of a code that the sent bits need.

    Args:
        code: before pruning.
        positions: int32[n], bits of the mother code in the order of sending.
        bits_per_symbol: what to write down as the modulation order.
    """
    z = code.lifting_size
    first_extension = code.information_columns + CORE_ROWS
    column_sent = np.zeros(code.information_columns + BASE_ROWS[code.base_graph], np.bool_)
    column_sent[positions // z] = True
    column_sent[:first_extension] = True
    new_column = (np.cumsum(column_sent) - 1).astype(np.int32)
    rows = int(column_sent.sum()) - code.information_columns

    table = base_graph_table(code.base_graph)
    row_stays = column_sent[code.information_columns :]
    table = table[row_stays[table[:, 0]]]
    new_row = new_column[code.information_columns + table[:, 0]] - code.information_columns
    return LdpcGraph(
        k=code.k,
        n=len(positions),
        bits_per_symbol=bits_per_symbol,
        base_graph=code.base_graph,
        lifting_size=z,
        set_index=code.set_index,
        information_columns=code.information_columns,
        rows=rows,
        row_start=np.searchsorted(new_row, np.arange(rows + 1)).astype(np.int32),
        edge_column=new_column[table[:, 1]],
        edge_shift=table[:, 2 + code.set_index] % z,
        sent=new_column[positions // z] * np.int32(z) + positions % np.int32(z),
    )


def check_version(rv: int) -> None:
    """Raises ChannelError unless `rv` is a redundancy version, 0 .. 3."""
    if rv not in range(REDUNDANCY_VERSIONS):
        raise ChannelError(
            f"redundancy version: expected 0 .. {REDUNDANCY_VERSIONS - 1}, found {rv!r}"
        )


def _check_sizes(k: int, n: int) -> None:
    if not MIN_INFORMATION_BITS <= k <= MAX_INFORMATION_BITS:
        raise ChannelError(
            f"LDPC: expected {MIN_INFORMATION_BITS} <= k <= {MAX_INFORMATION_BITS}, found k = {k}"
        )
    if n <= 0 or k / n > MAX_CODE_RATE:
        raise ChannelError(f"LDPC: expected k / n <= {MAX_CODE_RATE}, found {k} / {n}")


def _check_symbols(n: int, bits_per_symbol: int) -> None:
    if bits_per_symbol < 1 or n % bits_per_symbol:
        raise ChannelError(f"LDPC: expected n a multiple of {bits_per_symbol}, found n = {n}")
