"""The training loop that both stages share: time budget, cosine rate, checkpoints, a CSV log."""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

CHECKPOINT_EVERY_S = 60.0
LOG_EVERY_STEPS = 100
SLOW_MOMENTUM = 0.01
"""Of normalisations that settle: the least share of each batch in their statistics, which at first
are those of all batches. The usual tenth would leave them with what a few happen to hold."""
COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    TimeElapsedColumn(),
    TextColumn("left"),
    TimeRemainingColumn(),
)


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How long and how: `minutes` of wall clock, checkpoints and log under `folder`.

    `run` says in words what is trained on what; a checkpoint of another run is not continued.
    `start_from` is the folder of a finished run whose networks are the starting point. `workers`
    are processes that make batches ahead, where a training can do with them. `settled` is the share
    of the time, at its end, in which normalisations keep the statistics that they have.
    """

    folder: Path
    minutes: float
    run: str
    batch: int = 96
    peak_rate: float = 2e-3
    seed: int = 1
    device: str = "cpu"
    start_from: Path | None = None
    workers: int = 0
    settled: float = 0.0


def above_zero(text: str) -> float:
    """A number for argparse."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
    return value


def at_least(least: int) -> Callable[[str], int]:
    """Whole numbers for argparse."""

    def whole(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"expected at least {least}, found {value}")
        return value

    return whole


def add_loop_arguments(parser: argparse.ArgumentParser, peak_rate: float, batch: int) -> None:
    """What every training by this loop can be told; the defaults of two of them."""
    parser.add_argument("--cifar", type=Path, required=True, help="folder of data_batch_1..5.bin")
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, logs and weights")
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--peak-rate", type=above_zero, default=peak_rate)
    parser.add_argument("--batch", type=at_least(1), default=batch)
    parser.add_argument("--seed", type=at_least(0), default=1)
    parser.add_argument("--threads", type=at_least(1), default=1)


def settings_of(options: argparse.Namespace, run: str) -> LoopSettings:
    """Of the arguments above."""
    return LoopSettings(
        options.out, options.minutes, run, options.batch, options.peak_rate, options.seed
    )


def shuffled_batches(count: int, batch: int, *seed: int) -> Iterator[NDArray[np.int64]]:
    """Index batches without end, each epoch in an order of its own."""
    epoch = 0
    while True:
        order = np.random.default_rng([*seed, epoch]).permutation(count)
        for start in range(0, count - batch + 1, batch):
            yield order[start : start + batch]
        epoch += 1


def train(
    name: str,
    model: nn.Module,
    loss_of: Callable[[Any], tuple[Tensor, Mapping[str, float | Tensor]]],
    count: int,
    settings: LoopSettings,
    optimisers: Sequence[torch.optim.Optimizer] | None = None,
    feed: Callable[[int], Iterator[Any]] | None = None,
) -> None:
    """Minimises `loss_of(indices)` over `count` items until the time is up.

    optimisers: whose rates, as they are now, are the highest ones; AdamW if not given. The gradient
    of what each of them moves is cut to a norm of one. feed: from a seed to what `loss_of` takes in
    the place of indices.

    The learning rate warms up over 2 % of the time and then falls along a cosine to zero, by the
    clock and not by steps, so that any budget gives a finished network. A checkpoint every minute
    carries the time already used; a later call with the same folder goes on from it, with the
    pictures in another order than an unbroken run would have seen.

    With `settings.settled` normalisations average over many batches before they settle.
    """
    checkpoint = settings.folder / f"{name}.checkpoint.pt"
    if settings.batch > count:
        raise SystemExit(f"expected batches of at most the {count} pictures there are")
    if optimisers is None:
        adam = torch.optim.AdamW(model.parameters(), lr=settings.peak_rate, weight_decay=1e-4)
        optimisers = [adam]
    groups = [group for optimiser in optimisers for group in optimiser.param_groups]
    peak_rates = [float(group["lr"]) for group in groups]
    used_s, step = 0.0, 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True, map_location="cpu")
        if saved["run"] != settings.run:
            raise SystemExit(
                f"{checkpoint} is of another run; choose another --out\n"
                f"  there: {saved['run']}\n  here:  {settings.run}"
            )
        if "optimisers" not in saved:
            raise SystemExit(
                f"{checkpoint} is of an earlier version; train on from it with another --out and "
                f"--start-from {settings.folder}"
            )
        try:
            model.load_state_dict(saved["model"])
        except RuntimeError:
            raise SystemExit(
                f"{checkpoint} is of networks of another form, as earlier versions had them; "
                f"choose another --out"
            ) from None
        for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        # Loading puts other dictionaries in their place.
        groups = [group for optimiser in optimisers for group in optimiser.param_groups]
        used_s, step = saved["used_s"], saved["step"]
    elif settings.start_from is not None:
        earlier = torch.load(
            settings.start_from / checkpoint.name, weights_only=True, map_location="cpu"
        )
        model.load_state_dict(earlier["model"])
    budget_s = 60.0 * settings.minutes
    seed = settings.seed + step
    batches = feed(seed) if feed else shuffled_batches(count, settings.batch, seed)
    started = saved_at = time.monotonic() - used_s
    model.train()
    norms = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]
    steps_here = 0
    with Progress(*COLUMNS, console=Console(stderr=True)) as progress:
        bar = progress.add_task(name, total=budget_s)
        while (elapsed := time.monotonic() - started) < budget_s:
            done = elapsed / budget_s
            for norm in norms if settings.settled else ():
                # In training a batch is normalised by its own statistics, in use none is: to that
                # the weights behind have to get used.
                norm.train(done <= 1 - settings.settled)
                norm.momentum = max(SLOW_MOMENTUM, 1 / (1 + steps_here))
            steps_here += 1
            share = float(min(done / 0.02 + 0.01, 0.5 * (1 + np.cos(np.pi * done))))
            for group, peak_rate in zip(groups, peak_rates, strict=True):
                group["lr"] = share * peak_rate
            loss, figures = loss_of(next(batches))
            model.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            for optimiser in optimisers:
                moved = [p for group in optimiser.param_groups for p in group["params"]]
                nn.utils.clip_grad_norm_(moved, 1.0)
                optimiser.step()
            step += 1
            progress.update(bar, completed=elapsed)
            if step % LOG_EVERY_STEPS == 0:
                line = log(settings.folder, name, step, elapsed, {"loss": loss.item(), **figures})
                progress.console.print(line, highlight=False)
            if time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
                saved_at = time.monotonic()
                save(checkpoint, model, optimisers, saved_at - started, step, settings.run)
    save(checkpoint, model, optimisers, budget_s, step, settings.run)
    model.eval()


def save(
    path: Path,
    model: nn.Module,
    optimisers: Sequence[torch.optim.Optimizer],
    used_s: float,
    step: int,
    run: str,
) -> None:
    state = {
        "model": model.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "used_s": used_s,
        "step": step,
        "run": run,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def log(
    folder: Path, name: str, step: int, elapsed_s: float, values: Mapping[str, float | Tensor]
) -> str:
    """Appends a row to <name>.csv; returns the same in words."""
    path = folder / f"{name}.csv"
    new = not path.exists()
    figures = {key: float(value) for key, value in values.items()}
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["step", "elapsed_s", *figures])
        writer.writerow([step, f"{elapsed_s:.1f}", *(f"{value:.5g}" for value in figures.values())])
    words = (f"{key} {value:.4g}" for key, value in figures.items())
    return f"{name} step {step} {elapsed_s:.0f} s " + " ".join(words)
