"""A setting of the link in words, for titles of panels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction

from testbed.language.protection import PLANNED
from testbed.running.trials import ANALOG

NAMES = {
    "awgn": "AWGN",
    "bec": "BEC",
    "bsc": "BSC",
    "gilbert_elliott": "Gilbert-Elliott loss",
    "nakagami": "Nakagami fading",
    "ofdm": "OFDM",
    "rayleigh": "Rayleigh fading",
    "rayleigh_block": "Rayleigh block fading",
    "rician": "Rician fading",
}
UNFADING = ("awgn", "bec", "bsc")
"""Channels of which a fade's length says nothing."""
UNITS = {
    "_db": " dB", "_deg": " deg", "_hz": " Hz", "_khz": " kHz", "_ghz": " GHz", "_m_s": " m/s",
    "_ms": " ms", "_ns": " ns", "_us": " us", "_uses": " uses",
}  # fmt: skip
"""By the end of a parameter's name."""


def setting_words(setting: dict[str, object], varying: Sequence[str], protections: set[str]) -> str:
    """Channel, modulation and code rate always, the rest where it varies or is not the default.

    setting: values of the table's columns. varying: columns of several values in the table.
    protections: all that are meant.
    """
    words = [part_words(str(setting["channel"]))]
    modulation = str(setting["modulation"])
    scheme = _code_words(setting)
    if len(protections) > 1 and "equal" in protections:
        words.append(f"equal: {scheme}")
    # A policy that chooses schemes goes by its own name, unless the scenario gave it another.
    elif len(protections) == 1 and not protections & set(PLANNED):
        words.append(ANALOG if modulation == ANALOG else scheme)
    words += _given_words(setting, varying)
    words += _sent_again_words(setting, varying)
    words += _tier_words(setting, varying)
    words += _erasure_words(setting, varying)
    if len(protections) == 1 and not protections & {"equal", ANALOG}:
        words.append(f"protection {next(iter(protections))}")
    return ", ".join(words)


def medium_words(medium: dict[str, object], varying: Sequence[str]) -> str:
    """The channel always, the rest of what a sender is given where it varies or is not the default.

    medium: values of columns, without the one along an axis. varying: columns of several values.
    """
    words = [part_words(str(medium["channel"])), *_given_words(medium, varying)]
    return ", ".join([*words, *_tier_words(medium, varying)])


def scheme_words(scheme: dict[str, object]) -> str:
    """Modulation and code rate, the rest of what a sender may choose if it is not the default."""
    if scheme["modulation"] == ANALOG:
        return ANALOG
    words = [_code_words(scheme), *_sent_again_words(scheme, ()), *_erasure_words(scheme, ())]
    return " ".join(words)


def _code_words(scheme: dict[str, object]) -> str:
    if scheme["coding"] == "ideal":
        return f"ideal code, {scheme['code_rate']:.3g} bits per symbol"
    coding = {"ldpc": "", "none": "uncoded"}.get(str(scheme["coding"]), str(scheme["coding"]))
    rate = "" if coding == "uncoded" else f"rate {scheme['code_rate']:.3g}"
    return " ".join(filter(None, [str(scheme["modulation"]).upper(), coding, rate]))


def _given_words(setting: dict[str, object], varying: Sequence[str]) -> list[str]:
    words = []
    if "snr_db" in setting:
        words.append(f"$E_s/N_0$ {setting['snr_db']:g} dB")
    if "cbr" in setting:
        words.append(f"CBR {ratio_words(float(str(setting['cbr'])))}")
    if "packet_loss" in setting:
        loss = float(str(setting["packet_loss"]))
        # Not a number: a loss model that does not state its mean.
        if not math.isnan(loss) and ("packet_loss" in varying or loss):
            words.append(f"loss {100 * loss:.3g} %")
    if setting["loss_model"] != "iid":
        words.append(part_words(str(setting["loss_model"])))
    fades = str(setting["channel"]).partition("(")[0] not in UNFADING
    if fades and ("fading_block" in varying or setting["fading_block"] != "packet"):
        words.append(f"fade per {setting['fading_block']}")
    return words


def ratio_words(ratio: float) -> str:
    """A bandwidth ratio as the fraction that it is, if it is one of small numbers: "1/6"."""
    fraction = Fraction(ratio).limit_denominator(1000)
    return str(fraction) if float(fraction) == ratio else f"{ratio:.3g}"


def _sent_again_words(scheme: dict[str, object], varying: Sequence[str]) -> list[str]:
    words = []
    times = scheme["transmissions_allowed"]
    if "transmissions_allowed" in varying or times != 1:
        words.append(f"{times} transmission{'s' * (times != 1)}")
    if "harq" in varying or scheme["harq"] != "incremental":
        words.append(str(scheme["harq"]))
    return words


def _tier_words(setting: dict[str, object], varying: Sequence[str]) -> list[str]:
    words = []
    if "fidelity" in varying or setting["fidelity"] != "exact":
        words.append({"exact": "bit by bit", "tables": "by tables"}[str(setting["fidelity"])])
    if "damage" in varying or setting["damage"] != "drop":
        words.append(
            {"drop": "errors dropped", "deliver": "errors delivered"}[str(setting["damage"])]
        )
    return words


def _erasure_words(scheme: dict[str, object], varying: Sequence[str]) -> list[str]:
    if "erasure_rate" in varying or scheme["erasure_rate"] != 1.0:
        return [f"erasure rate {scheme['erasure_rate']:.3g}"]
    return []


def part_words(label: str) -> str:
    """A channel's or loss model's label, as in the table, in words.

    "rician(k_db=6)" becomes "Rician fading (k 6 dB)".
    """
    name, _, inside = label.partition("(")
    words = NAMES.get(name, name.replace("_", " "))
    given = [_parameter_words(each) for each in re.findall(r"[^,()]+=[^,()]*", inside)]
    return f"{words} ({', '.join(given)})" if given else words


def _parameter_words(parameter: str) -> str:
    key, _, value = parameter.strip().partition("=")
    for end, unit in UNITS.items():
        if key.endswith(end):
            return f"{key.removesuffix(end).replace('_', ' ')} {value}{unit}"
    return f"{key.replace('_', ' ')} {value}"
