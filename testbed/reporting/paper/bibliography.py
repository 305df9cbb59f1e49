"""references.bib: the entries of what a text cites.

The text cites as pandoc does, `[@ts38212]` or `[@chen2005; @hocevar2004]`. The entries are those of
the file references.bib beside this module; fields that are not certain are not there. The testbed's
own entry has the version that made the run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

ENTRIES = Path(__file__).with_name("references.bib")
TESTBED = "semcom-testbed"
"""The key of the testbed's own entry."""
_CITATION = re.compile(r"\[(@[\w:-]+(?:; @[\w:-]+)*)\]")


def cited(text: str) -> list[str]:
    """Keys in the order of their first citation."""
    found = (key.strip().removeprefix("@") for keys in _CITATION.findall(text)
             for key in keys.split(";"))  # fmt: skip
    return list(dict.fromkeys(found))


def references(keys: Iterable[str], versions: Collection[str]) -> str:
    """BibTeX of these keys, in alphabetical order. Raises KeyError for one without an entry.

    versions: of the testbed, that made what is cited; with one of them it is in the entry.
    """
    known = entries() | {TESTBED: _testbed(versions)}
    return "\n\n".join(known[key] for key in sorted(set(keys))) + "\n"


@cache
def entries() -> dict[str, str]:
    """All that can be cited beside the testbed itself, by key."""
    parts = re.split(r"\n\n+(?=@)", ENTRIES.read_text(encoding="utf-8").strip())
    return {part[part.index("{") + 1 : part.index(",")]: part for part in parts}


def _testbed(versions: Collection[str]) -> str:
    fields = [
        "author = {{The semcom-testbed authors}}",
        "title = {semcom-testbed: a simulated wireless testbed for semantic communication with "
        "scalable image coding}",
    ]
    if len(versions) == 1:
        fields.append(f"note = {{Version {next(iter(versions))}}}")
    return f"@misc{{{TESTBED},\n  " + ",\n  ".join(fields) + "\n}"
