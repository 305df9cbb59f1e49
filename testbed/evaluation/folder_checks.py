"""Whether manifest.json and the tables of points are what figures and reports take them for.

A folder may come from anybody, from another version or from a text editor. What is checked here
need not be doubted later: names are texts, counts are numbers, columns are there.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from testbed.evaluation.comparison import COMPARISON_CSV
from testbed.evaluation.statistics import DIFFERENCES_CSV, STATISTICS_CSV
from testbed.evaluation.trials_table import SETTING_COLUMNS

MOST_BYTES = 128 << 20
"""Of a file that is read as a whole: half a million points."""
LONGEST_NAME = 500

Name = Annotated[str, Field(max_length=LONGEST_NAME)]
Count = Annotated[int, Field(ge=0)]

_POINT = ("codec", "size", "channel", "snr_db", "cbr", "images", "draws", "interval_over")
_COLUMNS = {
    STATISTICS_CSV: (
        *_POINT, *SETTING_COLUMNS, "trials", "failed", "cbr_used", "bpp",
        "psnr_db", "psnr_low_db", "psnr_high_db",
    ),
    DIFFERENCES_CSV: (
        *_POINT, *SETTING_COLUMNS, "reference",
        "psnr_difference_db", "psnr_difference_low_db", "psnr_difference_high_db",
    ),
    COMPARISON_CSV: (
        *_POINT, "protection", "kind", "channel_uses", "psnr_db", "reference",
        "difference_db", "difference_low_db", "difference_high_db",
    ),
}  # fmt: skip
"""Without which nothing can be told of a table."""
TEXTS = (
    "codec", "reference", "case", "channel", "modulation", "coding", "loss_model", "harq",
    "fading_block", "damage", "fidelity", "protection", "size", "interval_over", "kind", "schemes",
)  # fmt: skip
"""All other columns hold numbers."""
_FINITE = ("snr_db", "cbr", "images", "draws", "trials", "transmissions_allowed", "channel_uses")


class _Shape(BaseModel):
    """Of a part of the manifest; it may have more keys."""

    model_config = ConfigDict(strict=True)


class _Codec(_Shape):
    name: Name


class _Scenario(_Shape):
    name: Name
    description: str | None = None
    images: list[dict[str, Any]] = []
    codecs: list[_Codec] = []
    comparison: dict[str, Any] | None = None


class _Metric(_Shape):
    label: Name
    higher_is_better: bool


class _Image(_Shape):
    shape: Annotated[list[Count], Field(min_length=2, max_length=3)]


class _Verdicts(_Shape):
    passed: Count
    violated: Count
    not_checked: Count


class _Manifest(_Shape):
    scenario: _Scenario
    codec_labels: Annotated[dict[Name, Name], Field(min_length=1)]
    metrics: dict[Name, _Metric]
    reference: Name
    images: list[_Image]
    versions: dict[str, str]
    trials: Count
    trials_without_rows: Count | None = None
    reused_trials: Count | None = None
    codecs: dict[str, str] | None = None
    code: dict[str, Any] | None = None
    certification: _Verdicts | None = None


class _Certification(_Verdicts):
    checks: list[dict[str, Any]]


def manifest_problem(content: dict[str, Any]) -> str:
    """What is wrong with the first key that is not as expected; "" if nothing is."""
    return _problem(_Manifest, content)


def certification_problem(content: dict[str, Any]) -> str:
    """The same of certification.json."""
    return _problem(_Certification, content)


def _problem(shape: type[_Shape], content: dict[str, Any]) -> str:
    try:
        shape.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(each)[:60] for each in first["loc"])
        found = repr(first["input"])
        shown = found if len(found) <= 60 else f"{found[:60]}..."
        # Names of classes say nothing to who reads it.
        words = re.sub(" or instance of \\w+", "", first["msg"])
        return f"{place}: {words.replace('Input should be', 'expected')}, found {shown}"
    return ""


def table_problem(name: str, table: pd.DataFrame, codecs: Collection[str]) -> str:
    """What is wrong with a table of points, by its file's name; "" if nothing is.

    codecs: that the manifest names.
    """
    missing = [each for each in _COLUMNS[name] if each not in table]
    if missing:
        return f"expected a column {missing[0]!r}, found none"
    if table.empty:
        return ""
    for each in (name for name in table if name not in TEXTS):
        if not pd.api.types.is_numeric_dtype(table[each]):
            return f"column {each!r}: expected numbers, found {_first_text(table[each])!r}"
        if each in _FINITE and not np.isfinite(table[each]).all():
            return f"column {each!r}: expected finite numbers in all rows"
    if not table["size"].str.fullmatch(r"\d{1,6}x\d{1,6}").all():
        return "column 'size': expected such as '384x256' in all rows"
    unknown = sorted(set(table["codec"]) - set(codecs))
    return f"codec {unknown[0][:60]!r} is not in the manifest" if unknown else ""


def _first_text(column: pd.Series[Any]) -> str:
    texts = column[pd.to_numeric(column, errors="coerce").isna()]
    return str(texts.iloc[0])[:60] if len(texts) else ""
