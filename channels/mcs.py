"""Modulation and coding schemes of 5G (3GPP TS 38.214, tables 5.1.3.1-1, -2 and -3).

Table 1 reaches up to 64QAM, table 2 up to 256QAM, and table 3 starts at low rates for links that
must not fail. Their last indices name a modulation without a rate and are reserved here.
"""

from dataclasses import dataclass
from fractions import Fraction

from channels.errors import ChannelError
from channels.modulation import bits_per_symbol

#: By table: modulation and 1024 times the code rate of its indices, in order.
_ROWS: dict[int, tuple[tuple[str, tuple[float, ...]], ...]] = {
    1: (
        ("qpsk", (120, 157, 193, 251, 308, 379, 449, 526, 602, 679)),
        ("16qam", (340, 378, 434, 490, 553, 616, 658)),
        ("64qam", (438, 466, 517, 567, 616, 666, 719, 772, 822, 873, 910, 948)),
    ),
    2: (
        ("qpsk", (120, 193, 308, 449, 602)),
        ("16qam", (378, 434, 490, 553, 616, 658)),
        ("64qam", (466, 517, 567, 616, 666, 719, 772, 822, 873)),
        ("256qam", (682.5, 711, 754, 797, 841, 885, 916.5, 948)),
    ),
    3: (
        ("qpsk", (30, 40, 50, 64, 78, 99, 120, 157, 193, 251, 308, 379, 449, 526, 602)),
        ("16qam", (340, 378, 434, 490, 553, 616)),
        ("64qam", (438, 466, 517, 567, 616, 666, 719, 772)),
    ),
}


@dataclass(frozen=True)
class Mcs:
    """One modulation and coding scheme.

    Attributes:
        table: 1, 2 or 3, for table 5.1.3.1-`table`.
        index: its row, from 0.
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.
        code_rate: exact, 30/1024 .. 948/1024.
    """

    table: int
    index: int
    modulation: str
    code_rate: Fraction

    @property
    def spectral_efficiency(self) -> float:
        """Information bits, CRC included, per complex symbol; the tables round to 4 digits."""
        return float(self.code_rate * bits_per_symbol(self.modulation))


def _table(number: int) -> tuple[Mcs, ...]:
    rows = (
        (modulation, Fraction(rate) / 1024) for modulation, rates in _ROWS[number] for rate in rates
    )
    return tuple(
        Mcs(number, index, modulation, code_rate)
        for index, (modulation, code_rate) in enumerate(rows)
    )


#: Every scheme that has a rate, by table number: 29, 28 and 29 of them.
MCS_TABLES: dict[int, tuple[Mcs, ...]] = {number: _table(number) for number in _ROWS}


def mcs(table: int, index: int) -> Mcs:
    """The scheme with an index in a table of TS 38.214.

    Args:
        table: 1, 2 or 3.
        index: 0 .. 28, in table 2 up to 27.

    Raises:
        ChannelError: no such table, or an index that is reserved.
    """
    if table not in MCS_TABLES:
        raise ChannelError(f"MCS table: expected 1, 2 or 3, found {table!r}")
    rows = MCS_TABLES[table]
    if index not in range(len(rows)):
        raise ChannelError(
            f"MCS index of table {table}: expected 0 .. {len(rows) - 1}, found {index!r}"
        )
    return rows[index]
