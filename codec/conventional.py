"""Conventional image codecs behind the protocol of `codec.base`: JPEG (ITU-T T.81) by libjpeg.

A JPEG file of a 32 x 32 picture is mostly tables: some 620 bytes before the first coefficient, 290
with Huffman tables of its own. What is charged for them decides a comparison, so it is a choice:

    headers="file"         the whole file, with whichever Huffman tables make it smaller
    headers="abbreviated"  in the spirit of T.81's abbreviated format (B.5), both ends know the
                           tables: the typical Huffman tables of Annex K.3 and the quantiser that
                           follows from the quality

                           | picture header: 1 or 5 | quality: 1 | entropy-coded scan |   bytes

Every byte of either form goes to the link and is charged; the decoder has nothing else.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from PIL import Image as PillowImage

from codec.base import (
    CodecError,
    DecodedImage,
    EncodedImage,
    Image,
    Layer,
    ReceivedLayer,
    check_image,
)
from codec.picture_header import MAX_PIXELS, pack_picture_header, unpack_picture_header

Headers = Literal["file", "abbreviated"]
Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]

DEFAULT_QUALITY = 75
"""libjpeg's own default."""

BITSTREAM_VERSION = 1
_MAX_JPEG_SIDE = 65500
"""libjpeg's limit (JPEG_MAX_DIMENSION)."""
_QUALITIES = range(1, 101)
_REMEMBERED_IMAGES = 4096

_START_OF_FRAME, _START_OF_SCAN, _END_OF_IMAGE = 0xC0, 0xDA, b"\xff\xd9"


class JpegCodec:
    """Baseline JPEG in one layer named "jpeg"; a stream with bytes missing decodes to nothing."""

    name: str
    scalable: bool = False

    def __init__(
        self,
        quality: int | None = None,
        headers: Headers = "abbreviated",
        subsampling: Subsampling = "4:4:4",
    ) -> None:
        """quality: libjpeg's, 1 .. 100, for every picture. None: the highest whose stream fits
        the budget, or DEFAULT_QUALITY where there is no budget.
        subsampling: of the chroma; 4:2:0 keeps a small picture below 40 dB whatever the quality.

        Raises CodecError for a value that is not among these.
        """
        if quality is not None and quality not in _QUALITIES:
            raise CodecError(f"expected a JPEG quality of 1 .. 100, found {quality}")
        if headers not in get_args(Headers):
            raise CodecError(f"expected headers among {get_args(Headers)}, found {headers!r}")
        if subsampling not in get_args(Subsampling):
            raise CodecError(
                f"expected subsampling among {get_args(Subsampling)}, found {subsampling!r}"
            )
        self.quality = quality
        self.headers: Headers = headers
        self.subsampling: Subsampling = subsampling
        parts = ["jpeg"]
        if headers == "file":
            parts.append("file")
        if subsampling != "4:4:4":
            parts.append(subsampling.replace(":", ""))
        if quality is not None:
            parts.append(f"q{quality}")
        self.name = "-".join(parts)
        self._sizes_of: OrderedDict[bytes, tuple[int, ...]] = OrderedDict()

    def encode_batch(
        self, images: Sequence[Image], budget_bytes: int | None = None
    ) -> list[EncodedImage | None]:
        """Codes each image: see `ImageCodec.encode_batch`.

        None for an image whose stream exceeds the budget at the codec's quality, or at every
        quality if it has none of its own. Raises CodecError for sides above 65,500 pixels, too.
        """
        for image in images:
            check_image(image)
            if max(image.shape) > _MAX_JPEG_SIDE or image.shape[0] * image.shape[1] > MAX_PIXELS:
                raise CodecError(f"a picture of {image.shape[:2]} pixels is too large for JPEG")
        return [self._encode(image, budget_bytes) for image in images]

    def decode_batch(self, received: Sequence[Sequence[ReceivedLayer]]) -> list[DecodedImage]:
        """Decodes each image: see `ImageCodec.decode_batch`.

        An incomplete stream, and bytes that are no JPEG, decode to no picture.
        """
        decoded = []
        for layers in received:
            image = None
            if layers and layers[0].complete:
                image = self._decode(layers[0].data)
            decoded.append(DecodedImage(image, 0 if image is None else 1))
        return decoded

    def _encode(self, image: Image, budget_bytes: int | None) -> EncodedImage | None:
        quality = self.quality
        if quality is None:
            quality = DEFAULT_QUALITY
            if budget_bytes is not None:
                fitting = self._highest_fitting_quality(image, budget_bytes)
                if fitting is None:
                    return None
                quality = fitting
        stream = self._stream(image, quality)
        if budget_bytes is not None and len(stream) > budget_bytes:
            return None
        return EncodedImage((Layer("jpeg", stream),))

    def _highest_fitting_quality(self, image: Image, budget_bytes: int) -> int | None:
        """The size is not quite monotone in the quality, so it is looked up for all of them.

        A sweep asks for the same image at many budgets: the sizes are remembered.
        """
        key = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()
        sizes = self._sizes_of.get(key)
        if sizes is None:
            sizes = tuple(len(self._stream(image, quality)) for quality in _QUALITIES)
            self._sizes_of[key] = sizes
            if len(self._sizes_of) > _REMEMBERED_IMAGES:
                self._sizes_of.popitem(last=False)
        fitting = (
            quality
            for quality, size_bytes in zip(_QUALITIES, sizes, strict=True)
            if size_bytes <= budget_bytes
        )
        return max(fitting, default=None)

    def _stream(self, image: Image, quality: int) -> bytes:
        plain = jpeg_file(image, quality, self.subsampling, own_huffman_tables=False)
        if self.headers == "file":
            optimised = jpeg_file(image, quality, self.subsampling, own_huffman_tables=True)
            return min(plain, optimised, key=len)
        _, scan = split_at_scan(plain)
        height, width, _ = image.shape
        header = pack_picture_header(height, width, BITSTREAM_VERSION)
        return header + bytes([quality]) + scan

    def _decode(self, stream: bytes) -> Image | None:
        if self.headers == "file":
            return _decode_file(stream)
        try:
            file = self._rebuild_file(stream)
        except CodecError:
            return None
        return _decode_file(file)

    def _rebuild_file(self, stream: bytes) -> bytes:
        """The file that `_stream` took apart, byte for byte. Raises CodecError if it cannot be."""
        height, width, n_used = unpack_picture_header(stream, BITSTREAM_VERSION)
        if len(stream) <= n_used or stream[n_used] not in _QUALITIES:
            raise CodecError("expected a JPEG quality of 1 .. 100 after the picture header")
        if max(height, width) > _MAX_JPEG_SIDE:
            raise CodecError(f"a picture of {height} x {width} pixels is too large for JPEG")
        head = bytearray(_file_head(stream[n_used], self.subsampling))
        # Frame header (T.81, B.2.2): marker (2 bytes), length (2), precision (1), height, width.
        frame = _find_segment(bytes(head), _START_OF_FRAME)
        head[frame + 5 : frame + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
        return bytes(head) + stream[n_used + 1 :] + _END_OF_IMAGE


def jpeg_file(
    image: Image, quality: int, subsampling: Subsampling, own_huffman_tables: bool
) -> bytes:
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(
        buffer,
        format="JPEG",
        quality=quality,
        subsampling=subsampling,
        optimize=own_huffman_tables,
        progressive=False,
    )
    return buffer.getvalue()


@lru_cache(maxsize=512)
def _file_head(quality: int, subsampling: Subsampling) -> bytes:
    """All before the scan, from a picture of 8 x 8: of the rest, only the size is the picture's."""
    blank = np.zeros((8, 8, 3), dtype=np.uint8)
    return split_at_scan(jpeg_file(blank, quality, subsampling, own_huffman_tables=False))[0]


def _find_segment(file: bytes, marker: int) -> int:
    """Where the marker segment begins (T.81, B.1.1.4); `file` is one that libjpeg has written."""
    position = 2
    while file[position + 1] != marker:
        position += 2 + int.from_bytes(file[position + 2 : position + 4], "big")
    return position


def split_at_scan(file: bytes) -> tuple[bytes, bytes]:
    """(everything up to the scan header's end, the entropy-coded bytes without the end marker)."""
    position = _find_segment(file, _START_OF_SCAN)
    position += 2 + int.from_bytes(file[position + 2 : position + 4], "big")
    return file[:position], file[position : -len(_END_OF_IMAGE)]


def _decode_file(file: bytes) -> Image | None:
    """The picture of a JPEG file, or None if it cannot be decoded or is absurdly large."""
    try:
        with warnings.catch_warnings():
            # A damaged size is answered below, not with a warning of Pillow's.
            warnings.simplefilter("ignore")
            with PillowImage.open(io.BytesIO(file), formats=["JPEG"]) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    return None
                return np.array(picture.convert("RGB"))
    except Exception:
        # Pillow raises nearly anything on damaged bytes: OSError, SyntaxError, ValueError,
        # struct.error, IndexError, its DecompressionBombError. All mean the same here.
        return None
