"""Makes testbed/samples/ from the photographs inside scikit-image: python scripts/make_samples.py

A sample of 32 x 32 pixels is a square window of a photograph, area-averaged down to 32 x 32, as
CIFAR's images are small pictures of whole things, or (side 32) a piece of the photograph as it is.
Sources that were JPEG files are only used averaged down, where JPEG's own traces are gone.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

SAMPLES_FOLDER = Path(__file__).resolve().parent.parent / "testbed" / "samples"

SOURCES: dict[str, Callable[[], np.ndarray]] = {
    "astronaut": skimage.data.astronaut,
    "chelsea": skimage.data.chelsea,
    "coffee": skimage.data.coffee,
    "hubble": skimage.data.hubble_deep_field,
    "retina": skimage.data.retina,
    "rocket": skimage.data.rocket,
}

# (source, left, top, side in pixels); the side is a multiple of 32.
WINDOWS_32X32 = [
    ("astronaut", 0, 0, 512),
    ("astronaut", 112, 0, 256),
    ("astronaut", 160, 48, 128),
    ("astronaut", 320, 0, 160),
    ("astronaut", 0, 64, 160),
    ("astronaut", 256, 224, 192),
    ("astronaut", 352, 320, 160),
    ("astronaut", 186, 88, 64),
    ("astronaut", 208, 150, 32),
    ("astronaut", 24, 300, 32),
    ("chelsea", 64, 0, 288),
    ("chelsea", 192, 48, 160),
    ("chelsea", 112, 32, 96),
    ("chelsea", 160, 96, 64),
    ("chelsea", 320, 96, 128),
    ("chelsea", 24, 120, 128),
    ("chelsea", 208, 176, 32),
    ("chelsea", 300, 60, 32),
    ("coffee", 120, 0, 384),
    ("coffee", 0, 160, 224),
    ("coffee", 240, 80, 160),
    ("coffee", 400, 200, 192),
    ("coffee", 300, 180, 64),
    ("coffee", 40, 40, 32),
    ("coffee", 430, 330, 32),
    ("hubble", 320, 320, 256),
    ("retina", 128, 128, 1152),
    ("rocket", 0, 0, 416),
    ("rocket", 256, 128, 160),
    ("rocket", 224, 256, 160),
]

# (source, left, top, width, height), as they are.
LARGE_WINDOWS = [
    ("astronaut", 96, 0, 256, 384),
    ("coffee", 96, 48, 384, 256),
]


def crop(source: str, left: int, top: int, width: int, height: int) -> Image.Image:
    pixels = SOURCES[source]()
    if top + height > pixels.shape[0] or left + width > pixels.shape[1]:
        raise ValueError(f"the window at {left}, {top} leaves the picture {source}")
    return Image.fromarray(np.ascontiguousarray(pixels[top : top + height, left : left + width]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=SAMPLES_FOLDER)
    folder: Path = parser.parse_args().folder
    small, large = folder / "32x32", folder / "large"
    small.mkdir(parents=True, exist_ok=True)
    large.mkdir(parents=True, exist_ok=True)
    for number, (source, left, top, side) in enumerate(WINDOWS_32X32):
        picture = crop(source, left, top, side, side).reduce(side // 32)
        picture.save(small / f"{number:02d}_{source}_{side}.png", optimize=True)
    for source, left, top, width, height in LARGE_WINDOWS:
        picture = crop(source, left, top, width, height)
        picture.save(large / f"{source}_{width}x{height}.png", optimize=True)


if __name__ == "__main__":
    main()
