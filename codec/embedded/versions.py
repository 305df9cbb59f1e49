"""Versions of this profile's bitstream; the paper's profile counts from 1 and reads none.

Versions 8 to 11 are no longer read: they had other transforms, or coded all pictures as the
networks say, without adaptation.py. Four bits hold one more number; 15 is kept for streams whose
version follows in a byte of its own.
"""

IRREVERSIBLE_VERSION = 12
"""One stream for every budget, of the irreversible transform."""
STEPPED_VERSION = 13
"""The same with streams that begin with a step (steps.py)."""
REVERSIBLE_VERSION = 14
"""One stream for every budget that ends in the exact picture."""
VERSIONS = (IRREVERSIBLE_VERSION, STEPPED_VERSION, REVERSIBLE_VERSION)


def version_of(*, reversible: bool) -> int:
    """Of streams without a step."""
    return REVERSIBLE_VERSION if reversible else IRREVERSIBLE_VERSION
