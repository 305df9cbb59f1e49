"""Conventional still image codecs for rate-distortion curves: JPEG, JPEG2000 and HEIF.

What the curves need of a codec is less than `codec.base.ImageCodec` asks for, and more:

    pixels, setting --encode--> file --decode--> pixels
                                  |
                                  +--payload_bytes--> bytes of the coded picture alone

The chroma is never subsampled: 4:2:0 keeps a picture of 32 x 32 below 40 dB at any rate.
"""

from __future__ import annotations

import io
from typing import Protocol

import numpy as np
from PIL import Image as PillowImage

from codec.base import CodecError, Image
from codec.conventional import jpeg_file, split_at_scan

_FOR_PSNR = {"tune": "psnr", "x265:psy-rd": "0", "x265:psy-rdoq": "0"}


class StillCodec(Protocol):
    """A codec that makes files. `settings` run from the worst quality to the best."""

    name: str
    settings: tuple[float, ...]

    def encode(self, pixels: Image, setting: float) -> bytes:
        """The file of a picture."""
        ...

    def decode(self, file: bytes) -> Image:
        """The picture of a file that `encode` has made. CodecError if the library cannot."""
        ...

    def payload_bytes(self, file: bytes) -> int:
        """Bytes of the file that code this picture; headers and containers left out."""
        ...


class Jpeg:
    """Baseline JPEG (ITU-T T.81), Huffman tables made for the picture. A setting is a quality.

    The payload is the entropy-coded scan without the tables it needs: an optimistic count.
    """

    name: str = "jpeg"
    settings: tuple[float, ...] = (
        1.0, 3.0, 5.0, 8.0, 12.0, 18.0, 25.0, 35.0, 45.0, 55.0,
        65.0, 75.0, 82.0, 88.0, 92.0, 95.0, 97.0, 99.0,
    )  # fmt: skip

    def encode(self, pixels: Image, setting: float) -> bytes:
        return jpeg_file(pixels, int(setting), "4:4:4", own_huffman_tables=True)

    def decode(self, file: bytes) -> Image:
        return _pillow_picture(file, "JPEG")

    def payload_bytes(self, file: bytes) -> int:
        _, scan = split_at_scan(file)
        return len(scan)


class Jpeg2000:
    """JPEG2000 codestreams (ITU-T T.800) by OpenJPEG: 9/7 wavelet, irreversible colour transform.

    A setting is the ratio of 24 bits a pixel to the size aimed at. On pictures of 32 x 32 three
    resolutions gain some 3 dB over the customary six. Large ratios all give the smallest file.
    The payload is what lies between the marker SOD (A.4.3) and the marker EOC (A.4.4).
    """

    name: str = "jpeg2000"
    resolutions = 3
    settings: tuple[float, ...] = (
        96.0, 64.0, 48.0, 32.0, 24.0, 20.0, 18.0, 16.0, 14.0, 12.0, 10.0,
        8.0, 6.5, 5.0, 4.0, 3.5, 3.0, 2.75, 2.5, 2.2,
    )  # fmt: skip

    def encode(self, pixels: Image, setting: float) -> bytes:
        buffer = io.BytesIO()
        PillowImage.fromarray(pixels).save(
            buffer,
            format="JPEG2000",
            no_jp2=True,
            num_resolutions=self.resolutions,
            irreversible=True,
            mct=1,
            quality_mode="rates",
            quality_layers=[setting],
        )
        return buffer.getvalue()

    def decode(self, file: bytes) -> Image:
        return _pillow_picture(file, "JPEG2000")

    def payload_bytes(self, file: bytes) -> int:
        return _codestream_payload_bytes(file)


class Heif:
    """HEVC intra pictures in HEIF files (ISO/IEC 23008-12) by x265, 4:4:4. A setting is a quality.

    tuned: for PSNR. x265's `tune=psnr` does not turn its psychovisual decisions off by itself here:
    they cost .4 dB and are turned off, too. Otherwise the library's defaults.
    The payload is the NAL units of the picture itself (types 0-31, ITU-T H.265, table 7-1) among
    the media data. Raises ImportError unless pillow-heif is installed.
    """

    settings: tuple[float, ...] = (
        1.0, 10.0, 20.0, 31.0, 42.0, 52.0, 62.0, 71.0, 80.0, 87.0, 93.0,
    )  # fmt: skip

    def __init__(self, tuned: bool = False) -> None:
        import pillow_heif

        self.name: str = "heif_psnr" if tuned else "heif"
        self._options: dict[str, object] = {"enc_params": _FOR_PSNR} if tuned else {}
        self._library = pillow_heif

    def encode(self, pixels: Image, setting: float) -> bytes:
        height, width, _ = pixels.shape
        buffer = io.BytesIO()
        self._library.from_bytes("RGB", (width, height), pixels.tobytes()).save(
            buffer, quality=int(setting), chroma=444, **self._options
        )
        return buffer.getvalue()

    def decode(self, file: bytes) -> Image:
        try:
            pixels: Image = np.array(self._library.open_heif(io.BytesIO(file)), dtype=np.uint8)
        except ValueError as error:
            # libde265 does not decode every large picture that x265 has made.
            raise CodecError(f"HEIF: {error}") from error
        return pixels

    def payload_bytes(self, file: bytes) -> int:
        return _heif_payload_bytes(file)


def available_codecs() -> tuple[list[StillCodec], list[str]]:
    """The codecs that can run here, and a sentence for each that is left out."""
    codecs: list[StillCodec] = [Jpeg(), Jpeg2000()]
    try:
        codecs += [Heif(), Heif(tuned=True)]
    except ImportError:
        return codecs, ["HEIF is left out: install pillow-heif to have its curves"]
    return codecs, []


def _pillow_picture(file: bytes, file_format: str) -> Image:
    with PillowImage.open(io.BytesIO(file), formats=[file_format]) as picture:
        return np.array(picture.convert("RGB"))


def _codestream_payload_bytes(file: bytes) -> int:
    """Of a codestream of one tile part, as OpenJPEG writes it (T.800, A.3)."""
    start_of_tile_part, start_of_data, end_of_codestream = 0xFF90, 0xFF93, b"\xff\xd9"
    position, tile_parts = 2, 0
    while (marker := int.from_bytes(file[position : position + 2], "big")) != start_of_data:
        tile_parts += marker == start_of_tile_part
        position += 2 + int.from_bytes(file[position + 2 : position + 4], "big")
    if tile_parts != 1 or not file.endswith(end_of_codestream):
        raise ValueError("expected a JPEG2000 codestream of one tile part up to its EOC marker")
    return len(file) - len(end_of_codestream) - (position + 2)


def _heif_payload_bytes(file: bytes) -> int:
    """Boxes: ISO/IEC 14496-12, 4.2; NAL units behind their lengths: ISO/IEC 14496-15, 4.3."""
    total = position = 0
    while position < len(file):
        size, kind = int.from_bytes(file[position : position + 4], "big"), file[position + 4 :][:4]
        if size < 8 or position + size > len(file):
            raise ValueError(f"expected a HEIF file of plain boxes, found a box of {size} bytes")
        if kind == b"mdat":
            total += _picture_nal_bytes(file[position + 8 : position + size])
        position += size
    return total


def _picture_nal_bytes(media: bytes) -> int:
    total = position = 0
    while position < len(media):
        length = int.from_bytes(media[position : position + 4], "big")
        unit = media[position + 4 : position + 4 + length]
        if len(unit) != length or length < 2:
            raise ValueError("expected NAL units behind lengths of four bytes in mdat")
        # nal_unit_type: six bits behind the forbidden zero bit (H.265, 7.3.1.2); VCL is 0 .. 31.
        if (unit[0] >> 1) & 0x3F < 32:
            total += length
        position += 4 + length
    return total
