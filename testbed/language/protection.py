"""Unequal protection: what each layer of a codec gets of a link.

    protection: equal                         every layer is sent as the link says
    protection:                               values of the link, replaced layer by layer
      policy: table
      name: base_first
      layers:
        - {mcs: 2, transmissions: 4}          the first layer
        - {modulation: 16qam, code_rate: 1/2, erasure_rate: 4/5}
        - {}                                  the third and all that follow: as the link says
    protection: {policy: optimised, mcs: [0, 4, 8, 12, 17, 22]}
    protection: {policy: optimised, name: all, transmissions: [1, 2, 4], erasure_rate: [1, 4/5]}
    protection: {policy: optimised, name: outage, objective: {quantile: 0.05}}
    protection: {policy: adaptive, estimate_delay_packets: 2}       keys: see adaptation.py

The last kinds choose picture by picture. The first three plan (planning.py): an option is a
modulation and coding scheme, a number of transmissions and an erasure rate (the link's own unless
given), the best is that of the greatest mean PSNR over fades and losses, or of the greatest
quantile, such as what 95 % of the receptions reach:

    best_equal   one option for all layers
    optimised    an option for each layer
    oracle       the same, knowing the fades that the picture will meet
    adaptive     one scheme for all layers, by an old and noisy estimate of the channel

A plug-in brings policies of its own, whose keys are the fields of their class (policy_registry.py).

`power_db` shifts power among layers: it is scaled so that the mean over the channel uses of an
image is that of the link, whatever the table says, and therefore needs packets that are sent once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from testbed.errors import error_words
from testbed.language.adaptation import Adaptation, AdaptationKeys
from testbed.language.link_parts import LinkPart, class_schema, make_part, names_of, one_part
from testbed.language.scenario_values import (
    CodeRate,
    Decibel,
    ErasureRate,
    McsIndex,
    Modulation,
    Name,
    OneOrMany,
    Section,
    Transmissions,
    choice,
    number,
    wrong,
)
from testbed.language.yaml_source import found_text

MOST_LAYERS = 16
LOWEST_QUANTILE, HIGHEST_QUANTILE = 0.01, 0.9
Policy = Literal["equal", "table", "best_equal", "optimised", "oracle", "adaptive"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
PLANNED = ("best_equal", "optimised", "oracle", "adaptive")
"""Policies that choose for each picture."""
PLANS = ("best_equal", "optimised", "oracle")
"""Those of them that weigh options, by an objective."""
DEFAULT_MCS = (0, 2, 4, 6, 8, 11, 14, 17, 20, 23, 26)
"""In MCS table 1: from QPSK of rate .12 to 64QAM of rate .89."""

Scheme = Callable[[int], tuple[str, Fraction]]
"""From the index of a modulation and coding scheme to its modulation and code rate."""


@dataclass(frozen=True, slots=True)
class LayerSetting:
    """What one layer is sent with; see the keys of `link`. Rates 1: none is applied."""

    modulation: str
    code_rate: float
    transmissions: int
    erasure_rate: float
    power_db: float = 0.0


class LayerProtection(Section):
    """Values that replace those of the link for one layer."""

    modulation: Modulation | None = Field(default=None, description="constellation")
    code_rate: CodeRate | None = Field(
        default=None, description="information bits per coded bit, 1/40 to 0.95"
    )
    mcs: McsIndex | None = Field(
        default=None, description="index in mcs_table, instead of modulation and code_rate"
    )
    transmissions: Transmissions | None = Field(
        default=None, description="how often a packet is sent at most, 1 to 32"
    )
    erasure_rate: ErasureRate | None = Field(
        default=None, description="data packets per packet of a layer, 1/256 to 1"
    )
    power_db: Decibel = Field(default=0.0, description="power in dB, relative to other layers")

    @model_validator(mode="after")
    def _one_kind_of_scheme(self) -> LayerProtection:
        if self.mcs is not None and (self.modulation or self.code_rate):
            raise wrong("expected mcs or modulation and code_rate, found both: keep one", ("mcs",))
        return self

    def applied_to(self, link: LayerSetting, scheme: Scheme) -> LayerSetting:
        """The link's values with these in their place."""
        modulation, code_rate = self.modulation or link.modulation, link.code_rate
        if self.code_rate is not None:
            code_rate = float(self.code_rate)
        if self.mcs is not None:
            modulation, rate = scheme(self.mcs)
            code_rate = float(rate)
        return LayerSetting(
            modulation,
            code_rate,
            self.transmissions or link.transmissions,
            link.erasure_rate if self.erasure_rate is None else float(self.erasure_rate),
            self.power_db,
        )


class Objective(Section):
    """What plans make the greatest."""

    quantile: Annotated[
        float,
        Field(ge=LOWEST_QUANTILE, le=HIGHEST_QUANTILE),
        BeforeValidator(
            number("a number from 0.01 to 0.9", lambda x: LOWEST_QUANTILE <= x <= HIGHEST_QUANTILE)
        ),
    ] = Field(description="q: the q-quantile of the PSNR instead of its mean, 0.01 to 0.9")


_OBJECTIVE_SCHEMA = {"anyOf": [{"const": "mean"}, Objective.model_json_schema()]}


def _objective(value: object) -> object:
    if value is None or value == "mean":
        return None
    if isinstance(value, dict | Objective):
        return value
    raise wrong(f"expected mean or {{quantile: 0.05}}, found {found_text(value)}")


def _policy(value: object) -> str:
    plugins = names_of("protection policy")
    return choice((*POLICIES, *plugins))(value)


class Protection(AdaptationKeys):
    """A policy, by its name or with its parameters."""

    policy: Annotated[str, BeforeValidator(_policy)] = Field(
        default="equal",
        description="equal, a table by layer, or how to choose for each picture",
        json_schema_extra={"enum": list(POLICIES)},
    )
    name: Name = Field(default="", description="its name in results; its policy unless given")
    layers: OneOrMany[LayerProtection] | None = Field(
        default=None, description="of a table: for each layer, the last serves all that follow"
    )
    mcs: OneOrMany[McsIndex] | None = Field(
        default=None, description="indices in mcs_table to choose from, for each picture"
    )
    transmissions: OneOrMany[Transmissions] | None = Field(
        default=None, description="limits to choose from, of how often a packet is sent, 1 to 32"
    )
    erasure_rate: OneOrMany[ErasureRate] | None = Field(
        default=None, description="data packets per packet of a layer, to choose from"
    )
    objective: Annotated[
        Objective | None, BeforeValidator(_objective), WithJsonSchema(_OBJECTIVE_SCHEMA)
    ] = Field(default=None, description="what a plan makes the greatest: mean, or a quantile")

    _part: LinkPart | None = PrivateAttr(default=None)

    @property
    def part(self) -> LinkPart | None:
        """Of a policy that a plug-in registers: its class and parameters."""
        return self._part

    @property
    def chooses(self) -> bool:
        """Whether it chooses for each picture."""
        return self.policy in PLANNED or self.part is not None

    @model_validator(mode="wrap")
    @classmethod
    def _of_a_plugin(
        cls, value: object, handler: ModelWrapValidatorHandler[Protection], info: ValidationInfo
    ) -> Protection:
        given = {"policy": value} if isinstance(value, str) else value
        name = given.get("policy") if isinstance(given, dict) else None
        if not isinstance(given, dict) or name not in names_of("protection policy"):
            return handler(value)
        own = {key: each for key, each in given.items() if key not in ("policy", "name")}
        folder = str((info.context or {}).get("folder", ""))
        part = one_part("protection policy", str(name), own, folder)
        made = handler({key: each for key, each in given.items() if key not in own})
        made._part = part
        return made

    @model_serializer(mode="wrap")
    def _with_its_keys(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = dump(self)
        return dumped if self._part is None else dumped | {"policy": self._part.identity}

    @model_validator(mode="before")
    @classmethod
    def _policy_alone(cls, value: object) -> object:
        if isinstance(value, str):
            value = {"policy": value}
        if isinstance(value, dict) and "policy" in value and "name" not in value:
            return {**value, "name": value["policy"]}
        return value

    @model_validator(mode="after")
    def _layers_of_a_table(self) -> Protection:
        if self.policy == "table" and not self.layers:
            raise wrong("expected the key 'layers' of a table, found none")
        if self.policy != "table" and self.layers:
            raise wrong(
                f"expected no layers of the policy {self.policy}: write policy: table", ("layers",)
            )
        if self.policy not in PLANNED and self.mcs:
            raise wrong(
                f"expected mcs with one of {', '.join(PLANNED)}, found it with {self.policy}",
                ("mcs",),
            )
        for key in ("transmissions", "erasure_rate", "objective"):
            if self.policy not in PLANS and getattr(self, key) is not None:
                raise wrong(
                    f"expected {key} with one of {', '.join(PLANS)}, found it with {self.policy}",
                    (key,),
                )
        for key in self.adaptation_keys():
            if self.policy != "adaptive":
                raise wrong(f"expected {key} with adaptive, found it with {self.policy}", (key,))
        if len(self.layers or ()) > MOST_LAYERS:
            raise wrong(
                f"expected at most {MOST_LAYERS} layers, found {len(self.layers or ())}",
                ("layers",),
            )
        return self

    @property
    def adaptation(self) -> Adaptation | None:
        """Of `adaptive`, its keys and their defaults."""
        return Adaptation(**self.adaptation_keys()) if self.policy == "adaptive" else None

    def settings(self, link: LayerSetting, scheme: Scheme) -> tuple[LayerSetting, ...]:
        """By layer; the last serves all that follow. KeyError as `scheme` raises it.

        Of a policy that chooses for each picture: all that it can choose from. KeyError also for
        what a plug-in's policy states and cannot be.
        """
        if self.part is not None:
            return _stated_options(self.part, link)
        if self.policy in PLANNED:
            options = itertools.product(
                self.mcs or DEFAULT_MCS, self.transmissions or (None,), self.erasure_rate or (None,)
            )
            return tuple(
                LayerProtection(mcs=index, transmissions=times, erasure_rate=rate).applied_to(
                    link, scheme
                )
                for index, times, rate in options
            )
        return tuple(layer.applied_to(link, scheme) for layer in self.layers or ()) or (link,)

    @property
    def quantile(self) -> float | None:
        """Of the PSNR, to be made the greatest; None: the mean is."""
        return self.objective.quantile if self.objective else None


class _OrOfAPlugin:
    """Marks a protection whose JSON schema has the policies of plug-ins, too."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        own = handler(schema)
        plugins = names_of("protection policy")
        if not plugins:
            return own
        name = {"name": {"type": "string", "pattern": "^[a-z0-9_-]+$"}}
        parts = [
            class_schema("protection policy", each, "policy", swept=False, more=name)
            for each in plugins
        ]
        return {"anyOf": [own, {"enum": list(plugins)}, *parts]}


AnyProtection: TypeAlias = Annotated[Protection, _OrOfAPlugin()]


def _stated_options(part: LinkPart, link: LayerSetting) -> tuple[LayerSetting, ...]:
    from testbed.plugins.policy_registry import checked_options

    try:
        return checked_options(make_part("protection policy", part), link)
    except Exception as error:
        # The class is the user's own and may say anything.
        words = " ".join(str(error).split()) if type(error) is ValueError else error_words(error)
        raise KeyError(f"{part.label}: {words}") from None


def policy_parameters(policy: Policy) -> dict[str, Any]:
    """The keys that a policy takes, with their defaults, for people to read."""
    if policy == "equal":
        return {}
    if policy == "table":
        return {"layers": f"[{{{', '.join(LayerProtection.model_fields)}}}]"}
    if policy == "adaptive":
        return {"mcs": DEFAULT_MCS, **asdict(Adaptation())}
    return {
        "mcs": DEFAULT_MCS,
        "transmissions": "the link's",
        "erasure_rate": "the link's",
        "objective": "mean",
    }


EQUAL = Protection(policy="equal", name="equal")
