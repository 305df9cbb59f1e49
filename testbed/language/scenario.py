"""What a scenario says: the models behind the YAML.

    YAML + `--set`s --yaml_source--> Document --scenario_loading--> Scenario --trials--> [Trial]

Values that make a grid (everything in `link` and `sweeps`) may be single or a list. Nothing here
looks at pictures, weights or channels: a scenario is checked in milliseconds.

Nothing heavy may be imported here (torch, numba, sionna, pandas, matplotlib, codec, channels).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias

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
from testbed.language.link_grid import Link, Sweep
from testbed.language.link_parts import LinkPart, LinkParts
from testbed.language.scenario_checks import (
    check_analog,
    check_channels,
    check_comparable,
    check_comparison,
    check_ideal,
    check_plans,
    check_polar,
    check_reference_protection,
    check_transmissions,
    layers_of,
)
from testbed.language.scenario_values import (
    Decibel,
    Name,
    OneOrMany,
    Section,
    Text,
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
            check_ideal(grid, at)
            layers = layers_of(grid, at)
            check_channels(grid, at, layers)
            check_transmissions(grid, at, layers)
            check_polar(grid, at, layers, self.packets.max_bytes)
            check_plans(grid, at)
            sweep = self.sweeps[index] if self.sweeps else None
            if any(
                codec.analog and (sweep is None or sweep.concerns(codec.name))
                for codec in self.codecs
            ):
                check_analog(grid, at)
        return self

    @model_validator(mode="after")
    def _comparison_is_possible(self) -> Scenario:
        if self.comparison is not None:
            check_comparison(self.comparison, [each.name for each in self.codecs])
            check_comparable(self.comparison, self.link_grids())
            name = self.comparison.reference or self.codecs[0].name
            (reference,) = (codec for codec in self.codecs if codec.name == name)
            check_reference_protection(self.comparison, reference, self.link_grids(name))
        return self
