"""Runs a scenario: images and trials, works, workers, journal, table, manifest, figures."""

from __future__ import annotations

import csv
import multiprocessing
import multiprocessing.process
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from channels.errors import ChannelError
from channels.table_link import check_setting
from codec.base import CodecError
from testbed.codec_sections import ConventionalSection
from testbed.comparison_section import Comparison
from testbed.errors import OutputError, TestbedError
from testbed.images import SourceImage, load_images
from testbed.journal import Journal
from testbed.metric_choice import chosen_metrics
from testbed.metric_registry import Metric
from testbed.protection import PLANNED
from testbed.registry import codec_fingerprint
from testbed.scenario import Scenario
from testbed.simulation import COLUMNS, Row, rows_of
from testbed.transmission import layer_links
from testbed.trials import LinkPoint, Trial, analog_point, expand_links, expand_trials
from testbed.work import Work

IMAGES_AT_ONCE = 8
WORK_PIXELS = 1 << 22
"""A work's trials carry at most this many pixels together: what a kill can lose, and memory."""
TRIALS_CSV = "trials.csv"


class WorkerError(TestbedError):
    """A worker process died."""


@dataclass(frozen=True)
class Plan:
    """A scenario with its images loaded and its trials expanded.

    `strip` is the index of the image whose received pictures are drawn, if any.
    """

    scenario: Scenario
    images: list[SourceImage]
    fingerprints: dict[str, str]
    """By codec name: what beside the scenario determines the codec's output."""
    trials: list[Trial]
    strip: int | None
    metrics: tuple[Metric, ...] = ()
    """Measured of every picture, in the order of their columns."""


def plan(scenario: Scenario) -> Plan:
    """Loads what the scenario names. Raises TestbedError for what is missing or unusable."""
    images = {
        (image.name, image.sha256): image
        for source in scenario.images
        for image in load_images(source.source, scenario.folder, source.limit)
    }
    _codecs_can_take(scenario, list(images.values()))
    _tables_can_stand_for(scenario)
    if scenario.comparison is not None:
        _can_be_compared(scenario, scenario.comparison, list(images.values()))
    fingerprints = {section.name: codec_fingerprint(section) for section in scenario.codecs}
    return Plan(
        scenario,
        list(images.values()),
        fingerprints,
        expand_trials(scenario, list(images), fingerprints),
        _strip_image(scenario, [name for name, _ in images]),
        chosen_metrics(scenario, list(images.values())),
    )


def _codecs_can_take(scenario: Scenario, images: Sequence[SourceImage]) -> None:
    """Raises ScenarioError for an image that a conventional codec refuses for its size."""
    for position, section in enumerate(scenario.codecs):
        if isinstance(section, ConventionalSection):
            codec = section.make()
            for image in images:
                height, width, _ = image.pixels.shape
                try:
                    codec.check_size(height, width)
                except CodecError as error:
                    message = f"image {image.name}: {error}"
                    raise scenario.problem(("codecs", position), message) from None


def _tables_can_stand_for(scenario: Scenario) -> None:
    """Raises ScenarioError for a link that is to be known by tables and cannot be."""
    for point in expand_links(scenario):
        if point.fidelity == "exact" and point.policy not in PLANNED:
            continue
        try:
            for link in layer_links(point):
                check_setting(link.setting)
        except ChannelError as error:
            raise scenario.problem(("link", "channel"), str(error)) from None


def _can_be_compared(
    scenario: Scenario, comparison: Comparison, images: Sequence[SourceImage]
) -> None:
    """Raises ScenarioError for links that the table cannot tell apart, and for published results
    on pictures of a size that there is not.
    """
    for codec in scenario.codecs:
        seen: dict[str, LinkPoint] = {}
        for point in expand_links(scenario, codec.name):
            shown = analog_point(point) if codec.analog else point
            first = seen.setdefault(repr(shown.columns), shown)
            if first != shown:
                raise scenario.problem(
                    ("comparison",),
                    f"found two links of {codec.name} that differ only in what protection "
                    f"{shown.protection!r} means: give it a name for each",
                )
    sizes = {"x".join(map(str, sorted(each.pixels.shape[:2])[::-1])) for each in images}
    for index, published in enumerate(comparison.published or ()):
        if published.size not in (None, *sizes):
            raise scenario.problem(
                ("comparison", "published", index, "size"),
                f"expected the size of some picture, {' or '.join(sorted(sizes))}, found "
                f"{published.size}",
            )


def _strip_image(scenario: Scenario, names: list[str]) -> int | None:
    """The image of `figures.strip`. Raises ScenarioError for one, or an SNR, that is not there."""
    strip = scenario.figures.strip
    if strip is None:
        return None
    simulated = {link.snr_db for link in expand_links(scenario)}
    for position, snr_db in enumerate(strip.snr_db or ()):
        if snr_db not in simulated:
            raise scenario.problem(
                ("figures", "strip", "snr_db", position),
                f"{snr_db:g} dB is not simulated; there are "
                + ", ".join(f"{each:g}" for each in sorted(simulated)),
            )
    if isinstance(strip.image, str) and strip.image in names:
        return names.index(strip.image)
    if isinstance(strip.image, int) and strip.image < len(names):
        return strip.image
    raise scenario.problem(
        ("figures", "strip", "image"),
        f"expected a number below {len(names)} or an image's name such as {names[0]}, "
        f"found {strip.image}",
    )


def works(plan: Plan, trials: Sequence[Trial], images_at_once: int) -> list[Work]:
    """The trials as works: one codec and up to `images_at_once` images of one size in each.

    Large pictures come first, so that the workers end at about the same time.
    """
    by_size: dict[tuple[int, tuple[int, ...]], dict[int, list[Trial]]] = defaultdict(dict)
    for trial in trials:
        shape = plan.images[trial.image_index].pixels.shape
        by_image = by_size[trial.codec_index, shape]
        by_image.setdefault(trial.image_index, []).append(trial)
    result = []
    for (codec_index, shape), by_image in by_size.items():
        at_once = images_at_once if shape[0] * shape[1] <= 64 * 64 else 1
        indices = list(by_image)
        for start in range(0, len(indices), at_once):
            chosen = indices[start : start + at_once]
            together = [trial for index in chosen for trial in by_image[index]]
            step = max(1, WORK_PIXELS // (shape[0] * shape[1]))
            for first in range(0, len(together), step):
                part = tuple(together[first : first + step])
                result.append(
                    Work(
                        plan.scenario.name,
                        plan.scenario.seed,
                        plan.scenario.packets.max_bytes,
                        plan.scenario.codecs[codec_index],
                        {trial.image_index: plan.images[trial.image_index] for trial in part},
                        part,
                        plan.metrics,
                    )
                )
    return sorted(
        result, key=lambda work: -max(image.pixels.size for image in work.images.values())
    )


def _no_progress(done: int, total: int) -> None:
    del done, total


def run_trials(
    plan: Plan,
    journal: Journal,
    *,
    workers: int = 1,
    images_at_once: int = IMAGES_AT_ONCE,
    progress: Callable[[int, int], None] = _no_progress,
) -> Path:
    """Simulates what the journal does not hold yet, then writes trials.csv beside it; its path.

    The table is the same, byte for byte, for any number of workers, any `images_at_once` and any
    number of interruptions. `progress(done, total)` counts trials.
    """
    total = len(plan.trials)
    open_trials = [trial for trial in plan.trials if trial.trial_id not in journal.rows]
    done = total - len(open_trials)
    progress(done, total)
    for rows in _results(works(plan, open_trials, images_at_once), workers):
        journal.add(rows)
        done += len(rows)
        progress(done, total)
    return write_table(journal.path.with_name(TRIALS_CSV), plan, journal.rows)


def _results(queue: list[Work], workers: int) -> Iterator[list[Row]]:
    """Rows of each work as it ends, in any order."""
    if workers <= 1 or len(queue) <= 1:
        _start_worker()
        yield from map(rows_of, queue)
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(queue)), mp_context=spawn, initializer=_start_worker
    )
    try:
        pending: set[Future[list[Row]]] = {pool.submit(rows_of, work) for work in queue}
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
    except BrokenProcessPool as error:
        raise WorkerError(
            "a worker process died (out of memory?); what was finished is kept: run the same "
            "command again to go on, with fewer --workers if memory is short"
        ) from error
    finally:
        # Nothing is lost by ending workers at once: what is not journalled is simulated again.
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()


def _start_worker() -> None:
    import torch

    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        # Ctrl-C reaches every process of the terminal; the parent alone answers it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """Ends this process when `parent` ends, however it ends: no worker outlives a kill -9."""
    parent.join()
    os._exit(1)


def write_table(path: Path, plan: Plan, rows: dict[str, Row]) -> Path:
    """The rows of the plan's trials, in its order, as CSV (RFC 4180, but with \\n)."""
    partial = path.with_suffix(".partial")
    try:
        with partial.open("w", newline="") as file:
            columns = [*COLUMNS, *(metric.column for metric in plan.metrics)]
            # What was observed is in the journal alone.
            writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            for trial in plan.trials:
                # The journal may have the row from another scenario that shares the trial.
                writer.writerow(rows[trial.trial_id] | {"scenario": plan.scenario.name})
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write ({error.strerror})") from error
    return path
