"""What a scenario means once its images are there: variants, cells and, one at a time, trials.

    Plan -- VariantPlan -- Cell -- Trial
            (a scenario)   (codec x link point x size of picture)

Trials are never all held at once: a cell makes each of its trials when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from channels.errors import ChannelError
from channels.table_link import check_setting
from codec.base import CodecError
from testbed.evaluation.metric_choice import chosen_metrics
from testbed.images import ImageSourceError, SourceImage
from testbed.language.codec_sections import ConventionalSection
from testbed.language.comparison_section import Comparison
from testbed.language.protection import PLANNED
from testbed.language.scenario import Scenario
from testbed.plugins.loading import load_plugins
from testbed.plugins.metric_registry import Metric
from testbed.registry import codec_fingerprint
from testbed.running.trials import (
    LinkPoint,
    Point,
    Trial,
    analog_point,
    expand_links,
    expand_points,
)
from testbed.sending.transmission import layer_links


@dataclass(frozen=True)
class VariantPlan:
    """One variation of the scenario, itself if there are none.

    images: indices in the plan's list, in this variant's order.
    fingerprints: by codec name, what beside the scenario determines the codec's output.
    """

    case: str
    scenario: Scenario
    images: tuple[int, ...]
    fingerprints: dict[str, str]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Cell:
    """The trials of a point on pictures of one size: what statistics and stopping rules count.

    Their order: a repetition of all pictures after the other. images: indices in the plan.
    """

    variant: VariantPlan
    point: Point
    images: tuple[int, ...]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.images) * self.variant.scenario.repetitions


@dataclass(frozen=True)
class Plan:
    """A scenario with its images loaded.

    `strip` is the index of the image whose received pictures are drawn, if any.
    """

    scenario: Scenario
    images: list[SourceImage]
    variants: tuple[VariantPlan, ...]
    strip: int | None
    metrics: tuple[Metric, ...] = ()
    """Measured of every picture, in the order of their columns."""

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of the codecs of all variants, by name and, where there are variants, case."""
        several = len(self.variants) > 1
        return {
            f"{name} ({variant.case})" if several else name: fingerprint
            for variant in self.variants
            for name, fingerprint in variant.fingerprints.items()
        }

    @cached_property
    def trials(self) -> Trials:
        """All trials, in the table's order. What two variants share comes with each of them."""
        return Trials(self)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """In the table's order; within a point by the first picture of each size."""
        found = []
        for variant in self.variants:
            by_size: dict[tuple[int, int], list[int]] = {}
            for index in variant.images:
                height, width, _ = self.images[index].pixels.shape
                by_size.setdefault((height, width), []).append(index)
            sizes = [(tuple(images), size) for size, images in by_size.items()]
            found += [Cell(variant, point, *each) for point in variant.points for each in sizes]
        return tuple(found)

    def trial(self, point: Point, image_index: int, repetition: int) -> Trial:
        """One trial of a point."""
        image = self.images[image_index]
        return point.trial(image_index, image.name, image.sha256, repetition)


class Trials:
    """A plan's trials, made as they are asked for: variant, codec, link, image, repetition."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def __len__(self) -> int:
        return sum(map(len, self._plan.cells))

    def __iter__(self) -> Iterator[Trial]:
        for variant in self._plan.variants:
            for point in variant.points:
                for image in variant.images:
                    for repetition in range(variant.scenario.repetitions):
                        yield self._plan.trial(point, image, repetition)


def plan(scenario: Scenario) -> Plan:
    """Loads what the scenario names. Raises TestbedError for what is missing or unusable."""
    load_plugins(scenario.plugins)
    images: dict[str, int] = {}
    loaded: list[SourceImage] = []
    sources: dict[str, list[int]] = {}
    variants = []
    for variant in scenario.variants:
        own = variant.scenario
        chosen: dict[int, None] = {}
        for number, source in enumerate(own.images):
            key = f"{own.folder}: {source.model_dump_json()}"
            if key not in sources:
                sources[key] = []
                for image in _loaded(own, number):
                    index = images.setdefault(image.name, len(loaded))
                    if index == len(loaded):
                        loaded.append(image)
                    elif loaded[index].sha256 != image.sha256:
                        raise own.problem(
                            ("images", number),
                            f"expected one picture of each name, found another {image.name}: name "
                            "the folder above both, or rename one",
                        )
                    sources[key].append(index)
            chosen |= dict.fromkeys(sources[key])
        variants.append(_variant_plan(variant.case, own, tuple(chosen), loaded))
    strip = _strip_image(variants[0], loaded)
    return Plan(scenario, loaded, tuple(variants), strip, chosen_metrics(scenario, loaded))


def _loaded(scenario: Scenario, number: int) -> list[SourceImage]:
    """The pictures of a source. Raises ScenarioError, with its line."""
    try:
        return scenario.images[number].load(scenario.folder)
    except ImageSourceError as error:
        raise scenario.problem(("images", number), str(error)) from None


def _variant_plan(
    case: str, scenario: Scenario, indices: tuple[int, ...], loaded: Sequence[SourceImage]
) -> VariantPlan:
    images = [loaded[index] for index in indices]
    _codecs_can_take(scenario, images)
    _tables_can_stand_for(scenario)
    _can_be_told_apart(scenario)
    if scenario.comparison is not None:
        _can_be_compared(scenario, scenario.comparison, images)
    fingerprints = {section.name: codec_fingerprint(section) for section in scenario.codecs}
    points = tuple(expand_points(scenario, fingerprints))
    return VariantPlan(case, scenario, indices, fingerprints, points)


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


def _can_be_told_apart(scenario: Scenario) -> None:
    """Raises ScenarioError for links that the table, statistics and figures take for one."""
    for codec in scenario.codecs:
        seen: dict[str, LinkPoint] = {}
        for point in expand_links(scenario, codec.name):
            shown = analog_point(point) if codec.analog else point
            first = seen.setdefault(repr(shown.columns), shown)
            if first != shown:
                raise scenario.problem(
                    ("sweeps",) if scenario.sweeps else ("link", "protection"),
                    f"found two links of {codec.name} that differ only in what protection "
                    f"{shown.protection!r} means: give it a name for each",
                )


def _can_be_compared(
    scenario: Scenario, comparison: Comparison, images: Sequence[SourceImage]
) -> None:
    """Raises ScenarioError for published results on pictures of a size that there is not."""
    sizes = {"x".join(map(str, sorted(each.pixels.shape[:2])[::-1])) for each in images}
    for index, published in enumerate(comparison.published or ()):
        if published.size not in (None, *sizes):
            raise scenario.problem(
                ("comparison", "published", index, "size"),
                f"expected the size of some picture, {' or '.join(sorted(sizes))}, found "
                f"{published.size}",
            )


def _strip_image(variant: VariantPlan, loaded: Sequence[SourceImage]) -> int | None:
    """The image of `figures.strip`. Raises ScenarioError for one, or an SNR, that is not there."""
    scenario = variant.scenario
    names = [loaded[index].name for index in variant.images]
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
        return variant.images[names.index(strip.image)]
    if isinstance(strip.image, int) and strip.image < len(names):
        return variant.images[strip.image]
    raise scenario.problem(
        ("figures", "strip", "image"),
        f"expected a number below {len(names)} or an image's name such as {names[0]}, "
        f"found {strip.image}",
    )
