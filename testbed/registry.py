"""From a codec's section in the YAML to the codec itself."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from codec.base import CodecError, ImageCodec
from testbed.errors import TestbedError
from testbed.language.codec_sections import (
    CodecSection,
    ConventionalSection,
    DeepJsccSection,
    PluginCodecSection,
    SemanticCodecSection,
)
from testbed.language.link_parts import make_part
from testbed.plugins.codecs import PluginAnalogCodec, PluginCodec

if TYPE_CHECKING:
    from codec.analog import AnalogCodec
    from codec.bitplane_correction import CorrectionRule
    from codec.layered import LayeredCodec
    from codec.profile import Profile


class CodecSetupError(TestbedError):
    """A codec that the scenario names cannot be made, or cannot code an image."""


def open_layered_codec(
    profile: str,
    layers: int | None = None,
    correction: CorrectionRule = "interval",
    *,
    reversible: bool = True,
    fit: int | None = None,
) -> LayeredCodec:
    """The layered codec with the weights `profile`. Raises CodecSetupError if it cannot be made."""
    from codec.layered import open_layered

    try:
        return open_layered(profile, layers, correction, reversible=reversible, fit=fit)
    except CodecError as error:
        raise CodecSetupError(str(error)) from error


def open_paper_profile(profile: str) -> Profile:
    """The weights of the paper's scheme. Raises CodecSetupError for those of any other."""
    from codec.profile import load_paper_profile

    try:
        return load_paper_profile(profile)
    except CodecError as error:
        raise CodecSetupError(str(error)) from error


@cache
def _layered(section: SemanticCodecSection) -> LayeredCodec:
    from codec.layered import open_layered

    try:
        return open_layered(
            section.profile, section.layers, section.correction, section.slice_side,
            section.reversible, section.fit,
        )  # fmt: skip
    except CodecError as error:
        raise CodecSetupError(f"codec {section.name}: {error}") from error


@cache
def make_codec(section: CodecSection) -> ImageCodec:
    """The codec of a scenario's section, made once per process. Raises CodecSetupError."""
    try:
        if isinstance(section, SemanticCodecSection):
            return _layered(section)
        if isinstance(section, ConventionalSection):
            return section.make()
        if isinstance(section, PluginCodecSection):
            return PluginCodec(section.name, make_part(section.kind, section.part))
    except CodecError as error:
        raise CodecSetupError(f"codec {section.name}: {error}") from error
    raise TypeError(f"no codec is known for {type(section).__name__}")


@cache
def make_analog_codec(section: CodecSection) -> AnalogCodec:
    """The analog codec of a section, made once per process. Raises CodecSetupError."""
    if isinstance(section, PluginCodecSection):
        return PluginAnalogCodec(section.name, make_part(section.kind, section.part))
    from codec.deepjscc_codec import DeepJsccCodec

    if not isinstance(section, DeepJsccSection):
        raise TypeError(f"no analog codec is known for {type(section).__name__}")
    try:
        return DeepJsccCodec(section.trained_for)
    except CodecError as error:
        raise CodecSetupError(f"codec {section.name}: {error}") from error


def codec_fingerprint(section: CodecSection) -> str:
    """What beside the section determines the codec's bytes: hash of weights, library versions."""
    if isinstance(section, SemanticCodecSection):
        codec = _layered(section)
        return f"bitstream {codec.bitstream_version}, weights {codec.profile.sha256}"
    if isinstance(section, ConventionalSection):
        return section.make().versions
    if isinstance(section, PluginCodecSection):
        return section.part.content
    if section.analog:
        return make_analog_codec(section).versions
    raise TypeError(f"no codec is known for {type(section).__name__}")
