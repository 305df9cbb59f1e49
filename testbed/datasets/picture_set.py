"""What every source of pictures can do, and where published sets lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from testbed.datasets.catalogue import DATA_VARIABLE
from testbed.datasets.picture import ImageSourceError, SourceImage


class PictureSet(Protocol):
    """The pictures of a source in their order. Nothing is read before it is asked for."""

    def __len__(self) -> int: ...

    def labels(self) -> Sequence[int]:
        """The class of every picture. Raises ImageSourceError if the source has none."""
        ...

    def images(self, positions: Sequence[int]) -> list[SourceImage]:
        """The pictures at these positions, 0 .. len - 1, in the order of `positions`.

        Raises ImageSourceError for what is missing, damaged, or not the official data.
        """
        ...


def data_folder(source: str, content: str, how: str) -> Path:
    """The folder that TESTBED_DATA names. `content`: what it should hold, `how` it gets there."""
    named = os.environ.get(DATA_VARIABLE)
    if not named:
        raise ImageSourceError(
            f"{source}: the environment variable {DATA_VARIABLE} is not set; set it to the folder "
            f"that holds the folder {content}: {how}"
        )
    return Path(named).expanduser()


def no_such_folder(source: str, folder: Path, how: str) -> ImageSourceError:
    return ImageSourceError(
        f"{source}: expected the folder {folder} (from {DATA_VARIABLE}), found none; {how}"
    )
