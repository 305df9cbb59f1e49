"""Training of the embedded profile: features and symbols as its codec has them, files for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from training_pictures import SMALL, packaged_pictures, their_linear, write_cifar
from typer.testing import CliRunner

from codec.embedded.bin_engine import PROBABILITY_ONE, start_encoder, worst_case_bytes
from codec.embedded.codec import EmbeddedCodec
from codec.embedded.knowledge import (
    DETAIL_LINEAR_SHAPE,
    LINEAR_SHAPE,
    block_features,
    estimates,
    known_of_part,
    middles,
)
from codec.embedded.networks import DETAIL_SIZE, Size
from codec.embedded.pass_coder import MORE, MOST_BINS
from codec.embedded.profile import STAND_INS, EmbeddedProfile, embedded_profile_from_tensors
from codec.embedded.pyramid import analyse, split
from codec.embedded.schedule import (
    BLOCK,
    BLOCK_LEVELS,
    DETAIL,
    FIRST_BLOCK_LEVEL,
    LEVELS,
    MEANS,
    ROOT,
    level_row,
)
from codec.embedded.transform import CHANNELS, coefficients
from codec.embedded.walk import Walk
from codec.fixed_point import BIN_LOGIT, SIGNED
from codec.training import embedded_data, embedded_train
from codec.training.embedded_data import load_embedded_data, spread, turned, varied
from codec.training.embedded_estimator import (
    errors_of,
    intervals,
    new_estimator,
    prepare_ends,
)
from codec.training.embedded_export import (
    embedded_tensors,
    estimator_of,
    load_checkpoint,
    predictor_of,
    write_embedded,
)
from codec.training.embedded_linear import Linear, linear_prediction
from codec.training.embedded_measure import coded_bits
from codec.training.embedded_predictor import (
    EMPHASIS,
    bpp_by_level,
    new_predictor,
    predicted_bits,
)
from codec.training.embedded_prepared import float_features
from codec.training.embedded_symbols import (
    known_after,
    known_before,
    levels_of,
    means_of,
    passes_of_kind,
    random_prefix,
    symbols_of,
    told_before,
    unary_bits,
)
from codec.training.embedded_widen import widen
from codec.training.muon import Muon, optimisers_for, orthogonalised
from testbed.cli import app

SHARES = EMPHASIS["all"].shares


@pytest.fixture(scope="module")
def samples() -> NDArray[np.uint8]:
    return packaged_pictures()


@pytest.fixture(scope="module")
def linear() -> Linear:
    return their_linear()


@pytest.fixture(scope="module")
def untrained(linear: Linear) -> EmbeddedProfile:
    """Exact networks of random weights."""
    states = {
        "predictor": new_predictor(1, SMALL).state_dict(),
        "estimator": new_estimator(1, 24, 1).state_dict(),
    }
    tensors = embedded_tensors(states, linear)
    return embedded_profile_from_tensors("untrained", "", tensors)


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cifar")
    write_cifar(folder)
    return folder


# ------------------------------------------------------------------- the same as the codec's


def tiled_and_noise(some: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Pictures of that size from smaller ones, and behind them one of noise, black and white."""
    noise = np.random.default_rng(0).integers(0, 2, (1, height, width, 3)).astype(np.uint8) * 255
    return np.concatenate([np.tile(some, (1, 2, 2, 1))[:, :height, :width], noise])


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 36), (4, 3), (64, 64)])
def test_features_and_symbols_are_the_codec_s(
    untrained: EmbeddedProfile,
    linear: Linear,
    samples: NDArray[np.uint8],
    height: int,
    width: int,
) -> None:
    """At every pass of a real encoding, to the last bit; also of noise, which needs unary steps."""
    pictures = tiled_and_noise(samples[3:4], height, width)
    # Of a black picture's root even the first level tells more than one step.
    truth = analyse(np.concatenate([pictures, np.zeros_like(pictures[:1])]))
    walk = Walk(untrained, untrained.predictors["predictor"], 3, height, width)
    coders = [start_encoder() for _ in range(3)]
    values = sum(part[0].size for part in truth)
    buffers = [np.empty(worst_case_bytes(values * (MOST_BINS + 16)), np.uint8) for _ in coders]
    for step in walk.passes:
        walk.enter(step)
        part, levels = truth[step.part], np.full(3, step.level)
        grid = part.shape[1:3]
        if step == next(s for s in walk.passes if (s.level, s.part) == (step.level, step.part)):
            known = known_before(part, step.kind, step.level, walk.stages)
            assert np.array_equal(walk.known[step.part], known)
            if step.kind is ROOT:
                told_nothing = means_of(truth, step.level, told=False)[-1]
                assert np.array_equal(walk.block_means(step, [0, 1, 2]), told_nothing)
            if step.kind is not ROOT:
                assert np.array_equal(
                    walk.means, means_of(truth, step.level, told=True)[step.part - 1]
                )
                seen = float_features(truth, levels, linear)[step.part - 1]
                expected = walk._features(step, slice(None))
                assert np.array_equal(seen * SIGNED.unit, expected)
        told = told_before(step.kind, step.group, step.parity, *grid)[level_row(step.level)]
        change = symbols_of(part, step.kind, levels, walk.stages).change
        symbols = np.concatenate([change * told, np.broadcast_to(told, part.shape)], axis=-1)
        assert np.array_equal(walk.symbols, symbols * SIGNED.unit)
        walk.encode(step, coders, buffers, truth)
        here = list(step.channels)
        after = known_after(part, step.kind, step.level)
        if step.parity == 1:
            assert np.array_equal(walk.known[step.part][..., here], after[..., here])
    for known, part in zip(walk.known, truth, strict=True):
        assert np.array_equal(known, part)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 36), (64, 64)])
def test_the_loss_is_what_the_coder_spends(
    untrained: EmbeddedProfile,
    linear: Linear,
    samples: NDArray[np.uint8],
    height: int,
    width: int,
) -> None:
    """Up to the rounding of the weights to integers."""
    pictures = tiled_and_noise(samples[:3], height, width)
    model = new_predictor(1, SMALL).eval()
    levels = levels_of(height, width)
    truth = coefficients(pictures)
    with torch.inference_mode():
        predicted = np.stack(
            [
                predicted_bits(model, truth, np.full(len(truth), level), linear).numpy()
                for level in levels
            ],
            axis=1,
        )
        # The levels of a batch may differ: nothing of one picture goes into another.
        mixed = np.array([levels[0], 5, 1, -1])
        of_mixed = predicted_bits(model, truth, mixed, linear).numpy()
    coded = coded_bits(untrained, pictures)
    assert coded == pytest.approx(predicted, rel=0.01, abs=0.5)
    at = [levels.index(level) for level in mixed]
    assert of_mixed == pytest.approx(predicted[np.arange(4), at], rel=1e-3, abs=1e-2)


def test_unary_steps_cost_what_the_coder_writes() -> None:
    """A coefficient of 11 steps at its first level: ten bins that say more, and one that ends."""
    truth = np.zeros((2, 1, 1, CHANNELS), np.int32)
    first = BLOCK.groups[0][0]
    truth[0, 0, 0, first] = -11 << 8
    truth[1, 0, 0, first] = 1 << 8
    more, end = -np.log2(MORE / PROBABILITY_ONE), -np.log2(1 - MORE / PROBABILITY_ONE)
    assert unary_bits(truth, BLOCK, 8, 3) == pytest.approx([10 * more + end, end])
    assert unary_bits(truth, BLOCK, 7, 3) == pytest.approx([0, 0])
    details = np.full((1, 1, 1, DETAIL.channels), 1 << 12, np.int32)
    assert unary_bits(details, DETAIL, 11, 3) == pytest.approx([3 * (more + end) + 6 * end])
    assert unary_bits(details, DETAIL, 11, 4) == pytest.approx([0])


@pytest.mark.parametrize("level", [9, 8, 5, 2, -1])
def test_a_prefix_is_one_in_the_order_of_the_stream(level: int) -> None:
    height, width = 3, 4
    rank = np.full((height, width, CHANNELS), np.inf)
    place = 0
    for step in passes_of_kind(BLOCK, level):
        for y in range(height):
            for x in range(width):
                if (y + x) % 2 == step.parity:
                    rank[y, x, list(step.channels)] = place
                    place += 1
    random = np.random.default_rng(0)
    told = random_prefix(level, 400, height, width, random)
    counts = set()
    for each in told:
        last = rank[each].max(initial=-1)
        assert np.array_equal(each, rank <= last)
        counts.add(last)
    # From nothing to the last place or nearly so, and much in between.
    assert min(counts) == -1
    assert max(counts) >= place - 3
    assert len(counts) > place / 2


@pytest.mark.parametrize("level", LEVELS)
def test_intervals_are_those_of_the_codec_s_estimates(
    level: int, samples: NDArray[np.uint8]
) -> None:
    """What the codec shows, computed in integers, lies where the training in floats puts it."""
    truth = coefficients(samples[:4])
    blocks = split(truth)[-1]
    random = np.random.default_rng(1)
    for means_told in (False, True):
        told = random_prefix(level, len(truth), *truth.shape[1:3], random, start=0) & means_told
        means = means_of(split(truth), level, told=means_told)[-1]
        middle, half = intervals(blocks, means, level, told, np.full(4, means_told))
        assert np.abs(truth - middle)[told].max(initial=0) <= half[told].max(initial=0)
        known = np.where(
            told, known_after(blocks, BLOCK, level), known_of_part(blocks, BLOCK, level)
        )
        symbols = np.concatenate([np.zeros_like(told), told], axis=-1).astype(np.float32)
        logits = random.integers(-2000, 2000, truth.shape).astype(np.int32)
        shown = estimates(known, means, symbols, level, logits, means_told=means_told) / 16
        expected = middle + half * np.tanh(logits / BIN_LOGIT.unit)
        # A sixteenth is the unit, a place within the interval has twelve bits.
        assert (np.abs(shown - expected) <= 1 / 32 + half / 8192 + 1e-3).all()


def test_the_estimator_is_trained_on_what_the_codec_shows(
    linear: Linear, samples: NDArray[np.uint8]
) -> None:
    """The loss is the error of the codec's expected coefficients, weighted with their gains."""
    from codec.embedded.transform import GAIN
    from codec.embedded.walk import level_rows, network_in_chunks

    model = new_estimator(1, 24, 1).eval()
    states = {"predictor": new_predictor(1, SMALL).state_dict(), "estimator": model.state_dict()}
    profile = embedded_profile_from_tensors("", "", embedded_tensors(states, linear))
    truth = coefficients(samples[:4])
    parts, random = split(truth), np.random.default_rng(0)
    for level, whole in ((10, False), (7, True), (4, True), (3, False), (-1, True)):
        told = random_prefix(level, 4, *truth.shape[1:3], random, start=0) & whole
        means = means_of(parts, level, told=whole)[-1]
        before = known_of_part(parts[-1], BLOCK, level)
        known = np.where(told, known_after(parts[-1], BLOCK, level), before)
        change = symbols_of(parts[-1], BLOCK, np.full(4, level), len(parts) - 2).change * told
        symbols = np.concatenate([change, told], axis=-1).astype(np.float32) * SIGNED.unit
        seen = np.concatenate([profile.block_features(before, means, level), symbols], axis=-1)
        logits = network_in_chunks(profile.estimator, [seen], level_rows(level)).astype(np.int32)
        shown = estimates(known, means, symbols, level, logits, means_told=whole) / 16
        expected = np.square((shown - truth) * GAIN).mean((1, 2, 3))
        with torch.inference_mode():
            ends = prepare_ends(truth, np.full(4, level), told, np.full(4, whole), linear)
            found = errors_of(model, ends)
        assert found.numpy() == pytest.approx(expected, rel=0.02, abs=0.01)


# ------------------------------------------------------------------------------------- batches


def test_levels_are_spread_by_their_shares() -> None:
    random = np.random.default_rng(0)
    levels, weights = spread(SHARES, sum(SHARES.values()), random)
    assert {level: int((levels == level).sum()) for level in LEVELS} == SHARES
    assert weights == pytest.approx([1 / SHARES[level] for level in levels.tolist()])
    # A batch too small for every level: each comes now and then, and weighs the more.
    drawn = [spread(SHARES, 4, random) for _ in range(2000)]
    for level in LEVELS:
        total = sum(float(w[lv == level].sum()) for lv, w in drawn) / len(drawn)
        assert total == pytest.approx(1, abs=0.15)


def test_variations_keep_the_pictures(samples: NDArray[np.uint8]) -> None:
    random = np.random.default_rng(0)
    shown = varied(samples, random)
    originals = {each.tobytes() for each in samples}
    mirrored = {each[:, ::-1].tobytes() for each in samples}
    found = [each.tobytes() for each in shown]
    assert all(each in originals | mirrored for each in found)
    assert 0 < sum(each in originals for each in found) < len(found)
    for each, exchanged in zip(samples, turned(samples, random), strict=True):
        assert np.array_equal(exchanged, each) or np.array_equal(exchanged, each.swapaxes(0, 1))
    grey = [
        s for s in (varied(samples, random) for _ in range(200)) if (np.ptp(s, axis=3) == 0).all()
    ]
    assert 1 <= len(grey) <= 20


def test_the_linear_predictions_are_of_use(samples: NDArray[np.uint8], linear: Linear) -> None:
    """By the features that come of them: nearer to the truth than the middle of the interval."""
    truth = coefficients(samples)
    parts = split(truth)
    assert linear.blocks.shape == LINEAR_SHAPE
    assert linear.details.shape == DETAIL_LINEAR_SHAPE
    for level in (5, 3, 1):
        means = means_of(parts, level, told=True)[-1]
        features = block_features(
            known_of_part(parts[-1], BLOCK, level), means, level, linear.block_row(level)
        )
        zeros, nothing = np.zeros(truth.shape, np.bool_), np.ones(len(truth), np.bool_)
        middle, _ = intervals(parts[-1], means, level, zeros, nothing)
        place = features[..., CHANNELS : 2 * CHANNELS] / 16
        predicted = middle + place * 2.0 ** BLOCK.planes(level)
        error, plain = np.square(truth - predicted), np.square(truth - middle)
        assert error.mean() < 0.9 * plain.mean()
        assert error[..., MEANS].mean() < plain[..., MEANS].mean()
    # That of details is made from the means alone, whatever is known of the details themselves.
    places = float_features(parts, np.full(len(truth), 6), linear)[-2][..., 9:18]
    known = known_of_part(parts[-2], DETAIL, 6)
    planes = DETAIL.planes(6)
    predicted = middles(known, planes) + places * SIGNED.unit / 16 * 2.0**planes
    assert np.square(parts[-2] - predicted).mean() < 0.95 * np.square(parts[-2]).mean()


def test_rows_of_levels_are_the_codec_s(untrained: EmbeddedProfile, linear: Linear) -> None:
    means = np.random.default_rng(0).integers(-999, 999, (1, 4, 4, 3)).astype(np.int32)
    known = np.zeros((1, 4, 4, CHANNELS), np.int32)
    for level in (14, *LEVELS):
        mine = block_features(known, means, level, linear.block_row(level))
        assert np.array_equal(mine, untrained.block_features(known, means, level))
        assert linear.detail_row(level).shape == DETAIL_LINEAR_SHAPE[1:]
    assert np.array_equal(linear.detail_row(14), linear.details[0])
    assert len(linear.blocks) == len(BLOCK_LEVELS) == FIRST_BLOCK_LEVEL + 2


# ------------------------------------------------------------------------ learning and writing


def test_a_few_steps_lower_both_losses(samples: NDArray[np.uint8], linear: Linear) -> None:
    truth = coefficients(samples[: len(LEVELS)])
    levels = np.array(LEVELS)
    told = np.concatenate(
        [random_prefix(lv, 1, 8, 8, np.random.default_rng(lv + 1)) for lv in LEVELS]
    )
    whole = np.ones(len(LEVELS), np.bool_)
    predictor, estimator = new_predictor(1, SMALL), new_estimator(1, 24, 1)

    def loss_of_predictor() -> torch.Tensor:
        return predicted_bits(predictor, truth, levels, linear).mean()

    def loss_of_estimator() -> torch.Tensor:
        errors = errors_of(estimator, prepare_ends(truth, levels, told, whole, linear))
        return torch.log(errors + 0.02).mean()

    both = ((predictor, loss_of_predictor, 0.8), (estimator, loss_of_estimator, 0.95))
    for model, loss_of, factor in both:
        optimisers = optimisers_for(model, 5e-3, 0.05)
        assert len(optimisers) == 2
        losses = []
        for _ in range(16):
            loss = loss_of()
            model.zero_grad()
            loss.backward()
            for optimiser in optimisers:
                optimiser.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < factor * losses[0]


def test_what_is_written_codes_as_short_as_the_training_says(
    samples: NDArray[np.uint8], linear: Linear, tmp_path: Path
) -> None:
    """The cost of exactness: integers of 16 bits instead of real weights, bytes instead of bits."""
    predictor, estimator = new_predictor(2, SMALL), new_estimator(2, 24, 1)
    truth = coefficients(samples)
    optimiser = torch.optim.AdamW(predictor.parameters(), lr=5e-3)
    random = np.random.default_rng(0)
    for _ in range(12):
        levels, _ = spread(SHARES, len(truth), random)
        loss = predicted_bits(predictor, truth, levels, linear).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    chosen = samples[:6]
    real = bpp_by_level(predictor, chosen, linear)
    states = {
        "predictor": predictor.state_dict(),
        "estimator": estimator.state_dict(),
        "photographs": new_predictor(3, SMALL).state_dict(),
    }
    tensors = embedded_tensors(states, linear)
    path = tmp_path / "embedded.safetensors"
    manifest = write_embedded(path, tensors, chosen, {"data": "samples"}, chosen[:2])
    profile = embedded_profile_from_tensors("written", manifest["sha256"], load_file(path))
    streams = [each for each in EmbeddedCodec(profile).encode_batch(list(chosen)) if each]
    coded_bpp = sum(each.payload_bits for each in streams) / (len(chosen) * 32 * 32)
    assert coded_bpp == pytest.approx(sum(real.values()), rel=0.02)
    figures = manifest["validation"]
    assert figures["bpp"][-1] == pytest.approx(coded_bpp, abs=1e-4)
    assert figures["psnr_db"][-1] is None
    assert figures["bpp"] == sorted(figures["bpp"])
    for level in LEVELS:
        assert figures["bpp_by_level"][str(level)] == pytest.approx(real[level], rel=0.03, abs=0.01)
    # The other predictor, which has learnt nothing, is measured by itself.
    assert set(profile.predictors) == {"predictor", "photographs"}
    theirs = manifest["validation_photographs"]
    assert theirs["pictures"] == 2
    assert theirs["bpp"][-1] > 1.1 * figures["bpp"][-1]


def test_a_network_is_as_large_as_its_state() -> None:
    predictor, estimator = new_predictor(1, Size(20, 4, 12)), new_estimator(1, 28, 2)
    found = predictor_of(predictor.state_dict())
    assert (len(found.blocks.trunk.stem.conv.weight), len(found.blocks.trunk.blocks)) == (20, 4)
    assert len(found.details.trunk.stem.conv.weight) == DETAIL_SIZE.width
    assert len(estimator_of(estimator.state_dict()).trunk.blocks) == 2


# -------------------------------------------------------------------------- larger networks, Muon


@pytest.mark.parametrize("size", [SMALL, replace(SMALL, heads_see_features=False)])
def test_a_widened_network_computes_what_the_smaller_one_does(
    samples: NDArray[np.uint8], linear: Linear, size: Size
) -> None:
    truth = coefficients(samples[: len(LEVELS)])
    levels = np.array(LEVELS)
    small = new_predictor(1, size)
    predicted_bits(small, truth, levels, linear)  # moves the running means
    large = new_predictor(2, Size(40, 3, 30))
    before = large.blocks.trunk.stem.conv.weight.detach()[SMALL.width :].clone()
    widen(large, small.state_dict())
    assert torch.equal(large.blocks.trunk.stem.conv.weight[SMALL.width :], before)
    with torch.inference_mode():
        expected = predicted_bits(small.eval(), truth, levels, linear)
        found = predicted_bits(large.eval(), truth, levels, linear)
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-2)
    # New units learn: gradients reach what leads to them and, the first time, what leads from them.
    predicted_bits(large.train(), truth, levels, linear).sum().backward()
    out = large.blocks.heads[0].out.conv.weight.grad
    assert out is not None
    assert out[:, SMALL.head_width :].abs().max() > 0
    estimator = new_estimator(1, 24, 1)
    larger = new_estimator(2, 32, 2)
    widen(larger, estimator.state_dict())
    told, whole = np.zeros(truth.shape, np.bool_), np.ones(len(truth), np.bool_)
    with torch.inference_mode():
        errors = [
            errors_of(each.eval(), prepare_ends(truth, levels, told, whole, linear))
            for each in (estimator, larger)
        ]
    assert torch.allclose(errors[0], errors[1], rtol=1e-3)
    with pytest.raises(ValueError, match="is larger than"):
        widen(new_predictor(1, Size(32, 3, 30)), large.state_dict())
    with pytest.raises(ValueError, match="no place"):
        widen(small, large.state_dict())


@pytest.mark.parametrize("shape", [(8, 30), (30, 8), (16, 16)])
def test_a_matrix_is_orthogonalised(shape: tuple[int, int]) -> None:
    """Against the singular value decomposition: the same directions, values near one."""
    generator = torch.Generator().manual_seed(0)
    u, _, v = torch.linalg.svd(torch.randn(shape, generator=generator), full_matrices=False)
    values = torch.linspace(1, 0.05, min(shape))
    found = orthogonalised(u @ torch.diag(values) @ v)
    inner = u.T @ found @ v.T
    assert (inner.diagonal() > 0.6).all()
    assert (inner.diagonal() < 1.3).all()
    assert (inner - torch.diag(inner.diagonal())).abs().max() < 1e-3


def test_muon_steps_are_a_share_of_the_weights() -> None:
    """Along the orthogonalised gradient; momentum goes on after the gradient has gone."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(6, 4, 3, 3, generator=generator))
    first = weight.detach().clone()
    muon = Muon([weight], 0.1)
    gradient = torch.randn(6, 4, 3, 3, generator=generator)
    weight.grad = 1e-3 * gradient
    muon.step()
    moved = first - weight.detach()
    assert float(moved.norm()) == pytest.approx(0.1 * float(first.norm()), rel=1e-4)
    way = orthogonalised(gradient.reshape(6, -1))
    along = float((moved.reshape(6, -1) * way).sum() / (moved.norm() * way.norm()))
    assert along == pytest.approx(1, abs=1e-3)
    weight.grad = torch.zeros_like(weight)
    second = weight.detach().clone()
    muon.step()
    assert float(((second - weight.detach()) * moved).sum()) > 0
    # Its state is saved and comes back.
    other = Muon([weight], 0.5)
    other.load_state_dict(muon.state_dict())
    assert torch.equal(other.state[weight]["mean"], muon.state[weight]["mean"])


def test_each_weight_has_one_optimiser() -> None:
    model = new_predictor(1, SMALL)
    adam, muon = optimisers_for(model, 1e-3, 0.01)
    ids = [id(p) for each in (adam, muon) for group in each.param_groups for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in model.parameters())
    moved = {id(p) for p in muon.param_groups[0]["params"]}
    assert id(model.blocks.trunk.stem.conv.weight) in moved
    assert id(model.blocks.heads[0].out.conv.weight) not in moved
    assert len(optimisers_for(model, 1e-3, 0)) == 1


def test_bits_of_levels_add_up_to_the_stream(
    untrained: EmbeddedProfile, samples: NDArray[np.uint8]
) -> None:
    grey = np.repeat(samples[1:2, ..., :1], 3, axis=3)
    pictures = np.concatenate([samples[:2], grey])
    bits = coded_bits(untrained, pictures).sum(1)
    streams = EmbeddedCodec(untrained).encode_batch(list(pictures))
    lengths = [stream.payload_bits for stream in streams if stream is not None]
    header_and_end_bits = np.array(lengths) - bits
    assert (header_and_end_bits >= 0).all()
    assert (header_and_end_bits <= 8 * 8).all()


# --------------------------------------------------------------------------------- the command


def test_from_pictures_to_weights(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("codec.training.data.VALIDATION_IMAGES", 2)
    size = ["--width", "24", "--blocks", "1", "--head-width", "16"]
    estimator_size = ["--estimator-width", "24", "--estimator-blocks", "1"]
    options = ["--cifar", str(cifar), "--out", str(tmp_path), "--batch", "4"]
    options += [*size, *estimator_size]
    # The parts apart, as in two processes; each goes on from its checkpoint if given more time.
    with pytest.raises(SystemExit, match=r"predictor.checkpoint.pt: not there"):
        embedded_train.main([*options, "--minutes", "0"])
    embedded_train.main([*options, "--minutes", "0.01", "--part", "predictor"])
    first = load_checkpoint(tmp_path / "predictor.checkpoint.pt")
    embedded_train.main([*options, "--minutes", "0.03", "--part", "predictor"])
    second = load_checkpoint(tmp_path / "predictor.checkpoint.pt")
    assert second.steps > first.steps > 0
    assert (first.minutes, second.minutes) == (0.01, 0.03)
    embedded_train.main([*options, "--minutes", "0.01", "--part", "estimator"])
    assert "lossless:" in capsys.readouterr().out
    assert not (tmp_path / "embedded.safetensors").exists()
    embedded_train.main([*options, "--minutes", "0"])
    manifest = json.loads((tmp_path / "embedded.json").read_text())
    assert manifest["minutes"] == {"predictor": 0.03, "estimator": 0.01}
    assert manifest["steps"]["predictor"] == second.steps
    assert str(tmp_path) not in json.dumps(manifest)
    tensors = load_file(tmp_path / "embedded.safetensors")
    embedded_profile_from_tensors("trained", manifest["sha256"], tensors)
    # Writing changes no checkpoint; with other settings nothing goes on.
    assert load_checkpoint(tmp_path / "predictor.checkpoint.pt").minutes == 0.03
    with pytest.raises(SystemExit, match="of another run"):
        embedded_train.main([*options, "--minutes", "0.04", "--part", "predictor", "--seed", "2"])
    # Both at once and larger, from the networks there; the linear prediction is theirs.
    options[options.index("--out") + 1] = str(tmp_path / "on")
    options[options.index("--width") + 1] = "32"
    embedded_train.main([*options, "--minutes", "0.02", "--start-from", str(tmp_path)])
    with pytest.raises(SystemExit, match="give --start-from again"):
        embedded_train.main([*options, "--minutes", "0"])
    further = json.loads((tmp_path / "on" / "embedded.json").read_text())
    assert further["started_from"]["sha256"] == manifest["sha256"]
    assert further["sha256"] != manifest["sha256"]
    linears = [np.load(folder / "linear.npz") for folder in (tmp_path, tmp_path / "on")]
    assert all(np.array_equal(linears[0][key], linears[1][key]) for key in ("blocks", "details"))
    wider = load_file(tmp_path / "on" / "embedded.safetensors")
    assert len(wider["predictor.blocks.trunk.stem.weight"]) == 32
    # Nothing shrinks.
    options[options.index("--out") + 1] = str(tmp_path / "back")
    options[options.index("--width") + 1] = "16"
    with pytest.raises(SystemExit, match="cannot be started from"):
        embedded_train.main([*options, "--minutes", "0.01", "--start-from", str(tmp_path)])


def test_a_second_predictor_is_trained_on_photographs(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    monkeypatch.setattr("codec.training.data.VALIDATION_IMAGES", 2)
    monkeypatch.setattr(embedded_data, "PHOTO_CROPS", 20)
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.effect_noise((300, 300), 50).save(photos / "noise.png")
    size = ["--width", "24", "--blocks", "1", "--head-width", "16"]
    small = [*size, "--estimator-width", "24", "--estimator-blocks", "1"]
    options = ["--cifar", str(cifar), "--out", str(tmp_path / "out"), "--batch", "4", *small]
    for_photographs = ["--part", "predictor", "--kind", "photographs", "--minutes", "0.01"]
    with pytest.raises(SystemExit, match="needs --photos"):
        embedded_train.main([*options, *for_photographs])
    options += ["--photos", str(photos)]
    embedded_train.main([*options, *for_photographs])
    assert "2 held-out photographs" in capsys.readouterr().out
    embedded_train.main([*options, "--minutes", "0.02"])
    manifest = json.loads((tmp_path / "out" / "embedded.json").read_text())
    assert set(manifest["commands"]) == {"predictor", "photographs", "estimator"}
    assert "--kind photographs" in manifest["commands"]["photographs"]
    assert manifest["data"]["photographs"] != manifest["data"]["predictor"]
    assert manifest["validation_photographs"]["pictures"] == 2
    assert manifest["validation_photographs"]["bpp"][-1] > 0
    tensors = load_file(tmp_path / "out" / "embedded.safetensors")
    profile = embedded_profile_from_tensors("both", manifest["sha256"], tensors)
    assert set(profile.predictors) == {"predictor", "photographs"}
    # It may begin as the one for thumbnails does.
    embedded_train.main([
        *options, *for_photographs, "--start-from", str(tmp_path / "out"),
        "--out", str(tmp_path / "on"),
    ])  # fmt: skip
    assert (tmp_path / "on" / "photographs.checkpoint.pt").is_file()
    # So may one for reversible streams, of photographs or not.
    again = [*options, "--start-from", str(tmp_path / "out"), "--out", str(tmp_path / "on")]
    reversible = ["--part", "predictor", "--streams", "reversible", "--minutes", "0.01"]
    embedded_train.main([*again, *reversible])
    embedded_train.main([*again, *reversible, "--kind", "photographs", "--workers", "1"])
    embedded_train.main([*again, "--minutes", "0.02"])
    manifest = json.loads((tmp_path / "on" / "embedded.json").read_text())
    assert "--streams reversible" in manifest["commands"]["reversible_photographs"]
    assert "--workers 1" in manifest["commands"]["reversible_photographs"]
    assert set(manifest["correction"]) == {"reversible"}
    tensors = load_file(tmp_path / "on" / "embedded.safetensors")
    assert set(embedded_profile_from_tensors("all", "", tensors).predictors) == set(STAND_INS)
    # One more training of one of them: the weights' other networks stay as they are.
    again = [*options, "--start-from", str(tmp_path / "on"), "--out", str(tmp_path / "kept")]
    embedded_train.main([*again, *reversible])
    embedded_train.main([*again, "--minutes", "0"])
    manifest = json.loads((tmp_path / "kept" / "embedded.json").read_text())
    assert set(manifest["commands"]) == {"reversible"}
    assert set(manifest["kept_of_started_from"]) == {*STAND_INS, "estimator"} - {"reversible"}
    assert manifest["validation_photographs"]["pictures"] == 2
    after = load_file(tmp_path / "kept" / "embedded.safetensors")
    changed = {key for key in tensors if not torch.equal(tensors[key], after[key])}
    assert changed and {key.split(".")[0] for key in changed} == {"reversible"}
    assert "reversible.correction" in changed
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit):
            embedded_train.main([*again, *reversible, "--device", "cuda"])
        assert "torch finds no GPU" in capsys.readouterr().err
    # Not to be taken for both parts.
    for one_part in (["--kind", "photographs"], ["--streams", "reversible"]):
        with pytest.raises(SystemExit):
            embedded_train.main([*options, *one_part])
        assert "--part predictor" in capsys.readouterr().err


@pytest.mark.parametrize("ablation", ["single_pass", "no_linear"])
def test_an_ablated_predictor_does_without(
    ablation: str, samples: NDArray[np.uint8], linear: Linear
) -> None:
    """It is blind to what it shall not see: as if a convolution's weights for it were zero."""
    model = new_predictor(3, SMALL).eval()
    blind = new_predictor(3, SMALL).eval()
    with torch.no_grad():
        for part, channels in ((blind.blocks, CHANNELS), (blind.details, DETAIL.channels)):
            if ablation == "no_linear":
                part.trunk.stem.conv.weight[:, channels : 2 * channels] = 0
            for head in part.heads:
                weight = head.first.conv.weight
                if ablation == "no_linear":
                    at = len(part.trunk.stem.conv.weight) + channels
                    weight[:, at : at + channels] = 0
                else:
                    weight[:, -2 * channels :] = 0
    pictures = samples[:2]
    found = bpp_by_level(model, pictures, linear, ablation)
    assert found == pytest.approx(bpp_by_level(blind, pictures, linear))
    assert found != pytest.approx(bpp_by_level(model, pictures, linear))


@pytest.mark.parametrize("streams", ["all", "reversible"])
def test_what_counts_goes_by_the_streams(
    streams: str, cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codec.training.data.VALIDATION_IMAGES", 2)
    given: list[tuple] = []
    monkeypatch.setattr(embedded_train, "train_predictor", lambda *all_: given.append(all_))
    options = ["--cifar", str(cifar), "--out", str(tmp_path), "--batch", "4", "--width", "24"]
    embedded_train.main([*options, "--part", "predictor", "--streams", streams])
    (_, _, batches, _, settings, _, _, worth), emphasis = given[0], EMPHASIS[streams]
    assert (batches.shares, batches.crop_shares) == (emphasis.shares, emphasis.crop_shares)
    assert worth == emphasis.worth
    assert settings.settled == embedded_train.SETTLED > 0


def test_an_ablation_prints_its_table_and_writes_no_weights(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("codec.training.data.VALIDATION_IMAGES", 2)
    options = ["--cifar", str(cifar), "--out", str(tmp_path), "--minutes", "0.01", "--batch", "4"]
    options += ["--width", "24", "--blocks", "1", "--head-width", "16"]
    embedded_train.main([*options, "--part", "predictor", "--ablate", "single_pass"])
    printed = capsys.readouterr().out
    assert "ablation: single_pass" in printed
    rows = [line.split() for line in printed.splitlines()]
    assert [int(row[0]) for row in rows if len(row) == 3 and row[0] != "level"] == list(LEVELS)
    assert not list(tmp_path.glob("embedded.*"))
    # Not to be mistaken for the real one.
    with pytest.raises(SystemExit, match="of another run"):
        embedded_train.main([*options, "--part", "predictor"])
    embedded_train.main([*options, "--part", "estimator"])
    with pytest.raises(SystemExit, match="which no codec decodes"):
        embedded_train.main([*options, "--minutes", "0"])
    capsys.readouterr()
    with pytest.raises(SystemExit):
        embedded_train.main([*options, "--ablate", "single_pass"])
    assert "--part predictor" in capsys.readouterr().err


def test_missing_data_are_one_clear_line(cifar: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    out = ["--out", str(tmp_path / "out"), "--minutes", "0.01"]
    shorter = tmp_path / "shorter"
    shorter.mkdir()
    (shorter / "data_batch_1.bin").write_bytes(bytes(3072))
    empty = tmp_path / "empty"
    empty.mkdir()
    for options, message in (
        (["--cifar", str(nowhere)], "nowhere/data_batch_1.bin: not there"),
        (["--cifar", str(shorter)], "records of 3,073 bytes"),
        (["--cifar", str(cifar), "--photos", str(empty)], "expected PNG photographs"),
        (["--cifar", str(cifar), "--start-from", str(empty)], "nothing to start from"),
    ):
        with pytest.raises(SystemExit, match=message) as raised:
            embedded_train.main([*options, *out])
        assert "\n" not in str(raised.value)
    (empty / "predictor.checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(SystemExit, match="not a checkpoint") as raised:
        embedded_train.main(["--cifar", str(cifar), "--out", str(empty), "--minutes", "0"])
    assert "\n" not in str(raised.value)


def test_testbed_train_reaches_it() -> None:
    shown = CliRunner().invoke(app, ["train", "embedded", "--help"])
    assert shown.exit_code == 0
    for option in ("--ablate", "--kind", "--estimator-width", "--muon-rate"):
        assert option in shown.output


def test_photographs_are_cropped_to_squares_of_64(cifar: Path, tmp_path: Path) -> None:
    from PIL import Image

    for k, side in enumerate((40, 70, 300)):
        Image.effect_noise((side, side), 50).save(tmp_path / f"{k}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded_data, "PHOTO_CROPS", 30)
        patch.setattr("codec.training.data.VALIDATION_IMAGES", 5)
        data = load_embedded_data(cifar, tmp_path, 1)
    assert data.crops is not None
    assert data.held_out_crops is not None
    assert (data.crops.shape, len(data.held_out_crops)) == ((18, 64, 64, 3), 2)
    assert len(data.train) == 55
    assert any("photograph" in name for name in data.sources)
    batches = embedded_data.Batches(replace(data, train=data.train[:8]), SHARES, 8, 1)
    sides = {batches.draw(np.arange(8)).coefficients.shape[1] for _ in range(40)}
    assert sides == {8, 16}
    only = {**dict.fromkeys(LEVELS, 0.0), 2: 1.0}
    batches = embedded_data.Batches(data, SHARES, 8, 1, crop_shares=only)
    drawn = [batches.draw(np.arange(8)) for _ in range(40)]
    assert {lv for each in drawn if each.coefficients.shape[1] == 16 for lv in each.levels} == {2}
    assert len({lv for each in drawn if each.coefficients.shape[1] == 8 for lv in each.levels}) > 5


def test_processes_that_fit_at_once_share_what_came_first(
    samples: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Linear(np.full(LINEAR_SHAPE, 7, np.int16), np.full(DETAIL_LINEAR_SHAPE, 5, np.int16))

    def slowly(_: NDArray[np.uint8]) -> Linear:
        # Meanwhile, by the other process.
        np.savez(tmp_path / "linear.npz", blocks=other.blocks, details=other.details)
        return Linear(np.zeros(LINEAR_SHAPE, np.int16), np.zeros(DETAIL_LINEAR_SHAPE, np.int16))

    monkeypatch.setattr("codec.training.embedded_linear.fit_linear", slowly)
    found = linear_prediction(tmp_path, samples, None)
    assert np.array_equal(found.blocks, other.blocks)
    assert np.array_equal(found.details, other.details)
    assert [path.name for path in tmp_path.iterdir()] == ["linear.npz"]
    np.savez(tmp_path / "linear.npz", blocks=other.blocks, details=other.blocks)
    with pytest.raises(SystemExit, match="expected int16"):
        linear_prediction(tmp_path, samples, None)
    (tmp_path / "linear.npz").write_bytes(b"no file of arrays")
    with pytest.raises(SystemExit, match="cannot be read"):
        linear_prediction(tmp_path, samples, None)
