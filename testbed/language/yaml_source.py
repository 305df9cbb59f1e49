"""YAML text in, plain data out, with the line on which every value was written.

    bytes --PyYAML parser--> events --_Builder--> nodes (with places) --> Document(data, places)

PyYAML splits the text into events; which text is a number is decided here, not by PyYAML, because
YAML 1.1 silently turns `010` into 8, `1:30` into 90, `on` into true and `1_000` into 1000. Here
only decimal numbers, true, false, null, ~ and nothing at all are special; all else stays text, and
the schema refuses it where a number is due (`number_hint` says how to mend it).

Refused: tags, duplicate keys, keys that are not text, several documents, more than `MAX_BYTES`,
more than `MAX_NODES` values after aliases are expanded, nesting deeper than `MAX_DEPTH`.
"""

from __future__ import annotations

import codecs
import copy
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import yaml

from testbed.errors import ScenarioError

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 50
MAX_NUMBER_CHARACTERS = 40

Scalar: TypeAlias = str | int | float | bool | None
KeyPath: TypeAlias = tuple[str | int, ...]
"""Where a value stands in the data: ("link", "snr_db", 2) is the third item of link.snr_db."""

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_REAL = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|nan)", re.IGNORECASE)
_CONSTANTS: dict[str, bool | None] = {"": None, "~": None, "null": None} | {
    "true": True,
    "false": False,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written. Line and column count from 1; None inside a `--set`."""

    file: str
    line: int | None
    column: int | None

    def error(self, message: str) -> ScenarioError:
        return ScenarioError.at(self.file, self.line, self.column, message)


@dataclass(slots=True)
class Document:
    """`data`: dicts with text keys, lists and scalars. `places`: the place of every path in it.

    The place of a mapping's entry is that of its key. What came through an alias or a merge key
    has the place where it was written out, since that is where one mends it. `folders`: by the file
    of a place, the folder that paths in it start from, relative to that of the scenario; "" for
    those that are not there.
    """

    data: dict[str, Any]
    places: dict[KeyPath, Place]
    folders: dict[str, str] = field(default_factory=dict)

    def locate(self, location: Sequence[str | int]) -> tuple[KeyPath, Place]:
        """The longest path that follows `location` and exists in the data, and its place.

        Parts of `location` that the data does not have are skipped: a validator may have wrapped
        a single value in a list.
        """
        path: KeyPath = ()
        value: Any = self.data
        for part in location:
            in_mapping = isinstance(value, dict) and part in value
            in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
            if not in_mapping and not in_list:
                continue
            value = value[part]
            path = (*path, part)
        return path, self.places[path]

    def put(self, path: KeyPath, value: Any, places: Mapping[KeyPath, Place]) -> None:
        """Puts `value` at `path`, in place of what is there; what it is in must exist.

        places: by paths within the value, () being its own.
        """
        container = self.at(path[:-1])
        is_item = isinstance(container, list)
        if is_item or path[-1] in container:
            self._forget(path)
        container[path[-1]] = copy.deepcopy(value)
        self.places.update(((*path, *within), place) for within, place in places.items())

    def remove(self, path: KeyPath) -> None:
        """Takes the mapping entry at `path` away. KeyError if there is none."""
        self._forget(path)
        del self.at(path[:-1])[path[-1]]

    def places_within(self, path: KeyPath) -> dict[KeyPath, Place]:
        """The places of the value at `path` and of all in it, by paths within it."""
        found = _paths(self.at(path), path)
        return {each[len(path) :]: self.places[each] for each in found}

    def copied(self) -> Document:
        """A document of its own, with the same values and places."""
        return Document(copy.deepcopy(self.data), dict(self.places), dict(self.folders))

    def path_of(self, key: str, place: Place, within: KeyPath = ()) -> KeyPath:
        """The path that a dotted key means, as `codecs.0.layers`, `codecs[0].layers` or, by the
        item's name, `codecs.layered.layers`.

        Missing mappings on the way are made, with the place `place`; list items must exist. Raises
        ScenarioError at `place`.
        """
        path, container = within, self.at(within)
        left = dotted_parts(key)
        while left:
            part, left = _next_part(container, left)
            step = _step(container, part, path, place)
            if step is None:
                # A single mapping stands for the list of which it would be the only item.
                if not left:
                    raise place.error(f"{dotted(path)}: expected a key of {part}, as {key}.KEY")
                continue
            path = (*path, step)
            if not left:
                break
            if isinstance(container, dict) and container.get(part) is None:
                container[part] = {}
                self.places[path] = place
            container = container[step]
        return path

    def at(self, path: KeyPath) -> Any:
        """The value at `path`. KeyError or IndexError if there is none."""
        value: Any = self.data
        for part in path:
            value = value[part]
        return value

    def _forget(self, path: KeyPath) -> None:
        for known in _paths(self.at(path), path):
            self.places.pop(known, None)


def dotted_parts(key: str) -> list[str]:
    """The parts of a dotted key: `a.b[0]` has a, b and 0. Where a dot is too many, one is empty."""
    return re.sub(r"\[([0-9]+)\]", r".\1", key.strip()).split(".")


@dataclass(frozen=True, slots=True)
class Override:
    """One `--set`: a dotted key, and a value with its places, which have no lines."""

    key: str
    value: Any
    place: Place
    places: dict[KeyPath, Place]


def parse_override(override: str) -> Override:
    """Reads the `KEY=VALUE` of a `--set`, VALUE as YAML. Raises ScenarioError."""
    label = f"--set {override if override.isprintable() else ascii(override)}"
    place = Place(label, None, None)
    key, equals, text = override.partition("=")
    if not equals or "" in dotted_parts(key):
        raise place.error("expected KEY=VALUE, such as seed=3 or link.snr_db=[0,5]")
    node = _Builder(text, label, has_lines=False).document()
    if node is None:
        return Override(key, None, place, {(): place})
    return Override(key, _plain(node), place, dict(_walk(node, (), place)))


def read_document(path: Path) -> Document:
    """Reads a YAML file whose top level is a mapping. Raises ScenarioError, one line."""
    file = str(path) if str(path).isprintable() else ascii(str(path))
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ScenarioError.at(file, None, None, "there is no such file") from None
    except IsADirectoryError:
        raise ScenarioError.at(file, None, None, "expected a YAML file, found a folder") from None
    except OSError as error:
        raise ScenarioError.at(file, None, None, f"cannot be read: {error.strerror}") from None
    except ValueError:
        raise ScenarioError.at(file, None, None, "this cannot be the name of a file") from None
    return parse_document(content, file)


def parse_document(content: bytes, file: str) -> Document:
    """Like `read_document`, from bytes in memory; `file` is the name for error messages."""
    if len(content) > MAX_BYTES:
        raise ScenarioError.at(file, 1, 1, f"expected at most {MAX_BYTES} bytes, found more")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        before = content[content.rfind(b"\n", 0, error.start) + 1 : error.start]
        column = len(before.decode("utf-8")) + 1
        found = f"the byte 0x{content[error.start]:02x}"
        raise ScenarioError.at(
            file, line, column, f"expected text in UTF-8, found {found}"
        ) from None
    node = _Builder(text, file, has_lines=True).document()
    if node is None or node.value is None:
        raise ScenarioError.at(file, 1, 1, "expected a mapping such as 'seed: 1', found nothing")
    if not isinstance(node.value, dict):
        raise node.place.error(
            f"expected a mapping such as 'seed: 1' at the top level, found {found_text(node.value)}"
        )
    return Document(_plain(node), dict(_walk(node, (), Place(file, 1, 1))))


def dotted(path: Sequence[str | int]) -> str:
    """The path as a user writes it: link.snr_db[2]."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        plain = re.fullmatch(r"[\w-]+", part, re.ASCII)
        text += ("." if text else "") + (part if plain else _shortened(part))
    return text


def found_text(value: object) -> str:
    """The value in words for '..., found ...'; always a single short line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {_shortened(value)}"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, dict):
        return "a mapping"
    return repr(value)


def number_hint(text: str) -> str:
    """How to write the number that `text` was perhaps meant to be: ': write 1.0e-3', or ''."""
    text = text.strip()
    if len(text) > MAX_NUMBER_CHARACTERS or not text.isascii():
        return ""
    mend = ""
    if match := re.fullmatch(r"([-+]?[1-9]?[0-9]+)([eE][-+]?[0-9]+)", text):
        mend = f"write {match[1]}.0{match[2]}"
    elif match := re.fullmatch(r"([-+]?)0+([0-9]+(?:\.[0-9]*)?)", text):
        mend = f"write {match[1]}{match[2]}; a leading zero could also mean an octal number"
    elif re.fullmatch(r"[-+]?0(?:[xX][0-9a-fA-F]+|[bB][01]+|[oO][0-7]+)", text):
        mend = f"write {int(text, 0)}; only decimal numbers are read"
    elif re.fullmatch(r"[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?", text):
        mend = f"write {text.replace('_', '')}, without underscores"
    elif re.fullmatch(r"[-+]?[0-9]+(?::[0-9]+)+(?:\.[0-9]*)?", text):
        mend = "write one decimal number; numbers to the base 60 are not read"
    elif match := re.fullmatch(r"([-+]?[0-9]+),([0-9]+)", text):
        mend = f"write {match[1]}.{match[2]} for a decimal point, or [{match[1]}, {match[2]}]"
    elif match := re.fullmatch(r"([-+]?[0-9.]+) ?(?:dB|db|%|B|bytes)", text):
        mend = f"write {match[1]} without the unit"
    elif re.fullmatch(r"[-+]?[0-9]+ ?/ ?[0-9]+", text):
        mend = "write a decimal number; a fraction is not read here"
    elif _INTEGER.fullmatch(text) or _REAL.fullmatch(text):
        mend = f"write {text} without quotes"
    return f": {mend}" if mend else ""


def _shortened(text: str, limit: int = 40) -> str:
    return repr(text if len(text) <= limit else text[:limit] + "...")


def _next_part(container: Any, parts: list[str]) -> tuple[str, list[str]]:
    """The next key of the way, and the parts that are left. A key of the container that has dots
    itself, as those in `vary`, takes as many parts.
    """
    for key in container if isinstance(container, dict) else ():
        own = dotted_parts(key)
        if len(own) > 1 and own == parts[: len(own)]:
            return key, parts[len(own) :]
    return parts[0], parts[1:]


def _step(container: Any, part: str, path: KeyPath, place: Place) -> str | int | None:
    """The key or index that `part` of a dotted key means in `container`, which stands at `path`;
    None if it is the container itself, by its name.
    """
    here = dotted(path)
    if isinstance(container, dict):
        return None if path and part not in container and part == _name_of(container) else part
    if not isinstance(container, list):
        raise place.error(f"{here} is {found_text(container)} and has no part {_shortened(part)}")
    index = item_index(container, part)
    if index is not None:
        return index
    items = f"items 0 to {len(container) - 1}" if container else "no items"
    names = [name for name in map(_name_of, container) if name is not None]
    close = difflib.get_close_matches(part, names, n=1)
    mend = f": did you mean {close[0]!r}?" if close else ""
    if names and not close:
        mend = f": use a number, or one of {', '.join(map(_shortened, names))}"
    raise place.error(f"{here} has {items}, found {_shortened(part)}{mend}")


def item_index(items: Sequence[Any], part: str) -> int | None:
    """The item that `part` means, by its number or by its only name; None if it means none."""
    if re.fullmatch(r"[0-9]{1,6}", part):
        return int(part) if int(part) < len(items) else None
    named = [index for index, item in enumerate(items) if _name_of(item) == part]
    return named[0] if len(named) == 1 else None


def _name_of(item: Any) -> str | None:
    """What an item of a list is called: its name, or what it is named after."""
    if not isinstance(item, dict):
        return None
    names = (item[key] for key in ("name", "type", "policy") if key in item)
    return next((name for name in names if isinstance(name, str)), None)


@dataclass(slots=True)
class _Node:
    """A value with its place. `size` and `depth` are those of its tree, aliases expanded."""

    value: Scalar | list[_Node] | dict[str, tuple[Place, _Node]]
    place: Place
    size: int = 1
    depth: int = 1


def _plain(node: _Node) -> Any:
    """The node as dicts, lists and scalars. Nothing is shared between two uses of an alias."""
    if isinstance(node.value, dict):
        return {key: _plain(child) for key, (_, child) in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(child) for child in node.value]
    return node.value


def _paths(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    yield path
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _paths(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _paths(child, (*path, index))


def _walk(node: _Node, path: KeyPath, place: Place) -> Iterator[tuple[KeyPath, Place]]:
    yield path, place
    if isinstance(node.value, dict):
        for key, (key_place, child) in node.value.items():
            yield from _walk(child, (*path, key), key_place)
    elif isinstance(node.value, list):
        for index, child in enumerate(node.value):
            yield from _walk(child, (*path, index), child.place)


class _Builder:
    """Builds nodes from PyYAML's events, so that limits hold before anything is expanded."""

    def __init__(self, text: str, file: str, *, has_lines: bool) -> None:
        self._file = file
        self._has_lines = has_lines
        self._anchors: dict[str, _Node] = {}
        self._open_anchors: set[str] = set()
        self._count = 0
        try:
            self._loader = yaml.SafeLoader(text)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            column = error.position - text.rfind("\n", 0, error.position)
            place = Place(file, line, column) if has_lines else Place(file, None, None)
            raise place.error(
                f"expected printable text, found {_shortened(text[error.position])}"
            ) from None

    def document(self) -> _Node | None:
        """The only document of the text; None if there is none. Raises ScenarioError."""
        self._next()  # the stream's start
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        node = self._node(self._next(), level=1)
        self._next()  # the document's end
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._fail(after, "expected one YAML document, found a second after '---'")
        return node

    def _next(self) -> yaml.Event:
        try:
            event: yaml.Event = self._loader.get_event()  # type: ignore[no-untyped-call]
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark or self._loader.get_mark()
            raise self._place(mark).error(_syntax_message(error)) from None
        except (ValueError, OverflowError):
            # PyYAML lets these through for an escape such as "\U99999999".
            place = self._place(self._loader.get_mark())
            raise place.error("not valid YAML: an escape or a number is out of range") from None
        return event

    def _place(self, mark: Any) -> Place:
        if not self._has_lines:
            return Place(self._file, None, None)
        return Place(self._file, mark.line + 1, mark.column + 1)

    def _fail(self, event: yaml.Event, message: str) -> NoReturn:
        raise self._place(event.start_mark).error(message)

    def _node(self, event: yaml.Event, level: int) -> _Node:
        place = self._place(event.start_mark)
        if level > MAX_DEPTH:
            raise place.error(f"expected at most {MAX_DEPTH} levels of nesting, found more")
        self._count += 1
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, level)
        assert isinstance(event, yaml.NodeEvent)
        tag = getattr(event, "tag", None)
        if tag is not None:
            tag = tag.replace("tag:yaml.org,2002:", "!!")
            raise place.error(
                f"expected a plain value, found the tag {_shortened(tag)}: remove the tag "
                "(text that looks like a number goes in quotes)"
            )
        anchor = event.anchor
        if anchor is not None:
            self._open_anchors.add(anchor)
        if isinstance(event, yaml.MappingStartEvent):
            node = self._mapping(place, level)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(place, level)
        else:
            assert isinstance(event, yaml.ScalarEvent)
            node = _Node(_scalar(event.value, bool(event.implicit[0]), place), place)
        if anchor is not None:
            self._open_anchors.discard(anchor)
            self._anchors[anchor] = node
        self._check_size(node.size, place)
        return node

    def _check_size(self, size: int, place: Place) -> None:
        if max(size, self._count) > MAX_NODES:
            raise place.error(f"expected at most {MAX_NODES} values with aliases, found more")

    def _alias(self, event: yaml.AliasEvent, level: int) -> _Node:
        name = event.anchor
        if name in self._open_anchors:
            self._fail(event, f"expected an alias to something else, found *{name} inside &{name}")
        if name not in self._anchors:
            self._fail(event, f"expected an anchor &{name} above, found only its alias *{name}")
        target = self._anchors[name]
        if level + target.depth - 1 > MAX_DEPTH:
            self._fail(event, f"expected at most {MAX_DEPTH} levels of nesting, found more")
        return _Node(target.value, self._place(event.start_mark), target.size, target.depth)

    def _sequence(self, place: Place, level: int) -> _Node:
        items: list[_Node] = []
        node = _Node(items, place)
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            item = self._node(event, level + 1)
            items.append(item)
            self._grow(node, item)
        return node

    def _mapping(self, place: Place, level: int) -> _Node:
        entries: dict[str, tuple[Place, _Node]] = {}
        merged: dict[str, tuple[Place, _Node]] = {}
        written: dict[str, Place] = {}
        node = _Node(entries, place)
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            is_merge = isinstance(event, yaml.ScalarEvent) and (
                event.value == "<<" and bool(event.implicit[0])
            )
            key, key_place = self._node(event, level + 1).value, self._place(event.start_mark)
            if not isinstance(key, str):
                raise key_place.error(
                    f"expected a key that is text, found {found_text(key)}: "
                    "put the key in quotes, or mend the indentation"
                )
            if key in written:
                line = written[key].line
                where = "already there" if line is None else f"already on line {line}"
                raise key_place.error(f"the key {_shortened(key)} is {where}: keep one of the two")
            written[key] = key_place
            child = self._node(self._next(), level + 1)
            self._grow(node, child)
            if is_merge:
                merged = _merge_entries(child, key_place)
            else:
                entries[key] = (key_place, child)
        for key, entry in merged.items():
            entries.setdefault(key, entry)
        return node

    def _grow(self, node: _Node, child: _Node) -> None:
        node.size += child.size
        node.depth = max(node.depth, child.depth + 1)
        self._check_size(node.size, node.place)


def _merge_entries(source: _Node, place: Place) -> dict[str, tuple[Place, _Node]]:
    """What `<<: source` brings in; of several mappings the first that has a key gives it."""
    entries: dict[str, tuple[Place, _Node]] = {}
    for node in source.value if isinstance(source.value, list) else [source]:
        if not isinstance(node.value, dict):
            raise place.error(
                f"expected a mapping to merge after '<<', found {found_text(node.value)}"
            )
        for key, entry in node.value.items():
            entries.setdefault(key, entry)
    return entries


def _scalar(text: str, is_plain: bool, place: Place) -> Scalar:
    """The value of a scalar; `is_plain` if it stands without quotes."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise place.error("expected text in Unicode, found half of a surrogate pair")
    if not is_plain:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    is_integer = _INTEGER.fullmatch(text) is not None
    if not is_integer and not _REAL.fullmatch(text):
        return float(text.replace(".", "")) if _NOT_FINITE.fullmatch(text) else text
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise place.error(f"expected a number of at most {MAX_NUMBER_CHARACTERS} characters")
    return int(text) if is_integer else float(text)


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "it cannot be read"
    mend = ""
    if "'\\t'" in problem:
        mend = ": indent with spaces, not with tabs"
    elif "mapping values are not allowed" in problem:
        mend = ": check the indentation, and put text that holds ': ' in quotes"
    elif "expected <block end>" in problem or "could not find expected ':'" in problem:
        mend = ": check the indentation and the ':' of the lines above"
    elif "alias" in (error.context or "") or "cannot start any token" in problem:
        mend = ": put the text in quotes"
    return "not valid YAML: " + " ".join(problem.split()) + mend
