"""Titles of panels in lines that fit."""

from __future__ import annotations

import re
import textwrap

from testbed.figures.captions import plain

_TOGETHER = "\N{NO-BREAK SPACE}"


def wrapped(title: str, characters: int) -> str:
    """In lines of so many characters, which end with a comma where the parts between are short
    enough.
    """
    parts = [_joined(part, characters) for part in re.split("(?<=,) ", title)]
    lines = textwrap.fill(
        " ".join(parts), characters, break_long_words=False, break_on_hyphens=False
    )
    return lines.replace(_TOGETHER, " ")


def _joined(part: str, characters: int) -> str:
    fits = len(plain(part)) <= characters
    return part.replace(" ", _TOGETHER) if fits else part
