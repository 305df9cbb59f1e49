"""What is chosen besides the axis of the page's chart: pictures, channel, scheme and so on.

A facet's columns are chosen together and make one value, in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pandas as pd

from testbed.evaluation.run_folder import RunFolder
from testbed.language.protection import PLANNED
from testbed.language.setting_words import part_words, ratio_words, scheme_words

ANY = -1
"""Of a facet: the row belongs to all values. An analog codec knows no scheme."""

Words = Callable[[dict[str, Any]], str]


@dataclass(frozen=True, slots=True)
class Facet:
    """Columns that are chosen together. axis: the one it makes way for, if any."""

    name: str
    label: str
    columns: tuple[str, ...]
    words: Words
    axis: str = ""


def bandwidth_words(cbr: float) -> str:
    """A bandwidth ratio, which comparison.csv has with six digits: "1/3" of 0.333333."""
    return ratio_words(float(Fraction(cbr).limit_denominator(1000)))


def _channel_words(row: dict[str, Any]) -> str:
    words = [part_words(row["channel"])]
    if row["loss_model"] != "iid":
        words.append(part_words(row["loss_model"]))
    if row["fading_block"] != "packet":
        words.append(f"fade per {row['fading_block']}")
    return ", ".join(words)


def _tier_words(row: dict[str, Any]) -> str:
    fidelity = {"exact": "bit by bit", "tables": "by error tables"}
    damage = {"drop": "damaged packets dropped", "deliver": "damaged packets delivered"}
    return ", ".join(
        filter(
            None,
            (
                fidelity.get(str(row["fidelity"]), str(row["fidelity"])),
                damage.get(str(row["damage"]), str(row["damage"])),
            ),
        )
    )


def _loss_words(row: dict[str, Any]) -> str:
    loss = float(row["packet_loss"])
    return "not stated" if math.isnan(loss) else f"{100 * loss:.3g} %"


SCHEME = ("modulation", "code_rate", "coding", "harq", "transmissions_allowed", "erasure_rate")
FACETS = (
    Facet("case", "Case", ("case",), lambda row: str(row["case"]) or "-"),
    Facet("size", "Pictures", ("size",), lambda row: str(row["size"])),
    Facet("channel", "Channel", ("channel", "loss_model", "fading_block"), _channel_words),
    Facet("snr_db", "Es/N0", ("snr_db",), lambda row: f"{row['snr_db']:g} dB", "snr_db"),
    Facet("cbr", "Bandwidth", ("cbr",), lambda row: bandwidth_words(row["cbr"]), "cbr"),
    Facet("packet_loss", "Packet loss", ("packet_loss",), _loss_words, "packet_loss"),
    Facet("scheme", "Scheme", SCHEME, scheme_words),
    Facet("tier", "Link", ("fidelity", "damage"), _tier_words),
)


def planned_protections(run: RunFolder) -> set[str]:
    """Names of those that choose schemes themselves, in every part of the scenario."""

    def sections(value: object) -> Iterator[Mapping[str, Any]]:
        if isinstance(value, Mapping):
            if "policy" in value and "name" in value:
                yield value
            for inner in value.values():
                yield from sections(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from sections(inner)

    own = {str(each["name"]) for each in sections(run.scenario) if each["policy"] in PLANNED}
    return own | set(PLANNED)


def facet_data(facet: Facet, table: pd.DataFrame) -> dict[str, Any]:
    """Each row's value by number, or ANY; the values in words, those of numbers in their order."""
    own = list(zip(*(table[name].tolist() for name in facet.columns), strict=True))
    if facet.name in ("scheme", "tier"):
        free = table["kind"].eq("analog")
        if facet.name == "scheme":
            free |= table["any_scheme"]
        else:
            # Ideal codes have no tables and deliver no errors.
            free |= table["kind"].eq("ideal")
    else:
        free = pd.Series(False, index=table.index)
    words: dict[tuple[Any, ...], str] = {}
    for key, is_free in zip(own, free, strict=True):
        if not is_free and key not in words:
            words[key] = facet.words(dict(zip(facet.columns, key, strict=True)))
    if facet.axis:
        words = dict(sorted(words.items(), key=lambda each: _last_nan(each[0][0])))
    labels = list(dict.fromkeys(words.values()))
    numbers = {key: labels.index(text) for key, text in words.items()}
    values = [ANY if is_free else numbers[key] for key, is_free in zip(own, free, strict=True)]
    return {
        "id": facet.name, "label": facet.label, "axis": facet.axis, "values": labels, "of": values,
    }  # fmt: skip


def _last_nan(value: float) -> tuple[bool, float]:
    return (True, 0.0) if math.isnan(value) else (False, value)
