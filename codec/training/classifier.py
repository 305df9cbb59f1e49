"""Trains codec/classifier.py on CIFAR-10's training half.

    testbed train classifier --cifar DIR --out DIR --minutes M

Pictures are mirrored and moved by up to four pixels; labels are smoothed by a tenth. What is kept
has its normalisations folded into the convolutions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from codec.classifier import CLASSES, Classifier
from codec.training.data import VALIDATION_IMAGES, load_training_data
from codec.training.loop import add_loop_arguments, settings_of, train
from codec.training.manifest import rounded, write_weights

SHIFT = 4
SMOOTHING = 0.1


class NormalisedUnit(nn.Module):
    """Convolution, normalisation, rectifier."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.normalisation = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.normalisation(self.convolution(x)))


def folded(model: Classifier) -> Classifier:
    """The same function without normalisations, of a trained `Classifier(NormalisedUnit)`."""
    model.eval()
    state = model.out.state_dict(prefix="out.")
    for name, unit in model.named_modules():
        if isinstance(unit, NormalisedUnit):
            fused = fuse_conv_bn_eval(unit.convolution, unit.normalisation)
            state |= fused.state_dict(prefix=f"{name}.convolution.")
    plain = Classifier()
    plain.load_state_dict(state)
    return plain.eval()


def labels_of(cifar: Path) -> NDArray[np.int64]:
    """Of data_batch_1..5.bin, in the order of `load_training_data`: the byte before a picture."""
    files = [cifar / f"data_batch_{k}.bin" for k in range(1, 6)]
    raw = b"".join(path.read_bytes() for path in files)
    return np.frombuffer(raw, np.uint8).reshape(-1, 3073)[:, 0].astype(np.int64)


def augmented(pictures: NDArray[np.uint8], random: np.random.Generator) -> Tensor:
    """Float pictures in 0 .. 1, each mirrored or not, and moved on its own."""
    padded = np.pad(pictures, ((0, 0), (0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)), mode="reflect")
    side = pictures.shape[2]
    moved = np.empty_like(pictures)
    for index, (top, left) in enumerate(random.integers(0, 2 * SHIFT + 1, (len(pictures), 2))):
        moved[index] = padded[index, :, top : top + side, left : left + side]
    mirrored = random.random(len(pictures)) < 0.5
    moved[mirrored] = moved[mirrored, :, :, ::-1]
    batch = torch.from_numpy(moved).float().div_(255.0)
    return batch.contiguous(memory_format=torch.channels_last)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    data = load_training_data(options.cifar, None, options.seed)
    labels = labels_of(options.cifar)
    random = np.random.default_rng(options.seed)
    model = Classifier(NormalisedUnit)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss_of(indices: NDArray[np.int64]) -> tuple[Tensor, dict[str, float]]:
        pictures = augmented(data.train[indices], random)
        wanted = torch.from_numpy(labels[indices])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(pictures).float()
        right = (logits.argmax(1) == wanted).float().mean()
        loss = functional.cross_entropy(logits, wanted, label_smoothing=SMOOTHING)
        return loss, {"accuracy": float(right)}

    settings = settings_of(options, f"classifier on {data.sources}")
    train("classifier", model, loss_of, len(data.train), settings)
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    plain = folded(model)
    raw = rounded(plain)
    making = {
        "classes": CLASSES,
        "data": data.sources,
        "command": "testbed train classifier --cifar CIFAR10 --out OUT "
        f"--minutes {options.minutes:g} --peak-rate {options.peak_rate:g} "
        f"--batch {options.batch} --seed {options.seed}",
    }
    held_out = labels[-VALIDATION_IMAGES:]
    validation = {"validation_accuracy": round(accuracy(plain, data.validation, held_out), 4)}
    print(write_weights(options.out / "classifier.safetensors", raw, making, validation))


@torch.no_grad()
def accuracy(model: Classifier, pictures: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Share of pictures (N, 3, 32, 32) whose class is found."""
    right = 0
    for start in range(0, len(pictures), 250):
        batch = torch.from_numpy(pictures[start : start + 250]).float().div_(255.0)
        right += int((model(batch).argmax(1).numpy() == labels[start : start + 250]).sum())
    return right / len(pictures)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the classifier.")
    add_loop_arguments(parser, peak_rate=4e-3, batch=128)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
