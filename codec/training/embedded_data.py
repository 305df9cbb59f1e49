"""Pictures for the training of the embedded profile, and the batches made of them.

Each picture of a batch is looked at in one level; how many in which is fixed by shares, since the
levels with few bins matter as much as those with many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codec.embedded.schedule import LEVELS
from codec.embedded.transform import coefficients
from codec.training.data import PHOTO_CROPS, load_training_data, photo_crops

CROP_SIDE = 64
CROP_FACTORS = (1, 2, 3, 4)
PHOTO_SHARE = 0.2
"""Of the batches, if there are photographs: the networks also see what 32x32 pictures have not,
places far from any edge."""
GREY_SHARE = 0.03
_CROP_COST = (CROP_SIDE // 32) ** 2


@dataclass(frozen=True, slots=True)
class EmbeddedData:
    """uint8 (N, 32, 32, 3) and, of photographs, (M, 64, 64, 3) or None.

    `sources` names what they came from, for the manifest.
    """

    train: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    crops: NDArray[np.uint8] | None
    sources: dict[str, str]


def load_embedded_data(cifar: Path, photos: Path | None, seed: int) -> EmbeddedData:
    """CIFAR-10's training half and, if given, crops of a folder of PNG photographs.

    Raises SystemExit with one line if files are missing or are something else.
    """
    for k in range(1, 6):
        path = cifar / f"data_batch_{k}.bin"
        if not path.is_file():
            raise SystemExit(
                f"{path}: not there; --cifar is CIFAR-10's folder of data_batch_1..5.bin"
            )
        if path.stat().st_size == 0 or path.stat().st_size % 3073:
            raise SystemExit(f"{path}: not of CIFAR-10's binary version, records of 3,073 bytes")
    data = load_training_data(cifar, None, seed)
    crops, sources = None, dict(data.sources)
    if photos is not None:
        paths = sorted(photos.glob("*.png"))
        if not paths:
            raise SystemExit(f"{photos}: expected PNG photographs, found none")
        try:
            crops = _channels_last(photo_crops(paths, PHOTO_CROPS, seed, CROP_SIDE, CROP_FACTORS))
        except (OSError, ValueError) as error:
            raise SystemExit(f"{photos}: photographs cannot be used ({error})") from None
        digest = hashlib.sha256(crops.tobytes()).hexdigest()
        sources[f"photograph crops {CROP_SIDE}x{CROP_SIDE}, sha256"] = digest
    return EmbeddedData(
        _channels_last(data.train), _channels_last(data.validation), crops, sources
    )  # fmt: skip


def _channels_last(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))


@dataclass(frozen=True, slots=True)
class Batch:
    """coefficients: int32 (B, h, w, 48). levels: int64 (B,), of each picture.

    weights: float32 (B,), one over the number of pictures expected in that level.
    """

    coefficients: NDArray[np.int32]
    levels: NDArray[np.int64]
    weights: NDArray[np.float32]


class Batches:
    """Draws batches: CIFAR-10's pictures by index or, now and then, crops of photographs.

    shares: pictures of each level in a batch, relative to one another. batch: pictures of 32x32;
    of the larger crops there are as many as take the same time, all levels alike.
    """

    def __init__(
        self, data: EmbeddedData, shares: Mapping[int, float], batch: int, seed: int
    ) -> None:
        self.data, self.shares, self.batch = data, shares, batch
        self.random = np.random.default_rng(seed)

    def draw(self, indices: NDArray[np.int64]) -> Batch:
        """A batch of `data.train[indices]`, or of crops instead."""
        crops, random = self.data.crops, self.random
        if crops is not None and random.random() < PHOTO_SHARE:
            n_crops = max(1, self.batch // _CROP_COST)
            shares: Mapping[int, float] = dict.fromkeys(LEVELS, 1.0)
            pictures = crops[random.integers(len(crops), size=n_crops)]
        else:
            shares, pictures = self.shares, self.data.train[indices]
        levels, weights = spread(shares, len(pictures), random)
        return Batch(coefficients(varied(pictures, random)), levels, weights)


def spread(
    shares: Mapping[int, float], count: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """`count` levels in the stream's order, and one over the number expected of each.

    Every level comes as often as its share says, give or take one, and exactly so on average.
    """
    share = np.array([shares[level] for level in LEVELS], np.float64)
    ends = share.cumsum() / share.sum()
    at = np.searchsorted(ends[:-1], (np.arange(count) + random.random()) / count, side="right")
    expected = count * share / share.sum()
    return np.array(LEVELS)[at], (1 / expected[at]).astype(np.float32)


def varied(pictures: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Pictures in another order, each mirrored or not; now and then all of them grey."""
    shown = pictures[random.permutation(len(pictures))]
    mirrored = random.random(len(shown)) < 0.5
    shown[mirrored] = shown[mirrored][:, :, ::-1]
    if random.random() < GREY_SHARE:
        shown[:] = np.round(shown.mean(axis=-1, keepdims=True)).astype(np.uint8)
    return shown
