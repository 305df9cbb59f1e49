"""How the inner loops of this package are compiled."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def kernel(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile `function` to machine code on its first call and keep the result on disk.

    The interpreter lock is released while a kernel runs. Floating-point arithmetic stays strictly
    IEEE 754 (no `fastmath`), so that a result does not depend on how loops were vectorised.
    """
    compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return cast(Callable[Arguments, Result], compiled)
