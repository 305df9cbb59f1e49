"""The metrics that a scenario asks for, made, and held against its pictures."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.images import SourceImage
from testbed.language.link_parts import make_part
from testbed.language.scenario import Scenario
from testbed.plugins.metric_registry import Metric
from testbed.sending.simulation import COLUMNS


def chosen_metrics(scenario: Scenario, images: Sequence[SourceImage]) -> tuple[Metric, ...]:
    """In the order of the YAML.

    Raises ScenarioError for one that is defined for no picture, or whose column another has.
    """
    chosen: dict[str, Metric] = {}
    for part in scenario.metrics or ():
        metric: Metric = make_part("metric", part)
        if metric.column in (*COLUMNS, *chosen):
            raise scenario.problem(
                ("metrics",),
                f"{part.label}: expected a column of its own, found {metric.column!r}, which is "
                "there already: ask for one of the two",
            )
        reasons = [metric.undefined(image) for image in images]
        if all(reasons):
            raise scenario.problem(
                ("metrics",),
                f"{part.label} is not defined for {reasons[0]}, and there are no others",
            )
        chosen[metric.column] = metric
    return tuple(chosen.values())


def exceptions(metrics: Sequence[Metric], images: Sequence[SourceImage]) -> list[str]:
    """A line for each reason for which some picture has no value of a metric."""
    lines = []
    for metric in metrics:
        reasons = [reason for image in images if (reason := metric.undefined(image))]
        lines += [
            f"{metric.column} is not defined for {reason}: nan for {reasons.count(reason)} of "
            f"{len(images)}"
            for reason in dict.fromkeys(reasons)
        ]
    return lines
