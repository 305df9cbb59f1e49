"""The index of the journal says what a dictionary would, in less memory."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testbed.running import offset_index
from testbed.running.offset_index import OffsetIndex

KEYS = st.integers(0, 30).map(lambda number: f"{number * 0x0842108421084211 % 2**64:016x}")


@settings(deadline=None)
@given(st.lists(st.tuples(KEYS, st.integers(0, 2**63 - 1)), max_size=60))
def test_it_is_a_dictionary(entries: list[tuple[str, int]]) -> None:
    recent, offset_index._RECENT = offset_index._RECENT, 7
    try:
        index, reference = OffsetIndex(), {}
        for key, offset in entries:
            index.add(key, offset)
            reference[key] = offset
            assert len(index) == len(reference)
            assert index.get(key) == offset
        assert dict(index) == reference
        assert [offset for _, offset in index] == sorted(reference.values())
        assert index.get("ffffffffffffff00") is None
    finally:
        offset_index._RECENT = recent


def test_what_is_no_id_is_not_there() -> None:
    index = OffsetIndex()
    assert index.get("trial") is None
    with pytest.raises(ValueError, match="16 hex digits"):
        index.add("12", 0)


def test_a_million_trials_take_some_sixteen_bytes_each() -> None:
    index = OffsetIndex()
    random = np.random.default_rng(1)
    for number, key in enumerate(random.integers(0, 2**63, 300_000).tolist()):
        index.add(f"{key:016x}", number)
    arrays = index._keys.nbytes + index._offsets.nbytes
    assert arrays + sys.getsizeof(index._recent) < 16 * 300_000 + (1 << 23)
    assert len(index) == 300_000
