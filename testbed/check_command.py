"""What `testbed check` and `testbed list` print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.table import Table

from codec.layered import scheme_words
from codec.profile import profile_names
from testbed.budget import link_budget
from testbed.codec_sections import CODEC_SECTIONS
from testbed.link_parts import Kind, names_of, parameters_of, value_text
from testbed.metric_choice import exceptions
from testbed.protection import POLICIES, policy_parameters
from testbed.runner import plan
from testbed.scenario_loading import load_scenario
from testbed.scenario_values import (
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

PLURALS: dict[Kind, str] = {
    "channel": "channels",
    "packet loss": "loss models",
    "metric": "metrics beside PSNR and SSIM",
}


def check_scenario(file: Path, overrides: Sequence[str]) -> None:
    """Loads everything the scenario names and prints its link budget. Raises TestbedError."""
    scenario = load_scenario(file, overrides)
    planned = plan(scenario)
    sizes = list(dict.fromkeys(image.pixels.shape[:2] for image in planned.images))
    table = Table(title="Link budget: the most that a codec may send, in one layer")
    for heading in (
        "picture", "CBR", "channel uses", "layers", "modulation", "bits/symbol", "rate",
        "uses/symbol", "erasure rate", "Es/N0 dB", "Eb/N0 dB", "payload bits", "bpp",
        "largest packet (k, n)",
    ):  # fmt: skip
        table.add_column(heading, justify="right", no_wrap=True)
    for line in link_budget(scenario, sizes):
        setting, point = line.link.setting, line.point
        table.add_row(
            f"{line.width}x{line.height}", str(point.cbr), str(line.budget_uses),
            line.layers if line.layers == "all" else f"{line.layers} of {point.protection}",
            setting.modulation,
            "-" if setting.modulation == GAUSSIAN else str(setting.bits_per_symbol),
            "uncoded" if setting.coding == "none" else f"{setting.code_rate:.3g}",
            f"{line.overhead:.3g}", f"{line.link.erasure_rate:.3g}",
            f"{point.snr_db:g}", f"{point.ebn0_db:.2f}", str(8 * line.capacity_bytes),
            f"{line.capacity_bpp:.3f}", f"({line.k}, {line.n})" if line.k else "none fits",
        )  # fmt: skip
    # As wide as it needs to be also where the output is a file.
    Console(width=max(210, Console().width)).print(table)
    for exception in exceptions(planned.metrics, planned.images):
        print(f"{file}: {exception}")
    print(
        f"{file}: ok; {len(planned.trials)} trials: {len(planned.images)} images, "
        f"{len(scenario.codecs)} codecs, {scenario.repetitions} repetitions"
    )


def print_choices() -> None:
    """One line for each kind of thing that a scenario names."""
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
        print(f"{PLURALS[kind]}, with their parameters and defaults:")
        for name in names_of(kind):
            parameters = parameters_of(kind, name)
            _print_choice(name, {key: default for key, (_, default) in parameters.items()})


def _print_choice(name: str, defaults: Mapping[str, Any], key: str = "type") -> None:
    parameters = [f"{each}: {value_text(default)}" for each, default in defaults.items()]
    print(f"  {{{', '.join([f'{key}: {name}', *parameters])}}}")
