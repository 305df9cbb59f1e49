"""The header policy `mosaic` held against true mosaics: 64 CIFAR-10 test pictures as one of 8 x 8.

A setting's mean bytes and mean PSNR under the policy, which sees one picture at a time, beside
those of a picture in the true mosaic. Quality differs a little, too, so what counts are the bytes
at equal quality: against the true mosaics' curve, on straight lines over the log of the bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from codec.base import CodecError, Image
from codec.conventional import FileFormat
from codec.conventional.avif import Avif
from codec.conventional.heif import Heif
from codec.conventional.jpeg import Jpeg
from codec.conventional.jpeg2000 import Jpeg2000
from codec.conventional.jpegxl import JpegXl
from codec.conventional.mosaic import Mosaic
from codec.conventional.png import Png
from codec.conventional.webp import WebP
from testbed.evaluation.metrics import EXACT_PSNR_DB, psnr_db
from testbed.studies.rate_distortion import as_mosaic, as_tiles

ROWS = COLUMNS = 8
PICTURES = ROWS * COLUMNS
TOLERANCE_PERCENT = {"jpegxl": 30.0}
"""Lossy JPEG XL clusters its histograms anew for every picture that is added."""
USUAL_TOLERANCE_PERCENT = 12.0
"""Of all others. At .5 bits per pixel 12 % are 8 bytes."""

_CODECS: dict[str, tuple[Callable[[], FileFormat], tuple[float, ...]]] = {
    "jpeg": (Jpeg, (5, 10, 30, 60, 85, 95, 98)),
    "jpeg2000": (lambda: Jpeg2000(resolutions=3), (48, 30, 15, 8, 5, 3, 2.5)),
    "webp": (WebP, (0, 5, 15, 30, 50, 75, 85)),
    "avif": (lambda: Avif(tune="psnr"), (10, 20, 40, 60, 80, 95, 100)),
    "heif": (lambda: Heif(tune="psnr"), (2, 10, 20, 30, 50, 80, 90)),
    "jpegxl": (JpegXl, (15, 8, 4, 2, 1, 0.5, 0.2)),
    "png": (Png, (9,)),
    "webp, lossless": (lambda: WebP(lossless=True), (75,)),
    "jpegxl, lossless": (lambda: JpegXl(lossless=True), (0,)),
    "jpeg2000, lossless": (lambda: Jpeg2000(lossless=True), (1,)),
}
"""The first and the last of several settings only carry the curve on."""


@dataclass(frozen=True, slots=True)
class MosaicCheck:
    """One setting of one codec: means over the pictures, bytes and dB of each.

    `equal_bytes`: what the true mosaics' curve needs for `psnr_db`.
    """

    codec: str
    setting: str
    true_bytes: float
    true_psnr_db: float
    bytes: float
    psnr_db: float
    equal_bytes: float

    @property
    def difference_percent(self) -> float:
        """How many more bytes than in true mosaics, at equal quality; to one decimal."""
        # Not -0.0.
        return round(100 * (self.bytes / self.equal_bytes - 1), 1) + 0.0

    @property
    def within(self) -> bool:
        """Whether the difference is within the codec's tolerance."""
        limit = TOLERANCE_PERCENT.get(self.codec, USUAL_TOLERANCE_PERCENT)
        return abs(self.difference_percent) <= limit


def mosaic_codecs(quick: bool) -> dict[str, tuple[FileFormat, tuple[float, ...]]]:
    """The formats that can be made here, with their settings from the worst on; quick: JPEG."""
    codecs = {}
    for name, (make, settings) in _CODECS.items():
        if quick and name != "jpeg":
            continue
        try:
            codecs[name] = make(), settings
        except CodecError:
            # The anchors say which libraries are missing.
            continue
    return codecs


def check_mosaics(
    name: str,
    file_format: FileFormat,
    settings: Sequence[float],
    pictures: Sequence[Image],
    progress: Callable[[int], None] = lambda _: None,
) -> list[MosaicCheck]:
    """A check for each setting but the outermost. `pictures`: `PICTURES` of one size.

    `progress` is told of every setting that is done, the outermost too.
    """
    mosaic = as_mosaic(np.stack(pictures), ROWS, COLUMNS)
    policy = Mosaic(file_format)
    true, found = [], []
    for setting in settings:
        file = file_format.encode(mosaic, setting)
        tiles = list(as_tiles(file_format.decode(file), ROWS, COLUMNS))
        true.append((len(file) / len(pictures), _mean_psnr_db(pictures, tiles)))
        if len(settings) == 1 or setting not in (settings[0], settings[-1]):
            coded = [policy.encode(picture, setting) for picture in pictures]
            seen = [policy.decode(*each, whole=True) for each in coded]
            mean_bytes = float(np.mean([len(stream) for stream, _ in coded]))
            found.append((setting, *true[-1], mean_bytes, _mean_psnr_db(pictures, seen)))
        progress(1)
    sizes, qualities = np.array(true).T
    return [
        MosaicCheck(name, f"{each[0]:g}", *each[1:], _bytes_for(each[-1], sizes, qualities))
        for each in found
    ]


def _bytes_for(quality: float, sizes: np.ndarray, qualities: np.ndarray) -> float:
    return float(np.exp(np.interp(quality, qualities, np.log(sizes))))


def _mean_psnr_db(pictures: Sequence[Image], seen: Sequence[Image]) -> float:
    pairs = zip(pictures, seen, strict=True)
    return float(np.mean([min(psnr_db(*pair), EXACT_PSNR_DB) for pair in pairs]))
