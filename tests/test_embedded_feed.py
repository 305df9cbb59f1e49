"""Batches made ahead: what they hold, and that processes make the same as one does."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from itertools import chain, islice

import numpy as np
import pytest
import torch

from codec.embedded.schedule import LEVELS
from codec.training.embedded_data import Batch, Batches, EmbeddedData
from codec.training.embedded_estimator import any_ends, errors_of, new_estimator
from codec.training.embedded_feed import Feed
from codec.training.embedded_linear import Linear, fit_linear
from codec.training.embedded_predictor import (
    EMPHASIS,
    Size,
    bits_of,
    new_predictor,
    predicted_bits,
    prepared_batch,
)
from codec.training.embedded_prepared import PartBatch, Prepared, moved_to
from codec.training.loop import shuffled_batches

PICTURES = 40
SHARES, WORTH = EMPHASIS["all"].shares, EMPHASIS["all"].worth


@pytest.fixture(scope="module")
def data() -> EmbeddedData:
    """Each picture of one grey level, so that batches tell which they hold."""
    values = (np.arange(PICTURES) * 6 + 4).astype(np.uint8)
    pictures = np.broadcast_to(values[:, None, None, None], (PICTURES, 32, 32, 3)).copy()
    return EmbeddedData("thumbnails", pictures, pictures[:2], None, None, {})


@pytest.fixture(scope="module")
def linear() -> Linear:
    noise = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3)).astype(np.uint8)
    return fit_linear(noise)


def drawn(batch: Batch, random: np.random.Generator) -> list[int]:
    """The root tells the grey level: a block's mean of luma is four times it, less 512."""
    del random
    return sorted(((batch.coefficients[:, 0, 0, 0] // 4 + 128 - 4) // 6).tolist())


def test_an_epoch_shows_each_picture_once(data: EmbeddedData) -> None:
    feed = Feed(Batches(data, SHARES, 8, 3), drawn)
    epochs = [list(chain.from_iterable(islice(feed(seed), 5))) for seed in (1, 1, 2)]
    assert all(sorted(epoch) == list(range(PICTURES)) for epoch in epochs)
    assert epochs[0] == epochs[1] != epochs[2]
    expected = next(shuffled_batches(PICTURES, 8, 1))
    assert epochs[0][:8] == sorted(expected.tolist())


def test_processes_draw_alike_and_each_in_its_order(data: EmbeddedData) -> None:
    feed = Feed(Batches(data, SHARES, 8, 3), drawn, workers=2)
    found = list(islice(feed(1), 10))
    # They take turns: five batches of each are an epoch of each.
    for first in (0, 1):
        assert sorted(chain.from_iterable(found[first::2])) == list(range(PICTURES))
    assert found[0] != found[1]
    assert list(islice(feed(1), 10)) == found


def test_prepared_batches_come_through_processes_as_they_are(
    data: EmbeddedData, linear: Linear
) -> None:
    make = partial(prepared_batch, linear=linear, ablation="none", worth_of=WORTH)
    model = new_predictor(1, Size(16, 1, 8)).eval()
    (found,) = islice(Feed(Batches(data, SHARES, 26, 3), make, workers=1)(5), 1)
    batches = Batches(data, SHARES, 26, 3)
    batches.random = np.random.default_rng([5, 0])
    (expected,) = islice(Feed(batches, make).made(5, 0), 1)
    assert isinstance(found, Prepared)
    for part, same in zip(found.parts, expected.parts, strict=True):
        for field in fields(PartBatch):
            mine, other = getattr(part, field.name), getattr(same, field.name)
            if isinstance(mine, torch.Tensor):
                assert torch.equal(mine, other)
        assert part.kind is same.kind
    with torch.inference_mode():
        assert torch.equal(bits_of(model, found), bits_of(model, expected))


def test_weights_and_worths_are_those_of_the_pictures(data: EmbeddedData, linear: Linear) -> None:
    batch = Batches(data, SHARES, 26, 3).some()
    prepared = prepared_batch(batch, np.random.default_rng(0), linear, "none", WORTH)
    assert prepared.weights.numpy() == pytest.approx(batch.weights)
    assert prepared.places == 64
    # The first levels count most and the last least.
    assert prepared.worth[0] == 3.0 and prepared.worth[-1] == pytest.approx(0.7)
    model = new_predictor(1, Size(16, 1, 8)).eval()
    with torch.inference_mode():
        found = bits_of(model, prepared)
        assert torch.equal(found, predicted_bits(model, batch.coefficients, batch.levels, linear))


def test_everything_goes_to_another_device(data: EmbeddedData, linear: Linear) -> None:
    """The device `meta` holds no numbers, so nothing that stays behind could be overlooked."""
    batch, random = Batches(data, SHARES, 26, 3).some(), np.random.default_rng(0)
    there = prepared_batch(batch, random, linear, "none", WORTH).to("meta")
    ends = any_ends(batch, random, linear)
    tensors = [there.known_bits, there.weights, there.worth]
    tensors += [getattr(moved_to(ends, "meta"), field.name) for field in fields(ends)]
    for part in there.parts:
        tensors += [each for field in fields(part)
                    if isinstance(each := getattr(part, field.name), torch.Tensor)]  # fmt: skip
        tensors += part.groups
    assert len(tensors) > 30
    assert {each.device.type for each in tensors} == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
def test_a_gpu_finds_the_same_losses(data: EmbeddedData, linear: Linear) -> None:
    batch, random = Batches(data, SHARES, 26, 3).some(), np.random.default_rng(0)
    prepared = prepared_batch(batch, random, linear, "none", WORTH)
    ends = any_ends(batch, random, linear)
    predictor, estimator = new_predictor(1, Size(16, 1, 8)), new_estimator(1, 16, 1)
    with torch.inference_mode():
        here = bits_of(predictor, prepared), errors_of(estimator, ends)
        predictor.cuda()
        estimator.cuda()
        there = bits_of(predictor, prepared.to("cuda")), errors_of(estimator, ends.to("cuda"))
    for mine, other in zip(here, there, strict=True):
        assert torch.allclose(mine, other.cpu(), rtol=1e-2)


def test_levels_of_a_batch_are_spread(data: EmbeddedData) -> None:
    levels = Batches(data, SHARES, 42, 3).some().levels
    assert set(levels.tolist()) <= set(LEVELS)
    assert (np.diff(levels) <= 0).all()
