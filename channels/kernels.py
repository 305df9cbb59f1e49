"""How the inner loops of this package are compiled."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import numba

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@cache
def _cache_folder() -> Path:
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for source in sorted(package.rglob("*.py")):
        digest.update(source.read_bytes())
    return package / "__pycache__" / f"numba-{digest.hexdigest()[:16]}"


def kernel(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile `function` to machine code on its first call and keep the result on disk.

    The interpreter lock is released while a kernel runs. Floating-point arithmetic stays strictly
    IEEE 754 (no `fastmath`), so that a result does not depend on how loops were vectorised.

    Numba alone would notice a change of the file that holds a kernel, but not of the kernels that
    it calls from other files; so each state of this package's sources has a cache folder of its
    own.
    """
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_cache_folder())
    try:
        compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    finally:
        numba.config.CACHE_DIR = before
    return cast(Callable[Arguments, Result], compiled)
