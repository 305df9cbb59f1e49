"""The schedule and what is known at each of its places, against telling a number bit by bit."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.embedded.knowledge import (
    ESTIMATE_BITS,
    INSIDE,
    LINEAR_BITS,
    estimates,
    features,
    known_before,
    middles,
)
from codec.embedded.networks import FEATURES, SYMBOLS
from codec.embedded.schedule import (
    FIRST_LEVEL_OF_GROUP,
    GROUP_OF_CHANNEL,
    GROUPS,
    LAYER_ENDS,
    LAYER_NAMES,
    LEVELS,
    PASSES,
    begun,
    ends_layer,
    planes_of,
)
from codec.embedded.transform import CHANNELS

COEFFICIENTS = st.lists(st.integers(-1300, 1300), min_size=CHANNELS, max_size=CHANNELS)


def test_every_channel_is_in_one_group() -> None:
    assert sorted(np.concatenate(GROUPS).tolist()) == list(range(CHANNELS))
    for number, group in enumerate(GROUPS):
        assert (GROUP_OF_CHANNEL[group] == number).all()
    assert GROUPS[0].tolist() == [0]
    assert GROUPS[1].tolist() == [1, 4, 16, 32]


def test_passes_tell_every_plane_of_every_channel_once_in_order() -> None:
    told: dict[tuple[int, int], list[int]] = {}
    for level in LEVELS:
        for step in PASSES[level]:
            assert step.level == level
            for channel in step.channels:
                assert GROUP_OF_CHANNEL[channel] == step.group
                told.setdefault((channel, step.parity), []).append(int(planes_of(level)[channel]))
    assert set(told) == {(channel, parity) for channel in range(CHANNELS) for parity in (0, 1)}
    for (channel, _), planes in told.items():
        first = FIRST_LEVEL_OF_GROUP[GROUP_OF_CHANNEL[channel]] + (channel >= 16)
        assert planes == list(range(first, -1, -1))


def test_layers_end_once_each_in_the_order_of_their_names() -> None:
    ends = [step for level in LEVELS for step in PASSES[level] if ends_layer(step)]
    assert len(ends) == len(LAYER_NAMES) == 9
    for step, (_, level, group) in zip(ends, LAYER_ENDS, strict=True):
        assert (step.level, step.parity) == (level, 1)
        assert step.group == group or step is PASSES[level][-1]
    assert ends[-1] is PASSES[LEVELS[-1]][-1]
    assert Counter(LAYER_NAMES).most_common(1)[0][1] == 1


@settings(max_examples=60, deadline=None)
@given(COEFFICIENTS, st.sampled_from(LEVELS))
def test_what_is_known_is_the_bits_above_the_level(values: list[int], level: int) -> None:
    known = known_before(np.array(values, np.int32).reshape(1, 1, 1, -1), level)[0, 0, 0]
    for channel, value in enumerate(values):
        chroma = channel >= 16
        last_told = level + 1 + chroma
        bits = 0
        # Before its group takes part nothing is told of a channel.
        if level < FIRST_LEVEL_OF_GROUP[GROUP_OF_CHANNEL[channel]]:
            bits = abs(value) // 2**last_told * 2**last_told
        assert known[channel] == (bits if value >= 0 else -bits)
        assert begun(level)[channel] == (level < FIRST_LEVEL_OF_GROUP[GROUP_OF_CHANNEL[channel]])


@settings(max_examples=60, deadline=None)
@given(COEFFICIENTS, st.sampled_from(LEVELS))
def test_the_middle_is_half_an_interval_above_what_is_known(values: list[int], level: int) -> None:
    coefficient = np.array(values, np.int32).reshape(1, 1, 1, -1)
    known = known_before(coefficient, level)
    away = coefficient - middles(known, level)
    step = np.where(planes_of(level) >= 0, 2.0 ** planes_of(level), 0)
    told = known != 0
    assert (np.abs(away[told]) <= np.broadcast_to(step, known.shape)[told]).all()
    assert (middles(known, level)[~told] == 0).all()


def predicted_place(known: np.ndarray, level: int, linear: np.ndarray) -> np.ndarray:
    """The linear prediction by loops over integers, in sixteenths of the next plane's step."""
    height, width = known.shape[:2]
    centre = middles(known[None], level)[0].astype(int)
    planes = planes_of(level)
    out = np.zeros(known.shape, int)
    for y in range(height):
        for x in range(width):
            for k in range(CHANNELS):
                total = 0
                for dy in (-1, 0, 1):
                    for dx in (-1, 0, 1):
                        if 0 <= y + dy < height and 0 <= x + dx < width:
                            weights = linear[k, :, dy + 1, dx + 1].astype(int)
                            total += int(weights @ centre[y + dy, x + dx])
                shift = LINEAR_BITS + int(planes[k]) - 4
                out[y, x, k] = (total + (1 << shift >> 1)) >> shift
    return out.clip(-127, 127)


@pytest.mark.parametrize("level", [8, 5, 2, 0, -1])
def test_features_are_what_integers_give(level: int) -> None:
    random = np.random.default_rng(level + 1)
    coefficient = np.rint(random.laplace(0, 60, (2, 3, 4, CHANNELS))).astype(np.int32)
    known = known_before(coefficient, level)
    linear = random.integers(-600, 600, (CHANNELS, CHANNELS, 3, 3)).astype(np.int16)
    found = features(known, level, linear)
    assert found.shape == (2, 3, 4, FEATURES)
    assert found.dtype == np.float32
    assert np.array_equal(found, np.rint(found))
    assert np.abs(found).max() <= 255
    steps = np.abs(known) // 2.0 ** (planes_of(level) + 1)
    expected = np.sign(known) * np.rint(14 * np.log2(1 + steps))
    assert np.array_equal(found[..., :CHANNELS], expected)
    for each, place in zip(known, found[..., CHANNELS : 2 * CHANNELS], strict=True):
        assert np.array_equal(place, predicted_place(each, level, linear))
    assert (found[..., -1] == INSIDE).all()


@pytest.mark.parametrize("level", LEVELS)
def test_estimates_stay_within_what_is_known(level: int) -> None:
    """Whatever the estimator says; at its extremes they reach the interval's ends."""
    random = np.random.default_rng(0)
    coefficient = np.rint(random.laplace(0, 40, (1, 6, 6, CHANNELS))).astype(np.int32)
    told = random.random(coefficient.shape) < 0.5
    told &= level <= np.array(FIRST_LEVEL_OF_GROUP)[GROUP_OF_CHANNEL]
    told &= planes_of(level) >= 0
    before = known_before(coefficient, level)
    step = np.where(planes_of(level) >= 0, 2 ** np.maximum(planes_of(level), 0), 0)
    whole = np.maximum(step, 1)
    after = np.sign(coefficient) * (np.abs(coefficient) // whole * whole)
    known = np.where(told, after, before).astype(np.int32)
    symbols = np.zeros((*known.shape[:3], SYMBOLS), np.float32)
    symbols[..., CHANNELS:] = told * 64
    width = np.where(told, step, 2 * step)
    for logit in (-8192, -700, 0, 300, 8191):
        logits = np.full(known.shape, logit, np.int32)
        found = estimates(known, symbols, level, logits) / 2**ESTIMATE_BITS
        assert found.dtype == np.float64
        size = np.abs(known)
        least = np.where(known > 0, size, np.where(known < 0, -(size + width), -width))
        most = np.where(known > 0, size + width, np.where(known < 0, -size, width))
        assert (found >= least - 1e-9).all()
        assert (found <= most + 1e-9).all()
        exact = (width == 0) | (told & (step == 1))
        assert np.array_equal(found[exact], known[exact])
        if logit == 0 and (known != 0).any():
            nonzero = (known != 0) & ~exact
            middle = size + np.where(told, (step - 1) / 2, step)
            assert np.array_equal(np.abs(found)[nonzero], middle[nonzero])
