"""The arithmetic engine under `codec.cabac`: ITU-T H.266, clauses 9.3.2.2 and 9.3.4.3, in integers.

A context is four integers (s0, s1, r0, r1): two estimates of P(bin = 1), of 10 and 14 bits, and
the right-shift by which each forgets. P = 16 s0 + s1 is their sum, a probability of 15 bits.

    encode:  R -= LPS;  if bin != MPS: low += R, R = LPS;  then double R and low until R >= 256

With n doublings in all, the stream is `low >> 8` written in n + 1 bits, a stop bit 1, and zeros up
to the byte. A compiled loop that calls these kernels looks like this (bins and contexts are
signed integers; nothing is checked):

    data = decoder_input(stream)             # outside of compiled code

    state = start_encoder()                  state = start_decoder(data)
    encode_bin(state, buffer, states, c, b)  b = decode_bin(state, data, states, c)
    encode_terminate(state, buffer, 1)       if overrun(state): the bin is not certain, stop
    n_bytes = finish_encoder(state, buffer)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codec.base import CodecError
from codec.jit import Integer, kernel

P1_BITS = 15
BYPASS = -1
"""In place of a context: a bin of probability 1/2 that no context learns from."""
TERMINATE = -2
"""In place of a context: a bin that is almost surely 0 (H.266, 9.3.4.3.5)."""

_INITIAL_RANGE = 510

MOST_BINS_PER_BYTE = 705
"""No stream holds more: an LPS has at least 4 of at most 510, so a bin takes .0114 bits or more."""

# Encoder state, int64[4]. Of the stream's (9 + shifts) bits of `low`, the leading ones are already
# bytes in the buffer; the register keeps the rest, 9 + PENDING bits, plus a carry above them.
_LOW, _RANGE, _PENDING, _POSITION = 0, 1, 2, 3

# Decoder state, int64[5]. VALUE holds the 9-bit window and AHEAD further bits behind it; NEXT_BYTE
# counts the bytes that went in, the zeros that stand for missing ones included. AHEAD is 8 or more
# between bins, so the window is whole at every decision.
_VALUE, _D_RANGE, _AHEAD, _NEXT_BYTE, _UNCERTAIN = 0, 1, 2, 3, 4

# Doublings that bring a range of 4 .. 511 back to 256 or more, by range >> 3.
_RENORM_SHIFTS = np.array([6, 5, 4, 4] + [3] * 4 + [2] * 8 + [1] * 16 + [0] * 32, dtype=np.int64)


# ---------------------------------------------------------------------------------- contexts


def context_states_from_p1_15bit(p1_15bit: ArrayLike, shift: ArrayLike) -> NDArray[np.int32]:
    """Contexts from integer probabilities: the way in for trained tables.

    p1_15bit: int (n,), P(bin = 1) times 2^15, 0 .. 32768 (certainty is taken as 32767).
    shift: int (n,) or one for all, how slowly the estimates forget: r0 = 2 + (shift >> 2) and
    r1 = 3 + r0 + (shift & 3), which may not exceed 9: 0-10, 12 and 13 (H.266, 9.3.2.2).
    Returns int32 (n, 4): s0, s1, r0, r1. Raises CodecError for anything else.
    """
    probabilities = np.atleast_1d(np.asarray(p1_15bit))
    if probabilities.ndim != 1 or not np.issubdtype(probabilities.dtype, np.integer):
        raise CodecError(
            f"expected 15-bit probabilities as a vector of integers, found "
            f"{probabilities.dtype} {probabilities.shape}"
        )
    shifts = np.asarray(shift)
    if not np.issubdtype(shifts.dtype, np.integer) or shifts.size not in (1, probabilities.size):
        raise CodecError(
            f"expected one integer shift, or one for each of {probabilities.size} contexts, "
            f"found {shifts.dtype} {shifts.shape}"
        )
    r0 = 2 + ((shifts >> 2) & 3)
    r1 = 3 + r0 + (shifts & 3)
    if np.any(shifts < 0) or np.any(shifts > 15) or np.any(r1 > 9):
        raise CodecError(f"expected shifts of 0-10, 12 or 13, found {np.unique(shifts).tolist()}")
    if np.any(probabilities < 0) or np.any(probabilities > 1 << P1_BITS):
        raise CodecError(f"expected 15-bit probabilities of 0 .. {1 << P1_BITS}")
    clipped = np.minimum(probabilities, (1 << P1_BITS) - 1)
    states = np.empty((probabilities.size, 4), dtype=np.int32)
    states[:, 0] = clipped >> 5
    states[:, 1] = clipped >> 1
    states[:, 2] = r0.reshape(-1)
    states[:, 3] = r1.reshape(-1)
    return states


def context_states(p1: ArrayLike, shift: ArrayLike) -> NDArray[np.int32]:
    """Contexts from probabilities P(bin = 1), float (n,) in 0 .. 1, truncated to 15 bits.

    `shift` and the result are those of `context_states_from_p1_15bit`.
    """
    probabilities = np.atleast_1d(np.asarray(p1, dtype=np.float64))
    if not np.all((probabilities >= 0) & (probabilities <= 1)):
        raise CodecError("expected probabilities between 0 and 1")
    return context_states_from_p1_15bit(np.trunc(probabilities * (1 << P1_BITS)).astype(int), shift)


def check_context_states(states: NDArray[np.int32]) -> None:
    """Raises CodecError unless `states` is an int32 array (n, 4) of contexts."""
    if states.dtype != np.int32 or states.ndim != 2 or states.shape[1] != 4:
        raise CodecError(
            f"expected context states of dtype int32 and shape (n, 4), "
            f"found {states.dtype} {tuple(states.shape)}"
        )
    limits = np.array([1 << 10, 1 << 14, 6, 10])
    if np.any(states < np.array([0, 0, 2, 5])) or np.any(states >= limits):
        raise CodecError("context states out of range: not made by context_states")


@kernel
def _learn(
    states: NDArray[np.int32], context: Integer, s0: Integer, s1: Integer, b: Integer
) -> None:
    """H.266, 9.3.4.3.2.2: each estimate takes a step of 2^-r towards the bin just coded."""
    r0 = np.int64(states[context, 2])
    r1 = np.int64(states[context, 3])
    states[context, 0] = s0 - (s0 >> r0) + ((1023 * b) >> r0)
    states[context, 1] = s1 - (s1 >> r1) + ((16383 * b) >> r1)


# ----------------------------------------------------------------------------- encoder kernels


def worst_case_bytes(n_bins: int) -> int:
    """A buffer that holds any stream of `n_bins` bins of whatever kind, terminated.

    No bin emits more than seven bits (a context bin six, bypass one), and the end adds at most
    a terminating bin and two bytes.
    """
    return n_bins + 4


@kernel
def start_encoder() -> NDArray[np.int64]:
    """A fresh encoder state: int64 (4,), low, range, pending bits, bytes written."""
    state = np.zeros(4, dtype=np.int64)
    state[_RANGE] = _INITIAL_RANGE
    return state


@kernel
def _emit_byte(state: NDArray[np.int64], buffer: NDArray[np.uint8]) -> None:
    pending = state[_PENDING] - 8
    lead = state[_LOW] >> (pending + 9)
    state[_LOW] &= (1 << (pending + 9)) - 1
    state[_PENDING] = pending
    position = state[_POSITION]
    state[_POSITION] = position + 1
    if position >= buffer.size:
        return
    if lead > 255:
        # The carry runs through the 0xFF bytes before it; it leaves zeros, so no run is walked
        # twice, and it always stops, as `low` never outgrows its 9 + shifts bits.
        i = position - 1
        while i >= 0 and buffer[i] == 255:
            buffer[i] = 0
            i -= 1
        if i >= 0:
            buffer[i] += np.uint8(1)
    buffer[position] = lead & 255


@kernel
def encode_bin(
    state: NDArray[np.int64],
    buffer: NDArray[np.uint8],
    states: NDArray[np.int32],
    context: Integer,
    b: Integer,
) -> None:
    """Codes the bin `b` (0 or 1) in context `context`, which learns from it (9.3.4.3.2).

    buffer: uint8, of `worst_case_bytes`; bytes beyond its end are counted but not stored, so
    `finish_encoder` returning more than `buffer.size` means that the stream is lost.
    states: int32 (n, 4), changed in place. Nothing here is checked: 0 <= context < n is the
    caller's duty.
    """
    s0 = np.int64(states[context, 0])
    s1 = np.int64(states[context, 1])
    p = 16 * s0 + s1
    mps = p >> 14
    q = (p ^ (32767 * mps)) >> 9
    r = state[_RANGE]
    lps = ((q * (r >> 5)) >> 1) + 4
    r -= lps
    low = state[_LOW]
    if b != mps:
        shift = _RENORM_SHIFTS[lps >> 3]
        low += r
        r = lps
    else:
        # An MPS keeps at least half of the range: one doubling always suffices.
        shift = np.int64(r < 256)
    pending = state[_PENDING] + shift
    state[_LOW] = low << shift
    state[_RANGE] = r << shift
    state[_PENDING] = pending
    _learn(states, context, s0, s1, np.int64(b))
    if pending >= 8:
        _emit_byte(state, buffer)


@kernel
def encode_bypass(state: NDArray[np.int64], buffer: NDArray[np.uint8], b: Integer) -> None:
    """Codes the bin `b` with probability 1/2: exactly one bit (9.3.4.3.4)."""
    state[_LOW] = 2 * state[_LOW] + np.int64(b) * state[_RANGE]
    state[_PENDING] += 1
    if state[_PENDING] >= 8:
        _emit_byte(state, buffer)


@kernel
def encode_terminate(state: NDArray[np.int64], buffer: NDArray[np.uint8], b: Integer) -> None:
    """Codes a terminate bin; b = 1 takes seven bits and is what `finish_encoder` needs before it
    (9.3.4.3.5)."""
    r = state[_RANGE] - 2
    if b != 0:
        state[_LOW] = (state[_LOW] + r) << 7
        state[_RANGE] = 256
        state[_PENDING] += 7
    elif r < 256:
        state[_LOW] <<= 1
        state[_RANGE] = r << 1
        state[_PENDING] += 1
    else:
        state[_RANGE] = r
    if state[_PENDING] >= 8:
        _emit_byte(state, buffer)


@kernel
def bytes_written(state: NDArray[np.int64]) -> int:
    """Whole bytes that the encoder has put into its buffer so far."""
    return int(state[_POSITION])


@kernel
def finish_encoder(state: NDArray[np.int64], buffer: NDArray[np.uint8]) -> int:
    """After a terminate bin 1: writes what is pending, the stop bit 1 and zeros up to the byte.

    Returns the stream's length in bytes: it is `buffer[:length]`.
    """
    # The register's 9 + PENDING bits (PENDING <= 7) end in 8 that are not sent: the stop bit takes
    # the place of the first of these, zeros that of the others.
    pending = state[_PENDING]
    state[_LOW] = ((state[_LOW] >> 8) << 8) | 0x80
    _emit_byte(state, buffer)
    if pending == 7:
        _emit_byte(state, buffer)
    return int(state[_POSITION])


# ----------------------------------------------------------------------------- decoder kernels


def decoder_input(data: bytes) -> NDArray[np.uint8]:
    """The stream as the decoder kernels take it: uint8 (len(data) + 1,), a zero byte behind it.

    The kernels read that zero again and again in place of the bytes that are missing.
    """
    return np.frombuffer(data + b"\x00", dtype=np.uint8)


@kernel
def start_decoder(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A decoder state at the beginning of `data`, which is from `decoder_input`.

    int64 (5,): window and look-ahead bits, range, look-ahead length in bits, bytes taken in,
    uncertain (see `overrun`).
    """
    state = np.zeros(5, dtype=np.int64)
    state[_D_RANGE] = _INITIAL_RANGE
    state[_AHEAD] = -9
    for _ in range(3):
        byte = np.int64(data[min(state[_NEXT_BYTE], data.size - 1)])
        state[_VALUE] = (state[_VALUE] << 8) | byte
        state[_AHEAD] += 8
        state[_NEXT_BYTE] += 1
    return state


@kernel
def _note_uncertainty(state: NDArray[np.int64], n_bytes: Integer, threshold: Integer) -> None:
    """Marks the state unless every continuation of the data falls on one side of `threshold`.

    The window is the least it can be, as missing bits read as zeros; with m of them missing the
    full stream's window is at most 2^m - 1 more.
    """
    missing = 8 * (state[_NEXT_BYTE] - n_bytes) - state[_AHEAD]
    if missing > 0:
        least = state[_VALUE] >> state[_AHEAD]
        most = least + (1 << min(missing, np.int64(10))) - 1
        if least < threshold and most >= threshold:
            state[_UNCERTAIN] = 1


@kernel
def overrun(state: NDArray[np.int64]) -> bool:
    """True once a bin was decoded that bits missing at the end of the data could have changed.

    Every bin decoded while this is False is the bin that was coded; the first after which it is
    True, and all later ones, are guesses. Decoding on is harmless: missing bits read as zeros.
    """
    return bool(state[_UNCERTAIN] != 0)


@kernel
def bits_in_window(state: NDArray[np.int64]) -> int:
    """Bits of the stream that the decoder's next decision rests upon: 9 plus the shifts so far."""
    return int(8 * state[_NEXT_BYTE] - state[_AHEAD])


@kernel
def _store(
    state: NDArray[np.int64], data: NDArray[np.uint8], value: Integer, r: Integer, ahead: Integer
) -> None:
    """Puts the decoder's registers back, with a further byte if fewer than 8 bits are ahead."""
    # The byte is read whether needed or not: a read inside the branch keeps numba from removing
    # the reference counting around this call, and decoding then takes ten times as long.
    i = state[_NEXT_BYTE]
    byte = np.int64(data[min(i, data.size - 1)])
    if ahead < 8:
        value = (value << 8) | byte
        ahead += 8
        i += 1
    state[_VALUE] = value
    state[_D_RANGE] = r
    state[_AHEAD] = ahead
    state[_NEXT_BYTE] = i


@kernel
def decode_bin(
    state: NDArray[np.int64], data: NDArray[np.uint8], states: NDArray[np.int32], context: Integer
) -> int:
    """Decodes a bin in context `context`, which learns from it; the inverse of `encode_bin`.

    data: from `decoder_input`. states: int32 (n, 4), changed in place. Ask `overrun` afterwards
    whether the bin is certain.
    """
    s0 = np.int64(states[context, 0])
    s1 = np.int64(states[context, 1])
    p = 16 * s0 + s1
    mps = p >> 14
    q = (p ^ (32767 * mps)) >> 9
    r = state[_D_RANGE]
    lps = ((q * (r >> 5)) >> 1) + 4
    r -= lps
    if state[_NEXT_BYTE] >= data.size:
        _note_uncertainty(state, data.size - 1, r)
    value = state[_VALUE]
    ahead = state[_AHEAD]
    scaled = r << ahead
    # Masks, not branches: which way a bin goes is what a processor cannot predict.
    is_lps = np.int64(value >= scaled)
    b = mps ^ is_lps
    value -= scaled & -is_lps
    r += (lps - r) & -is_lps
    shift = _RENORM_SHIFTS[r >> 3]
    _store(state, data, value, r << shift, ahead - shift)
    _learn(states, context, s0, s1, b)
    return int(b)


@kernel
def decode_bypass(state: NDArray[np.int64], data: NDArray[np.uint8]) -> int:
    """Decodes a bin of probability 1/2; the inverse of `encode_bypass`."""
    r = state[_D_RANGE]
    value = state[_VALUE]
    state[_AHEAD] -= 1
    ahead = state[_AHEAD]
    if state[_NEXT_BYTE] >= data.size:
        _note_uncertainty(state, data.size - 1, r)
    scaled = r << ahead
    b = np.int64(value >= scaled)
    _store(state, data, value - (scaled & -b), r, ahead)
    return int(b)


@kernel
def decode_terminate(state: NDArray[np.int64], data: NDArray[np.uint8]) -> int:
    """Decodes a terminate bin; the inverse of `encode_terminate`."""
    r = state[_D_RANGE] - 2
    if state[_NEXT_BYTE] >= data.size:
        _note_uncertainty(state, data.size - 1, r)
    value = state[_VALUE]
    ahead = state[_AHEAD]
    scaled = r << ahead
    b = np.int64(value >= scaled)
    value -= scaled & -b
    r += (2 - r) & -b
    shift = 7 if b == 1 else np.int64(r < 256)
    _store(state, data, value, r << shift, ahead - shift)
    return int(b)
