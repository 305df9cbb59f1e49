"""Losses as they were measured: a text file that says of each packet whether it arrived.

    # 5 packets, of which the third and fourth were lost
    received
    0
    lost
    1            # the same as "lost"
    0

One packet per line: `0` or `received`, `1` or `lost`, in upper or lower case. What follows a `#`
is a comment; lines that are otherwise empty do not count. The text is UTF-8.
"""

import errno
import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from channels.channel import check_choice
from channels.errors import ChannelError
from channels.packet_loss import PacketLoss, register_packet_loss
from channels.randomness import ChannelRandomness

STARTS = ("random", "beginning")

_IS_LOST = {"0": False, "received": False, "1": True, "lost": True}


@register_packet_loss("trace")
@dataclass(frozen=True)
class LossTrace(PacketLoss):
    """Packets meet the losses of a trace, line after line, and from its first line again.

    The file is read when the object is made, which keeps what it read if the file changes or goes.
    Two traces of the same content and start are equal, wherever their files are.

    Attributes:
        file: the trace. Has no useful default.
        start: the line that packet 0 meets, "random" (one draw per image, uniform over all lines)
            or "beginning" (the first line, for every image).

    Raises:
        ChannelError: no such file, or a line that is not as above: with the line's number.
    """

    file: Path = field(default=Path(), compare=False)
    start: Literal["random", "beginning"] = "random"
    #: One byte per packet, 1 if it is lost; bytes so that models can be compared and hashed.
    _lost: bytes = field(init=False, repr=False)
    _sha256: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_choice("start", self.start, STARTS)
        if self.file == Path():
            raise ChannelError("file: expected the path of a loss trace, found none")
        try:
            if Path(self.file).is_char_device() or Path(self.file).is_fifo():
                raise OSError(errno.EINVAL, "a device or a pipe may have no end")
            content = Path(self.file).read_bytes()
        except OSError as error:
            raise ChannelError(
                f"file: expected a readable loss trace, found {self.file}: {error.strerror}"
            ) from None
        object.__setattr__(self, "_lost", _parsed(content, str(self.file)))
        object.__setattr__(self, "_sha256", hashlib.sha256(content).hexdigest())

    @property
    def content_sha256(self) -> str:
        """SHA-256 of the file's bytes, 64 hexadecimal digits: what results depend on."""
        return self._sha256

    @property
    def length(self) -> int:
        """Packets in the trace, at least 1."""
        return len(self._lost)

    @property
    def mean_loss(self) -> float:
        """Share of the trace's packets that are lost, 0 .. 1."""
        return sum(self._lost) / len(self._lost)

    def losses(
        self, first_packet: int, count: int, randomness: ChannelRandomness
    ) -> NDArray[np.bool_]:
        """See `PacketLoss.losses`."""
        offset = 0
        if self.start == "random":
            offset = int(randomness.generator("loss trace", 0).integers(self.length))
        lines = (offset + first_packet + np.arange(count)) % self.length
        return np.frombuffer(self._lost, np.bool_)[lines]


# One trace serves many link settings.
@lru_cache(maxsize=8)
def _parsed(content: bytes, name: str) -> bytes:
    lost = bytearray()
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        line = raw.decode("utf-8", errors="replace")
        word = line.partition("#")[0].strip().lower()
        if word in _IS_LOST:
            lost.append(_IS_LOST[word])
        elif word:
            shown = word if len(word) <= 20 else word[:20] + "..."
            raise ChannelError(
                f"{name}, line {number}: expected 0, 1, received or lost, found {shown!r}"
            )
    if not lost:
        raise ChannelError(f"{name}: expected at least one packet, found none")
    return bytes(lost)
