"""One decorator for every compiled kernel, so that type checkers still see the signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeAlias, TypeVar, cast

import numba
import numpy as np

Integer: TypeAlias = int | np.int64
"""A number inside a kernel, where Python's integers are int64, too."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


def kernel(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Compiles `function` with numba at its first call and keeps the machine code on disk.

    The global interpreter lock is released while it runs. Numba notices a change of the file that
    holds a kernel but not of the kernels that it calls from other files: after editing such a
    callee, remove the `__pycache__` folders.
    """
    compiled = numba.njit(cache=True, nogil=True)(function)
    return cast(Callable[_Parameters, _Result], compiled)
