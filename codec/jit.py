"""One decorator for every compiled kernel, so that type checkers still see the signatures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeAlias, TypeVar, cast

import numba
import numpy as np

Integer: TypeAlias = int | np.int64
"""A number inside a kernel, where Python's integers are int64, too."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


@cache
def _cache_folder() -> Path:
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(package.rglob("*.py")):
        digest.update(source.read_bytes())
    return package / "__pycache__" / f"numba-{digest.hexdigest()[:16]}"


def kernel(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Compiles `function` with numba at its first call and keeps the machine code on disk.

    The global interpreter lock is released while it runs. Numba alone would notice a change of the
    file that holds a kernel, but not of the kernels that it calls from other files; so each state
    of this package's sources has a cache folder of its own.
    """
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_cache_folder())
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    finally:
        numba.config.CACHE_DIR = before
    return cast(Callable[_Parameters, _Result], compiled)
