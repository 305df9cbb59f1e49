"""Fixed-point domains: what the integers inside the networks stand for.

Everything that drives the entropy coder must come out the same on every machine, so the networks
of this codec compute with integers only. A `FixedPoint` domain says how a real number is held:
integer = real * unit, within [low, high]. Units are powers of two, so that going from one domain
to another is an exact shift.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import log

import numpy as np
from numpy.typing import NDArray

EXACT_BOUND = 1 << 24
"""float32 holds every integer up to this magnitude: sums that stay below it are exact in any
order, with or without fused multiply-add, on any device that computes in IEEE binary32."""


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """Integers in [low, high] that stand for reals in [low / unit, high / unit]."""

    unit: int
    low: int
    high: int

    @property
    def magnitude(self) -> int:
        return max(abs(self.low), abs(self.high))


PIXEL = FixedPoint(unit=64, low=0, high=255)
"""A picture's values as a network's input: 0-255, read as 0 to 3.98."""

ACTIVATION = FixedPoint(unit=64, low=0, high=255)
"""Between two layers: eight bits; the lower bound is the ReLU, the upper one clips at 3.98."""

LATENT = FixedPoint(unit=1, low=-63, high=63)
"""The semantic base layer's latent: the integers that are coded."""

LOGIT = FixedPoint(unit=1024, low=-8192, high=8191)
"""Before the final sigmoid: -8 to 8 in steps of 1/1024."""

SIGNED = FixedPoint(unit=64, low=-255, high=255)
"""Inputs of a network that know a sign, beside activations: -3.98 to 3.98."""

BIN_LOGIT = FixedPoint(unit=512, low=-8192, high=8191)
"""What stands for the probability of a bin, or for a place within an interval: -16 to 16."""

GREY_UNIT = 16
"""Predicted pixel values are held in 1/16 grey level."""


@cache
def value_of_logit() -> NDArray[np.int32]:
    """The sigmoid as a table: int32 (16384,), entry z - LOGIT.low is 256 sigmoid(z/1024) - 1/2.

    Held in 1/16 grey level. Pixel v's centre is v, and the 256 values share the unit interval
    evenly, hence the 256 and the half. Rounding is safe on any libm: no entry lies within 1e-8 of
    a tie (tests/test_fixed_point.py).
    """
    z = np.arange(LOGIT.low, LOGIT.high + 1) / LOGIT.unit
    value = GREY_UNIT * (256.0 / (1.0 + np.exp(-z)) - 0.5)
    return np.floor(value + 0.5).astype(np.int32)


@cache
def logit_of_pixel() -> NDArray[np.int32]:
    """The inverse for whole pixel values: int32 (256,), 1024 logit((v + 1/2) / 256)."""
    ratios = (Fraction(2 * v + 1, 511 - 2 * v) for v in range(256))
    return np.array([round(LOGIT.unit * log(ratio)) for ratio in ratios], np.int32)
