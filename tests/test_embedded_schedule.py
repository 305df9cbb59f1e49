"""The schedule and what is known at each of its places, against telling a number bit by bit."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.embedded.knowledge import (
    INSIDE,
    LINEAR_BITS,
    block_features,
    detail_features,
    estimates,
    known_of_part,
    log_difference,
    middles,
)
from codec.embedded.networks import DETAIL_FEATURES, FEATURES, SYMBOLS
from codec.embedded.root_model import root_logits
from codec.embedded.schedule import (
    BLOCK,
    BLOCK_LEVELS,
    DETAIL,
    LAST_LEVEL,
    LAYER_ENDS,
    LAYER_NAMES,
    LEVELS,
    MEANS,
    ROOT,
    PartKind,
    ends_layer,
    first_level,
    kind_of,
    level_row,
    passes,
    passes_of,
    places_with,
    told_by,
)
from codec.embedded.transform import CHANNELS, ESTIMATE_BITS, LUMA_CHANNELS
from codec.fixed_point import BIN_LOGIT

STAGES = range(9)
"""Of slices of up to 1024 x 1024 pixels."""
KINDS = (ROOT, DETAIL, BLOCK)
FIRST_BLOCK_LEVELS = {0: 8, 1: 7, 2: 6, 3: 6, 4: 5}
"""Of each group of blocks."""


def first_of(kind: PartKind, channel: int, stages: int) -> int:
    """The first level that tells of a channel."""
    if kind is not BLOCK:
        return first_level(stages)
    return next(FIRST_BLOCK_LEVELS[g] for g, some in enumerate(BLOCK.groups) if channel in some)


# ----------------------------------------------------------------------------------- the order


def test_every_channel_is_in_one_group() -> None:
    for kind in KINDS:
        told = np.concatenate(kind.groups).tolist()
        means = MEANS if kind is BLOCK else ()
        assert sorted([*told, *means]) == list(range(kind.channels))
    assert MEANS == (0, 16, 32)
    assert BLOCK.groups[0].tolist() == [1, 4]
    assert [DETAIL.is_chroma[k] for k in DETAIL.groups[0]] == [False] * 3
    assert [DETAIL.is_chroma[k] for k in DETAIL.groups[1]] == [True] * 6
    assert ROOT.is_chroma.tolist() == [False, True, True]
    assert BLOCK.is_chroma.tolist() == [k >= LUMA_CHANNELS for k in range(CHANNELS)]


def test_a_stream_begins_at_the_level_of_its_stages() -> None:
    assert [first_level(stages) for stages in (0, 3, 8)] == [8, 11, 16]
    assert tuple(range(11, -2, -1)) == LEVELS
    assert tuple(range(8, -2, -1)) == BLOCK_LEVELS
    assert [level_row(level) for level in (16, 12, 11, 10, -1)] == [0, 0, 0, 1, 12]
    for stages in STAGES:
        steps = passes(stages)
        assert steps[0].kind is ROOT
        assert steps[0].level == first_level(stages)
        levels = [step.level for step in steps]
        assert sorted(set(levels), reverse=True) == list(range(levels[0], LAST_LEVEL - 1, -1))
        assert steps == tuple(each for level in sorted(set(levels), reverse=True)
                              for each in passes_of(level, stages))  # fmt: skip
        # Level by level, coarse to fine, group by group, even places before odd.
        order = [(-step.level, step.part, step.group, step.parity) for step in steps]
        assert order == sorted(set(order))


@pytest.mark.parametrize("stages", STAGES)
def test_passes_tell_every_plane_of_every_channel_once_in_order(stages: int) -> None:
    told: dict[tuple[int, int, int], list[int]] = {}
    for step in passes(stages):
        assert step.kind is kind_of(step.part, stages)
        channels, outputs, planes = told_by(step, grey=False)[:3]
        group = step.kind.groups[step.group]
        assert group[outputs].tolist() == channels.tolist() == list(step.channels)
        for channel, plane in zip(channels.tolist(), planes.tolist(), strict=True):
            so_far = told.setdefault((step.part, channel, step.parity), [])
            assert step.begins == (not so_far)
            so_far.append(plane)
    expected = {(0, channel, 0) for channel in range(3)}
    for part in range(1, stages + 2):
        kind = kind_of(part, stages)
        channels = np.concatenate(kind.groups).tolist()
        expected |= {(part, channel, parity) for channel in channels for parity in (0, 1)}
    assert set(told) == expected
    for (part, channel, _), planes in told.items():
        kind = kind_of(part, stages)
        first = first_of(kind, channel, stages) + int(kind.is_chroma[channel])
        assert planes == list(range(first, -1, -1))


def test_partners_hold_the_same_of_the_other_colours() -> None:
    for channel in range(48):
        others = [(channel + 16) % 48, (channel + 32) % 48]
        assert BLOCK.partners[channel].tolist() == others
    for b, k in np.ndindex(3, 3):
        others = [3 * b + (k + 1) % 3, 3 * b + (k + 2) % 3]
        assert DETAIL.partners[3 * b + k].tolist() == others
    assert ROOT.partners.tolist() == [[1, 2], [2, 0], [0, 1]]


def test_channels_and_groups_are_numbered_through_all_kinds() -> None:
    numbers: dict[tuple[str, int], int] = {}
    groups: dict[tuple[str, int], int] = {}
    for step in passes(3):
        told = told_by(step, grey=False)
        assert told.partners.tolist() == step.kind.partners[told.channels].tolist()
        for channel in told.channels.tolist():
            numbers[step.kind.name, channel] = told.first_channel + channel
        groups[step.kind.name, step.group] = told.group
    assert len(set(numbers.values())) == len(numbers) == 3 + 9 + 45
    assert sorted(groups.values()) == list(range(8))


def test_grey_pictures_are_told_of_luma_alone() -> None:
    for step in passes(3):
        channels, outputs, planes = told_by(step, grey=True)[:3]
        all_channels, all_outputs, all_planes = told_by(step, grey=False)[:3]
        luma = ~step.kind.is_chroma[all_channels]
        assert channels.tolist() == all_channels[luma].tolist()
        assert outputs.tolist() == all_outputs[luma].tolist()
        assert planes.tolist() == all_planes[luma].tolist()


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 7)])
def test_both_parities_are_all_places(size: tuple[int, int]) -> None:
    even, odd = (places_with(parity, *size) for parity in (0, 1))
    assert (even ^ odd).all()
    assert even[0, 0]
    assert all(even[y, x] == ((y + x) % 2 == 0) for y, x in np.ndindex(*size))


@pytest.mark.parametrize("stages", STAGES)
def test_layers_end_once_each_in_the_order_of_their_names(stages: int) -> None:
    steps = passes(stages)
    ends = [
        step
        for step, following in zip(steps, [*steps[1:], None], strict=True)
        if ends_layer(step, following)
    ]
    assert len(ends) == len(LAYER_NAMES) == 9
    for step, (_, level, group) in zip(ends, LAYER_ENDS, strict=True):
        assert (step.level, step.parity) == (level, 1)
        assert step.kind is BLOCK
        assert step.group == group or step is passes_of(level, stages)[-1]
    assert ends[-1] is steps[-1]
    assert Counter(LAYER_NAMES).most_common(1)[0][1] == 1


# -------------------------------------------------------------------------------- what is known


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(KINDS), st.integers(-1, 15))
def test_what_is_known_is_the_bits_above_the_level(seed: int, kind: PartKind, level: int) -> None:
    random = np.random.default_rng(seed)
    part = random.integers(-1300, 1301, (1, 2, 1, kind.channels)).astype(np.int32)
    known = known_of_part(part, kind, level)
    for place, value in np.ndenumerate(part):
        channel = place[-1]
        if kind is BLOCK and channel in MEANS:
            continue
        bits = 0
        # Before its group takes part nothing is told of a channel of blocks.
        if kind is not BLOCK or level < first_of(BLOCK, channel, 0):
            last_told = level + 1 + int(kind.is_chroma[channel])
            bits = abs(int(value)) // 2**last_told * 2**last_told
        assert known[place] == (bits if value >= 0 else -bits)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(KINDS), st.sampled_from(LEVELS[1:]))
def test_the_middle_is_half_an_interval_above_what_is_known(
    seed: int, kind: PartKind, level: int
) -> None:
    random = np.random.default_rng(seed)
    part = random.integers(-1300, 1301, (1, 3, 2, kind.channels)).astype(np.int32)
    known = known_of_part(part, kind, level)
    planes = kind.planes(level)
    middle = middles(known, planes)
    step = np.broadcast_to(np.where(planes >= 0, 2.0**planes, 0), known.shape)
    told = known != 0
    assert np.array_equal(np.abs(middle)[told], (np.abs(known) + step)[told])
    assert (np.abs(part - middle)[told] <= step[told]).all()
    assert (middle[~told] == 0).all()


# ------------------------------------------------------------------------------------- features


def log_of(x: Fraction) -> int:
    """round(14 log2(1 + |x|)) with the sign, at most 127: compares powers of integers.

    It is n if 2^(2n - 1) <= (1 + |x|)^28 < 2^(2n + 1).
    """
    power = (1 + abs(x)) ** 28
    size = 0
    while size < 127 and power >= 2 ** (2 * size + 1):
        size += 1
    return size if x > 0 else -size


@settings(max_examples=200, deadline=None)
@given(st.integers(-(2**26), 2**26), st.integers(-2, 19))
def test_differences_have_the_logarithms_of_exact_arithmetic(numerator: int, bits: int) -> None:
    x = Fraction(numerator) / Fraction(2) ** bits
    assert log_difference(np.array([float(x)]))[0] == log_of(x)


def edge(values: np.ndarray, y: int, x: int) -> np.ndarray:
    """The place or, beyond the edge, the nearest."""
    height, width = values.shape[:2]
    found: np.ndarray = values[min(max(y, 0), height - 1), min(max(x, 0), width - 1)]
    return found


def predicted(values: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """The linear prediction by loops over integers, in 2^-LINEAR_BITS; beyond the edges is 0."""
    height, width = values.shape[:2]
    out = np.zeros((height, width, len(linear)), int)
    for y, x, dy, dx in np.ndindex(height, width, 3, 3):
        if 0 <= y + dy - 1 < height and 0 <= x + dx - 1 < width:
            out[y, x] += linear[:, :, dy, dx].astype(int) @ values[y + dy - 1, x + dx - 1]
    return out


def rounded_place(offset: int, plane: int) -> int:
    """Of an offset in 2^-LINEAR_BITS, in sixteenths of a plane's step."""
    place = Fraction(offset * 16, 2**LINEAR_BITS) / Fraction(2) ** plane
    return max(-127, min(127, int((place + Fraction(1, 2)) // 1)))


def logs_of_steps(known: np.ndarray, planes: np.ndarray) -> np.ndarray:
    steps = np.abs(known) // 2.0 ** (planes + 1)
    found: np.ndarray = np.sign(known) * np.rint(14 * np.log2(1 + steps))
    return found


@pytest.mark.parametrize("level", [11, 8, 5, 2, 0, -1])
def test_features_of_blocks_are_what_integers_give(level: int) -> None:
    random = np.random.default_rng(level + 1)
    part = np.rint(random.laplace(0, 60, (2, 3, 4, CHANNELS))).astype(np.int32)
    part[..., MEANS] = 0
    known = known_of_part(part, BLOCK, level)
    means = np.rint(random.laplace(0, 200, (2, 3, 4, 3))).astype(np.int32)
    kept = known.copy()
    linear = random.integers(-600, 600, (CHANNELS, CHANNELS, 3, 3)).astype(np.int16)
    found = block_features(known, means, level, linear)
    assert np.array_equal(known, kept)
    assert found.shape == (2, 3, 4, FEATURES)
    assert found.dtype == np.float32
    assert np.array_equal(found, np.rint(found))
    assert np.abs(found).max() <= 255
    planes = BLOCK.planes(level)
    others = [k for k in range(CHANNELS) if k not in MEANS]
    assert np.array_equal(found[..., others], logs_of_steps(known, planes)[..., others])
    centre = middles(known, planes)
    centre[..., MEANS] = means
    for b, y, x in np.ndindex(2, 3, 4):
        near = sum(
            edge(means[b], y + dy, x + dx).astype(int)
            for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))
        )
        for k, channel in enumerate(MEANS):
            quarters = Fraction(int(4 * means[b, y, x, k] - near[k]), 4)
            step = Fraction(2) ** (level + (k > 0))
            assert found[b, y, x, channel] == log_of(quarters / step)
    for b in range(2):
        for place, offset in np.ndenumerate(predicted(centre[b], linear)):
            expected = rounded_place(int(offset), int(planes[place[-1]]))
            assert found[(b, *place[:2], CHANNELS + place[-1])] == expected
    assert (found[..., -1] == INSIDE).all()


@pytest.mark.parametrize("level", [13, 8, 3, 0, -1])
@pytest.mark.parametrize("size", [(3, 4), (1, 1), (1, 5)])
def test_features_of_details_are_what_integers_give(level: int, size: tuple[int, int]) -> None:
    random = np.random.default_rng(level + 1)
    part = np.rint(random.laplace(0, 200, (2, *size, 9))).astype(np.int32)
    known = known_of_part(part, DETAIL, level)
    means = np.rint(random.laplace(0, 900, (2, *size, 3))).astype(np.int32)
    linear = random.integers(-600, 600, (9, 3, 3, 3)).astype(np.int16)
    found = detail_features(known, means, level, linear)
    assert found.shape == (2, *size, DETAIL_FEATURES)
    assert found.dtype == np.float32
    assert np.array_equal(found, np.rint(found))
    assert np.abs(found).max() <= 255
    planes = DETAIL.planes(level)
    assert np.array_equal(found[..., :9], logs_of_steps(known, planes))
    middle = middles(known, planes).astype(int)
    for b in range(2):
        offsets = predicted(means[b], linear) - middle[b] * 2**LINEAR_BITS
        for place, offset in np.ndenumerate(offsets):
            expected = rounded_place(int(offset), int(planes[place[-1]]))
            assert found[(b, *place[:2], 9 + place[-1])] == expected
        for y, x, k in np.ndindex(*size, 3):
            step = Fraction(2) ** (level + (k > 0))
            across = int(edge(means[b], y, x + 1)[k]) - int(edge(means[b], y, x - 1)[k])
            down = int(edge(means[b], y + 1, x)[k]) - int(edge(means[b], y - 1, x)[k])
            assert found[b, y, x, 18 + k] == log_of(across / step)
            assert found[b, y, x, 21 + k] == log_of(down / step)
    assert (found[..., -1] == INSIDE).all()


@pytest.mark.parametrize("level", [16, 11, 8, 0, -1])
def test_powers_of_two_are_exact_here(level: int) -> None:
    """The features' scales: should a pow() not be, all of the above would be chance."""
    for kind in KINDS:
        planes = kind.planes(level)
        assert np.array_equal(2.0**planes, np.ldexp(1.0, planes))
        shifted = 4 - LINEAR_BITS - planes
        assert np.array_equal(2.0**shifted, np.ldexp(1.0, shifted))


# ----------------------------------------------------------------------------------------- root


def test_the_roots_constants_are_the_stated_shares() -> None:
    """At each level from the first on the chance that a magnitude's first one is told there."""
    luma, chroma = [0.05, 0.28, 0.43, 0.47], [0.002, 0.03, 0.14, 0.23, 0.31, 0.38, 0.44]
    for level in range(8, -2, -1):
        found = root_logits(2, level)
        assert found.shape == (2, 1, 1, 12)
        assert found.dtype == np.int32
        assert not found[..., 3:].any()
        for k, shares in enumerate((luma, chroma, chroma)):
            at = 8 - level
            share = 1 / (1 + np.exp(-found[..., k] / BIN_LOGIT.unit))
            expected = shares[at] if at < len(shares) else 0.5
            assert share == pytest.approx(expected, abs=0.006)


# ------------------------------------------------------------------------------------ estimates


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("means_told", [False, True])
def test_estimates_stay_within_what_is_known(level: int, means_told: bool) -> None:
    """Whatever the estimator says; at its extremes they reach the interval's ends."""
    random = np.random.default_rng(0)
    part = np.rint(random.laplace(0, 40, (1, 6, 6, CHANNELS))).astype(np.int32)
    planes = BLOCK.planes(level)
    told = random.random(part.shape) < 0.5
    began = np.array([k not in MEANS and level <= first_of(BLOCK, k, 0) for k in range(CHANNELS)])
    told &= began & (planes >= 0)
    step = np.where(planes >= 0, 2 ** np.maximum(planes, 0), 0)
    whole = np.maximum(step, 1)
    after = np.sign(part) * (np.abs(part) // whole * whole)
    known = np.where(told, after, known_of_part(part, BLOCK, level)).astype(np.int32)
    known[..., MEANS] = 0
    means = np.rint(random.laplace(0, 300, (1, 6, 6, 3))).astype(np.int32)
    symbols = np.zeros((*known.shape[:3], SYMBOLS), np.float32)
    symbols[..., CHANNELS:] = told * 64
    width = np.where(told, step, 2 * step)
    others = [k for k in range(CHANNELS) if k not in MEANS]
    for logit in (-8192, -700, 0, 300, 8191):
        logits = np.full(known.shape, logit, np.int32)
        found = estimates(known, means, symbols, level, logits, means_told=means_told)
        assert found.dtype == np.int32
        real = found / 2**ESTIMATE_BITS
        # A step of what is told next, of twice that if it is not told yet.
        away = real[..., MEANS] - means
        most = 2.0 ** (level + np.array([0, 1, 1]) + (not means_told))
        assert (np.abs(away) <= most).all()
        if abs(logit) > 8000:
            assert np.array_equal(np.abs(away), np.broadcast_to(most, away.shape))
        if logit == 0:
            assert not away.any()
        size = np.abs(known)
        least = np.where(known > 0, size, np.where(known < 0, -(size + width), -width))
        limit = np.where(known > 0, size + width, np.where(known < 0, -size, width))
        assert (real >= least - 1e-9)[..., others].all()
        assert (real <= limit + 1e-9)[..., others].all()
        exact = (width == 0) | (told & (step == 1))
        exact[..., MEANS] = False
        assert np.array_equal(real[exact], known[exact])
        if logit == 0 and (known != 0).any():
            nonzero = (known != 0) & ~exact
            middle = size + np.where(told, (step - 1) / 2, step)
            assert np.array_equal(np.abs(real)[nonzero], middle[nonzero])
