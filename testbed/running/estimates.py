"""How long a scenario will run and what it will take on the disk, from a few of its trials.

Of each codec and size of picture, one picture is sent over some of its links, in growing samples
within SAMPLE_S in all. A first small one tells what a process does once (loading networks, making
codes). Coding is counted per stream and planning per picture and link. The rest grows with the
trials, by less the more there are, since what arrives alike is decoded once: from the last sample
on by what that had more than the one before. Seconds are those of the processor, as if nothing else
needed it.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from testbed.language.codec_sections import CodecSection
from testbed.quantity_words import duration_words, size_words
from testbed.registry import make_codec
from testbed.running.plan import Cell, Plan, VariantPlan
from testbed.running.runner import table_writer, work_of
from testbed.running.trials import LinkPoint, budget_channel_uses
from testbed.running.work import Row, WorkResult
from testbed.running.worker import WorkerSetup, run_work
from testbed.sending.packets import capacity_bytes
from testbed.sending.transmission import layer_links

SAMPLE_S = 5.0
FIRST_SAMPLE = 2
GROWTH = 4
EXPECTED_GROWTH = 2.5
"""Of a sample's cost, when it gets GROWTH times as many trials."""


@dataclass(frozen=True, slots=True)
class GroupEstimate:
    """Of one codec of a variant, on pictures of one size.

    seconds       of one worker for all trials; None if no trial could be tried
    sampled       trials in the sample; 0: taken over from another group
    """

    case: str
    codec: str
    height: int
    width: int
    trials: int
    seconds: float | None
    sampled: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of a whole run, as if nothing of it were known yet; see `seconds`.

    once_s        what each worker does once, in seconds
    journal_bytes, table_bytes   of journal.jsonl and trials.csv
    upper         whether stopping rules may make it less
    problems      codecs that could not be estimated, and why
    """

    groups: tuple[GroupEstimate, ...]
    once_s: float
    journal_bytes: float
    table_bytes: float
    upper: bool
    problems: tuple[str, ...]

    @property
    def trials(self) -> int:
        """That the estimate is of."""
        return sum(group.trials for group in self.groups if group.seconds is not None)

    @property
    def all_trials(self) -> int:
        """Of the scenario."""
        return sum(group.trials for group in self.groups)

    @property
    def sampled(self) -> int:
        """Trials that it rests on."""
        return sum(group.sampled for group in self.groups)

    def seconds(self, workers: int) -> float:
        """Of simulating with so many workers; without starting them, certification and figures."""
        return self.once_s + sum(group.seconds or 0.0 for group in self.groups) / workers

    def content(self, workers: int) -> dict[str, Any]:
        """JSON-able."""
        return {
            "workers": workers,
            "seconds": self.seconds(workers),
            "seconds_one_worker": self.seconds(1),
            "journal_bytes": round(self.journal_bytes),
            "table_bytes": round(self.table_bytes),
            "at_most": self.upper,
            "estimated_trials": self.trials,
            "sampled_trials": self.sampled,
            "groups": [asdict(group) for group in self.groups],
            "problems": list(self.problems),
        }

    def words(self, workers: int) -> str:
        """One line."""
        if not self.trials:
            return "no estimate of time and disk"
        with_workers = "one worker" if workers == 1 else f"{workers} workers"
        duration = duration_words(self.seconds(workers))
        most = "at most " if self.upper else "" if duration.startswith("under") else "about "
        part = "" if self.trials == self.all_trials else f" for {self.trials} of the trials"
        disk = size_words(self.journal_bytes + self.table_bytes)
        return (
            f"estimated from {self.sampled} trials: {most}{duration} of "
            f"simulation with {with_workers}{part}, "
            f"and {disk} of journal and table; start, certification and figures come on top"
        )


@dataclass
class _Group:
    variant: VariantPlan
    section: CodecSection
    size: tuple[int, int]
    cells: list[Cell] = field(default_factory=list)
    rank: int = 0
    """How many groups of the same type and as many pixels come before it."""

    @property
    def trials(self) -> int:
        return sum(map(len, self.cells))

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]


@dataclass(frozen=True)
class _Costs:
    """Seconds of samples of a group by what they grow with, and bytes per trial.

    sample_s, more_s   of a picture's first `sample` trials, but for coding and planning, and of
                       each one more
    """

    sampled: int
    stream_s: float
    point_s: float
    sample: int
    sample_s: float
    more_s: float
    journal_bytes: float
    table_bytes: float
    once_s: float

    def scaled(self, factor: float) -> _Costs:
        """For pictures of so many times the pixels."""
        return replace(
            self,
            sampled=0,
            stream_s=factor * self.stream_s,
            point_s=factor * self.point_s,
            sample_s=factor * self.sample_s,
            more_s=factor * self.more_s,
            once_s=0.0,
        )

    def of(self, group: _Group) -> float:
        """Seconds of all trials of a group on pictures of the size that these are of."""
        images = len(group.cells[0].images)
        links = [cell.point.link for cell in group.cells]
        more = group.trials / images - self.sample
        trials_s = self.sample_s + (self.more_s if more > 0 else self.sample_s / self.sample) * more
        streams = _streams(group, links)
        return images * (streams * self.stream_s + len(links) * self.point_s + trials_s)


def estimate(plan: Plan, sample_s: float = SAMPLE_S) -> Estimate:
    """Simulates for about `sample_s` seconds; a single trial that takes longer is not cut off.

    Streams are neither taken from the cache nor put there. Raises PluginError.
    """
    WorkerSetup(plan.scenario.plugins).begin()
    groups = _groups(plan)
    problems: dict[str, None] = {}
    costs: dict[int, _Costs] = {}
    left_s, warm = sample_s, set[str]()
    # Upright pictures cost what lying ones do.
    kinds = {(id(g.variant), g.section.name, g.pixels): k for k, g in enumerate(groups)}
    order = sorted(kinds.values(), key=lambda k: (groups[k].rank, groups[k].pixels))
    for done, k in enumerate(order):
        if left_s <= 0:
            break
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        begun = groups[k].section.model_dump_json(exclude={"name"})
        # The quick ones, which come first, leave theirs to the others.
        share_s = 2 * left_s / (len(order) - done + 1)
        found = _measured(plan, groups[k], share_s, left_s, warm=begun in warm)
        warm.add(begun)
        # Others may be busy, too; but nobody waits for ever.
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
        left_s -= max(cpu_s, wall_s / 2)
        if isinstance(found, _Costs):
            costs[k] = found
        else:
            problems[found] = None
    estimates, journal_bytes, table_bytes = [], 0.0, 0.0
    for k, group in enumerate(groups):
        cost = costs.get(k) or _like(group, [(groups[j], each) for j, each in costs.items()])
        if cost is not None:
            journal_bytes += group.trials * cost.journal_bytes
            table_bytes += group.trials * cost.table_bytes
        estimates.append(
            GroupEstimate(
                group.variant.case,
                group.section.name,
                *group.size,
                group.trials,
                None if cost is None else cost.of(group),
                0 if cost is None else cost.sampled,
            )
        )
    return Estimate(
        tuple(estimates),
        sum(cost.once_s for cost in costs.values()),
        journal_bytes,
        table_bytes,
        plan.scenario.stop is not None,
        tuple(problems),
    )


def _groups(plan: Plan) -> list[_Group]:
    found: dict[tuple[int, int, tuple[int, int]], _Group] = {}
    ranks: dict[tuple[str, int], int] = {}
    for cell in plan.cells:
        key = id(cell.variant), cell.point.codec_index, cell.size
        if key not in found:
            section = cell.variant.scenario.codecs[cell.point.codec_index]
            alike = str(section.type), cell.size[0] * cell.size[1]
            found[key] = _Group(cell.variant, section, cell.size, rank=ranks.get(alike, 0))
            ranks[alike] = found[key].rank + 1
        found[key].cells.append(cell)
    return list(found.values())


def _measured(
    plan: Plan, group: _Group, share_s: float, left_s: float, *, warm: bool
) -> _Costs | str:
    """From samples within `share_s` beside the first one; or why there are none.

    left_s: for all groups. warm: the codec has been used in this process.
    """
    # Tables that are not there yet would be made now, which may take minutes.
    cells = [cell for cell in group.cells if not _may_make_tables(cell.point.link)]
    if not cells:
        return (
            f"{group.section.name}: no estimate, since all its links rest on block error tables, "
            "which may have to be made"
        )
    repetitions = group.variant.scenario.repetitions
    most = len(cells) * repetitions

    def sample(count: int, name: str) -> _Sample:
        places = ((2 * k + 1) * most // (2 * count) for k in range(count))
        trials = [
            plan.trial(cells[at // repetitions].point, cells[0].images[0], at % repetitions)
            for at in places
        ]
        # By another fingerprint no stream is known from before.
        work = replace(work_of(plan, group.variant, trials), fingerprint=f"estimate, {name}")
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        result = run_work(work)
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
        return _Sample([trial.link for trial in trials], result, wall_s, cpu_s)

    count = min(FIRST_SAMPLE, most)
    samples, once_s = [], 0.0
    if not warm:
        first = sample(count, "first")
        if first.result.failures or 2 * first.cpu_s > left_s:
            samples = [first]
        once_s = first.cpu_s
    if not samples:
        samples = [sample(count, "again")]
        once_s = max(0.0, once_s - samples[0].cpu_s)
        spent_s = samples[0].trials_s
        while count < most and not samples[-1].result.failures:
            spent_s += EXPECTED_GROWTH * samples[-1].trials_s
            if spent_s > share_s:
                break
            count = min(most, GROWTH * count)
            samples.append(sample(count, "again"))
    else:
        once_s = 0.0
    failures = samples[-1].result.failures
    if failures:
        return (
            f"{group.section.name}: no estimate, since a trial raises an error "
            f"({failures[0].channel}, {failures[0].snr_db:g} dB: {failures[0].error})"
        )
    return _costs(plan, group, samples, once_s)


@dataclass(frozen=True)
class _Sample:
    links: list[LinkPoint]
    result: WorkResult
    wall_s: float
    cpu_s: float

    def stage_s(self, stage: str) -> float:
        """Of the processor."""
        return self.result.seconds.by_stage[stage] * self.cpu_s / self.wall_s

    @property
    def trials_s(self) -> float:
        """Of all but coding and planning."""
        return self.stage_s("link") + self.stage_s("decode") + self.stage_s("measure")


def _may_make_tables(point: LinkPoint) -> bool:
    return point.rests_on_tables or point.plugin_policy is not None


def _costs(plan: Plan, group: _Group, samples: Sequence[_Sample], once_s: float) -> _Costs:
    """Of the last sample; of all, what is coded: each stream is coded once."""
    last, rows = samples[-1], samples[-1].result.rows
    sample_s = last.trials_s
    more_s = sample_s / len(rows)
    if len(samples) > 1:
        before = samples[-2]
        growth_s = (sample_s - before.trials_s) / (len(rows) - len(before.links))
        more_s = min(more_s, max(0.0, growth_s))
    links = list(dict.fromkeys(link for each in samples for link in each.links))
    return _Costs(
        len(rows),
        sum(each.stage_s("encode") for each in samples) / _streams(group, links),
        last.stage_s("plan") / len(set(last.links)),
        len(rows),
        sample_s,
        more_s,
        sum(map(len, last.result.lines)) / len(rows),
        _table_bytes(plan, rows) / len(rows),
        once_s,
    )


def _streams(group: _Group, links: Sequence[LinkPoint]) -> int:
    """How many streams a picture is coded into, for these links: one for each budget of bytes."""
    if group.section.analog or make_codec(group.section).scalable:
        return 1
    max_bytes = group.variant.scenario.packets.max_bytes
    return len(
        {
            capacity_bytes(
                max_bytes, budget_channel_uses(link.cbr, *group.size), layer_links(link)[0]
            )
            for link in links
        }
    )


def _table_bytes(plan: Plan, rows: Sequence[Row]) -> int:
    text = io.StringIO()
    table_writer(text, plan).writerows(rows)
    return len(text.getvalue().encode())


def _like(group: _Group, others: Sequence[tuple[_Group, _Costs]]) -> _Costs | None:
    """The costs of what is most like it of those that were measured, scaled by pixels."""
    alike = [each for each in others if each[0].section.type == group.section.type]
    if not alike:
        return None
    nearest, cost = min(
        alike,
        key=lambda each: (
            each[0].section != group.section,
            each[0].variant is not group.variant,
            abs(each[0].pixels - group.pixels),
        ),
    )
    return cost.scaled(group.pixels / nearest.pixels)
