"""Trains the networks of codec/deepjscc.py over simulated channels.

    testbed train deepjscc --cbr 1/6 --channel awgn --cifar DIR --out DIR --minutes M

Every picture of a batch meets an SNR of its own, uniform in dB over SNR_RANGE_DB, and in Rayleigh
fading a gain of its own that only the receiver knows. The loss is the mean logarithm of each
picture's squared error: the mean PSNR, in which no SNR outweighs the others.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.deepjscc import SYMBOL_CHANNELS, DeepJscc
from codec.training.data import TrainingData, load_training_data
from codec.training.loop import add_loop_arguments, settings_of, train
from codec.training.manifest import rounded, write_weights

SNR_RANGE_DB = (-4.0, 22.0)
LEAST_ERROR = 1e-5
"""Added to squared errors (peak 1): differences beyond 50 dB are not worth learning."""
CHANNELS = ("awgn", "rayleigh")
VALIDATED_PICTURES = 2000
VALIDATED_DB = (0.0, 5.0, 10.0, 15.0, 20.0)


def through_channel(
    symbols: Tensor, snr_db: Tensor, channel: str, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Equalised symbols, and the SNR of each, as a receiver knows it.

    symbols: (N, C, H, W), mean square 1/2. snr_db: (N,), mean Es/N0. The phase of a gain is undone
    by the receiver and leaves white noise what it is: only its power is drawn.
    """
    snr = 10.0 ** (snr_db / 10.0)
    if channel == "rayleigh":
        snr = snr * torch.empty_like(snr).exponential_(generator=random)
    snr = snr.clamp(min=1e-3)[:, None, None, None]
    noise = torch.randn(symbols.shape, generator=random) * torch.rsqrt(2.0 * snr)
    return symbols + noise, snr.expand_as(symbols)


def squared_errors(
    model: DeepJscc, pictures: Tensor, snr_db: Tensor, channel: str, random: torch.Generator
) -> Tensor:
    """(N,): of each picture, peak value 1."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        symbols = model.encoder(pictures, snr_db)
        received, snr = through_channel(symbols, snr_db, channel, random)
        decoded = model.decoder(received, snr)
    errors: Tensor = (decoded.float() - pictures).square().mean((1, 2, 3))
    return errors


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    data = load_training_data(options.cifar, None, options.seed)
    name = f"deepjscc_{options.channel}_{options.cbr.replace('/', '_')}"
    model = DeepJscc(SYMBOL_CHANNELS[options.cbr])
    if options.start_from is not None:
        start_from(model, options.start_from)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    random = torch.Generator().manual_seed(options.seed)

    def loss_of(indices: NDArray[np.int64]) -> tuple[Tensor, dict[str, float]]:
        pictures = batch_of(data.train[indices], random)
        low, high = SNR_RANGE_DB
        snr_db = low + (high - low) * torch.rand(len(pictures), generator=random)
        errors = squared_errors(model, pictures, snr_db, options.channel, random)
        loss = torch.log(errors + LEAST_ERROR).mean()
        return loss, {"psnr_db": float(-10.0 * torch.log10(errors.detach()).mean())}

    settings = settings_of(options, f"{name} on {data.sources}")
    train(name, model, loss_of, len(data.train), settings)
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    print(write_networks(model, options, data))


def write_networks(
    model: DeepJscc, options: argparse.Namespace, data: TrainingData
) -> dict[str, Any]:
    """Writes the weights, in half precision, and their manifest, which it returns."""
    raw = rounded(model)
    making = {
        "data": data.sources,
        "command": f"testbed train deepjscc --cbr {options.cbr} --channel {options.channel} "
        f"--cifar CIFAR10 --out OUT --minutes {options.minutes:g} "
        f"--peak-rate {options.peak_rate:g} --batch {options.batch} --seed {options.seed}",
        "started_from": None if options.start_from is None else options.start_from.name,
    }
    quality = validate(model, data.validation, options.channel)
    path = options.out / f"{options.channel}_{options.cbr.replace('/', '_')}.safetensors"
    return write_weights(path, raw, making, {"validation_psnr_db_by_snr_db": quality})


def batch_of(pictures: NDArray[np.uint8], random: torch.Generator) -> Tensor:
    """float32 in 0 .. 1, half of the batches mirrored."""
    batch = torch.from_numpy(pictures).float().div_(255.0)
    if torch.rand((), generator=random) < 0.5:
        batch = batch.flip(3)
    return batch.contiguous(memory_format=torch.channels_last)


def start_from(model: DeepJscc, path: Path) -> None:
    """Takes over whatever fits of a checkpoint, also of another bandwidth ratio."""
    earlier = torch.load(path, weights_only=True)["model"]
    own = model.state_dict()
    model.load_state_dict(
        {k: earlier[k] if earlier[k].shape == v.shape else v for k, v in own.items()}
    )


@torch.no_grad()
def validate(model: DeepJscc, pictures: NDArray[np.uint8], channel: str) -> dict[float, float]:
    """Mean PSNR in dB on held-out pictures by SNR, as 8-bit pictures."""
    random = torch.Generator().manual_seed(0)
    found = {}
    for snr_db in VALIDATED_DB:
        values = []
        for start in range(0, min(VALIDATED_PICTURES, len(pictures)), 250):
            batch = torch.from_numpy(pictures[start : start + 250]).float().div_(255.0)
            snrs_db = torch.full((len(batch),), snr_db)
            symbols = model.encoder(batch, snrs_db)
            decoded = model.decoder(*through_channel(symbols, snrs_db, channel, random))
            shown = (decoded.clamp(0.0, 1.0) * 255.0).round() / 255.0
            values.append(-10.0 * torch.log10((shown - batch).square().mean((1, 2, 3))))
        found[snr_db] = round(float(torch.cat(values).mean()), 2)
    return found


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train learned analog transmission.")
    parser.add_argument("--cbr", choices=SYMBOL_CHANNELS, required=True)
    parser.add_argument("--channel", choices=CHANNELS, required=True)
    add_loop_arguments(parser, peak_rate=1e-3, batch=64)
    parser.add_argument("--start-from", type=Path, help="a checkpoint, of any ratio or channel")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
