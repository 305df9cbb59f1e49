"""Batches made ahead of the training that takes them, by processes of their own if wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from codec.training.embedded_data import Batch, Batches
from codec.training.loop import shuffled_batches

Made = TypeVar("Made")
_AHEAD = 4
"""Batches that each process makes ahead."""


class Feed(Generic[Made]):
    """What `make` makes of the batches of `batches`, without end.

    make: of a batch and the random numbers that drew it; with processes it has to be picklable, as
        a function of a module is, or a functools.partial of one.
    workers: processes that make them; 0: they are made where they are asked for. Each process draws
        from all pictures in an order of its own.
    """

    def __init__(
        self,
        batches: Batches,
        make: Callable[[Batch, np.random.Generator], Made],
        workers: int = 0,
    ) -> None:
        self.batches, self.make, self.workers = batches, make, workers

    def __call__(self, seed: int) -> Iterator[Made]:
        """Pictures in an order that `seed` chooses."""
        if self.workers == 0:
            return self.made(seed)
        loader = DataLoader(
            _Endless(self, seed),
            batch_size=None,
            num_workers=self.workers,
            prefetch_factor=_AHEAD,
            multiprocessing_context="fork",
        )
        return iter(loader)

    def made(self, *seed: int) -> Iterator[Made]:
        """In this process."""
        for indices in shuffled_batches(self.batches.count, self.batches.batch, *seed):
            yield self.make(self.batches.draw(indices), self.batches.random)


class _Endless(IterableDataset[Any]):
    def __init__(self, feed: Feed[Any], seed: int) -> None:
        self.feed, self.seed = feed, seed

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        assert worker is not None
        torch.set_num_threads(1)
        # Those of the process that was forked would be the same in each.
        self.feed.batches.random = np.random.default_rng([self.seed, worker.id])
        return self.feed.made(self.seed, worker.id)
