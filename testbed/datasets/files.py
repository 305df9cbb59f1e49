"""Pictures in files: the packaged samples, a file, a folder or a glob."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from testbed.datasets.picture import ImageSourceError, SourceImage, adopted, read_picture
from testbed.language.scenario_values import IMAGE_SETS

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""The files that are taken from a folder; a file or a glob may name others."""

SAMPLES_FOLDER = Path(__file__).parent.parent / "samples"
PACKAGED_SETS = {"samples32": "32x32", "samples_large": "large"}


class FileSet:
    """The pictures of image files, sorted by path.

    Names are unique: the path below the folder that all share, of packaged samples without suffix.
    """

    def __init__(self, source: str, base_folder: Path) -> None:
        """Raises ImageSourceError if there are no such files."""
        self._source = source
        try:
            self._files = _find_files(source, base_folder)
        except OSError as error:
            raise ImageSourceError(f"{source}: cannot be read ({error})") from error

    def __len__(self) -> int:
        return len(self._files)

    def labels(self) -> Sequence[int]:
        raise ImageSourceError(f"{self._source}: expected pictures with labels, found files")

    def images(self, positions: Sequence[int]) -> list[SourceImage]:
        chosen = (self._files[position] for position in positions)
        return [adopted(name, read_picture(path)) for name, path in chosen]


def _find_files(source: str, base_folder: Path) -> list[tuple[str, Path]]:
    """(name, path) of each file."""
    if source in PACKAGED_SETS:
        folder = SAMPLES_FOLDER / PACKAGED_SETS[source]
        files = [(path.stem, path) for path in sorted(folder.glob("*.png"))]
        if not files:
            raise ImageSourceError(f"{source}: {folder} has no PNG files; reinstall the package")
        return files
    path = base_folder / Path(source).expanduser()
    if path.is_file():
        return [(path.name, path)]
    if path.is_dir():
        files = [
            (child.name, child)
            for child in sorted(path.iterdir())
            if child.suffix.lower() in IMAGE_SUFFIXES and child.is_file()
        ]
        if not files:
            raise ImageSourceError(
                f"{source}: expected files with {', '.join(IMAGE_SUFFIXES)} in the folder {path}, "
                "found none; for others, name a glob"
            )
        return files
    if any(character in source for character in "*?["):
        matches = _glob(source, base_folder)
        if not matches:
            raise ImageSourceError(f"{source}: expected files that match {path}, found none")
        shared = Path(os.path.commonpath([match.parent for match in matches]))
        return [(match.relative_to(shared).as_posix(), match) for match in matches]
    raise ImageSourceError(
        f"{source}: expected {', '.join(IMAGE_SETS)}, or a file, folder or glob; {path} does not "
        "exist"
    )


def _glob(source: str, base_folder: Path) -> list[Path]:
    pattern = Path(source).expanduser()
    # Only the source is a pattern: a bracket in the folder's own path is just a bracket.
    folder = Path(pattern.anchor) if pattern.is_absolute() else base_folder
    relative = str(pattern.relative_to(pattern.anchor))
    try:
        return sorted(match for match in folder.glob(relative) if match.is_file())
    except ValueError as error:
        raise ImageSourceError(f"{source}: not a glob ({error})") from error
