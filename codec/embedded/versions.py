"""Versions of this profile's bitstream; the paper's profile counts from 1 and reads none."""

IRREVERSIBLE_VERSION = 9
"""One stream for every budget, of the irreversible transform."""
STEPPED_VERSION = 10
"""The same with streams that begin with a step (steps.py)."""
REVERSIBLE_VERSION = 11
"""One stream for every budget that ends in the exact picture. In version 9 such streams were of
another reversible transform, which is no longer read."""
VERSIONS = (IRREVERSIBLE_VERSION, STEPPED_VERSION, REVERSIBLE_VERSION)


def version_of(*, reversible: bool) -> int:
    """Of streams without a step."""
    return REVERSIBLE_VERSION if reversible else IRREVERSIBLE_VERSION
