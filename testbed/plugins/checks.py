"""What a class must have that a plug-in registers; all of it is checked before anything is sent."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from pathlib import Path
from typing import Any, Literal

from testbed.language.link_parts import LINK_KEYS, Kind

RESERVED = ("type", "name", "policy")
"""Keys that a scenario has for every one."""
VALUES = (float, int, str, bool, Path)


def complaint(kind: Kind, name: str, made: Any) -> str | None:
    """What is wrong with a class that was registered so, in one line; None if nothing is."""
    if not re.fullmatch(r"[a-z0-9_]{1,60}", name):
        return "expected a name of a-z, 0-9 and '_' (at most 60)"
    if not isinstance(made, type):
        return f"expected a class, found {made!r}"
    if not dataclasses.is_dataclass(made) or not made.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return f"{made.__name__}: expected a frozen dataclass: put @dataclass(frozen=True) above it"
    lacking = _lacking(kind, made)
    if lacking:
        return f"{made.__name__}: expected {', '.join(lacking)}, found none"
    return _field_complaint(kind, made)


def _lacking(kind: Kind, made: type[Any]) -> list[str]:
    """The methods and attributes that it should have and has not."""
    base, methods, attributes = _contract(kind)
    if base is not None and not issubclass(made, base):
        return [f"a subclass of {base.__name__}"]
    abstract = sorted(getattr(made, "__abstractmethods__", ()))
    return [
        *(f"the method {each}" for each in dict.fromkeys(abstract)),
        *(f"the method {each}" for each in methods if not _is_own(made, each)),
        *(f"the attribute {each}" for each in attributes if not hasattr(made, each)),
    ]


def _contract(kind: Kind) -> tuple[type[Any] | None, tuple[str, ...], tuple[str, ...]]:
    """Base class, methods and attributes of a kind."""
    from channels.channel import Channel
    from channels.packet_loss import PacketLoss
    from testbed.plugins.figure_registry import TableFigure
    from testbed.plugins.metric_registry import Metric
    from testbed.plugins.policy_registry import ProtectionPolicy

    contracts: dict[Kind, tuple[type[Any] | None, tuple[str, ...], tuple[str, ...]]] = {
        "channel": (Channel, (), ()),
        "packet loss": (PacketLoss, (), ()),
        "metric": (Metric, (), ("label", "higher_is_better", "bounds")),
        "codec": (None, ("encode_batch", "decode_batch"), ("scalable",)),
        "analog codec": (None, ("encode_symbols", "decode_symbols"), ()),
        "protection policy": (ProtectionPolicy, (), ()),
        "figure": (TableFigure, (), ()),
    }
    return contracts[kind]


def _is_own(made: type[Any], method: str) -> bool:
    """Whether a class has the method itself: that of a Protocol does nothing."""
    return any(
        method in vars(each) and not getattr(each, "_is_protocol", False) for each in made.__mro__
    )


def _field_complaint(kind: Kind, made: type[Any]) -> str | None:
    try:
        hints = typing.get_type_hints(made)
    except (NameError, TypeError, AttributeError) as error:
        return f"{made.__name__}: its annotations cannot be read: {error}"
    for field in dataclasses.fields(made):
        if not field.init:
            continue
        where = f"{made.__name__}.{field.name}"
        if field.name in RESERVED or (field.name in LINK_KEYS and kind != "channel"):
            return f"{where}: expected a field of another name: this key means something else"
        if field.default is field.default_factory is dataclasses.MISSING:
            return f"{where}: expected a default, found none"
        if not _is_value(hints[field.name]):
            return (
                f"{where}: expected float, int, str, bool, Path, Literal, a tuple of one of them "
                f"or one of them or None, found {field.type}"
            )
    return None


def _is_value(hint: Any) -> bool:
    """Whether values of the type can be read from a scenario (link_parts.py)."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return True
    if origin is tuple:
        return len(inner) == 2 and inner[1] is ... and inner[0] in (float, int, str)
    if origin in (types.UnionType, typing.Union):
        options = [each for each in inner if each is not type(None)]
        return len(options) == 1 and _is_value(options[0])
    return hint in VALUES
