"""Some of many."""

from __future__ import annotations

import numpy as np
import pytest

from testbed.spreading import spread


@pytest.mark.parametrize("most", [2, 3, 6])
@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 11, 100])
def test_a_spread_has_both_ends_and_even_steps(count: int, most: int) -> None:
    found = spread(range(count), most)
    assert (found[0], found[-1], len(found)) == (0, count - 1, min(count, most))
    assert np.ptp(np.diff(found)) <= 1 if count > 1 else True


def test_one_of_many_is_the_first_and_of_none_there_is_none() -> None:
    assert spread("abc", 1) == ["a"]
    assert spread([], 3) == []
