"""Bitplanes and the correction function, against the paper's equations written out."""

from __future__ import annotations

import numpy as np
import pytest

from codec.bitplane_correction import correct_value, predicted_bits
from codec.bitplanes import PLANES, known_value, merge_plane, split_plane


def test_planes_put_together_are_the_picture() -> None:
    picture = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    known = np.zeros_like(picture)
    for plane in PLANES:
        known = merge_plane(known, split_plane(picture, plane), plane)
        assert np.array_equal(known, known_value(picture, plane))
    assert np.array_equal(known, picture)
    assert not known_value(picture, 9).any()


@pytest.mark.parametrize("plane", PLANES)
def test_equations_1_to_3(plane: int) -> None:
    """Every predicted value against every V_corr that planes 8 .. plane + 1 can give."""
    for v_corr in range(0, 256, 2**plane):
        predicted = np.arange(256, dtype=np.int32)
        known = np.full(256, v_corr, np.uint8)
        one_sided = correct_value(predicted, known, plane, "one_sided")
        interval = correct_value(predicted, known, plane, "interval")
        for v_pred in range(256):
            v_final = v_corr if v_pred < v_corr else v_pred
            assert one_sided[v_pred] == v_final
            assert predicted_bits(one_sided, plane)[v_pred] == v_final // 2 ** (plane - 1) % 2
            assert interval[v_pred] == min(max(v_pred, v_corr), v_corr + 2**plane - 1)


def test_the_interval_rule_never_contradicts_the_planes_above() -> None:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (3, 20, 20)).astype(np.uint8)
    for plane in PLANES:
        known = known_value(picture, plane + 1)
        final = correct_value(random.integers(0, 256, known.shape), known, plane, "interval")
        assert np.array_equal(known_value(final.astype(np.uint8), plane + 1), known)
