"""The scenario's `comparison`: what is compared with what, and others' results beside it.

    comparison:
      reference: layered
      outage_psnr_db: 20
      published:
        - {label: "JPEG2000 (Author 2020)", snr_db: 10, cbr: 1/6, psnr_db: 29.6}

All keys have defaults; `comparison: {}` is enough.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from testbed.language.link_parts import LinkPart, LinkParts
from testbed.language.scenario_values import Cbr, Decibel, Name, OneOrMany, Section, Text, wrong
from testbed.language.yaml_source import found_text


def _size(value: object) -> str:
    text = value if isinstance(value, str) else ""
    match = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", text)
    if match is None:
        raise wrong(f"expected width x height such as 384x256, found {found_text(value)}")
    shorter, longer = sorted(map(int, match.groups()))
    return f"{longer}x{shorter}"


class Published(Section):
    """A result of others: a lone marker in the figures of PSNR."""

    label: Text = Field(description="what it is, and its source")
    channel: Annotated[tuple[LinkPart, ...], LinkParts("channel")] = Field(
        default=(LinkPart("awgn"),), description="the channel that it holds for"
    )
    snr_db: Decibel = Field(description="Es/N0 in dB per complex channel use")
    cbr: Cbr = Field(description="channel bandwidth ratio")
    psnr_db: Decibel = Field(description="mean PSNR in dB")
    size: Annotated[str, BeforeValidator(_size), WithJsonSchema({"type": "string"})] | None = Field(
        default=None, description="of its pictures, as 32x32; drawn with every size unless given"
    )


class Comparison(Section):
    """Codecs at their best over each medium, with paired differences and outage."""

    reference: Name | None = Field(
        default=None, description="the codec that others are compared with; the first unless given"
    )
    reference_protection: Name | None = Field(
        default=None,
        description="which of its protections; that of the codec that is compared unless given",
    )
    outage_psnr_db: Decibel = Field(
        default=20.0, description="a picture of less PSNR counts as an outage"
    )
    published: OneOrMany[Published] | None = Field(
        default=None, description="results of others, drawn beside the curves"
    )
