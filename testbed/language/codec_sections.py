"""The codecs of a scenario: one section for each type, its keys those of the YAML.

    codecs:
      - {type: semantic, layers: 4}
      - {type: semantic, name: embedded, profile: embedded, slice_side: 64}
      - {type: jpeg2000, headers: payload, resolutions: 3}

The keys of a conventional codec are `headers`, `on_loss` and the fields of its format in
`codec.conventional`, whose constructor refuses what does not go together: so does the section, with
the line. The codec is imported when a scenario is checked, not before. A codec of a plug-in has no
section of its own: its keys are the fields of its class (codec_registry.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    InstanceOf,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from testbed.language.link_parts import Kind, LinkPart, class_schema, names_of, one_part
from testbed.language.scenario_values import Name, Section, choice, whole_number, wrong

if TYPE_CHECKING:
    from codec.conventional import ConventionalCodec

Headers: TypeAlias = Annotated[
    Literal["file", "abbreviated", "payload", "mosaic"],
    BeforeValidator(choice(("file", "abbreviated", "payload", "mosaic"))),
    Field(
        description="charge the whole file, only what a decoder cannot know, only the bytes that "
        "code the picture, or what it adds to a file of 16 pictures"
    ),
]
OnLoss: TypeAlias = Annotated[
    Literal["drop", "truncate", "conceal"],
    BeforeValidator(choice(("drop", "truncate", "conceal"))),
    Field(
        description="show of a damaged stream nothing, what its intact beginning determines, or "
        "whatever the library makes of it"
    ),
]
Subsampling: TypeAlias = Annotated[
    Literal["4:4:4", "4:2:2", "4:2:0"],
    BeforeValidator(choice(("4:4:4", "4:2:2", "4:2:0"))),
    Field(description="resolution of the colour planes"),
]
Tune: TypeAlias = Annotated[
    Literal["default", "psnr"],
    BeforeValidator(choice(("default", "psnr"))),
    Field(description="what the encoder optimises: its library's default, or PSNR"),
]
Lossless: TypeAlias = Annotated[
    bool, Field(description="the exact picture, or nothing where that does not fit")
]


def _allowed(check: Callable[[int], None]) -> Callable[[object], int]:
    """A whole number that `check` raises no CodecError for."""

    def checked(value: object) -> int:
        from codec.base import CodecError

        found = whole_number(1)(value)
        try:
            check(found)
        except CodecError as error:
            raise wrong(str(error)) from None
        return found

    return checked


def _check_slice_side(side: int) -> None:
    from codec.embedded.slices import check_slice_side

    check_slice_side(side)


def _check_tries(tries: int) -> None:
    from codec.embedded.fitted import check_tries

    check_tries(tries)


class CodecSection(Section):
    """What every codec has. The testbed's own are subclasses that `CODEC_SECTIONS` lists."""

    type: str
    name: Name = Field(default="", description="the codec's name in results; its type unless given")

    analog: ClassVar[bool] = False
    """It sends symbols instead of bits: see `codec.analog`."""

    @model_validator(mode="before")
    @classmethod
    def _named_by_type(cls, value: object) -> object:
        if isinstance(value, dict) and "name" not in value and "type" in value:
            return {**value, "name": value["type"]}
        return value


class SemanticCodecSection(CodecSection):
    """The layered codec: a base layer, and layers of bitplanes that a network predicts."""

    type: Literal["semantic"]
    profile: Name = Field(default="paper", description="which weights to use, and so which scheme")
    correction: Annotated[
        Literal["interval", "one_sided"], BeforeValidator(choice(("interval", "one_sided")))
    ] = Field(
        default="interval",
        description="rule of the bitplane correction function, of the paper's scheme",
    )
    layers: Annotated[int, Field(ge=1, le=9), BeforeValidator(whole_number(1, 9))] | None = Field(
        default=None, description="send at most so many layers, 1 to 9; all unless given"
    )
    slice_side: Annotated[int, BeforeValidator(_allowed(_check_slice_side))] | None = Field(
        default=None,
        description="side in pixels of the slices that a picture is cut into, which decode alone; "
        "unless given, only what exceeds 1024 pixels is cut",
    )
    reversible: bool = Field(
        default=True,
        description="whether a stream that arrives whole is the exact picture; false: near it, and "
        "better wherever it is cut, from 3 bits per pixel on by some tenths of a decibel",
    )
    fit: Annotated[Literal[1, 2, 4, 8], BeforeValidator(_allowed(_check_tries))] | None = Field(
        default=None,
        description="code the picture, of up to 1024 pixels a side, anew for each budget, in one "
        "layer and irreversibly, with the best of so many steps: 1, 2, 4 or 8; unless given, one "
        "stream serves every budget",
    )

    later_keys: ClassVar = ("slice_side", "reversible", "fit")

    @model_validator(mode="after")
    def _fitted_is_irreversible(self) -> SemanticCodecSection:
        if self.fit is not None and "reversible" in self.model_fields_set:
            raise wrong("a stream with `fit` is irreversible: leave this out", at=("reversible",))
        return self


class ConventionalSection(CodecSection):
    """A conventional codec, at the best quality that fits the budget."""

    headers: Headers = "abbreviated"
    on_loss: OnLoss = "drop"

    _OF_EVERY_CODEC: ClassVar = frozenset({"type", "name", "headers", "on_loss"})

    def make(self) -> ConventionalCodec:
        """The codec. Raises CodecError for what does not go together, or a missing library."""
        from codec.conventional import FORMATS, ConventionalCodec

        own = {key: value for key, value in self if key not in self._OF_EVERY_CODEC}
        made = FORMATS[self.type](**own)
        return ConventionalCodec(made, self.headers, self.on_loss)

    @model_validator(mode="after")
    def _can_be_made(self) -> ConventionalSection:
        from codec.base import CodecError
        from codec.conventional import UnsupportedPolicy

        try:
            self.make()
        except UnsupportedPolicy as error:
            raise wrong(str(error), at=(error.key,)) from None
        except CodecError as error:
            raise wrong(str(error)) from None
        return self


class JpegSection(ConventionalSection):
    """JPEG."""

    type: Literal["jpeg"]
    subsampling: Subsampling = "4:4:4"
    progressive: bool = Field(
        default=False, description="coarse scans first: a stream that is cut is a coarser picture"
    )
    restart_interval: Annotated[
        int, Field(ge=0, le=65535), BeforeValidator(whole_number(0, 65535))
    ] = Field(default=0, description="MCUs between restart markers, at which errors end; 0: none")


class Jpeg2000Section(ConventionalSection):
    """JPEG2000."""

    type: Literal["jpeg2000"]
    resolutions: Annotated[int, Field(ge=1, le=6), BeforeValidator(whole_number(1, 6))] | None = (
        Field(default=None, description="1 to 6; unless given, the coarsest has a side of 8")
    )
    quality_layers: Annotated[int, Field(ge=1, le=16), BeforeValidator(whole_number(1, 16))] = (
        Field(default=1, description="1 to 16, each of half the rate of the next")
    )
    packet_lengths: bool = Field(
        default=False, description="tell where packets end, so that a stream may be cut"
    )
    lossless: Lossless = False
    container: Annotated[Literal["j2k", "jp2"], BeforeValidator(choice(("j2k", "jp2")))] = Field(
        default="j2k", description="the bare codestream, or a JP2 file"
    )


class HeifSection(ConventionalSection):
    """HEVC intra pictures in HEIF."""

    type: Literal["heif"]
    headers: Headers = "file"
    subsampling: Subsampling = "4:4:4"
    tune: Tune = "default"


class AvifSection(ConventionalSection):
    """AV1 intra pictures in AVIF."""

    type: Literal["avif"]
    headers: Headers = "file"
    subsampling: Subsampling = "4:4:4"
    tune: Tune = "default"
    speed: Annotated[int, Field(ge=0, le=10), BeforeValidator(whole_number(0, 10))] = Field(
        default=6, description="of the encoder, 0 (best) to 10"
    )


class WebPSection(ConventionalSection):
    """WebP."""

    type: Literal["webp"]
    lossless: Lossless = False


class JpegXlSection(ConventionalSection):
    """JPEG XL."""

    type: Literal["jpegxl"]
    lossless: Lossless = False
    effort: Annotated[int, Field(ge=1, le=9), BeforeValidator(whole_number(1, 9))] = Field(
        default=7, description="of the encoder, 1 to 9 (best)"
    )


class PngSection(ConventionalSection):
    """PNG, lossless."""

    type: Literal["png"]
    headers: Headers = "file"


class DeepJsccSection(CodecSection):
    """Learned analog transmission."""

    type: Literal["deepjscc"]
    trained_for: Annotated[
        Literal["awgn", "rayleigh"], BeforeValidator(choice(("awgn", "rayleigh")))
    ] = Field(default="awgn", description="the channel that its networks were trained over")

    analog: ClassVar[bool] = True


CODEC_SECTIONS: dict[str, type[CodecSection]] = {
    "semantic": SemanticCodecSection,
    "jpeg": JpegSection,
    "jpeg2000": Jpeg2000Section,
    "heif": HeifSection,
    "avif": AvifSection,
    "webp": WebPSection,
    "jpegxl": JpegXlSection,
    "png": PngSection,
    "deepjscc": DeepJsccSection,
}


class PluginCodecSection(CodecSection):
    """A codec that a plug-in registers."""

    part: InstanceOf[LinkPart]

    kind: ClassVar[Kind] = "codec"

    @model_serializer(mode="plain")
    def _as_written(self) -> dict[str, Any]:
        # A file counts by its content, which is in the fingerprint.
        given = {key: v for key, v in self.part.parameters if key not in self.part.files}
        return {"type": self.type, "name": self.name, **given}


class PluginAnalogSection(PluginCodecSection):
    """One that sends symbols."""

    analog: ClassVar[bool] = True
    kind: ClassVar[Kind] = "analog codec"


_PLUGIN_SECTIONS: tuple[type[PluginCodecSection], ...] = (PluginCodecSection, PluginAnalogSection)


def codec_types() -> tuple[str, ...]:
    """What a codec's `type` can be."""
    own = (name for section in _PLUGIN_SECTIONS for name in names_of(section.kind))
    return (*CODEC_SECTIONS, *own)


class _OrOfAPlugin:
    """Marks the union of the testbed's sections: those of plug-ins, known only later, belong to it,
    too.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        own = handler(source)
        return core_schema.with_info_wrap_validator_function(
            _section,
            own,
            serialization=core_schema.wrap_serializer_function_ser_schema(
                _dumped, info_arg=True, schema=own
            ),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        sections = handler(schema)
        for each in _PLUGIN_SECTIONS:
            for name in names_of(each.kind):
                keys = {"name": {"type": "string", "pattern": "^[a-z0-9_-]+$"}}
                one = class_schema(each.kind, name, "type", swept=False, more=keys)
                sections = {"anyOf": [*sections.get("anyOf", [sections]), one]}
        return sections


def _section(
    value: object, handler: Callable[[object], CodecSection], info: core_schema.ValidationInfo
) -> CodecSection:
    if isinstance(value, PluginCodecSection):
        return value
    name = value.get("type") if isinstance(value, dict) else None
    if isinstance(value, dict) and isinstance(name, str):
        for section in _PLUGIN_SECTIONS:
            if name in names_of(section.kind):
                keys = {key: each for key, each in value.items() if key not in ("type", "name")}
                folder = str((info.context or {}).get("folder", ""))
                part = one_part(section.kind, name, keys, folder)
                return section(type=name, name=value.get("name", name), part=part)
    return handler(value)


def _dumped(
    section: CodecSection,
    handler: SerializerFunctionWrapHandler,
    info: core_schema.SerializationInfo,
) -> Any:
    if isinstance(section, PluginCodecSection):
        return section.model_dump(mode=info.mode)
    return handler(section)


if TYPE_CHECKING:
    Codec: TypeAlias = CodecSection
else:
    Codec = Annotated[
        reduce(or_, CODEC_SECTIONS.values()), Field(discriminator="type"), _OrOfAPlugin()
    ]
