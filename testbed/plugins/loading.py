"""Plug-ins: Python code of the user's that a scenario names, and nothing else.

    plugins: [my_loss.py, their_codecs]      a file beside the YAML; an installed entry point

A plug-in's module registers classes (plugin_api.py), which the scenario can then name. It is
imported when a scenario or a command line names it, never because it lies somewhere. Only what the
latest scenario names can be named: `load_plugins` takes all else out of the registries again, so
that no result depends on what a process did before.

The SHA-256 of a plug-in is part of the ids of the trials that use a class of it (link_parts.py). It
is that of the very bytes that run; of an entry point, of all files of its package.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module, metadata
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from testbed.errors import TestbedError
from testbed.language.link_parts import PLUGIN_SHA256, Kind, registry_of
from testbed.plugins.checks import complaint

ENTRY_POINTS = "semcom_testbed.plugins"
"""The group of entry points in which installed plug-ins stand, each naming a module."""


CHANGED = "it has changed since the run began: start it again"


class PluginError(TestbedError):
    """A plug-in cannot be used: one line that begins with its file, and its line if there is one.

    number: which of the plug-ins that were named.
    """

    def __init__(self, text: str, number: int = 0) -> None:
        super().__init__(text, number)
        self.text, self.number = text, number

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plug-in that was found.

    name: as the user named it. place: the file's absolute path, or the entry point's module.
    sha256: of the file, or of all files of the module's package.
    """

    name: str = field(compare=False)
    place: str
    sha256: str

    @property
    def is_file(self) -> bool:
        return self.place.endswith(".py")

    def canonical(self) -> dict[str, str]:
        """What of it belongs to a scenario's hash: not where it lies."""
        return {"name": Path(self.name).name, "sha256": self.sha256}

    @property
    def module(self) -> str:
        """The name that it is imported under; the same in every process."""
        if not self.is_file:
            return self.place
        return f"semcom_plugin_{_sha256(self.place.encode() + self.sha256.encode())[:12]}"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A class in a registry."""

    kind: Kind
    name: str
    registered: type[Any]


_loaded: dict[Plugin, tuple[_Entry, ...]] = {}
"""Plug-ins that this process has imported, and what they register."""


def named_plugins(names: Sequence[str], folder: Path) -> tuple[Plugin, ...]:
    """The plug-ins of these names, loaded. A name that ends with .py is a file in `folder`, any
    other an entry point. Raises PluginError.
    """
    found: list[Plugin] = []
    for number, name in enumerate(names):
        try:
            plugin = _file(name, folder) if name.endswith(".py") else _entry_point(name)
        except PluginError as error:
            raise PluginError(error.text, number) from None
        if plugin in found:
            raise PluginError(f"{name}: named twice: keep one of the two", number)
        found.append(plugin)
    load_plugins(found)
    return tuple(found)


def load_plugins(plugins: Sequence[Plugin]) -> None:
    """Makes the classes of these plug-ins known, and those of no others.

    A process imports a plug-in once. Raises PluginError, also for one that has changed since it was
    found. Every process that works for a scenario has to call it before it is handed anything.
    """
    for plugin, entries in _loaded.items():
        if plugin not in plugins:
            for entry in entries:
                registry_of(entry.kind).pop(entry.name, None)
    for number, plugin in enumerate(plugins):
        try:
            if plugin in _loaded:
                _enter(plugin)
            else:
                _loaded[plugin] = _import(plugin)
        except PluginError as error:
            raise PluginError(error.text, number) from None


def check_unchanged(plugins: Sequence[Plugin]) -> None:
    """Raises PluginError if what is there is no longer what was found."""
    for number, plugin in enumerate(plugins):
        now = (
            _sha256(_read(Path(plugin.place))) if plugin.is_file else _package_sha256(plugin.place)
        )
        if now != plugin.sha256:
            raise PluginError(f"{plugin.place}: {CHANGED}", number)


def _enter(plugin: Plugin) -> None:
    for entry in _loaded[plugin]:
        known = registry_of(entry.kind)
        if known.setdefault(entry.name, entry.registered) is not entry.registered:
            raise PluginError(
                f"{plugin.place}: {entry.kind} {entry.name!r}: expected a new name, found "
                f"{known[entry.name]}"
            )


def _file(name: str, folder: Path) -> Plugin:
    path = (folder / name).resolve()
    return Plugin(name, str(path), _sha256(_read(path)))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise PluginError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PluginError(f"{path}: cannot be read ({reason})") from None


def _entry_point(name: str) -> Plugin:
    known = metadata.entry_points(group=ENTRY_POINTS)
    found = {each.value for each in known.select(name=name)}
    if not found:
        installed = ", ".join(sorted(known.names)) or "none"
        raise PluginError(
            f"{name}: expected a file that ends with .py, or an installed plug-in's name "
            f"(installed: {installed})"
        )
    if len(found) > 1 or ":" in min(found):
        raise PluginError(
            f"{name}: expected an entry point that names one module, found "
            f"{', '.join(sorted(found))}"
        )
    module = found.pop()
    return Plugin(name, module, _package_sha256(module))


def _package_sha256(module: str) -> str:
    """Of all files of the top-level package that the module is in, in order of their paths."""
    root = module.partition(".")[0]
    spec = find_spec(root)
    if spec is None:
        raise PluginError(f"{module}: there is no such module")
    if spec.submodule_search_locations is None:
        return _sha256(_read(Path(spec.origin or "")))
    digest = hashlib.sha256()
    for folder in map(Path, spec.submodule_search_locations):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                # The length keeps where one file ends and the next begins.
                content = _read(path)
                digest.update(f"{path.relative_to(folder)} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _import(plugin: Plugin) -> tuple[_Entry, ...]:
    """Imports it; what it registers. Raises PluginError, and then nothing is registered."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    before = {kind: dict(registry_of(kind)) for kind in kinds}
    try:
        content = _run(plugin)
        entries = tuple(_new(plugin, before))
        _check(plugin, entries, content)
    except BaseException:
        for kind, known in before.items():
            registry_of(kind).clear()
            registry_of(kind).update(known)
        if plugin.is_file:
            sys.modules.pop(plugin.module, None)
        raise
    for entry in entries:
        setattr(entry.registered, PLUGIN_SHA256, plugin.sha256)
    return entries


def _run(plugin: Plugin) -> bytes:
    """Runs the module; the text of a file, which are the bytes that ran."""
    content = _read(Path(plugin.place)) if plugin.is_file else b""
    now = _sha256(content) if plugin.is_file else _package_sha256(plugin.place)
    if now != plugin.sha256:
        raise PluginError(f"{plugin.place}: {CHANGED}")
    if not plugin.is_file and any(plugin.place == each.place for each in _loaded):
        # Python keeps what it has imported.
        raise PluginError(
            f"{plugin.place}: it has changed since this process imported it: start anew"
        )
    try:
        if plugin.is_file:
            _run_file(plugin, content)
        else:
            import_module(plugin.place)
    except (Exception, SystemExit) as error:
        raise PluginError(_described(error, plugin)) from None
    return content


def _run_file(plugin: Plugin, content: bytes) -> None:
    loader = _Bytes(plugin.module, plugin.place, content)
    spec = spec_from_file_location(plugin.module, plugin.place, loader=loader)
    assert spec is not None
    module: ModuleType = module_from_spec(spec)
    # Dataclasses look their module up, and so does whoever unpickles their objects.
    sys.modules[plugin.module] = module
    loader.exec_module(module)


class _Bytes(SourceFileLoader):
    """Runs the bytes that were hashed, not what the file holds by now, nor a cache of it."""

    def __init__(self, name: str, path: str, content: bytes) -> None:
        super().__init__(name, path)
        self._content = content

    def path_stats(self, path: str) -> dict[str, Any]:
        raise OSError(path)

    def get_data(self, path: str) -> bytes:
        del path
        return self._content


def _new(plugin: Plugin, before: dict[Kind, dict[str, type[Any]]]) -> Iterator[_Entry]:
    """What was registered by it: of an installed one also what an earlier import of it did."""
    root = plugin.place.partition(".")[0]
    for kind, known in before.items():
        for name, registered in registry_of(kind).items():
            earlier = not plugin.is_file and registered.__module__.partition(".")[0] == root
            if earlier or known.get(name) is not registered:
                yield _Entry(kind, name, registered)


def _check(plugin: Plugin, entries: Sequence[_Entry], content: bytes) -> None:
    if not entries:
        raise PluginError(
            f"{plugin.place}: expected a plug-in that registers something, found none: does a "
            "decorator such as @register_channel stand above its class?"
        )
    for entry in entries:
        problem = complaint(entry.kind, entry.name, entry.registered)
        if problem is not None:
            raise PluginError(
                f"{_place(plugin, _line_of(entry.registered, content))}: {entry.kind} "
                f"{entry.name!r}: {problem}"
            )


def _line_of(registered: type[Any], content: bytes) -> int | None:
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.ClassDef) and node.name == registered.__name__:
            return node.lineno
    return None


def _described(error: BaseException, plugin: Plugin) -> str:
    from channels.errors import ChannelError

    line, text = None, f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename == plugin.place:
        line, text = error.lineno, f"not valid Python: {error.msg}"
    elif isinstance(error, ChannelError | TestbedError):
        text = str(error)
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == plugin.place:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{_place(plugin, line)}: {' '.join(text.split())}"


def _place(plugin: Plugin, line: int | None) -> str:
    return plugin.place if line is None else f"{plugin.place}:{line}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
