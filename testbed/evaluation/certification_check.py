"""One statement that a run is held against, and the probability that it would look as it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scipy.special import gammainc, gammaincc

Verdict = Literal["passed", "violated", "not checked"]


@dataclass(frozen=True, slots=True)
class Check:
    """A quantity, as theory has it and as it was found.

    family    what kind of statement it is, such as "delivered SNR"
    subject   the part of the link, and the codec, that it is about
    quantity  what `expected`, `found` and `spread` are, with its unit
    expected  by theory; None if the run gives nothing to compare
    found     in the run
    spread    standard deviation of `found` if the statement is true; None where that says little
    draws     independent random draws behind `found`, each counted once
    p_value   probability that true statements deviate so far or farther; None if not checked
    why       why it was not checked
    verdict   see `testbed.evaluation.certification`
    """

    family: str
    subject: str
    quantity: str
    expected: float | None = None
    found: float | None = None
    spread: float | None = None
    draws: int = 0
    p_value: float | None = None
    why: str = ""
    verdict: Verdict = "not checked"


def gamma_p_value(found: float, shape: float) -> float:
    """Two-sided, of a gamma variate of unit scale: a sum of `shape` exponential ones of mean 1."""
    return two_sided(float(gammainc(shape, found)), float(gammaincc(shape, found)))


def count_p_value(found: float, mean: float, variance: float) -> float:
    """Two-sided, of a sum of many rare positive contributions of which two moments are known.

    Such a sum is about a Poisson variate in units of variance / mean, or, if some contributions
    are much larger than others (bursts, deep fades), is skewed towards a gamma variate; of either
    tail the greater of the two probabilities is taken. `mean` and `variance` at least 0.
    """
    if mean <= 0.0 or variance <= 0.0:
        return 1.0 if abs(found - mean) < 0.5 else 0.0
    unit = variance / mean
    size, count = mean / unit, found / unit
    low = max(gammaincc(count + 1.0, size), gammainc(size, count))
    high = max(gammainc(count, size) if count > 0.0 else 1.0, gammaincc(size, count))
    return two_sided(float(low), float(high))


def two_sided(low: float, high: float) -> float:
    """From the probabilities of a value as low and of one as high."""
    return min(1.0, 2.0 * min(low, high))
