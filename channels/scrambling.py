"""Scrambling of coded bits by a Gold sequence (3GPP TS 38.211, 5.2.1 and 7.3.1.1).

    c(n)       =  x1(n + 1600) + x2(n + 1600)                                        mod 2
    x1(n + 31) =  x1(n + 3) + x1(n)                        x1(0 .. 30) = 1, 0, 0, ... 0
    x2(n + 31) =  x2(n + 3) + x2(n + 2) + x2(n + 1) + x2(n)     x2(i) = bit i of c_init

It makes the bits look random whatever the payload: no long runs, no lines in the spectrum, and
other receivers' signals that look like noise. Over a channel that treats 0 and 1 alike it changes
no error rate.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.channel import check_range
from channels.errors import ChannelError
from channels.kernels import kernel

#: First bits of both sequences that are skipped.
_SKIPPED = 1600
#: New bits of a 31-bit register that follow from its old ones only.
_STEP = 28
_MAX_INIT = (1 << 31) - 1


@kernel
def _gold_sequence(c_init: int, out: NDArray[np.uint8]) -> None:
    mask = (1 << _STEP) - 1
    first = 1
    second = c_init
    # Before each round the registers hold x(n) .. x(n + 30), x(n) in the lowest bit.
    for n in range(0, _SKIPPED + len(out), _STEP):
        both = first ^ second
        for i in range(max(0, _SKIPPED - n), min(_STEP, _SKIPPED + len(out) - n)):
            out[n + i - _SKIPPED] = (both >> i) & 1
        new_first = (first ^ first >> 3) & mask
        new_second = (second ^ second >> 1 ^ second >> 2 ^ second >> 3) & mask
        first = first >> _STEP | new_first << (31 - _STEP)
        second = second >> _STEP | new_second << (31 - _STEP)


@lru_cache(maxsize=256)
def gold_sequence(length: int, c_init: int) -> NDArray[np.uint8]:
    """The pseudo-random sequence c(n) of TS 38.211, 5.2.1.

    Args:
        length: at least 0.
        c_init: 0 .. 2^31 - 1.

    Returns:
        uint8[length], read-only; the first bits of a longer sequence are the same.

    Raises:
        ChannelError: values outside these ranges.
    """
    if length < 0:
        raise ChannelError(f"scrambling: expected length >= 0, found {length}")
    check_range("c_init", c_init, 0, _MAX_INIT)
    sequence = np.empty(length, np.uint8)
    _gold_sequence(c_init, sequence)
    sequence.setflags(write=False)
    return sequence


def shared_channel_c_init(n_rnti: int, q: int = 0, n_id: int = 0) -> int:
    """The start of the sequence for a shared data channel: n_rnti 2^15 + q 2^14 + n_id.

    Args:
        n_rnti: the receiver's number, 0 .. 65535.
        q: the codeword, 0 or 1.
        n_id: the cell's number, 0 .. 1023.

    Raises:
        ChannelError: values outside these ranges.

    Source: 3GPP TS 38.211, 7.3.1.1.
    """
    check_range("n_rnti", n_rnti, 0, 65535)
    check_range("q", q, 0, 1)
    check_range("n_id", n_id, 0, 1023)
    return (n_rnti << 15) + (q << 14) + n_id


def scramble(bits: NDArray[np.uint8], c_init: int) -> NDArray[np.uint8]:
    """Flip the bits where the sequence is 1; a second time gives them back.

    Args:
        bits: uint8[n], each 0 or 1.
        c_init: 0 .. 2^31 - 1, from `shared_channel_c_init`.

    Returns:
        uint8[n], a new array.
    """
    return bits ^ gold_sequence(len(bits), c_init)


def descramble_llr(llr: NDArray[np.float32], c_init: int) -> NDArray[np.float32]:
    """LLRs of the bits before `scramble`: the sign changes where the sequence is 1.

    Args:
        llr: float32[n], log p(1) / p(0) of the scrambled bits.
        c_init: the one given to `scramble`.

    Returns:
        float32[n], a new array.
    """
    return np.where(gold_sequence(len(llr), c_init) == 1, -llr, llr)
