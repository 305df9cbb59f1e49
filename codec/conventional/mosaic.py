"""Header policy `mosaic`: a picture is charged what it adds to a file of many.

Published baselines on small pictures code many of them as one, so that headers are shared and so
is what an encoder learns from one picture for the next. Here the others are 15 companions that both
ends have. With the picture `x` they make a mosaic of two columns,

    c1   c2                 c1   c2                 c1   c2
    ...  ...                ...  ...                ...  ...
    c13  c14                c13  c14                c13  c14
    c15  x                                          c15  c15'

    coded: W bytes          A bytes                 B bytes        (c15': c15, mirrored)

and x is charged W - (A + B) / 2 bytes, at least one, all coded with the same setting: c15 counts
as half of what it and its mirror image add. They are sent as the last bytes of the file; all
before them is taken as known. That is a count: where a format codes the rows of a mosaic one after
the other, as JPEG does, the known bytes hold the upper part of x and a part of c15 is sent for it.
So `conceal` shows somewhat much of a damaged stream, and `truncate` has no meaning.

Two columns and no fewer: HEVC codes blocks of 64 x 64, and a single column of 32 costs HEIF 3 to
26 % more bytes than a square mosaic does; two cost 1 %.

JPEG2000's setting states a size and shares it out among the pictures. There A and B are the sizes
at which the companions c1 .. c14 come out with the squared error that they have in the coded file,
on straight lines over the log of the error.

What a setting is charged for a picture moves by some bytes with chance (an encoder's choices for
the companions change, too), so that a search for the best that fits goes by bisection alone:
looking further up would pick out the settings that happen to be charged too little.

More bytes at equal quality than a true mosaic of 8 x 8 CIFAR-10 test pictures takes for each, in %,
at about .5, 1.5 and 4 bits per pixel, by `testbed verify-anchors`:

    JPEG -1, 2, 0     JPEG2000 -9, 1, 1    WebP -2, 10, -    AVIF -8, -5, -2    HEIF -5, -1, -1
    JPEG XL 9, 7, 19  PNG 1, lossless WebP 1, JPEG XL 3, JPEG2000 1

The order of the companions was chosen on these pictures; 64 others give figures within 7 of these.
WebP and JPEG XL decide for all pictures at once how they are coded: one level more or less in some
samples of a companion moves their figures by up to 6 %.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from codec.base import CodecError, Image
from codec.conventional.file_format import FileFormat, Parts
from codec.conventional.header_policy import HeaderPolicy

VERSION = 1
"""Of the companions and of the rule."""
COMPANIONS = 15
MAX_SIDE = 64
_SIDE = 32
_ROWS, _COLUMNS = 8, 2
_GRID_STEP = 20
"""Of the sizes that are tried for A and B every so many."""


class Mosaic(HeaderPolicy):
    """Pictures of up to 64 x 64: on larger ones headers cost next to nothing."""

    def check_size(self, height: int, width: int) -> None:
        super().check_size(height, width)
        if max(height, width) > MAX_SIDE:
            raise CodecError(
                f"expected pictures of at most {MAX_SIDE} x {MAX_SIDE} pixels for headers: mosaic, "
                f"found {height} x {width}: on larger ones take headers: file"
            )

    def settings(self, height: int, width: int) -> Sequence[float]:
        return _settings(self.file_format, height, width)

    @property
    def uneven_steps(self) -> int:
        return 0

    @property
    def versions(self) -> str:
        return f"mosaic {VERSION}, {self.file_format.versions}"

    def encode(self, image: Image, setting: float) -> tuple[bytes, bytes]:
        height, width, _ = image.shape
        above, beside = _companions(height, width)
        file = self.file_format.encode(_mosaic(above, beside, image), setting)
        if self.file_format.setting_is_size:
            seen = self.file_format.decode(file)[: len(above)]
            others = _bytes_at_error(self.file_format, height, width, _error(above, seen))
        else:
            others = _bytes(self.file_format, height, width, setting)
        sent = min(max(math.floor(len(file) - others + 0.5), 1), len(file))
        return file[-sent:], file[:-sent]

    def decode(self, stream: bytes, known: bytes, *, whole: bool) -> Image:
        mosaic = super().decode(stream, known, whole=whole)
        height, width = mosaic.shape[0] // _ROWS, mosaic.shape[1] // _COLUMNS
        if not (height and width):
            raise CodecError(f"a mosaic of {mosaic.shape[0]} x {mosaic.shape[1]} pixels is none")
        return mosaic[-height:, -width:].copy()

    def _parts(self, stream: bytes, known: bytes) -> Parts:
        return self.file_format.split(known + stream)


@lru_cache(maxsize=16)
def _companions(height: int, width: int) -> tuple[Image, Image]:
    """c1 .. c14 as the rows that they fill, and c15. Cropped, or continued in mirror image."""
    with PillowImage.open(Path(__file__).with_name("companions.png")) as file:
        tiles = np.array(file).reshape(COMPANIONS, _SIDE, _SIDE, 3)
    more = ((0, 0), (0, max(height - _SIDE, 0)), (0, max(width - _SIDE, 0)), (0, 0))
    tiles = np.pad(tiles, more, mode="symmetric")[:, :height, :width]
    rows = tiles[:-1].reshape(_ROWS - 1, _COLUMNS, height, width, 3).swapaxes(1, 2)
    return rows.reshape((_ROWS - 1) * height, _COLUMNS * width, 3), tiles[-1]


def _mosaic(above: Image, beside: Image, image: Image) -> Image:
    return np.vstack([above, np.hstack([beside, image])])


@lru_cache(maxsize=64)
def _settings(file_format: FileFormat, height: int, width: int) -> Sequence[float]:
    return file_format.settings(_ROWS * height, _COLUMNS * width)


def _without(height: int, width: int) -> tuple[Image, Image]:
    """The mosaics of A and of B."""
    above, beside = _companions(height, width)
    return above, _mosaic(above, beside, beside[:, ::-1])


@lru_cache(maxsize=1 << 14)
def _bytes(file_format: FileFormat, height: int, width: int, setting: float) -> float:
    """(A + B) / 2 at a setting."""
    one, other = (len(file_format.encode(each, setting)) for each in _without(height, width))
    return (one + other) / 2


def _bytes_at_error(file_format: FileFormat, height: int, width: int, error: float) -> float:
    """(A + B) / 2 where the squared error of c1 .. c14 is `error` in both."""
    grid = _settings(file_format, height, width)[::-_GRID_STEP][::-1]

    def size(which: int) -> float:
        def point(step: int) -> tuple[int, float]:
            return _point(file_format, height, width, grid[step], which)

        # Errors fall as sizes grow.
        step = bisect_left(range(len(grid)), -error, key=lambda step: -point(step)[1])
        if step in (0, len(grid)):
            return point(min(step, len(grid) - 1))[0]
        (low, more), (high, less) = point(step - 1), point(step)
        return float(np.interp(math.log1p(error), np.log1p([less, more]), [high, low]))

    return (size(0) + size(1)) / 2


@lru_cache(maxsize=1 << 12)
def _point(
    file_format: FileFormat, height: int, width: int, setting: float, which: int
) -> tuple[int, float]:
    """A or B at a setting, and the squared error of c1 .. c14 in it."""
    above = _companions(height, width)[0]
    file = file_format.encode(_without(height, width)[which], setting)
    return len(file), _error(above, file_format.decode(file)[: len(above)])


def _error(image: Image, seen: Image) -> float:
    return float(np.sum((image.astype(np.int64) - seen) ** 2))
