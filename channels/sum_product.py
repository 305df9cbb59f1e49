"""Sum-product decoding of the 5G LDPC codes, flooding: the reference for the faster decoder.

Messages are likelihood ratios rho = p(1) / p(0) = exp(-LLR), the LLR being positive for a zero. All
checks c at once, and then all bits v, with the channel's ratio rho[v]:

    R[c, v]  =  boxplus of x[c, v']  over the check's v' != v           what the check says of v
    x[c, v]  =  rho[v]  *  product of R[c', v]  over v's c' != c        what the others say of v

Boxplus gives the ratio of the sum of two bits; it is the tanh rule, and the rule that adds up
phi(LLR) = -log tanh(LLR / 2), without their functions and without the digits that phi loses where
LLRs are large:

    boxplus(a, b)  =  (a + b) / (1 + a b)

All messages, and the channel's ratios, are kept within LLRs of +-20. A column of at most 30 checks
then stays within +-620, which float64 can hold as a ratio.

Decisions are those of Sionna's `LDPC5GDecoder` (`cn_update="boxplus-phi"`), but for some words that
neither decodes: Sionna does not stop at a codeword, and its phi is rounded more.

Source: F. Kschischang, B. Frey, H.-A. Loeliger, "Factor graphs and the sum-product algorithm", IEEE
Trans. Inf. Theory 47(2), 2001; J. Hagenauer, E. Offer, L. Papke, "Iterative decoding of binary
block and convolutional codes", IEEE Trans. Inf. Theory 42(2), 1996 (boxplus).
"""

import numpy as np
from numpy.typing import NDArray

from channels.kernels import kernel
from channels.ldpc_decoder import DEFAULT_ITERATIONS, LLR_MAX, check_decoder_input, parity_holds
from channels.ldpc_graph import LdpcGraph

Ratios = NDArray[np.float64]

_LARGEST = float(np.exp(LLR_MAX))
_SMALLEST = 1.0 / _LARGEST


@kernel
def _without(total: Ratios, message: Ratios, out: Ratios) -> None:
    """What all but one edge say of each bit."""
    for i in range(len(out)):
        out[i] = min(max(total[i] / message[i], _SMALLEST), _LARGEST)


@kernel
def _boxplus(a: Ratios, b: Ratios, out: Ratios) -> None:
    for i in range(len(out)):
        out[i] = (a[i] + b[i]) / (1.0 + a[i] * b[i])


@kernel
def _answer(others: Ratios, message: Ratios, total: Ratios) -> None:
    """Keep what the checks say along one edge, and tell the bits."""
    for i in range(len(others)):
        said = min(max(others[i], _SMALLEST), _LARGEST)
        message[i] = said
        total[i] *= said


@kernel
def _iterate(
    total: Ratios,
    messages: Ratios,
    row_start: NDArray[np.int32],
    edge_column: NDArray[np.int32],
    edge_shift: NDArray[np.int32],
    z: int,
    x: Ratios,
    before: Ratios,
    next_total: Ratios,
) -> None:
    """All checks once: new messages, multiplied into `next_total`, which holds the channel's.

    float64[largest degree, z] `x` and `before` are scratch.
    """
    after = np.empty(z)
    others = np.empty(z)
    for row in range(len(row_start) - 1):
        first = row_start[row]
        edges = row_start[row + 1] - first
        # A bit that is certainly zero changes no sum.
        before[0] = 0.0
        after[:] = 0.0
        for e in range(edges):
            bits = total[edge_column[first + e] * z :][:z]
            cut = z - edge_shift[first + e]
            message = messages[first + e]
            _without(bits[z - cut :], message[:cut], x[e, :cut])
            _without(bits[: z - cut], message[cut:], x[e, cut:])
            if e + 1 < edges:
                _boxplus(before[e], x[e], before[e + 1])
        for e in range(edges - 1, -1, -1):
            _boxplus(before[e], after, others)
            _boxplus(after, x[e], after)
            bits = next_total[edge_column[first + e] * z :][:z]
            cut = z - edge_shift[first + e]
            message = messages[first + e]
            _answer(others[:cut], message[:cut], bits[z - cut :])
            _answer(others[cut:], message[cut:], bits[: z - cut])


@kernel
def _decode_words(
    llr: NDArray[np.float32],
    row_start: NDArray[np.int32],
    edge_column: NDArray[np.int32],
    edge_shift: NDArray[np.int32],
    sent: NDArray[np.int32],
    z: int,
    information_end: int,
    codeword_bits: int,
    iterations: int,
    out: NDArray[np.uint8],
) -> None:
    words, k = out.shape
    degree = np.max(np.diff(row_start))
    x = np.empty((degree, z))
    before = np.empty((degree, z))
    channel = np.empty(codeword_bits)
    total = np.empty(codeword_bits)
    next_total = np.empty(codeword_bits)
    messages = np.empty((len(edge_column), z))
    hard = np.empty(codeword_bits, np.uint8)
    syndrome = np.empty(z, np.uint8)
    for word in range(words):
        channel[:] = 0.0
        for i in range(len(sent)):
            channel[sent[i]] += llr[word, i]
        for i in range(codeword_bits):
            channel[i] = np.exp(min(max(channel[i], -LLR_MAX), LLR_MAX))
        channel[k:information_end] = _SMALLEST
        total[:] = channel
        messages[:] = 1.0
        for _ in range(iterations):
            next_total[:] = channel
            _iterate(total, messages, row_start, edge_column, edge_shift, z, x, before, next_total)
            total, next_total = next_total, total
            for i in range(codeword_bits):
                hard[i] = 1 if total[i] >= 1.0 else 0
            if parity_holds(hard, row_start, edge_column, edge_shift, z, syndrome):
                break
        out[word] = hard[:k]


def decode_sum_product(
    llr: NDArray[np.float32], graph: LdpcGraph, iterations: int = DEFAULT_ITERATIONS
) -> NDArray[np.uint8]:
    """Decode words of received LLRs; rate recovery is included.

    Args:
        llr: float32[words, n], log p(1) / p(0) of the sent bits in the order of sending.
        graph: the code, from `ldpc_graph(k, n, bits_per_symbol)`.
        iterations: at most, at least 1; a word is done as soon as its hard decisions satisfy every
            parity check.

    Returns:
        uint8[words, k], the decided information bits (an LLR of exactly zero decides for 1).

    Raises:
        ChannelError: `llr` has another shape, or no iteration is allowed.
    """
    check_decoder_input(llr, graph, iterations)
    out = np.empty((len(llr), graph.k), np.uint8)
    _decode_words(
        np.ascontiguousarray(llr, np.float32),
        graph.row_start,
        graph.edge_column,
        graph.edge_shift,
        graph.sent,
        graph.lifting_size,
        graph.information_end,
        graph.codeword_bits,
        iterations,
        out,
    )
    return out
