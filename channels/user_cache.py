"""Where things are kept that can be made again: folders in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache_folder(name: str, variable: str) -> Path:
    """The folder that the environment's `variable` names, else semcom-testbed/<name> in the cache.

    The user's cache is $XDG_CACHE_HOME, or ~/.cache.
    """
    named = os.environ.get(variable)
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "semcom-testbed" / name
