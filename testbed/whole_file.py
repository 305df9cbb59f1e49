"""Files that appear as a whole: written aside, then renamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.errors import OutputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write what `path` is to hold: it takes its place at the end of the `with`.

    What was there stays until then, also if something is raised. Raises OutputError.
    """
    partial = path.with_suffix(".partial")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write ({error.strerror or error})") from error
