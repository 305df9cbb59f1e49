"""The bins of one pass: significance, sign, refinement, each with the probability predicted for it.

The prediction may be corrected by what was told before (adaptation.py).

For each place of the pass's parity, row by row, and each of its channels:

    still 0:    does this plane hold the first one?  no -> 0
                sign; and at the first level of the channel, in unary, how many steps more
    otherwise:  the plane's bit

What was told goes into `known` (knowledge.py) and, for the networks to see, into `symbols`: first
the change of the interval's middle in steps, then which coefficients this level has told about,
both times SIGNED.unit.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from codec.embedded.adaptation import (
    REFINEMENT,
    SIGN,
    SIGNIFICANCE,
    Mixer,
    corrected,
    learn,
    look_around,
)
from codec.embedded.bin_engine import (
    PROBABILITY_ONE,
    decode_bin,
    encode_bin,
    overrun,
)
from codec.embedded.networks import HEAD_OUTPUTS
from codec.embedded.schedule import Told
from codec.fixed_point import BIN_LOGIT, SIGNED
from codec.jit import Integer, kernel

MORE = PROBABILITY_ONE // 64
"""P that a coefficient is larger than its first level can tell, in PROBABILITY_ONE: .008 in group
2, where it matters most, on CIFAR-10's training half, more in pictures with sharper edges."""
MOST_STEPS = 32
"""Of a coefficient's first level: blocks' magnitudes stay below 1,300, 21 of the smallest first
steps, in the finest step (steps.py) 29 of them; those of root and details below three, and five
(tests/test_embedded_pyramid.py)."""
MOST_BINS = 1 + 1 + MOST_STEPS
"""Of a coefficient in one pass: its bit, its sign, and at its first level a bin for each step."""
_TOLD = np.float32(SIGNED.unit)
_NEW = np.float32(SIGNED.unit * 3 // 2)
_HALF = np.float32(SIGNED.unit // 2)
_LOW, _HIGH = BIN_LOGIT.low, BIN_LOGIT.high


@cache
def probability_of_logit() -> NDArray[np.int64]:
    """The sigmoid as a table: int64 (16384,), P(bin = 1) for BIN_LOGIT.low .. BIN_LOGIT.high.

    1 .. PROBABILITY_ONE - 1. No entry lies within 1e-6 of a tie (tests/test_embedded_coder.py).
    """
    z = np.arange(BIN_LOGIT.low, BIN_LOGIT.high + 1) / BIN_LOGIT.unit
    p1 = np.floor(PROBABILITY_ONE / (1.0 + np.exp(-z)) + 0.5)
    return p1.clip(1, PROBABILITY_ONE - 1).astype(np.int64)


@kernel
def _note(
    symbols: NDArray[np.float32],
    place: tuple[Integer, Integer],
    channel: Integer,
    was_zero: bool,
    sign: Integer,
    bit: Integer,
) -> None:
    """Writes down what has been told, for the networks to see."""
    y, x = place
    if was_zero:
        symbols[y, x, channel] = _NEW * np.float32(sign) if bit != 0 else np.float32(0)
    else:
        symbols[y, x, channel] = _HALF * np.float32(sign if bit != 0 else -sign)
    symbols[y, x, symbols.shape[2] // 2 + channel] = _TOLD


@kernel
def _first_logit(
    logits: NDArray[np.int32], place: tuple[Integer, Integer], output: Integer, value: Integer
) -> int:
    """What the network says of a coefficient's first bin; value: what is known of it."""
    y, x = place
    if value == 0:
        return int(logits[y, x, output])
    n = logits.shape[2] // HEAD_OUTPUTS
    outwards = logits[y, x, 2 * n + output]
    z = int(logits[y, x, n + output] + (outwards if value > 0 else -outwards))
    return min(max(z, _LOW), _HIGH)


@kernel
def first_logits(
    logits: NDArray[np.int32], known: NDArray[np.int32], output: Integer
) -> NDArray[np.int32]:
    """What the network says of the first bin of one channel's coefficients; known, result: (h, w).

    logits: (h, w, HEAD_OUTPUTS n), the channel's `output` among them.
    """
    found = np.empty(known.shape, np.int32)
    for y in range(known.shape[0]):
        for x in range(known.shape[1]):
            found[y, x] = _first_logit(logits, (y, x), output, known[y, x])
    return found


@kernel
def _first_corrected(
    weights: NDArray[np.int64],
    scratch: NDArray[np.int64],
    value: Integer,
    number: Integer,
    group: Integer,
    logit: Integer,
) -> int:
    """That logit, corrected; value: as of _first_logit."""
    what = REFINEMENT if value != 0 else SIGNIFICANCE
    return corrected(weights, scratch, what, number, group, logit, 1 if value >= 0 else -1)


@kernel
def encode_pass(
    state: NDArray[np.int64],
    buffer: NDArray[np.uint8],
    logits: NDArray[np.int32],
    p1: NDArray[np.int64],
    truth: NDArray[np.int32],
    known: NDArray[np.int32],
    symbols: NDArray[np.float32],
    told: Told,
    mixer: Mixer,
) -> None:
    """Codes one pass of one picture.

    logits: (h, w, HEAD_OUTPUTS n), of the group's head. p1: probability_of_logit. truth, known: (h,
    w, C), of one part. symbols: (h, w, 2C). `known`, `symbols` and `mixer` are brought up to date.
    """
    height, width = truth.shape[:2]
    of_sign = logits.shape[2] // HEAD_OUTPUTS * (HEAD_OUTPUTS - 1)
    channels, planes, outputs, partners = told.channels, told.planes, told.outputs, told.partners
    weights, scratch = mixer.weights, mixer.scratch
    adaptive = weights.shape[0] > 0
    first_channel, group, begins = told.first_channel, told.group, told.begins
    for y in range(height):
        for x in range((y + told.parity) % 2, width, 2):
            for i in range(channels.size):
                channel, plane, output = channels[i], planes[i], outputs[i]
                value = np.int64(truth[y, x, channel])
                magnitude = abs(value) >> plane
                sign = 1 if value >= 0 else -1
                was_zero = known[y, x, channel] == 0
                z = _first_logit(logits, (y, x), output, known[y, x, channel])
                number = first_channel + channel
                if adaptive:
                    others = (partners[i, 0], partners[i, 1])
                    look_around(scratch, known, (y, x), channel, others, plane)
                    z = _first_corrected(weights, scratch, known[y, x, channel], number, group, z)
                bit = np.int64(magnitude != 0) if was_zero else magnitude & 1
                encode_bin(state, buffer, p1[z - _LOW], bit)
                if adaptive:
                    learn(weights, scratch, p1[z - _LOW], bit)
                if was_zero and bit != 0:
                    z = int(logits[y, x, of_sign + output])
                    if adaptive:
                        z = corrected(weights, scratch, SIGN, number, group, z, 1)
                    encode_bin(state, buffer, p1[z - _LOW], np.int64(sign > 0))
                    if adaptive:
                        learn(weights, scratch, p1[z - _LOW], np.int64(sign > 0))
                    if begins:
                        for _ in range(magnitude - 1):
                            encode_bin(state, buffer, MORE, 1)
                        encode_bin(state, buffer, MORE, 0)
                known[y, x, channel] = sign * (magnitude << plane)
                _note(symbols, (y, x), channel, was_zero, sign, bit)


@kernel
def decode_pass(
    state: NDArray[np.int64],
    data: NDArray[np.uint8],
    logits: NDArray[np.int32],
    p1: NDArray[np.int64],
    known: NDArray[np.int32],
    symbols: NDArray[np.float32],
    told: Told,
    mixer: Mixer,
) -> bool:
    """Decodes one pass as far as the data determine it; False if they end in it.

    Arguments as for `encode_pass`. A coefficient is told wholly or not at all.
    """
    height, width = known.shape[:2]
    of_sign = logits.shape[2] // HEAD_OUTPUTS * (HEAD_OUTPUTS - 1)
    channels, planes, outputs, partners = told.channels, told.planes, told.outputs, told.partners
    weights, scratch = mixer.weights, mixer.scratch
    adaptive = weights.shape[0] > 0
    first_channel, group, begins = told.first_channel, told.group, told.begins
    for y in range(height):
        for x in range((y + told.parity) % 2, width, 2):
            for i in range(channels.size):
                channel, plane, output = channels[i], planes[i], outputs[i]
                value = np.int64(known[y, x, channel])
                was_zero = value == 0
                sign = 1 if value >= 0 else -1
                z = _first_logit(logits, (y, x), output, value)
                number = first_channel + channel
                if adaptive:
                    others = (partners[i, 0], partners[i, 1])
                    look_around(scratch, known, (y, x), channel, others, plane)
                    z = _first_corrected(weights, scratch, value, number, group, z)
                bit = decode_bin(state, data, p1[z - _LOW])
                if adaptive:
                    learn(weights, scratch, p1[z - _LOW], bit)
                if was_zero and bit != 0:
                    z = int(logits[y, x, of_sign + output])
                    if adaptive:
                        z = corrected(weights, scratch, SIGN, number, group, z, 1)
                    plus = decode_bin(state, data, p1[z - _LOW])
                    if adaptive:
                        learn(weights, scratch, p1[z - _LOW], plus)
                    sign = 1 if plus != 0 else -1
                    steps = 1
                    if begins:
                        while steps < MOST_STEPS and decode_bin(state, data, MORE) != 0:
                            steps += 1
                    value = np.int64(sign * (steps << plane))
                elif bit != 0:
                    value += np.int64(sign) << plane
                if overrun(state):
                    return False
                known[y, x, channel] = value
                _note(symbols, (y, x), channel, was_zero, sign, bit)
    return True
