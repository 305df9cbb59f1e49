"""What the networks say, corrected by what the stream has told so far.

Networks know the pictures that they were trained on, but not the noise, the sharpness and the
colours of the photograph at hand. So each bin's logit z is corrected before the bin is coded, by
weights that both ends move after it, so that it would have cost less: logistic regression online,
as data compressors of the PAQ family mix their models.

    z* = sum of (weights of the bin's channel + weights of its texture) * inputs
    after the bin:  each weight += rate * (bin - P(z*)) * its input

inputs: the network's logit; 1; logarithms of six coefficients around as they are known, the same of
the other two colours and the channel's of the places above, below, left and right. The *texture*
says how much is known to be in those four places. In photographs weights begin with z* = z and
learn from the picture; thumbnails have too few bins for that and are corrected only where the
weights file says where to begin (profile.adaptive_for).

All is in integers, so encoder and decoder agree. Source: Mahoney, "Adaptive weighing of context
models for lossless data compression", Florida Institute of Technology, CS-2005-16 (2005), with the
weights chosen by context as there, and two sets of them added.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from codec.embedded.bin_engine import PROBABILITY_BITS
from codec.embedded.knowledge import log_magnitude
from codec.embedded.schedule import KINDS
from codec.fixed_point import BIN_LOGIT
from codec.jit import Integer, kernel

SIGNIFICANCE, REFINEMENT, SIGN = 0, 1, 2
"""What a bin tells: whether a coefficient becomes other than 0, its plane's bit, its sign."""
_BIN_KINDS = 3
INPUTS = 8
"""Weights of a row."""
TEXTURES = 8
"""Degrees of what is known to be around a coefficient."""
_PLAIN = 2
"""Of the inputs, those that textures have weights for: the logit and 1."""

_WEIGHT_BITS = 20
MOST_WEIGHT = 1 << 24
"""Of a weight, 16: sums stay far below 2^63 whatever is coded."""
_ONE = BIN_LOGIT.unit
_LOG = 22
"""Of log_magnitude's fourteenths: .6 for each doubling."""
_LOG_SUM, _TEXTURE = 7, 14
"""Of such a sum over four places: its weight as an input, and how many make a texture."""
_RATE_BITS = 20
_RATE = 2097
"""The least rate, .002 in 2^-20."""
_RATE_DROP, _RATE_DELAY = 2 << _RATE_BITS, 100
"""A weight used n times before has the rate .002 + 2 / (100 + n)."""
_STARTED_USES = 4000
"""How often weights count as used that were learnt before: their rate begins with .0025."""
_SHIFT = PROBABILITY_BITS + _RATE_BITS - _WEIGHT_BITS + _ONE.bit_length() - 1
_LOW, _HIGH = BIN_LOGIT.low, BIN_LOGIT.high

CHANNEL_ROWS = _BIN_KINDS * sum(kind.channels for kind in KINDS)
"""Rows of channels: kinds of parts, in them channels, in them kinds of bins."""
ROWS = CHANNEL_ROWS + _BIN_KINDS * TEXTURES * sum(len(kind.groups) for kind in KINDS)
"""With those of textures behind: kinds of parts, groups, kinds of bins, textures."""


class Mixer(NamedTuple):
    """What one end has learnt of a picture, and what it needs for the bin at hand.

    weights: int64 (rows, INPUTS + 1), in 2^-20, with how often the row was used at its end: a row
        for each channel and kind of bin, then one for each group, kind of bin and texture. No rows:
        nothing is corrected.
    scratch: int64 (_NUMBERS,), of the coefficient the logarithms around with their signs, of the
        bin its inputs and its two rows: `learn` is of the bin that `corrected` was last of.
    """

    weights: NDArray[np.int64]
    scratch: NDArray[np.int64]


_AROUND, _INPUTS, _ROWS, _NUMBERS = 0, 6, 6 + INPUTS, 8 + INPUTS
"""Where in Mixer.scratch each begins, and its length."""
_USES = INPUTS
_LOGS = log_magnitude().astype(np.int64)


def new_mixer(*, adaptive: bool, start: NDArray[np.int64] | None = None) -> Mixer:
    """At the beginning of a stream; unless `adaptive` it leaves all logits as they are.

    start: (ROWS, INPUTS), the weights to begin with, learnt from many pictures; then one picture
    moves them slowly. Without, the network's logits are left as they are until bins are told.
    """
    weights = np.zeros((ROWS if adaptive else 0, INPUTS + 1), np.int64)
    weights[:CHANNEL_ROWS, 0] = 1 << _WEIGHT_BITS
    if adaptive and start is not None:
        weights[:, :INPUTS] = start
        weights[:, _USES] = _STARTED_USES
    return Mixer(weights, np.zeros(_NUMBERS, np.int64))


# Kernels that are called for every bin take arrays and not tuples of them: of tuples numba would
# count references each time.


@kernel
def _signed_log(value: Integer, plane: Integer) -> int:
    """Of a coefficient's known magnitude in steps of a plane."""
    log = _LOGS[min(abs(int(value)) >> plane, _LOGS.size - 1)]
    return int(log if value > 0 else -log)


@kernel
def look_around(
    scratch: NDArray[np.int64],
    known: NDArray[np.int32],
    place: tuple[Integer, Integer],
    channel: Integer,
    partners: tuple[Integer, Integer],
    plane: Integer,
) -> None:
    """Makes ready for the bins of a coefficient; known: (h, w, C)."""
    y, x = place
    height, width = known.shape[:2]
    scratch[_AROUND] = _signed_log(known[y, x, partners[0]], plane)
    scratch[_AROUND + 1] = _signed_log(known[y, x, partners[1]], plane)
    for k in range(2, 6):
        scratch[_AROUND + k] = 0
    if y > 0:
        scratch[_AROUND + 2] = _signed_log(known[y - 1, x, channel], plane)
    if y + 1 < height:
        scratch[_AROUND + 3] = _signed_log(known[y + 1, x, channel], plane)
    if x > 0:
        scratch[_AROUND + 4] = _signed_log(known[y, x - 1, channel], plane)
    if x + 1 < width:
        scratch[_AROUND + 5] = _signed_log(known[y, x + 1, channel], plane)


@kernel
def corrected(
    weights: NDArray[np.int64],
    scratch: NDArray[np.int64],
    what: Integer,
    channel: Integer,
    group: Integer,
    logit: Integer,
    sign: Integer,
) -> int:
    """The logit of the next bin, BIN_LOGIT, from the network's. what: SIGNIFICANCE, ...

    channel, group: numbered through all kinds of parts (schedule.Told). sign: of a coefficient
    whose plane's bit is told; so inputs with signs point outwards.
    """
    scratch[_INPUTS] = logit
    scratch[_INPUTS + 1] = _ONE
    sum_of_logs = 0
    for k in range(2, 6):
        sum_of_logs += int(abs(scratch[_AROUND + k]))
    if what == SIGNIFICANCE:
        scratch[_INPUTS + 2] = _LOG * abs(scratch[_AROUND])
        scratch[_INPUTS + 3] = _LOG * abs(scratch[_AROUND + 1])
        scratch[_INPUTS + 4] = _LOG_SUM * sum_of_logs
        for j in range(5, INPUTS):
            scratch[_INPUTS + j] = 0
    else:
        for k in range(6):
            scratch[_INPUTS + 2 + k] = _LOG * sign * scratch[_AROUND + k]
    texture = min(sum_of_logs // _TEXTURE, TEXTURES - 1)
    of_channel = _BIN_KINDS * channel + what
    of_texture = CHANNEL_ROWS + (_BIN_KINDS * group + what) * TEXTURES + texture
    scratch[_ROWS] = of_channel
    scratch[_ROWS + 1] = of_texture
    z = 0
    for j in range(INPUTS):
        z += int(weights[of_channel, j] * scratch[_INPUTS + j])
    for j in range(_PLAIN):
        z += int(weights[of_texture, j] * scratch[_INPUTS + j])
    return min(max(z >> _WEIGHT_BITS, _LOW), _HIGH)


@kernel
def learn(
    weights: NDArray[np.int64], scratch: NDArray[np.int64], p1: Integer, bit: Integer
) -> None:
    """Moves the weights of the bin that was told; p1: the probability of 1 that it had."""
    error = (np.int64(bit) << PROBABILITY_BITS) - p1
    for k in range(2):
        row = scratch[_ROWS + k]
        rate = _RATE + _RATE_DROP // (_RATE_DELAY + weights[row, _USES])
        weights[row, _USES] += 1
        for j in range(INPUTS if k == 0 else _PLAIN):
            step = (error * scratch[_INPUTS + j] * rate + (1 << (_SHIFT - 1))) >> _SHIFT
            weight = weights[row, j] + step
            weights[row, j] = min(max(weight, -MOST_WEIGHT), MOST_WEIGHT)
