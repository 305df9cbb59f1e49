"""The networks behind the metrics `task` and `lpips`, against numpy and by their laws."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from codec.base import CodecError
from codec.classifier import CLASSES, WEIGHTS, Classifier, class_of, load_classifier
from codec.training.classifier import NormalisedUnit, folded
from testbed.evaluation.classifier_accuracy import accuracies
from testbed.evaluation.lpips import LEAST_SIDE, load_lpips
from testbed.evaluation.metrics import failed_picture
from testbed.images import ImageSourceError, load_images


@pytest.fixture(scope="module")
def samples() -> list[np.ndarray]:
    return [image.pixels for image in load_images("samples32", Path())]


def convolved(x, weight, bias, stride: int, padding: int) -> np.ndarray:
    """Cross-correlation with zeros around, (C, H, W) to (D, H', W'), in float64."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    side = weight.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    return np.einsum("chwij,dcij->dhw", windows, weight, optimize=True) + bias[:, None, None]


# --- the classifier ---------------------------------------------------------------------------


def logits_by_hand(picture: np.ndarray) -> np.ndarray:
    tensors = {key: value.astype(np.float64) for key, value in load_file(WEIGHTS).items()}

    def unit(x, name: str, stride: int = 1) -> np.ndarray:
        weight, bias = (tensors[f"features.{name}.convolution.{k}"] for k in ("weight", "bias"))
        return np.maximum(convolved(x, weight, bias, stride, 1), 0)

    x = unit((picture.transpose(2, 0, 1) / 255 - 0.5) * 4, "0")
    for down, residual in ((1, 2), (3, 4), (5, 6)):
        x = unit(x, f"{down}", 2)
        x = x + unit(unit(x, f"{residual}.first"), f"{residual}.second")
    return tensors["out.weight"] @ x.max((1, 2)) + tensors["out.bias"]


def test_classes_are_those_of_the_network_computed_by_hand(samples) -> None:
    network, _ = load_classifier()
    large = np.tile(samples[3], (2, 2, 1))[:37, :50]
    for picture in (*samples[:4], large):
        by_hand = logits_by_hand(picture)
        pixels = torch.from_numpy(picture.transpose(2, 0, 1).copy()).float() / 255
        with torch.no_grad():
            assert network(pixels[None])[0].numpy() == pytest.approx(by_hand, abs=1e-4)
        assert class_of(picture) == by_hand.argmax()


def test_a_class_does_not_depend_on_the_pictures_before(samples) -> None:
    forwards = [class_of(each) for each in samples]
    assert [class_of(each) for each in reversed(samples)] == forwards[::-1]
    assert len(set(forwards)) > 3


@pytest.mark.parametrize("size", [(1, 1), (7, 300)])
def test_pictures_of_any_size_have_a_class(size) -> None:
    assert 0 <= class_of(failed_picture(*size)) < len(CLASSES)


def test_only_pictures_have_a_class() -> None:
    with pytest.raises(CodecError, match="expected an image"):
        class_of(np.zeros((8, 8), np.uint8))


def test_folding_the_normalisations_changes_nothing() -> None:
    torch.manual_seed(0)
    trained = Classifier(NormalisedUnit)
    for module in trained.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
    pictures = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        plain, before = folded(trained)(pictures), trained.eval()(pictures)
    assert torch.allclose(plain, before, rtol=1e-4, atol=1e-4 * float(before.abs().max()))


def test_accuracy_needs_labels() -> None:
    with pytest.raises(ImageSourceError, match="expected a picture with a label"):
        accuracies(load_images("samples32", Path(), 1))


@pytest.mark.skipif("TESTBED_DATA" not in os.environ, reason="needs CIFAR-10 in TESTBED_DATA")
def test_nine_of_ten_test_pictures_are_recognised() -> None:
    right, total = accuracies(load_images("cifar10_test", Path(), 1000))["all"]
    # Of 10,000 90.3 %: four standard errors of 1,000 are 3.7 %.
    assert right / total > 0.866


# --- LPIPS ------------------------------------------------------------------------------------

SHAPES = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}


def random_weights() -> dict[str, np.ndarray]:
    """With the names and shapes of the published files, scaled so that no layer dies out."""
    random = np.random.default_rng(0)
    tensors = {}
    for index, (number, (outputs, inputs, side)) in enumerate(SHAPES.items()):
        shape = (outputs, inputs, side, side)
        scale = np.sqrt(2 / (inputs * side * side))
        tensors[f"features.{number}.weight"] = scale * random.standard_normal(shape)
        tensors[f"features.{number}.bias"] = 0.1 * random.standard_normal(outputs)
        tensors[f"lin{index}.model.1.weight"] = random.random((1, outputs, 1, 1))
    return {key: value.astype(np.float32) for key, value in tensors.items()}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lpips") / "random.safetensors"
    save_file(random_weights(), path)
    return path


def distance_by_hand(reference: np.ndarray, picture: np.ndarray) -> float:
    """Equation (1) of the paper, as its code has it."""
    tensors = random_weights()

    def unit_vectors(pixels: np.ndarray) -> list[np.ndarray]:
        x = pixels.transpose(2, 0, 1) / 127.5 - 1
        x = (x - np.array([-0.030, -0.088, -0.188])[:, None, None]) / np.array(
            [0.458, 0.448, 0.450]
        )[:, None, None]
        found = []
        for number in SHAPES:
            if number in (3, 6):
                windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
                x = windows[:, ::2, ::2].max((3, 4))
            stride, padding = {0: (4, 2), 3: (1, 2)}.get(number, (1, 1))
            weight, bias = (tensors[f"features.{number}.{key}"] for key in ("weight", "bias"))
            x = np.maximum(convolved(x, weight.astype(np.float64), bias, stride, padding), 0)
            found.append(x / (np.sqrt((x**2).sum(0)) + 1e-10))
        return found

    return sum(
        float((tensors[f"lin{k}.model.1.weight"][0] * (a - b) ** 2).sum(0).mean())
        for k, (a, b) in enumerate(zip(unit_vectors(reference), unit_vectors(picture), strict=True))
    )


def noisy(picture: np.ndarray, sigma: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(31, 31), (32, 32), (53, 70)])
def test_lpips_is_what_numpy_computes(weights, samples, size) -> None:
    network, _ = load_lpips(weights)
    picture = np.tile(samples[5], (2, 3, 1))[: size[0], : size[1]]
    for sigma in (3, 40):
        other = noisy(picture, sigma)
        expected = distance_by_hand(picture, other)
        assert network.distance(picture, other) == pytest.approx(expected, rel=1e-4)


def test_lpips_is_a_distance_that_grows_with_noise(weights, samples) -> None:
    network, _ = load_lpips(weights)
    for picture in samples[:3]:
        assert network.distance(picture, picture) == 0
        distances = []
        for sigma in (2, 10, 50):
            other = noisy(picture, sigma)
            distances.append(network.distance(picture, other))
            assert network.distance(other, picture) == pytest.approx(distances[-1], rel=1e-6)
        assert 0 < distances[0] < distances[1] < distances[2]


def test_lpips_ends_where_alexnet_does(weights) -> None:
    network, _ = load_lpips(weights)
    small = failed_picture(LEAST_SIDE - 1, 40)
    with pytest.raises(RuntimeError):
        network.distance(small, small)


def test_weights_of_something_else_are_refused_in_one_line(tmp_path) -> None:
    tensors = random_weights()
    del tensors["lin2.model.1.weight"]
    path = tmp_path / "partial.safetensors"
    save_file(tensors, path)
    for file, words in (
        (path, r"no weights of LPIPS .*lin2\.model\.1\.weight"),
        (WEIGHTS, "no weights of LPIPS"),
        (tmp_path / "none", "no weights of LPIPS: No such file"),
        (Path(__file__), "no weights of LPIPS"),
    ):
        with pytest.raises(CodecError, match=words) as caught:
            load_lpips(file)
        assert "\n" not in str(caught.value)
