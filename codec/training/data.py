"""Training pictures: CIFAR-10's training half and 32x32 crops of photographs.

Choosing models uses the last 5,000 training images of CIFAR-10 only; its test half and Kodak are
never read here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

VALIDATION_IMAGES = 5000
PHOTO_CROPS = 12000
CROP = 32


@dataclass(frozen=True, slots=True)
class TrainingData:
    """uint8 pictures (N, 3, 32, 32); `sources` names what they came from, for the manifest."""

    train: NDArray[np.uint8]
    validation: NDArray[np.uint8]
    sources: dict[str, str]


def load_training_data(cifar_folder: Path, photo_folder: Path | None, seed: int) -> TrainingData:
    """Reads data_batch_1..5.bin (the official binary layout) and, if given, a folder of PNGs."""
    batches, digest = [], hashlib.sha256()
    for k in range(1, 6):
        raw = (cifar_folder / f"data_batch_{k}.bin").read_bytes()
        digest.update(raw)
        records = np.frombuffer(raw, np.uint8).reshape(-1, 3073)
        batches.append(records[:, 1:].reshape(-1, 3, 32, 32))
    pictures = np.concatenate(batches)
    train, validation = pictures[:-VALIDATION_IMAGES], pictures[-VALIDATION_IMAGES:]
    sources = {"CIFAR-10 training half, data_batch_1..5.bin, sha256": digest.hexdigest()}
    if photo_folder is not None:
        paths = sorted(photo_folder.glob("*.png"))
        if not paths:
            raise SystemExit(f"{photo_folder}: expected PNG photographs, found none")
        crops = photo_crops(paths, PHOTO_CROPS, seed)
        sources["photograph crops, sha256"] = hashlib.sha256(crops.tobytes()).hexdigest()
        train = np.concatenate([train, crops])
    return TrainingData(train, validation, sources)


def photo_crops(
    paths: list[Path], count: int, seed: int, side: int = CROP, factors: Sequence[int] = (1, 2, 4)
) -> NDArray[np.uint8]:
    """`count` random crops, at full size and at 1/factor of it: uint8 (count, 3, side, side).

    A picture too small for a scale is left out at that scale; one below `side` altogether.
    """
    random = np.random.default_rng(seed)
    crops = []
    for index, path in enumerate(paths):
        with PillowImage.open(path) as picture:
            whole = picture.convert("RGB")
        scales = [
            np.asarray(whole.reduce(factor))
            for factor in factors
            if min(whole.size) >= side * factor
        ]
        if not scales:
            continue
        for _ in range(count * (index + 1) // len(paths) - count * index // len(paths)):
            scale = scales[int(random.integers(len(scales)))]
            top = int(random.integers(scale.shape[0] - side + 1))
            left = int(random.integers(scale.shape[1] - side + 1))
            crops.append(scale[top : top + side, left : left + side].transpose(2, 0, 1))
    return np.stack(crops)
