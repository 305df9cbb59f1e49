"""The link budget of a scenario, before anything runs: what `testbed check` prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from channels.link import packet_cost
from testbed.packets import HEADER_BYTES, capacity_bytes
from testbed.scenario import Scenario
from testbed.transmission import link_setting
from testbed.trials import LinkPoint, budget_channel_uses, expand_links


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One link point for pictures of one size.

    `capacity_bytes`: the most that a codec may send, in one layer. `k`, `n`: information and
    coded bits of the largest packet that is sent, CRC and header included in k.
    """

    point: LinkPoint
    height: int
    width: int
    budget_uses: int
    bits_per_use: int
    capacity_bytes: int
    k: int
    n: int

    @property
    def capacity_bpp(self) -> float:
        return 8 * self.capacity_bytes / (self.height * self.width)


def link_budget(scenario: Scenario, sizes: list[tuple[int, int]]) -> Iterator[BudgetLine]:
    """A line for each size (height, width) and each link point that differs in what a packet costs
    or in SNR: channel, fading block and packet loss change neither.
    """
    seen = set()
    for point in expand_links(scenario):
        setting = link_setting(point)
        for height, width in sizes:
            key = (point.snr_db, point.modulation, point.code_rate, point.cbr, height, width)
            if key in seen:
                continue
            seen.add(key)
            uses = budget_channel_uses(point.cbr, height, width)
            capacity = capacity_bytes(scenario.packets.max_bytes, uses, setting)
            k = n = 0
            if capacity:
                largest = min(capacity, scenario.packets.max_bytes) + HEADER_BYTES
                cost = packet_cost(largest, setting)
                k, n = cost.payload_bits + cost.crc_bits, cost.coded_bits
            yield BudgetLine(point, height, width, uses, setting.bits_per_symbol, capacity, k, n)
