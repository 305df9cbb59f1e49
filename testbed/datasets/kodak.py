"""Kodak's 24 photographs, from the folder kodak in the one that TESTBED_DATA names.

The pictures are known by their pixels: PNG files that were compressed anew are as good as the
published ones, and anything else is refused.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from testbed.datasets.catalogue import KODAK, KODAK_PICTURES, KODAK_URL
from testbed.datasets.picture import ImageSourceError, SourceImage, adopted, read_picture
from testbed.datasets.picture_set import data_folder, no_such_folder

_HOW = f"`testbed data download {KODAK}`, or put the PNG files of {KODAK_URL} there"


class KodakPicture(NamedTuple):
    """The digests of a published file, and of its size and pixels."""

    file_sha256: str
    pixels_sha256: str


def kodak_pictures() -> dict[str, KodakPicture]:
    """By name: kodim01 to kodim24."""
    with Path(__file__).with_name("kodak.csv").open(encoding="ascii", newline="") as file:
        return {
            row["picture"]: KodakPicture(row["file_sha256"], row["pixels_sha256"])
            for row in csv.DictReader(file)
        }


class Kodak:
    """See `PictureSet`."""

    def __init__(self) -> None:
        """Raises ImageSourceError if there are not 24 PNG files with the published names."""
        self._folder = data_folder(KODAK, KODAK, _HOW) / KODAK
        if not self._folder.is_dir():
            raise no_such_folder(KODAK, self._folder, _HOW)
        self._known = kodak_pictures()
        found = sorted(path.stem for path in self._folder.glob("*.png"))
        if found != sorted(self._known):
            others = [f", such as {name}.png" for name in found if name not in self._known]
            raise ImageSourceError(
                f"{KODAK}: expected the {KODAK_PICTURES} pictures kodim01.png to kodim24.png in "
                f"{self._folder}, found {len(found)} PNG files{''.join(others[:1])}; {_HOW}"
            )

    def __len__(self) -> int:
        return KODAK_PICTURES

    def labels(self) -> Sequence[int]:
        raise ImageSourceError(f"{KODAK}: its pictures have no labels")

    def images(self, positions: Sequence[int]) -> list[SourceImage]:
        names = sorted(self._known)
        return [self._image(names[position]) for position in positions]

    def _image(self, name: str) -> SourceImage:
        path = self._folder / f"{name}.png"
        image = adopted(f"{KODAK}/{name}", read_picture(path))
        if image.sha256 != self._known[name].pixels_sha256:
            raise ImageSourceError(
                f"{KODAK}: {path} does not hold the published picture: its size or pixels differ; "
                f"{_HOW}"
            )
        return image
