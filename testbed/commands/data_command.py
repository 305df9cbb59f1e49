"""What `testbed data list` and `testbed data download` do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from testbed.datasets import catalogue
from testbed.datasets.catalogue import CLASSES_OF, DATA_VARIABLE, KODAK
from testbed.datasets.cifar10 import Cifar10
from testbed.datasets.download import DownloadError, download_cifar10, download_kodak
from testbed.datasets.files import PACKAGED_SETS, SAMPLES_FOLDER, FileSet
from testbed.datasets.kodak import Kodak
from testbed.datasets.picture import ImageSourceError

CIFAR10 = "cifar10"
DOWNLOADS = (CIFAR10, KODAK)


def print_sets() -> bool:
    """One line for each place of each named set. Returns whether all that is there is right."""
    named = os.environ.get(DATA_VARIABLE)
    print(f"{DATA_VARIABLE}: {named or 'not set'}")
    for source, folder in PACKAGED_SETS.items():
        pictures = len(FileSet(source, Path()))
        print(f"{source}: {pictures} pictures; {SAMPLES_FOLDER / folder}; come with the testbed")
    all_right = True
    for source, words, is_right in _published_sets(Path(named).expanduser() if named else None):
        print(f"{source}: {words}")
        all_right &= is_right
    return all_right


def _published_sets(folder: Path | None) -> Iterator[tuple[str, str, bool]]:
    """(source, where it is and how that was verified, whether what is there is right)."""
    for source in CLASSES_OF:
        found = False
        for layout in catalogue.CIFAR10_LAYOUTS.values():
            if folder is None or not (folder / layout.folder).is_dir():
                continue
            found = True
            try:
                pictures = Cifar10(source, layout)
                pictures.labels()
                files = " ".join(layout.md5[source])
                words = (
                    f"{len(pictures)} pictures; {pictures.folder}; as published, by md5: {files}"
                )
                yield source, words, True
            except ImageSourceError as error:
                yield source, f"not usable: {error}", False
        if not found:
            yield source, f"not found; `testbed data download {CIFAR10}` gets it", True
    if folder is None or not (folder / KODAK).is_dir():
        yield KODAK, f"not found; `testbed data download {KODAK}` gets it", True
        return
    try:
        kodak = Kodak()
        kodak.images(range(len(kodak)))
        words = f"{len(kodak)} pictures; {folder / KODAK}; as published, by their pixels"
        yield KODAK, words, True
    except ImageSourceError as error:
        yield KODAK, f"not usable: {error}", False


def download(name: str, layout: str, folder: Path | None) -> None:
    """A set of DOWNLOADS into `folder`, or that of TESTBED_DATA. Raises TestbedError."""
    if name not in DOWNLOADS:
        raise DownloadError(f"expected one of {', '.join(DOWNLOADS)}; found {name!r}")
    if layout not in catalogue.CIFAR10_LAYOUTS:
        known = " or ".join(catalogue.CIFAR10_LAYOUTS)
        raise DownloadError(f"--layout: expected {known}, found {layout!r}")
    named = os.environ.get(DATA_VARIABLE)
    if folder is None:
        if not named:
            raise DownloadError(
                f"expected a folder for data sets, found none: give --folder DIR, or set the "
                f"environment variable {DATA_VARIABLE}"
            )
        folder = Path(named).expanduser()
    if name == KODAK:
        download_kodak(folder)
    else:
        download_cifar10(folder, layout)
    if named is None or Path(named).expanduser().resolve() != folder.resolve():
        print(f"scenarios find it with: export {DATA_VARIABLE}={folder.resolve()}")
