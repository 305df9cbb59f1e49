"""Runs a plan: works to an executor, what comes of them to the journal, and then the table."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import TextIO

from testbed.language.stop_section import Stop
from testbed.running.executors import Executor
from testbed.running.journal import Journal
from testbed.running.monitor import Monitor
from testbed.running.plan import Cell, Plan, VariantPlan
from testbed.running.selection import Selection
from testbed.running.sharding import WHOLE, Shard
from testbed.running.stopping import CellState, cell_trial
from testbed.running.stream_cache import CacheUse
from testbed.running.trials import Trial
from testbed.running.work import Row, Seconds, Work
from testbed.sending.simulation import COLUMNS
from testbed.whole_file import whole_file

IMAGES_AT_ONCE = 16
SMALL_PIXELS = 64 * 64
"""Pictures up to this size share a work; larger ones have works of their own."""
WORK_PIXELS = 1 << 22
"""A work's trials carry at most this many pixels together: what a kill can lose, and memory."""
TRIALS_CSV = "trials.csv"


@dataclass
class Outcome:
    """What came of a run.

    selection: the trials that belong into the table.
    missing: how many of them have no row: they raised an error, or nothing was to be simulated.
    failed: of those that are missing, how many raised an error in this run.
    """

    selection: Selection
    trials: int = 0
    reused: int = 0
    missing: int = 0
    failed: int = 0
    seconds: dict[str, Seconds] = field(default_factory=dict)
    """By codec: where the time of this run went."""
    cache: CacheUse = field(default_factory=CacheUse)
    """What came of the cache of streams in this run."""
    waited_s: float = 0.0
    """From the first work that was handed out until a worker began with it."""
    worker_mib: float = 0.0
    """The most memory that a worker had."""


def work_of(plan: Plan, variant: VariantPlan, trials: Iterable[Trial]) -> Work:
    """A work of trials of one codec, on pictures of one size."""
    trials = tuple(trials)
    scenario = variant.scenario
    section = scenario.codecs[trials[0].codec_index]
    return Work(
        plan.scenario.name,
        scenario.seed,
        scenario.packets.max_bytes,
        section,
        {trial.image_index: plan.images[trial.image_index] for trial in trials},
        trials,
        plan.metrics,
        variant.case,
        variant.fingerprints[section.name],
    )


def open_works(
    plan: Plan,
    wanted: Mapping[int, range],
    selection: Selection,
    known: Mapping[str, Row],
    images_at_once: int = IMAGES_AT_ONCE,
) -> Iterator[Work]:
    """The trials that are not known yet, as works: one codec and a few images of one size in each.

    wanted: positions in the order of each cell, by its number in the plan; no others are made.
    What variants have in common, such as the trials of a codec that does not vary, is made once.

    Large pictures come first, so that the workers end at about the same time.
    """
    together: dict[tuple[tuple[int, int], int, int], list[tuple[int, Cell]]] = {}
    for number, cell in enumerate(plan.cells):
        if number in wanted:
            key = cell.size, id(cell.variant), cell.point.codec_index
            together.setdefault(key, []).append((number, cell))
    shared = _Shared(plan, wanted, selection)
    largest_first = sorted(together.items(), key=lambda each: -each[0][0][0] * each[0][0][1])
    for (size, _, _), cells in largest_first:
        pixels = size[0] * size[1]
        at_once = images_at_once if pixels <= SMALL_PIXELS else 1
        most = max(1, WORK_PIXELS // pixels)
        variant, images = cells[0][1].variant, cells[0][1].images
        for start in range(0, len(images), at_once):
            trials: list[Trial] = []
            for number, cell in cells:
                block = wanted[number]
                # Of a block of a long cell: no more of it is looked at.
                repetitions = range(block.start // len(images), -(-block.stop // len(images)))
                for at in range(start, min(start + at_once, len(images))):
                    for repetition in repetitions:
                        position = repetition * len(images) + at
                        if position not in block or not selection.has(number, images[at], position):
                            continue
                        if shared.is_made(number, images[at], repetition):
                            continue
                        trial = plan.trial(cell.point, images[at], repetition)
                        if trial.trial_id not in known:
                            trials.append(trial)
                            if len(trials) == most:
                                yield work_of(plan, variant, trials)
                                trials = []
            if trials:
                yield work_of(plan, variant, trials)


class _Shared:
    """Which trials of a cell are those of an earlier cell, too, such as one of another variant."""

    def __init__(self, plan: Plan, wanted: Mapping[int, range], selection: Selection) -> None:
        self._cells, self._wanted, self._selection = plan.cells, wanted, selection
        self._alike: dict[tuple[object, ...], list[int]] = {}
        self._places: dict[int, dict[int, int]] = {}
        for number in sorted(wanted):
            self._alike.setdefault(self._key(number), []).append(number)

    def _key(self, number: int) -> tuple[object, ...]:
        cell = self._cells[number]
        return cell.point.around, cell.size

    def is_made(self, number: int, image: int, repetition: int) -> bool:
        """Whether a cell before this one, by its number in the plan, has the trial made."""
        earlier = takewhile(lambda other: other < number, self._alike[self._key(number)])
        return any(self._wants(other, image, repetition) for other in earlier)

    def _wants(self, number: int, image: int, repetition: int) -> bool:
        images = self._cells[number].images
        # The cells of a variant have one and the same tuple.
        if id(images) not in self._places:
            self._places[id(images)] = {each: at for at, each in enumerate(images)}
        at = self._places[id(images)].get(image)
        if at is None:
            return False
        position = repetition * len(images) + at
        return position in self._wanted[number] and self._selection.has(number, image, position)


def run_trials(
    plan: Plan,
    journal: Journal,
    executor: Executor | None,
    *,
    shard: Shard = WHOLE,
    images_at_once: int = IMAGES_AT_ONCE,
    monitor: Monitor | None = None,
) -> Outcome:
    """Simulates what the journal does not hold yet. Without an executor it only looks.

    What is in the journal then, and so the table, is the same for any executor, any
    `images_at_once` and any number of interruptions.
    """
    run = _Run(plan, journal, executor, shard, images_at_once, monitor or Monitor())
    stop = plan.scenario.stop
    try:
        return run.rounds(stop) if stop else run.everything()
    finally:
        if executor is not None:
            executor.close()


class _Run:
    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        executor: Executor | None,
        shard: Shard,
        images_at_once: int,
        monitor: Monitor,
    ) -> None:
        self.plan, self.journal, self.executor = plan, journal, executor
        self.shard, self.images_at_once, self.monitor = shard, images_at_once, monitor
        self.outcome = Outcome(Selection(plan, shard))
        self.done = 0

    def everything(self) -> Outcome:
        """All trials of the shard."""
        selection, rows = self.outcome.selection, self.journal.rows
        for _, trial in selection:
            self.outcome.trials += 1
            self.outcome.reused += trial.trial_id in rows
        self.done = self.outcome.reused
        self.monitor.begin(self.outcome.trials, self.done)
        wanted = {number: range(len(cell)) for number, cell in enumerate(self.plan.cells)}
        if self.outcome.reused < self.outcome.trials:
            self._simulate(wanted, selection)
            if self.done + self.outcome.failed < self.outcome.trials:
                # Of what variants share, one result is several rows of the table.
                self.done = sum(trial.trial_id in rows for _, trial in selection)
        self.outcome.missing = self.outcome.trials - self.done
        return self.outcome

    def rounds(self, stop: Stop) -> Outcome:
        """A block of every cell that is not over, then the rules, and so on."""
        rows, whole = self.journal.rows, Selection(self.plan, self.shard)
        states = {
            number: CellState(cell, stop)
            for number, cell in enumerate(self.plan.cells)
            if whole.has(number, cell.images[0], 0)
        }
        self.outcome.trials = sum(len(state.cell) for state in states.values())
        self.monitor.begin(self.outcome.trials, 0)
        active = states
        while active:
            known = 0
            for state in active.values():
                for position in state.block:
                    trial_id = cell_trial(self.plan, state.cell, position).trial_id
                    known += trial_id in rows
            before = self.done
            self.done += known
            self.outcome.reused += known
            wanted = {number: state.block for number, state in active.items()}
            if known < sum(map(len, wanted.values())):
                self._simulate(wanted, whole)
            self.done = before
            for state in active.values():
                self.done += state.take(self.plan, rows)
                if state.over:
                    self.outcome.trials -= len(state.cell) - state.done
            active = {number: state for number, state in active.items() if not state.over}
        counts = {number: state.done for number, state in states.items()}
        self.outcome.selection = Selection(self.plan, self.shard, counts)
        self.outcome.missing = self.outcome.trials - self.done
        return self.outcome

    def _simulate(self, wanted: Mapping[int, range], selection: Selection) -> None:
        if self.executor is None:
            return
        works = open_works(self.plan, wanted, selection, self.journal.rows, self.images_at_once)
        start, is_first = time.perf_counter(), not self.outcome.seconds
        for result in self.executor.results(works):
            if is_first:
                own_s = sum(result.seconds.by_stage.values())
                self.outcome.waited_s = max(0.0, time.perf_counter() - start - own_s)
                is_first = False
            self.journal.add_lines(result.lines, result.failures)
            self.done += len(result.lines)
            self.outcome.failed += len(result.failures)
            self.outcome.seconds.setdefault(result.codec, Seconds()).add(result.seconds)
            self.outcome.cache += result.cache
            self.outcome.worker_mib = max(self.outcome.worker_mib, result.peak_mib)
            self.monitor.took(result, self.done, self.outcome.trials)


def finished(
    selection: Selection, rows: Mapping[str, Row]
) -> Iterator[tuple[VariantPlan, Trial, Row]]:
    """The trials that have a row, with it, in the table's order."""
    for variant, trial in selection:
        row = rows.get(trial.trial_id)
        if row is not None:
            yield variant, trial, row


def write_table(path: Path, selection: Selection, rows: Mapping[str, Row]) -> int:
    """The rows of the selected trials as CSV (RFC 4180, but with \\n); how many there are.

    Raises OutputError.
    """
    plan = selection.plan
    count = 0
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        writer = table_writer(file, plan)
        writer.writeheader()
        for variant, _, row in finished(selection, rows):
            # The journal may have the row from another scenario that shares the trial.
            own = {"scenario": plan.scenario.name, "case": variant.case}
            writer.writerow(row | own)
            count += 1
    return count


def table_writer(file: TextIO, plan: Plan) -> csv.DictWriter[str]:
    """Of rows into a trials.csv. What was observed of a trial is in the journal alone."""
    columns = [*COLUMNS, *(metric.column for metric in plan.metrics)]
    return csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
