"""A setting of the link in words, for titles of panels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from testbed.protection import PLANNED
from testbed.trials import ANALOG

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
    coding = {"ldpc": "", "none": "uncoded"}.get(str(setting["coding"]), str(setting["coding"]))
    rate = "" if coding == "uncoded" else f"rate {setting['code_rate']:.3g}"
    modulation = str(setting["modulation"])
    scheme = " ".join(filter(None, [modulation.upper(), coding, rate]))
    if len(protections) > 1 and "equal" in protections:
        words.append(f"equal: {scheme}")
    # A policy that chooses schemes goes by its own name, unless the scenario gave it another.
    elif len(protections) == 1 and not protections & set(PLANNED):
        words.append(ANALOG if modulation == ANALOG else scheme)
    if "snr_db" in setting:
        words.append(f"$E_s/N_0$ {setting['snr_db']:g} dB")
    if "cbr" in setting:
        words.append(f"CBR {setting['cbr']:.3g}")
    if "packet_loss" in setting:
        loss = float(str(setting["packet_loss"]))
        # Not a number: a loss model that does not state its mean.
        if not math.isnan(loss) and ("packet_loss" in varying or loss):
            words.append(f"loss {100 * loss:.3g} %")
    if setting["loss_model"] != "iid":
        words.append(part_words(str(setting["loss_model"])))
    if "fading_block" in varying or setting["fading_block"] != "packet":
        words.append(f"fade per {setting['fading_block']}")
    times = setting["transmissions_allowed"]
    if "transmissions_allowed" in varying or times != 1:
        words.append(f"{times} transmission{'s' * (times != 1)}")
    if "harq" in varying or setting["harq"] != "incremental":
        words.append(str(setting["harq"]))
    if "fidelity" in varying or setting["fidelity"] != "exact":
        words.append({"exact": "bit by bit", "tables": "by tables"}[str(setting["fidelity"])])
    if "damage" in varying or setting["damage"] != "drop":
        words.append(
            {"drop": "errors dropped", "deliver": "errors delivered"}[str(setting["damage"])]
        )
    if "erasure_rate" in varying or setting["erasure_rate"] != 1.0:
        words.append(f"erasure rate {setting['erasure_rate']:.3g}")
    if len(protections) == 1 and not protections & {"equal", ANALOG}:
        words.append(f"protection {setting['protection']}")
    return ", ".join(words)


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
