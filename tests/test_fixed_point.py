"""The sigmoid's tables: safe to compute anywhere, monotone, inverse of one another."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np

from codec.fixed_point import GREY_UNIT, LOGIT, logit_of_pixel, value_of_logit


def test_no_entry_of_the_sigmoid_is_near_a_tie() -> None:
    """So an exp() that is off by a few units in the last place gives the same table."""
    with localcontext() as context:
        context.prec = 40
        for z in range(LOGIT.low, LOGIT.high + 1, 7):
            exact = GREY_UNIT * (256 / (1 + (-Decimal(z) / LOGIT.unit).exp()) - Decimal("0.5"))
            below = (exact + Decimal("0.5")).to_integral_value(rounding="ROUND_FLOOR")
            assert value_of_logit()[z - LOGIT.low] == below
            assert abs(exact + Decimal("0.5") - below) > Decimal("1e-8") or z == 0
    z = np.arange(LOGIT.low, LOGIT.high + 1) / LOGIT.unit
    fraction = (GREY_UNIT * (256 / (1 + np.exp(-z)) - 0.5) + 0.5) % 1
    distance = np.minimum(fraction, 1 - fraction)
    # At z = 0 the value is exactly 2040, far from a tie, which lies at fraction 0.
    assert distance[z != 0].min() > 1e-8


def test_the_sigmoid_rises_over_all_pixel_values() -> None:
    table = value_of_logit()
    assert np.all(np.diff(table) >= 0)
    assert table[0] < 2 * GREY_UNIT
    assert table[-1] > 253 * GREY_UNIT


def test_a_pixel_keeps_its_value_through_logit_and_sigmoid() -> None:
    logits = logit_of_pixel()
    assert LOGIT.low <= logits.min()
    assert logits.max() <= LOGIT.high
    back = value_of_logit()[logits - LOGIT.low]
    assert np.abs(back - GREY_UNIT * np.arange(256)).max() <= 1
