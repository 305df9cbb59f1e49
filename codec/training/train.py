"""From CIFAR-10's official files to the weights of the profile `paper`, in one pass.

    testbed train --profile paper --cifar DIR --photos DIR --out DIR --minutes M

Stage 1 trains the autoencoder, then anew the network that its latent is coded by. Stage 2 trains
the eight enhancement networks, each on the pictures that the exact networks before it leave behind.
Stage 3 counts how often predictions are wrong in each context, which gives CABAC its start states,
and writes weights and manifest. A run that was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from codec.networks import ExactAutoencoder
from codec.training.autoencoder import train_autoencoder
from codec.training.contexts import (
    count_latent,
    count_plane,
    fit_plane_model,
    start_probabilities,
)
from codec.training.data import TrainingData, load_training_data
from codec.training.enhancement import train_enhancement
from codec.training.export import autoencoder_tensors, write_profile
from codec.training.latent_prior import latent_model, train_latent_prior
from codec.training.loop import LoopSettings
from codec.training.manifest import earlier_manifest

COUNTED_PICTURES = 15000
VALIDATED_PICTURES = 1000
PRIOR_SHARE = 0.06
"""Of the minutes, for the network that chooses the contexts of the latent."""


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    data = load_training_data(options.cifar, options.photos, options.seed)
    tensors = train_networks(data, options)
    manifest = {
        "profile": options.profile,
        "data": data.sources,
        "command": reproducible_command(options),
        "started_from": earlier_manifest(options.start_from, options.profile),
        "device": options.device,
    }
    path = options.out / f"{options.profile}.safetensors"
    print(write_profile(path, tensors, data.validation[:VALIDATED_PICTURES], manifest))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("testbed train", description="Train the layered codec.")
    parser.add_argument("--profile", default="paper", help="name of the weights file")
    parser.add_argument("--cifar", type=Path, required=True, help="folder of data_batch_1..5.bin")
    parser.add_argument("--photos", type=Path, help="folder of PNG photographs to crop from")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, logs and weights")
    parser.add_argument("--minutes", type=float, default=70.0, help="time budget of the networks")
    parser.add_argument(
        "--base-bpp", type=float, default=0.65, help="rate of the base layer aimed at"
    )
    parser.add_argument("--autoencoder-share", type=float, default=0.3, help="of the minutes")
    parser.add_argument("--start-from", type=Path, help="folder of a finished run to train on from")
    parser.add_argument("--peak-rate", type=float, default=2e-3, help="the largest learning rate")
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


def reproducible_command(options: argparse.Namespace) -> str:
    """The command line, its folders replaced by what they hold."""
    photos = "--photos PHOTOS " if options.photos else ""
    start = "--start-from EARLIER " if options.start_from else ""
    return (
        f"testbed train --profile {options.profile} --cifar CIFAR10 {photos}{start}--out OUT "
        f"--minutes {options.minutes:g} --autoencoder-share {options.autoencoder_share:g} "
        f"--peak-rate {options.peak_rate:g} --base-bpp {options.base_bpp:g} "
        f"--batch {options.batch} --seed {options.seed} --device {options.device} "
        f"--threads {options.threads}"
    )


def train_networks(data: TrainingData, options: argparse.Namespace) -> dict[str, Tensor]:
    """Stages 1 to 3; everything that the weights file holds except the adaptation speed."""

    # The number of threads may change between two parts of a run.
    command = reproducible_command(options).rpartition(" --threads ")[0]
    run = f"{command}; data {data.sources}"

    def settings(minutes: float) -> LoopSettings:
        return LoopSettings(
            options.out,
            minutes,
            run,
            options.batch,
            options.peak_rate,
            options.seed,
            options.device,
            options.start_from,
        )

    autoencoder_minutes = options.minutes * options.autoencoder_share
    prior_minutes = options.minutes * PRIOR_SHARE
    model = train_autoencoder(data.train, settings(autoencoder_minutes), options.base_bpp)
    tensors = autoencoder_tensors(model.cpu(), data.train[:2000])
    autoencoder = ExactAutoencoder(
        {k.removeprefix("encoder."): v for k, v in tensors.items()},
        {k.removeprefix("decoder."): v for k, v in tensors.items()},
    )
    counted = slice(0, COUNTED_PICTURES)
    all_latents = autoencoder.latent(data.train)
    expected = latent_model(train_latent_prior(all_latents, settings(prior_minutes)))
    tensors |= {f"latent.{k}": torch.from_numpy(v) for k, v in expected._asdict().items()}
    counts = count_latent(all_latents[counted], expected)
    tensors["latent.p1"] = torch.from_numpy(start_probabilities(counts))
    plane_minutes = (options.minutes - autoencoder_minutes - prior_minutes) / 8
    for plane, network, values in train_enhancement(data, autoencoder, settings(plane_minutes)):
        tensors |= {f"enhancement{plane}.{key}": value for key, value in network.items()}
        fitted = fit_plane_model(values[counted], data.train[counted], plane)
        counts = count_plane(values[counted], data.train[counted], plane, fitted)
        tensors |= {
            f"plane{plane}.p1": torch.from_numpy(start_probabilities(counts)),
            f"plane{plane}.weights": torch.from_numpy(fitted.weights),
            f"plane{plane}.residual_steps": torch.from_numpy(fitted.residual_steps),
            f"plane{plane}.slope_steps": torch.from_numpy(fitted.slope_steps),
        }
    return tensors


if __name__ == "__main__":
    main()
