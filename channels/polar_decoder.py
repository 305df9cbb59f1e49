"""Successive cancellation list decoding of polar codes, CRC-aided.

The inputs of the transform are decided one after the other, each knowing those before it. A node of
length 2^s gets LLRs a, positive for a zero, passes them on to its two halves and gives back the
bits x at its outputs:

    left half:   sign(a[i] a[i + h]) min(|a[i]|, |a[i + h]|)        h = 2^(s-1)
    right half:  a[i + h] + a[i]  or, where the left half's bit is 1,  a[i + h] - a[i]
    x[i] = left[i] xor right[i],   x[i + h] = right[i]

A list of paths is kept. A path pays |a| for each bit that it decides against its LLR a (I. Tal,
A. Vardy, "List decoding of polar codes", IEEE Trans. Inf. Theory 61(5), 2015; A. Balatsoukas-
Stimming, M. Bastani Parizi, A. Burg, "LLR-based successive cancellation list decoding of polar
codes", IEEE Trans. Signal Process. 63(19), 2015). After every decision the cheapest ones stay, at
last the cheapest one whose CRC holds.

Nodes whose inputs are all frozen, all free, all frozen but the last, or all free but the first are
a constant, a repetition, no code and a single parity check. They are decided as a whole: every path
branches only at its least reliable bits, which gives the list that deciding input by input would
give (S. A. Hashemi, C. Condo, W. J. Gross, "Fast and flexible successive-cancellation list
decoders for polar codes", IEEE Trans. Signal Process. 65(21), 2017). Here, moreover, a bit is not
looked at where turning it would cost more than the most expensive path of a full list.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.crc import CRC_BITS, CRC_POLYNOMIALS, CrcKind, crc_remainder
from channels.errors import ChannelError
from channels.kernels import kernel
from channels.polar_code import PolarCode, transform

DEFAULT_LIST_SIZE = 8
MAX_LIST_SIZE = 64
LLR_MAX = 1e4
"""Largest magnitude of a channel LLR."""
#: LLR of a bit that is known to be zero: more than all others together can say.
_KNOWN_ZERO = np.float32(1e9)
#: Of `turned`: the bit of a node that keeps its parity.
_PARITY_BIT = np.uint64(1 << 63)

# What to do with a node, in the order of the program.
_LEFT, _RIGHT, _COMBINE, _CONSTANT, _REPETITION, _FREE, _PARITY = range(7)


@lru_cache(maxsize=512)
def _program(code: PolarCode) -> NDArray[np.int32]:
    """The visits to the nodes of a code's tree: int32[steps, 3] of operation, s, and half.

    The half tells whether the node is the left (0) or the right (1) one of its parent.
    """
    free = np.zeros(code.mother_bits, np.bool_)
    free[code.information] = True
    steps: list[tuple[int, int, int]] = []

    def visit(first: int, stage: int, half: int) -> None:
        node = free[first : first + (1 << stage)]
        if not node.any():
            steps.append((_CONSTANT, stage, half))
        elif node.all():
            steps.append((_FREE, stage, half))
        elif not node[:-1].any():
            steps.append((_REPETITION, stage, half))
        elif node[1:].all():
            steps.append((_PARITY, stage, half))
        else:
            steps.append((_LEFT, stage, half))
            visit(first, stage - 1, 0)
            steps.append((_RIGHT, stage, half))
            visit(first + (1 << (stage - 1)), stage - 1, 1)
            steps.append((_COMBINE, stage, half))

    visit(0, code.mother_bits.bit_length() - 1, 1)
    return np.array(steps, np.int32)


# Arrays of LLRs and of bits hold stage s of path p from row(p) + 2^s on, row(p) being 2 N p. A path
# that branches shares the rows of the one it comes from until they are computed anew: `llr_row` and
# `left_row`, [s, p], tell whose LLRs and whose left half it goes on with. Bits are +1 for a zero
# and -1 for a one. Offsets are unsigned: numba would test a signed index for being negative, in
# the innermost loops.


@kernel
def _pass_left(
    llr: NDArray[np.float32], source: np.uintp, target: np.uintp, half: np.uintp
) -> None:
    for i in range(half):
        a = llr[source + i]
        b = llr[source + half + i]
        size_a, size_b = abs(a), abs(b)
        size = size_a if size_a < size_b else size_b
        llr[target + i] = -size if (a < 0) != (b < 0) else size


@kernel
def _pass_right(
    llr: NDArray[np.float32],
    source: np.uintp,
    target: np.uintp,
    left: NDArray[np.float32],
    left_at: np.uintp,
    half: np.uintp,
) -> None:
    for i in range(half):
        llr[target + i] = llr[source + half + i] + left[left_at + i] * llr[source + i]


@kernel
def _join(
    left: NDArray[np.float32],
    left_at: np.uintp,
    right: NDArray[np.float32],
    right_at: np.uintp,
    out: NDArray[np.float32],
    target: np.uintp,
    half: np.uintp,
) -> None:
    for i in range(half):
        out[target + i] = left[left_at + i] * right[right_at + i]
    for i in range(half):
        out[target + half + i] = right[right_at + i]


@kernel
def _cost_of(
    llr: NDArray[np.float32], first: np.uintp, size: np.uintp, sign: np.float32
) -> np.float32:
    """What it costs to decide all bits of a node for 0 (sign 1) or for 1 (sign -1)."""
    zero = np.float32(0.0)
    if size < np.uintp(4):
        total = zero
        for i in range(size):
            total += max(-sign * llr[first + i], zero)
        return total
    # Four sums, as each addition has to wait for the one before.
    a, b, c, d = zero, zero, zero, zero
    for i in range(first, first + size, np.uintp(4)):
        a += max(-sign * llr[i], zero)
        b += max(-sign * llr[i + np.uintp(1)], zero)
        c += max(-sign * llr[i + np.uintp(2)], zero)
        d += max(-sign * llr[i + np.uintp(3)], zero)
    return (a + b) + (c + d)


@kernel
def _least_reliable(
    llr: NDArray[np.float32],
    first: np.uintp,
    size: np.uintp,
    besides: int,
    limit: float,
    penalty: NDArray[np.float32],
    place: NDArray[np.int32],
) -> int:
    """Find the bits with the smallest |LLR| below `limit`, ascending, the bit `besides` left out.

    Returns how many there are; at most as many as `penalty` and `place` hold.
    """
    most = len(penalty)
    count = 0
    for i in range(size):
        value = abs(llr[first + i])
        if value < limit and i != besides:
            j = min(count, most - 1)
            while j > 0 and penalty[j - 1] > value:
                penalty[j] = penalty[j - 1]
                place[j] = place[j - 1]
                j -= 1
            penalty[j] = value
            place[j] = i
            count = min(count + 1, most)
            if count == most:
                limit = penalty[most - 1]
    return count


@kernel
def _insert(
    cost: NDArray[np.float64],
    origin: NDArray[np.int32],
    turned: NDArray[np.uint64],
    count: int,
    new_cost: float,
    new_origin: int,
    new_turned: np.uint64,
) -> int:
    """Put one more path in its place by cost, behind equal ones; the last of a full list falls out.

    Returns the number of paths.
    """
    j = count
    if count == len(cost):
        if new_cost >= cost[count - 1]:
            return count
        j -= 1
    while j > 0 and cost[j - 1] > new_cost:
        cost[j] = cost[j - 1]
        origin[j] = origin[j - 1]
        turned[j] = turned[j - 1]
        j -= 1
    cost[j] = new_cost
    origin[j] = new_origin
    turned[j] = new_turned
    return min(count + 1, len(cost))


@kernel
def _branch(
    cost: NDArray[np.float64],
    origin: NDArray[np.int32],
    turned: NDArray[np.uint64],
    count: int,
    penalty: NDArray[np.float32],
    candidates: NDArray[np.int32],
    fix: NDArray[np.float32],
) -> int:
    """Let every path branch at its least reliable bits, the least reliable first.

    Args:
        cost: of the paths, ascending; `origin` and `turned` go with it. All are changed.
        origin: which path of before the node each path comes from.
        turned: its bits against the hard decisions: bit j for candidate j, bit 63 for the one that
            keeps the parity.
        count: of paths.
        penalty: [path, candidate], what turning it costs, ascending.
        candidates: how many there are, by path.
        fix: what the bit costs that keeps the parity, by path; 0 where there is no parity.

    Returns:
        The number of paths.
    """
    before_cost = np.empty_like(cost)
    before_origin = np.empty_like(origin)
    before_turned = np.empty_like(turned)
    for j in range(penalty.shape[1]):
        before = count
        for e in range(before):
            before_cost[e] = cost[e]
            before_origin[e] = origin[e]
            before_turned[e] = turned[e]
        branched = False
        flip = (np.uint64(1) << np.uint64(j)) ^ _PARITY_BIT
        for e in range(before):
            path = int(before_origin[e])
            if j < candidates[path]:
                parity_cost = fix[path]
                if before_turned[e] & _PARITY_BIT:
                    parity_cost = -parity_cost
                new_cost = before_cost[e] + (penalty[path, j] + parity_cost)
                if count < len(cost) or new_cost < cost[count - 1]:
                    branched = True
                    count = _insert(
                        cost, origin, turned, count, new_cost, path, before_turned[e] ^ flip
                    )
        # Of a full list no path goes on branching, as later bits cost more.
        if not branched:
            break
    return count


@kernel
def _decide_repetition(
    llr: NDArray[np.float32], first: np.uintp, size: np.uintp
) -> tuple[np.float32, np.float32, bool]:
    """A node of equal bits: what the better value costs, the other one besides, and if it is 1."""
    for_zeros = _cost_of(llr, first, size, np.float32(1.0))
    for_ones = _cost_of(llr, first, size, np.float32(-1.0))
    return min(for_zeros, for_ones), abs(for_zeros - for_ones), bool(for_ones <= for_zeros)


@kernel
def _check_parity(
    llr: NDArray[np.float32], first: np.uintp, size: np.uintp
) -> tuple[np.float32, int, bool]:
    """The smallest |LLR| of a node, its place, and whether the hard decisions are of odd parity."""
    smallest = np.float32(np.inf)
    place = 0
    odd = False
    for i in range(size):
        value = llr[first + i]
        odd ^= value <= 0
        value = abs(value)
        if value < smallest:
            smallest = value
            place = i
    return smallest, place, odd


@kernel
def _inherit(
    rows: NDArray[np.uintp],
    stage: int,
    origin: NDArray[np.int32],
    paths: int,
    before: NDArray[np.uintp],
) -> None:
    """rows[s, p] becomes rows[s, origin[p]] from a stage on; `before` is for the work."""
    for s in range(stage, len(rows)):
        for p in range(paths):
            before[p] = rows[s, p]
        for p in range(paths):
            rows[s, p] = before[origin[p]]


@kernel
def _decode_word(
    steps: NDArray[np.int32],
    llr: NDArray[np.float32],
    bits: NDArray[np.float32],
    order: NDArray[np.int32],
) -> int:
    """Decode one word; path p's bits are left in bits[1] from row(p) + N on.

    Args:
        steps: of the program.
        llr: float32[list size * 2 N]; the received LLRs, positive for a zero, from N on, the rest
            for the work.
        bits: float32[2, list size * 2 N], of left and right halves.
        order: int32[list size], filled with the paths, the cheapest first.

    Returns:
        The number of paths.
    """
    one = np.uintp(1)
    list_size = len(order)
    stages = steps[:, 1].max() + 1
    row = np.uintp(len(llr) // list_size)
    left_bits, right_bits = bits[0], bits[1]
    llr_row = np.zeros((stages, list_size), np.uintp)
    left_row = np.zeros((stages, list_size), np.uintp)
    before = np.zeros(list_size, np.uintp)
    cost = np.zeros(list_size, np.float64)
    sorted_cost = np.zeros(list_size, np.float64)
    turned = np.zeros(list_size, np.uint64)
    # By path, of the node that branches: what the bits cost that it may turn, their places and
    # number, the same of the one bit that keeps the parity, and whether the hard decisions are odd
    # or the repeated bit is 1.
    most = max(list_size - 1, 1)
    penalty = np.empty((list_size, most), np.float32)
    place = np.empty((list_size, most), np.int32)
    candidates = np.zeros(list_size, np.int32)
    fix = np.zeros(list_size, np.float32)
    fix_place = np.empty(list_size, np.int64)
    decided = np.zeros(list_size, np.bool_)
    paths = 1
    for step in range(len(steps)):
        operation, stage, half = steps[step, 0], steps[step, 1], steps[step, 2]
        size = one << np.uintp(stage)
        below = size >> one
        if operation == _LEFT:
            for p in range(paths):
                at = np.uintp(p) * row
                _pass_left(llr, at + size, at + below, below)
                llr_row[stage - 1, p] = p
            continue
        if operation == _RIGHT:
            for p in range(paths):
                source = llr_row[stage, p] * row + size
                left_at = left_row[stage - 1, p] * row + below
                target = np.uintp(p) * row + below
                _pass_right(llr, source, target, left_bits, left_at, below)
                llr_row[stage - 1, p] = p
            continue

        out = left_bits if half == 0 else right_bits
        if operation == _COMBINE:
            for p in range(paths):
                left_at = left_row[stage - 1, p] * row + below
                at = np.uintp(p) * row
                _join(left_bits, left_at, right_bits, at + below, out, at + size, below)
        elif operation == _CONSTANT:
            for p in range(paths):
                first = np.uintp(p) * row + size
                cost[p] += _cost_of(llr, first, size, np.float32(1.0))
                for i in range(size):
                    out[first + i] = np.float32(1.0)
        else:
            # What every path would decide by itself, and its cost with the parity kept.
            kept = 0
            for p in range(paths):
                first = np.uintp(p) * row + size
                own_cost = cost[p]
                mask = np.uint64(0)
                fix[p] = np.float32(0.0)
                fix_place[p] = -1
                if operation == _REPETITION:
                    paid, penalty[p, 0], decided[p] = _decide_repetition(llr, first, size)
                    own_cost += paid
                    candidates[p] = 1
                elif operation == _PARITY:
                    fix[p], fix_place[p], decided[p] = _check_parity(llr, first, size)
                    if decided[p]:
                        own_cost += fix[p]
                        mask = _PARITY_BIT
                kept = _insert(sorted_cost, order, turned, kept, own_cost, p, mask)
            if operation != _REPETITION:
                worst = sorted_cost[kept - 1] if kept == list_size else np.inf
                for p in range(paths):
                    candidates[p] = _least_reliable(
                        llr, np.uintp(p) * row + size, size, fix_place[p], worst - cost[p],
                        penalty[p], place[p],
                    )  # fmt: skip
            paths = _branch(sorted_cost, order, turned, kept, penalty, candidates, fix)
            _inherit(llr_row, stage, order, paths, before)
            _inherit(left_row, stage, order, paths, before)
            for p in range(paths):
                cost[p] = sorted_cost[p]
                first = np.uintp(p) * row + size
                parent = order[p]
                mask = turned[p]
                if operation == _REPETITION:
                    is_one = decided[parent] ^ (mask & np.uint64(1) != 0)
                    for i in range(size):
                        out[first + i] = np.float32(-1.0) if is_one else np.float32(1.0)
                    continue
                source = llr_row[stage, p] * row + size
                for i in range(size):
                    out[first + i] = np.float32(-1.0) if llr[source + i] <= 0 else np.float32(1.0)
                for j in range(candidates[parent]):
                    if (mask >> np.uint64(j)) & np.uint64(1):
                        out[first + np.uintp(place[parent, j])] *= np.float32(-1.0)
                if operation == _PARITY and mask & _PARITY_BIT:
                    out[first + np.uintp(fix_place[parent])] *= np.float32(-1.0)
        if half == 0:
            for p in range(paths):
                left_row[stage, p] = p
    kept = 0
    for p in range(paths):
        kept = _insert(sorted_cost, order, turned, kept, cost[p], p, np.uint64(0))
    return paths


@kernel
def _decode_words(
    received: NDArray[np.float32],
    steps: NDArray[np.int32],
    mother_bits: int,
    information: NDArray[np.int32],
    sent: NDArray[np.int32],
    known_zeros: NDArray[np.int32],
    polynomial: int,
    crc_bits: int,
    list_size: int,
    out: NDArray[np.uint8],
    ok: NDArray[np.bool_],
) -> None:
    limit = np.float32(LLR_MAX)
    llr = np.empty(list_size * 2 * mother_bits, np.float32)
    bits = np.empty((2, list_size * 2 * mother_bits), np.float32)
    order = np.empty(list_size, np.int32)
    word = np.empty(mother_bits, np.uint8)
    decided = np.empty(len(information), np.uint8)
    channel = llr[mother_bits : 2 * mother_bits]
    for w in range(len(received)):
        for i in range(mother_bits):
            channel[i] = 0.0
        for i in range(len(sent)):
            channel[sent[i]] -= received[w, i]
        for i in range(mother_bits):
            channel[i] = min(max(channel[i], -limit), limit)
        for i in known_zeros:
            channel[i] = _KNOWN_ZERO
        paths = _decode_word(steps, llr, bits, order)
        ok[w] = False
        for p in range(paths):
            first = (2 * order[p] + 1) * mother_bits
            for i in range(mother_bits):
                word[i] = 1 if bits[1, first + i] < 0 else 0
            transform(word)
            for i in range(len(information)):
                decided[i] = word[information[i]]
            ok[w] = crc_remainder(decided, 0, len(decided), polynomial, crc_bits) == 0
            if p == 0 or ok[w]:
                for i in range(len(information)):
                    out[w, i] = decided[i]
            if ok[w]:
                break


def decode_polar(
    llr: NDArray[np.float32],
    code: PolarCode,
    crc: CrcKind = "crc16",
    list_size: int = DEFAULT_LIST_SIZE,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Decode words of received LLRs; rate recovery is included.

    Args:
        llr: float32[words, n], log p(1) / p(0) of the sent bits in the order of sending, finite;
            the sum of those of one bit is clipped to +-10,000.
        code: from `polar_code(k, n)`; the last of the k information bits are the CRC's.
        crc: the CRC that chooses among the paths.
        list_size: paths that are kept, 1 .. 64. One is plain successive cancellation.

    Returns:
        uint8[words, k], the information bits of the cheapest path whose CRC holds, otherwise of
        the cheapest path (an LLR of exactly zero decides for 1, so that a word of which nothing was
        heard is not taken for the zeros that satisfy any CRC); and bool[words], whether the CRC
        holds. As it is tried on up to `list_size` paths, a wrong word passes a CRC of 16 bits up to
        `list_size` times in 65,536.

    Raises:
        ChannelError: `llr` has another shape, the CRC is not shorter than k, or a list size outside
            its range.
    """
    if llr.ndim != 2 or llr.shape[1] != code.n:
        raise ChannelError(f"polar: expected llr[words, {code.n}], found {llr.shape}")
    if not 1 <= list_size <= MAX_LIST_SIZE:
        raise ChannelError(f"polar: expected list_size 1 .. {MAX_LIST_SIZE}, found {list_size}")
    if code.k <= CRC_BITS[crc]:
        raise ChannelError(f"polar: expected more than {CRC_BITS[crc]} bits, found k = {code.k}")
    out = np.empty((len(llr), code.k), np.uint8)
    ok = np.empty(len(llr), np.bool_)
    _decode_words(
        np.ascontiguousarray(llr, np.float32),
        _program(code),
        code.mother_bits,
        code.information,
        code.sent,
        code.known_zeros,
        CRC_POLYNOMIALS[crc],
        CRC_BITS[crc],
        list_size,
        out,
        ok,
    )
    return out, ok
