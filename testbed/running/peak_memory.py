"""How much memory a process has had."""

from __future__ import annotations

import resource
import sys


def peak_memory_mib() -> float:
    """The most resident memory that this process ever had, in MiB."""
    # macOS counts bytes, Linux KiB.
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
