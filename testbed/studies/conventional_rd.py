"""The conventional codecs of the rate-distortion curves, and the qualities that are measured.

The chroma is never subsampled: 4:2:0 keeps a picture of 32 x 32 below 40 dB at any rate.
"""

from __future__ import annotations

from dataclasses import dataclass

from codec.base import CodecError
from codec.conventional import FileFormat
from codec.conventional.heif import Heif
from codec.conventional.jpeg import Jpeg
from codec.conventional.jpeg2000 import Jpeg2000


@dataclass(frozen=True, slots=True)
class StillCodec:
    """A format, and the quality settings at which its curve is measured, from the worst on.

    What JPEG takes for its payload leaves out the tables it needs: an optimistic count.
    """

    name: str
    file_format: FileFormat
    settings: tuple[float, ...]


_JPEG_QUALITIES = (
    1.0, 3.0, 5.0, 8.0, 12.0, 18.0, 25.0, 35.0, 45.0, 55.0,
    65.0, 75.0, 82.0, 88.0, 92.0, 95.0, 97.0, 99.0,
)  # fmt: skip
_JPEG2000_RATIOS = (
    96.0, 64.0, 48.0, 32.0, 24.0, 20.0, 18.0, 16.0, 14.0, 12.0, 10.0,
    8.0, 6.5, 5.0, 4.0, 3.5, 3.0, 2.75, 2.5, 2.2,
)  # fmt: skip
_HEIF_QUALITIES = (1.0, 10.0, 20.0, 31.0, 42.0, 52.0, 62.0, 71.0, 80.0, 87.0, 93.0)


def available_codecs() -> tuple[list[StillCodec], list[str]]:
    """The codecs that can run here, and a sentence for each that is left out."""
    codecs = [
        StillCodec("jpeg", Jpeg(), _JPEG_QUALITIES),
        # Three resolutions for the mosaics as well.
        StillCodec("jpeg2000", Jpeg2000(resolutions=3), _JPEG2000_RATIOS),
    ]
    try:
        codecs += [
            StillCodec("heif", Heif(), _HEIF_QUALITIES),
            StillCodec("heif_psnr", Heif(tune="psnr"), _HEIF_QUALITIES),
        ]
    except CodecError as error:
        return codecs, [f"HEIF is left out: {error}"]
    return codecs, []
