"""What a conventional format does, and what a codec may do about its headers and about damage.

Header policies: which bytes of a file are charged. On a picture of 32 x 32 this decides more than
the format does.

    file         all of them
    abbreviated  what a decoder that knows the format and its fixed settings cannot know: it
                 rebuilds the file byte for byte from that
    payload      those that code the picture; all else reaches the receiver free of charge and
                 always. Optimistic: no real receiver knows, say, a picture's own Huffman tables
    mosaic       what the picture adds to a file of 16 pictures of which 15 are known (mosaic.py):
                 headers and what an encoder learns are shared, as where baselines code a data set
                 of small pictures as one large picture

Damage policies: what is shown of a stream that is not complete and intact.

    drop         nothing
    truncate     what the intact bytes before the first gap determine, for streams whose every
                 prefix is a coarser picture
    conceal      whatever the library makes of all the bytes, wrong ones as well. JPEG goes on after
                 an error, at the next restart marker if there are any, and ends in mid-grey
"""

from __future__ import annotations

import importlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from types import ModuleType
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np

from codec.base import CodecError, Image

Headers = Literal["file", "abbreviated", "payload", "mosaic"]
HEADERS: tuple[Headers, ...] = get_args(Headers)
OWN_HEADERS: tuple[Headers, ...] = ("file", "payload", "mosaic")
"""Of formats whose headers depend on the picture and cannot be rebuilt."""
OnLoss = Literal["drop", "truncate", "conceal"]
Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]
"""Of the chroma. 4:2:0 keeps a picture of 32 x 32 below 40 dB whatever the rate."""


class Parts(NamedTuple):
    """A file in three: what codes the picture is in the middle. They join to the file."""

    head: bytes
    payload: bytes
    tail: bytes


@dataclass(frozen=True)
class FileFormat(ABC):
    """Pictures to files and back. Its fields are settings that both ends of a link know.

    Raises CodecError if it is made with settings that do not go together, or without its library.
    """

    name: ClassVar[str]
    truncates_with: ClassVar[str] = ""
    """The settings that make every prefix a picture, in words; empty if none do."""
    max_side: ClassVar[int] = 65535
    default_setting: ClassVar[float]
    """Where no budget asks for another."""
    uneven_steps: ClassVar[int]
    """A stream may still come out no longer than that of a setting so many steps below: somewhat
    more than was seen on pictures of 32 x 32, where it is worst."""

    def __str__(self) -> str:
        """Such as "jpeg" or "jpeg (progressive: true)": what differs from the defaults."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        given = [f"{key}: {str(v).lower()}" for key, (v, default) in values.items() if v != default]
        return f"{self.name} ({', '.join(given)})" if given else self.name

    @property
    @abstractmethod
    def headers(self) -> tuple[Headers, ...]:
        """The header policies that it supports."""

    @property
    def truncates(self) -> bool:
        """Whether every prefix of its files is a coarser picture."""
        return False

    @property
    def setting_is_size(self) -> bool:
        """Whether a setting states the size of the file, and not a quality."""
        return False

    @property
    @abstractmethod
    def versions(self) -> str:
        """The libraries underneath, with their versions: they determine the bytes."""

    @abstractmethod
    def settings(self, height: int, width: int) -> Sequence[float]:
        """The quality settings of a picture of this size, from the worst to the best."""

    @abstractmethod
    def encode(self, image: Image, setting: float) -> bytes:
        """The file of a picture at one of its quality settings."""

    @abstractmethod
    def read(self, file: bytes) -> Image:
        """The picture of a file. Raises anything on bytes that the library does not decode, and
        CodecError for more than MAX_PIXELS pixels, before it has decoded them."""

    def split(self, file: bytes) -> Parts:
        """The parts of a file, or of its first bytes if they reach into the payload: by default
        all is payload.

        Raises ValueError or IndexError for bytes that are not of this format.
        """
        return Parts(b"", file, b"")

    def abbreviate(self, image: Image, setting: float) -> bytes:
        """The abbreviated stream of a picture, if `headers` has it."""
        del image, setting
        raise CodecError(f"{self.name} has no abbreviated form")

    def restore(self, stream: bytes) -> Parts:
        """The file of an abbreviated stream, or of its first bytes.

        Raises ValueError or IndexError for bytes that are no such stream.
        """
        del stream
        raise CodecError(f"{self.name} has no abbreviated form")

    def mend(self, parts: Parts) -> bytes:
        """A file that shows what it can of one whose payload breaks off or has wrong bytes.

        By default what there is; most libraries refuse a file that breaks off.
        """
        return b"".join(parts)

    def decode(self, file: bytes) -> Image:
        """The picture of a file: uint8 (H, W, 3). Raises CodecError for bytes that are none."""
        try:
            with warnings.catch_warnings():
                # Damaged sizes are answered with an error, not with a warning of Pillow's.
                warnings.simplefilter("ignore")
                image = self.read(file)
        except Exception as error:
            # Libraries raise nearly anything on damaged bytes: OSError, SyntaxError, EOFError,
            # struct.error, their own. All mean the same here.
            raise CodecError(f"{self.name}: {error}") from error
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise CodecError(f"{self.name}: {image.dtype} {image.shape} is no picture in colour")
        return image


class UnsupportedPolicy(CodecError):
    """A format does not support a policy: `key` is "headers" or "on_loss"."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def library(module: str, extra: str) -> ModuleType:
    """An optional library. Raises CodecError that names the extra if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise CodecError(f"{module} is not installed: pip install -e .[{extra}]") from error
