"""Conventional formats: streams of every header and damage policy, and the parsers behind them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from codec.base import ReceivedLayer
from codec.conventional import FORMATS, ConventionalCodec
from codec.conventional.file_format import FileFormat, OnLoss
from codec.picture_header import MAX_PIXELS
from testbed.fuzz.damage import damaged
from testbed.fuzz.pictures import some_pictures
from testbed.fuzz.target import Cases, Random, one_by_one, probably, whole

SETTINGS: dict[str, tuple[dict[str, object], ...]] = {
    "jpeg": (
        {},
        {"subsampling": "4:2:0", "restart_interval": 2},
        {"progressive": True},
    ),
    "jpeg2000": (
        {},
        {"packet_lengths": True, "quality_layers": 3},
        {"container": "jp2", "packet_lengths": True},
        {"lossless": True},
    ),
    "webp": ({}, {"lossless": True}),
    "avif": ({}, {"subsampling": "4:2:0"}),
    "png": ({},),
    "heif": ({},),
    "jpegxl": ({}, {"lossless": True}),
}
"""Of each format those that change what its files look like."""
_SIZES = ((8, 8), (1, 7), (32, 32), (40, 24))


@dataclass(frozen=True, slots=True)
class _Stream:
    codec: ConventionalCodec
    layer: ReceivedLayer


def prepare(name: str) -> Callable[[Path], Cases]:
    """What prepares the cases for a format."""
    return partial(_prepare, name)


def _prepare(name: str, folder: Path) -> Cases:
    del folder
    formats = [FORMATS[name](**settings) for settings in SETTINGS[name]]
    files = [
        each.encode(p, each.default_setting) for each in formats for p in some_pictures(_SIZES)
    ]
    streams = [stream for each in formats for stream in _streams(each)]
    others = [stream.layer.data for stream in streams]

    def case(random: Random) -> None:
        if probably(random, 0.3):
            _parse(formats[whole(random, 0, len(formats) - 1)], files, random)
            return
        stream = streams[whole(random, 0, len(streams) - 1)]
        data = damaged(stream.layer.data, random, others)
        if probably(random, 0.05):
            data = random.bytes(whole(random, 0, 200))
        intact = whole(random, 0, len(data)) if probably(random, 0.2) else None
        layer = ReceivedLayer(data, probably(random, 0.7), intact, stream.layer.known)
        (found,) = stream.codec.decode_batch([[layer]])
        if found.image is None:
            assert found.layers_decoded == 0
            return
        assert found.image.dtype == np.uint8 and found.image.shape[2:] == (3,)
        assert found.image.size <= 3 * MAX_PIXELS
        assert found.layers_decoded == (layer.complete and intact is None)

    return one_by_one(case)


def _streams(file_format: FileFormat) -> list[_Stream]:
    """One of each picture by each header policy, with each damage policy."""
    found = []
    policies: tuple[OnLoss, ...] = ("conceal", "truncate", "drop")
    for headers in file_format.headers:
        sizes = ((8, 8), (16, 24)) if headers == "mosaic" else _SIZES
        for on_loss in policies:
            if on_loss == "truncate" and (headers == "mosaic" or not file_format.truncates):
                continue
            codec = ConventionalCodec(file_format, headers, on_loss)
            for encoded in codec.encode_batch(some_pictures(sizes)):
                assert encoded is not None
                layer = encoded.layers[0].whole
                (whole_picture,) = codec.decode_batch([[layer]])
                assert whole_picture.image is not None
                found.append(_Stream(codec, layer))
    return found


def _parse(file_format: FileFormat, files: list[bytes], random: Random) -> None:
    """The parsers alone: what they take apart joins to the same bytes."""
    file = damaged(files[whole(random, 0, len(files) - 1)], random, files)
    with suppress(ValueError, IndexError):
        parts = file_format.split(file)
        assert b"".join(parts) == file
        file_format.mend(parts)
    if "abbreviated" in file_format.headers:
        with suppress(ValueError, IndexError):
            file_format.mend(file_format.restore(file))
