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
from typer.testing import CliRunner

from codec.embedded.bin_engine import PROBABILITY_ONE, start_encoder, worst_case_bytes
from codec.embedded.codec import EmbeddedCodec
from codec.embedded.knowledge import LINEAR_SHAPE, estimates, known_before
from codec.embedded.networks import SYMBOLS, TRUNK_WIDTH
from codec.embedded.pass_coder import MORE, MOST_BINS, encode_pass, probability_of_logit
from codec.embedded.profile import EmbeddedProfile, embedded_profile_from_tensors
from codec.embedded.schedule import FIRST_LEVEL_OF_GROUP, GROUPS, LEVELS, PASSES, planes_of
from codec.embedded.transform import CHANNELS, coefficients
from codec.embedded.walk import Walk
from codec.fixed_point import BIN_LOGIT, SIGNED
from codec.training import embedded_data, embedded_train
from codec.training.embedded_data import load_embedded_data, spread, varied
from codec.training.embedded_estimator import intervals, new_estimator, squared_errors
from codec.training.embedded_export import embedded_tensors, load_checkpoint, write_embedded
from codec.training.embedded_linear import fit_linear, linear_prediction
from codec.training.embedded_measure import coded_bits
from codec.training.embedded_predictor import (
    SHARES,
    bpp_by_level,
    float_features,
    new_predictor,
    predicted_bits,
)
from codec.training.embedded_symbols import random_prefix, symbols_of, told_before, unary_bits
from testbed.cli import app
from testbed.images import load_images


@pytest.fixture(scope="module")
def samples() -> NDArray[np.uint8]:
    """(24, 32, 32, 3): the packaged pictures."""
    return np.stack([image.pixels for image in load_images("samples32", Path())])


@pytest.fixture(scope="module")
def linear(samples: NDArray[np.uint8]) -> NDArray[np.int16]:
    return fit_linear(samples)


@pytest.fixture(scope="module")
def untrained(linear: NDArray[np.int16]) -> EmbeddedProfile:
    """Exact networks of random weights."""
    tensors = embedded_tensors(new_predictor(1).state_dict(), new_estimator(1).state_dict(), linear)
    return embedded_profile_from_tensors("untrained", "", tensors)


@pytest.fixture(scope="module")
def cifar(tmp_path_factory: pytest.TempPathFactory, samples: NDArray[np.uint8]) -> Path:
    """Files in CIFAR-10's binary layout: five batches of 12 pictures."""
    folder = tmp_path_factory.mktemp("cifar")
    for k in range(5):
        chosen = samples[np.arange(12 * k, 12 * k + 12) % len(samples)]
        records = np.zeros((12, 3073), np.uint8)
        records[:, 1:] = chosen.transpose(0, 3, 1, 2).reshape(12, -1)
        (folder / f"data_batch_{k + 1}.bin").write_bytes(records.tobytes())
    return folder


# ------------------------------------------------------------------- the same as the codec's


def test_features_and_symbols_are_the_codec_s(
    untrained: EmbeddedProfile, samples: NDArray[np.uint8]
) -> None:
    """At every pass of a real encoding, to the last bit; also of noise, which needs unary steps."""
    noise = np.random.default_rng(0).integers(0, 2, (1, 32, 32, 3)).astype(np.uint8) * 255
    truth = coefficients(np.concatenate([samples[3:4], noise]))
    walk = Walk(untrained, *truth.shape[:3])
    p1 = probability_of_logit()
    for level in LEVELS:
        walk.begin(level)
        assert np.array_equal(walk.known, known_before(truth, level))
        levels = np.full(len(truth), level)
        seen = float_features(truth, levels, untrained.linear)
        assert np.array_equal(seen * SIGNED.unit, walk.before)
        symbols = symbols_of(truth, level)
        for step in PASSES[level]:
            told = told_before(step.group, step.parity, *truth.shape[1:3])[LEVELS.index(level)]
            expected = np.concatenate(
                [symbols.change * told, np.broadcast_to(told, truth.shape)], axis=-1
            )
            assert np.array_equal(walk.inputs[..., TRUNK_WIDTH:], expected * SIGNED.unit)
            channels = np.array(step.channels)
            outputs = np.searchsorted(GROUPS[step.group], channels)
            logits = walk.logits(step)
            for b in range(len(truth)):
                buffer = np.empty(worst_case_bytes(truth[b].size * MOST_BINS), np.uint8)
                encode_pass(
                    start_encoder(), buffer, logits[b], p1, truth[b], walk.known[b],
                    walk.inputs[b], channels, outputs, planes_of(level)[channels],
                    level == FIRST_LEVEL_OF_GROUP[step.group], step.parity,
                )  # fmt: skip
    assert np.array_equal(walk.known, truth)


def test_unary_steps_cost_what_the_coder_writes() -> None:
    """A coefficient of 11 steps at its first level: ten bins that say more, and one that ends."""
    truth = np.zeros((2, 1, 1, CHANNELS), np.int32)
    truth[0, 0, 0, 0] = -11 << 8
    truth[1, 0, 0, 0] = 1 << 8
    more, end = -np.log2(MORE / PROBABILITY_ONE), -np.log2(1 - MORE / PROBABILITY_ONE)
    assert unary_bits(truth, 8) == pytest.approx([10 * more + end, end])
    assert unary_bits(truth, 7) == pytest.approx([0, 0])


@pytest.mark.parametrize("level", [8, 5, 2, -1])
def test_a_prefix_is_one_in_the_order_of_the_stream(level: int) -> None:
    height, width = 3, 4
    rank = np.full((height, width, CHANNELS), np.inf)
    place = 0
    for step in PASSES[level]:
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
    random = np.random.default_rng(1)
    told = random_prefix(level, len(truth), *truth.shape[1:3], random, start=0)
    middle, half = intervals(truth, level, told)
    assert np.abs(truth - middle)[told].max(initial=0) <= half[told].max(initial=0)
    planes = np.maximum(planes_of(level), 0).astype(np.int32)
    after = np.sign(truth) * (np.abs(truth) >> planes << planes)
    known = np.where(told, after, known_before(truth, level)).astype(np.int32)
    symbols = np.concatenate([np.zeros_like(told), told], axis=-1).astype(np.float32)
    assert symbols.shape[-1] == SYMBOLS
    logits = random.integers(-2000, 2000, truth.shape).astype(np.int32)
    shown = estimates(known, symbols, level, logits) / 16
    expected = middle + half * np.tanh(logits / BIN_LOGIT.unit)
    # A sixteenth is the unit, a place within the interval has twelve bits.
    assert (np.abs(shown - expected) <= 1 / 32 + half / 8192 + 1e-3).all()


# ------------------------------------------------------------------------------------- batches


def test_levels_are_spread_by_their_shares() -> None:
    random = np.random.default_rng(0)
    levels, weights = spread(SHARES, 40, random)
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
    grey = [
        s for s in (varied(samples, random) for _ in range(200)) if (np.ptp(s, axis=3) == 0).all()
    ]
    assert 1 <= len(grey) <= 20


def test_the_linear_prediction_is_of_use(
    samples: NDArray[np.uint8], linear: NDArray[np.int16]
) -> None:
    """By the features that come of it: nearer to the truth than the middle of the interval."""
    truth = coefficients(samples)
    assert linear.shape == LINEAR_SHAPE
    assert not linear[0].any()  # before the first level nothing is known
    for level in (5, 3, 1):
        levels = np.full(len(truth), level)
        seen = float_features(truth, levels, linear)[..., CHANNELS : 2 * CHANNELS] * SIGNED.unit
        zeros = np.zeros(truth.shape, np.bool_)
        middle, _ = intervals(truth, level, zeros)
        predicted = middle + seen / 16 * 2.0 ** planes_of(level)
        assert np.square(truth - predicted).mean() < 0.9 * np.square(truth - middle).mean()


# ------------------------------------------------------------------------ learning and writing


def test_a_few_steps_lower_both_losses(
    samples: NDArray[np.uint8], linear: NDArray[np.int16]
) -> None:
    truth = coefficients(samples[:10])
    levels = np.array(LEVELS)
    told = np.concatenate(
        [random_prefix(lv, 1, 8, 8, np.random.default_rng(lv + 1)) for lv in LEVELS]
    )
    predictor, estimator = new_predictor(1), new_estimator(1)

    def loss_of_predictor() -> torch.Tensor:
        return predicted_bits(predictor, truth, levels, linear).mean()

    def loss_of_estimator() -> torch.Tensor:
        return torch.log(squared_errors(estimator, truth, levels, told, linear) + 0.02).mean()

    both = ((predictor, loss_of_predictor, 0.8), (estimator, loss_of_estimator, 0.95))
    for model, loss_of, factor in both:
        optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
        losses = []
        for _ in range(8):
            loss = loss_of()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < factor * losses[0]


def test_what_is_written_codes_as_short_as_the_training_says(
    samples: NDArray[np.uint8], linear: NDArray[np.int16], tmp_path: Path
) -> None:
    """The cost of exactness: integers of 16 bits instead of real weights, bytes instead of bits."""
    predictor, estimator = new_predictor(2), new_estimator(2)
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
    tensors = embedded_tensors(predictor.state_dict(), estimator.state_dict(), linear)
    path = tmp_path / "embedded.safetensors"
    manifest = write_embedded(path, tensors, chosen, {"data": "samples"})
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
    options = ["--cifar", str(cifar), "--out", str(tmp_path), "--batch", "4"]
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
        embedded_train.main([*options, "--minutes", "0", "--seed", "2"])
    # Both at once, from the networks there; the linear prediction is theirs.
    options[options.index("--out") + 1] = str(tmp_path / "on")
    embedded_train.main([*options, "--minutes", "0.02", "--start-from", str(tmp_path)])
    further = json.loads((tmp_path / "on" / "embedded.json").read_text())
    assert further["started_from"]["sha256"] == manifest["sha256"]
    assert further["sha256"] != manifest["sha256"]
    linears = [(folder / "linear.npy").read_bytes() for folder in (tmp_path, tmp_path / "on")]
    assert linears[0] == linears[1]


@pytest.mark.parametrize("ablation", ["single_pass", "no_linear"])
def test_an_ablated_predictor_does_without(
    ablation: str, samples: NDArray[np.uint8], linear: NDArray[np.int16]
) -> None:
    """It is blind to what it shall not see: as if a convolution's weights for it were zero."""
    model = new_predictor(3).eval()
    blind = new_predictor(3).eval()
    with torch.no_grad():
        if ablation == "no_linear":
            blind.trunk.stem.conv.weight[:, CHANNELS : 2 * CHANNELS] = 0
        else:
            for head in blind.heads:
                head.first.conv.weight[:, TRUNK_WIDTH:] = 0
    pictures = samples[:2]
    found = bpp_by_level(model, pictures, linear, ablation)
    assert found == pytest.approx(bpp_by_level(blind, pictures, linear))
    assert found != pytest.approx(bpp_by_level(model, pictures, linear))


def test_an_ablation_prints_its_table_and_writes_no_weights(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("codec.training.data.VALIDATION_IMAGES", 2)
    options = ["--cifar", str(cifar), "--out", str(tmp_path), "--minutes", "0.01", "--batch", "4"]
    embedded_train.main([*options, "--part", "predictor", "--ablate", "single_pass"])
    printed = capsys.readouterr().out
    assert "ablation: single_pass" in printed
    rows = [line.split() for line in printed.splitlines()]
    assert [int(row[0]) for row in rows if len(row) == 3 and row[0] != "level"] == list(LEVELS)
    assert not list(tmp_path.glob("embedded.*"))
    # Not to be mistaken for the real one.
    with pytest.raises(SystemExit, match="of another run"):
        embedded_train.main([*options, "--part", "predictor"])
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
    assert "--ablate" in shown.output


def test_photographs_are_cropped_to_squares_of_64(cifar: Path, tmp_path: Path) -> None:
    from PIL import Image

    for k, side in enumerate((40, 70, 300)):
        Image.effect_noise((side, side), 50).save(tmp_path / f"{k}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded_data, "PHOTO_CROPS", 30)
        patch.setattr("codec.training.data.VALIDATION_IMAGES", 5)
        data = load_embedded_data(cifar, tmp_path, 1)
    assert data.crops is not None
    assert data.crops.shape == (20, 64, 64, 3)
    assert len(data.train) == 55
    assert any("photograph" in name for name in data.sources)
    batches = embedded_data.Batches(replace(data, train=data.train[:8]), SHARES, 8, 1)
    sides = {batches.draw(np.arange(8)).coefficients.shape[1] for _ in range(40)}
    assert sides == {8, 16}


def test_processes_that_fit_at_once_share_what_came_first(
    samples: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = np.full(LINEAR_SHAPE, 7, np.int16)

    def slowly(_: NDArray[np.uint8]) -> NDArray[np.int16]:
        np.save(tmp_path / "linear.npy", other)  # meanwhile, by the other process
        return np.zeros(LINEAR_SHAPE, np.int16)

    monkeypatch.setattr("codec.training.embedded_linear.fit_linear", slowly)
    assert np.array_equal(linear_prediction(tmp_path, samples, None), other)
    assert [path.name for path in tmp_path.iterdir()] == ["linear.npy"]
