"""Where the row of each trial begins in the journal, in 16 bytes a trial."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_RECENT = 1 << 16


class OffsetIndex:
    """Maps trial ids (16 hex digits) to byte offsets, 0 <= offset < 2**63.

    Sorted arrays, and a dictionary of the latest entries that is merged into them when it is full:
    a dictionary alone would take ten times as much memory. What is entered last counts.
    """

    def __init__(self) -> None:
        self._keys: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._offsets: NDArray[np.int64] = np.empty(0, np.int64)
        self._recent: dict[int, int] = {}
        self._replaced = 0

    def add(self, trial_id: str, offset: int) -> None:
        """Raises ValueError for an id that is not one."""
        key = _key(trial_id)
        if self._settled(key) is not None and key not in self._recent:
            self._replaced += 1
        self._recent[key] = offset
        if len(self._recent) >= _RECENT:
            self._merge()

    def get(self, trial_id: str) -> int | None:
        """The offset; None for an id that is not there, or is none."""
        try:
            key = _key(trial_id)
        except ValueError:
            return None
        found = self._recent.get(key)
        return self._settled(key) if found is None else found

    def __len__(self) -> int:
        return len(self._keys) + len(self._recent) - self._replaced

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Ids and offsets, as they lie in the file."""
        self._merge()
        for at in np.argsort(self._offsets, kind="stable"):
            yield f"{int(self._keys[at]):016x}", int(self._offsets[at])

    def _settled(self, key: int) -> int | None:
        at = int(np.searchsorted(self._keys, np.uint64(key)))
        if at < len(self._keys) and int(self._keys[at]) == key:
            return int(self._offsets[at])
        return None

    def _merge(self) -> None:
        keys = np.fromiter(self._recent, np.uint64, len(self._recent))
        offsets = np.fromiter(self._recent.values(), np.int64, len(self._recent))
        kept = ~np.isin(self._keys, keys)
        keys = np.concatenate([self._keys[kept], keys])
        order = np.argsort(keys)
        self._keys = keys[order]
        self._offsets = np.concatenate([self._offsets[kept], offsets])[order]
        self._recent, self._replaced = {}, 0


def _key(trial_id: str) -> int:
    if len(trial_id) != 16:
        raise ValueError(f"expected 16 hex digits, found {trial_id!r}")
    return int(trial_id, 16)
