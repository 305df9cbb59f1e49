"""Rate-distortion points: what a codec's bits buy, in three accountings.

    file      every byte of a picture's file is charged
    payload   only the bytes that code the picture: no headers, containers or tables
    mosaic    all pictures are coded as one large one, whose whole file is charged: headers are
              shared, and so is what an adaptive coder learns from one picture about the next

At 32 x 32 pixels these differ by more than the codecs do. The layered codec has one accounting:
every byte of every layer; its points are the same in all three.

A point is one setting of one codec: bits per pixel, PSNR and SSIM are each taken per picture and
then averaged. In a mosaic quality is still measured tile by tile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from codec.base import CodecError, Image
from codec.layered import LayeredCodec
from testbed.evaluation.metrics import EXACT_PSNR_DB, psnr_db, ssim
from testbed.studies.conventional_rd import StillCodec

Accounting = Literal["file", "payload", "mosaic"]
ACCOUNTINGS: tuple[Accounting, ...] = get_args(Accounting)

Progress: TypeAlias = Callable[[int], None]
"""Is told how many more pictures are done, as steps of `steps_of`."""

OURS = "layered"
CODEC_WORDS = {
    OURS: "layered codec",
    "jpeg": "JPEG",
    "jpeg2000": "JPEG2000",
    "heif": "HEIF",
    "heif_psnr": "HEIF, tuned for PSNR",
}
ACCOUNTING_WORDS: dict[Accounting, str] = {
    "file": "whole file",
    "payload": "payload only",
    "mosaic": "mosaic",
}

PICTURES_AT_ONCE = 250

_WIDEST_MOSAIC = 2.5
"""Width to height of the grid of tiles, at most; at least it is 1."""


@dataclass(frozen=True, slots=True)
class RatePoint:
    """One setting of one codec. `psnr_db` counts an exact picture as EXACT_PSNR_DB."""

    codec: str
    accounting: Accounting
    setting: str
    bpp: float
    psnr_db: float
    ssim: float
    images: int


def layered_points(
    codec: LayeredCodec, images: Sequence[Image], progress: Progress = lambda _: None
) -> list[RatePoint]:
    """A point after the base and after each further layer, decoded from the coded bytes alone."""
    names = codec.layer_names[: codec.layers]
    size_bytes = np.zeros((len(images), len(names)), np.int64)
    quality = np.zeros((len(images), len(names), 2))
    for start in range(0, len(images), PICTURES_AT_ONCE):
        batch = images[start : start + PICTURES_AT_ONCE]
        streams = [encoded.layers for encoded in codec.encode_batch(batch) if encoded is not None]
        for count in range(1, len(names) + 1):
            received = [[layer.whole for layer in layers[:count]] for layers in streams]
            for b, decoded in enumerate(codec.decode_batch(received)):
                # A plain picture may have fewer layers.
                if decoded.image is None or decoded.layers_decoded != len(received[b]):
                    raise ValueError(f"expected {count} layers of picture {start + b} to decode")
                quality[start + b, count - 1] = _quality(batch[b], decoded.image)
                size_bytes[start + b, count - 1] = sum(len(x.data) for x in received[b])
        progress(len(batch))
    pixels = np.array([image.shape[0] * image.shape[1] for image in images])
    bpp = (8 * size_bytes / pixels[:, None]).mean(axis=0)
    return [
        RatePoint(OURS, accounting, name, float(bpp[k]), *_means(quality[:, k]), len(images))
        for accounting in ACCOUNTINGS
        for k, name in enumerate(names)
    ]


def still_points(
    codec: StillCodec, images: Sequence[Image], progress: Progress = lambda _: None
) -> list[RatePoint]:
    """The points of a conventional codec under every accounting, for pictures of one size.

    Settings that give no other file than a worse one did are left out, and so are mosaics that the
    codec's library cannot decode.
    """
    points: list[RatePoint] = []
    for setting in codec.settings:
        files = [codec.file_format.encode(image, setting) for image in images]
        decoded = [codec.file_format.decode(file) for file in files]
        quality = np.array([_quality(*pair) for pair in zip(images, decoded, strict=True)])
        pixels = images[0].shape[0] * images[0].shape[1]
        sizes: dict[Accounting, float] = {
            "file": float(np.mean([len(file) for file in files])),
            "payload": float(np.mean([len(codec.file_format.split(f).payload) for f in files])),
        }
        for accounting, size in sizes.items():
            points.append(
                RatePoint(
                    codec.name, accounting, f"{setting:g}",
                    8 * size / pixels, *_means(quality), len(images),
                )
            )  # fmt: skip
        # A mosaic may be too much for a library where a single picture is not.
        with suppress(CodecError):
            points.append(_mosaic_point(codec, images, setting))
        progress(len(images))
    return _without_repeats(points)


def steps_of(codec: StillCodec | LayeredCodec, images: Sequence[Image]) -> int:
    """How many steps the points of a codec report to `Progress`, in all."""
    return len(images) * (len(codec.settings) if isinstance(codec, StillCodec) else 1)


def mosaic_grid(count: int) -> tuple[int, int]:
    """(rows, columns) of a mosaic of `count` tiles, wider than high, that leaves fewest out.

    Among grids that leave out equally many, the one whose shape is nearest to 8:5. The tiles left
    out are fewer than a row's.
    """
    best, best_cost = (1, 1), (count, 0.0)
    for rows in range(1, int(count**0.5) + 1):
        columns = min(count // rows, int(_WIDEST_MOSAIC * rows))
        cost = (count - rows * columns, abs(columns / rows - 1.6))
        if cost < best_cost:
            best, best_cost = (rows, columns), cost
    return best


def as_mosaic(tiles: NDArray[np.uint8], rows: int, columns: int) -> Image:
    """Tiles (rows * columns, H, W, 3), row by row, as one picture (rows * H, columns * W, 3)."""
    _, height, width, _ = tiles.shape
    grid = tiles.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(rows * height, columns * width, 3))


def as_tiles(mosaic: Image, rows: int, columns: int) -> NDArray[np.uint8]:
    """The inverse of `as_mosaic`."""
    height, width = mosaic.shape[0] // rows, mosaic.shape[1] // columns
    grid = mosaic.reshape(rows, height, columns, width, 3).swapaxes(1, 2)
    return np.ascontiguousarray(grid.reshape(rows * columns, height, width, 3))


def _mosaic_point(codec: StillCodec, images: Sequence[Image], setting: float) -> RatePoint:
    rows, columns = mosaic_grid(len(images))
    tiles = np.stack(images[: rows * columns])
    file = codec.file_format.encode(as_mosaic(tiles, rows, columns), setting)
    received = as_tiles(codec.file_format.decode(file), rows, columns)
    quality = np.array([_quality(*pair) for pair in zip(tiles, received, strict=True)])
    bpp = 8 * len(file) / (tiles.size // 3)
    return RatePoint(codec.name, "mosaic", f"{setting:g}", bpp, *_means(quality), len(tiles))


def _quality(reference: Image, picture: Image) -> tuple[float, float]:
    return min(psnr_db(reference, picture), EXACT_PSNR_DB), ssim(reference, picture)


def _means(quality: NDArray[np.float64]) -> tuple[float, float]:
    psnr, similarity = quality.mean(axis=0)
    return float(psnr), float(similarity)


def _without_repeats(points: Sequence[RatePoint]) -> list[RatePoint]:
    first: dict[tuple[Accounting, float, float], RatePoint] = {}
    for point in points:
        first.setdefault((point.accounting, point.bpp, point.psnr_db), point)
    return sorted(first.values(), key=lambda each: (ACCOUNTINGS.index(each.accounting), each.bpp))
