"""What a scenario says of link adaptation, the policy `adaptive` (channels/link_adaptation.py).

    protection: {policy: adaptive, mcs: [0, 4, 8, 12], estimate_delay_packets: 2}

Nothing heavy may be imported here: scenarios are checked with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from testbed.language.scenario_values import Section, number, whole_number, wrong
from testbed.language.yaml_source import found_text

MOST_DELAY_PACKETS = 1 << 20
MOST_ERROR_DB = 30


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How a scheme is chosen for a picture; see `channels.link_adaptation.LinkAdaptation`."""

    target_error_rate: float = 0.1
    estimate_delay_packets: int = 1
    estimate_error_db: float = 1.0
    outer_loop: bool = True


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise wrong(f"expected true or false, found {found_text(value)}")


class AdaptationKeys(Section):
    """The keys of `adaptive`; None where they are not given."""

    target_error_rate: (
        Annotated[
            float,
            Field(ge=1e-4, le=0.5),
            BeforeValidator(number("a number from 0.0001 to 0.5", lambda x: 1e-4 <= x <= 0.5)),
        ]
        | None
    ) = Field(default=None, description="share of packets that may fail, 0.0001 to 0.5")
    estimate_delay_packets: (
        Annotated[
            int,
            Field(ge=0, le=MOST_DELAY_PACKETS),
            BeforeValidator(whole_number(0, MOST_DELAY_PACKETS)),
        ]
        | None
    ) = Field(
        default=None,
        description="how many packets before the picture's first one the "
        "channel was measured; 0: that packet's own fade",
    )
    estimate_error_db: (
        Annotated[
            float,
            Field(ge=0, le=MOST_ERROR_DB),
            BeforeValidator(
                number("a number from 0 to 30 (dB)", lambda x: 0 <= x <= MOST_ERROR_DB)
            ),
        ]
        | None
    ) = Field(default=None, description="standard deviation of the estimate's error in dB")
    outer_loop: Annotated[bool, BeforeValidator(_switch)] | None = Field(
        default=None, description="whether estimates are corrected so that target_error_rate holds"
    )

    def adaptation_keys(self) -> dict[str, Any]:
        """Those that are given."""
        found = {key: getattr(self, key) for key in AdaptationKeys.model_fields}
        return {key: value for key, value in found.items() if value is not None}
