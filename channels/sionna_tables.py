"""Where the installed Sionna distribution keeps the standards' tables."""

import importlib.util
from pathlib import Path

from channels.errors import ChannelError


def sionna_folder(wanted: str, *parts: str) -> Path:
    """A folder below `sionna/phy`, without importing Sionna.

    Args:
        wanted: what is looked for, for the message.
        parts: of the path.

    Raises:
        ChannelError: Sionna is not installed.
    """
    # find_spec of a top-level package looks for its folder and runs none of its code.
    package = importlib.util.find_spec("sionna")
    if package is None or not package.submodule_search_locations:
        raise ChannelError(f"{wanted}: expected the package sionna-no-rt, found none installed")
    return Path(package.submodule_search_locations[0], "phy", *parts)
