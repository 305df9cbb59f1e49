"""The bins of a pass: both directions agree, cut streams stop where they must, odd values come."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.embedded.adaptation import new_mixer
from codec.embedded.bin_engine import (
    PROBABILITY_ONE,
    decoder_input,
    finish_encoder,
    start_decoder,
    start_encoder,
    worst_case_bytes,
)
from codec.embedded.knowledge import known_of_part
from codec.embedded.networks import HEAD_OUTPUTS
from codec.embedded.pass_coder import (
    MOST_BINS,
    MOST_STEPS,
    decode_pass,
    encode_pass,
    probability_of_logit,
)
from codec.embedded.pyramid import Parts, empty_parts
from codec.embedded.schedule import (
    BLOCK,
    LAST_LEVEL,
    MEANS,
    Pass,
    first_level,
    kind_of,
    passes,
    told_by,
)
from codec.fixed_point import BIN_LOGIT


def known_of_parts(parts: Parts, level: int) -> Parts:
    """What the levels before `level`, which is not the first, tell of a picture's parts."""
    stages = len(parts) - 2
    return [known_of_part(part, kind_of(k, stages), level) for k, part in enumerate(parts)]


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

    def __init__(self, height: int, width: int, seed: int, adaptive: bool) -> None:
        self.mixer = new_mixer(adaptive=adaptive)
        self.known = [part[0] for part in empty_parts(1, height, width)]
        self.symbols = np.zeros((0, 0, 0), np.float32)
        self.random = np.random.default_rng(seed)
        self.table = probability_of_logit()
        self._at = (99, 99)

    def enter(self, step: Pass) -> tuple:
        """Logits, which both ends draw alike, and the arguments from `known` on."""
        known = self.known[step.part]
        height, width, count = known.shape
        if self._at != (step.level, step.part):
            self._at = (step.level, step.part)
            self.symbols = np.zeros((height, width, 2 * count), np.float32)
        n = len(step.kind.groups[step.group])
        shape = (height, width, HEAD_OUTPUTS * n)
        logits = self.random.integers(BIN_LOGIT.low, BIN_LOGIT.high, shape).astype(np.int32)
        return logits, (known, self.symbols, told_by(step, grey=False), self.mixer)

    def state(self) -> tuple[list[np.ndarray], np.ndarray]:
        """`known` and `symbols` as they are now."""
        return [part.copy() for part in self.known], self.symbols.copy()


State = tuple[list[np.ndarray], np.ndarray]


def stages_of(parts: list[np.ndarray]) -> int:
    return len(parts) - 2


def encode(
    truth: list[np.ndarray], height: int, width: int, seed: int, adaptive: bool = False
) -> tuple[bytes, list]:
    """The stream of parts (h, w, C), and the state after each pass."""
    side = Side(height, width, seed, adaptive)
    coder, states = start_encoder(), []
    bins = sum(part.size for part in truth) * (MOST_BINS + 20)
    buffer = np.zeros(worst_case_bytes(bins), np.uint8)
    steps = passes(stages_of(truth))
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        logits, rest = side.enter(step)
        encode_pass(coder, buffer, logits, side.table, truth[step.part], *rest)
        states.append(side.state())
        if following is not None and following.level < step.level:
            expected = known_of_parts([part[None] for part in truth], following.level)
            for ours, theirs in zip(side.known, expected, strict=True):
                assert np.array_equal(ours, theirs[0])
    return buffer[: finish_encoder(coder, buffer)].tobytes(), states


def decode(
    data: bytes, height: int, width: int, seed: int, adaptive: bool = False
) -> tuple[list[State], bool]:
    side, given = Side(height, width, seed, adaptive), decoder_input(data)
    coder, states = start_decoder(given), []
    for step in passes(stages_of(side.known)):
        logits, rest = side.enter(step)
        going = decode_pass(coder, given, logits, side.table, *rest)
        states.append(side.state())
        if not going:
            return states, False
    return states, True


def some_parts(height: int, width: int, seed: int, scale: float) -> list[np.ndarray]:
    """Of a picture, with values of about this scale that a first level can tell."""
    random = np.random.default_rng(seed)
    found: Parts = empty_parts(1, height, width)
    stages = len(found) - 2
    for k, part in enumerate(found):
        kind = kind_of(k, stages)
        values = np.rint(random.laplace(0, scale, part.shape)).astype(np.int32)
        starts = [kind.starts(group, first_level(stages)) for group in range(len(kind.groups))]
        for channels, start in zip(kind.groups, starts, strict=True):
            limit = (MOST_STEPS << kind.planes(start)[channels]) - 1
            part[..., channels] = np.clip(values[..., channels], -limit, limit)
    return [part[0] for part in found]


SIZES = [(1, 1), (4, 4), (5, 3), (9, 14), (16, 16)]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(SIZES),
    st.sampled_from([0.3, 8, 100, 900, 10000]),
    st.booleans(),
)
def test_coefficients_come_back(
    seed: int, size: tuple[int, int], scale: float, adaptive: bool
) -> None:
    truth = some_parts(*size, seed, scale)
    data, states = encode(truth, *size, seed, adaptive)
    decoded, whole = decode(data, *size, seed, adaptive)
    assert whole
    for ours, theirs in zip(decoded[-1][0], truth, strict=True):
        assert np.array_equal(ours, theirs)
    # Both ends show the networks the same after every pass.
    for (known, symbols), (same_known, same_symbols) in zip(states, decoded, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(known, same_known, strict=True))
        assert np.array_equal(symbols, same_symbols)


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_cut_stream_is_right_as_far_as_it_goes(adaptive: bool) -> None:
    truth = some_parts(10, 9, 0, 20)
    steps = passes(stages_of(truth))
    data, states = encode(truth, 10, 9, 1, adaptive)
    reached = []
    for length in range(len(data)):
        decoded, whole = decode(data[:length], 10, 9, 1, adaptive)
        assert not whole
        # Whole passes are those of the encoder; of the last, what is told is as the encoder's.
        for ours, theirs in zip(decoded[:-1], states, strict=False):
            assert all(np.array_equal(a, b) for a, b in zip(ours[0], theirs[0], strict=True))
        known, symbols = decoded[-1]
        final, final_symbols = states[len(decoded) - 1]
        part = steps[len(decoded) - 1].part
        half = symbols.shape[-1] // 2
        told = symbols[..., half:] != 0
        assert np.array_equal(known[part][told], final[part][told])
        assert np.array_equal(symbols[..., :half][told], final_symbols[..., :half][told])
        reached.append((len(decoded), int(told.sum())))
    # A longer prefix tells at least as much.
    assert reached == sorted(reached)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.sampled_from(SIZES), st.integers(0, 100), st.booleans())
def test_foreign_bytes_tell_of_bounded_coefficients(
    data: bytes, size: tuple[int, int], seed: int, adaptive: bool
) -> None:
    decoded, _ = decode(data, *size, seed, adaptive)
    known = decoded[-1][0]
    top = first_level(stages_of(known))
    for part in known:
        assert np.abs(part).max() < (MOST_STEPS + 1) << (top + 1)


@pytest.mark.parametrize("value", [-1300, -1, 0, 1, 31, 32, 1023, 1300, 32 * 64 - 1])
def test_every_channel_can_hold_the_largest_values(value: int) -> None:
    truth = [np.full(part[0].shape, value, np.int32) for part in empty_parts(1, 5, 4)]
    truth[-1][..., MEANS] = 0
    data, _ = encode(truth, 5, 4, 3)
    decoded, whole = decode(data, 5, 4, 3)
    assert whole
    for ours, theirs in zip(decoded[-1][0], truth, strict=True):
        assert np.array_equal(ours, theirs)


def test_symbols_say_by_how_much_the_middle_moved() -> None:
    """In steps of the plane told, times 64; of what is told nothing it says nothing."""
    truth = some_parts(9, 8, 5, 60)
    stages = stages_of(truth)
    _, states = encode(truth, 9, 8, 5)
    steps = passes(stages)
    for step, following, (known, symbols) in zip(steps, [*steps[1:], None], states, strict=True):
        if following is not None and following.part == step.part:
            continue
        # All that a level tells of a part.
        kind, level = step.kind, step.level
        before = np.zeros_like(truth[step.part])
        if level < first_level(stages):
            before = known_of_parts([part[None] for part in truth], level)[step.part][0]
        after = known[step.part]
        half = kind.channels
        told = symbols[..., half:] != 0
        channels = {k for each in steps if (each.level, each.part) == (level, step.part)
                    for k in each.channels}  # fmt: skip
        assert (told == np.isin(np.arange(half), sorted(channels))).all()
        plane = 2.0 ** np.maximum(kind.planes(level), 0)
        # Middles of intervals in the reals; zero's is zero.
        old = np.where(before != 0, before + np.sign(before) * plane, 0)
        new = np.where(after != 0, after + np.sign(after) * plane / 2, 0)
        moved = 64 * (new - old) / plane
        # What begins with more than one step is said to be new, no more.
        plain = told & ((before != 0) | (np.abs(after) <= plane))
        assert np.array_equal(symbols[..., :half][plain], moved[plain])
        assert np.abs(symbols).max() <= 96
    assert steps[-1].level == LAST_LEVEL


def test_a_bin_costs_what_the_head_s_outputs_for_it_say() -> None:
    """By the rule written out place by place: docs/bitstream.md, Bins."""
    size = (8, 8)
    random = np.random.default_rng(4)
    truth = np.rint(random.laplace(0, 12, (*size, 48))).astype(np.int32)
    truth[..., MEANS] = 0
    step = next(s for s in passes(2) if s.kind is BLOCK and s.level == 2 and s.parity == 1)
    kind, n = step.kind, len(step.kind.groups[step.group])
    logits = random.integers(-6000, 6000, (*size, HEAD_OUTPUTS * n)).astype(np.int32)
    known = known_of_part(truth[None], kind, step.level)[0]
    bits, seen = 0.0, set()
    for y, x in zip(*np.nonzero(np.add.outer(np.arange(8), np.arange(8)) % 2 == 1), strict=True):
        for k in step.channels:
            at, plane = list(kind.groups[step.group]).index(k), kind.planes(step.level)[k]
            fresh, both, positive, plus = logits[y, x].reshape(HEAD_OUTPUTS, n)[:, at].tolist()
            before, bit = known[y, x, k], abs(truth[y, x, k]) >> plane
            if before == 0:
                said = [(fresh, bit > 0)] + [(plus, truth[y, x, k] > 0)] * int(bit > 0)
            else:
                said = [(both + (positive if before > 0 else -positive), bit % 2 == 1)]
            seen.add((int(np.sign(before)), len(said)))
            for logit, one in said:
                z = min(max(logit, BIN_LOGIT.low), BIN_LOGIT.high)
                p1 = probability_of_logit()[z - BIN_LOGIT.low] / PROBABILITY_ONE
                bits -= np.log2(p1 if one else 1 - p1)
    assert seen == {(-1, 1), (0, 1), (0, 2), (1, 1)}
    coder, buffer = start_encoder(), np.empty(worst_case_bytes(64 * 48 * MOST_BINS), np.uint8)
    symbols = np.zeros((*size, 2 * kind.channels), np.float32)
    told, mixer = told_by(step, grey=False), new_mixer(adaptive=False)
    encode_pass(coder, buffer, logits, probability_of_logit(), truth, known, symbols, told, mixer)
    assert 8 * finish_encoder(coder, buffer) == pytest.approx(bits, abs=24)
