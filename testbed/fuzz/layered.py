"""Streams of the layered codec that no encoder made, as links, files and slices may give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from codec.base import DecodedImage, Image, ReceivedLayer, ReceivedPart
from codec.embedded.codec import EmbeddedCodec
from codec.embedded.versions import REVERSIBLE_VERSION, VERSIONS
from codec.layered import LayeredCodec, open_layered
from codec.picture_header import pack_picture_header
from testbed.fuzz.damage import damaged
from testbed.fuzz.pictures import some_pictures
from testbed.fuzz.target import Cases, Random, probably, whole

_HUGE = 1 / 1000
"""Share of cases whose header names any size there is: they take the most time."""


@dataclass(frozen=True, slots=True)
class _Stream:
    """The layers of a picture, and where its slices' parts end in each."""

    layers: tuple[bytes, ...]
    parts: tuple[tuple[int, ...], ...]


def prepare_paper(folder: Path) -> Cases:
    """Cases for the profile `paper`."""
    del folder
    return _cases([open_layered("paper")])


def prepare_embedded(folder: Path) -> Cases:
    """Cases for the profile `embedded`: either transform, with and without slices, fitted."""
    del folder
    sliced = [
        open_layered("embedded", slice_side=32, reversible=reversible)
        for reversible in (True, False)
    ]
    return _cases([open_layered("embedded"), *sliced, open_layered("embedded", fit=1)])


def _cases(codecs: Sequence[LayeredCodec]) -> Cases:
    streams = []
    for codec in codecs:
        pictures = some_pictures() if codec is codecs[0] else some_pictures(((40, 70), (33, 9)))
        streams += [_stream(codec, picture) for picture in pictures]

    def cases(randoms: Sequence[Random]) -> None:
        received = [_received(codecs[0], streams, random) for random in randoms]
        # Decoders do not know what was asked of the encoder.
        for found, layers in zip(codecs[0].decode_batch(received), received, strict=True):
            _check(found, layers)

    return cases


def _stream(codec: LayeredCodec, picture: Image) -> _Stream:
    (encoded,) = codec.encode_batch([picture])
    assert encoded is not None
    (found,) = codec.decode_batch([[layer.whole for layer in encoded.layers]])
    assert found.image is not None
    assert np.abs(found.image.astype(int) - picture).max() <= (0 if codec.reversible else 4)
    return _Stream(
        tuple(layer.data for layer in encoded.layers),
        tuple(layer.parts for layer in encoded.layers),
    )


def _check(found: DecodedImage, received: Sequence[ReceivedLayer]) -> None:
    if found.image is None:
        assert found.layers_decoded == 0
        return
    assert found.image.dtype == np.uint8 and found.image.shape[2:] == (3,)
    # A layer that is said to be cut may be whole all the same: its end tells.
    assert 0 <= found.layers_decoded <= len(received)


def _received(
    codec: LayeredCodec, streams: Sequence[_Stream], random: Random
) -> list[ReceivedLayer]:
    stream = streams[whole(random, 0, len(streams) - 1)]
    joined = [b"".join(each.layers) for each in streams]
    if probably(random, _HUGE):
        return [ReceivedLayer(_any_header(codec, random) + random.bytes(whole(random, 0, 8)), True)]
    kind = whole(random, 0, 3)
    if kind == 0:
        return _cut_anywhere(damaged(b"".join(stream.layers), random, joined), random)
    if kind == 1:
        # Behind a right header anything goes.
        head = b"".join(stream.layers)[: whole(random, 1, 7)]
        return _cut_anywhere(head + random.bytes(whole(random, 0, 300)), random)
    layers = [
        _layer(damaged(data, random, stream.layers) if probably(random, 0.3) else data, random)
        for data in stream.layers
    ]
    if kind == 2 and any(stream.parts):
        layers = [
            _in_parts(data, parts, random)
            for data, parts in zip(stream.layers, stream.parts, strict=True)
        ]
    if probably(random, 0.3):
        layers = [layers[i] for i in random.integers(0, len(layers), whole(random, 0, 16))]
    return layers


def _any_header(codec: LayeredCodec, random: Random) -> bytes:
    """A header of any size that may be said, small ones as likely as large ones."""
    height, width = (int(2 ** random.uniform(0, 12)) for _ in range(2))
    if not isinstance(codec, EmbeddedCodec):
        return pack_picture_header(height, width, codec.bitstream_version)
    version = VERSIONS[whole(random, 0, len(VERSIONS) - 1)]
    reversible = (version == REVERSIBLE_VERSION) != probably(random, 0.1)
    return pack_picture_header(
        height, width, version, slice_side=8 * whole(random, 0, 255), reversible=reversible
    )


def _layer(data: bytes, random: Random) -> ReceivedLayer:
    intact = whole(random, 0, len(data)) if probably(random, 0.1) else None
    return ReceivedLayer(data, probably(random, 0.8), intact)


def _cut_anywhere(data: bytes, random: Random) -> list[ReceivedLayer]:
    """Some layers of any lengths, whole or not as it falls."""
    places = np.sort(random.integers(0, len(data) + 1, whole(random, 0, 12))).tolist()
    return [_layer(data[a:b], random) for a, b in pairwise([0, *places, len(data)])]


def _in_parts(data: bytes, parts: Sequence[int], random: Random) -> ReceivedLayer:
    """A layer in slices, of which some are lost, cut, damaged, doubled or under a wrong number."""
    found: list[ReceivedPart] = []
    at = 0
    for number, length in enumerate(parts):
        piece = data[at : at + length]
        at += length
        if probably(random, 0.3):
            continue
        if probably(random, 0.2):
            piece = damaged(piece, random, [data])
        if probably(random, 0.05):
            number = whole(random, 0, 127)
        intact = whole(random, 0, len(piece)) if probably(random, 0.1) else None
        found.append(ReceivedPart(number, piece, probably(random, 0.7), intact))
    return ReceivedLayer(
        b"".join(part.data for part in found),
        all(part.complete for part in found),
        parts=tuple(found),
    )
