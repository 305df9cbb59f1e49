"""The correction of probabilities against a float implementation and against what it is for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from codec.embedded.adaptation import (
    CHANNEL_ROWS,
    INPUTS,
    MOST_WEIGHT,
    REFINEMENT,
    ROWS,
    SIGN,
    SIGNIFICANCE,
    TEXTURES,
    corrected,
    learn,
    look_around,
    new_mixer,
)
from codec.embedded.bin_engine import PROBABILITY_ONE
from codec.embedded.pass_coder import probability_of_logit
from codec.embedded.schedule import BLOCK, passes, told_by
from codec.fixed_point import BIN_LOGIT

UNIT = BIN_LOGIT.unit


def p1_of(z: int) -> int:
    return int(probability_of_logit()[z - BIN_LOGIT.low])


def log2_of(value: int, plane: int) -> float:
    """Rounded to fourteenths, as the table is."""
    size = math.floor(14 * math.log2(1 + min(abs(value) >> plane, 4095)) + 0.5) / 14
    return size if value > 0 else -size


class FloatMixer:
    """The same from its description, in floating point."""

    def __init__(self) -> None:
        self.channel: dict[tuple[int, int], np.ndarray] = {}
        self.texture: dict[tuple[int, int, int], np.ndarray] = {}
        self.uses: dict[tuple, int] = {}

    def bin(self, known, place, channel, partners, plane, group, what, logit, sign, bit) -> float:
        """P(1), and learns."""
        y, x = place
        padded = np.pad(known, ((1, 1), (1, 1), (0, 0)))
        near = padded[[y, y + 2, y + 1, y + 1], [x + 1, x + 1, x, x + 2], channel]
        near = np.array([log2_of(int(v), plane) for v in near])
        others = np.array([log2_of(int(known[y, x, k]), plane) for k in partners])
        total = np.abs(near).sum()
        unit = 22 * 14 / UNIT
        if what == SIGNIFICANCE:
            inputs = [*(unit * abs(others)), 7 * 14 / UNIT * total, 0, 0, 0]
        else:
            inputs = [*(unit * sign * others), *(unit * sign * near)]
        inputs = np.array([logit / UNIT, 1, *inputs])
        texture = min(int(total + 1e-9), TEXTURES - 1)
        keys = (channel, what), (group, what, texture)
        one = self.channel.setdefault(keys[0], np.eye(1, INPUTS)[0])
        two = self.texture.setdefault(keys[1], np.zeros(2))
        z = np.clip(one @ inputs + two @ inputs[:2], -16, 16)
        p = 1 / (1 + math.exp(-z))
        for key, weights in zip(keys, (one, two), strict=True):
            n = self.uses.get(key, 0)
            self.uses[key] = n + 1
            weights += (0.002 + 2 / (100 + n)) * (bit - p) * inputs[: len(weights)]
        return p


def test_integers_follow_the_description_in_floating_point() -> None:
    random = np.random.default_rng(0)
    known = np.rint(random.laplace(0, 9, (5, 6, 48))).astype(np.int32)
    mixer, reference = new_mixer(adaptive=True), FloatMixer()
    worst = 0.0
    for _ in range(6000):
        y, x = (int(random.integers(n)) for n in known.shape[:2])
        channel, plane = int(random.choice([1, 17, 40])), int(random.integers(0, 3))
        partners = tuple(BLOCK.partners[channel].tolist())
        what = int(random.choice([SIGNIFICANCE, REFINEMENT, SIGN]))
        sign = int(random.choice([-1, 1])) if what == REFINEMENT else 1
        logit = int(random.integers(-3000, 3000))
        bit = int(random.random() < 1 / (1 + math.exp(-0.7 * logit / UNIT - 0.5)))
        look_around(mixer.scratch, known, (y, x), channel, partners, plane)
        z = corrected(mixer.weights, mixer.scratch, what, channel, 3, logit, sign)
        learn(mixer.weights, mixer.scratch, p1_of(z), bit)
        p = reference.bin(
            known, (y, x), channel, partners, plane, 3, what, logit, sign, bit
        )  # fmt: skip
        worst = max(worst, abs(p1_of(z) / PROBABILITY_ONE - p))
    # The logit is floored to 1/512, which moves P by at most .0005; weights drift apart by less.
    assert worst < 0.002


def test_a_fresh_mixer_says_what_the_network_says() -> None:
    mixer, known = new_mixer(adaptive=True), np.full((3, 3, 48), 5, np.int32)
    assert mixer.weights.shape == (ROWS, INPUTS + 1)
    look_around(mixer.scratch, known, (1, 1), 7, (23, 39), 0)
    for logit in (BIN_LOGIT.low, -77, 0, 513, BIN_LOGIT.high):
        for what in (SIGNIFICANCE, REFINEMENT, SIGN):
            assert corrected(mixer.weights, mixer.scratch, what, 7, 2, logit, -1) == logit


def bits_of(logits: np.ndarray, bits: np.ndarray) -> tuple[float, float]:
    """Mean bits per bin of an adaptive mixer, and as the network says."""
    mixer, known = new_mixer(adaptive=True), np.zeros((1, 1, 48), np.int32)
    cost = [0.0, 0.0]
    for logit, bit in zip(logits.tolist(), bits.tolist(), strict=True):
        look_around(mixer.scratch, known, (0, 0), 5, (21, 37), 0)
        z = corrected(mixer.weights, mixer.scratch, SIGNIFICANCE, 5, 3, logit, 1)
        for k, each in enumerate((z, logit)):
            p1 = p1_of(each) / PROBABILITY_ONE
            cost[k] -= math.log2(p1 if bit else 1 - p1)
        learn(mixer.weights, mixer.scratch, p1_of(z), bit)
    return cost[0] / len(bits), cost[1] / len(bits)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.6, 0.4), (1.3, -0.8)])
def test_a_network_that_is_wrong_about_a_picture_is_put_right(gain: float, offset: float) -> None:
    """Towards the entropy of what is really drawn; one that is right costs next to nothing."""
    random = np.random.default_rng(1)
    logits = np.rint(random.normal(0, 1.5 * UNIT, 20000)).astype(int).clip(-8000, 8000)
    p = 1 / (1 + np.exp(-(gain * logits / UNIT + offset)))
    bits = (random.random(len(p)) < p).astype(int)
    ideal = float(-np.log2(np.where(bits == 1, p, 1 - p)).mean())
    adapted, plain = bits_of(logits, bits)
    assert adapted - ideal < 0.004
    assert adapted < plain + 0.004
    if gain != 1:
        assert (plain - adapted) > 0.85 * (plain - ideal)


def test_weights_stop_at_their_bound() -> None:
    """Pushed outwards at the largest rate from just below it; the logit is clipped."""
    mixer, known = new_mixer(adaptive=True), np.full((3, 3, 48), 1 << 20, np.int32)
    mixer.weights[:, :INPUTS] = MOST_WEIGHT - 1
    for bit, top in ((1, BIN_LOGIT.high), (0, BIN_LOGIT.high)):
        look_around(mixer.scratch, known, (1, 1), 5, (21, 37), 0)
        z = corrected(mixer.weights, mixer.scratch, SIGN, 5, 3, BIN_LOGIT.high, 1)
        assert z == top
        # As if it had been taken for nearly impossible, and the other way round.
        learn(mixer.weights, mixer.scratch, PROBABILITY_ONE - 1 if bit == 0 else 1, bit)
        used = mixer.weights[mixer.scratch[-2:], :2]
        assert (used == MOST_WEIGHT).all() if bit == 1 else (used < MOST_WEIGHT).all()
    mixer.weights[:, :INPUTS] = 1 - MOST_WEIGHT
    look_around(mixer.scratch, known, (1, 1), 5, (21, 37), 0)
    assert corrected(mixer.weights, mixer.scratch, SIGN, 5, 3, BIN_LOGIT.high, 1) == BIN_LOGIT.low
    learn(mixer.weights, mixer.scratch, PROBABILITY_ONE - 1, 0)
    assert (mixer.weights[mixer.scratch[-2:], :2] == -MOST_WEIGHT).all()


def test_every_channel_group_kind_of_bin_and_texture_has_a_row_of_its_own() -> None:
    mixer = new_mixer(adaptive=True)
    of_channels: dict[int, set[tuple[int, int]]] = {}
    of_textures: dict[int, set[tuple[int, int, int]]] = {}
    for step in {(s.part, s.group): s for s in passes(3) if s.level == 0}.values():
        told = told_by(step, grey=False)
        for i, channel in enumerate(told.channels.tolist()):
            for texture in range(TEXTURES):
                # Steps of one plane: log2(2) is one texture.
                known = np.zeros((3, 3, step.kind.channels), np.int32)
                known[[0, 2, 1, 1], [1, 1, 0, 2], channel] = [
                    (1 << min(2, max(0, texture - 2 * k))) - 1 for k in range(4)
                ]
                number = told.first_channel + channel
                look_around(mixer.scratch, known, (1, 1), channel, tuple(told.partners[i]), 0)
                for what in (SIGNIFICANCE, REFINEMENT, SIGN):
                    corrected(mixer.weights, mixer.scratch, what, number, told.group, 0, 1)
                    row, texture_row = mixer.scratch[-2:].tolist()
                    of_channels.setdefault(row, set()).add((number, what))
                    of_textures.setdefault(texture_row, set()).add((told.group, what, texture))
    assert all(len(each) == 1 for each in (*of_channels.values(), *of_textures.values()))
    # Blocks' means are told elsewhere: of 60 channels 57.
    assert len(of_channels) == 3 * 57
    assert len(of_textures) == 3 * 8 * TEXTURES
    assert max(of_channels) == CHANNEL_ROWS - 1
    assert (min(of_textures), max(of_textures)) == (CHANNEL_ROWS, ROWS - 1)


def test_what_was_learnt_before_is_where_it_begins() -> None:
    start = np.arange(ROWS * INPUTS).reshape(ROWS, INPUTS)
    mixer = new_mixer(adaptive=True, start=start)
    assert np.array_equal(mixer.weights[:, :INPUTS], start)
    # One bin moves it a tenth as far as it would move a fresh one.
    steps = []
    for each in (mixer, new_mixer(adaptive=True)):
        each.weights[:, :INPUTS] = 0
        look_around(each.scratch, np.zeros((1, 1, 48), np.int32), (0, 0), 5, (21, 37), 0)
        corrected(each.weights, each.scratch, SIGN, 5, 3, 0, 1)
        learn(each.weights, each.scratch, PROBABILITY_ONE // 2, 1)
        steps.append(each.weights[each.scratch[-1], 1] / 2**20)
    assert steps == pytest.approx([0.5 * (0.002 + 2 / 4100), 0.5 * 0.022], rel=0.01)
    assert new_mixer(adaptive=False, start=start).weights.shape[0] == 0
