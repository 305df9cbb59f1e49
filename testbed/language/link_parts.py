"""Channels, loss models, metrics and whatever a plug-in registers, as a scenario names them: a type
and its parameters.

    channel: awgn                                  a name: all parameters at their defaults
    channel: {type: rician, k_db: [0, 6]}          a list is swept: two channels
    channel: [awgn, {type: rician, k_db: 6}]       one or many, as everywhere

The registered classes are the only truth about what there is: their fields are the keys, the
fields' types and defaults those of the keys, and what their constructors refuse is refused here,
with the line. They are imported when a scenario is checked, not before. Codecs, policies and
figures of plug-ins are such classes, too (plugins.py).
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from testbed.errors import error_words
from testbed.language.scenario_values import did_you_mean, wrong
from testbed.language.yaml_source import found_text, number_hint

Kind = Literal[
    "channel", "packet loss", "metric", "codec", "analog codec", "protection policy", "figure"
]
Parameter: TypeAlias = float | int | str | bool | tuple[float | int | str, ...] | None

MEAN_LOSS_KEYS = ("probability", "mean_loss")
LINK_KEYS = ("fading_block",)
"""Fields that are keys of `link`, since they mean the same to every channel that has them."""
MAX_PARTS = 10_000
"""Of one key, its lists multiplied out."""


@dataclass(frozen=True, slots=True)
class LinkPart:
    """A channel, loss model and so on by its type and the parameters that were given."""

    type: str
    parameters: tuple[tuple[str, Parameter], ...] = ()
    """Those that differ from their defaults, in the order of the class's fields."""
    content: str = ""
    """Hash of the file that a parameter names, if one does: its text counts, not its place. And of
    the plug-in that the class is from, if it is from one."""
    files: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    """Parameters that name a file."""
    folder: str = dataclasses.field(default="", compare=False)
    """Where relative files start from."""
    stated_loss: float | None = dataclasses.field(default=None, compare=False)
    """Of a loss model that is made: the mean share of packets lost that it says it has."""

    @property
    def label(self) -> str:
        """Such as "awgn" or "rician(k_db=6)": names it in tables."""
        return self._label(self.parameters)

    @property
    def identity(self) -> str:
        """The label, with the content of a file in place of its name."""
        label = self._label([pair for pair in self.parameters if pair[0] not in self.files])
        return f"{label} {self.content}".rstrip()

    @property
    def mean_loss(self) -> float | None:
        """Of a loss model: the mean share of packets lost, where it or a parameter gives it."""
        return next(
            (float(str(v)) for key, v in self.parameters if _states_loss(key, v)),
            0.0 if self.type == "iid" else self.stated_loss,
        )

    @property
    def loss_model(self) -> str:
        """Of a loss model: its label without the mean loss, which has a column of its own."""
        return self._label([pair for pair in self.parameters if not _states_loss(*pair)])

    def _label(self, parameters: Sequence[tuple[str, Parameter]]) -> str:
        if not parameters:
            return self.type
        return (
            f"{self.type}({', '.join(f'{key}={_told_apart(value)}' for key, value in parameters)})"
        )


def _states_loss(key: str, value: Parameter) -> bool:
    """Whether it is a parameter that says which share of packets is lost."""
    return key in MEAN_LOSS_KEYS and isinstance(value, int | float)


def part_class(kind: Kind, name: str) -> type[Any]:
    """The registered class. KeyError if there is none."""
    return registry_of(kind)[name]


def make_part(kind: Kind, part: LinkPart, **link_keys: str) -> Any:
    """The object itself; of `link_keys` it gets those that it has fields for.

    Raises ValueError for what its class refuses.
    """
    made = part_class(kind, part.type)
    hints = typing.get_type_hints(made)
    fields = {field.name for field in dataclasses.fields(made)}
    parameters: dict[str, Any] = dict(part.parameters)
    for key, value in parameters.items():
        if is_path(hints[key]) and isinstance(value, str):
            parameters[key] = Path(part.folder) / value
    return made(
        **parameters,
        **{key: value for key, value in link_keys.items() if key in fields},
    )


def parameters_of(kind: Kind, name: str) -> dict[str, tuple[Any, Any]]:
    """The YAML keys of a registered class: type and default of each."""
    made = part_class(kind, name)
    hints = typing.get_type_hints(made)
    return {
        field.name: (hints[field.name], _default(field))
        for field in dataclasses.fields(made)
        if field.init and field.name not in LINK_KEYS
    }


def is_path(hint: Any) -> bool:
    """Whether values of the type name a file."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return any(map(is_path, typing.get_args(hint)))
    return hint is Path


def modulations_of(channel: LinkPart) -> tuple[str, ...]:
    """The modulations that a channel is made for; empty if for all."""
    return tuple(getattr(part_class("channel", channel.type), "modulations", ()))


def mcs_scheme(table: int, index: int) -> tuple[str, Fraction]:
    """Modulation and code rate of 5G's scheme. KeyError, with the message, if there is none."""
    from channels.errors import ChannelError
    from channels.mcs import mcs

    try:
        scheme = mcs(table, index)
    except ChannelError as error:
        raise KeyError(str(error)) from None
    return scheme.modulation, scheme.code_rate


def names_of(kind: Kind) -> tuple[str, ...]:
    """What is registered, in alphabetical order: whatever was imported first."""
    return tuple(sorted(registry_of(kind)))


def registry_of(kind: Kind) -> dict[str, type[Any]]:
    """The registered classes by name, itself: what is entered there can be named."""
    # Imports numba, and scipy for some: too slow for `--help`.
    known: Mapping[str, type[Any]]
    if kind == "metric":
        from testbed.evaluation.metric_catalogue import METRICS as known
    elif kind == "codec":
        from testbed.plugins.codec_registry import CODECS as known
    elif kind == "analog codec":
        from testbed.plugins.codec_registry import ANALOG_CODECS as known
    elif kind == "protection policy":
        from testbed.plugins.policy_registry import PROTECTION_POLICIES as known
    elif kind == "figure":
        from testbed.plugins.figure_registry import FIGURES as known
    elif kind == "channel":
        from channels.catalogue import CHANNELS as known
    else:
        from channels.catalogue import PACKET_LOSSES as known
    return cast("dict[str, type[Any]]", known)


def class_schema(
    kind: Kind,
    name: str,
    named_by: str,
    *,
    swept: bool = True,
    more: Mapping[str, dict[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """JSON schema of a registered class: a mapping whose key `named_by` says which it is.

    swept: a list of values is as good as a value. more: keys beside the class's own.
    """
    keys = parameters_of(kind, name).items()
    return {
        "type": "object",
        "properties": {named_by: {"const": name}}
        | dict(more)
        | {key: _schema(*about, swept=swept) for key, about in keys},
        "required": [named_by],
        "additionalProperties": False,
    }


def plugin_sha256(made: type[Any]) -> str:
    """SHA-256 of the plug-in that a class is from; empty of the testbed's own."""
    return getattr(made, PLUGIN_SHA256, "")


PLUGIN_SHA256 = "plugin_sha256"
"""The attribute in which classes of a plug-in carry it: loading a plug-in writes it."""


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


@dataclass(frozen=True)
class LinkParts:
    """Marks a tuple of LinkPart that is read from one or many names or mappings.

    `number_as`: (type, parameter) that a bare number stands for.
    """

    kind: Kind
    number_as: tuple[str, str] | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        del source, handler
        return core_schema.with_info_plain_validator_function(
            self._parts,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda parts: [part.identity for part in parts]
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        del schema, handler
        names = list(names_of(self.kind))
        one: list[dict[str, Any]] = [{"enum": names}]
        one += [class_schema(self.kind, name, "type") for name in names]
        if self.number_as is not None:
            one.append({"type": "number"})
        return {"anyOf": [*one, {"type": "array", "items": {"anyOf": one}, "minItems": 1}]}

    def _parts(self, value: object, info: core_schema.ValidationInfo) -> tuple[LinkPart, ...]:
        if isinstance(value, tuple) and all(isinstance(part, LinkPart) for part in value):
            return value
        items = value if isinstance(value, list) else [value]
        if not items:
            raise wrong("expected at least one value, found an empty list")
        folder = str((info.context or {}).get("folder", ""))
        found: dict[LinkPart, int] = {}
        for index, item in enumerate(items):
            for part in self._expanded(item, index, folder):
                if part in found:
                    raise wrong(
                        f"{part.label} is in the list twice, as items {found[part]} and {index}: "
                        "keep one of the two",
                        at=(index,),
                    )
                found[part] = index
                if len(found) > MAX_PARTS:
                    raise wrong(f"expected at most {MAX_PARTS} in all, found more", at=(index,))
        return tuple(found)

    def _expanded(self, item: object, index: int, folder: str) -> Iterator[LinkPart]:
        """The parts that one item of the YAML stands for, its lists multiplied out."""
        if isinstance(item, bool) or item is None:
            item = str(item).lower()
        if isinstance(item, int | float):
            if self.number_as is None:
                raise wrong(f"expected {self._expected()}, found {item}", at=(index,))
            item = {"type": self.number_as[0], self.number_as[1]: item}
        if isinstance(item, str):
            item = {"type": item}
        if not isinstance(item, dict):
            raise wrong(f"expected {self._expected()}, found {found_text(item)}", at=(index,))
        name = item.get("type")
        if name is None:
            raise wrong(f"the key 'type' is missing: expected {self._expected()}", at=(index,))
        names = names_of(self.kind)
        if name not in names:
            mend = number_hint(name) if isinstance(name, str) and self.number_as else ""
            raise wrong(
                f"expected {self._expected()}; found {found_text(name)}"
                + (mend or did_you_mean(str(name), names)),
                at=(index, "type"),
            )
        keys = {key: given for key, given in item.items() if key != "type"}
        yield from _swept_parts(self.kind, name, keys, (index,), folder)

    def _expected(self) -> str:
        number = "a probability or " if self.number_as is not None else ""
        names = names_of(self.kind)
        if not names:
            return f"a {self.kind} of a plug-in, and no plug-in that is named has one"
        return f"{number}one of {', '.join(names)}"


def one_part(kind: Kind, name: str, keys: Mapping[str, object], folder: str) -> LinkPart:
    """A registered class with a value for each of these keys; lists are values, none is swept.

    folder: where relative files start from. Raises the scenario's error.
    """
    known = parameters_of(kind, name)
    chosen = []
    for key, given in keys.items():
        value = _checked(given, _type_of(kind, name, key, known, (key,)), (key,))
        if any(isinstance(each, float) and not math.isfinite(each) for each in _each(value)):
            raise _mismatch("a number", given, (key,))
        chosen.append((key, value))
    return _part(kind, name, chosen, (), folder)


def _each(value: Parameter) -> Sequence[object]:
    return value if isinstance(value, tuple) else (value,)


def _swept_parts(
    kind: Kind, name: str, keys: Mapping[str, object], at: tuple[str | int, ...], folder: str
) -> Iterator[LinkPart]:
    known = parameters_of(kind, name)
    choices: list[list[tuple[str, Parameter]]] = []
    for key, given in keys.items():
        here = (*at, key)
        field_type = _type_of(kind, name, key, known, here)
        values = [_checked(each, field_type, here) for each in _swept(given, field_type)]
        if not values:
            raise wrong("expected at least one value, found an empty list", at=here)
        choices.append([(key, value) for value in values])
    for chosen in itertools.product(*choices):
        yield _part(kind, name, chosen, at, folder)


def _type_of(
    kind: Kind, name: str, key: str, known: Mapping[str, tuple[Any, Any]], at: tuple[str | int, ...]
) -> Any:
    if key in LINK_KEYS:
        raise wrong(f"{key} is a key of the link, not of a {kind}", at=at)
    if key not in known:
        options = did_you_mean(key, known) if known else f": {name} has no parameters"
        raise wrong("unknown key" + options, at=at)
    return known[key][0]


def _part(
    kind: Kind,
    name: str,
    chosen: Sequence[tuple[str, Parameter]],
    at: tuple[str | int, ...],
    folder: str,
) -> LinkPart:
    """The part, if an object can be made of it. Raises the scenario's error."""
    known = parameters_of(kind, name)
    order = list(known)
    # A default that is written out is the same part as one that is not.
    given = [pair for pair in chosen if pair[1] != known[pair[0]][1]]
    given.sort(key=lambda pair: order.index(pair[0]))
    files = tuple(key for key, value in given if value is not None and is_path(known[key][0]))
    part = LinkPart(name, tuple(given), files=files, folder=folder)
    plugin = plugin_sha256(part_class(kind, name))
    try:
        made = make_part(kind, part)
        content = getattr(made, "content_sha256", "")
        part = dataclasses.replace(part, stated_loss=getattr(made, "mean_loss", None))
    except ValueError as error:
        raise wrong(f"{part.label}: {error}", at=at) from None
    except Exception as error:
        if not plugin:
            raise
        # An error of somebody's own class, which may say anything.
        raise wrong(f"{part.label}: {error_words(error)}", at=at) from None
    if plugin:
        content = f"{content or _content_of(part, known, at)} plugin {plugin}".lstrip()
    return dataclasses.replace(part, content=content)


def _content_of(
    part: LinkPart, known: Mapping[str, tuple[Any, Any]], at: tuple[str | int, ...]
) -> str:
    """SHA-256 of the files that its parameters name, in their order, and of those that are there
    by default; empty without any.
    """
    given, digests = dict(part.parameters), []
    for key, (_, default) in known.items():
        if key in part.files:
            path = Path(part.folder) / str(given[key])
        elif key not in given and isinstance(default, Path) and default.is_file():
            path = default
        else:
            continue
        try:
            digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
        except OSError as error:
            raise wrong(f"{path}: cannot be read ({error.strerror})", at=(*at, key)) from None
    return " ".join(digests)


def _swept(given: object, hint: Any) -> Sequence[object]:
    if typing.get_origin(hint) is tuple:
        nested = isinstance(given, list) and any(isinstance(each, list) for each in given)
        return cast("list[object]", given) if nested else [given]
    return given if isinstance(given, list) else [given]


def _checked(value: object, hint: Any, at: tuple[str | int, ...]) -> Parameter:
    """The value as the type of its field. Raises the scenario's error."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        options = [each for each in typing.get_args(hint) if each is not type(None)]
        return None if value is None else _checked(value, options[0], at)
    if origin is Literal:
        options = list(typing.get_args(hint))
        if value in options:
            return cast("Parameter", value)
        raise _mismatch(f"one of {', '.join(map(str, options))}", value, at)
    if origin is tuple:
        if not isinstance(value, list):
            raise _mismatch("a list", value, at)
        return tuple(
            cast("float", _checked(each, typing.get_args(hint)[0], (*at, index)))
            for index, each in enumerate(value)
        )
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(cast("float", value)) + 0.0
    if hint is int and is_number and isinstance(value, int):
        return value
    if hint is bool and isinstance(value, bool):
        return value
    if hint in (str, Path) and isinstance(value, str):
        if not value.isprintable():
            raise _mismatch("text on one line", value, at)
        return value
    words = {
        float: "a number",
        int: "a whole number",
        bool: "true or false",
        str: "text",
        Path: "a file",
    }
    raise _mismatch(words.get(hint, str(hint)), value, at)


def _mismatch(expected: str, value: object, at: tuple[str | int, ...]) -> PydanticCustomError:
    hint = number_hint(value) if isinstance(value, str) and "number" in expected else ""
    return wrong(f"expected {expected}, found {found_text(value)}{hint}", at=at)


def _schema(hint: Any, default: Any, *, swept: bool = True) -> dict[str, Any]:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        hint = next(a for a in typing.get_args(hint) if a is not type(None))
        return _schema(hint, default, swept=swept)
    if origin is Literal:
        one: dict[str, Any] = {"enum": list(typing.get_args(hint))}
    elif origin is tuple:
        one = {"type": "array", "items": _schema(typing.get_args(hint)[0], None)}
    else:
        one = {"type": {float: "number", int: "integer", bool: "boolean"}.get(hint, "string")}
    # A file has no default that would mean anything.
    if origin is tuple or default is None or isinstance(default, Path):
        return one
    if not swept:
        return one | {"default": default}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}], "default": default}


def _told_apart(value: Parameter) -> str:
    """`value_text`, with quotes around texts that could be taken for something else."""
    if isinstance(value, tuple):
        return "[" + " ".join(map(_told_apart, value)) + "]"
    is_plain = not isinstance(value, str) or re.fullmatch(r"(?!None$)[^\s,()=\[\]'\"]+", value)
    return value_text(value) if is_plain else repr(value)


def value_text(value: Parameter) -> str:
    """The value as a user writes it, in one word."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + " ".join(value_text(each) for each in value) + "]"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
