"""What the codecs and metrics of a run are called in figures and reports."""

from __future__ import annotations

from testbed.evaluation.trials_table import METRICS
from testbed.language.codec_sections import ConventionalSection
from testbed.running.plan import Plan


def metric_labels(plan: Plan) -> dict[str, str]:
    """What axes are called, by the column of the metric."""
    return METRICS | {metric.column: metric.label for metric in plan.metrics}


def codec_labels(plan: Plan) -> dict[str, str]:
    """By name. What is charged decides a comparison on small pictures, so labels say it."""
    return {
        codec.name: f"{codec.name} ({codec.headers})"
        if isinstance(codec, ConventionalSection) and codec.headers not in codec.name.split("_")
        else codec.name
        for variant in plan.variants
        for codec in variant.scenario.codecs
    }


def reference_codec(plan: Plan) -> str:
    """The name of the codec that others are held against: the comparison's, or the first."""
    section = plan.scenario.comparison
    return (section.reference if section else None) or next(iter(codec_labels(plan)))
