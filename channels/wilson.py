"""Wilson's interval for the rate of independent events."""

from math import sqrt


def wilson_interval(rate: float, trials: float, z: float) -> tuple[float, float]:
    """Where the true rate lies, 0 <= low < high <= 1; it never shrinks to a point.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", J. Am.
    Stat. Assoc. 22, 1927.

    Args:
        rate: the share of trials with the event, 0 .. 1.
        trials: how many independent ones that is of, > 0; need not be whole.
        z: the normal distribution's quantile, such as 1.96 for 95 %.
    """
    centre = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * sqrt(rate * (1 - rate) / trials + (z / (2 * trials)) ** 2)
    # Both ends are exact there, but for rounding.
    low = 0.0 if rate == 0.0 else max(0.0, centre - half)
    return low, 1.0 if rate == 1.0 else min(1.0, centre + half)
