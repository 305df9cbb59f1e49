"""The network that says what to expect of a latent value: integers that agree with real numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from codec.base import CodecError
from codec.cabac import context_states_from_p1_15bit, encode_bins
from codec.latent_coder import list_latent_bins
from codec.latent_context import HIDDEN, MEAN_UNIT, checked, expectation
from codec.training.contexts import count_latent, start_probabilities
from codec.training.latent_prior import (
    LOG2_LOWEST_SCALE,
    SCALES_PER_OCTAVE,
    LatentPrior,
    latent_model,
    train_latent_prior,
)
from codec.training.loop import LoopSettings

CHANNELS = 3


def prior_of(seed: int) -> LatentPrior:
    torch.manual_seed(seed)
    prior = LatentPrior(CHANNELS)
    with torch.no_grad():
        for layer in (prior.first, prior.second, prior.last):
            layer.weight.mul_(4)
    return prior


def latents(count: int, seed: int = 0) -> np.ndarray:
    """Smooth in space, and each channel leans on the one before it."""
    random = np.random.default_rng(seed)
    rough = random.normal(0, 3, (count, CHANNELS, 9, 7))
    smooth = rough + np.roll(rough, 1, 2) + np.roll(rough, 1, 3)
    smooth[:, 1:] += 0.7 * smooth[:, :-1]
    return np.round(smooth).clip(-63, 63).astype(np.int32)


def expectations(latent: np.ndarray, prior: LatentPrior) -> np.ndarray:
    model, scratch = latent_model(prior), np.empty((2, HIDDEN), np.int32)
    return np.array(
        [expectation(latent, *place, model, scratch) for place in np.ndindex(*latent.shape)]
    ).reshape(*latent.shape, 2)


def test_the_integers_agree_with_the_real_network() -> None:
    prior, (latent,) = prior_of(1), latents(1)
    with torch.no_grad():
        mean, log2_scale = prior.expectation(torch.from_numpy(latent)[None].float())
    found = expectations(latent, prior)
    assert np.ptp(found[..., 0]) > MEAN_UNIT
    assert np.abs(found[..., 0] / MEAN_UNIT - mean[0].numpy()).max() < 1 / MEAN_UNIT
    index = SCALES_PER_OCTAVE * (log2_scale[0].numpy() - LOG2_LOWEST_SCALE)
    assert np.abs(found[..., 1] - index).max() < 0.6


def test_nothing_that_comes_later_is_looked_at() -> None:
    prior, (latent,) = prior_of(2), latents(1)
    before = expectations(latent, prior).reshape(-1, 2)
    for place in range(0, latent.size, 11):
        changed = latent.copy()
        changed.reshape(-1)[place:] = 5
        after = expectations(changed, prior).reshape(-1, 2)
        assert np.array_equal(after[: place + 1], before[: place + 1])
    assert not np.array_equal(after, before)


def test_sums_that_could_overflow_are_refused() -> None:
    model = latent_model(prior_of(3))
    with pytest.raises(CodecError, match=r"sums below 2\^31"):
        checked(model._replace(second_bias=np.full_like(model.second_bias, 2**31 - 1)))
    with pytest.raises(CodecError, match="last: expected int32"):
        checked(model._replace(last=model.last[:, :, :1]))


def test_training_finds_what_neighbours_tell(tmp_path) -> None:
    """The stream is near the network's cross-entropy, and far below the values' own entropy."""
    train, test = latents(800), latents(100, seed=1)
    prior = train_latent_prior(train, LoopSettings(tmp_path, 0.08, "test", peak_rate=5e-3))
    with torch.no_grad():
        bits = prior.bits(torch.from_numpy(test).float()).sum().item() / len(test)
    model = latent_model(prior)
    states = context_states_from_p1_15bit(start_probabilities(count_latent(train, model)), 12)
    coded = [8 * len(encode_bins(*list_latent_bins(each, model), states)) for each in test]
    assert np.mean(coded) == pytest.approx(bits, rel=0.04)
    _, counts = np.unique(test, return_counts=True)
    share = counts / counts.sum()
    assert np.mean(coded) < -0.98 * (share * np.log2(share)).sum() * test[0].size
