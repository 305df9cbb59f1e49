"""From weights back to networks to train on: they compute the same, and normalise what they see."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from training_pictures import SMALL, packaged_pictures, their_linear, write_cifar

from codec.embedded.networks import (
    Size,
    exact_estimator,
    exact_predictor,
    network_integers,
)
from codec.embedded.profile import STAND_INS, part_of
from codec.embedded.schedule import LEVELS
from codec.embedded.transform import coefficients
from codec.fixed_point import ACTIVATION, SIGNED
from codec.training import embedded_train
from codec.training.embedded_estimator import new_estimator
from codec.training.embedded_export import embedded_tensors, estimator_of, predictor_of
from codec.training.embedded_linear import Linear, linear_prediction
from codec.training.embedded_predictor import new_predictor, predicted_bits
from codec.training.embedded_restore import (
    calibrate,
    restored_estimator,
    restored_linear,
    restored_predictor,
)
from codec.training.embedded_start import check_start, earlier_linear, earlier_size
from codec.training.embedded_widen import widen

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def samples() -> NDArray[np.uint8]:
    return packaged_pictures()


@pytest.fixture(scope="module")
def linear() -> Linear:
    return their_linear()


@torch.no_grad()
def as_if_trained(model: nn.Module) -> dict[str, Tensor]:
    """State of a network whose normalisations have gains, offsets and statistics of their own."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.weight.uniform_(0.2, 2)
            module.bias.uniform_(-0.5, 0.5)
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.05, 3)
    return dict(model.state_dict())


@pytest.fixture(scope="module")
def tensors(linear: Linear) -> dict[str, Tensor]:
    states = {
        "predictor": as_if_trained(new_predictor(1, SMALL)),
        "estimator": as_if_trained(new_estimator(1, 24, 1)),
    }
    return embedded_tensors(states, linear)


@torch.inference_mode()
def same_function(one: nn.Module, other: nn.Module, *inputs: Tensor) -> bool:
    return torch.equal(one(*inputs), other(*inputs))


@pytest.mark.parametrize("shipped", [False, True])
def test_restored_networks_export_to_what_computes_the_same(
    shipped: bool, tensors: dict[str, Tensor]
) -> None:
    """Though steps may come out finer, every integer that comes out of every layer is the same."""
    if shipped:
        tensors = load_file(ROOT / "codec" / "weights" / "embedded.safetensors")
    torch.manual_seed(5)
    index = torch.tensor([0, 3, len(LEVELS) - 1])
    for name in (n for n in STAND_INS if any(key.startswith(f"{n}.") for key in tensors)):
        before = exact_predictor(part_of(tensors, name))
        after = exact_predictor(network_integers(restored_predictor(tensors, name)))
        for kind in ("details", "blocks"):
            one, other = getattr(before, kind), getattr(after, kind)
            features = one.trunk.stem.weight.shape[1]
            seen = torch.randint(SIGNED.low, SIGNED.high + 1, (3, features, 5, 6)).float()
            stage = () if kind == "blocks" else (torch.tensor([0, 1, 2]),)
            with torch.inference_mode():
                trunk = one.trunk(seen, index, *stage)
                assert torch.equal(other.trunk(seen, index, *stage), trunk)
            for head, twin in zip(one.heads, other.heads, strict=True):
                more = head.first.weight.shape[1] - trunk.shape[1]
                symbols = torch.randint(-1, 2, (3, more, 5, 6)).float() * SIGNED.unit
                with torch.inference_mode():
                    said = [each(symbols, index, each.ahead(trunk)) for each in (head, twin)]
                assert torch.equal(*said)
    before = exact_estimator(part_of(tensors, "estimator"))
    after = exact_estimator(network_integers(restored_estimator(tensors)))
    features = before.trunk.stem.weight.shape[1]
    seen = torch.randint(SIGNED.low, SIGNED.high + 1, (3, features, 5, 6)).float()
    assert same_function(before, after, seen, index)
    assert before.trunk(seen, index).max() <= ACTIVATION.high
    linear = restored_linear(tensors)
    assert np.array_equal(linear.blocks, tensors["linear"].numpy())


def test_calibration_changes_the_statistics_and_not_the_function(
    tensors: dict[str, Tensor], samples: NDArray[np.uint8], linear: Linear
) -> None:
    model = restored_predictor(tensors, "predictor")
    truth = coefficients(np.concatenate([samples, samples]))[: 3 * len(LEVELS)]
    levels = np.array(LEVELS).repeat(3)[: len(truth)]

    def bits() -> Tensor:
        with torch.no_grad():
            return predicted_bits(model, truth, levels, linear)

    before = bits()
    with torch.no_grad():
        assert not np.allclose(before, predicted_bits(model.train(), truth, levels, linear), 0.01)
    # train() has moved the statistics.
    model = restored_predictor(tensors, "predictor")
    calibrate(model, lambda: [bits() for _ in range(2)] and None)
    assert np.allclose(bits(), before, rtol=0.002)
    # What was seen is now what is normalised: a batch's own statistics change little.
    with torch.no_grad():
        assert np.allclose(predicted_bits(model.train(), truth, levels, linear), before, rtol=0.03)


def test_training_goes_on_from_weights(
    tensors: dict[str, Tensor], samples: NDArray[np.uint8], linear: Linear, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("codec.training.data.VALIDATION_IMAGES", 2)
    write_cifar(tmp_path)
    start = tmp_path / "weights"
    start.mkdir()
    options = ["--cifar", str(tmp_path), "--out", str(tmp_path / "on"), "--batch", "4"]
    options += ["--width", "32", "--blocks", "2", "--head-width", "16", "--estimator-width", "24"]
    options += ["--estimator-blocks", "1", "--start-from", str(start), "--minutes", "0.02"]
    with pytest.raises(SystemExit, match="nothing to start from"):
        embedded_train.main(options)
    path = start / "embedded.safetensors"
    for damaged, message in (
        (b"no weights", "not a file of weights"),
        ({"linear": tensors["linear"]}, "cannot be started from"),
        ({**part_of(tensors, "none"), **{k: tensors[k] for k in ("linear", "detail_linear")}},
         r"cannot be started from \(no 'blocks.trunk.stem.weight'\)"),
        ({**tensors, "predictor.blocks.trunk.stem.bias": torch.zeros(3)}, "cannot be started"),
    ):  # fmt: skip
        if isinstance(damaged, bytes):
            path.write_bytes(damaged)
        else:
            save_file(damaged, path)
        with pytest.raises(SystemExit, match=message) as raised:
            embedded_train.main(options)
        assert "\n" not in str(raised.value)
    save_file(tensors, path)
    (start / "embedded.json").write_text(json.dumps({"sha256": "earlier"}))
    # With hardly any steps at hardly any rate, what was there is what comes out.
    options += ["--peak-rate", "1e-9", "--muon-rate", "1e-9"]
    embedded_train.main(options)
    manifest = json.loads((tmp_path / "on" / "embedded.json").read_text())
    assert manifest["started_from"] == {"sha256": "earlier"}
    found = load_file(tmp_path / "on" / "embedded.safetensors")
    assert torch.equal(found["linear"], tensors["linear"])
    truth = coefficients(np.concatenate([samples, samples]))[: len(LEVELS)]
    levels = np.array(LEVELS)
    with torch.no_grad():
        bits = [
            predicted_bits(restored_predictor(each, "predictor"), truth, levels, linear).numpy()
            for each in (tensors, found)
        ]
    assert np.allclose(bits[0], bits[1], rtol=0.1)


def test_states_of_restored_networks_are_those_of_trained_ones(tensors: dict[str, Tensor]) -> None:
    predictor, estimator = restored_predictor(tensors, "predictor"), restored_estimator(tensors)
    predictor_of(predictor.state_dict())
    estimator_of(estimator.state_dict())
    calibrate(estimator, partial(estimator, torch.zeros(2, 193, 4, 4), torch.tensor([0, 1])))
    assert all(bool(value.isfinite().all()) for value in estimator.state_dict().values())


def sizes_with(*words: str) -> tuple[int, ...]:
    arguments = ["--cifar", "x", "--out", "y", *words]
    options = embedded_train.parse(arguments)
    for each in ("predictor", "estimator"):
        embedded_train.fill_sizes(each, options)
    names = (*embedded_train.PREDICTOR_SIZES, *embedded_train.ESTIMATOR_SIZES)
    return tuple(getattr(options, name) for name in names)


def test_networks_are_as_large_as_what_they_start_from_unless_larger_ones_are_asked_for() -> None:
    weights = ["--start-from", str(ROOT / "codec" / "weights")]
    tensors = load_file(ROOT / "codec" / "weights" / "embedded.safetensors")
    width, blocks, heads, estimator_width, estimator_blocks = sizes_with(*weights)
    assert (width, heads) == tuple(
        len(tensors[f"predictor.blocks.{name}.weight"]) for name in ("trunk.stem", "heads.0.first")
    )
    assert f"predictor.blocks.trunk.blocks.{blocks - 1}.first.weight" in tensors
    assert len(tensors["estimator.trunk.stem.weight"]) == estimator_width
    assert f"estimator.trunk.blocks.{estimator_blocks}.first.weight" not in tensors
    assert sizes_with() == (96, 3, 64, 128, 4)
    assert sizes_with("--width", "40") == (40, 3, 64, 128, 4)
    assert sizes_with(*weights, "--width", "200")[:3] == (200, blocks, heads)
    with pytest.raises(SystemExit, match=r"with --estimator-width 16, it has .* nothing shrinks"):
        sizes_with(*weights, "--estimator-width", "16")


def test_a_folder_that_holds_other_linear_predictions_is_not_gone_on_with(
    linear: Linear, samples: NDArray[np.uint8], tmp_path: Path
) -> None:
    other = Linear(np.full_like(linear.blocks, 1), linear.details)
    linear_prediction(tmp_path, samples, other)
    with pytest.raises(SystemExit, match="not those of what is started from"):
        linear_prediction(tmp_path, samples, linear)
    assert linear_prediction(tmp_path, samples).sha256 == other.sha256


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_manifest_that_is_none_is_said_before_anything_is_trained(
    text: str, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file(tensors, tmp_path / "embedded.safetensors")
    (tmp_path / "embedded.json").write_text(text)
    with pytest.raises(SystemExit, match=r"embedded\.json: not a manifest"):
        check_start(tmp_path, ["predictor"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("linear", torch.zeros(5, 48, 48, 3, 3, dtype=torch.int16)),
        ("linear", torch.zeros(3, dtype=torch.bfloat16)),
        ("predictor.blocks.trunk.stem.weight", torch.tensor(3, dtype=torch.int16)),
    ],
)
def test_foreign_tensors_are_one_line(
    key: str, value: Tensor, tensors: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file({**tensors, key: value}, tmp_path / "embedded.safetensors")
    with pytest.raises(SystemExit, match="cannot be started from") as raised:
        earlier_linear(tmp_path)
        earlier_size(tmp_path, "predictor")
    assert "\n" not in str(raised.value)


def test_nothing_is_widened_from_a_network_that_lacks_something(tensors: dict[str, Tensor]) -> None:
    state = restored_predictor(tensors, "predictor").state_dict()
    wider = new_predictor(1, Size(32, 2, 24))
    widen(wider, state)
    for missing in ("blocks.trunk.stem.conv.weight", "blocks.trunk.blocks.0.first.conv.weight"):
        with pytest.raises(ValueError, match="is missing"):
            widen(wider, {key: value for key, value in state.items() if key != missing})
    with pytest.raises(ValueError, match="is missing"):
        widen(wider, {})


@pytest.mark.parametrize("last", ["blocks.heads.0.out.conv", "details.heads.1.out.conv"])
def test_outputs_of_another_number_mean_something_else(
    last: str, tensors: dict[str, Tensor]
) -> None:
    """As of heads with two for each channel."""
    state = restored_predictor(tensors, "predictor").state_dict()
    key = f"{last}.weight"
    some = {**state, key: state[key][::2], f"{last}.bias": state[f"{last}.bias"][::2]}
    with pytest.raises(ValueError, match=rf"{key}: expected \d+ outputs, found {len(some[key])}$"):
        widen(new_predictor(1, Size(32, 2, 24)), some)


def test_heads_do_not_unlearn_to_see_features() -> None:
    blind = new_predictor(2, Size(130, 1, 8, heads_see_features=False))
    with pytest.raises(ValueError, match="expected heads that see no features"):
        widen(blind, new_predictor(1, Size(16, 1, 8)).state_dict())


@pytest.mark.parametrize(
    "words",
    [
        ["--muon-rate", "-1"], ["--muon-rate", "nan"], ["--threads", "0"], ["--peak-rate", "-1"],
        ["--seed", "-1"], ["--batch", "0"], ["--minutes", "nan"],
    ],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        sizes_with(*words)
    assert "expected" in capsys.readouterr().err
