"""Takes the files of a data set out of its archive, and nothing else.

Of a .tar.gz only regular files with exactly the expected names are read, written under these names
and no others, and checked before they get their place: no link is followed, no path of the archive
is used, and what else it holds is passed over.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import IO

from testbed.errors import TestbedError

MAX_FILE_BYTES = 1 << 26
_PIECE_BYTES = 1 << 20


class ArchiveError(TestbedError):
    """An archive does not hold what it should: one line with the file, expected and found."""


def unpack(archive: Path, folder: str, files: dict[str, str]) -> None:
    """Puts `files` (name: md5) of the archive's `folder` into the folder of that name beside it.

    All or, where one is missing or another than expected, none. Raises ArchiveError.
    """
    target = archive.parent / folder
    try:
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".unpacking-") as passing:
            staging = Path(passing)
            with tarfile.open(archive, "r:gz") as members:
                _extract(archive, members, folder, files, staging)
            target.mkdir(exist_ok=True)
            for name in files:
                (staging / name).replace(target / name)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ArchiveError(f"{archive}: cannot be unpacked ({error}); delete it") from error
    except OSError as error:
        raise ArchiveError(
            f"{archive}: cannot be unpacked to {target} ({error.strerror or error})"
        ) from error


def _extract(
    archive: Path, members: tarfile.TarFile, folder: str, files: dict[str, str], staging: Path
) -> None:
    wanted = {f"{folder}/{name}": name for name in files}
    for member in members:
        name = wanted.pop(member.name, None)
        if name is None:
            continue
        if not member.isreg() or member.size > MAX_FILE_BYTES:
            raise ArchiveError(
                f"{archive}: expected {member.name} to be a file of at most {MAX_FILE_BYTES} "
                "bytes, found a link, or more"
            )
        source = members.extractfile(member)
        assert source is not None
        with (staging / name).open("wb") as copy:
            found = _copied_md5(source, copy)
        if found != files[name]:
            raise ArchiveError(
                f"{archive}: expected {member.name} with md5 {files[name]}, found {found}"
            )
    if wanted:
        raise ArchiveError(f"{archive}: expected {', '.join(wanted)} in it, found none")


def _copied_md5(source: IO[bytes], copy: IO[bytes]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    while piece := source.read(_PIECE_BYTES):
        digest.update(piece)
        copy.write(piece)
    return digest.hexdigest()


def file_md5(path: Path) -> str:
    """Of a file's content; "" if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError:
        return ""
