"""A coded image as a file: the layers behind a small index.

    b"SCTB" | version 2 | length of the profile's name, its UTF-8 bytes |
    first 8 bytes of the weights' sha256 |
    correction rule (0 interval, also of a profile that has none; 1 one_sided) |
    number of layers, + 128 if of the last one only its first bytes are there |
    for each its length and CRC-32 (4 bytes each, big-endian) | the layers

Version 1 is the same without the 128: all its layers are whole.

A simulated link does not send this index: its packets' headers and CRCs do that work, and are
charged. A file that was cut gives the layers that are whole and what is there of the next; a
layer whose CRC does not hold is left out, with those after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from codec.base import CodecError, ReceivedLayer
from codec.bitplane_correction import CorrectionRule

MAGIC = b"SCTB"
FILE_VERSION = 2
_VERSIONS = (1, 2)
_CUT = 128
_HASH_BYTES = 8
_RULES: tuple[CorrectionRule, ...] = ("interval", "one_sided")


@dataclass(frozen=True, slots=True)
class StoredImage:
    """What a file holds. `weights_sha256` are the first 16 hex characters."""

    profile: str
    weights_sha256: str
    correction: CorrectionRule
    layers: tuple[ReceivedLayer, ...]


def write_container(
    layers: Sequence[ReceivedLayer], profile: str, weights_sha256: str, correction: CorrectionRule
) -> bytes:
    """The file's bytes. `profile` is a name of a-z, 0-9, _ and -, not a path.

    layers: at least one; only the last may not be complete. Raises ValueError for others.
    """
    if not layers or not all(layer.complete for layer in layers[:-1]):
        raise ValueError("expected layers of which only the last one may be cut")
    name = profile.encode()
    head = [
        MAGIC,
        bytes([FILE_VERSION, len(name)]),
        name,
        bytes.fromhex(weights_sha256)[:_HASH_BYTES],
        bytes([_RULES.index(correction), len(layers) + _CUT * (not layers[-1].complete)]),
    ]
    index = [
        number.to_bytes(4, "big")
        for layer in layers
        for number in (len(layer.data), crc32(layer.data))
    ]
    return b"".join([*head, *index, *(layer.data for layer in layers)])


def read_container(data: bytes) -> StoredImage:
    """The inverse. Raises CodecError for bytes that are not such a file or end in its index."""
    if data[:4] != MAGIC:
        raise CodecError("not a file of the layered codec (it does not begin with SCTB)")
    try:
        version, name_length = data[4], data[5]
        if version not in _VERSIONS:
            raise CodecError(f"expected file version {FILE_VERSION} or less, found {version}")
        at = 6 + name_length
        profile = data[6:at].decode()
        weights = data[at : at + _HASH_BYTES].hex()
        at += _HASH_BYTES
        rule, count = _RULES[data[at]], data[at + 1]
        cut = version > 1 and count >= _CUT
        count -= _CUT * cut
        at += 2
        numbers = [int.from_bytes(data[i : i + 4], "big") for i in range(at, at + 8 * count, 4)]
        at += 8 * count
    except (IndexError, UnicodeDecodeError) as error:
        raise CodecError("the file's index is cut or damaged") from error
    if at > len(data):
        raise CodecError("the file's index is cut")
    if not re.fullmatch("[a-z0-9_-]+", profile):
        raise CodecError("the file's index is damaged: it names no profile")
    layers = []
    for number, (length, check) in enumerate(zip(numbers[::2], numbers[1::2], strict=True), 1):
        piece = data[at : at + length]
        if len(piece) < length:
            layers.append(ReceivedLayer(piece, False))
            break
        if crc32(piece) != check:
            break
        layers.append(ReceivedLayer(piece, not (cut and number == count)))
        at += length
    return StoredImage(profile, weights, rule, tuple(layers))
