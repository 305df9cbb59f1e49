"""Stage 3: what CABAC starts from, counted on training pictures.

For each plane: the least-squares weights by which neighbours' residuals correct a prediction, the
thresholds that sort pixels by activity and slope, and in each context how often the flag was 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.bitplane_correction import correct_value, predicted_bits
from codec.bitplanes import known_value, split_plane
from codec.fixed_point import GREY_UNIT
from codec.jit import kernel
from codec.latent_coder import CONTEXTS as LATENT_CONTEXTS
from codec.latent_coder import list_latent_bins
from codec.latent_context import LatentModel
from codec.networks import whole_levels
from codec.plane_coder import (
    CHANNEL_ORDER,
    FEATURES,
    WEIGHT_BITS,
    PlaneModel,
    interval_residual,
    list_plane_bins,
    neighbour_residuals,
    residual_activity,
    slope,
)
from codec.plane_coder import CONTEXTS as PLANE_CONTEXTS

FITTED_PICTURES = 2000
QUANTILES = (0.4, 0.7, 0.9)


@kernel
def _accumulate(
    values: NDArray[np.int32],
    picture: NDArray[np.uint8],
    plane: int,
    gram: NDArray[np.float64],
    moment: NDArray[np.float64],
    activity: NDArray[np.int64],
    steepness: NDArray[np.int64],
) -> None:
    """Normal equations of the residual given its neighbours', one picture, by place of channel."""
    half = 1 << (plane - 1)
    residual = np.zeros(values.shape, np.int32)
    neighbours = np.zeros(FEATURES, np.int64)
    n = 0
    for place in range(3):
        c = CHANNEL_ORDER[place]
        for y in range(values.shape[1]):
            for x in range(values.shape[2]):
                truth = np.int64(picture[c, y, x])
                neighbour_residuals(residual, place, y, x, neighbours)
                error = GREY_UNIT * truth - values[c, y, x]
                for j in range(FEATURES):
                    moment[place, j] += neighbours[j] * error
                    for k in range(FEATURES):
                        gram[place, j, k] += neighbours[j] * neighbours[k]
                activity[n] = residual_activity(neighbours, place)
                steepness[n] = slope(values, c, y, x)
                n += 1
                low = (truth >> (plane - 1)) << (plane - 1)
                residual[c, y, x] = interval_residual(values[c, y, x], low, half)


def fit_plane_model(
    values: NDArray[np.int32], pictures: NDArray[np.uint8], plane: int
) -> PlaneModel:
    """From V_pred (N, 3, H, W) in 1/16 grey level and the true pictures."""
    count = min(len(pictures), FITTED_PICTURES)
    gram, moment = np.zeros((3, FEATURES, FEATURES)), np.zeros((3, FEATURES))
    activity = np.empty((count, pictures[0].size), np.int64)
    steepness = np.empty_like(activity)
    for b in range(count):
        _accumulate(values[b], pictures[b], plane, gram, moment, activity[b], steepness[b])
    ridge = 1e-3 * np.trace(gram, axis1=1, axis2=2).reshape(3, 1, 1) / FEATURES + 1.0
    weights = np.linalg.solve(gram + ridge * np.eye(FEATURES), moment[..., None])[..., 0]
    return PlaneModel(
        np.round(weights * 2**WEIGHT_BITS).astype(np.int32), _steps(activity), _steps(steepness)
    )


def _steps(samples: NDArray[np.int64]) -> NDArray[np.int32]:
    """Ascending thresholds >= 1 near the quantiles of the samples."""
    steps = np.quantile(samples, QUANTILES).astype(np.int32)
    return np.maximum.accumulate(np.maximum(steps, np.arange(1, len(steps) + 1, dtype=np.int32)))


def count_plane(
    values: NDArray[np.int32], pictures: NDArray[np.uint8], plane: int, model: PlaneModel
) -> NDArray[np.int64]:
    """How often each context's flag was 0 and 1: int64 (contexts, 2)."""
    counts = np.zeros((PLANE_CONTEXTS, 2), np.int64)
    known, bits = known_value(pictures, plane + 1), split_plane(pictures, plane)
    predicted = predicted_bits(correct_value(whole_levels(values), known, plane, "interval"), plane)
    for b in range(len(pictures)):
        flags, contexts = list_plane_bins(
            values[b], known[b], predicted[b], bits[b], plane, model,
        )  # fmt: skip
        counts += _tally(flags, contexts, PLANE_CONTEXTS)
    return counts


def count_latent(latents: NDArray[np.int32], model: LatentModel) -> NDArray[np.int64]:
    """How often each context's bin was 0 and 1 over latents (N, C, h, w): int64 (contexts, 2)."""
    counts = np.zeros((LATENT_CONTEXTS, 2), np.int64)
    for latent in latents:
        bins, contexts = list_latent_bins(latent, model)
        coded = contexts >= 0
        counts += _tally(bins[coded], contexts[coded], LATENT_CONTEXTS)
    return counts


def _tally(bins: NDArray[np.uint8], contexts: NDArray[np.int32], size: int) -> NDArray[np.int64]:
    return np.bincount(2 * contexts + bins, minlength=2 * size).reshape(size, 2)


def start_probabilities(counts: NDArray[np.int64]) -> NDArray[np.int16]:
    """P(bin = 1) 2^15 of each context; contexts never met start at what all of them average to."""
    overall = (counts[:, 1].sum() + 0.5) / (counts.sum() + 1.0)
    p1 = (counts[:, 1] + 2 * overall) / (counts.sum(1) + 2)
    rounded: NDArray[np.int16] = np.clip(np.round(p1 * 2**15), 32, 2**15 - 32).astype(np.int16)
    return rounded
