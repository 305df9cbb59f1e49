"""What a scenario says: the models behind the YAML, and how it is loaded and checked.

    YAML file + `--set`s --yaml_source--> Document --pydantic--> Scenario --trials--> [Trial]

Values that make a grid (everything in `link` and `sweeps`) may be single or a list. Nothing here
looks at pictures, weights or channels: a scenario is checked in milliseconds.

Nothing heavy may be imported here (torch, numba, sionna, pandas, matplotlib, codec, channels).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from testbed.errors import ScenarioError, ScenarioProblem
from testbed.yaml_source import Document, dotted, found_text, number_hint, read_document

CHANNELS = ("awgn", "rayleigh_block")
MODULATION_BITS = {"qpsk": 2, "16qam": 4, "64qam": 6, "256qam": 8}
"""Bits per complex channel use of each modulation."""
FADING_BLOCKS = ("packet", "image")
IMAGE_SETS = ("samples32", "samples_large", "cifar10_test", "cifar10_train")
"""Sources that are known by name; any other source is a path, a folder or a glob."""

MAX_LINK_POINTS = 100_000
MAX_DENOMINATOR = 1_000_000
DECIBEL_DECIMALS = 9

T = TypeVar("T")


# --- Values ---------------------------------------------------------------------------------


def wrong(text: str, at: tuple[str | int, ...] = ()) -> PydanticCustomError:
    """The error of every check here: a finished message, about the part `at` of the value."""
    return PydanticCustomError("scenario", "{text}", {"text": text, "at": at})


def did_you_mean(found: str, options: Iterable[str]) -> str:
    """': did you mean ...?' if an option is close to `found`, else the list of options."""
    options = list(options)
    close = difflib.get_close_matches(found.lower(), options, n=1)
    return f": did you mean {close[0]!r}?" if close else f": use one of {', '.join(options)}"


def _number(expected: str, inside: Callable[[float], bool]) -> Callable[[object], float]:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            hint = number_hint(value) if isinstance(value, str) else ""
            raise wrong(f"expected {expected}, found {found_text(value)}{hint}")
        if not math.isfinite(value) or not inside(value):
            raise wrong(f"expected {expected}, found {value}")
        # + 0.0 makes -0.0 and 0.0 the same value, and so the same trial.
        return float(value) + 0.0

    return check


def _whole_number(low: int, high: int | None = None) -> Callable[[object], int]:
    expected = f"a whole number, {low} or more"
    if high is not None:
        expected = f"a whole number from {low} to {high}"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            hint = number_hint(value) if isinstance(value, str) else ""
            if isinstance(value, float) and value.is_integer():
                hint = f": write {int(value)}"
            raise wrong(f"expected {expected}, found {found_text(value)}{hint}")
        if value < low or (high is not None and value > high):
            raise wrong(f"expected {expected}, found {value}")
        return value

    return check


def rounded_db(value_db: float) -> float:
    """To 9 decimals, so that the last digit of a logarithm never decides a trial's identity."""
    return round(value_db, DECIBEL_DECIMALS) + 0.0


def as_fraction(value: float | str | Fraction) -> Fraction:
    """A number, or text such as "1/3", as the nearest fraction with a denominator <= 10**6.

    So 1/3 is exact, whether it was written "1/3" or computed as a float. Raises ValueError.
    """
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([-+]?[0-9]{1,6})\s*/\s*([0-9]{1,6})\s*", value)
        if not match or int(match[2]) == 0:
            raise ValueError(f"expected a number or a fraction such as 1/3, found {value!r}")
        return Fraction(int(match[1]), int(match[2]))
    return Fraction(value).limit_denominator(MAX_DENOMINATOR)


def _ratio(expected: str, inside: Callable[[Fraction], bool]) -> Callable[[object], Fraction]:
    def check(value: object) -> Fraction:
        is_number = isinstance(value, int | float | str | Fraction) and not isinstance(value, bool)
        try:
            ratio = as_fraction(value) if is_number else None  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            ratio = None
        if ratio is None:
            hint = number_hint(value) if isinstance(value, str) and "/" not in value else ""
            raise wrong(f"expected {expected}, found {found_text(value)}{hint}")
        if not inside(ratio):
            raise wrong(f"expected {expected}, found {value}")
        return ratio

    return check


def _choice(options: Iterable[str]) -> Callable[[object], str]:
    options = tuple(options)

    def check(value: object) -> str:
        if isinstance(value, str) and value in options:
            return value
        raise wrong(
            f"expected one of {', '.join(options)}; found {found_text(value)}"
            + _closest(value if isinstance(value, str) else "", options)
        )

    return check


def _closest(found: str, options: Sequence[str]) -> str:
    return did_you_mean(found, options) if difflib.get_close_matches(found.lower(), options) else ""


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    hint = f": write '{value}' with the quotes" if isinstance(value, int | float) else ""
    raise wrong(f"expected text, found {found_text(value)}{hint}")


def _name(value: object) -> str:
    if re.fullmatch(r"[a-z0-9_-]{1,100}", text := _text(value), re.ASCII):
        return text
    raise wrong(f"expected a name of a-z, 0-9, '_' and '-' (at most 100), found {found_text(text)}")


def _source(value: object) -> str:
    text = _text(value)
    if not text.strip() or not text.isprintable():
        sets = ", ".join(IMAGE_SETS)
        raise wrong(f"expected one of {sets}, or a path; found {found_text(text)}")
    return text


def _image_choice(value: object) -> int | str:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise wrong(f"expected an image's number, from 0, or its name; found {found_text(value)}")


class _OneOrMany:
    """Marks a tuple that may be written as a single value, and is never empty.

    The same value twice is refused: it is a slip, and would only repeat trials.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        inner = core_schema.no_info_before_validator_function(self._listed, handler(source))
        return core_schema.no_info_after_validator_function(self._different, inner)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        many = handler(schema) | {"minItems": 1}
        return {"anyOf": [many["items"], many]}

    @staticmethod
    def _listed(value: object) -> tuple[object, ...]:
        values = tuple(value) if isinstance(value, list | tuple) else (value,)
        if not values:
            raise wrong("expected at least one value, found an empty list")
        return values

    @staticmethod
    def _different(values: tuple[object, ...]) -> tuple[object, ...]:
        if all(isinstance(value, BaseModel) for value in values):
            return values
        first: dict[object, int] = {}
        for index, value in enumerate(values):
            if value in first:
                raise wrong(
                    f"{value} is in the list twice, as items {first[value]} and {index}: "
                    "keep one of the two",
                    at=(index,),
                )
            first[value] = index
        return values


OneOrMany = Annotated[tuple[T, ...], _OneOrMany()]

Name: TypeAlias = Annotated[str, Field(pattern="^[a-z0-9_-]+$"), BeforeValidator(_name)]
Text: TypeAlias = Annotated[str, BeforeValidator(_text)]
Channel: TypeAlias = Annotated[
    str, BeforeValidator(_choice(CHANNELS)), Field(json_schema_extra={"enum": list(CHANNELS)})
]
Modulation: TypeAlias = Annotated[
    str,
    BeforeValidator(_choice(MODULATION_BITS)),
    Field(json_schema_extra={"enum": list(MODULATION_BITS)}),
]
FadingBlock: TypeAlias = Annotated[
    str,
    BeforeValidator(_choice(FADING_BLOCKS)),
    Field(json_schema_extra={"enum": list(FADING_BLOCKS)}),
]
Decibel: TypeAlias = Annotated[
    float,
    Field(ge=-100, le=100),
    BeforeValidator(_number("a number from -100 to 100 (dB)", lambda x: -100 <= x <= 100)),
    AfterValidator(rounded_db),
]
Probability: TypeAlias = Annotated[
    float,
    Field(ge=0, lt=1),
    BeforeValidator(_number("a number, at least 0 and less than 1", lambda x: 0 <= x < 1)),
]
_RATIO_SCHEMA = {
    "anyOf": [{"type": "number"}, {"type": "string", "pattern": "^[0-9]{1,6}/[0-9]{1,6}$"}]
}
CodeRate: TypeAlias = Annotated[
    Fraction,
    PlainValidator(
        _ratio(
            "a number or a fraction from 1/5 to 0.95",
            lambda x: Fraction(1, 5) <= x <= Fraction(95, 100),
        )
    ),
    PlainSerializer(str),
    WithJsonSchema(_RATIO_SCHEMA),
]
Cbr: TypeAlias = Annotated[
    Fraction,
    PlainValidator(
        _ratio("a number or a fraction such as 1/3, over 0 and at most 100", lambda x: 0 < x <= 100)
    ),
    PlainSerializer(str),
    WithJsonSchema(_RATIO_SCHEMA),
]


# --- Sections -------------------------------------------------------------------------------


class Section(BaseModel):
    """A mapping of the YAML: unknown keys are refused, and nothing changes after loading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ImageSource(Section):
    """Pictures to send: a packaged set, or files."""

    source: Annotated[str, BeforeValidator(_source)] = Field(
        description=f"one of {', '.join(IMAGE_SETS)}, or a path, folder or glob relative to the "
        "YAML's folder"
    )
    limit: Annotated[int, Field(ge=1), BeforeValidator(_whole_number(1))] | None = Field(
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
    layers: Annotated[int, Field(ge=1, le=9), BeforeValidator(_whole_number(1, 9))] | None = Field(
        default=None, description="send at most so many layers, 1 to 9; all unless given"
    )


class JpegCodecSection(CodecSection):
    """JPEG, at the best quality that fits the budget."""

    type: Literal["jpeg"]
    headers: Annotated[
        Literal["file", "abbreviated"], BeforeValidator(_choice(("file", "abbreviated")))
    ] = Field(
        default="abbreviated",
        description="charge the whole file, or only what a decoder cannot know",
    )
    subsampling: Annotated[
        Literal["4:4:4", "4:2:0"], BeforeValidator(_choice(("4:4:4", "4:2:0")))
    ] = Field(default="4:4:4", description="resolution of the colour planes")


Codec: TypeAlias = Annotated[SemanticCodecSection | JpegCodecSection, Field(discriminator="type")]
CODEC_SECTIONS: dict[str, type[CodecSection]] = {
    "semantic": SemanticCodecSection,
    "jpeg": JpegCodecSection,
}


Channels: TypeAlias = Annotated[OneOrMany[Channel], Field(description="the channel's model")]
Modulations: TypeAlias = Annotated[OneOrMany[Modulation], Field(description="constellation")]
CodeRates: TypeAlias = Annotated[
    OneOrMany[CodeRate], Field(description="information bits per coded bit, 1/5 to 0.95")
]
Cbrs: TypeAlias = Annotated[
    OneOrMany[Cbr],
    Field(description="channel bandwidth ratio: complex channel uses per source value (3 H W)"),
]
PacketLosses: TypeAlias = Annotated[
    OneOrMany[Probability],
    Field(description="probability that a packet is lost whatever the channel does"),
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

    channel: Channels = ("awgn",)
    modulation: Modulations = ("16qam",)
    code_rate: CodeRates = (Fraction(1, 2),)
    cbr: Cbrs = (Fraction(1, 3),)
    packet_loss: PacketLosses = (0.0,)
    fading_block: FadingBlocks = ("packet",)

    def replaced_by(self, sweep: Sweep) -> Link:
        """This link with the values of `sweep` in place of its own; either SNR ousts the other."""
        given: dict[str, tuple[object, ...]] = {key: values for key, values in sweep if values}
        if sweep.snr_db or sweep.ebn0_db:
            given = {"snr_db": (), "ebn0_db": ()} | given
        return self.model_copy(update=given)


class Packets(Section):
    """How layers are cut into packets."""

    max_bytes: Annotated[int, Field(ge=8, le=8192), BeforeValidator(_whole_number(8, 8192))] = (
        Field(default=256, description="payload bytes at most per packet, 8 to 8192")
    )


class Strip(Section):
    """A row of received pictures."""

    image: Annotated[
        int | str,
        PlainValidator(_image_choice),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}),
    ] = Field(default=0, description="which picture: its number, from 0, or its name")
    snr_db: OneOrMany[Decibel] | None = Field(
        default=None, description="at which Es/N0 in dB; all that were simulated unless given"
    )


class Figures(Section):
    """What is drawn beside the curves."""

    strip: Strip | None = Field(default=None, description="received pictures of one image")


class Scenario(Section):
    """A whole scenario, checked, defaults filled in."""

    name: Name = Field(
        default="scenario", description="names the results; the file's name unless given"
    )
    description: Text = Field(default="", description="free text for the report")
    # The bound keeps the seed in a signed 64-bit integer.
    seed: Annotated[
        int, Field(ge=0, le=2**63 - 1), BeforeValidator(_whole_number(0, 2**63 - 1))
    ] = Field(default=1, description="all randomness follows from it")
    repetitions: Annotated[
        int, Field(ge=1, le=1_000_000), BeforeValidator(_whole_number(1, 1_000_000))
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

    @property
    def folder(self) -> Path:
        """The folder of the YAML file, which relative sources start from. Not part of the hash."""
        return self._folder

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
            points += grid.points
            if points > MAX_LINK_POINTS:
                raise wrong(f"expected at most {MAX_LINK_POINTS} link points, found {points}", at)
        return self


# --- Loading --------------------------------------------------------------------------------


def canonical_json(data: Any) -> str:
    """JSON with sorted keys, no spaces, ASCII only, floats by `repr`. ValueError for nan, inf."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)


def load_scenario(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """Reads, changes by `overrides` and checks a scenario.

    Each override is the KEY=VALUE of a `--set`, such as `link.snr_db=[0,5]`; setting one of snr_db
    and ebn0_db takes the other away. Raises ScenarioError, with a line for each problem found.
    """
    document = read_document(path)
    for override in overrides:
        _ousts_its_twin(document, document.set(override))
    document.data.setdefault("name", _name_from(path))
    return check_document(document, folder=path.parent)


def check_document(document: Document, folder: Path) -> Scenario:
    """The scenario that a document describes. Raises ScenarioError with every problem found."""
    try:
        scenario = Scenario.model_validate(document.data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = {_problem(document, detail): None for detail in details}
        raise ScenarioError(sorted(problems, key=lambda found: found.line or 0)) from None
    scenario._folder = folder
    return scenario


def _ousts_its_twin(document: Document, path: tuple[str | int, ...]) -> None:
    twins = {"snr_db": "ebn0_db", "ebn0_db": "snr_db"}
    if path[0] not in ("link", "sweeps") or path[-1] not in twins:
        return
    twin = (*path[:-1], twins[str(path[-1])])
    # A twin without a line came from a --set too: then both were asked for, which is refused.
    if twin in document.places and document.places[twin].line is not None:
        document.remove(twin)


def _name_from(path: Path) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-")[:100] or "scenario"


_SECTIONS: dict[str, type[Section]] = {
    "images": ImageSource,
    "link": Link,
    "sweeps": Sweep,
    "packets": Packets,
    "figures": Figures,
    "strip": Strip,
    **CODEC_SECTIONS,
}


def _problem(document: Document, detail: ErrorDetails) -> ScenarioProblem:
    context = detail.get("ctx", {})
    location = (*detail["loc"], *context.get("at", ()))
    path, place = document.locate(location)
    section: type[Section] = Scenario
    for part in location[:-1]:
        section = _SECTIONS.get(str(part), section)
    kind, found = detail["type"], found_text(detail["input"])
    if kind == "scenario":
        message = str(context["text"])
    elif kind == "missing":
        path = (*path, location[-1])
        expected = section.model_fields[str(location[-1])].description
        message = f"this key is missing: expected {expected}"
    elif kind == "extra_forbidden":
        message = "unknown key" + did_you_mean(str(location[-1]), section.model_fields)
    elif kind == "union_tag_not_found":
        message = f"the key 'type' is missing: expected one of {', '.join(CODEC_SECTIONS)}"
    elif kind == "union_tag_invalid":
        path, place = document.locate((*location, "type"))
        tag = detail["input"].get("type")
        message = f"expected one of {', '.join(CODEC_SECTIONS)}; found {found_text(tag)}"
        message += _closest(str(tag), list(CODEC_SECTIONS))
    elif kind in ("model_type", "model_attributes_type", "dict_type"):
        message = f"expected a mapping (key: value), found {found}"
    else:
        message = f"{detail['msg'].lower()}, found {found}"
    return ScenarioProblem(
        place.file, place.line, f"{dotted(path)}: {message}" if path else message
    )
