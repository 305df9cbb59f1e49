"""Lists, counts and ranges in English."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def listed(items: Iterable[str], last: str = "and") -> str:
    """ "a", "a and b", "a, b and c"."""
    words = list(items)
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """ "one picture", "24 pictures"; thousands have commas."""
    word = _SMALL[count] if count < len(_SMALL) else f"{count:,}"
    return f"{word} {noun if count == 1 else plural or noun + 's'}"


def ranged(values: Sequence[float], unit: str = "") -> str:
    """ "0 to 20 dB in steps of 2 dB" where four or more are evenly spaced, else a list."""
    ordered = sorted(values)
    unit = f" {unit}" if unit else ""
    steps = {round(b - a, 9) for a, b in itertools.pairwise(ordered)}
    if len(ordered) > 3 and len(steps) == 1:
        return f"{ordered[0]:g} to {ordered[-1]:g}{unit} in steps of {steps.pop():g}{unit}"
    return listed(f"{value:g}" for value in ordered) + unit


def plural(count: int, one: str, many: str) -> str:
    """The word for this many."""
    return one if count == 1 else many


def sentence(text: str) -> str:
    """With a capital letter and one full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
