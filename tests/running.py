"""Plans run in tests: without a command line, without figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from testbed.language.scenario import Scenario
from testbed.running.executors import Executor, SerialExecutor
from testbed.running.journal import Journal
from testbed.running.plan import Plan
from testbed.running.runner import TRIALS_CSV, Outcome, open_works, run_trials, write_table
from testbed.running.selection import Selection
from testbed.running.sharding import WHOLE, Shard
from testbed.running.trials import Trial, expand_points
from testbed.running.work import Row, Work
from testbed.running.worker import WorkerSetup
from testbed.sending.simulation import rows_of


def all_works(planned: Plan, images_at_once: int = 8) -> Iterator[Work]:
    """The works of a run that begins."""
    wanted = {number: range(len(cell)) for number, cell in enumerate(planned.cells)}
    return open_works(planned, wanted, Selection(planned), {}, images_at_once)


def simulated(planned: Plan) -> dict[str, Row]:
    """The rows of all trials by id."""
    return {row["trial_id"]: row for work in all_works(planned) for row in rows_of(work)}


def run(
    planned: Plan,
    folder: Path,
    executor: Executor | None = None,
    *,
    shard: Shard = WHOLE,
    images_at_once: int = 8,
) -> tuple[Outcome, dict[str, Row]]:
    """Runs into a journal in `folder` and writes trials.csv there: the outcome and all rows."""
    with Journal(folder) as journal:
        outcome = run_trials(
            planned,
            journal,
            executor or SerialExecutor(WorkerSetup(planned.scenario.plugins)),
            shard=shard,
            images_at_once=images_at_once,
        )
        write_table(folder / TRIALS_CSV, outcome.selection, journal.rows)
        return outcome, dict(journal.rows)


def expand_trials(
    scenario: Scenario,
    images: Sequence[tuple[str, str]],
    codec_fingerprints: Mapping[str, str],
) -> list[Trial]:
    """All trials: codec by codec, link by link, image by image.

    `images`: (name, SHA-256 of the pixels or the file) in the scenario's order; an image given
    twice is sent once. `codec_fingerprints`: see expand_points.
    """
    return [
        point.trial(image_index, name, sha256, repetition)
        for point in expand_points(scenario, codec_fingerprints)
        for image_index, (name, sha256) in enumerate(dict.fromkeys(images))
        for repetition in range(scenario.repetitions)
    ]
