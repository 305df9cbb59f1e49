"""The linear predictions that the embedded profile's networks get as features: ridge regression.

For each level: of details, what they are given the 3x3 means around; of blocks, where in its
interval a coefficient lies, given the middles of the intervals of all coefficients, and the means,
at the 3x3 places around. Means are known as they are when the level tells of the part.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codec.embedded.knowledge import (
    DETAIL_LINEAR_SHAPE,
    LINEAR_BITS,
    LINEAR_SHAPE,
    known_of_part,
    middles,
)
from codec.embedded.pyramid import Parts, analyse, joined
from codec.embedded.schedule import BLOCK, BLOCK_LEVELS, FIRST_BLOCK_LEVEL, LEVELS, MEANS, level_row
from codec.training.embedded_symbols import means_of

FITTED_PICTURES = 4000
FITTED_STAGES = 2
"""Details of so many stages, the finest, are fitted; coarser ones have few places."""
FILE_NAME = "linear.npz"
_AT_ONCE = 500
_RIDGE = 1e-3
"""Of the mean squared value, added to each of them."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Weights in 2^-LINEAR_BITS: blocks int16 LINEAR_SHAPE, details int16 DETAIL_LINEAR_SHAPE."""

    blocks: NDArray[np.int16]
    details: NDArray[np.int16]

    def block_row(self, level: int) -> NDArray[np.int16]:
        """(48, 48, 3, 3). As in EmbeddedProfile: above blocks' levels, those of the first."""
        row: NDArray[np.int16] = self.blocks[max(FIRST_BLOCK_LEVEL - level, 0)]
        return row

    def detail_row(self, level: int) -> NDArray[np.int16]:
        """(9, 3, 3, 3)."""
        row: NDArray[np.int16] = self.details[level_row(level)]
        return row

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.blocks.tobytes() + self.details.tobytes()).hexdigest()


def fit_linear(pictures: NDArray[np.uint8]) -> Linear:
    """From pictures (N, H, W, 3), of which the first FITTED_PICTURES are looked at."""
    chunks = [
        analyse(pictures[start : start + _AT_ONCE])
        for start in range(0, min(len(pictures), FITTED_PICTURES), _AT_ONCE)
    ]
    details = [_fit_details(chunks, level) for level in LEVELS]
    blocks = [_fit_blocks(chunks, level) for level in BLOCK_LEVELS]
    return Linear(_integers(blocks, LINEAR_SHAPE), _integers(details, DETAIL_LINEAR_SHAPE))


def _integers(levels: list[NDArray[np.float64]], shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Of solutions (inputs * 9, outputs), in the order of torch's convolutions."""
    weights = np.stack([each.T for each in levels]).reshape(shape) * 2**LINEAR_BITS
    rounded: NDArray[np.int16] = np.round(weights).clip(-(2**15), 2**15 - 1).astype(np.int16)
    return rounded


class _Ridge:
    """The normal equations of outputs (..., M) from 3x3 places of inputs (..., N)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.gram = np.zeros((9 * inputs, 9 * inputs))
        self.moment = np.zeros((9 * inputs, outputs))

    def add(self, inputs: NDArray[np.int32], outputs: NDArray[np.int32]) -> None:
        around = _neighbourhoods(inputs.astype(np.float64)).reshape(-1, len(self.gram))
        self.gram += around.T @ around
        self.moment += around.T @ outputs.reshape(len(around), -1)

    def solved(self) -> NDArray[np.float64]:
        # One on top, so that where nothing is known there are zeros.
        size = len(self.gram)
        ridge = _RIDGE * np.trace(self.gram) / size + 1
        found: NDArray[np.float64] = np.linalg.solve(self.gram + ridge * np.eye(size), self.moment)
        return found


def _fit_details(chunks: list[Parts], level: int) -> NDArray[np.float64]:
    fit = _Ridge(DETAIL_LINEAR_SHAPE[2], DETAIL_LINEAR_SHAPE[1])
    for parts in chunks:
        means = means_of(parts, level, told=True)[:-1]
        for each, details in list(zip(means, parts[1:-1], strict=True))[-FITTED_STAGES:]:
            fit.add(each, details)
    return fit.solved()


def _fit_blocks(chunks: list[Parts], level: int) -> NDArray[np.float64]:
    fit = _Ridge(LINEAR_SHAPE[2], LINEAR_SHAPE[1])
    for parts in chunks:
        truth, means = joined(parts), means_of(parts, level, told=True)[-1]
        middle = middles(known_of_part(parts[-1], BLOCK, level), BLOCK.planes(level))
        middle[..., MEANS] = means
        fit.add(middle, truth - middle)
    return fit.solved()


def _neighbourhoods(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, h, w, C) -> (B, h, w, C, 9): the 3x3 places around each, zeros beyond the edge."""
    height, width = values.shape[1:3]
    wide = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return np.stack(
        [wide[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=-1
    )


def linear_prediction(
    folder: Path, pictures: NDArray[np.uint8], earlier: Linear | None = None
) -> Linear:
    """The weights in `folder`, or put there: the `earlier` ones if given, otherwise fitted.

    Two processes that ask at the same time get the same: that of the first to finish.
    Raises SystemExit if a file is missing or is something else.
    """
    path = folder / FILE_NAME
    if not path.exists():
        found = fit_linear(pictures) if earlier is None else earlier
        partial = folder / f"{FILE_NAME}.{os.getpid()}.partial"
        with partial.open("wb") as file:
            np.savez(file, blocks=found.blocks, details=found.details)
        try:
            os.link(partial, path)
        except FileExistsError:
            pass
        finally:
            partial.unlink()
    there = load_linear(path)
    if earlier is not None and there.sha256 != earlier.sha256:
        raise SystemExit(
            f"{path}: not those of what is started from; choose another --out, or delete it"
        )
    return there


def load_linear(path: Path) -> Linear:
    """Raises SystemExit with one line if the file is missing or is something else."""
    try:
        with np.load(path) as file:
            found = Linear(file["blocks"], file["details"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise SystemExit(f"{path}: cannot be read ({error})") from None
    try:
        check_linear(found)
    except ValueError as error:
        raise SystemExit(f"{path}: {error}") from None
    return found


def check_linear(linear: Linear) -> None:
    """Raises ValueError if the weights are not those of `Linear`."""
    for weights, shape in ((linear.blocks, LINEAR_SHAPE), (linear.details, DETAIL_LINEAR_SHAPE)):
        if weights.dtype != np.int16 or weights.shape != shape:
            raise ValueError(f"expected int16 {shape}, found {weights.dtype} {weights.shape}")
