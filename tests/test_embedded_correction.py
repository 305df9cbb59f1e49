"""Where the correction of thumbnails begins: how it is learnt, and what that which ships brings."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from codec.embedded.adaptation import CHANNEL_ROWS, INPUTS, ROWS
from codec.embedded.codec import EmbeddedCodec
from codec.embedded.profile import EmbeddedProfile
from codec.profile import load_profile
from codec.training.embedded_correction import learnt_correction
from testbed.images import load_images


@pytest.fixture(scope="module")
def profile() -> EmbeddedProfile:
    found = load_profile("embedded")
    assert isinstance(found, EmbeddedProfile)
    return found


@pytest.fixture(scope="module")
def samples() -> NDArray[np.uint8]:
    return np.stack([image.pixels for image in load_images("samples32", Path())][:24])


def bits(profile: EmbeddedProfile, pictures: NDArray[np.uint8]) -> int:
    encoded = EmbeddedCodec(profile).encode_batch(list(pictures))
    return sum(each.payload_bits for each in encoded if each is not None)


def test_the_one_that_ships_makes_streams_shorter(
    profile: EmbeddedProfile, samples: NDArray[np.uint8]
) -> None:
    assert profile.adaptive_for(32, 32, reversible=True)
    assert not profile.adaptive_for(32, 32, reversible=False)
    plain = replace(profile, corrects=False)
    assert bits(profile, samples) < 0.998 * bits(plain, samples)


def test_it_is_learnt_from_how_a_predictor_errs(
    profile: EmbeddedProfile, samples: NDArray[np.uint8]
) -> None:
    """The predictor of photographs is wrong about thumbnails, which others of them tell."""
    predictor = deepcopy(profile.predictors["photographs"])
    predictor.correction = None
    wrong = replace(profile, predictors={"predictor": predictor})
    start = learnt_correction(wrong, predictor, samples[:16])
    assert start.dtype == np.int32 and start.shape == (ROWS, INPUTS)
    # Nothing is told of blocks' means: nothing is learnt of them.
    means = CHANNEL_ROWS - 3 * 48
    assert (start[means : means + 3] == [[1 << 20, *[0] * 7]] * 3).all()
    assert (start[means + 3 : means + 6, 0] != 1 << 20).all()
    before = bits(wrong, samples[16:])
    predictor.correction = start.astype(np.int64)
    assert bits(wrong, samples[16:]) < 0.995 * before
