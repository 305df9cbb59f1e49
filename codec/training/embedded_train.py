"""From CIFAR-10's official files to the weights of the profile `embedded`.

    testbed train embedded --cifar DIR --photos DIR --out DIR --minutes M

First the linear prediction is fitted, then predictor and estimator are trained; neither sees the
other, so they may train at the same time in two processes that share the folder:

    testbed train embedded ... --part predictor --minutes 70 &
    testbed train embedded ... --part estimator --minutes 60 &
    wait; testbed train embedded ... --minutes 0        # writes the weights and the manifest

What was interrupted goes on from its last checkpoint. `--ablate` trains a crippled predictor and
prints what it costs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from codec.training.embedded_data import EmbeddedData, load_embedded_data
from codec.training.embedded_estimator import train_estimator
from codec.training.embedded_export import (
    PROFILE,
    embedded_tensors,
    load_checkpoint,
    write_embedded,
)
from codec.training.embedded_linear import FILE_NAME, linear_prediction
from codec.training.embedded_predictor import (
    TABLE_PICTURES,
    bpp_by_level,
    table,
    train_predictor,
)
from codec.training.loop import LoopSettings, add_loop_arguments

PARTS = ("predictor", "estimator")
PREDICTOR_SHARE = 0.55
"""Of the minutes, if both parts are trained."""
VALIDATED_PICTURES = 1000


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    parts = PARTS if options.part == "both" else (options.part,)
    if options.minutes == 0:
        for part in parts:
            load_checkpoint(_checkpoint(options.out, part))
    if options.start_from is not None:
        for path in (
            options.start_from / FILE_NAME,
            *(_checkpoint(options.start_from, p) for p in parts),
        ):
            if not path.is_file():
                raise SystemExit(f"{path}: not there, nothing to start from")
    data = load_embedded_data(options.cifar, options.photos, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    linear = linear_prediction(options.out, data.train, options.start_from)
    for part in parts if options.minutes > 0 else ():
        minutes = options.minutes
        if options.part == "both":
            minutes *= PREDICTOR_SHARE if part == "predictor" else 1 - PREDICTOR_SHARE
        settings = LoopSettings(
            options.out, minutes, run_of(part, options, data, linear), options.batch,
            options.peak_rate, options.seed, start_from=options.start_from,
        )  # fmt: skip
        if part == "predictor":
            model = train_predictor(data, linear, settings, options.ablate)
            held_out = data.validation[:TABLE_PICTURES]
            print(f"{len(held_out)} held-out pictures, ablation: {options.ablate}")
            print(table(bpp_by_level(model, held_out, linear, options.ablate)))
        else:
            train_estimator(data, linear, settings)
    if options.part == "both":
        print(export(options, data, linear))
    elif options.ablate == "none":
        print(
            "no weights yet: train the other part too, then --minutes 0 without --part writes them"
        )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "testbed train embedded", description="Train the profile `embedded`."
    )
    add_loop_arguments(parser, peak_rate=2e-3, batch=40)
    parser.add_argument("--photos", type=Path, help="folder of PNG photographs to crop from")
    parser.add_argument("--part", choices=("both", *PARTS), default="both")
    parser.add_argument("--start-from", type=Path, help="folder of a finished run to train on from")
    parser.add_argument(
        "--ablate", choices=("none", "single_pass", "no_linear"), default="none",
        help="what the predictor shall do without; with --part predictor",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.ablate != "none" and options.part != "predictor":
        parser.error("--ablate is for the predictor alone: add --part predictor")
    if options.minutes < 0 or options.batch < 1:
        parser.error("expected --minutes of at least 0 and --batch of at least 1")
    if options.minutes == 0 and options.part != "both":
        parser.error("--minutes 0 writes the weights of both parts: leave --part out")
    return options


def run_of(
    part: str, options: argparse.Namespace, data: EmbeddedData, linear: NDArray[np.int16]
) -> str:
    """What a checkpoint must agree in to be gone on from, all but the time."""
    digest = hashlib.sha256(linear.tobytes()).hexdigest()
    return f"{_command(part, options)}; data {data.sources}; {FILE_NAME} {digest}"


def _command(part: str, options: argparse.Namespace) -> str:
    """The command line without the minutes, its folders replaced by what they hold."""
    photos = "--photos PHOTOS " if options.photos else ""
    start = "--start-from EARLIER " if options.start_from else ""
    ablate = (
        f" --ablate {options.ablate}" if part == "predictor" and options.ablate != "none" else ""
    )
    return (
        f"testbed train embedded --cifar CIFAR10 {photos}{start}--out OUT --part {part} "
        f"--peak-rate {options.peak_rate:g} --batch {options.batch} --seed {options.seed}{ablate}"
    )


def _checkpoint(folder: Path, part: str) -> Path:
    """Where loop.train keeps it."""
    return folder / f"{part}.checkpoint.pt"


def export(
    options: argparse.Namespace, data: EmbeddedData, linear: NDArray[np.int16]
) -> dict[str, Any]:
    """Writes `embedded.safetensors` and `embedded.json`, which it returns, from the checkpoints."""
    found = {part: load_checkpoint(_checkpoint(options.out, part)) for part in PARTS}
    for part, each in found.items():
        if each.run != run_of(part, options, data, linear):
            raise SystemExit(
                f"{_checkpoint(options.out, part)} is of another run; give its options again\n"
                f"  there: {each.run}\n  here:  {run_of(part, options, data, linear)}"
            )
    making = {
        "data": data.sources,
        "commands": {
            part: f"{_command(part, options)} --minutes {each.minutes:g}"
            for part, each in found.items()
        },
        "minutes": {part: each.minutes for part, each in found.items()},
        "steps": {part: each.steps for part, each in found.items()},
        "started_from": earlier_manifest(options.start_from),
    }
    states = {part: each.model for part, each in found.items()}
    tensors = embedded_tensors(states["predictor"], states["estimator"], linear)
    path = options.out / f"{PROFILE}.safetensors"
    return write_embedded(path, tensors, data.validation[:VALIDATED_PICTURES], making)


def earlier_manifest(start_from: Path | None) -> dict[str, Any] | None:
    """The manifest of the run in --start-from: how the starting point came about."""
    if start_from is None:
        return None
    path = start_from / f"{PROFILE}.json"
    if not path.is_file():
        return {"file": "checkpoints without a manifest"}
    earlier = json.loads(path.read_text())
    assert isinstance(earlier, dict)
    return earlier


if __name__ == "__main__":
    main()
