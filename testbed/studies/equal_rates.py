"""What codecs make of the same number of bytes: PSNR at a list of rates.

    layered codec    one stream for each picture, cut at floor(rate * pixels / 8) bytes
    others           each picture anew for each rate, at the best quality that fits into as many

A point is one codec at one rate: PSNR is taken per picture and then averaged, an exact picture
counting as EXACT_PSNR_DB and one that fits at no quality as mid-grey, as in scenarios.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from codec.base import EncodedImage, Image, ImageCodec
from codec.layered import LayeredCodec, cut_layers
from testbed.evaluation.metrics import EXACT_PSNR_DB, failed_picture, psnr_db

RATES_BPP = (0.25, 0.5, 1.0, 1.5, 2.0, 3.2, 4.0, 6.0)
PIXELS_AT_ONCE = 1 << 16

Progress: TypeAlias = Callable[[int], None]
"""Is told how many more pictures are done."""


@dataclass(frozen=True, slots=True)
class EqualRatePoint:
    """One codec where `rate_bpp` bits per pixel are allowed, of which it spends `bpp`.

    failed: share of the pictures that no quality made small enough, or that decoded to nothing.
    """

    codec: str
    rate_bpp: float
    bpp: float
    psnr_db: float
    failed: float
    images: int


def budget_bytes(image: Image, rate_bpp: float) -> int:
    """The whole bytes that `rate_bpp` bits per pixel allow for a picture."""
    height, width = image.shape[:2]
    return math.floor(rate_bpp * int(height * width) / 8)


def layered_points(
    name: str,
    codec: LayeredCodec,
    images: Sequence[Image],
    rates_bpp: Sequence[float] = RATES_BPP,
    progress: Progress = lambda _: None,
) -> tuple[list[EqualRatePoint], float]:
    """Codes each picture once: the points, and bits per colour value of the whole streams."""
    table = _Table(name, images, rates_bpp)
    whole_bits = 0
    for rows in _batches(images):
        streams = codec.encode_batch([images[row] for row in rows])
        whole_bits += sum(each.payload_bits for each in streams if each is not None)
        jobs = [
            (row, column, cut_layers(encoded, budget_bytes(images[row], rate_bpp)))
            for row, encoded in zip(rows, streams, strict=True)
            for column, rate_bpp in enumerate(rates_bpp)
            if encoded is not None
        ]
        # All cuts of a picture together: what they share is predicted once.
        results = codec.decode_batch([cut for _, _, cut in jobs])
        for (row, column, cut), result in zip(jobs, results, strict=True):
            table.put(row, column, sum(len(layer.data) for layer in cut), result.image)
        progress(len(rows))
    return table.points(), whole_bits / sum(image.size for image in images)


def recoded_points(
    name: str,
    codec: ImageCodec,
    images: Sequence[Image],
    rates_bpp: Sequence[float] = RATES_BPP,
    progress: Progress = lambda _: None,
) -> list[EqualRatePoint]:
    """Codes each picture anew for each rate. Raises CodecError for one that the codec refuses."""
    table = _Table(name, images, rates_bpp)
    for rows in _batches(images):
        for column, rate_bpp in enumerate(rates_bpp):
            alike: dict[int, list[int]] = defaultdict(list)
            for row in rows:
                alike[budget_bytes(images[row], rate_bpp)].append(row)
            for budget, members in alike.items():
                encoded = codec.encode_batch([images[row] for row in members], budget)
                for row, sent in zip(members, _sent(codec, encoded), strict=True):
                    table.put(row, column, *sent)
        progress(len(rows))
    return table.points()


def _sent(
    codec: ImageCodec, encoded: Sequence[EncodedImage | None]
) -> list[tuple[int, Image | None]]:
    """(bytes, picture) of each; nothing where there is no stream."""
    streams = [each for each in encoded if each is not None]
    shown = iter(codec.decode_batch([[layer.whole for layer in each.layers] for each in streams]))
    return [
        (0, None) if each is None else (each.payload_bits // 8, next(shown).image)
        for each in encoded
    ]


class _Table:
    """What came of each picture (down) at each rate (across)."""

    def __init__(self, name: str, images: Sequence[Image], rates_bpp: Sequence[float]) -> None:
        self._name, self._images, self._rates_bpp = name, images, rates_bpp
        shape = len(images), len(rates_bpp)
        self._bpp, self._psnr_db = np.zeros(shape), np.zeros(shape)
        self._failed = np.zeros(shape, np.bool_)

    def put(self, row: int, column: int, n_bytes: int, picture: Image | None) -> None:
        image = self._images[row]
        height, width = image.shape[:2]
        shown = failed_picture(height, width) if picture is None else picture
        self._bpp[row, column] = 8 * n_bytes / (height * width)
        self._psnr_db[row, column] = min(psnr_db(image, shown), EXACT_PSNR_DB)
        self._failed[row, column] = picture is None

    def points(self) -> list[EqualRatePoint]:
        means = zip(
            self._rates_bpp,
            self._bpp.mean(axis=0).tolist(),
            self._psnr_db.mean(axis=0).tolist(),
            self._failed.mean(axis=0).tolist(),
            strict=True,
        )
        return [EqualRatePoint(self._name, *mean, len(self._images)) for mean in means]


def _batches(images: Sequence[Image]) -> Iterator[range]:
    """The pictures' numbers, in runs of at most PIXELS_AT_ONCE pixels, or of one picture."""
    start, pixels = 0, 0
    for row, image in enumerate(images):
        size = image.shape[0] * image.shape[1]
        if row > start and pixels + size > PIXELS_AT_ONCE:
            yield range(start, row)
            start, pixels = row, 0
        pixels += size
    yield range(start, len(images))
