"""Names of figures' files: what may be in them, and how words of a run become part of them."""

from __future__ import annotations

import re
from collections.abc import Collection

from testbed.errors import TestbedError

_STEM = re.compile(r"[a-z0-9._=,-]+")
_LONGEST_PART = 60


class StemError(TestbedError):
    """A figure's name that a table of a run, which may come from anybody, has spoilt."""


def checked_stem(stem: str) -> str:
    """The same. Raises StemError: no figure is written outside its folder."""
    if not _STEM.fullmatch(stem):
        raise StemError(
            f"expected a figure's name of a-z, 0-9 and . _ = , - alone, found {stem[:80]!r}: a "
            "size, metric or codec of the run's tables is not as the testbed wrote it"
        )
    return stem


def stem_part(words: str, taken: Collection[str] = ()) -> str:
    """Words as part of a stem, unlike all that are taken: two may differ in what no stem has."""
    part = re.sub(r"[^a-z0-9.=,-]+", "_", words.lower()).strip("_.")[:_LONGEST_PART]
    while part in taken:
        part += "_"
    return part
