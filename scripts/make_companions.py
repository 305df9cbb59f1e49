"""Makes codec/conventional/companions.png from the photographs inside scikit-image:
python scripts/make_companions.py

The companions of the header policy `mosaic`: square windows of the photographs that the samples
come from (testbed/samples/README.md tells their licences), but none of the samples themselves,
area-averaged down to 32 x 32, one under the other. Windows and order were chosen so that what JPEG
spends on their luma and on their chroma spreads as over CIFAR-10's training images, at qualities of
10, 50 and 90, and so that mosaics with them come near true ones (testbed/studies/mosaic_check.py).
"""

from __future__ import annotations

from pathlib import Path

from make_samples import crop
from PIL import Image

FILE = Path(__file__).resolve().parent.parent / "codec" / "conventional" / "companions.png"
SIDE = 32

# (source, left, top, side in pixels); the side is a multiple of 32.
WINDOWS = [
    ("chelsea", 168, 88, 192),
    ("astronaut", 168, 240, 96),
    ("rocket", 160, 232, 192),
    ("chelsea", 64, 56, 192),
    ("astronaut", 16, 8, 192),
    ("astronaut", 296, 192, 128),
    ("coffee", 376, 120, 128),
    ("astronaut", 248, 64, 192),
    ("coffee", 136, 88, 160),
    ("coffee", 368, 296, 96),
    ("chelsea", 232, 0, 64),
    ("astronaut", 320, 336, 128),
    ("chelsea", 256, 32, 96),
    ("astronaut", 112, 0, 224),
    ("chelsea", 120, 8, 64),
]


def main() -> None:
    column = Image.new("RGB", (SIDE, SIDE * len(WINDOWS)))
    for number, (source, left, top, side) in enumerate(WINDOWS):
        tile = crop(source, left, top, side, side).reduce(side // SIDE)
        column.paste(tile, (0, SIDE * number))
    column.save(FILE, optimize=True)


if __name__ == "__main__":
    main()
