"""Layered offset min-sum decoding of the 5G LDPC codes.

For every check node c of a row and every bit v in it, with the posterior LLRs L and the messages R
of the last visit (all zero at first), positive for a zero:

    x[v]  =  L[v] - R[c, v]                                            what the others say of v
    R[c, v]  =  prod sign(x[v'])  *  max(min |x[v']| - offset, 0)      over the check's v' != v
    L[v]  =  x[v] + R[c, v]

where x is clipped to +-20 inside the second line only. A row's Z checks touch Z different bits in
each column, so they are worked on side by side; rows follow one another, so that each one uses
what the one before it has learnt (a layered schedule: half the iterations of a flooding one).

Without the early stop every word is decided as by Sionna's `LDPC5GDecoder` (`cn_update=
"offset-minsum"`, `cn_schedule="layered"`), but for some words that neither decodes: Sionna adds a
bit's messages up anew at every step, here the sum is carried along, and the last digits differ.

Source: J. Chen, A. Dholakia, E. Eleftheriou, M. Fossorier, X.-Y. Hu, "Reduced-complexity decoding
of LDPC codes", IEEE Trans. Commun. 53(8), 2005; D. Hocevar, "A reduced complexity decoder
architecture via layered decoding of LDPC codes", IEEE SiPS, 2004.
"""

import numpy as np
from numpy.typing import NDArray

from channels.errors import ChannelError
from channels.kernels import kernel
from channels.ldpc_graph import LdpcGraph

#: Largest magnitude of a channel LLR and of a message into a check node.
LLR_MAX = 20.0
#: Taken off every minimum; min-sum would otherwise be too sure of itself.
OFFSET = 0.5
DEFAULT_ITERATIONS = 20

# The per-check state of a row lies in one array at these fixed distances (the largest lifting
# size): the compiler then sees that its parts do not overlap and uses vector instructions.
_SMALLEST = np.uintp(0)
_SECOND = np.uintp(384)
_SIGN = np.uintp(768)
_SMALLEST_OUT = np.uintp(1152)
_STATE_LENGTH = 4 * 384


# Offsets are unsigned: numba would test a signed index for being negative, in the innermost loops.


@kernel
def _collect(
    posterior: NDArray[np.float32],
    bit: np.uintp,
    messages: NDArray[np.float32],
    message: np.uintp,
    state: NDArray[np.float32],
    check: np.uintp,
    count: np.uintp,
) -> None:
    """Fold one edge of each of `count` checks into their two minima and signs.

    The edges' bits start at `bit`, their messages at `message`, the checks' state at `check`.
    """
    limit = np.float32(LLR_MAX)
    for i in range(count):
        x = posterior[bit + i] - messages[message + i]
        size = abs(x)
        size = size if size < limit else limit
        smallest = state[_SMALLEST + check + i]
        second = state[_SECOND + check + i]
        larger = size if size > smallest else smallest
        state[_SECOND + check + i] = larger if larger < second else second
        state[_SMALLEST + check + i] = size if size < smallest else smallest
        sign = state[_SIGN + check + i]
        state[_SIGN + check + i] = -sign if x < 0 else sign


@kernel
def _reply(
    posterior: NDArray[np.float32],
    bit: np.uintp,
    messages: NDArray[np.float32],
    message: np.uintp,
    state: NDArray[np.float32],
    check: np.uintp,
    count: np.uintp,
) -> None:
    """Answer one edge of each of `count` checks, from their finished minima and signs."""
    limit = np.float32(LLR_MAX)
    for i in range(count):
        x = posterior[bit + i] - messages[message + i]
        size = abs(x)
        size = size if size < limit else limit
        # Where two bits share the minimum, the second smallest equals it: no need to know which.
        is_smallest = size == state[_SMALLEST + check + i]
        out = state[_SECOND + check + i] if is_smallest else state[_SMALLEST_OUT + check + i]
        out *= state[_SIGN + check + i]
        out = -out if x < 0 else out
        messages[message + i] = out
        posterior[bit + i] = x + out


@kernel
def _flip(
    syndrome: NDArray[np.uint8],
    check: np.uintp,
    hard: NDArray[np.uint8],
    bit: np.uintp,
    count: np.uintp,
) -> None:
    for i in range(count):
        syndrome[check + i] ^= hard[bit + i]


@kernel
def parity_holds(
    hard: NDArray[np.uint8],
    row_start: NDArray[np.int32],
    edge_column: NDArray[np.int32],
    edge_shift: NDArray[np.int32],
    z: int,
    syndrome: NDArray[np.uint8],
) -> bool:
    """Whether uint8[codeword_bits] `hard` satisfies every check; uint8[z] `syndrome` is scratch."""
    for row in range(len(row_start) - 1):
        syndrome[:] = 0
        for edge in range(row_start[row], row_start[row + 1]):
            start = np.uintp(edge_column[edge] * z)
            shift = np.uintp(edge_shift[edge])
            cut = np.uintp(z) - shift
            _flip(syndrome, np.uintp(0), hard, start + shift, cut)
            _flip(syndrome, cut, hard, start, shift)
        wrong = np.uint8(0)
        for i in range(z):
            wrong |= syndrome[i]
        if wrong:
            return False
    return True


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
    max_iterations: int,
    early_stop: bool,
    out: NDArray[np.uint8],
    parity_ok: NDArray[np.bool_],
) -> None:
    words, k = out.shape
    limit = np.float32(LLR_MAX)
    offset = np.float32(OFFSET)
    zero = np.float32(0.0)
    rows = len(row_start) - 1
    posterior = np.empty(codeword_bits, np.float32)
    messages = np.empty(len(edge_column) * z, np.float32)
    state = np.empty(_STATE_LENGTH, np.float32)
    hard = np.empty(codeword_bits, np.uint8)
    syndrome = np.empty(z, np.uint8)
    for word in range(words):
        posterior[:] = zero
        for i in range(len(sent)):
            posterior[sent[i]] -= llr[word, i]
        for i in range(codeword_bits):
            posterior[i] = min(max(posterior[i], -limit), limit)
        posterior[k:information_end] = limit
        messages[:] = zero
        parity_ok[word] = False
        for iteration in range(max_iterations):
            for row in range(rows):
                for i in range(z):
                    state[_SMALLEST + np.uintp(i)] = np.float32(np.inf)
                    state[_SECOND + np.uintp(i)] = np.float32(np.inf)
                    state[_SIGN + np.uintp(i)] = np.float32(1.0)
                for edge in range(row_start[row], row_start[row + 1]):
                    start = np.uintp(edge_column[edge] * z)
                    shift = np.uintp(edge_shift[edge])
                    cut = np.uintp(z) - shift
                    message = np.uintp(edge * z)
                    _collect(posterior, start + shift, messages, message, state, np.uintp(0), cut)
                    _collect(posterior, start, messages, message + cut, state, cut, shift)
                for i in range(z):
                    smallest = state[_SMALLEST + np.uintp(i)] - offset
                    second = state[_SECOND + np.uintp(i)] - offset
                    state[_SMALLEST_OUT + np.uintp(i)] = smallest if smallest > zero else zero
                    state[_SECOND + np.uintp(i)] = second if second > zero else zero
                for edge in range(row_start[row], row_start[row + 1]):
                    start = np.uintp(edge_column[edge] * z)
                    shift = np.uintp(edge_shift[edge])
                    cut = np.uintp(z) - shift
                    message = np.uintp(edge * z)
                    _reply(posterior, start + shift, messages, message, state, np.uintp(0), cut)
                    _reply(posterior, start, messages, message + cut, state, cut, shift)
            if early_stop or iteration == max_iterations - 1:
                for i in range(codeword_bits):
                    hard[i] = 1 if posterior[i] <= zero else 0
                if parity_holds(hard, row_start, edge_column, edge_shift, z, syndrome):
                    parity_ok[word] = True
                    if early_stop:
                        break
        for i in range(k):
            out[word, i] = 1 if posterior[i] <= zero else 0


def decode_ldpc(
    llr: NDArray[np.float32],
    graph: LdpcGraph,
    max_iterations: int = DEFAULT_ITERATIONS,
    early_stop: bool = True,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Decode words of received LLRs; rate recovery is included.

    Args:
        llr: float32[words, n], log p(1) / p(0) of the sent bits in the order of sending; clipped
            to +-20.
        graph: the code, from `ldpc_graph(k, n, bits_per_symbol)`.
        max_iterations: passes over all rows, at least 1.
        early_stop: stop a word as soon as its hard decisions satisfy every parity check.

    Returns:
        uint8[words, k], the decided information bits (an LLR of exactly zero decides for 1), and
        bool[words], whether all parity checks held at the end.

    Raises:
        ChannelError: `llr` has another shape, or no iteration is allowed.
    """
    check_decoder_input(llr, graph, max_iterations)
    out = np.empty((len(llr), graph.k), np.uint8)
    parity_ok = np.empty(len(llr), np.bool_)
    _decode_words(
        np.ascontiguousarray(llr, np.float32),
        graph.row_start,
        graph.edge_column,
        graph.edge_shift,
        graph.sent,
        graph.lifting_size,
        graph.information_end,
        graph.codeword_bits,
        max_iterations,
        early_stop,
        out,
        parity_ok,
    )
    return out, parity_ok


def check_decoder_input(llr: NDArray[np.float32], graph: LdpcGraph, max_iterations: int) -> None:
    """Raises ChannelError unless `llr` is [words, n] and at least one iteration is allowed."""
    if llr.ndim != 2 or llr.shape[1] != graph.n:
        raise ChannelError(f"LDPC: expected llr[words, {graph.n}], found {llr.shape}")
    if max_iterations < 1:
        raise ChannelError(f"LDPC: expected max_iterations >= 1, found {max_iterations}")
