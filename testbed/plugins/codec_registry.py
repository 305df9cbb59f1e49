"""Codecs that plug-ins bring: a frozen dataclass each, whose fields are its keys in the YAML.

    @register_codec("palette")
    @dataclass(frozen=True)
    class Palette(ImageCodec):
        colours: int = 16
        ...

What a codec is, `codec.base` and `codec.analog` say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from channels.errors import ChannelError
from channels.registry import AnyClass, add_to

CODECS: dict[str, type[Any]] = {}
"""Codecs that send bits, `codec.base.ImageCodec`, by the type that a scenario gives."""
ANALOG_CODECS: dict[str, type[Any]] = {}
"""Codecs that send symbols, `codec.analog.AnalogCodec`, likewise."""


def register_codec(name: str) -> Callable[[AnyClass], AnyClass]:
    """A decorator that enters an `ImageCodec`. ChannelError if another codec has the name."""
    return _add(CODECS, ANALOG_CODECS, "codec", name)


def register_analog_codec(name: str) -> Callable[[AnyClass], AnyClass]:
    """A decorator that enters an `AnalogCodec`. ChannelError if another codec has the name."""
    return _add(ANALOG_CODECS, CODECS, "analog codec", name)


def _add(
    known: dict[str, Any], others: dict[str, Any], kind: str, name: str
) -> Callable[[AnyClass], AnyClass]:
    from testbed.language.codec_sections import CODEC_SECTIONS

    taken = others.get(name) or CODEC_SECTIONS.get(name)
    if taken is not None:
        raise ChannelError(f"{kind} {name!r}: expected a new name, found {taken}")
    return add_to(known, kind, name)
