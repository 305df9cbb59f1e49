"""What a scenario says: the models behind the YAML.

    YAML + `--set`s --yaml_source--> Document --scenario_loading--> Scenario --trials--> [Trial]

Values that make a grid (everything in `link` and `sweeps`) may be single or a list. Nothing here
looks at pictures, weights or channels: a scenario is checked in milliseconds.

Nothing heavy may be imported here (torch, numba, sionna, pandas, matplotlib, codec, channels).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)

from testbed.errors import ScenarioError
from testbed.link_parts import LinkPart, LinkParts, modulations_of
from testbed.scenario_values import (
    IMAGE_SETS,
    Cbr,
    CodeRate,
    Decibel,
    FadingBlock,
    Modulation,
    Name,
    OneOrMany,
    Text,
    choice,
    image_choice,
    source_text,
    whole_number,
    wrong,
)
from testbed.yaml_source import dotted

MAX_LINK_POINTS = 100_000


def canonical_json(data: Any) -> str:
    """JSON with sorted keys, no spaces, ASCII only, floats by `repr`. ValueError for nan, inf."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


class Section(BaseModel):
    """A mapping of the YAML: unknown keys are refused, and nothing changes after loading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ImageSource(Section):
    """Pictures to send: a packaged set, or files."""

    source: Annotated[str, BeforeValidator(source_text)] = Field(
        description=f"one of {', '.join(IMAGE_SETS)}, or a path, folder or glob relative to the "
        "YAML's folder"
    )
    limit: Annotated[int, Field(ge=1), BeforeValidator(whole_number(1))] | None = Field(
        default=None, description="take at most so many pictures"
    )

    @model_validator(mode="before")
    @classmethod
    def _source_alone(cls, value: object) -> object:
        return {"source": value} if isinstance(value, str) else value


class CodecSection(Section):
    """What every codec has. A codec of a new type is a subclass that `Codec` lists."""

    name: Name = Field(default="", description="the codec's name in results; its type unless given")

    @model_validator(mode="before")
    @classmethod
    def _named_by_type(cls, value: object) -> object:
        if isinstance(value, dict) and "name" not in value and "type" in value:
            return {**value, "name": value["type"]}
        return value


class SemanticCodecSection(CodecSection):
    """The layered codec: base layer, bitplane layers, enhancement network."""

    type: Literal["semantic"]
    profile: Name = Field(default="paper", description="which weights and settings to use")
    correction: Annotated[
        Literal["interval", "one_sided"], BeforeValidator(choice(("interval", "one_sided")))
    ] = Field(default="interval", description="rule of the bitplane correction function")
    layers: Annotated[int, Field(ge=1, le=9), BeforeValidator(whole_number(1, 9))] | None = Field(
        default=None, description="send at most so many layers, 1 to 9; all unless given"
    )


class JpegCodecSection(CodecSection):
    """JPEG, at the best quality that fits the budget."""

    type: Literal["jpeg"]
    headers: Annotated[
        Literal["file", "abbreviated"], BeforeValidator(choice(("file", "abbreviated")))
    ] = Field(
        default="abbreviated",
        description="charge the whole file, or only what a decoder cannot know",
    )
    subsampling: Annotated[
        Literal["4:4:4", "4:2:0"], BeforeValidator(choice(("4:4:4", "4:2:0")))
    ] = Field(default="4:4:4", description="resolution of the colour planes")


Codec: TypeAlias = Annotated[SemanticCodecSection | JpegCodecSection, Field(discriminator="type")]
CODEC_SECTIONS: dict[str, type[CodecSection]] = {
    "semantic": SemanticCodecSection,
    "jpeg": JpegCodecSection,
}


Channels: TypeAlias = Annotated[
    tuple[LinkPart, ...], LinkParts("channel"), Field(description="the channel's model")
]
Modulations: TypeAlias = Annotated[OneOrMany[Modulation], Field(description="constellation")]
CodeRates: TypeAlias = Annotated[
    OneOrMany[CodeRate], Field(description="information bits per coded bit, 1/5 to 0.95")
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
    cbr: Cbrs = Field(default_factory=tuple)
    packet_loss: PacketLosses = Field(default_factory=tuple)
    fading_block: FadingBlocks = Field(default_factory=tuple)
    snr_db: SnrsDb = Field(default_factory=tuple)
    ebn0_db: EbN0sDb = Field(default_factory=tuple)

    @model_validator(mode="after")
    def _one_kind_of_snr(self) -> LinkGrid:
        if self.snr_db and self.ebn0_db:
            raise wrong("expected snr_db or ebn0_db, found both: keep one", at=("ebn0_db",))
        return self

    @property
    def points(self) -> int:
        """How many link points the grid has."""
        return math.prod(len(values) or 1 for _, values in self)


class Sweep(LinkGrid):
    """A grid of its own: its values replace those of `link`."""

    @model_validator(mode="after")
    def _is_not_empty(self) -> Sweep:
        if not any(values for _, values in self):
            raise wrong("expected at least one value to sweep, found none")
        return self


class Link(LinkGrid):
    """The link of every trial, as far as `sweeps` do not say otherwise."""

    channel: Channels = (LinkPart("awgn"),)
    modulation: Modulations = ("16qam",)
    code_rate: CodeRates = (Fraction(1, 2),)
    cbr: Cbrs = (Fraction(1, 3),)
    packet_loss: PacketLosses = (LinkPart("iid"),)
    fading_block: FadingBlocks = ("packet",)

    def replaced_by(self, sweep: Sweep) -> Link:
        """This link with the values of `sweep` in place of its own; either SNR ousts the other."""
        given: dict[str, tuple[object, ...]] = {key: values for key, values in sweep if values}
        if sweep.snr_db or sweep.ebn0_db:
            given = {"snr_db": (), "ebn0_db": ()} | given
        return self.model_copy(update=given)


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
        default=None, description="at which Es/N0 in dB; all that were simulated unless given"
    )


class Figures(Section):
    """What is drawn beside the curves."""

    strip: Strip | None = Field(default=None, description="received pictures of one image")


Problem: TypeAlias = Callable[[tuple[str | int, ...], str], ScenarioError]


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
    figures: Figures = Field(default_factory=Figures, description="what is drawn")

    _folder: Path = PrivateAttr(default=Path())
    _problem: Problem | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path:
        """The folder of the YAML file, which relative sources start from. Not part of the hash."""
        return self._folder

    def problem(self, location: tuple[str | int, ...], message: str) -> ScenarioError:
        """The error of something that shows only later, with the line of `location`."""
        if self._problem is not None:
            return self._problem(location, message)
        return ScenarioError.at(self.name, None, f"{dotted(location)}: {message}")

    @property
    def scenario_hash(self) -> str:
        """SHA-256 (64 hex characters) of the canonical JSON: of what is said, not how."""
        return hashlib.sha256(canonical_json(self.canonical()).encode()).hexdigest()

    def canonical(self) -> dict[str, Any]:
        """The scenario as JSON-able data, defaults filled in, fractions as text ("1/3")."""
        return self.model_dump(mode="json")

    def link_grids(self) -> tuple[Link, ...]:
        """The grids whose union are the link points: one per sweep, or else the link alone."""
        if not self.sweeps:
            return (self.link,)
        return tuple(self.link.replaced_by(sweep) for sweep in self.sweeps)

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
            for channel in grid.channel:
                takes = modulations_of(channel)
                others = [each for each in grid.modulation if takes and each not in takes]
                if others:
                    raise wrong(
                        f"{channel.label} takes {', '.join(takes)} only, found {others[0]}: "
                        f"set modulation: {takes[0]}",
                        (*at, "channel"),
                    )
            points += grid.points
            if points > MAX_LINK_POINTS:
                raise wrong(f"expected at most {MAX_LINK_POINTS} link points, found {points}", at)
        return self
