"""The values of a scenario: numbers with bounds, fractions, names, one or many of them.

Each type checks what the YAML says and answers a mistake with what was expected, what was found
and, where it can, how to mend it.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

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
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from testbed.language.yaml_source import found_text, number_hint

MODULATION_BITS = {"bpsk": 1, "qpsk": 2, "16qam": 4, "64qam": 6, "256qam": 8, "1024qam": 10}
"""Bits per complex channel use of each modulation."""
GAUSSIAN = "gaussian"
"""The modulation of an ideal code, whose rate is in bits per complex symbol."""
CAPACITY = "capacity"
"""The rate of an ideal code that carries what white noise of any SNR lets through."""
FADING_BLOCKS = ("packet", "image")
CODES = ("ldpc", "polar", "ldpc_polar")
CODINGS = (*CODES, "none", "ideal")
HARQ_MODES = ("incremental", "chase")
FIDELITIES = ("exact", "tables")
DAMAGES = ("drop", "deliver")
MAX_TRANSMISSIONS = 32
MCS_TABLES = (1, 2, 3)
MAX_MCS = 28
IMAGE_SETS = ("samples32", "samples_large", "cifar10_test", "cifar10_train", "kodak")
"""Sources that are known by name; any other source is a path, a folder or a glob."""

MAX_DENOMINATOR = 1_000_000
DECIBEL_DECIMALS = 9

T = TypeVar("T")


class Section(BaseModel):
    """A mapping of the YAML: unknown keys are refused, and nothing changes after loading."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    later_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that there were not always. Ids of trials and hashes rest on what is dumped: where such
    a key says nothing, they must stay what they were."""

    @model_serializer(mode="wrap")
    def _without_later_keys(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = dump(self)
        for key in self.later_keys:
            if not self.says(key):
                dumped.pop(key, None)
        return dumped

    def says(self, key: str) -> bool:
        """Whether one of `later_keys` makes a difference."""
        return bool(getattr(self, key) != type(self).model_fields[key].default)


def wrong(text: str, at: tuple[str | int, ...] = ()) -> PydanticCustomError:
    """The error of every check here: a finished message, about the part `at` of the value."""
    return PydanticCustomError("scenario", "{text}", {"text": text, "at": at})


def did_you_mean(found: str, options: Iterable[str]) -> str:
    """': did you mean ...?' if an option is close to `found`, else the list of options."""
    options = list(options)
    close = difflib.get_close_matches(found.lower(), options, n=1)
    return f": did you mean {close[0]!r}?" if close else f": use one of {', '.join(options)}"


def number(expected: str, inside: Callable[[float], bool]) -> Callable[[object], float]:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            hint = number_hint(value) if isinstance(value, str) else ""
            raise wrong(f"expected {expected}, found {found_text(value)}{hint}")
        if not math.isfinite(value) or not inside(value):
            raise wrong(f"expected {expected}, found {value}")
        # + 0.0 makes -0.0 and 0.0 the same value, and so the same trial.
        return float(value) + 0.0

    return check


def whole_number(low: int, high: int | None = None) -> Callable[[object], int]:
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


def ratio(expected: str, inside: Callable[[Fraction], bool]) -> Callable[[object], Fraction]:
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


def choice(options: Iterable[str]) -> Callable[[object], str]:
    options = tuple(options)

    def check(value: object) -> str:
        if isinstance(value, str) and value in options:
            return value
        raise wrong(
            f"expected one of {', '.join(options)}; found {found_text(value)}"
            + closest(value if isinstance(value, str) else "", options)
        )

    return check


def closest(found: str, options: Sequence[str]) -> str:
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


def source_text(value: object) -> str:
    text = _text(value)
    if not text.strip() or not text.isprintable():
        sets = ", ".join(IMAGE_SETS)
        raise wrong(f"expected one of {sets}, or a path; found {found_text(text)}")
    return text


def image_choice(value: object) -> int | str:
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
Modulation: TypeAlias = Annotated[
    str,
    BeforeValidator(choice(MODULATION_BITS)),
    Field(json_schema_extra={"enum": list(MODULATION_BITS)}),
]
FadingBlock: TypeAlias = Annotated[
    str,
    BeforeValidator(choice(FADING_BLOCKS)),
    Field(json_schema_extra={"enum": list(FADING_BLOCKS)}),
]
Coding: TypeAlias = Annotated[
    Literal["ldpc", "polar", "ldpc_polar", "none", "ideal"], BeforeValidator(choice(CODINGS))
]
HarqMode: TypeAlias = Annotated[
    Literal["incremental", "chase"], BeforeValidator(choice(HARQ_MODES))
]
Damage: TypeAlias = Annotated[Literal["drop", "deliver"], BeforeValidator(choice(DAMAGES))]
Transmissions: TypeAlias = Annotated[
    int, Field(ge=1, le=MAX_TRANSMISSIONS), BeforeValidator(whole_number(1, MAX_TRANSMISSIONS))
]
McsTable: TypeAlias = Annotated[int, Field(ge=1, le=3), BeforeValidator(whole_number(1, 3))]
McsIndex: TypeAlias = Annotated[
    int, Field(ge=0, le=MAX_MCS), BeforeValidator(whole_number(0, MAX_MCS))
]
Decibel: TypeAlias = Annotated[
    float,
    Field(ge=-100, le=100),
    BeforeValidator(number("a number from -100 to 100 (dB)", lambda x: -100 <= x <= 100)),
    AfterValidator(rounded_db),
]


def ratio_text(value: Fraction) -> str | int:
    """As a scenario would say it: "1/3", or a whole number."""
    return value.numerator if value.denominator == 1 else str(value)


def _ratio_schema(**bounds: float) -> dict[str, Any]:
    """A number within `bounds`, or a fraction as text."""
    text = r"^\s*\+?[0-9]{1,6}\s*/\s*[0-9]{1,6}\s*$"
    return {"anyOf": [{"type": "number", **bounds}, {"type": "string", "pattern": text}]}


CodeRate: TypeAlias = Annotated[
    Fraction,
    PlainValidator(
        ratio(
            "a number or a fraction from 1/40 to 0.95",
            lambda x: Fraction(1, 40) <= x <= Fraction(95, 100),
        )
    ),
    PlainSerializer(ratio_text),
    WithJsonSchema(_ratio_schema(minimum=0.025, maximum=0.95)),
]
_bits_per_symbol = ratio(
    "a number or a fraction of bits per complex symbol, over 0 and at most 100, or capacity",
    lambda x: 0 < x <= 100,
)


def _spectral_efficiency(value: object) -> Fraction | str:
    return CAPACITY if value == CAPACITY else _bits_per_symbol(value)


SpectralEfficiency: TypeAlias = Annotated[
    Fraction | Literal["capacity"],
    PlainValidator(_spectral_efficiency),
    PlainSerializer(lambda value: value if value == CAPACITY else ratio_text(value)),
    WithJsonSchema(
        {"anyOf": [*_ratio_schema(exclusiveMinimum=0, maximum=100)["anyOf"], {"const": CAPACITY}]}
    ),
]
ErasureRate: TypeAlias = Annotated[
    Fraction,
    PlainValidator(
        ratio("a number or a fraction from 1/256 to 1", lambda x: Fraction(1, 256) <= x <= 1)
    ),
    PlainSerializer(ratio_text),
    WithJsonSchema(_ratio_schema(minimum=1 / 256, maximum=1)),
]
Cbr: TypeAlias = Annotated[
    Fraction,
    PlainValidator(
        ratio("a number or a fraction such as 1/3, over 0 and at most 100", lambda x: 0 < x <= 100)
    ),
    PlainSerializer(ratio_text),
    WithJsonSchema(_ratio_schema(exclusiveMinimum=0, maximum=100)),
]
