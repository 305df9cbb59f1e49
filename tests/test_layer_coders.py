"""The coders of the latent and of a bitplane: round trips, cut streams, foreign bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from codec import latent_coder, plane_coder
from codec.bitplanes import known_value, split_plane
from codec.cabac import context_states_from_p1_15bit, encode_bins
from codec.cabac_engine import decoder_input
from codec.latent_context import LatentModel
from codec.semantic_encoder import LATENT_CHANNELS
from codec.training.latent_prior import LatentPrior, latent_model

LATENT_STATES = context_states_from_p1_15bit(np.full(latent_coder.CONTEXTS, 12000), 10)
PLANE_STATES = context_states_from_p1_15bit(np.full(plane_coder.CONTEXTS, 4000), 10)
MODEL = plane_coder.PlaneModel(
    np.random.default_rng(0).integers(-60, 120, (3, plane_coder.FEATURES)).astype(np.int32),
    np.array([2, 30, 100], np.int32),
    np.array([5, 50, 200], np.int32),
)


def random_latent_model(seed: int, size: float = 1.0) -> LatentModel:
    """Weights whose expectations vary widely; inputs that are not known yet have none."""
    torch.manual_seed(seed)
    prior = LatentPrior(LATENT_CHANNELS)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.mul_(3 * size)
    return latent_model(prior)


LATENT_MODEL = random_latent_model(1)


def encode_latent(latent: np.ndarray, model: LatentModel = LATENT_MODEL) -> bytes:
    return encode_bins(*latent_coder.list_latent_bins(latent, model), LATENT_STATES)


def decode_latent(
    data: bytes, shape: tuple[int, ...], model: LatentModel = LATENT_MODEL
) -> tuple[np.ndarray, bool]:
    latent = np.zeros(shape, np.int32)
    _, whole = latent_coder.decode_latent(decoder_input(data), LATENT_STATES.copy(), latent, model)
    return latent, whole


def random_latent(seed: int, scale: float, height: int = 4, width: int = 5) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = np.round(random.laplace(0, scale, (LATENT_CHANNELS, height, width)))
    return values.clip(-63, 63).astype(np.int32)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 60), st.integers(1, 6), st.integers(1, 6))
def test_a_latent_comes_back(seed: int, scale: float, height: int, width: int) -> None:
    latent = random_latent(seed, scale, height, width)
    decoded, whole = decode_latent(encode_latent(latent), latent.shape)
    assert whole
    assert np.array_equal(decoded, latent)


def test_a_cut_latent_is_right_as_far_as_it_goes() -> None:
    latent = random_latent(1, 2.0)
    data = encode_latent(latent)
    reached = []
    for length in range(len(data)):
        decoded, whole = decode_latent(data[:length], latent.shape)
        assert not whole
        wrong = np.flatnonzero(decoded.reshape(-1) != latent.reshape(-1))
        first = wrong[0] if wrong.size else latent.size
        # From the first value that did not come on, nothing is shown.
        assert not decoded.reshape(-1)[first:].any()
        reached.append(first)
    assert reached == sorted(reached)
    assert reached[len(data) // 2] > 0.3 * latent.size


def random_plane(seed: int, plane: int, height: int = 7, width: int = 6) -> dict:
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (3, height, width)).astype(np.uint8)
    noise = random.normal(0, 40, picture.shape)
    values = np.clip(16 * (picture + noise), -8, 4088).astype(np.int32)
    bits = split_plane(picture, plane)
    predicted = bits ^ (random.random(bits.shape) < 0.2).astype(np.uint8)
    return {"values": values, "known": known_value(picture, plane + 1), "predicted": predicted,
            "bits": bits, "plane": plane}  # fmt: skip


def encode_plane(case: dict) -> bytes:
    return encode_bins(*plane_coder.list_plane_bins(*case.values(), MODEL), PLANE_STATES)


def decode_plane(data: bytes, case: dict) -> tuple[np.ndarray, int, bool]:
    bits = case["predicted"].copy()
    pixels, whole = plane_coder.decode_plane(
        decoder_input(data), PLANE_STATES.copy(), case["values"], case["known"], bits,
        case["plane"], MODEL,
    )  # fmt: skip
    return bits, pixels, whole


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 9), st.integers(1, 9))
def test_a_plane_comes_back(seed: int, plane: int, height: int, width: int) -> None:
    case = random_plane(seed, plane, height, width)
    bits, pixels, whole = decode_plane(encode_plane(case), case)
    assert whole
    assert pixels == case["bits"].size
    assert np.array_equal(bits, case["bits"])


def test_a_cut_plane_is_right_as_far_as_it_goes() -> None:
    case = random_plane(3, 5)
    data = encode_plane(case)
    order = plane_coder.CHANNEL_ORDER
    reached = []
    for length in range(len(data)):
        bits, pixels, whole = decode_plane(data[:length], case)
        assert not whole
        in_order = bits[order].reshape(-1)
        assert np.array_equal(in_order[:pixels], case["bits"][order].reshape(-1)[:pixels])
        assert np.array_equal(in_order[pixels:], case["predicted"][order].reshape(-1)[pixels:])
        reached.append(pixels)
    assert reached == sorted(reached)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_foreign_bytes_are_refused_or_decode_to_something(data: bytes) -> None:
    latent, _ = decode_latent(data, (LATENT_CHANNELS, 2, 2))
    assert np.abs(latent).max() <= 63
    case = random_plane(0, 4)
    bits, pixels, _ = decode_plane(data, case)
    assert bits.max() <= 1
    assert 0 <= pixels <= bits.size


@pytest.mark.parametrize("kind", ["latent", "plane"])
def test_a_changed_byte_is_noticed_at_the_end_of_the_layer(kind: str) -> None:
    """The check is worth several bits: of all one-byte changes it lets few through."""
    latent, case = random_latent(5, 1.5), random_plane(7, 3)
    data = encode_latent(latent) if kind == "latent" else encode_plane(case)
    passed = tried = 0
    random = np.random.default_rng(0)
    for position in range(len(data)):
        for change in random.integers(1, 256, 16):
            damaged = bytearray(data)
            damaged[position] ^= int(change)
            tried += 1
            if kind == "latent":
                passed += decode_latent(bytes(damaged), latent.shape)[1]
            else:
                passed += decode_plane(bytes(damaged), case)[2]
    assert tried > 200
    assert passed < 0.02 * tried
