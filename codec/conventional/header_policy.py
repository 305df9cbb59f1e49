"""Which bytes of a file are charged, and how the receiver gets the file back from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from codec.base import CodecError, Image
from codec.conventional.file_format import FileFormat, Parts
from codec.picture_header import MAX_PIXELS

_LENGTH_BYTES = 4


class HeaderPolicy(ABC):
    """One of the policies of `file_format.Headers`, for a format."""

    def __init__(self, file_format: FileFormat) -> None:
        self.file_format = file_format

    def check_size(self, height: int, width: int) -> None:
        """Raises CodecError for pictures of a size that cannot be coded."""
        if max(height, width) > self.file_format.max_side or height * width > MAX_PIXELS:
            raise CodecError(
                f"a picture of {height} x {width} pixels is too large for {self.file_format.name}"
            )

    def settings(self, height: int, width: int) -> Sequence[float]:
        """The quality settings of a picture of this size, from the worst to the best."""
        return self.file_format.settings(height, width)

    @property
    def uneven_steps(self) -> int:
        """How far beyond the first setting that does not fit others are tried."""
        return self.file_format.uneven_steps

    @property
    def versions(self) -> str:
        """What beside the settings determines the streams."""
        return self.file_format.versions

    @abstractmethod
    def encode(self, image: Image, setting: float) -> tuple[bytes, bytes]:
        """The stream that is charged, at least a byte, and what is known without it."""

    def decode(self, stream: bytes, known: bytes, *, whole: bool) -> Image:
        """The picture of a stream, or what its format makes of one that is not whole and intact.

        Raises ValueError or IndexError for bytes that give none.
        """
        parts = self._parts(stream, known)
        return self.file_format.decode(b"".join(parts) if whole else self.file_format.mend(parts))

    @abstractmethod
    def _parts(self, stream: bytes, known: bytes) -> Parts:
        """The file of a stream."""


class WholeFile(HeaderPolicy):
    """`file`."""

    def encode(self, image: Image, setting: float) -> tuple[bytes, bytes]:
        return self.file_format.encode(image, setting), b""

    def decode(self, stream: bytes, known: bytes, *, whole: bool) -> Image:
        if whole:
            return self.file_format.decode(stream)
        return super().decode(stream, known, whole=whole)

    def _parts(self, stream: bytes, known: bytes) -> Parts:
        del known
        return self.file_format.split(stream)


class Abbreviated(HeaderPolicy):
    """`abbreviated`."""

    def encode(self, image: Image, setting: float) -> tuple[bytes, bytes]:
        return self.file_format.abbreviate(image, setting), b""

    def _parts(self, stream: bytes, known: bytes) -> Parts:
        del known
        return self.file_format.restore(stream)


class PayloadOnly(HeaderPolicy):
    """`payload`."""

    def encode(self, image: Image, setting: float) -> tuple[bytes, bytes]:
        head, payload, tail = self.file_format.split(self.file_format.encode(image, setting))
        return payload, len(head).to_bytes(_LENGTH_BYTES, "big") + head + tail

    def _parts(self, stream: bytes, known: bytes) -> Parts:
        end = _LENGTH_BYTES + int.from_bytes(known[:_LENGTH_BYTES], "big")
        return Parts(known[_LENGTH_BYTES:end], stream, known[end:])
