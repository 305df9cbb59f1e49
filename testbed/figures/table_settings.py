"""A run's trials as figures of single trials ask for them: points, and the panels that they fill.

A point is one codec at one setting on pictures of one size (`evaluation.trial_store`). A panel has
the points that differ in the codec and in the columns along its axes alone. Analog codecs, which
know neither modulation nor code, stand beside all that meets the same medium.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from testbed.evaluation.run_folder import RunFolder, RunFolderError
from testbed.evaluation.trial_store import Point, TrialStore, open_trials
from testbed.evaluation.trials_table import LINK_COLUMNS, MEDIUM_COLUMNS, SETTING_COLUMNS
from testbed.figures.axes import BANDWIDTH, PACKET_LOSS, SNR
from testbed.figures.captions import plain
from testbed.figures.titles import wrapped
from testbed.language.setting_words import medium_words, setting_words

AXES = {each.column: each for each in (SNR, PACKET_LOSS, BANDWIDTH)}
"""Columns that a figure may have along an axis, in the order in which one is looked for."""

TITLE_CHARACTERS = 50
"""Of a line of a panel's title, in a panel as wide as a column of text."""


@contextmanager
def measured_trials(run: RunFolder, *columns: str) -> Iterator[TrialStore]:
    """PSNR, what `columns` of trials.csv hold, and failures of all trials. Raises RunFolderError.

    An exact picture counts as 60 dB.
    """
    path, scratch = run.trials_path, Path(tempfile.gettempdir())
    with ExitStack() as stack:
        try:
            trials = stack.enter_context(open_trials(path, ["psnr_db", *columns], scratch))
        except (OSError, ValueError, KeyError) as error:
            raise RunFolderError(f"{path}: cannot be read: {error}") from error
        yield trials


def value_of(point: Point, axis: str) -> float:
    """Where a point stands along an axis of AXES, in its unit; NaN if that is not stated."""
    return AXES[axis].scale * float(point.setting[axis])


@dataclass(frozen=True, slots=True)
class Panel:
    """What is drawn together.

    title   what all points have in common, in lines that fit a panel
    size    of the pictures
    points  in the order of the table; analog ones last
    """

    title: str
    size: str
    points: tuple[Point, ...]

    @property
    def in_words(self) -> str:
        """The title in one line, without the marks of mathematics."""
        return plain(" ".join(self.title.split()))

    def of_codec(self, codec: str) -> tuple[Point, ...]:
        return tuple(point for point in self.points if point.codec == codec)

    def codecs(self, order: Iterable[str]) -> list[str]:
        """Those that have points, in the given order."""
        there = {point.codec for point in self.points}
        return [codec for codec in order if codec in there]

    def along(self, axis: str, codec: str | None = None) -> list[Point]:
        """Points of a codec, or of all, that have a value along `axis`, in its order."""
        points = self.points if codec is None else self.of_codec(codec)
        known = [point for point in points if not math.isnan(value_of(point, axis))]
        return sorted(known, key=lambda point: value_of(point, axis))

    def at(self, axis: str, value: float) -> list[Point]:
        """Points that have this value along `axis`, in the order of `points`."""
        return [point for point in self.points if value_of(point, axis) == value]

    def values(self, axis: str) -> list[float]:
        """Different ones along `axis`, ascending."""
        return sorted({value_of(point, axis) for point in self.along(axis)})


def panels_of(trials: TrialStore, free: Sequence[str]) -> list[Panel]:
    """Panels whose points differ in the codec and in the columns `free`, of SETTING_COLUMNS.

    In the order in which they first appear in the table.
    """
    digital = [point for point in trials.points if point.kind != "analog"]
    analog = [point for point in trials.points if point.kind == "analog"]
    sizes = {point.size for point in trials.points}
    fixed = [name for name in SETTING_COLUMNS if name not in free]
    medium = [name for name in ("case", *MEDIUM_COLUMNS) if name not in free]
    if not digital:
        return _panels(analog, medium, free, sizes, only_medium=True)
    panels = _panels(digital, fixed, free, sizes, only_medium=False)
    found = []
    for panel in panels:
        place = panel.points[0].place(medium)
        beside = tuple(point for point in analog if point.place(medium) == place)
        found.append(replace(panel, points=panel.points + beside))
    return found


def _panels(
    points: Sequence[Point],
    fixed: Sequence[str],
    free: Sequence[str],
    sizes: set[str],
    *,
    only_medium: bool,
) -> list[Panel]:
    groups: dict[tuple[str, ...], list[Point]] = {}
    for point in points:
        groups.setdefault(point.place(fixed), []).append(point)
    varying = [name for name in fixed if len({point.setting[name] for point in points}) > 1]
    panels = []
    for group in groups.values():
        words = _setting_words(group, varying, free, only_medium=only_medium)
        first = group[0]
        parts = [first.setting["case"], first.size if len(sizes) > 1 else "", words]
        panels.append(
            Panel(
                wrapped(": ".join(filter(None, parts)), TITLE_CHARACTERS), first.size, tuple(group)
            )
        )
    return panels


def _setting_words(
    group: Sequence[Point], varying: Sequence[str], free: Sequence[str], *, only_medium: bool
) -> str:
    setting = {
        name: _typed(name, group[0].setting[name]) for name in LINK_COLUMNS if name not in free
    }
    if only_medium:
        return medium_words(setting | {"protection": ""}, varying)
    return setting_words(setting, varying, {point.setting["protection"] for point in group})


def _typed(name: str, text: str) -> object:
    if name == "transmissions_allowed":
        return int(text)
    is_number = name in ("snr_db", "code_rate", "cbr", "packet_loss", "erasure_rate")
    return float(text) if is_number else text


def of_codec(panel: Panel, codec: str, label: str) -> Panel:
    """A panel's points of one codec, whose label is above the title."""
    return Panel(f"{label}\n{panel.title}", panel.size, panel.of_codec(codec))
