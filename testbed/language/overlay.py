"""Laying what is said later over what was said before: the one way of `extends`, `vary`, `--set`.

    mapping over mapping      merged, key by key; unless it says another `type` or `policy`: then it
                              is another thing, and replaces the mapping
    mapping over list         changes the items that its keys name, if all of them do
    null over anything        takes the inherited key away (not with `--set`)
    anything else             replaces

Keys that say the same in another way (snr_db and ebn0_db; modulation and code_rate, mcs,
spectral_efficiency) are rivals: what is laid over takes away the rival below. Two rivals that are
laid over together both stay, to be refused.
"""

from __future__ import annotations

from typing import Any

from testbed.language.link_grid import SCHEME_RIVALS
from testbed.language.yaml_source import Document, KeyPath, Override, Place, dotted, item_index

_RIVALS = {"snr_db": ("ebn0_db",), "ebn0_db": ("snr_db",), **SCHEME_RIVALS}
_KINDS = ("type", "policy")


class Overlay:
    """One layer over `document`, which it changes."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._laid: set[KeyPath] = set()

    def merge(self, source: Document, at: KeyPath = (), onto: KeyPath = ()) -> None:
        """Lays the mapping at `at` in `source` over the mapping at `onto`.

        Raises ScenarioError for what would overrule a `--set`.
        """
        for key in source.at(at):
            self.lay(source, (*at, key), (*onto, key))

    def lay(self, source: Document, at: KeyPath, path: KeyPath) -> None:
        """Lays the value at `at` in `source` over what is at `path`, merging mappings."""
        value, container = source.at(at), self.document.at(path[:-1])
        known = isinstance(container, list) or path[-1] in container
        old = self.document.at(path) if known else None
        if isinstance(value, dict) and isinstance(old, dict) and not _differ_in_kind(value, old):
            self.document.places[path] = source.places[at]
            self.merge(source, at, path)
        elif isinstance(value, dict) and isinstance(old, list) and _names_items(value, old):
            for key in value:
                item = item_index(old, key)
                assert item is not None
                self.lay(source, (*at, key), (*path, item))
        elif value is not None or isinstance(container, list):
            self.replace(source, at, path)
        elif known:
            self._may_change(path, source.places[at])
            self.document.remove(path)

    def replace(self, source: Document, at: KeyPath, path: KeyPath) -> None:
        """Puts the value at `at` in `source` in place of what is at `path`."""
        if path in self.document.places:
            self._may_change(path, source.places[at])
        self.document.put(path, source.at(at), source.places_within(at))
        self._ousts_rivals(path)

    def set(self, override: Override) -> None:
        """Puts the value of a `--set` in its place. Raises ScenarioError."""
        path = self.document.path_of(override.key, override.place)
        self.document.put(path, override.value, override.places)
        self._ousts_rivals(path)

    def _ousts_rivals(self, path: KeyPath) -> None:
        self._laid.add(path)
        if path[0] not in ("link", "sweeps") or self.document.at(path) is None:
            return
        for key in _RIVALS.get(str(path[-1]), ()):
            rival = (*path[:-1], key)
            asked_for = any(rival[:depth] in self._laid for depth in range(1, len(rival) + 1))
            if rival in self.document.places and not asked_for:
                self._may_change(rival, self.document.places[path])
                self.document.remove(rival)

    def _may_change(self, path: KeyPath, by: Place) -> None:
        """What a `--set` says, only another may change. Raises ScenarioError."""
        if by.line is None:
            return
        for within, place in self.document.places_within(path).items():
            if place.line is None:
                key = dotted((*path, *within))
                raise place.error(
                    f"{key} is varied ({by.file}:{by.line}): set it there, such as "
                    f"vary.grid.{key}=[..], or take vary away with vary=null"
                )


def _differ_in_kind(value: dict[str, Any], old: dict[str, Any]) -> bool:
    return any(key in value and value[key] != old.get(key) for key in _KINDS)


def _names_items(value: dict[str, Any], items: list[Any]) -> bool:
    return bool(value) and all(item_index(items, key) is not None for key in value)
