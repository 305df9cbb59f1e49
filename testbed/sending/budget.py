"""The link budget of a scenario, before anything runs: what `testbed check` prints."""

from __future__ import annotations

from dataclasses import dataclass, replace

from channels.link import packet_cost
from testbed.language.scenario import Scenario
from testbed.running.trials import LinkPoint, budget_channel_uses, expand_links
from testbed.sending.packets import HEADER_BYTES, LayerLink, capacity_bytes
from testbed.sending.transmission import layer_links


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One link point, for one layer, for pictures of one size.

    `layers`: which layers are sent over `link`: "all", or such as "0" or "2+". `capacity_bytes`:
    the most that a codec may send if all goes into one layer of these; packet loss and
    retransmissions take no part. `k`, `n`: information and coded bits of the largest packet that
    is sent, CRC and header included in k; of an ideal code, which codes no bits, n is in symbols.
    `overhead`: channel uses per symbol of that packet. `codecs`: the names of those that meet it.
    """

    point: LinkPoint
    layers: str
    link: LayerLink
    height: int
    width: int
    budget_uses: int
    capacity_bytes: int
    k: int
    n: int
    overhead: float
    codecs: tuple[str, ...] = ()

    @property
    def capacity_bpp(self) -> float:
        return 8 * self.capacity_bytes / (self.height * self.width)


def link_budget(scenario: Scenario, sizes: list[tuple[int, int]]) -> list[BudgetLine]:
    """A line for each size (height, width) and each link point and layer that differs in what a
    packet costs or in SNR: fading block, packet loss and HARQ change neither. Analog codecs have no
    packets of bits, and no lines.
    """
    digital = [codec.name for codec in scenario.codecs if not codec.analog]
    codecs: dict[LinkPoint, list[str]] = {}
    for name in digital:
        for point in expand_links(scenario, name):
            codecs.setdefault(point, []).append(name)
    found: dict[object, BudgetLine] = {}
    for point in expand_links(scenario):
        if point not in codecs:
            continue
        links = layer_links(point)
        for height, width in sizes:
            uses = budget_channel_uses(point.cbr, height, width)
            for layer, link in enumerate(links):
                setting = link.setting
                name = "all" if len(links) == 1 else f"{layer}{'+' * (layer == len(links) - 1)}"
                if point.chooses:
                    name = "any"
                key = (
                    point.snr_db, point.protection if len(links) > 1 else "", name, setting.coding,
                    setting.modulation, setting.code_rate, setting.power_db, link.erasure_rate,
                    # Of a channel, only the share of the uses that carries symbols counts.
                    setting.channel.symbols_within(uses), point.cbr, height, width,
                )  # fmt: skip
                line = found.get(key) or _line(point, name, link, (height, width), uses, scenario)
                named = {*line.codecs, *codecs[point]}
                found[key] = replace(line, codecs=tuple(each for each in digital if each in named))
    return list(found.values())


def _line(
    point: LinkPoint,
    layers: str,
    link: LayerLink,
    size: tuple[int, int],
    uses: int,
    scenario: Scenario,
) -> BudgetLine:
    max_bytes = scenario.packets.max_bytes
    capacity = capacity_bytes(max_bytes, uses, link)
    k = n = 0
    overhead = 1.0
    if capacity:
        cost = packet_cost(min(capacity, max_bytes) + HEADER_BYTES, link.setting)
        k = cost.payload_bits + cost.crc_bits
        n = cost.symbols if link.setting.coding == "ideal" else cost.coded_bits
        overhead = cost.channel_uses / cost.symbols
    return BudgetLine(point, layers, link, *size, uses, capacity, k, n, overhead)
