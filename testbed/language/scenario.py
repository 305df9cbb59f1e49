"""What a scenario says: the models behind the YAML.

    YAML + `--set`s --yaml_source--> Document --scenario_loading--> Scenario --trials--> [Trial]

Values that make a grid (everything in `link` and `sweeps`) may be single or a list. Nothing here
looks at pictures, weights or channels: a scenario is checked in milliseconds.

Nothing heavy may be imported here (torch, numba, sionna, pandas, matplotlib, codec, channels).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from testbed.errors import ScenarioError
from testbed.language.codec_sections import Codec
from testbed.language.comparison_section import Comparison
from testbed.language.image_sources import ImageSource
from testbed.language.link_parts import LinkPart, LinkParts, make_part, mcs_scheme, modulations_of
from testbed.language.protection import EQUAL, PLANNED, AnyProtection, LayerSetting
from testbed.language.scenario_values import (
    CAPACITY,
    CODES,
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
    Text,
    Transmissions,
    choice,
    did_you_mean,
    image_choice,
    whole_number,
    wrong,
)
from testbed.language.stop_section import Stop
from testbed.language.yaml_source import dotted
from testbed.plugins.loading import Plugin

if TYPE_CHECKING:
    from testbed.language.variations import Variant

MAX_LINK_POINTS = 100_000


def canonical_json(data: Any) -> str:
    """JSON with sorted keys, no spaces, ASCII only, floats by `repr`. ValueError for nan, inf."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


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


class Packets(Section):
    """How layers are cut into packets."""

    max_bytes: Annotated[int, Field(ge=8, le=8192), BeforeValidator(whole_number(8, 8192))] = Field(
        default=256, description="payload bytes at most per packet, 8 to 8192"
    )


class Strip(Section):
    """A row of received pictures."""

    image: Annotated[
        int | str,
        PlainValidator(image_choice),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}),
    ] = Field(default=0, description="which picture: its number, from 0, or its name")
    snr_db: OneOrMany[Decibel] | None = Field(
        default=None,
        description="at which Es/N0 in dB; up to six of those simulated unless given",
    )


class Figures(Section):
    """What is drawn beside the curves."""

    strip: Strip | None = Field(default=None, description="received pictures of one image")
    more: Annotated[tuple[LinkPart, ...], LinkParts("figure")] | None = Field(
        default=None, description="figures of plug-ins"
    )
    examples: bool = Field(
        default=True,
        description="keep received pictures, what each layer brings and bitplanes as files, for "
        "figures and reports",
    )

    later_keys: ClassVar = ("more", "examples")


def _differences(base: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Of two canonical forms: what `other` says otherwise, by dotted key; None: it does not."""
    found: dict[str, Any] = {}
    for key in dict.fromkeys([*base, *other]):
        old, new = base.get(key), other.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found |= {f"{key}.{part}": value for part, value in _differences(old, new).items()}
        elif old != new:
            found[key] = new
    return found


Problem: TypeAlias = Callable[[tuple[str | int, ...], str], ScenarioError]


def _found_plugins(value: object, info: ValidationInfo) -> object:
    # They are loaded before anything else of a scenario is looked at: see scenario_loading.py.
    return value if isinstance(value, tuple) else (info.context or {})["plugins"]


Plugins: TypeAlias = Annotated[
    tuple[Plugin, ...],
    PlainValidator(_found_plugins),
    PlainSerializer(lambda plugins: [each.canonical() for each in plugins]),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]


class Scenario(Section):
    """A whole scenario, checked, defaults filled in."""

    name: Name = Field(
        default="scenario", description="names the results; the file's name unless given"
    )
    description: Text = Field(default="", description="free text for the report")
    # The bound keeps the seed in a signed 64-bit integer.
    seed: Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(whole_number(0, 2**63 - 1))] = (
        Field(default=1, description="all randomness follows from it")
    )
    repetitions: Annotated[
        int, Field(ge=1, le=1_000_000), BeforeValidator(whole_number(1, 1_000_000))
    ] = Field(default=1, description="independent channel draws per image")
    images: OneOrMany[ImageSource] = Field(description="a source or a list of sources")
    codecs: OneOrMany[Codec] = Field(description="a list of codecs such as {type: jpeg}")
    link: Link = Field(default_factory=Link, description="values of the link")
    sweeps: OneOrMany[Sweep] | None = Field(
        default=None,
        description="grids, each replacing values of the link; the trials are their union",
    )
    packets: Packets = Field(default_factory=Packets, description="how layers become packets")
    metrics: Annotated[tuple[LinkPart, ...], LinkParts("metric")] | None = Field(
        default=None, description="what is measured of received pictures beside PSNR and SSIM"
    )
    figures: Figures = Field(default_factory=Figures, description="what is drawn")
    comparison: Comparison | None = Field(
        default=None, description="codecs at their best over each medium, compared in pairs"
    )
    stop: Stop | None = Field(
        default=None, description="when a point has been simulated often enough"
    )
    plugins: Plugins = Field(
        default=(),
        description="plug-ins whose classes can be named: a Python file relative to the YAML's "
        "folder, or the name of an installed one",
    )

    later_keys: ClassVar = ("stop", "plugins")

    _folder: Path = PrivateAttr(default=Path())
    _problem: Problem | None = PrivateAttr(default=None)
    _variants: tuple[Variant, ...] = PrivateAttr(default=())

    @property
    def folder(self) -> Path:
        """The folder of the YAML file, which relative sources start from. Not part of the hash."""
        return self._folder

    def problem(self, location: tuple[str | int, ...], message: str) -> ScenarioError:
        """The error of something that shows only later, with the line of `location`."""
        if self._problem is not None:
            return self._problem(location, message)
        return ScenarioError.at(self.name, None, None, f"{dotted(location)}: {message}")

    @property
    def scenario_hash(self) -> str:
        """SHA-256 (64 hex characters) of the canonical JSON: of what is said, not how."""
        return hashlib.sha256(canonical_json(self.canonical()).encode()).hexdigest()

    def canonical(self) -> dict[str, Any]:
        """The scenario as JSON-able data, defaults filled in, fractions as text ("1/3")."""
        data = self.model_dump(mode="json")
        if self._variants:
            # The scenario itself is the first of them.
            data["vary"] = {
                variant.case: _differences(data, variant.scenario.canonical())
                for variant in self._variants
            }
        return data

    @property
    def variants(self) -> tuple[Variant, ...]:
        """The scenarios that this one stands for: those of `vary`, or itself alone."""
        from testbed.language.variations import Variant

        return self._variants or (Variant("", self),)

    def link_grids(self, codec: str | None = None) -> tuple[Link, ...]:
        """The grids whose union are the link points: one per sweep, or else the link alone.

        codec: only those for the codec of this name.
        """
        if not self.sweeps:
            return (self.link,)
        return tuple(
            self.link.replaced_by(sweep)
            for sweep in self.sweeps
            if codec is None or sweep.concerns(codec)
        )

    @model_validator(mode="after")
    def _sweeps_are_for_codecs(self) -> Scenario:
        names = [codec.name for codec in self.codecs]
        named: set[str] = set()
        for index, sweep in enumerate(self.sweeps or ()):
            for position, name in enumerate(sweep.codecs or ()):
                if name not in names:
                    raise wrong(
                        f"expected a codec's name, {' or '.join(names)}, found {name!r}",
                        at=("sweeps", index, "codecs", position),
                    )
            named.update(filter(sweep.concerns, names))
        for index, name in enumerate(names):
            if self.sweeps and name not in named:
                raise wrong(f"no sweep is for {name}: name it in one", at=("codecs", index))
        return self

    @model_validator(mode="after")
    def _codec_names_differ(self) -> Scenario:
        seen: dict[str, int] = {}
        for index, codec in enumerate(self.codecs):
            if codec.name in seen:
                raise wrong(
                    f"expected a name of its own, found {codec.name!r} as in "
                    f"codecs[{seen[codec.name]}]: give one of them another 'name'",
                    at=("codecs", index, "name"),
                )
            seen[codec.name] = index
        return self

    @model_validator(mode="after")
    def _grids_are_whole(self) -> Scenario:
        points = 0
        for index, grid in enumerate(self.link_grids()):
            at = ("sweeps", index) if self.sweeps else ("link",)
            if not grid.snr_db and not grid.ebn0_db:
                raise wrong("expected snr_db or ebn0_db, found neither", at=at)
            points += grid.points
            if points > MAX_LINK_POINTS:
                raise wrong(f"expected at most {MAX_LINK_POINTS} link points, found {points}", at)
            _check_ideal(grid, at)
            layers = _layers_of(grid, at)
            _check_channels(grid, at, layers)
            _check_transmissions(grid, at, layers)
            _check_polar(grid, at, layers, self.packets.max_bytes)
            _check_plans(grid, at)
            sweep = self.sweeps[index] if self.sweeps else None
            if any(
                codec.analog and (sweep is None or sweep.concerns(codec.name))
                for codec in self.codecs
            ):
                _check_analog(grid, at)
        return self

    @model_validator(mode="after")
    def _comparison_is_possible(self) -> Scenario:
        if self.comparison is not None:
            _check_comparison(self.comparison, [each.name for each in self.codecs])
            _check_comparable(self.comparison, self.link_grids())
            name = self.comparison.reference or self.codecs[0].name
            (reference,) = (codec for codec in self.codecs if codec.name == name)
            _check_reference_protection(self.comparison, reference, self.link_grids(name))
        return self


Place: TypeAlias = tuple[str | int, ...]


def _layers_of(grid: Link, at: Place) -> list[LayerSetting]:
    """All that a layer may be sent with. Raises the error of an MCS index that is not there."""
    try:
        schemes = grid.schemes()
    except KeyError as error:
        raise wrong(str(error.args[0]), (*at, "mcs")) from None
    layers: dict[LayerSetting, None] = {}
    for modulation, code_rate, table in schemes:
        for times, erasure_rate in itertools.product(grid.transmissions, grid.erasure_rate):
            # Nothing that is checked depends on capacity's value.
            rate = 1.0 if code_rate == CAPACITY else float(code_rate)
            link = LayerSetting(modulation, rate, times, float(erasure_rate))
            for index, protection in enumerate(grid.protection):
                try:
                    found = protection.settings(link, partial(mcs_scheme, table))
                except KeyError as error:
                    place = (*at, "protection", index, "layers")
                    raise wrong(str(error.args[0]), place) from None
                layers |= dict.fromkeys(found)
    return list(layers)


def _check_channels(grid: Link, at: Place, layers: Sequence[LayerSetting]) -> None:
    for channel in grid.channel:
        takes = modulations_of(channel)
        others = [each.modulation for each in layers if takes and each.modulation not in takes]
        if others:
            raise wrong(
                f"{channel.label} takes {', '.join(takes)} only, found {others[0]}: "
                f"set modulation: {takes[0]}",
                (*at, "channel"),
            )


def _check_analog(grid: Link, at: Place) -> None:
    for channel in grid.channel:
        takes = modulations_of(channel)
        if takes:
            raise wrong(
                f"{channel.label} takes {', '.join(takes)} only, found an analog codec: leave one "
                "of them out",
                (*at, "channel"),
            )


def _check_comparison(comparison: Comparison, codecs: Sequence[str]) -> None:
    reference = comparison.reference
    if reference is not None and reference not in codecs:
        raise wrong(
            f"expected a codec's name, found {reference!r}" + did_you_mean(reference, codecs),
            ("comparison", "reference"),
        )


def _check_reference_protection(
    comparison: Comparison, reference: Codec, grids: Sequence[Link]
) -> None:
    """grids: those of the reference codec."""
    wanted = comparison.reference_protection
    if wanted is not None and reference.analog:
        raise wrong(
            f"{reference.name} is an analog codec and has no protection: leave the key out",
            ("comparison", "reference_protection"),
        )
    names = list(dict.fromkeys(each.name for grid in grids for each in grid.protection))
    if wanted is not None and wanted not in names:
        raise wrong(
            f"expected a protection of the reference, {' or '.join(names)}, found {wanted!r}",
            ("comparison", "reference_protection"),
        )


def _check_comparable(comparison: Comparison, grids: Sequence[Link]) -> None:
    """Schemes meet at the same SNR, and each published result has a place in some figure."""
    if any(grid.ebn0_db for grid in grids):
        raise wrong(
            "expected snr_db, found ebn0_db, at which every scheme has its own Es/N0: set snr_db",
            ("comparison",),
        )
    for index, each in enumerate(comparison.published or ()):
        met = {
            pair
            for grid in grids
            if set(each.channel) & set(grid.channel)
            and any(loss.mean_loss == 0 for loss in grid.packet_loss)
            for pair in itertools.product(grid.snr_db, grid.cbr)
        }
        along_snr = sum(cbr == each.cbr for _, cbr in met)
        along_cbr = sum(snr_db == each.snr_db for snr_db, _ in met)
        if max(along_snr, along_cbr) < 2:
            raise wrong(
                f"found {each.channel[0].label}, {each.snr_db:g} dB and CBR {each.cbr}, which no "
                "figure shows: expected a channel with several SNRs at its CBR, or several CBRs at "
                "its SNR, without packet loss",
                ("comparison", "published", index),
            )


def _check_ideal(grid: Link, at: Place) -> None:
    """An ideal code goes with spectral_efficiency and with nothing that looks at bits."""
    if "ideal" not in grid.coding:
        if grid.spectral_efficiency:
            raise wrong(
                "expected coding: ideal with spectral_efficiency: other codes have modulation and "
                "code_rate, or mcs",
                (*at, "spectral_efficiency"),
            )
        return
    if not grid.spectral_efficiency:
        raise wrong(
            "expected spectral_efficiency with coding ideal, in bits per complex symbol, instead "
            "of modulation, code_rate and mcs",
            (*at, "coding"),
        )
    for key, expected, found in (
        ("coding", "ideal", grid.coding),
        ("damage", "drop", grid.damage),
        ("protection", "equal", [each.policy for each in grid.protection]),
    ):
        if set(found) != {expected}:
            other = next(each for each in found if each != expected)
            raise wrong(
                f"expected {key}: {expected} with an ideal code, found {other}: say so in a sweep "
                "of its own",
                (*at, key),
            )
    _check_ideal_channels(grid, at)


def _check_ideal_channels(grid: Link, at: Place) -> None:
    from channels.errors import ChannelError
    from channels.ideal import check_ideal_channel

    for channel in grid.channel:
        try:
            check_ideal_channel(make_part("channel", channel))
        except ChannelError as error:
            raise wrong(str(error), (*at, "channel")) from None
        if CAPACITY not in grid.spectral_efficiency:
            continue
        if channel.type != "awgn":
            raise wrong(
                f"expected capacity with the channel awgn alone, found {channel.label}: the sender "
                "does not know the fade; give a list of numbers, and look at the best of them",
                (*at, "spectral_efficiency"),
            )
        if not grid.snr_db:
            raise wrong(
                "expected capacity with snr_db, found ebn0_db, which hangs on the rate",
                (*at, "spectral_efficiency"),
            )


def _check_polar(grid: Link, at: Place, layers: Sequence[LayerSetting], max_bytes: int) -> None:
    if "polar" not in grid.coding:
        return
    # Imports numba.
    from testbed.language.polar_limit import largest_max_bytes

    tightest = min(layers, key=largest_max_bytes)
    largest = largest_max_bytes(tightest)
    if max_bytes > largest:
        raise wrong(
            f"expected packets.max_bytes of at most {largest} with polar codes of rate "
            f"{tightest.code_rate:.3g}, found {max_bytes}: set packets: {{max_bytes: {largest}}}, "
            "or coding: ldpc_polar",
            (*at, "coding"),
        )


def _check_plans(grid: Link, at: Place) -> None:
    """Plans are made with block error tables; an ideal code needs none."""
    if "tables" in grid.fidelity and "ideal" not in grid.coding:
        _check_tables(grid, at, "fidelity tables: others need the exact link")
    planned = [each.policy for each in grid.protection if each.policy in PLANNED]
    if not planned:
        return
    _check_tables(grid, at, f"protection {planned[0]}: others are not planned with")
    for channel in grid.channel:
        if modulations_of(channel):
            raise wrong(
                f"{channel.label} takes one modulation only: nothing is left to plan",
                (*at, "protection"),
            )


def _check_tables(grid: Link, at: Place, reason: str) -> None:
    """What block error tables can stand for, `reason` being why they have to."""
    for key, expected, found in (
        ("coding", CODES, grid.coding),
        ("damage", ("drop",), grid.damage),
    ):
        if not set(found) <= set(expected):
            raise wrong(f"expected {key}: {' or '.join(expected)} with {reason}", (*at, key))


def _check_transmissions(grid: Link, at: Place, layers: Sequence[LayerSetting]) -> None:
    if all(layer.transmissions == 1 for layer in layers):
        return
    if "none" in grid.coding:
        raise wrong(
            "expected transmissions: 1 without coding: no receptions can be combined",
            (*at, "coding"),
        )
    tables = [each.layers or () for each in grid.protection]
    if any(
        (layer.transmissions or times) > 1
        for table in tables
        if any(layer.power_db for layer in table)
        for layer, times in itertools.product(table, grid.transmissions)
    ):
        raise wrong(
            "expected transmissions: 1 with power_db: how much power is spent would depend on "
            "what fails",
            (*at, "protection"),
        )
