"""The bins of a pass: both directions agree, cut streams stop where they must, odd values come."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.embedded.bin_engine import (
    PROBABILITY_ONE,
    decoder_input,
    finish_encoder,
    start_decoder,
    start_encoder,
    worst_case_bytes,
)
from codec.embedded.knowledge import known_before
from codec.embedded.networks import SYMBOLS, TRUNK_WIDTH
from codec.embedded.pass_coder import (
    MOST_BINS,
    TOO_LARGE,
    decode_pass,
    encode_pass,
    probability_of_logit,
)
from codec.embedded.schedule import FIRST_LEVEL_OF_GROUP, GROUPS, LEVELS, PASSES, Pass, planes_of
from codec.embedded.transform import CHANNELS
from codec.fixed_point import BIN_LOGIT


def test_no_probability_is_near_a_tie() -> None:
    """So an exp() that is off by a few units in the last place gives the same table."""
    z = np.arange(BIN_LOGIT.low, BIN_LOGIT.high + 1) / BIN_LOGIT.unit
    fraction = (PROBABILITY_ONE / (1.0 + np.exp(-z)) + 0.5) % 1
    assert np.minimum(fraction, 1 - fraction).min() > 1e-6
    table = probability_of_logit()
    with localcontext() as context:
        context.prec = 40
        for at in range(0, table.size, 37):
            logit = Decimal(at + BIN_LOGIT.low) / BIN_LOGIT.unit
            exact = PROBABILITY_ONE / (1 + (-logit).exp())
            rounded = int((exact + Decimal("0.5")).to_integral_value(rounding="ROUND_FLOOR"))
            assert table[at] == min(max(rounded, 1), PROBABILITY_ONE - 1)


def test_probabilities_rise_over_nearly_the_whole_range() -> None:
    table = probability_of_logit()
    assert table.size == 1 << 14
    assert (np.diff(table) >= 0).all()
    assert (table[0], table[-1]) == (1, PROBABILITY_ONE - 1)
    assert table[-BIN_LOGIT.low] == PROBABILITY_ONE // 2


class Side:
    """What one end of the line holds while it codes a picture of some coefficients."""

    def __init__(self, height: int, width: int, seed: int) -> None:
        self.known = np.zeros((height, width, CHANNELS), np.int32)
        self.inputs = np.zeros((height, width, TRUNK_WIDTH + SYMBOLS), np.float32)
        self.random = np.random.default_rng(seed)
        self.table = probability_of_logit()

    def arguments(self, step: Pass) -> tuple:
        """Arguments from `known` on, and logits that both ends draw alike."""
        height, width = self.known.shape[:2]
        n = len(GROUPS[step.group])
        logits = self.random.integers(-3000, 3000, (height, width, 2 * n)).astype(np.int32)
        channels = np.array(step.channels, np.int64)
        outputs = np.searchsorted(GROUPS[step.group], channels)
        first = step.level == FIRST_LEVEL_OF_GROUP[step.group]
        planes = planes_of(step.level)[channels]
        return logits, channels, outputs, planes, first, step.parity


def encode(truth: np.ndarray, seed: int) -> tuple[bytes, list[tuple[np.ndarray, np.ndarray]]]:
    """The stream, and `known` and `inputs` after each pass."""
    side = Side(*truth.shape[:2], seed)
    state = start_encoder()
    buffer = np.zeros(worst_case_bytes(truth.size * (MOST_BINS + 12)), np.uint8)
    states = []
    for level in LEVELS:
        side.inputs[..., TRUNK_WIDTH:] = 0
        for step in PASSES[level]:
            logits, *rest = side.arguments(step)
            encode_pass(state, buffer, logits, side.table, truth, side.known, side.inputs, *rest)
            states.append((side.known.copy(), side.inputs.copy()))
        expected = known_before(truth, level - 1)
        if level < 8:
            seen = known_before(truth, level - 1) != 0
            assert np.array_equal(side.known[seen], expected[seen])
    return buffer[: finish_encoder(state, buffer)].tobytes(), states


def decode(data: bytes, height: int, width: int, seed: int) -> tuple[list, bool]:
    side, given = Side(height, width, seed), decoder_input(data)
    state, states = start_decoder(given), []
    for level in LEVELS:
        side.inputs[..., TRUNK_WIDTH:] = 0
        for step in PASSES[level]:
            logits, *rest = side.arguments(step)
            going = decode_pass(state, given, logits, side.table, side.known, side.inputs, *rest)
            states.append((side.known.copy(), side.inputs.copy()))
            if not going:
                return states, False
    return states, True


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 5), st.sampled_from([0.3, 8, 100, 900])
)
def test_coefficients_come_back(seed: int, height: int, width: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    values = np.rint(random.laplace(0, scale, (height, width, CHANNELS)))
    truth = values.clip(1 - TOO_LARGE, TOO_LARGE - 1).astype(np.int32)
    data, states = encode(truth, seed)
    decoded, whole = decode(data, height, width, seed)
    assert whole
    assert np.array_equal(decoded[-1][0], truth)
    # Both ends show the networks the same after every pass.
    for (known, inputs), (same_known, same_inputs) in zip(states, decoded, strict=True):
        assert np.array_equal(known, same_known)
        assert np.array_equal(inputs, same_inputs)


def test_a_cut_stream_is_right_as_far_as_it_goes() -> None:
    random = np.random.default_rng(0)
    truth = np.rint(random.laplace(0, 20, (3, 3, CHANNELS))).astype(np.int32)
    data, states = encode(truth, 1)
    reached = []
    for length in range(len(data)):
        decoded, whole = decode(data[:length], 3, 3, 1)
        assert not whole
        # Whole passes are those of the encoder; of the last, what is told is as the encoder's.
        for ours, theirs in zip(decoded[:-1], states, strict=False):
            assert np.array_equal(ours[0], theirs[0])
        known, inputs = decoded[-1]
        final, final_inputs = states[len(decoded) - 1]
        told = inputs[..., TRUNK_WIDTH + CHANNELS :] != 0
        assert np.array_equal(known[told], final[told])
        assert np.array_equal(
            inputs[..., TRUNK_WIDTH:-CHANNELS][told], final_inputs[..., TRUNK_WIDTH:-CHANNELS][told]
        )
        reached.append((len(decoded), int(told.sum())))
    assert reached == sorted(reached)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 100))
def test_foreign_bytes_tell_of_bounded_coefficients(data: bytes, seed: int) -> None:
    decoded, _ = decode(data, 2, 2, seed)
    assert np.abs(decoded[-1][0]).max() <= 2 * TOO_LARGE


@pytest.mark.parametrize("value", [-1300, -1, 0, 1, 31, 32, 1023, 1300, TOO_LARGE - 1])
def test_every_channel_can_hold_the_largest_values(value: int) -> None:
    truth = np.full((2, 1, CHANNELS), value, np.int32)
    data, _ = encode(truth, 3)
    decoded, whole = decode(data, 2, 1, 3)
    assert whole
    assert (decoded[-1][0] == value).all()
