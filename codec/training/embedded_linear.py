"""The linear prediction that the embedded profile's networks get as features: ridge regression.

For each level: where in its interval a coefficient lies, given the middles of the intervals of all
coefficients at the 3x3 places around.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codec.embedded.knowledge import LINEAR_BITS, LINEAR_SHAPE, known_before, middles
from codec.embedded.schedule import LEVELS
from codec.embedded.transform import CHANNELS, coefficients

FITTED_PICTURES = 4000
FILE_NAME = "linear.npy"
_AT_ONCE = 500
_RIDGE = 1e-3
"""Of the mean squared middle, added to each of them."""


def fit_linear(pictures: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Weights for knowledge.features from pictures (N, H, W, 3): int16 LINEAR_SHAPE."""
    truth = coefficients(pictures[:FITTED_PICTURES])
    weights = np.stack([_fit_level(truth, level) for level in LEVELS])
    integers = np.round(weights * 2**LINEAR_BITS)
    fitted: NDArray[np.int16] = integers.clip(-(2**15), 2**15 - 1).astype(np.int16)
    return fitted


def _fit_level(truth: NDArray[np.int32], level: int) -> NDArray[np.float64]:
    """(48, 48, 3, 3) in the order of torch's convolutions: out, in, row, column."""
    size = CHANNELS * 9
    gram, moment = np.zeros((size, size)), np.zeros((size, CHANNELS))
    for start in range(0, len(truth), _AT_ONCE):
        some = truth[start : start + _AT_ONCE]
        middle = middles(known_before(some, level), level).astype(np.float64)
        around = _neighbourhoods(middle).reshape(-1, size)
        gram += around.T @ around
        moment += around.T @ (some - middle).reshape(-1, CHANNELS)
    # One on top, so that a level before which nothing is known gets zeros.
    ridge = _RIDGE * np.trace(gram) / size + 1
    solved = np.linalg.solve(gram + ridge * np.eye(size), moment)
    weights: NDArray[np.float64] = solved.T.reshape(LINEAR_SHAPE[1:])
    return weights


def _neighbourhoods(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B, h, w, 48) -> (B, h, w, 48, 9): the 3x3 places around each, zeros beyond the edge."""
    height, width = values.shape[1:3]
    wide = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return np.stack(
        [wide[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=-1
    )


def linear_prediction(
    folder: Path, pictures: NDArray[np.uint8], start_from: Path | None
) -> NDArray[np.int16]:
    """The weights in `folder`, or put there: from `start_from` if given, otherwise fitted.

    Two processes that ask at the same time get the same: that of the first to finish.
    Raises SystemExit if a file is missing or is something else.
    """
    path = folder / FILE_NAME
    if not path.exists():
        found = fit_linear(pictures) if start_from is None else _load(start_from / FILE_NAME)
        partial = folder / f"{FILE_NAME}.{os.getpid()}.partial"
        with partial.open("wb") as file:
            np.save(file, found)
        try:
            os.link(partial, path)
        except FileExistsError:
            pass
        finally:
            partial.unlink()
    return _load(path)


def _load(path: Path) -> NDArray[np.int16]:
    try:
        found = np.load(path)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: cannot be read ({error})") from None
    if found.dtype != np.int16 or found.shape != LINEAR_SHAPE:
        raise SystemExit(
            f"{path}: expected int16 {LINEAR_SHAPE}, found {found.dtype} {found.shape}"
        )
    weights: NDArray[np.int16] = found
    return weights
