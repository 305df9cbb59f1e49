"""Slices: squares of a picture that are coded alone, so that a lost packet costs one of them.

A layer of a picture in slices is made of parts, one for each slice, row by row:

    layer 0:      header | length | bytes        the same header in each part: any part can be lost
    other layers:          length | bytes

`length` counts the bytes that follow, seven bits at a time, the lowest first, the eighth bit set
but for the last: so a layer that was cut anywhere, or a file, needs no table. On a link a packet
holds bytes of one part only and says of which (`codec.base.Layer.parts`). Without slices a layer is
the header, in layer 0, and the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from codec.base import (
    MAX_SLICES,
    CodecError,
    EncodedImage,
    Layer,
    ReceivedLayer,
    ReceivedPart,
    intact_layers,
)
from codec.embedded.versions import REVERSIBLE_VERSION
from codec.picture_header import (
    ALL_CODES,
    SLICE_UNIT,
    PictureHeader,
    unpack_picture_header,
)

UNSLICED_SIDE = 1024
"""Larger pictures are cut in any case, so that memory stays bounded."""
_LEAST_SIDE, _MOST_SIDE = 32, 1024
_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class Box:
    """Where in the picture a slice lies."""

    top: int
    left: int
    height: int
    width: int

    @property
    def place(self) -> tuple[slice, slice]:
        """To index a picture with."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


@dataclass(frozen=True, slots=True)
class SliceStream:
    """What came of one slice: the stream's leading bytes, of so many whole layers and the next."""

    index: int
    data: bytes
    whole_layers: int


def check_slice_side(side: int | None) -> None:
    """Raises CodecError unless `side` is None or a multiple of 8 from 32 to 1024."""
    if side is not None and (side % SLICE_UNIT or not _LEAST_SIDE <= side <= _MOST_SIDE):
        raise CodecError(
            f"expected slices with a side of {_LEAST_SIDE}, {_LEAST_SIDE + SLICE_UNIT} .. "
            f"{_MOST_SIDE} pixels, found {side}"
        )


def chosen_side(height: int, width: int, side: int | None) -> int:
    """The side of a picture's slices; 0 if it is coded in one piece.

    A picture that would have more than MAX_SLICES gets larger ones.
    """
    side = side or UNSLICED_SIDE
    if max(height, width) <= side:
        return 0
    while len(boxes(height, width, side)) > MAX_SLICES:
        side += SLICE_UNIT
    return side


def boxes(height: int, width: int, side: int) -> list[Box]:
    """The slices of a picture, row by row; one if `side` is 0."""
    if side == 0:
        return [Box(0, 0, height, width)]
    return [
        Box(top, left, min(side, height - top), min(side, width - left))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]


def as_layers(
    names: Sequence[str],
    header: PictureHeader,
    streams: Sequence[Sequence[bytes]],
) -> EncodedImage:
    """The layers of a picture from each slice's stream, cut into a piece for each layer.

    Of a picture in one piece that is so plain that a layer would be empty, that layer is left out.
    """
    head = header.pack()
    if header.slice_side == 0:
        pieces = [head + streams[0][0], *streams[0][1:]]
        return EncodedImage(
            tuple(Layer(name, data) for name, data in zip(names, pieces, strict=False) if data)
        )
    layers = []
    for number, pieces_of_layer in enumerate(zip(*streams, strict=True)):
        start = head if number == 0 else b""
        parts = [start + _length(len(piece)) + piece for piece in pieces_of_layer]
        layers.append(Layer(names[number], b"".join(parts), parts=tuple(map(len, parts))))
    return EncodedImage(tuple(layers))


def received_streams(
    received: Sequence[ReceivedLayer], versions: Sequence[int]
) -> tuple[PictureHeader, list[SliceStream]] | None:
    """The picture's header, of one of these versions, and what came of each slice.

    None if no header did.
    """
    if received and received[0].parts:
        return _from_packets(received, versions)
    layers = intact_layers(received)
    header = _header_of(layers[0].data, versions) if layers else None
    if header is None:
        return None
    if header.slice_side == 0:
        pieces, whole = [layers[0].data[header.bytes_used :]], int(layers[0].complete)
        for before, layer in pairwise(layers):
            if not before.complete:
                break
            pieces.append(layer.data)
            whole += layer.complete
        return header, [SliceStream(0, b"".join(pieces), whole)]
    count = len(boxes(header.height, header.width, header.slice_side))
    found: list[dict[int, tuple[bytes, bool]]] = []
    for number, layer in enumerate(layers):
        found.append(dict(enumerate(_parts(layer.data, header.bytes_used * (number == 0), count))))
        if not layer.complete:
            break
    return header, _joined(found, count)


def _from_packets(
    received: Sequence[ReceivedLayer], versions: Sequence[int]
) -> tuple[PictureHeader, list[SliceStream]] | None:
    headers = [_header_of(_intact(part), versions) for part in received[0].parts]
    header = next((header for header in headers if header is not None and header.slice_side), None)
    if header is None:
        return None
    count = len(boxes(header.height, header.width, header.slice_side))
    found: list[dict[int, tuple[bytes, bool]]] = []
    for number, layer in enumerate(received):
        start = header.bytes_used * (number == 0)
        found.append({})
        for part in layer.parts:
            piece = next(_parts(_intact(part), start, 1), None)
            if piece is not None and part.slice < count:
                found[-1][part.slice] = piece
    return header, _joined(found, count)


def _joined(found: list[dict[int, tuple[bytes, bool]]], count: int) -> list[SliceStream]:
    """Each slice's pieces, layer by layer, up to the first that is not whole."""
    streams = []
    for index in range(count):
        pieces, whole = [], 0
        for pieces_of_layer in found:
            piece, complete = pieces_of_layer.get(index, (b"", False))
            pieces.append(piece)
            if not complete:
                break
            whole += 1
        if index in found[0]:
            streams.append(SliceStream(index, b"".join(pieces), whole))
    return streams


def _parts(data: bytes, skip: int, count: int) -> Iterator[tuple[bytes, bool]]:
    """(bytes, whole?) of the parts of a layer as far as they came, each behind `skip` bytes."""
    at = 0
    for _ in range(count):
        at += skip
        length, shift = 0, 0
        while at < len(data) and shift < 7 * _LENGTH_BYTES:
            length |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                break
        else:
            return
        yield data[at : at + length], at + length <= len(data)
        at += length


def _length(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _intact(part: ReceivedPart) -> bytes:
    return part.data if part.intact_bytes is None else part.data[: part.intact_bytes]


def _header_of(data: bytes, versions: Sequence[int]) -> PictureHeader | None:
    if not data or data[0] >> 4 not in versions:
        return None
    try:
        header = unpack_picture_header(data, data[0] >> 4, allow=ALL_CODES)
        check_slice_side(header.slice_side or None)
    except CodecError:
        return None
    if header.reversible != (header.version == REVERSIBLE_VERSION):
        return None
    # One that was damaged may ask for more slices than packets can number, or than memory bears.
    if header.slice_side == 0 and max(header.height, header.width) > UNSLICED_SIDE:
        return None
    crowded = len(boxes(header.height, header.width, header.slice_side)) > MAX_SLICES
    return None if crowded else header
