"""Protection policies that plug-ins bring: what each layer of a picture is sent with.

    @register_policy("repeat_base")
    @dataclass(frozen=True)
    class RepeatBase(ProtectionPolicy):
        times: int = 4

        def options(self, link): return [replace(link, transmissions=self.times), link]
        def choose(self, sender): return [0, 1]

A policy states its options when the scenario is checked, so that none is impossible, and chooses
among them for each picture. What it chooses the receiver is told, as it is told sizes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from channels.errors import ChannelError
from channels.registry import add_to
from testbed.language.scenario_values import MAX_TRANSMISSIONS, MODULATION_BITS

if TYPE_CHECKING:
    from testbed.language.protection import LayerSetting
    from testbed.sending.planning import PictureLayers

MOST_OPTIONS = 1000

PROTECTION_POLICIES: dict[str, type[ProtectionPolicy]] = {}
"""By the name that a scenario gives; the testbed's own are those of `protection.POLICIES`."""

AnyPolicy = TypeVar("AnyPolicy", bound="type[ProtectionPolicy]")


@dataclass(frozen=True)
class Sender:
    """What a policy knows when it chooses for a picture.

    options: what it may choose from, as the policy stated it. snr_db: the mean Es/N0 at power 1.
    budget_uses: channel uses of the picture. max_bytes: payload of a packet at most. scalable: one
    stream serves every budget and may be cut; see `codec.base.ImageCodec`.
    """

    options: tuple[LayerSetting, ...]
    snr_db: float
    budget_uses: int
    max_bytes: int
    scalable: bool
    _measured: Callable[[int], PictureLayers] = field(repr=False)
    _uses: Callable[[int, int], int] = field(repr=False)

    def picture(self, option: int = 0) -> PictureLayers:
        """Sizes of the picture's layers, and its PSNR from those up to each of them.

        As coded for what the budget bears with this option; a scalable codec's is the same for all.
        The picture is coded and decoded for it, which takes its time.
        """
        return self._measured(option)

    def uses(self, size_bytes: int, option: int) -> int:
        """Channel uses of a layer of so many bytes, each packet sent once, parity included."""
        return self._uses(size_bytes, option)


class ProtectionPolicy(ABC):
    """A frozen dataclass; its fields are its keys in the YAML, beside `policy` and `name`."""

    @abstractmethod
    def options(self, link: LayerSetting) -> Sequence[LayerSetting]:
        """All that a layer may be sent with, at least one; `link` is what the link itself says."""

    @abstractmethod
    def choose(self, sender: Sender) -> Sequence[int]:
        """By layer, which of the options; the last one serves all layers that follow.

        Nothing in it may be random: equal pictures over equal links are sent alike.
        """


def register_policy(name: str) -> Callable[[AnyPolicy], AnyPolicy]:
    """A decorator that enters a policy. ChannelError if another has the name."""
    from testbed.language.protection import POLICIES

    if name in (*POLICIES, "analog"):
        raise ChannelError(f"protection policy {name!r}: expected a new name, found the testbed's")
    return add_to(PROTECTION_POLICIES, "protection policy", name)


def checked_options(policy: ProtectionPolicy, link: LayerSetting) -> tuple[LayerSetting, ...]:
    """What the policy states. ValueError for what no layer can be sent with."""
    from testbed.language.protection import LayerSetting

    options = tuple(policy.options(link))
    if not 1 <= len(options) <= MOST_OPTIONS:
        raise ValueError(f"expected 1 to {MOST_OPTIONS} options, found {len(options)}")
    for number, each in enumerate(options):
        if not isinstance(each, LayerSetting):
            raise ValueError(f"option {number}: expected a LayerSetting, found {each!r}")
        for key, is_sane, expected in (
            (
                "modulation",
                each.modulation in MODULATION_BITS,
                f"one of {', '.join(MODULATION_BITS)}",
            ),
            ("code_rate", 1 / 40 <= each.code_rate <= 0.95, "1/40 to 0.95"),
            ("transmissions", each.transmissions in range(1, MAX_TRANSMISSIONS + 1), "1 to 32"),
            ("erasure_rate", 1 / 256 <= each.erasure_rate <= 1, "1/256 to 1"),
            ("power_db", math.isfinite(each.power_db) and abs(each.power_db) <= 100, "-100 to 100"),
        ):
            if not is_sane:
                raise ValueError(
                    f"option {number}: {key}: expected {expected}, found {getattr(each, key)!r}"
                )
    if any(each.power_db for each in options) and any(each.transmissions > 1 for each in options):
        raise ValueError("expected transmissions: 1 with power_db, as in a table")
    return options
