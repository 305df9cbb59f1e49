"""The pyramid of means: reversible for any size, near the real one, never beyond the schedule."""

from __future__ import annotations

from itertools import pairwise, product
from math import log2

import numpy as np
import pytest
from extreme_pictures import extreme_pictures
from hypothesis import given, settings
from hypothesis import strategies as st
from test_embedded_transform import lapped_dct

from codec.embedded.pass_coder import MOST_STEPS
from codec.embedded.pyramid import (
    COLOURS,
    DETAILS,
    Parts,
    analyse,
    block_means,
    empty_parts,
    finer_means,
    grids,
    joined,
    split,
    synthesise,
)
from codec.embedded.schedule import BLOCK, FIRST_BLOCK_LEVEL, MEANS, first_level, kind_of
from codec.embedded.transform import CHANNELS, GAIN, SIDE, _colours, _planes, coefficients
from codec.embedded.turns import FINE_BACK

SIZES = [*product(range(1, 10), range(1, 10)), (1, 33), (40, 24), (100, 3), (31, 65), (64, 64)]


# -------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), [(1, 1), (1, 1)]),
        ((4, 4), [(1, 1), (1, 1)]),
        ((5, 4), [(1, 1), (1, 1), (2, 1)]),
        ((32, 32), [(1, 1), (1, 1), (2, 2), (4, 4), (8, 8)]),
        ((3, 100), [(1, 1), (1, 1), (1, 2), (1, 4), (1, 7), (1, 13), (1, 25)]),
        ((40, 24), [(1, 1), (1, 1), (2, 1), (3, 2), (5, 3), (10, 6)]),
    ],
)
def test_grids_are_halved_down_to_one_mean(
    size: tuple[int, int], expected: list[tuple[int, int]]
) -> None:
    assert grids(*size) == expected


@pytest.mark.parametrize("size", SIZES)
def test_parts_have_the_shapes_that_grids_say(size: tuple[int, int]) -> None:
    parts = analyse(np.zeros((2, *size, 3), np.uint8))
    stages = len(parts) - 2
    assert stages == max(0, *(int(np.ceil(log2(-(-side // SIDE)))) for side in size))
    assert [part.shape[1:3] for part in parts] == grids(*size)
    assert [part.shape[3] for part in parts] == [COLOURS, *[DETAILS] * stages, CHANNELS]
    assert [kind_of(k, stages).channels for k in range(len(parts))] == [
        part.shape[3] for part in parts
    ]
    for part, empty in zip(parts, empty_parts(2, *size), strict=True):
        assert part.shape == empty.shape
        assert part.dtype == empty.dtype == np.int32
        assert not empty.any()


# ------------------------------------------------------------------------------- reversibility


@pytest.mark.parametrize("size", SIZES)
def test_every_size_and_content_comes_back(size: tuple[int, int]) -> None:
    pictures = extreme_pictures(*size)
    parts = analyse(pictures)
    assert not parts[-1][..., MEANS].any()
    assert np.array_equal(joined(parts), coefficients(pictures))
    assert np.array_equal(synthesise(parts, *size), pictures)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10**6), st.sampled_from([1, 50, 5000]))
def test_any_integers_come_back(height: int, width: int, seed: int, most: int) -> None:
    shape = (2, height, width, CHANNELS)
    values = np.random.default_rng(seed).integers(-most, most + 1, shape).astype(np.int32)
    kept = values.copy()
    parts = split(values)
    assert np.array_equal(values, kept)
    assert np.array_equal(joined(parts), values)
    assert np.array_equal(block_means(parts), values[..., MEANS])
    # Stage by stage the same: what the walk does.
    means = parts[0]
    for part, finer in pairwise(parts[1:]):
        means = finer_means(means, part, finer.shape[1:3])
        assert means.shape[1:3] == finer.shape[1:3]
    assert np.array_equal(means, values[..., MEANS])


def test_a_batch_is_its_pictures_one_by_one() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 13, 22, 3)).astype(np.uint8)
    together = analyse(pictures)
    for b, picture in enumerate(pictures):
        for part, alone in zip(together, analyse(picture[None]), strict=True):
            assert np.array_equal(part[b], alone[0])


# --------------------------------------------------------- the same in real numbers, as matrices


def halvings(count: int, stages: int) -> list[np.ndarray]:
    """Orthonormal sums of pairs, (n', n) each, an odd last one paired with itself."""
    found = []
    for _ in range(stages):
        matrix = np.zeros(((count + 1) // 2, count))
        for i in range(count + count % 2):
            matrix[i // 2, min(i, count - 1)] += np.sqrt(0.5)
        found.append(matrix)
        count = len(matrix)
    return found


def differences(count: int) -> np.ndarray:
    """Of pairs, (n', n); of an odd last one nothing."""
    matrix = np.zeros(((count + 1) // 2, count))
    for i in range(count + count % 2):
        matrix[i // 2, min(i, count - 1)] += np.sqrt(0.5) * (-1) ** i
    return matrix


def real_parts(means: np.ndarray) -> Parts:
    """(h, w, 3) -> root and details by matrices in double precision, without the blocks."""
    parts: list[np.ndarray] = []
    while max(means.shape[:2]) > 1:
        rows, columns = means.shape[:2]
        (sum_rows,), (sum_columns,) = halvings(rows, 1), halvings(columns, 1)
        turns = [
            (differences(rows), sum_columns),
            (sum_rows, differences(columns)),
            (differences(rows), differences(columns)),
        ]
        details = [np.einsum("yi,ijk,xj->yxk", a, means, b) for a, b in turns]
        parts.insert(0, np.concatenate(details, axis=-1))
        means = np.einsum("yi,ijk,xj->yxk", sum_rows, means, sum_columns)
    return [means, *parts]


@pytest.mark.parametrize("size", [(4, 4), (9, 30), (32, 32), (40, 24), (100, 3), (128, 128)])
def test_it_is_the_real_pyramid_within_a_few_units(size: tuple[int, int]) -> None:
    for picture in extreme_pictures(*size):
        found = analyse(picture[None])
        real = real_parts(coefficients(picture[None])[0][..., MEANS].astype(float))
        stages = len(real) - 1
        for k, (part, expected) in enumerate(zip(found[:-1], real, strict=True)):
            # A stage doubles what the means had and rounds once, by half a unit at most.
            most = 0.5 * (2 ** (stages + 1 - max(k, 1)) - 1)
            assert np.abs(part[0] - expected).max() <= most + 1e-9


@pytest.mark.parametrize("part", range(4))
def test_a_plane_of_a_detail_weighs_as_much_as_a_blocks(part: int) -> None:
    """Where no row is repeated the transform is orthonormal: an error keeps its power."""
    for channel in range(COLOURS if part == 0 else DETAILS):
        parts = [each << 4 for each in empty_parts(1, 32, 32)]
        middle = parts[part].shape[1] // 2
        parts[part][0, middle, middle, channel] = 64 << 4
        shown = _colours(*_planes(joined(parts), FINE_BACK), middle=0, quarter=0) / 16
        means = block_means(parts).astype(float) / 16
        assert np.sum(means**2) == pytest.approx(64**2, rel=0.03)
        gain = GAIN[MEANS[channel % 3]]
        assert np.sum(shown**2) == pytest.approx((64 * gain) ** 2, rel=0.1)


# ------------------------------------------------------------------------------ largest values


def steepest(blocks: int, stages: int) -> tuple[list[float], list[float]]:
    """L1 norms of the means' and differences' bases at each stage, along one side, in pixels."""
    means = lapped_dct(SIDE * blocks)[::SIDE]
    sums, turns = [np.abs(means).sum(1).max()], [0.0]
    for _ in range(stages):
        count = len(means)
        turns.append(float(np.abs(differences(count) @ means).sum(1).max()))
        means = halvings(count, 1)[0] @ means
        sums.append(float(np.abs(means).sum(1).max()))
    return sums, turns


def test_no_picture_needs_more_than_two_steps_of_root_and_details() -> None:
    """By the bases' norms, for every size up to 64 blocks and those of the largest slices.

    Luma lies within 128 of the middle, chroma within 255, and its planes count for twice as much.
    """
    sides = [*range(1, 65), 127, 128, 129, 255, 256]
    for stages in range(9):
        fitting = [n for n in sides if n <= 2**stages]
        norms = [steepest(n, stages) for n in fitting]
        sums, turns = (np.array([each[k] for each in norms]).max(0) for k in (0, 1))
        assert max(fitting) > 2**stages // 2
        # Units by rounding: of the transform and of each stage, doubled by every stage after.
        step, slack = 2 ** first_level(stages), 5 + stages
        assert (128 * sums[-1] ** 2 + slack * 2**stages) / step < 3
        for stage in range(1, stages + 1):
            largest = max(turns[stage] * sums[stage], turns[stage] ** 2)
            assert (128 * largest + slack * 2**stage) / step < 3


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (8, 8), (3, 5), (32, 32), (40, 24), (100, 3)])
def test_first_steps_of_extreme_pictures(size: tuple[int, int]) -> None:
    """How many first steps the coefficients hold: what the unary code after them counts."""
    parts = analyse(extreme_pictures(*size))
    stages = len(parts) - 2
    top = first_level(stages)
    for k, part in enumerate(parts[:-1]):
        steps = np.abs(part) >> kind_of(k, stages).planes(top)
        assert steps.max() <= 2
    # Black has two of the root: it lies at the very end of what a mean may be.
    assert (np.abs(analyse(np.zeros((1, *size, 3), np.uint8))[0][0, 0, 0, 0]) >> top) == 2
    for channels, first in zip(BLOCK.groups, BLOCK.first or (), strict=True):
        steps = np.abs(parts[-1][..., channels]) >> BLOCK.planes(first)[channels]
        assert steps.max() < MOST_STEPS


def test_no_block_needs_more_steps_than_can_be_told() -> None:
    """By the bases' norms; the largest do occur."""
    norms = np.abs(lapped_dct(32)).sum(1).reshape(8, SIDE).max(0)
    most = np.zeros(CHANNELS)
    for colour, limit in enumerate((128, 255, 255)):
        most[16 * colour : 16 * colour + 16] = limit * np.outer(norms, norms).ravel()
    assert most.max() < 1300
    steps = []
    for channels, first in zip(BLOCK.groups, BLOCK.first or (), strict=True):
        # Beside the real ones a few units by rounding.
        steps.append(((most[channels] + 5) / 2.0 ** BLOCK.planes(first)[channels]).max())
    assert max(steps) < 21
    # Coefficients in a step of their own (codec.embedded.steps) are up to 2^(4/8) times as large.
    assert 2**0.5 * max(steps) < 29 < MOST_STEPS
    assert max(BLOCK.first or ()) == FIRST_BLOCK_LEVEL
