"""A protection policy: the first layers may be sent again, if that leaves enough for the others.

Layers that are of use to everything behind them are worth more than others. As many leading layers
as together cost at most `share` of the budget get `times` transmissions; the first one always does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from testbed.plugin_api import LayerSetting, ProtectionPolicy, Sender, register_policy

SENT_AGAIN, SENT_ONCE = 0, 1


@register_policy("repeat_base")
@dataclass(frozen=True)
class RepeatBase(ProtectionPolicy):
    """More transmissions for the first layers.

    Attributes:
        times: transmissions at most of their packets, 2 to 32.
        share: of the budget that these layers may take if sent once, 0 to 1.
    """

    times: int = 4
    share: float = 0.3

    def __post_init__(self) -> None:
        if not 2 <= self.times <= 32:
            raise ValueError(f"times: expected 2 to 32, found {self.times}")
        if not 0 <= self.share <= 1:
            raise ValueError(f"share: expected 0 to 1, found {self.share}")

    def options(self, link: LayerSetting) -> Sequence[LayerSetting]:
        return [replace(link, transmissions=self.times), replace(link, transmissions=1)]

    def choose(self, sender: Sender) -> Sequence[int]:
        left = self.share * sender.budget_uses
        choices: list[int] = []
        for size_bytes in sender.picture().sizes_bytes:
            left -= sender.uses(size_bytes, SENT_AGAIN)
            choices.append(SENT_AGAIN if left >= 0 or not choices else SENT_ONCE)
        # The last choice serves all layers that follow; a picture without layers needs one, too.
        return choices or [SENT_ONCE]
