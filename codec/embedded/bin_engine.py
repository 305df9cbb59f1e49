"""Binary arithmetic coding with a probability for each bin, and decoding of any prefix.

The interval arithmetic of CABAC (codec.cabac_engine) with wider registers: probabilities of 16 bits
instead of 6, a range of 40 to 48 bits instead of 9. The networks' probabilities are often within
.001 of certainty, and there H.266's coder cannot go below .0114 bits per bin.

    state = start_encoder()                     state = start_decoder()
    encode_bin(state, buffer, p1, b)            b = decode_bin(state, data, p1)
    n_bytes = finish_encoder(state, buffer)     if overrun(state): the bin is not certain, stop

A stream is one number between 0 and 1; what it codes is an interval. Its leading bytes determine a
bin if every continuation gives the same, which is what `decode_bin` checks: so a prefix of any
length is decoded as far as it determines anything and no length need be sent, and the encoder ends
with as few bytes as determine all of its bins.

Source: Martin, "Range encoding" (1979), with carries as in ITU-T H.266, 9.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.jit import Integer, kernel

PROBABILITY_BITS = 16
PROBABILITY_ONE = 1 << PROBABILITY_BITS
"""p1 is P(bin = 1) in these units, 1 .. PROBABILITY_ONE - 1."""

_REGISTER_BYTES = 6
_TOP_BITS = 8 * _REGISTER_BYTES
_LEAST_RANGE_BITS = _TOP_BITS - 8

# Encoder int64[3]: low, range, bytes written. Decoder int64[4]: value, range, next byte, uncertain.
_LOW, _RANGE, _POSITION, _UNCERTAIN = 0, 1, 2, 3


def worst_case_bytes(n_bins: int) -> int:
    """A buffer that holds any stream of so many bins: a bin takes at most 16 bits."""
    return 2 * n_bins + 16


@kernel
def start_encoder() -> NDArray[np.int64]:
    """A fresh encoder state."""
    state = np.zeros(3, dtype=np.int64)
    state[_RANGE] = np.int64(1) << _TOP_BITS
    return state


@kernel
def _write_byte(buffer: NDArray[np.uint8], position: Integer, lead: Integer) -> None:
    """Puts `lead`, 0 .. 511, at `position`: what is above 255 is carried into the bytes before."""
    if lead > 255:
        i = position - 1
        while i >= 0 and buffer[i] == 255:
            buffer[i] = 0
            i -= 1
        if i >= 0:
            buffer[i] += np.uint8(1)
    buffer[position] = lead & 255


@kernel
def encode_bin(
    state: NDArray[np.int64], buffer: NDArray[np.uint8], p1: Integer, b: Integer
) -> None:
    """Codes the bin `b`. buffer: uint8, of `worst_case_bytes`; nothing is checked."""
    r = state[_RANGE]
    bound = (r >> PROBABILITY_BITS) * p1
    low = state[_LOW]
    if b != 0:
        r = bound
    else:
        low += bound
        r -= bound
    position = state[_POSITION]
    while r < (np.int64(1) << _LEAST_RANGE_BITS):
        _write_byte(buffer, position, low >> _LEAST_RANGE_BITS)
        low = (low & ((np.int64(1) << _LEAST_RANGE_BITS) - 1)) << 8
        r <<= 8
        position += 1
    state[_LOW] = low
    state[_RANGE] = r
    state[_POSITION] = position


@kernel
def bytes_written(state: NDArray[np.int64]) -> int:
    """Bytes so far; the next few bins' worth is still in the registers."""
    return int(state[_POSITION])


@kernel
def boundary(state: NDArray[np.int64]) -> int:
    """About how many of the stream's bytes determine the bins so far: a good place to cut."""
    count = 0
    while (np.int64(1) << (8 * (_REGISTER_BYTES - count))) > state[_RANGE]:
        count += 1
    return int(state[_POSITION] + count)


@kernel
def finish_encoder(state: NDArray[np.int64], buffer: NDArray[np.uint8]) -> int:
    """Writes the fewest bytes that determine every bin; returns the stream's length in bytes."""
    low, r = state[_LOW], state[_RANGE]
    position = state[_POSITION]
    for count in range(_REGISTER_BYTES + 1):
        shift = 8 * (_REGISTER_BYTES - count)
        number = (low + (np.int64(1) << shift) - 1) >> shift
        if (number + 1) << shift <= low + r:
            break
    for k in range(count):
        # The first byte may carry; those after it are whole.
        lead = number >> (8 * (count - 1 - k))
        _write_byte(buffer, position + k, lead if k == 0 else lead & 255)
    return int(position + count)


def decoder_input(data: bytes) -> NDArray[np.uint8]:
    """The stream as the decoder takes it."""
    return np.frombuffer(data, dtype=np.uint8)


@kernel
def start_decoder(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """A decoder state at the beginning of `data`."""
    state = np.zeros(4, dtype=np.int64)
    state[_RANGE] = np.int64(1) << _TOP_BITS
    for i in range(_REGISTER_BYTES):
        state[_LOW] = (state[_LOW] << 8) | (np.int64(data[i]) if i < data.size else 0)
    state[_POSITION] = _REGISTER_BYTES
    return state


@kernel
def overrun(state: NDArray[np.int64]) -> bool:
    """True once a bin was decoded that bytes missing at the end of the data could have changed.

    Every bin decoded while this is False is the bin that was coded.
    """
    return bool(state[_UNCERTAIN] != 0)


@kernel
def decode_bin(state: NDArray[np.int64], data: NDArray[np.uint8], p1: Integer) -> int:
    """Decodes a bin; ask `overrun` afterwards whether it is certain."""
    r = state[_RANGE]
    bound = (r >> PROBABILITY_BITS) * p1
    value = state[_LOW]
    position = state[_POSITION]
    missing = position - data.size
    if missing > 0 and value < bound:
        # Missing bytes were read as zeros: the value may be this much larger.
        least = min(missing, np.int64(_REGISTER_BYTES))
        if value + (np.int64(1) << (8 * least)) > bound:
            state[_UNCERTAIN] = 1
    if value < bound:
        b = 1
        r = bound
    else:
        b = 0
        value -= bound
        r -= bound
    while r < (np.int64(1) << _LEAST_RANGE_BITS):
        value = (value << 8) | (np.int64(data[position]) if position < data.size else 0)
        r <<= 8
        position += 1
    state[_LOW] = value
    state[_RANGE] = r
    state[_POSITION] = position
    return b
