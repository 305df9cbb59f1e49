"""Conventional image codecs behind the protocol of `codec.base`.

    image --FileFormat.encode--> file --header policy--> stream ~~~ link ~~~ stream
        --header policy--> file, or its first bytes --damage policy--> FileFormat.decode --> image

    file_format.py   what a file format does, and the two policies
    header_policy.py, mosaic.py    which bytes of a file are charged
    codec.py         ConventionalCodec: any format as an ImageCodec, at the best quality that fits
    rate_search.py   which quality that is
    jpeg.py, jpeg2000.py, heif.py, avif.py, webp.py, jpegxl.py, png.py    the formats
    boxes.py, jpegxl_size.py, pillow.py                                   what they are written with

The libraries of HEIF and JPEG XL are optional; where one is missing its format cannot be made.
"""

from codec.conventional.avif import Avif
from codec.conventional.codec import ConventionalCodec
from codec.conventional.file_format import FileFormat, UnsupportedPolicy
from codec.conventional.heif import Heif
from codec.conventional.jpeg import Jpeg
from codec.conventional.jpeg2000 import Jpeg2000
from codec.conventional.jpegxl import JpegXl
from codec.conventional.png import Png
from codec.conventional.webp import WebP

__all__ = ["FORMATS", "ConventionalCodec", "FileFormat", "UnsupportedPolicy"]

FORMATS: dict[str, type[FileFormat]] = {
    made.name: made for made in (Jpeg, Jpeg2000, Heif, Avif, WebP, JpegXl, Png)
}
"""By name. The fields of each are what it can be made with."""
