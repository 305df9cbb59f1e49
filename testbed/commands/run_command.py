"""What `testbed run` and `testbed merge` do, from the YAML file to the last figure."""

from __future__ import annotations

import csv
import shlex
import time
from collections.abc import Container, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from codec.base import CodecError
from testbed.errors import TestbedError
from testbed.evaluation.certification import CERTIFICATION_JSON, certify, write_certification
from testbed.evaluation.certification_report import CertificationError, draw_certification
from testbed.evaluation.comparison import COMPARISON_CSV, compare, is_share, write_comparison
from testbed.evaluation.labels import codec_labels, metric_labels, reference_codec
from testbed.evaluation.parquet import check_parquet, write_parquet
from testbed.evaluation.run_folder import open_run
from testbed.evaluation.statistics import write_statistics
from testbed.evaluation.trials_table import drawn_columns, read_table
from testbed.examples.files import EXAMPLES
from testbed.examples.writing import write_examples
from testbed.figures.comparison_curves import draw_comparison, undrawn_comparison
from testbed.figures.curves import draw_curves, undrawn_curves
from testbed.figures.drawing import save_drawing
from testbed.figures.picture_strip import draw_picture_strips
from testbed.language.comparison_section import Comparison
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import load_scenario
from testbed.plugins.figures import draw_plugin_figures
from testbed.reporting.html.link_budget_table import write_budget
from testbed.running.cores import available_cores
from testbed.running.executors import Executor, PoolExecutor, SerialExecutor
from testbed.running.journal import JOURNAL, Journal
from testbed.running.manifest import manifest, utc_now, write_manifest
from testbed.running.monitor import RunFacts, Watch
from testbed.running.plan import Plan, plan
from testbed.running.progress_file import ProgressFile
from testbed.running.run_log import RunLog
from testbed.running.run_report import JsonReport, PeopleReport, Report
from testbed.running.runner import TRIALS_CSV, Outcome, run_trials, write_table
from testbed.running.sharding import WHOLE, Shard, ShardError
from testbed.running.stream_cache import streams_folder
from testbed.running.timings import Took, write_timings
from testbed.running.work import Failure
from testbed.running.worker import WorkerSetup
from testbed.whole_file import whole_file

FIGURES = "figures"
ERRORS_CSV = "errors.csv"


class MergeError(TestbedError):
    """Shards that cannot be merged, or are not done."""


class ExecutorError(TestbedError):
    """An executor that is not known."""


class FailedTrials(TestbedError):
    """Some trials raised an error; all others are there."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a scenario is run; nothing of it changes a result.

    out         folder of the results; results/<name> unless given, of a shard a folder in it
    workers     processes; one per core unless given
    shard       such as "2/4"; None: all of it
    executor    "pool", "dask" or "dask://HOST:PORT"; None: pool
    device      of networks: "cpu" or "cuda"
    cache       folder of encoded streams; None: in the user's cache
    cache_mb    what it may hold, in MiB; 0: no streams are kept on the disk
    strict      fail, when all is written, if the links did not deliver what they state
    quiet       say what was written and what is wrong, no more
    as_json     say it to programs: see run_report.py
    parquet     write the tables as Parquet, too
    """

    out: Path | None = None
    workers: int | None = None
    shard: str | None = None
    executor: str | None = None
    device: str = "cpu"
    cache: Path | None = None
    cache_mb: int = 2048
    strict: bool = False
    quiet: bool = False
    as_json: bool = False
    parquet: bool = False

    @property
    def part(self) -> Shard:
        """Raises ShardError."""
        return WHOLE if self.shard is None else Shard.parse(self.shard)

    @property
    def processes(self) -> int:
        return self.workers or available_cores()

    def setup(self, scenario: Scenario) -> WorkerSetup:
        """Of every process that works."""
        folder = (self.cache or streams_folder()) if self.cache_mb else None
        return WorkerSetup(scenario.plugins, self.device, folder, self.cache_mb << 20)

    def report(self) -> Report:
        """For whoever started the run."""
        return JsonReport() if self.as_json else PeopleReport(quiet=self.quiet)

    def facts(
        self, scenario: Scenario, folder: Path, command: Sequence[str], *, merge: bool = False
    ) -> RunFacts:
        """Of a run that begins now, or of a merge."""
        return RunFacts(
            scenario.name,
            scenario.scenario_hash,
            folder,
            shlex.join([Path(command[0]).name, *command[1:]]),
            "merge" if merge else self.executor or "pool",
            0 if merge else self.processes,
            utc_now(),
        )


def run_scenario(
    file: Path, overrides: Sequence[str], command: Sequence[str], options: RunOptions
) -> None:
    """Runs the scenario in `file` and says where things are. Raises TestbedError."""
    start = time.perf_counter()
    if options.parquet:
        check_parquet()
    with options.report() as report:
        scenario = load_scenario(file, overrides)
        folder = _folder(scenario, options)
        _is_no_other(folder, options)
        run = options.facts(scenario, folder, command)
        # The folder first: whether results can be kept is known before anything is loaded.
        with Journal(folder) as journal, RunLog(run) as log, ProgressFile(run) as progress:
            setup = options.setup(scenario)
            with closing(_executor(setup, options)) as executor:
                if options.device == "cpu":
                    # Processes start while this one looks at codecs and pictures.
                    executor.prepare()
                # Before the plan: a codec's fingerprint may name the device.
                _begin(setup)
                planned = plan(scenario)
                watch = Watch(run, (log, progress, report))
                write_manifest(folder, manifest(planned, None, run, options.part))
                planned_s = time.perf_counter() - start
                outcome = run_trials(planned, journal, executor, shard=options.part, monitor=watch)
            watch.simulated(outcome.trials, outcome.trials - outcome.missing)
            wall_s = time.perf_counter() - start
            took = Took(planned_s + outcome.waited_s, wall_s, executor.workers)
            _finish(planned, outcome, journal, run, report, watch, options, took)


def merge_shards(
    file: Path,
    folders: Sequence[Path],
    overrides: Sequence[str],
    command: Sequence[str],
    options: RunOptions,
) -> None:
    """Joins what shards of the scenario in `file` have simulated, and writes what a run writes.

    folders: of the shards; those in the folder of the whole run unless given.
    """
    if options.parquet:
        check_parquet()
    with options.report() as report:
        scenario = load_scenario(file, overrides)
        folder = _folder(scenario, options)
        run = options.facts(scenario, folder, command, merge=True)
        _merge(file, scenario, folders, run, report, options)


def _merge(
    file: Path,
    scenario: Scenario,
    folders: Sequence[Path],
    run: RunFacts,
    report: Report,
    options: RunOptions,
) -> None:
    folder = run.folder
    shards = list(folders) or sorted(folder.glob("shard-*-of-*"))
    if not shards:
        raise MergeError(
            f"{folder}: expected folders shard-1-of-N and so on, found none: name the shards' "
            "folders"
        )
    for each in shards:
        if not (each / JOURNAL).is_file():
            raise MergeError(f"{each}: there is no {JOURNAL}: expected the results of a shard")
    with Journal(folder) as journal, RunLog(run) as log, ProgressFile(run) as progress:
        planned = plan(scenario)
        for each in shards:
            with Journal(each) as other:
                journal.absorb(other)
        watch = Watch(run, (log, progress, report))
        outcome = run_trials(planned, journal, None, monitor=watch)
        watch.simulated(outcome.trials, outcome.trials - outcome.missing)
        failures = len(_failures(outcome, journal))
        if outcome.missing > failures:
            raise MergeError(
                f"{folder}: {outcome.missing - failures} of {outcome.trials} trials are in none "
                f"of {len(shards)} folders; what there is is merged: run the shards that are "
                f"missing and merge again, or `testbed run {file} --out {folder}`"
            )
        _finish(planned, outcome, journal, run, report, watch, options)


def _folder(scenario: Scenario, options: RunOptions) -> Path:
    if options.out is not None:
        return options.out
    whole = Path("results") / scenario.name
    return whole if options.part == WHOLE else whole / options.part.folder


def _is_no_other(folder: Path, options: RunOptions) -> None:
    """Raises ShardError for a shard in the folder of a whole run, whose table would go."""
    if options.part != WHOLE and (folder / CERTIFICATION_JSON).exists():
        raise ShardError(
            f"--shard {options.shard}: {folder} holds a whole run: choose another folder with --out"
        )


def _begin(setup: WorkerSetup) -> None:
    """Sets this process up as one that works. Raises ExecutorError."""
    try:
        setup.begin()
    except CodecError as error:
        raise ExecutorError(f"--device {setup.device}: {error}") from None


def _executor(setup: WorkerSetup, options: RunOptions) -> Executor:
    """Raises ExecutorError."""
    workers = options.processes
    if options.executor in (None, "pool"):
        return SerialExecutor(setup) if workers == 1 else PoolExecutor(setup, workers)
    scheme, _, address = str(options.executor).partition("://")
    if scheme != "dask":
        raise ExecutorError(
            f"--executor {options.executor}: expected pool, dask or dask://HOST:PORT"
        )
    from testbed.running.dask_executor import DaskExecutor

    return DaskExecutor(address or None, workers, setup)


def _finish(
    planned: Plan,
    outcome: Outcome,
    journal: Journal,
    run: RunFacts,
    report: Report,
    watch: Watch,
    options: RunOptions,
    took: Took | None = None,
) -> None:
    """From the journal to the table and, of a whole run, certification and figures.

    took: what it took until here; None of a merge, which leaves no timings.
    """
    start, folder = time.perf_counter(), run.folder
    selection, whole = outcome.selection, options.part == WHOLE
    table_path = folder / TRIALS_CSV
    count = write_table(table_path, selection, journal.rows)
    failures = _failures(outcome, journal)
    _write_failures(folder / ERRORS_CSV, failures)
    if failures:
        report.wrote(folder / ERRORS_CSV)
    certification = certify(selection, journal.rows) if whole else None
    content = manifest(
        planned, outcome, run, options.part,
        certification=certification.summary() if certification else None,
        damaged_lines=journal.damaged_lines, other_lines=journal.other_lines,
    )  # fmt: skip
    report.wrote(write_manifest(folder, content))
    report.wrote(table_path, f"{count} rows")
    tables = _statistics(planned, table_path, folder) if whole and count else []
    if whole:
        report.wrote(write_budget(planned, folder))
    if options.parquet:
        tables += [write_parquet(table) for table in (table_path, *tables)]
    for table in tables:
        report.wrote(table)
    if certification is not None:
        certificate = write_certification(folder, certification)
        if count:
            report.note("drawing figures")
            written = _draw(planned, journal.rows, table_path, folder, report)
            written += draw_certification(certification, folder / FIGURES)
            names = ", ".join(path.name for path in written)
            report.wrote(folder / FIGURES, names, written)
        report.certified(certification, certificate)
        if count:
            report.note(f"a report of it all: testbed report {shlex.quote(str(folder))}")
    if took is not None:
        finish_s = time.perf_counter() - start
        report.wrote(write_timings(folder, outcome, took, finish_s))
    watch.finished()
    if failures:
        raise FailedTrials(
            f"{folder / ERRORS_CSV}: {len(failures)} of {outcome.trials} trials raised an error "
            f"(the first: {failures[0].error}); all others are there, and the same command tries "
            "these again"
        )
    if options.strict and certification is not None and certification.violated:
        raise CertificationError(
            f"{certificate}: {len(certification.violated)} of {certification.made} checks violated"
        )


def _failures(outcome: Outcome, journal: Journal) -> list[Failure]:
    """Of trials that belong into the table."""
    found = {failure.trial_id: failure for failure in journal.failures()}
    if not found:
        return []
    return [found[trial.trial_id] for _, trial in outcome.selection if trial.trial_id in found]


def _write_failures(path: Path, failures: Sequence[Failure]) -> None:
    if not failures:
        path.unlink(missing_ok=True)
        return
    with whole_file(path) as partial, partial.open("w", newline="") as file:
        names = [field.name for field in fields(Failure)]
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(failure.content() for failure in failures)


def _draw(
    planned: Plan, known: Container[str], table_path: Path, folder: Path, report: Report
) -> list[Path]:
    """comparison.csv, if the scenario compares, and all figures; these figures' files."""
    scenario = planned.scenario
    if scenario.comparison is not None:
        _compare(planned, scenario.comparison, table_path, folder, report)
    examples = write_examples(planned, known, folder, report.note)
    if examples:
        report.wrote(folder / EXAMPLES, ", ".join(path.name for path in examples), examples)
    with TemporaryDirectory() as scratch:
        run = open_run(folder, Path(scratch))
        strips = draw_picture_strips(run, "page") if scenario.figures.strip else ()
        written = [
            path
            for drawing in chain(draw_curves(run, "page"), draw_comparison(run, "page"), strips)
            for path in save_drawing(drawing, folder / FIGURES, (".png", ".pdf"))
        ]
        skipped = undrawn_curves(run) + undrawn_comparison(run)
    if skipped:
        report.note(f"{skipped} more settings are in the table and not drawn")
    more = scenario.figures.more or ()
    # A plug-in's figure may look at any column.
    return written + (
        draw_plugin_figures(more, read_table(table_path), folder / FIGURES) if more else []
    )


def _statistics(planned: Plan, table_path: Path, folder: Path) -> list[Path]:
    """statistics.csv and differences.csv."""
    lower = {metric.column for metric in planned.metrics if not metric.higher_is_better}
    return write_statistics(
        table_path, metric_labels(planned), reference_codec(planned), folder, lower
    )


def _compare(
    plan: Plan, section: Comparison, table_path: Path, folder: Path, report: Report
) -> None:
    """comparison.csv."""
    words = metric_labels(plan)
    planned = {
        each.name
        for variant in plan.variants
        for grid in variant.scenario.link_grids()
        for each in grid.protection
        if each.chooses
    }
    rows, _ = compare(
        read_table(table_path, drawn_columns(table_path)), list(codec_labels(plan)),
        reference_codec(plan), section.outage_psnr_db, section.reference_protection, planned,
        [column for column, label in words.items() if is_share(label)],
    )  # fmt: skip
    report.wrote(write_comparison(rows, folder / COMPARISON_CSV), f"{len(rows)} rows")
