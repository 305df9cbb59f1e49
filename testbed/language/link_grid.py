"""What a scenario says of its link: grids of values, in `link` and in each of `sweeps`.

Nothing heavy may be imported here (torch, numba, sionna, pandas, matplotlib, codec, channels).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from testbed.language.link_parts import LinkPart, LinkParts, mcs_scheme
from testbed.language.protection import EQUAL, AnyProtection
from testbed.language.scenario_values import (
    FIDELITIES,
    GAUSSIAN,
    Cbr,
    CodeRate,
    Coding,
    Damage,
    Decibel,
    ErasureRate,
    FadingBlock,
    HarqMode,
    McsIndex,
    McsTable,
    Modulation,
    Name,
    OneOrMany,
    Section,
    SpectralEfficiency,
    Transmissions,
    choice,
    wrong,
)

Channels: TypeAlias = Annotated[
    tuple[LinkPart, ...], LinkParts("channel"), Field(description="the channel's model")
]
Modulations: TypeAlias = Annotated[OneOrMany[Modulation], Field(description="constellation")]
CodeRates: TypeAlias = Annotated[
    OneOrMany[CodeRate], Field(description="information bits per coded bit, 1/40 to 0.95")
]
McsIndices: TypeAlias = Annotated[
    OneOrMany[McsIndex],
    Field(description="5G's modulation and coding schemes, instead of modulation and code_rate"),
]
SpectralEfficiencies: TypeAlias = Annotated[
    OneOrMany[SpectralEfficiency],
    Field(
        description="of an ideal code, instead of modulation and code_rate: bits per complex "
        "symbol, or capacity: log2(1 + Es/N0)"
    ),
]
McsTables: TypeAlias = Annotated[
    OneOrMany[McsTable], Field(description="what mcs counts in: TS 38.214, table 5.1.3.1-1, -2, -3")
]
Codings: TypeAlias = Annotated[
    OneOrMany[Coding],
    Field(
        description="channel code; ldpc_polar: polar for short packets; none: a CRC alone; ideal: "
        "packets arrive if their symbols bear enough information"
    ),
]
HarqModes: TypeAlias = Annotated[
    OneOrMany[HarqMode], Field(description="what is sent again: other parities, or the same bits")
]
TransmissionLimits: TypeAlias = Annotated[
    OneOrMany[Transmissions], Field(description="how often a packet is sent at most, 1 to 32")
]
Fidelities: TypeAlias = Annotated[
    OneOrMany[Annotated[Literal["exact", "tables"], BeforeValidator(choice(FIDELITIES))]],
    Field(
        description="exact: every bit is sent; tables: packets fail by block error tables; the "
        "same for an ideal code"
    ),
]
Damages: TypeAlias = Annotated[
    OneOrMany[Damage], Field(description="drop packets that fail their CRC, or deliver them")
]
ErasureRates: TypeAlias = Annotated[
    OneOrMany[ErasureRate],
    Field(description="data packets per packet of a layer, 1/256 to 1 (no parity packets)"),
]
Protections: TypeAlias = Annotated[
    OneOrMany[AnyProtection], Field(description="equal, or a table of values by layer")
]
Cbrs: TypeAlias = Annotated[
    OneOrMany[Cbr],
    Field(description="channel bandwidth ratio: complex channel uses per source value (3 H W)"),
]
PacketLosses: TypeAlias = Annotated[
    tuple[LinkPart, ...],
    LinkParts("packet loss", number_as=("iid", "probability")),
    Field(description="packets lost whatever the channel does: a probability, or a loss model"),
]
FadingBlocks: TypeAlias = Annotated[
    OneOrMany[FadingBlock], Field(description="what one fading coefficient holds for")
]
SnrsDb: TypeAlias = Annotated[
    OneOrMany[Decibel], Field(description="Es/N0 in dB per complex channel use")
]
EbN0sDb: TypeAlias = Annotated[
    OneOrMany[Decibel], Field(description="Eb/N0 in dB per information bit, instead of snr_db")
]


class LinkGrid(Section):
    """Values of a link; the trials are their cross product. An empty tuple means: not given."""

    channel: Channels = Field(default_factory=tuple)
    modulation: Modulations = Field(default_factory=tuple)
    code_rate: CodeRates = Field(default_factory=tuple)
    mcs: McsIndices = Field(default_factory=tuple)
    mcs_table: McsTables = Field(default_factory=tuple)
    spectral_efficiency: SpectralEfficiencies = Field(default_factory=tuple)
    coding: Codings = Field(default_factory=tuple)
    cbr: Cbrs = Field(default_factory=tuple)
    packet_loss: PacketLosses = Field(default_factory=tuple)
    fading_block: FadingBlocks = Field(default_factory=tuple)
    harq: HarqModes = Field(default_factory=tuple)
    transmissions: TransmissionLimits = Field(default_factory=tuple)
    damage: Damages = Field(default_factory=tuple)
    fidelity: Fidelities = Field(default_factory=tuple)
    erasure_rate: ErasureRates = Field(default_factory=tuple)
    protection: Protections = Field(default_factory=tuple)
    snr_db: SnrsDb = Field(default_factory=tuple)
    ebn0_db: EbN0sDb = Field(default_factory=tuple)

    @model_validator(mode="after")
    def _one_kind_of_snr(self) -> LinkGrid:
        if self.snr_db and self.ebn0_db:
            raise wrong("expected snr_db or ebn0_db, found both: keep one", at=("ebn0_db",))
        return self

    @model_validator(mode="after")
    def _protections_differ(self) -> LinkGrid:
        seen: dict[str, int] = {}
        for index, each in enumerate(self.protection):
            if each.name in seen:
                raise wrong(
                    f"expected a name of its own, found {each.name!r} as in item "
                    f"{seen[each.name]}: give one of them another 'name'",
                    at=("protection", index),
                )
            seen[each.name] = index
        return self

    @model_validator(mode="after")
    def _one_kind_of_scheme(self) -> LinkGrid:
        given = [key for key in SCHEME_RIVALS if key in self.model_fields_set]
        for key in reversed(given):
            for rival in SCHEME_RIVALS[key]:
                if rival in given:
                    raise wrong(f"expected {key} or {rival}, found both: keep one", at=(key,))
        # Defaults that another key stands for are not said.
        ousted = {key: none for key, none in _ousted(given).items() if getattr(self, key)}
        return self.model_copy(update=ousted) if ousted else self

    @property
    def points(self) -> int:
        """How many link points the grid has, at most."""
        return math.prod(len(values) or 1 for values in self.given.values())

    @property
    def given(self) -> dict[str, tuple[object, ...]]:
        """The values by key, without keys of which there are none."""
        values = {key: getattr(self, key) for key in LinkGrid.model_fields}
        return {key: each for key, each in values.items() if each}


_SCHEMES = (("modulation", "code_rate"), ("mcs",), ("spectral_efficiency",))
SCHEME_RIVALS = {
    key: tuple(other for others in _SCHEMES if others != keys for other in others)
    for keys in _SCHEMES
    for key in keys
}
"""By each key that says with which modulation and at which rate is sent: those that say it in
another way."""


def _ousted(given: Iterable[str]) -> dict[str, tuple[object, ...]]:
    """Empty values of the rivals of these keys."""
    return {rival: () for key in given for rival in SCHEME_RIVALS.get(key, ())}


class Sweep(LinkGrid):
    """A grid of its own: its values replace those of `link`."""

    codecs: OneOrMany[Name] | None = Field(
        default=None, description="names of the codecs that it is for; all unless given"
    )

    def concerns(self, codec: str) -> bool:
        """Whether the codec of this name goes over it."""
        return self.codecs is None or codec in self.codecs

    @model_validator(mode="after")
    def _is_not_empty(self) -> Sweep:
        if not self.given:
            raise wrong("expected at least one value to sweep, found none")
        return self


class Link(LinkGrid):
    """The link of every trial, as far as `sweeps` do not say otherwise."""

    channel: Channels = (LinkPart("awgn"),)
    modulation: Modulations = ("16qam",)
    code_rate: CodeRates = (Fraction(1, 2),)
    mcs_table: McsTables = (1,)
    coding: Codings = ("ldpc",)
    cbr: Cbrs = (Fraction(1, 3),)
    packet_loss: PacketLosses = (LinkPart("iid"),)
    fading_block: FadingBlocks = ("packet",)
    harq: HarqModes = ("incremental",)
    transmissions: TransmissionLimits = (1,)
    damage: Damages = ("drop",)
    fidelity: Fidelities = ("exact",)
    erasure_rate: ErasureRates = (Fraction(1),)
    protection: Protections = (EQUAL,)

    def replaced_by(self, sweep: Sweep) -> Link:
        """This link with the values of `sweep` in place of its own.

        Either SNR ousts the other, and so do the ways to say modulation and rate. A modulation or a
        code rate alone brings back the other's default.
        """
        given = sweep.given
        if sweep.snr_db or sweep.ebn0_db:
            given = {"snr_db": (), "ebn0_db": ()} | given
        ousted = _ousted(given)
        if (sweep.modulation or sweep.code_rate) and not self.modulation:
            fields = type(self).model_fields
            given = {key: fields[key].default for key in _SCHEMES[0]} | given
        return self.model_copy(update=ousted | given)

    def schemes(self) -> list[tuple[str, SpectralEfficiency, int]]:
        """(modulation, code rate, MCS table), as given or by mcs. KeyError for an unknown index.

        The rate of an ideal code is in bits per complex symbol, or `CAPACITY`.
        """
        if self.mcs:
            pairs = itertools.product(self.mcs, self.mcs_table)
            return [(*mcs_scheme(table, index), table) for index, table in pairs]
        if self.spectral_efficiency:
            return list(itertools.product((GAUSSIAN,), self.spectral_efficiency, self.mcs_table))
        return list(itertools.product(self.modulation, self.code_rate, self.mcs_table))
