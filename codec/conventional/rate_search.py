"""The best quality whose stream fits a budget, from few trials."""

from __future__ import annotations

from collections.abc import Callable


def best_fitting(
    size_bytes: Callable[[int], int], steps: int, budget_bytes: int, uneven_steps: int
) -> int | None:
    """The highest of the steps 0 .. `steps` - 1 with `size_bytes(step)` <= `budget_bytes`.

    None if no step fits. Sizes all but rise with the step: bisection finds a step that fits below
    one that does not, and the next `uneven_steps` steps are looked at one by one. A step that fits
    beyond these is missed.
    """
    fits, too_large = -1, steps
    while too_large - fits > 1:
        middle = (fits + too_large) // 2
        if size_bytes(middle) <= budget_bytes:
            fits = middle
        else:
            too_large = middle
    for step in range(min(fits + uneven_steps, steps - 1), fits, -1):
        if size_bytes(step) <= budget_bytes:
            return step
    return fits if fits >= 0 else None
