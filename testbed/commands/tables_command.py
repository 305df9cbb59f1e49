"""What `testbed tables` does: block error tables made ahead, or held to the exact link."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from channels.block_errors import tables_folder
from channels.errors import ChannelError
from channels.link import LinkSetting
from channels.table_link import MeasuredRate, check_setting, compare, prepare_tables
from testbed.language.scenario import Scenario
from testbed.language.scenario_loading import load_scenario
from testbed.running.trials import expand_links
from testbed.sending.packets import HEADER_BYTES
from testbed.sending.transmission import layer_links


def build_tables(file: Path, overrides: Sequence[str]) -> None:
    """Makes the tables of the scenario's links for packets of its largest size, and around it."""
    scenario = load_scenario(file, overrides)
    size = scenario.packets.max_bytes + HEADER_BYTES
    for setting in track(_settings(scenario), "tables", console=Console(stderr=True)):
        prepare_tables(setting, [size])
    print(f"{tables_folder()}: ready")


def verify_tables(file: Path, overrides: Sequence[str], packets: int) -> None:
    """Prints packet error rates of both tiers, with 95 % intervals, for each link."""
    scenario = load_scenario(file, overrides)
    size = scenario.packets.max_bytes + HEADER_BYTES
    shown = Table(
        title=f"Packet error rates, {packets} packets of {size} bytes each, 95 % intervals"
    )
    for heading in (
        "channel",
        "scheme",
        "Es/N0 dB",
        "bit by bit",
        "by tables",
        "tables expect",
        "",
    ):
        shown.add_column(heading, justify="right")
    outside = 0
    settings = _settings(scenario)
    for setting in track(settings, "comparing", console=Console(stderr=True)):
        found = compare(setting, size, packets, scenario.seed)
        low, high = found.exact.interval()
        agrees = low <= found.expected <= high
        outside += not agrees
        shown.add_row(
            str(setting.channel), f"{setting.modulation} {setting.code_rate:.3g}",
            f"{setting.snr_db:g}", _words(found.exact), _words(found.table),
            f"{found.expected:.3f}", "" if agrees else "outside",
        )  # fmt: skip
    Console(width=max(140, Console().width)).print(shown)
    print(
        f"{outside} of {len(settings)} expectations outside of the exact link's interval; "
        f"by chance about {0.05 * len(settings):.1f}"
    )


def _settings(scenario: Scenario) -> list[LinkSetting]:
    """All links of all layers that tables can stand for, each once. Ideal codes need none."""
    found: dict[LinkSetting, None] = {}
    for point in expand_links(scenario):
        if point.coding == "ideal":
            continue
        for link in layer_links(point):
            try:
                check_setting(link.setting)
            except ChannelError as error:
                raise scenario.problem(("link", "channel"), str(error)) from None
            found[link.setting] = None
    return list(found)


def _words(measured: MeasuredRate) -> str:
    low, high = measured.interval()
    return f"{measured.rate:.3f} ({low:.3f} .. {high:.3f})"
