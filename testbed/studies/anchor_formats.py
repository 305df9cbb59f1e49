"""The formats of the anchors: as their authors seem to have set them, and as we have them.

The Kodak anchors state no settings. Among those that were tried (chroma 4:4:4, 4:2:2, 4:2:0;
typical and own Huffman tables; 9/7 and 5/3 wavelets, with and without a colour transform; tiles;
code-blocks; resolutions; JP2 and bare codestreams; mean PSNR and PSNR of the mean error) only
coarse searches come within .2 dB of all of them: a quality in steps of 5, a compression ratio in
steps of 5. That they fit is all that is known.

With Huffman tables of the picture's own and any quality JPEG is .1 to .7 dB better than its anchors
at 4:4:4 and .2 to 1 dB at 4:2:0, JPEG2000 with the 9/7 wavelet .9 to 1.5 dB: baselines that are
weaker than the standards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from codec.base import CodecError, Image
from codec.conventional import FileFormat, pillow
from codec.conventional.avif import Avif
from codec.conventional.jpeg import Jpeg
from codec.conventional.jpeg2000 import Jpeg2000
from codec.conventional.jpegxl import JpegXl
from codec.conventional.webp import WebP
from testbed.studies.conventional_rd import StillCodec, available_codecs

_COARSE_STEP = 5
_CURVE_POINTS = 32


@dataclass(frozen=True)
class CoarseJpeg(Jpeg):
    """Typical Huffman tables (T.81, K.3), and of the qualities every fifth."""

    def settings(self, height: int, width: int) -> Sequence[float]:
        del height, width
        return range(_COARSE_STEP, 101, _COARSE_STEP)

    def encode(self, image: Image, setting: float) -> bytes:
        return self._file(image, setting, own_tables=False)


@dataclass(frozen=True)
class CoarseJpeg2000(Jpeg2000):
    """The reversible 5/3 wavelet and colour transform, cut at a ratio that is a multiple of 5.

    5/3 is OpenJPEG's default. A setting is the ratio; 500 .. 5.
    """

    def settings(self, height: int, width: int) -> Sequence[float]:
        del height, width
        return range(100 * _COARSE_STEP, 0, -_COARSE_STEP)

    def encode(self, image: Image, setting: float) -> bytes:
        return pillow.write_file(
            image, "JPEG2000", no_jp2=True, irreversible=False, mct=1,
            num_resolutions=self._resolutions(*image.shape[:2]),
            quality_mode="rates", quality_layers=[setting],
        )  # fmt: skip


def kodak_formats() -> dict[str, tuple[FileFormat, FileFormat]]:
    """By codec: the format that reproduces the anchors, and the one with default settings."""
    return {
        "jpeg": (CoarseJpeg(subsampling="4:2:0"), Jpeg()),
        "jpeg2000": (CoarseJpeg2000(), Jpeg2000()),
    }


_MORE_CODECS: dict[str, Callable[[], FileFormat]] = {
    "jpeg2000_6": partial(Jpeg2000, resolutions=6),
    "jp2": partial(Jpeg2000, resolutions=3, container="jp2"),
    "webp": WebP,
    "jpegxl": partial(JpegXl, effort=9),
    "avif": partial(Avif, tune="psnr"),
}


def cifar10_codecs() -> tuple[list[StillCodec], list[str]]:
    """The codecs of the CIFAR-10 anchors that can run here, and a sentence for each left out.

    Those of `available_codecs` at the same qualities: what is verified are figure 2's own curves.
    """
    codecs, left_out = available_codecs()
    [ratios] = [codec.settings for codec in codecs if codec.name == "jpeg2000"]
    for name, make in _MORE_CODECS.items():
        try:
            made = make()
        except CodecError as error:
            left_out.append(f"{name} is left out: {error}")
            continue
        jpeg2000 = isinstance(made, Jpeg2000)
        codecs.append(StillCodec(name, made, ratios if jpeg2000 else _thinned(made)))
    return codecs, left_out


def _thinned(made: FileFormat) -> tuple[float, ...]:
    """Some `_CURVE_POINTS` of a format's settings, the best among them."""
    settings = made.settings(32, 32)
    return tuple(settings[:: -max(1, len(settings) // _CURVE_POINTS)])[::-1]
