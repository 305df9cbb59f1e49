"""Versions of this profile's bitstream; the paper's profile counts from 1 and reads neither."""

BITSTREAM_VERSION = 9
"""One stream for every budget."""
STEPPED_VERSION = 10
"""The same with streams that begin with a step (steps.py), of the irreversible transform only."""
