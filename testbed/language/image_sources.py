"""The pictures of a scenario as its YAML says them: a source, and which of its pictures.

    images: samples32
    images: {source: cifar10_test, classes: [cat, dog], sample: 500, seed: 7}
    images: {source: cifar10_test, indices: 100:200}
    images: [{source: photos/*.png, limit: 3}, kodak]

Nothing heavy may be imported here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import (
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from testbed.datasets.catalogue import CIFAR10_CLASSES, CLASSES_OF
from testbed.datasets.subset import Subset
from testbed.language.scenario_values import (
    IMAGE_SETS,
    OneOrMany,
    Section,
    closest,
    source_text,
    whole_number,
    wrong,
)
from testbed.language.yaml_source import found_text

if TYPE_CHECKING:
    from testbed.datasets.picture import SourceImage

_RANGE = re.compile(r"\s*([0-9]{1,9})\s*:\s*([0-9]{1,9})\s*", re.ASCII)


def _class_name(value: object) -> str:
    if isinstance(value, str) and value in CIFAR10_CLASSES:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(CIFAR10_CLASSES):
        return CIFAR10_CLASSES[value]
    raise wrong(
        f"expected one of {', '.join(CIFAR10_CLASSES)}, or a number from 0 to "
        f"{len(CIFAR10_CLASSES) - 1}; found {found_text(value)}"
        + closest(value if isinstance(value, str) else "", CIFAR10_CLASSES)
    )


def _indices(value: object) -> tuple[int, ...] | str:
    """Numbers as given, or a range as "START:STOP"."""
    if isinstance(value, str):
        match = _RANGE.fullmatch(value)
        if not match:
            raise wrong(
                "expected numbers from 0, or a range such as 100:200 (the last is left out), found "
                + found_text(value)
            )
        start, stop = int(match[1]), int(match[2])
        if start >= stop:
            raise wrong(f"expected a range that ends after its start, found {start}:{stop}")
        return f"{start}:{stop}"
    items = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not items:
        raise wrong("expected at least one value, found an empty list")
    first: dict[int, int] = {}
    for position, item in enumerate(items):
        try:
            index = whole_number(0)(item)
        except PydanticCustomError as error:
            raise wrong(error.message(), at=(position,)) from None
        if index in first:
            raise wrong(
                f"{index} is in the list twice, as items {first[index]} and {position}: "
                "keep one of the two",
                at=(position,),
            )
        first[index] = position
    return tuple(first)


_INDEX_SCHEMA = {"type": "integer", "minimum": 0}


class ImageSource(Section):
    """Pictures to send: a packaged or published set, or files. Of these, in this order: `classes`,
    then `indices` or `sample`, then `limit`."""

    source: Annotated[str, BeforeValidator(source_text)] = Field(
        description=f"one of {', '.join(IMAGE_SETS)}, or a path, folder or glob relative to the "
        "YAML's folder"
    )
    classes: (
        OneOrMany[
            Annotated[
                str,
                BeforeValidator(_class_name),
                WithJsonSchema(
                    {
                        "anyOf": [
                            {"enum": list(CIFAR10_CLASSES)},
                            {"type": "integer", "minimum": 0, "maximum": len(CIFAR10_CLASSES) - 1},
                        ]
                    }
                ),
            ]
        ]
        | None
    ) = Field(
        default=None,
        description="take only pictures of these classes, by name or number; of "
        + " and ".join(CLASSES_OF),
    )
    indices: (
        Annotated[
            tuple[int, ...] | str,
            BeforeValidator(_indices),
            WithJsonSchema(
                {
                    "anyOf": [
                        _INDEX_SCHEMA,
                        {
                            "type": "array",
                            "items": _INDEX_SCHEMA,
                            "minItems": 1,
                            "uniqueItems": True,
                        },
                        {"type": "string", "pattern": "^[0-9]{1,9}:[0-9]{1,9}$"},
                    ]
                }
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="of what the classes leave, take these: numbers from 0, in the order given, or "
        "a range such as 100:200 (200 is left out)",
    )
    sample: Annotated[int, Field(ge=1), BeforeValidator(whole_number(1))] | None = Field(
        default=None,
        description="of what the classes leave, draw so many without replacement, by `seed`",
    )
    seed: Annotated[int, Field(ge=0, le=2**63 - 1), BeforeValidator(whole_number(0, 2**63 - 1))] = (
        Field(default=1, description="what `sample` draws follows from it, on every machine")
    )
    limit: Annotated[int, Field(ge=1), BeforeValidator(whole_number(1))] | None = Field(
        default=None, description="of what all this leaves, take at most so many, the first"
    )

    later_keys: ClassVar = ("classes", "indices", "sample", "seed")

    def says(self, key: str) -> bool:
        return self.sample is not None if key == "seed" else super().says(key)

    @property
    def subset(self) -> Subset:
        """Which pictures of the source are taken."""
        indices: Sequence[int] | None = None
        if isinstance(self.indices, str):
            start, stop = map(int, self.indices.split(":"))
            indices = range(start, stop)
        elif self.indices is not None:
            indices = self.indices
        labels = None
        if self.classes is not None:
            labels = tuple(CLASSES_OF[self.source].index(name) for name in self.classes)
        return Subset(labels, indices, self.sample, self.seed, self.limit)

    def load(self, folder: Path) -> list[SourceImage]:
        """The pictures; paths are relative to `folder`. Raises ImageSourceError."""
        from testbed.images import load_subset

        return load_subset(self.source, folder, self.subset)

    @model_validator(mode="before")
    @classmethod
    def _source_alone(cls, value: object) -> object:
        return {"source": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _can_be_combined(self) -> ImageSource:
        if self.classes is not None and self.source not in CLASSES_OF:
            raise wrong(
                f"{self.source} has no labels to choose by: remove 'classes', or take it from "
                + " or ".join(CLASSES_OF),
                at=("classes",),
            )
        if self.indices is not None and self.sample is not None:
            raise wrong("expected indices or sample, found both: keep one", at=("sample",))
        if "seed" in self.model_fields_set and self.sample is None:
            raise wrong(
                "there is no sample to draw by it: add 'sample', or remove it", at=("seed",)
            )
        return self
