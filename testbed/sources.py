"""Which code this is: the hash of its text."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def sources_sha256(*packages: str) -> str:
    """Of the Python files of these packages of the testbed's, such as "codec", in order of path."""
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent
    for package in packages:
        for source in sorted((root / package).rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()
