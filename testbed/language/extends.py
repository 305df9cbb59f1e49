"""Scenarios that extend another: `extends: base.yaml`, relative to the file it is written in.

The base is read first, and may extend another in turn; what the file says is laid over it
(overlay.py). Its `name` alone is not inherited: it names the results of that scenario.
"""

from __future__ import annotations

import difflib
from pathlib import Path, PurePath

from testbed.errors import ScenarioError
from testbed.language.overlay import Overlay
from testbed.language.yaml_source import Document, Place, found_text, read_document

MAX_DEPTH = 10


def read_extended(path: Path) -> Document:
    """The document of a file, laid over those that it extends. Raises ScenarioError."""
    return _extended(path, read_document(path), PurePath(), ())


def _extended(
    path: Path, document: Document, folder: PurePath, above: tuple[Path, ...]
) -> Document:
    """folder: that of `path`, relative to the scenario's; above: the files that extend it."""
    document.folders[document.places[()].file] = "" if folder == PurePath() else folder.as_posix()
    if "extends" not in document.data:
        return document
    value, place = document.data["extends"], document.places["extends",]
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise place.error(f"extends: expected the path of a YAML file, found {found_text(value)}")
    base_path = path.parent / value
    base = _read_base(base_path, value, place)
    chain = (*above, path.resolve())
    if base_path.resolve() in chain:
        files = [each.name for each in chain[chain.index(base_path.resolve()) :]]
        raise place.error(f"extends: a file extends itself: {' -> '.join([*files, files[0]])}")
    if len(chain) > MAX_DEPTH:
        raise place.error(f"extends: expected at most {MAX_DEPTH} files in a row, found more")
    document.remove(("extends",))
    below = _extended(base_path, base, folder / PurePath(value).parent, chain)
    if "name" in below.data:
        below.remove(("name",))
    Overlay(below).merge(document)
    below.places[()] = document.places[()]
    below.folders |= document.folders
    return below


def _read_base(path: Path, value: str, place: Place) -> Document:
    if path.exists() and not (path.is_file() or path.is_dir()):
        # A pipe may keep its reader waiting for ever.
        raise place.error(f"extends: expected the path of a YAML file, {path} is no file")
    try:
        return read_document(path)
    except ScenarioError as error:
        if error.line is not None:
            raise
        close = []
        if not path.exists() and path.parent.is_dir():
            names = [each.name for each in path.parent.glob("*.y*ml")]
            close = difflib.get_close_matches(path.name, names, n=1)
        mend = f": did you mean {str(PurePath(value).with_name(close[0]))!r}?" if close else ""
        raise place.error(f"extends: {error.file}: {error.message}{mend}") from None
