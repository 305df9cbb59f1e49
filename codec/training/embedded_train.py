"""From CIFAR-10's official files to the weights of the profile `embedded`.

    testbed train embedded --cifar DIR --photos DIR --out DIR --minutes M

First the linear predictions are fitted, then predictor and estimator are trained; neither sees the
other, so they may train at the same time in processes that share the folder:

    testbed train embedded ... --part predictor --width 144 --blocks 4 --head-width 80 &
    testbed train embedded ... --part predictor --kind photographs &
    testbed train embedded ... --part estimator --estimator-width 192 --estimator-blocks 5 &
    wait; testbed train embedded ... --minutes 0        # writes the weights and the manifest

With a GPU: `--device cuda --workers 8`. What was interrupted goes on from its last checkpoint.
`--start-from` begins with the networks of a finished run, which may be smaller, or with those of a
weights file: `--start-from codec/weights` goes on from what ships; `--minutes 0` then keeps the
networks that were not trained on. `--streams reversible` trains a predictor for reversible streams
alone. `--ablate` trains a crippled predictor and prints what it costs.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Collection
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

import torch

from codec.embedded.networks import (
    BLOCK_SIZE,
    ESTIMATOR_BLOCKS,
    ESTIMATOR_WIDTH,
    MOST_BLOCKS,
    MOST_WIDTH,
    Size,
)
from codec.embedded.profile import (
    CORRECTION,
    REVERSIBLE,
    STAND_INS,
    embedded_profile_from_tensors,
    predictor_name,
)
from codec.training import embedded_estimator, embedded_predictor
from codec.training.embedded_correction import PICTURES as CORRECTION_PICTURES
from codec.training.embedded_correction import learnt_correction
from codec.training.embedded_data import (
    KINDS,
    LEAST_BATCH,
    Batches,
    EmbeddedData,
    Kind,
    load_embedded_data,
)
from codec.training.embedded_estimator import new_estimator, train_estimator
from codec.training.embedded_export import (
    PROFILE,
    Checkpoint,
    embedded_tensors,
    load_checkpoint,
    write_embedded,
)
from codec.training.embedded_linear import FILE_NAME, Linear, linear_prediction
from codec.training.embedded_predictor import (
    ALL,
    EMPHASIS,
    TABLE_PICTURES,
    bpp_by_level,
    new_predictor,
    table,
    train_predictor,
)
from codec.training.embedded_start import (
    UNFIT,
    begin,
    check_start,
    checkpoint_path,
    earlier_linear,
    earlier_networks,
    earlier_size,
    reason_of,
)
from codec.training.loop import LoopSettings, add_loop_arguments, at_least
from codec.training.manifest import earlier_manifest

PARTS = ("predictor", "estimator")
PHOTOGRAPHS: Kind = "photographs"
SETTLED = 0.35
"""Share of a training in which normalisations have settled: without that, levels told in few bins
take up to a third more bits in use than in training."""
NETWORKS = (*STAND_INS, "estimator")
"""Names of checkpoints, and of what the weights file holds."""
THUMBNAILS_REVERSIBLE = predictor_name(photographs=False, reversible=True)
"""The predictor whose correction begins with what was learnt from the training's pictures.
Irreversible streams of thumbnails are coded as the network says."""
OF_PHOTOGRAPHS = {predictor_name(photographs=True, reversible=each) for each in (False, True)}
PREDICTOR_SHARE = 0.55
"""Of the minutes, if both parts are trained."""
PREDICTOR_SIZES = ("width", "blocks", "head_width")
ESTIMATOR_SIZES = ("estimator_width", "estimator_blocks")
"""Names of the options, in the order of `Size`."""
MUON_RATES = {"predictor": 0.01, "estimator": 0.006}
VALIDATED_PICTURES = 1000
START_FROM = "--start-from EARLIER"


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    parts = PARTS if options.part == "both" else (options.part,)
    if options.minutes == 0:
        finished(options, earlier_networks(options.start_from))
    earlier = None
    if options.start_from is not None:
        check_start(options.start_from, [_name(part, options) for part in parts])
        earlier = earlier_linear(options.start_from)
    for part in parts:
        fill_sizes(part, options)
    data = load_embedded_data(options.cifar, options.photos, options.seed, options.kind)
    options.out.mkdir(parents=True, exist_ok=True)
    linear = linear_prediction(options.out, data.train, earlier)
    for part in parts if options.minutes > 0 else ():
        train_part(part, options, data, linear)
    if options.part == "both":
        print(export(options, data, linear))
    elif options.ablate == "none":
        print(
            "no weights yet: train the other part too, then --minutes 0 without --part writes them"
        )


def train_part(part: str, options: argparse.Namespace, data: EmbeddedData, linear: Linear) -> None:
    """Trains one network; of a predictor prints what it makes of held-out pictures."""
    minutes = options.minutes
    if options.part == "both":
        minutes *= PREDICTOR_SHARE if part == "predictor" else 1 - PREDICTOR_SHARE
    settings = LoopSettings(
        options.out, minutes, run_of(part, options, data, linear), options.batch,
        options.peak_rate, options.seed, options.device, workers=options.workers, settled=SETTLED,
    )  # fmt: skip
    muon_rate = _muon_rate(part, options)
    name = _name(part, options)
    # A run that goes on has its own checkpoint, which takes the place of all this.
    begins = options.start_from is not None and not checkpoint_path(options.out, name).exists()
    if part == "estimator":
        estimator = new_estimator(options.seed, options.estimator_width, options.estimator_blocks)
        batches = Batches(data, embedded_estimator.SHARES, options.batch, options.seed)
        if begins:
            look = partial(embedded_estimator.look, batches=batches, linear=linear)
            begin(estimator, options.start_from, name, look)
        train_estimator(estimator, batches, linear, settings, muon_rate)
        return
    model = new_predictor(options.seed, Size(options.width, options.blocks, options.head_width))
    emphasis = EMPHASIS[options.streams]
    batches = Batches(data, emphasis.shares, options.batch, options.seed, emphasis.crop_shares)
    if begins:
        look = partial(embedded_predictor.look, batches=batches, linear=linear)
        begin(model, options.start_from, name, look)
    train_predictor(
        name, model, batches, linear, settings, options.ablate, muon_rate, emphasis.worth
    )
    held_out = data.held_out(TABLE_PICTURES)
    print(f"{len(held_out)} held-out {options.kind}, ablation: {options.ablate}")
    print(table(bpp_by_level(model, held_out, linear, options.ablate)))


def fill_sizes(part: str, options: argparse.Namespace) -> None:
    """Sizes of a part that were not given: those of what is started from, or the usual ones.

    Raises SystemExit if one was given that is smaller than what is started from.
    """
    names = ESTIMATOR_SIZES if part == "estimator" else PREDICTOR_SIZES
    usual = Size(ESTIMATOR_WIDTH, ESTIMATOR_BLOCKS, 0) if part == "estimator" else BLOCK_SIZE
    started = None
    if options.start_from is not None:
        started = earlier_size(options.start_from, _name(part, options))
    values = zip(names, astuple(started or usual), strict=False)
    for name, value in values:
        given = getattr(options, name)
        if given is None:
            setattr(options, name, value)
        elif started is not None and given < value:
            raise SystemExit(
                f"{options.start_from}: cannot be started from with --{name.replace('_', '-')} "
                f"{given}, it has {value} and nothing shrinks"
            )


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "testbed train embedded", description="Train the profile `embedded`."
    )
    add_loop_arguments(parser, peak_rate=1e-3, batch=42)
    parser.add_argument("--photos", type=Path, help="folder of PNG photographs to crop from")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="where networks are trained"
    )
    parser.add_argument(
        "--workers", type=at_least(0), default=0,
        help="processes that make batches ahead (a GPU waits for 0); pictures come in another "
        "order than without",
    )  # fmt: skip
    parser.add_argument("--part", choices=("both", *PARTS), default="both")
    parser.add_argument(
        "--kind", choices=KINDS, default="thumbnails",
        help="what the predictor is for; photographs: with --part predictor, it becomes another "
        "one beside that for thumbnails, which is used for pictures of more than 64x64 pixels",
    )  # fmt: skip
    parser.add_argument(
        "--streams", choices=tuple(EMPHASIS), default=ALL,
        help="which the predictor is for; reversible: with --part predictor, it becomes another "
        "one beside, which is used for streams that end in the exact picture; all are trained on "
        "the reversible transform",
    )  # fmt: skip
    for name, value, text in (
        ("--width", BLOCK_SIZE.width, "channels of the predictor's trunk for blocks"),
        ("--blocks", BLOCK_SIZE.blocks, "residual blocks of that trunk"),
        ("--head-width", BLOCK_SIZE.head_width, "channels of its heads"),
        ("--estimator-width", ESTIMATOR_WIDTH, "channels of the estimator"),
        ("--estimator-blocks", ESTIMATOR_BLOCKS, "residual blocks of the estimator"),
    ):
        parser.add_argument(
            name, type=int,
            help=f"{text}; unless given, those of what is started from, or {value}",
        )  # fmt: skip
    parser.add_argument(
        "--muon-rate", type=float,
        help="highest rate of Muon, which moves convolutions' weights, as a share of their norm; "
        "0: AdamW moves all; --peak-rate is that of AdamW "
        f"(default: {MUON_RATES['predictor']:g}, estimator {MUON_RATES['estimator']:g})",
    )  # fmt: skip
    parser.add_argument(
        "--start-from", type=Path,
        help="folder of a finished run, or of weights as codec/weights, to train on from; its "
        "networks may be smaller",
    )  # fmt: skip
    parser.add_argument(
        "--ablate", choices=("none", "single_pass", "no_linear"), default="none",
        help="what the predictor shall do without; with --part predictor",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    for name, given in (
        ("--ablate", options.ablate != "none"),
        ("--kind", _of_photos(options)),
        ("--streams", options.streams == REVERSIBLE),
    ):
        if given and options.part != "predictor":
            parser.error(f"{name} is for the predictor alone: add --part predictor")
    if options.muon_rate is not None and not 0 <= options.muon_rate < math.inf:
        parser.error("expected a --muon-rate of 0 or more")
    if not 0 <= options.minutes < math.inf or options.batch < LEAST_BATCH:
        parser.error(f"expected --minutes of at least 0 and --batch of at least {LEAST_BATCH}")
    for width in (options.width, options.head_width, options.estimator_width):
        if width is not None and not 1 <= width <= MOST_WIDTH:
            parser.error(f"expected widths of 1 to {MOST_WIDTH}")
    for blocks in (options.blocks, options.estimator_blocks):
        if blocks is not None and not 0 <= blocks <= MOST_BLOCKS:
            parser.error(f"expected 0 to {MOST_BLOCKS} blocks")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no GPU that it can use")
    if options.minutes == 0 and options.part != "both":
        parser.error("--minutes 0 writes the weights of both parts: leave --part out")
    return options


def _of_photos(options: argparse.Namespace) -> bool:
    return bool(options.kind == PHOTOGRAPHS)


def _muon_rate(part: str, options: argparse.Namespace) -> float:
    return float(MUON_RATES[part] if options.muon_rate is None else options.muon_rate)


def run_of(part: str, options: argparse.Namespace, data: EmbeddedData, linear: Linear) -> str:
    """What a checkpoint must agree in to be gone on from, all but the time; as JSON."""
    return json.dumps(
        {
            "command": _command(part, options),
            "ablation": options.ablate,
            "data": data.sources,
            "linear": linear.sha256,
        }
    )


def _command(part: str, options: argparse.Namespace) -> str:
    """The command line without the minutes, its folders replaced by what they hold."""
    words = ["testbed train embedded --cifar CIFAR10"]
    words += ["--photos PHOTOS"] if options.photos else []
    words += [START_FROM] if options.start_from else []
    words += [f"--out OUT --part {part}"]
    words += [f"--kind {options.kind}"] if _of_photos(options) else []
    words += [f"--streams {options.streams}"] if options.streams == REVERSIBLE else []
    if part == "estimator":
        words += [f"--estimator-width {options.estimator_width}"]
        words += [f"--estimator-blocks {options.estimator_blocks}"]
    else:
        words += [f"--width {options.width} --blocks {options.blocks}"]
        words += [f"--head-width {options.head_width}"]
    words += [f"--peak-rate {options.peak_rate:g} --muon-rate {_muon_rate(part, options):g}"]
    words += [f"--batch {options.batch} --seed {options.seed}"]
    words += [f"--device {options.device}"] if options.device != "cpu" else []
    words += [f"--workers {options.workers}"] if options.workers else []
    words += [f"--ablate {options.ablate}"] if options.ablate != "none" else []
    return " ".join(words)


def _name(part: str, options: argparse.Namespace) -> str:
    if part == "estimator":
        return part
    return predictor_name(photographs=_of_photos(options), reversible=options.streams == REVERSIBLE)


def finished(options: argparse.Namespace, earlier: Collection[str] = ()) -> dict[str, Checkpoint]:
    """The checkpoints in --out that weights are made of: both parts, and other predictors there.

    earlier: networks that are there already, and need no checkpoint.
    """
    paths = {name: checkpoint_path(options.out, name) for name in NETWORKS}
    needed = [name for name in PARTS if name not in earlier]
    return {n: load_checkpoint(path) for n, path in paths.items() if path.exists() or n in needed}


def export(options: argparse.Namespace, data: EmbeddedData, linear: Linear) -> dict[str, Any]:
    """Writes `embedded.safetensors` and `embedded.json`, which it returns, from the checkpoints.

    Networks without one are those of the weights in --start-from, if it has weights.
    """
    earlier = earlier_networks(options.start_from)
    found = finished(options, earlier)
    kept = {name: state for name, state in earlier.items() if name not in found}
    runs: dict[str, dict[str, Any]] = {}
    for name, each in found.items():
        path = checkpoint_path(options.out, name)
        try:
            run = runs[name] = json.loads(each.run)
        except ValueError:
            raise SystemExit(f"{path} is of another kind of training: {each.run}") from None
        if run["linear"] != linear.sha256:
            raise SystemExit(f"{path} was trained with another {FILE_NAME} than is there")
        if run["ablation"] != "none":
            raise SystemExit(f"{path} is an ablation, which no codec decodes")
        if START_FROM in run["command"] and options.start_from is None:
            raise SystemExit(f"{path} was started from earlier networks: give --start-from again")
    making: dict[str, Any] = {
        "data": {name: run["data"] for name, run in runs.items()},
        "commands": {
            name: f"{run['command']} --minutes {found[name].minutes:g}"
            for name, run in runs.items()
        },
        "minutes": {name: each.minutes for name, each in found.items()},
        "steps": {name: each.steps for name, each in found.items()},
        "started_from": earlier_manifest(options.start_from, PROFILE),
    }
    if kept:
        making["kept_of_started_from"] = list(kept)
    try:
        tensors = embedded_tensors({name: each.model for name, each in found.items()}, linear)
        tensors |= {f"{name}.{key}": v for name, state in kept.items() for key, v in state.items()}
        profile = embedded_profile_from_tensors(PROFILE, "", tensors)
    except UNFIT as error:
        raise SystemExit(
            f"{options.out}: its networks, or those of --start-from, make no weights "
            f"({reason_of(error)})"
        ) from None
    if THUMBNAILS_REVERSIBLE in found:
        pictures = data.train[:CORRECTION_PICTURES]
        start = learnt_correction(profile, profile.predictors[THUMBNAILS_REVERSIBLE], pictures)
        tensors[f"{THUMBNAILS_REVERSIBLE}.{CORRECTION}"] = torch.from_numpy(start)
        making["correction"] = {THUMBNAILS_REVERSIBLE: f"{len(pictures)} of CIFAR-10's pictures"}
    crops = None
    if OF_PHOTOGRAPHS & {*found, *kept} and options.photos is not None:
        photographs = load_embedded_data(options.cifar, options.photos, options.seed, PHOTOGRAPHS)
        crops = photographs.held_out_crops
    path = options.out / f"{PROFILE}.safetensors"
    return write_embedded(path, tensors, data.validation[:VALIDATED_PICTURES], making, crops)


if __name__ == "__main__":
    main()
