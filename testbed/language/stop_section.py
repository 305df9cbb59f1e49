"""The scenario's `stop`: when a point has been simulated often enough.

    repetitions: 10000
    stop: {interval_db: 0.2, failures: 100, trials: 50000}

A point, here, is one codec over one link point on pictures of one size. Its trials come in an order
that nothing changes, one repetition of all pictures after the other; after every `every` of them
the rules are asked, and the first that holds ends the point.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from testbed.language.scenario_values import Section, number, whole_number, wrong


class Stop(Section):
    """Rules that end a point before all repetitions are done."""

    trials: Annotated[int, Field(ge=1), BeforeValidator(whole_number(1))] | None = Field(
        default=None, description="so many trials are enough"
    )
    interval_db: (
        Annotated[
            float,
            Field(gt=0),
            BeforeValidator(number("a width in dB above 0", lambda width: width > 0)),
        ]
        | None
    ) = Field(
        default=None,
        description="enough when the 95 % interval of the mean PSNR is at most so wide, in dB",
    )
    failures: Annotated[int, Field(ge=1), BeforeValidator(whole_number(1))] | None = Field(
        default=None, description="enough when so many pictures have failed"
    )
    every: Annotated[int, Field(ge=1), BeforeValidator(whole_number(1))] = Field(
        default=100, description="after how many trials of a point the rules are asked"
    )

    @model_validator(mode="after")
    def _has_a_rule(self) -> Stop:
        if self.trials is None and self.interval_db is None and self.failures is None:
            raise wrong("expected trials, interval_db or failures, found none of them")
        return self
