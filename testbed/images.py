"""The pictures of a scenario: packaged samples, CIFAR-10, Kodak, or the user's own.

source           packaged set | CIFAR-10 set | Kodak | file | folder | glob
  -> load_images -> [SourceImage(name, pixels, sha256, label), ...]   always in the same order
"""

from __future__ import annotations

from pathlib import Path

from testbed.datasets.catalogue import CLASSES_OF, DATA_VARIABLE, KODAK
from testbed.datasets.cifar10 import Cifar10
from testbed.datasets.files import IMAGE_SUFFIXES, FileSet
from testbed.datasets.kodak import Kodak
from testbed.datasets.picture import (
    ImageSourceError,
    SourceImage,
    make_source_image,
    read_picture,
)
from testbed.datasets.picture_set import PictureSet
from testbed.datasets.subset import Subset, SubsetError

__all__ = [
    "DATA_VARIABLE",
    "IMAGE_SUFFIXES",
    "KODAK",
    "ImageSourceError",
    "SourceImage",
    "load_images",
    "load_same_size",
    "load_subset",
    "make_source_image",
    "picture_set",
    "read_picture",
]


def load_images(source: str, base_folder: Path, limit: int | None = None) -> list[SourceImage]:
    """The pictures of `source`, at most `limit` of them.

    source: "samples32" or "samples_large" (packaged), "cifar10_test" or "cifar10_train" (in the
    folder cifar-10-batches-bin or cifar-10-batches-py inside the one that TESTBED_DATA names,
    checked by md5), "kodak" (24 PNG files in the folder kodak there, checked by their pixels), or
    the path of an image file, of a folder (its files with IMAGE_SUFFIXES, subfolders left out) or a
    glob, relative to `base_folder` and sorted by path. What is not taken is not read.

    Grey pictures get three equal channels, transparent ones are laid over white, and a camera's
    orientation is applied.
    Raises ImageSourceError for a source without pictures, a file that is no picture or several, is
    damaged, has 16 bits per channel or more than MAX_PIXELS pixels, or data that are missing or not
    the official ones.
    """
    if limit is not None and limit < 1:
        raise ImageSourceError(f"{source}: expected limit >= 1, found {limit}")
    return load_subset(source, base_folder, Subset(limit=limit))


def load_subset(source: str, base_folder: Path, subset: Subset) -> list[SourceImage]:
    """Those pictures of `source` that `subset` takes. Raises ImageSourceError, see load_images."""
    pictures = picture_set(source, base_folder)
    try:
        positions = subset.positions(len(pictures), pictures.labels)
    except SubsetError as error:
        raise ImageSourceError(f"{source}: {error}") from None
    return pictures.images(positions)


def picture_set(source: str, base_folder: Path) -> PictureSet:
    """The pictures that `source` names, unread. Raises ImageSourceError if there are none."""
    if source in CLASSES_OF:
        return Cifar10(source)
    if source == KODAK:
        return Kodak()
    return FileSet(source, base_folder)


def load_same_size(source: str, limit: int | None = None) -> list[SourceImage]:
    """The pictures of `source`, as load_images from here. ImageSourceError if sizes differ."""
    images = load_images(source, Path(), limit)
    shapes = {image.pixels.shape for image in images}
    if len(shapes) > 1:
        raise ImageSourceError(f"{source}: expected pictures of one size, found {len(shapes)}")
    return images
