"""Systematic encoding with the 5G LDPC codes (3GPP TS 38.212, 5.3.2), rate matching included.

The parity part of a base graph is solved without inverting anything:

  1. In the sum of the first four rows all core parities cancel except the first, which is left
     with one shift: it is the sum of the four rows' information parts, shifted back.
  2. Rows 0, 1 and 2 each hold one core parity that is not known yet, with shift 0.
  3. Every further row holds one new parity, with shift 0, and is the sum of its other entries.
"""

import numpy as np
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.kernels import kernel
from channels.ldpc_graph import CORE_ROWS, LdpcGraph


@kernel
def _add_shifted(total: NDArray[np.uint8], block: NDArray[np.uint8], shift: int) -> None:
    """total[i] ^= block[(i + shift) % Z], as two straight runs."""
    z = len(total)
    head, tail = block[shift:], block[:shift]
    low, high = total[: z - shift], total[z - shift :]
    for i in range(len(head)):
        low[i] ^= head[i]
    for i in range(len(tail)):
        high[i] ^= tail[i]


@kernel
def _encode_words(
    information: NDArray[np.uint8],
    row_start: NDArray[np.int32],
    edge_column: NDArray[np.int32],
    edge_shift: NDArray[np.int32],
    sent: NDArray[np.int32],
    z: int,
    first_parity: int,
    out: NDArray[np.uint8],
) -> None:
    words, k = information.shape
    rows = len(row_start) - 1
    codeword = np.zeros((first_parity + rows) * z, np.uint8)
    total = np.empty(z, np.uint8)
    for word in range(words):
        codeword[:k] = information[word]
        codeword[first_parity * z :] = 0

        # Step 1. The shifts of the first parity's column: two are equal and cancel.
        total[:] = 0
        remaining_shift = 0
        for edge in range(row_start[CORE_ROWS]):
            column = edge_column[edge]
            if column < first_parity:
                _add_shifted(total, codeword[column * z : (column + 1) * z], edge_shift[edge])
            elif column == first_parity:
                remaining_shift ^= edge_shift[edge]
        parity = codeword[first_parity * z : (first_parity + 1) * z]
        for i in range(z):
            parity[(i + remaining_shift) % z] = total[i]

        # Steps 2 and 3. The new parity's own block is still zero while its row is summed.
        for row in range(rows):
            if row == CORE_ROWS - 1:
                continue
            new = first_parity + (row + 1 if row < CORE_ROWS else row)
            total[:] = 0
            for edge in range(row_start[row], row_start[row + 1]):
                column = edge_column[edge]
                _add_shifted(total, codeword[column * z : (column + 1) * z], edge_shift[edge])
            codeword[new * z : (new + 1) * z] = total

        for i in range(len(sent)):
            out[word, i] = codeword[sent[i]]


def encode_ldpc(information: NDArray[np.uint8], graph: LdpcGraph) -> NDArray[np.uint8]:
    """Encode words of information bits; bit selection and interleaving are included.

    Args:
        information: uint8[words, k], each 0 or 1.
        graph: the code, from `ldpc_graph(k, n, bits_per_symbol, rv)`.

    Returns:
        uint8[words, n], bits in the order of sending.

    Raises:
        ChannelError: `information` has another shape.

    Source: 3GPP TS 38.212, 5.3.2, 5.4.2.1 and 5.4.2.2.
    """
    if information.ndim != 2 or information.shape[1] != graph.k:
        raise ChannelError(f"LDPC: expected bits[words, {graph.k}], found {information.shape}")
    out = np.empty((len(information), graph.n), np.uint8)
    _encode_words(
        np.ascontiguousarray(information, np.uint8),
        graph.row_start,
        graph.edge_column,
        graph.edge_shift,
        graph.sent,
        graph.lifting_size,
        graph.information_columns,
        out,
    )
    return out
