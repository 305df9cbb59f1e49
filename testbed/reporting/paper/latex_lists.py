"""tables.tex, what runs down the page: distances of curves, and what channel uses went into."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from testbed.evaluation.trials_table import SETTING_COLUMNS, sizes
from testbed.language.setting_words import part_words
from testbed.reporting.paper.deltas import Cell
from testbed.reporting.paper.wording import counted
from testbed.reporting.report_run import ReportRun
from testbed.reporting.tex import Panel, escape, label, number, ratio, table
from testbed.running.trials import ANALOG

MOST_ROWS = 40
"""Of one table."""
BITS = ("payload", "header", "crc", "parity", "padding", "erasure", "retransmission")


def delta_tables(of: ReportRun, rows: Sequence[dict[str, Cell]]) -> Iterator[str]:
    """Those to the reference codec that are defined; of codecs at their best, if there are any."""
    run = of.run
    source = "best" if run.comparison is not None else "points"
    own = [
        row
        for row in rows
        if (row["source"], row["reference"]) == (source, run.reference)
        and row["axis"] != "bpp"
        # An ideal code is no rival of what can be built.
        and (row["kind"] == "ideal") == (row["reference_kind"] == "ideal")
    ]
    several = len({row["reference_protection"] for row in own}) > 1
    # What a curve runs over is empty.
    varying = {name for name in own[0] if len({row[name] for row in own} - {""}) > 1} if own else ()
    lines = []
    for row in own:
        numbers = [float(row[name]) for name in ("bd_db", "bd_rate_percent", "snr_gain_db")]
        if all(map(math.isnan, numbers)):
            continue
        against = f" against {row['reference_protection']}" if several else ""
        lines.append(
            [
                escape(run.labels.get(str(row["codec"]), str(row["codec"]))),
                escape(_way_words(str(row["protection"]), str(row["kind"])) + against),
                _link_words(row, varying),
                escape(str(row["size"])),
                "SNR" if row["axis"] == "snr_db" else "CBR",
                *(number(each, places) for each, places in zip(numbers, (2, 1, 2), strict=True)),
            ]
        )  # fmt: skip
    if not lines:
        return
    head = ["Codec", "Protection, code", "Link", "Size", "Along",
            "BD-PSNR (dB)", r"BD-rate (\%)", "SNR gain (dB)"]  # fmt: skip
    shown = sorted({row[4] for row in lines})
    favours = {"CBR": "positive BD-PSNR, negative BD-rate", "SNR": "positive SNR gain"}
    measures = {
        "CBR": "Bj{\\o}ntegaard's deltas over the channel bandwidth ratio that was used",
        "SNR": "the SNR gain, how much less SNR gives the same PSNR, on average over the PSNRs "
        "that both reach",
    }
    caption = (
        f"Distance from {escape(run.labels.get(run.reference, run.reference))} "
        f"({escape(of.name)}): "
        + ", and ".join(words for axis, words in measures.items() if axis in shown)
        + f". In favour of the codec: {', '.join(favours[axis] for axis in shown)}."
    )
    # Columns in which nothing is defined say nothing.
    kept = [
        column
        for column in range(len(head))
        if column < 5 or any(row[column] != "--" for row in lines)
    ]
    lines = [[row[column] for column in kept] for row in lines]
    head = [head[column] for column in kept]
    spec = "lllll" + "r" * (len(kept) - 5)
    yield from _long_tables(caption, label("tab", of.slug, "deltas"), spec, head, lines)


def _link_words(row: Mapping[str, Cell], varying: Collection[str]) -> str:
    """The channel and the scheme of a row, and all else by which its setting differs from
    others', as LaTeX. varying: columns of several values.
    """
    said = {name: str(row[name]) for name in SETTING_COLUMNS}
    made: dict[str, Callable[[str], str]] = {
        "snr_db": lambda value: f"$E_s/N_0$ {number(float(value), 1).removesuffix('.0')} dB",
        "cbr": lambda value: f"CBR {ratio(float(value))}",
        "loss_model": lambda value: escape(part_words(value)),
        "packet_loss": lambda value: rf"loss {100 * float(value):.3g}\,\%",
        "fading_block": "fade per {}".format,
        "harq": escape,
        "transmissions_allowed": lambda value: counted(int(float(value)), "transmission"),
        "damage": lambda value: f"errors: {escape(value)}",
        "fidelity": lambda value: {"exact": "bit by bit"}.get(value, "by tables"),
        "erasure_rate": lambda value: f"erasure rate {ratio(float(value))}",
        "case": escape,
    }
    # Not a number: a loss model that does not state its mean.
    own = [name for name in made if name in varying and said[name] not in ("", "nan")]
    words = [escape(part_words(said["channel"])), _scheme_words(said)]
    return ", ".join(filter(None, [*words, *(made[name](said[name]) for name in own)]))


def _scheme_words(said: Mapping[str, str]) -> str:
    """Modulation, code and rate, as LaTeX; "" of codecs at their best."""
    if said["modulation"] in ("", ANALOG):
        return ""
    rate = ratio(float(said["code_rate"]))
    if said["coding"] == "ideal":
        return f"{rate} bits per symbol"
    coding = {"ldpc": "", "none": "uncoded"}.get(said["coding"], escape(said["coding"]))
    rate = "" if said["coding"] == "none" else f"rate {rate}"
    return " ".join(filter(None, [escape(said["modulation"].upper()), coding, rate]))


def _way_words(protection: str, kind: str) -> str:
    """How a codec is sent: its protection, and its kind of code unless that is a real one."""
    if kind == "analog":
        return kind
    return ", ".join([protection, *({"ideal": ["ideal code"], "uncoded": [kind]}.get(kind, []))])


def ledger_tables(of: ReportRun) -> Iterator[str]:
    """What coded bits are for, by codec, size and bandwidth asked for."""
    run = of.run
    names = [f"{name}_bits" for name in BITS]
    trials = run.trials(
        {"codec", "case", "height", "width", "cbr", "cbr_used", "coded_bits", "symbols",
         "channel_uses", *names}
    )  # fmt: skip
    trials = trials[trials["coded_bits"] > 0].assign(size=lambda each: sizes(each))
    keys = ["codec", "size", "cbr"]
    if trials["case"].nunique() > 1:
        keys.insert(1, "case")
    if trials.empty:
        return
    shown = [name for name in names if (trials[name] > 0).any()]
    charged = int((trials["channel_uses"] != trials["symbols"]).any())
    trials = trials.assign(codec=pd.Categorical(trials["codec"].astype(str), list(run.codecs)))
    sums = trials.astype({"size": str}).groupby(keys, observed=True)
    lines = []
    for key, own in sums:
        parts = dict(zip(keys, key, strict=True))
        total = float(own["coded_bits"].sum())
        lines.append(
            [
                escape(run.labels.get(str(parts["codec"]), str(parts["codec"]))),
                *([escape(str(parts["case"]))] if "case" in parts else []),
                escape(str(parts["size"])),
                ratio(float(str(parts["cbr"]))),
                number(float(own["cbr_used"].mean()), 3),
                *(number(100 * float(own[name].sum()) / total, 1) for name in shown),
                *([number(float((own["channel_uses"] / own["symbols"]).mean()), 2)] * charged),
            ]
        )
    words = [each.removesuffix("_bits").replace("crc", "CRC") for each in shown]
    head = ["Codec", *(["Case"] if "case" in keys else []), "Size", "CBR", "CBR used",
            *(word[0].upper() + word[1:] for word in words),
            *(["Uses/symbol"] * charged)]  # fmt: skip
    caption = (
        f"What is spent on what ({escape(of.name)}): channel uses per source value, shares of all "
        r"coded bits in \%"
        + (", and channel uses per symbol, which pilots and prefixes raise" if charged else "")
        + ". Means over all other settings."
    )
    spec = "l" * (2 + ("case" in keys)) + "r" * (2 + len(shown) + charged)
    yield from _long_tables(caption, label("tab", of.slug, "ledger"), spec, head, lines)


def _long_tables(
    caption: str, name: str, columns: str, head: Sequence[str], rows: Sequence[Sequence[str]]
) -> Iterator[str]:
    parts = np.array_split(np.arange(len(rows)), -(-len(rows) // MOST_ROWS))
    for number_, part in enumerate(parts):
        words = f" (Part {number_ + 1} of {len(parts)}.)" if len(parts) > 1 else ""
        own = name if len(parts) == 1 else f"{name}-{number_ + 1}"
        panel = Panel("", [rows[row] for row in part])
        yield table(caption + words, own, columns, head, [panel], "scriptsize")
