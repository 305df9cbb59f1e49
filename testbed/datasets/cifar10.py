"""CIFAR-10 from its official files, which are checked by MD5 before anything is taken from them.

    cifar-10-batches-bin    records of a label's byte and three colour planes of 32 x 32 bytes
    cifar-10-batches-py     the same pictures, pickled by Python 2; see `batch_pickle`

Both give the same pictures under the same names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from testbed.datasets import catalogue
from testbed.datasets.batch_pickle import BatchError, read_batch
from testbed.datasets.catalogue import Layout
from testbed.datasets.picture import ImageSourceError, SourceImage, adopted
from testbed.datasets.picture_set import data_folder, no_such_folder

SIDE = 32
_RECORD_BYTES = 1 + 3 * SIDE * SIDE
_PICTURES_AT_ONCE = 1000


class Cifar10:
    """cifar10_test or cifar10_train; see `PictureSet`."""

    def __init__(self, source: str, layout: Layout | None = None) -> None:
        """layout: the first that is found unless given. Raises ImageSourceError if none is."""
        self._source = source
        first, *others = catalogue.CIFAR10_LAYOUTS.values()
        how = f"`testbed data download cifar10`, or unpack {first.url} there"
        folder = data_folder(source, (layout or first).folder, how)
        for each in (layout,) if layout else (first, *others):
            if (folder / each.folder).is_dir():
                self.layout, self.folder = each, folder / each.folder
                break
        else:
            raise no_such_folder(source, folder / (layout or first).folder, how)
        self._files = list(self.layout.md5[source].items())

    def __len__(self) -> int:
        return len(self._files) * catalogue.CIFAR10_PICTURES_PER_FILE

    def labels(self) -> Sequence[int]:
        batches = (self.batch(number) for number in range(len(self._files)))
        # The copy lets go of the planes.
        labels: list[int] = np.concatenate([found.copy() for found, _ in batches]).tolist()
        return labels

    def images(self, positions: Sequence[int]) -> list[SourceImage]:
        # All in one array, of which each picture is a part.
        pixels = np.empty((len(positions), SIDE, SIDE, 3), np.uint8)
        labels = np.empty(len(positions), np.uint8)
        files, rows = np.divmod(np.array(positions), catalogue.CIFAR10_PICTURES_PER_FILE)
        for number in np.unique(files):
            file_labels, planes = self.batch(number)
            wanted = np.flatnonzero(files == number)
            for start in range(0, len(wanted), _PICTURES_AT_ONCE):
                some = wanted[start : start + _PICTURES_AT_ONCE]
                pictures = planes[rows[some]].reshape(-1, 3, SIDE, SIDE)
                pixels[some] = pictures.transpose(0, 2, 3, 1)
                labels[some] = file_labels[rows[some]]
        return [
            adopted(f"{self._source}/{position:05d}", picture, int(label))
            for position, picture, label in zip(positions, pixels, labels, strict=True)
        ]

    def batch(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """(labels (n,), colour planes (n, 3072)) of a file. Raises ImageSourceError."""
        name, md5 = self._files[number]
        path = self.folder / name
        data = _official_bytes(self._source, path, md5, self.layout)
        if self.layout.name == "python":
            try:
                return read_batch(data)
            except BatchError as error:
                raise ImageSourceError(f"{self._source}: {path}: {error}") from error
        records = np.frombuffer(data, dtype=np.uint8).reshape(-1, _RECORD_BYTES)
        return records[:, 0], records[:, 1:]


def _official_bytes(source: str, path: Path, md5: str, layout: Layout) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageSourceError(f"{source}: cannot read {path} ({error.strerror})") from error
    found_md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found_md5 != md5:
        raise ImageSourceError(
            f"{source}: {path} is not the official file: expected md5 {md5}, found {found_md5}; "
            f"`testbed data download cifar10 --layout {layout.name}`, or unpack {layout.url} again"
        )
    return data
