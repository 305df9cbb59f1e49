"""What `testbed check` and `testbed list` print."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from codec.layered import scheme_words
from codec.profile import profile_names
from testbed.evaluation.metric_choice import exceptions
from testbed.language.codec_sections import CODEC_SECTIONS
from testbed.language.link_parts import Kind, names_of, parameters_of, value_text
from testbed.language.protection import POLICIES, policy_parameters
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import load_scenario
from testbed.language.scenario_values import (
    CODINGS,
    DAMAGES,
    FADING_BLOCKS,
    FIDELITIES,
    GAUSSIAN,
    HARQ_MODES,
    IMAGE_SETS,
    MCS_TABLES,
    MODULATION_BITS,
)
from testbed.plugins.loading import named_plugins
from testbed.running.cores import available_cores
from testbed.running.estimates import estimate
from testbed.running.plan import Plan, plan
from testbed.sending.budget import BudgetLine, link_budget
from testbed.sending.budget_warnings import budget_warnings

PLURALS: dict[Kind, str] = {
    "channel": "channels",
    "packet loss": "loss models",
    "metric": "metrics beside PSNR and SSIM",
    "codec": "codecs of plug-ins",
    "analog codec": "analog codecs of plug-ins",
    "protection policy": "protection policies of plug-ins",
    "figure": "figures of plug-ins",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a scenario before it runs.

    trials: by variant and codec; "" is the only variant of a scenario without variations.
    """

    scenario: Scenario
    plan: Plan
    budget: tuple[tuple[str, BudgetLine], ...]
    """With the first variant that each line is of."""
    trials: dict[str, dict[str, int]]
    warnings: tuple[str, ...]


def check_scenario(
    file: Path, overrides: Sequence[str], *, as_json: bool = False, estimated: bool = False
) -> None:
    """Loads everything the scenario names and prints its link budget. Raises TestbedError.

    estimated: simulates a few trials, too, and says what the run will take.
    """
    checked = examine(load_scenario(file, overrides))
    workers = available_cores()
    if as_json:
        costs = estimate(checked.plan).content(workers) if estimated else None
        print(json.dumps(_as_json(checked) | {"estimate": costs}, indent=1, allow_nan=False))
        return
    _print_budget(checked)
    for warning in checked.warnings:
        print(f"{file}: {warning}")
    _print_trials(checked)
    print(
        f"{file}: ok; {len(checked.plan.trials)} trials: {len(checked.plan.images)} images, "
        f"{len(checked.scenario.codecs)} codecs, {checked.scenario.repetitions} repetitions",
        flush=True,
    )
    if estimated:
        found = estimate(checked.plan)
        for problem in found.problems:
            print(f"{file}: {problem}")
        print(f"{file}: {found.words(workers)}")


def examine(scenario: Scenario) -> Checked:
    """Loads everything the scenario names. Raises TestbedError for what is missing or unusable."""
    planned = plan(scenario)
    budget: dict[str, tuple[str, BudgetLine]] = {}
    trials: dict[str, dict[str, int]] = {}
    for variant in planned.variants:
        shapes = (planned.images[index].pixels.shape[:2] for index in variant.images)
        for line in link_budget(variant.scenario, list(dict.fromkeys(shapes))):
            budget.setdefault(repr(_cells(line, variant.scenario)), (variant.case, line))
        each = len(variant.images) * variant.scenario.repetitions
        counts = trials[variant.case] = dict.fromkeys(
            (codec.name for codec in variant.scenario.codecs), 0
        )
        for point in variant.points:
            counts[point.codec_name] += each
    return Checked(
        scenario,
        planned,
        tuple(budget.values()),
        trials,
        (*exceptions(planned.metrics, planned.images), *budget_warnings(planned)),
    )


def _print_budget(checked: Checked) -> None:
    table = Table(title="Link budget: the most that a codec may send, in one layer")
    for heading in (
        "picture", "CBR", "channel uses", "layers", "modulation", "bits/symbol", "rate",
        "uses/symbol", "erasure rate", "Es/N0 dB", "Eb/N0 dB", "payload bits", "bpp",
        "largest packet (k, n)", "codecs",
    ):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True)
    several = len(checked.trials) > 1
    if several:
        table.add_column("variant (the first)", no_wrap=True)
    for case, line in checked.budget:
        cells = _cells(line, checked.scenario)
        table.add_row(*cells, *([escape(case)] if several else []))
    # As wide as it needs to be also where the output is a file.
    width = 240 + max(map(len, checked.trials))
    Console(width=max(width, Console().width)).print(table)


def _cells(line: BudgetLine, scenario: Scenario) -> tuple[str, ...]:
    setting, point = line.link.setting, line.point
    digital = [codec.name for codec in scenario.codecs if not codec.analog]
    return (
        f"{line.width}x{line.height}", str(point.cbr), str(line.budget_uses),
        line.layers if line.layers == "all" else f"{line.layers} of {point.protection}",
        setting.modulation,
        "-" if setting.modulation == GAUSSIAN else str(setting.bits_per_symbol),
        "uncoded" if setting.coding == "none" else f"{setting.code_rate:.3g}",
        f"{line.overhead:.3g}", f"{line.link.erasure_rate:.3g}",
        f"{point.snr_db:g}", f"{point.ebn0_db:.2f}", str(8 * line.capacity_bytes),
        f"{line.capacity_bpp:.3f}", f"({line.k}, {line.n})" if line.k else "none fits",
        "all" if list(line.codecs) == digital else ", ".join(line.codecs),
    )  # fmt: skip


def _print_trials(checked: Checked) -> None:
    """How many trials each codec has, in each variant, where there are several."""
    codecs = list(dict.fromkeys(codec for counts in checked.trials.values() for codec in counts))
    if len(checked.trials) == 1 and len(codecs) == 1:
        return
    table = Table(title="Trials")
    if len(checked.trials) > 1:
        table.add_column("variant", no_wrap=True)
    for codec in codecs:
        table.add_column(codec, justify="right", no_wrap=True)
    for case, counts in checked.trials.items():
        row = [str(counts.get(codec, "-")) for codec in codecs]
        table.add_row(*([escape(case)] if len(checked.trials) > 1 else []), *row)
    width = max(map(len, checked.trials)) + 20 * (1 + len(codecs))
    Console(width=max(width, Console().width)).print(table)


def _as_json(checked: Checked) -> dict[str, Any]:
    return {
        "name": checked.scenario.name,
        "scenario_sha256": checked.scenario.scenario_hash,
        "images": len(checked.plan.images),
        "repetitions": checked.scenario.repetitions,
        "trials": len(checked.plan.trials),
        "trials_by_variant": checked.trials,
        "budget": [
            {
                "variant": case,
                "height": line.height,
                "width": line.width,
                "cbr": str(line.point.cbr),
                "channel_uses": line.budget_uses,
                "codecs": list(line.codecs),
                "layers": line.layers,
                "protection": line.point.protection,
                "modulation": line.link.setting.modulation,
                "coding": line.link.setting.coding,
                "code_rate": line.link.setting.code_rate,
                "uses_per_symbol": line.overhead,
                "erasure_rate": line.link.erasure_rate,
                "snr_db": line.point.snr_db,
                "ebn0_db": line.point.ebn0_db,
                "payload_bits": 8 * line.capacity_bytes,
                "bits_per_pixel": line.capacity_bpp,
                "largest_packet_k_bits": line.k,
                "largest_packet_n": line.n,
            }
            for case, line in checked.budget
        ],
        "warnings": list(checked.warnings),
    }


def print_choices(plugins: Sequence[str] = ()) -> None:
    """One line for each kind of thing that a scenario names, those of `plugins` among them.

    Raises PluginError.
    """
    named_plugins(plugins, Path())
    print("profiles of the semantic codec:")
    for name in profile_names():
        print(f"  {name}: {scheme_words(name)}")
    kinds: dict[str, Iterable[str]] = {
        "fading blocks": FADING_BLOCKS,
        "modulations": MODULATION_BITS,
        "MCS tables": map(str, MCS_TABLES),
        "coding": CODINGS,
        "HARQ": HARQ_MODES,
        "damaged packets": DAMAGES,
        "fidelity": FIDELITIES,
        "image sets": IMAGE_SETS,
    }
    for words, names in kinds.items():
        print(f"{words}: {', '.join(names)}")
    print("codecs, with their parameters and defaults:")
    for name, section in CODEC_SECTIONS.items():
        _print_choice(
            name,
            {
                key: field.default
                for key, field in section.model_fields.items()
                if key not in ("type", "name")
            },
        )
    print("protection, with its parameters and defaults:")
    for policy in POLICIES:
        _print_choice(policy, policy_parameters(policy), "policy")
    for kind in get_args(Kind):
        if names_of(kind):
            print(f"{PLURALS[kind]}, with their parameters and defaults:")
        for name in names_of(kind):
            parameters = parameters_of(kind, name)
            _print_choice(
                name,
                {key: default for key, (_, default) in parameters.items()},
                "policy" if kind == "protection policy" else "type",
            )


def _print_choice(name: str, defaults: Mapping[str, Any], key: str = "type") -> None:
    parameters = [f"{each}: {value_text(default)}" for each, default in defaults.items()]
    print(f"  {{{', '.join([f'{key}: {name}', *parameters])}}}")
