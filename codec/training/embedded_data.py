"""Pictures for the training of the embedded profile, and the batches made of them.

Each picture of a batch is looked at in one level; how many in which is fixed by shares, since the
levels with few bins matter as much as those with many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from codec.embedded.schedule import LEVELS
from codec.embedded.transform import coefficients
from codec.training.data import PHOTO_CROPS, load_training_data, photo_crops

Kind: TypeAlias = Literal["thumbnails", "photographs"]
"""What a predictor is for: small whole pictures as CIFAR-10's, or crops of photographs."""
KINDS: tuple[Kind, ...] = get_args(Kind)

CROP_SIDE = 64
CROP_FACTORS: Mapping[Kind, tuple[int, ...]] = {
    "thumbnails": (1, 2, 3, 4),
    "photographs": (1, 1, 2),
}
"""By which photographs are reduced before they are cropped, all equally often."""
PHOTO_SHARE: Mapping[Kind, float] = {"thumbnails": 0.2, "photographs": 1.0}
"""Of the batches, if there are photographs: the networks for thumbnails also see what 32x32
pictures have not, places far from any edge."""
GREY_SHARE = 0.03
HELD_OUT_CROPS = 200
"""At most; and at most a tenth. They are of the last photographs."""
LEAST_BATCH = 2
"""Of a single place of a single picture no normalisation learns anything."""
_CROP_COST = (CROP_SIDE // 32) ** 2


@dataclass(frozen=True, slots=True)
class EmbeddedData:
    """uint8 (N, 32, 32, 3) and, of photographs, (M, 64, 64, 3) or None.

    `sources` names what they came from, for the manifest.
    """

    kind: Kind
    train: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    crops: NDArray[np.uint8] | None
    held_out_crops: NDArray[np.uint8] | None
    sources: dict[str, str]

    def held_out(self, count: int) -> NDArray[np.uint8]:
        """Pictures of the kind that training does not see.

        Of the one photograph at the border between both it sees other crops.
        """
        if self.kind == "thumbnails":
            return self.validation[:count]
        assert self.held_out_crops is not None
        return self.held_out_crops[:count]


def load_embedded_data(
    cifar: Path, photos: Path | None, seed: int, kind: Kind = "thumbnails"
) -> EmbeddedData:
    """CIFAR-10's training half and, if given, crops of a folder of PNG photographs.

    kind: "photographs" needs that folder. Raises SystemExit with one line if files are missing or
    are something else.
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
    crops, held_out, sources = None, None, dict(data.sources)
    if photos is not None:
        paths = sorted(photos.glob("*.png"))
        if not paths:
            raise SystemExit(f"{photos}: expected PNG photographs, found none")
        try:
            factors = CROP_FACTORS[kind]
            crops = _channels_last(photo_crops(paths, PHOTO_CROPS, seed, CROP_SIDE, factors))
        except (OSError, ValueError) as error:
            raise SystemExit(f"{photos}: photographs cannot be used ({error})") from None
        digest = hashlib.sha256(crops.tobytes()).hexdigest()
        sources[f"photograph crops {CROP_SIDE}x{CROP_SIDE}, sha256"] = digest
        seen = len(crops) - min(HELD_OUT_CROPS, len(crops) // 10)
        crops, held_out = crops[:seen], crops[seen:]
    elif kind == "photographs":
        raise SystemExit("a predictor for photographs needs --photos")
    return EmbeddedData(
        kind,
        _channels_last(data.train),
        _channels_last(data.validation),
        crops,
        held_out,
        sources,
    )


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
    """Draws batches: CIFAR-10's pictures by index or, as often as the data's kind says, crops.

    shares: pictures of each level in a batch, relative to one another; crop_shares: the same of
    crops, all levels alike unless given. batch: pictures of 32x32; of the larger crops there are as
    many as take the same time.
    """

    def __init__(
        self,
        data: EmbeddedData,
        shares: Mapping[int, float],
        batch: int,
        seed: int,
        crop_shares: Mapping[int, float] | None = None,
    ) -> None:
        self.data, self.shares, self.batch = data, shares, batch
        self.crop_shares = crop_shares or dict.fromkeys(LEVELS, 1.0)
        self.random = np.random.default_rng(seed)

    @property
    def count(self) -> int:
        """Of pictures with an index."""
        return len(self.data.train)

    def some(self) -> Batch:
        """A batch of any pictures."""
        return self.draw(self.random.integers(self.count, size=self.batch))

    def draw(self, indices: NDArray[np.int64]) -> Batch:
        """A batch of `data.train[indices]`, or of crops instead."""
        crops, random = self.data.crops, self.random
        if crops is not None and random.random() < PHOTO_SHARE[self.data.kind]:
            n_crops = max(LEAST_BATCH, self.batch // _CROP_COST)
            shares = self.crop_shares
            pictures = turned(crops[random.integers(len(crops), size=n_crops)], random)
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


def turned(pictures: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Square pictures, each with rows and columns exchanged or not."""
    shown = pictures.copy()
    exchanged = random.random(len(shown)) < 0.5
    shown[exchanged] = shown[exchanged].swapaxes(1, 2)
    return shown
