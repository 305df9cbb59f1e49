"""Paths in a scenario start from the folder of the file they are written in.

A scenario knows one folder only, that of its own file. What another file of another folder says,
which it extends, is rewritten here as if it had been written in the scenario's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from testbed.language.link_parts import Kind, is_path, names_of, parameters_of
from testbed.language.scenario_values import IMAGE_SETS
from testbed.language.yaml_source import Document, KeyPath

_PARTS: dict[str, Kind] = {"channel": "channel", "packet_loss": "packet loss"}


def rebase_paths(document: Document) -> None:
    """Rewrites the paths of other folders. Values of a wrong kind are left to be refused later."""
    if any(document.folders.values()):
        _rebase(document, _path_values(document.data))


def rebase_plugins(document: Document) -> None:
    """The same for `plugins` alone, which are loaded before anything else is looked at."""
    # What is no file is the name of an installed plug-in.
    _rebase(
        document,
        (
            path
            for path, name in _items(document.data, ("plugins",))
            if isinstance(name, str) and name.endswith(".py")
        ),
    )


def _rebase(document: Document, paths: Iterable[KeyPath]) -> None:
    for path in dict.fromkeys(paths):
        value = document.at(path)
        folder = document.folders.get(document.places[path].file, "")
        if isinstance(value, str) and value and folder and not value.startswith("~"):
            document.at(path[:-1])[path[-1]] = (PurePath(folder) / value).as_posix()


def _path_values(data: dict[str, Any]) -> Iterator[KeyPath]:
    """Where there are texts that may be paths."""
    for path, item in _items(data, ("images",)):
        source = (*path, "source") if isinstance(item, dict) else path
        value = item.get("source") if isinstance(item, dict) else item
        if value is not None and value not in IMAGE_SETS:
            yield source
    yield from _of_parts(data, ("metrics",), "metric")
    yield from _of_parts(data, ("codecs",), "codec")
    yield from _of_parts(data, ("codecs",), "analog codec")
    for path, item in [*_items(data, ("link",)), *_items(data, ("sweeps",))]:
        for key, kind in _PARTS.items():
            if isinstance(item, dict):
                yield from _of_parts(item, (key,), kind, path)
        if isinstance(item, dict):
            yield from _of_parts(item, ("protection",), "protection policy", path, "policy")
    figures = data.get("figures")
    if isinstance(figures, dict):
        yield from _of_parts(figures, ("more",), "figure", ("figures",))
    comparison = data.get("comparison")
    if isinstance(comparison, dict):
        for path, item in _items(comparison, ("published",), ("comparison",)):
            if isinstance(item, dict):
                yield from _of_parts(item, ("channel",), "channel", path)


def _of_parts(
    data: dict[str, Any], key: KeyPath, kind: Kind, within: KeyPath = (), named_by: str = "type"
) -> Iterator[KeyPath]:
    for path, item in _items(data, key, within):
        if not isinstance(item, dict) or item.get(named_by) not in names_of(kind):
            continue
        for name, (hint, _) in parameters_of(kind, item[named_by]).items():
            if is_path(hint) and name in item:
                yield from (each for each, _ in _items(item, (name,), path))


def _items(
    data: dict[str, Any], key: tuple[str | int, ...], within: KeyPath = ()
) -> Iterator[tuple[KeyPath, Any]]:
    """The value of a key, or its items if it is a list."""
    value, path = data.get(str(key[0])), (*within, *key)
    if isinstance(value, list):
        yield from (((*path, index), item) for index, item in enumerate(value))
    elif value is not None:
        yield path, value
