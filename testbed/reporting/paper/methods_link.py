"""Sentences on how packets are coded, sent and charged, for a methods section."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from testbed.reporting.paper.scenario_facts import Canonical, union
from testbed.reporting.paper.wording import counted, listed, plural, ranged

_TABLES = {1: "5.1.3.1-1", 2: "5.1.3.1-2", 3: "5.1.3.1-3"}


def ratio_sentences(grids: Sequence[Canonical], digital: Sequence[Canonical]) -> Iterator[str]:
    """What SNR and bandwidth are, and which there are. digital: those of codecs with bits."""
    if union(grids, "snr_db"):
        yield (
            "The SNR is $E_s/N_0$, the ratio of mean received symbol energy to noise power "
            "density, per complex channel use and receive antenna, at a mean transmit power of one "
            f"over all antennas; it is {ranged(union(grids, 'snr_db'), 'dB')}"
        )
    if union(grids, "ebn0_db"):
        yield (
            f"$E_b/N_0$ per information bit is {ranged(union(grids, 'ebn0_db'), 'dB')}; "
            "$E_s/N_0$ per complex channel use is greater by $10 \\log_{10}(R \\log_2 M)$ for code "
            "rate $R$ and $M$ constellation points, at a mean transmit power of one"
        )
    ratios = listed((str(each) for each in sorted(union(grids, "cbr"), key=Fraction)), "or")
    yield (
        "The channel bandwidth ratio (CBR), complex channel uses per source value, of which a "
        f"picture of H x W pixels has 3 H W, is at most {ratios}"
    )
    spent = [*_overheads(digital)]
    if any(label.startswith("ofdm") for label in union(grids, "channel")):
        spent += ["pilots", "cyclic prefixes"]
    yield "Every channel use counts" + (f", those of {listed(spent)} included" if spent else "")


def _overheads(grids: Sequence[Canonical]) -> Iterator[str]:
    """What packets bear beside the codec's stream. grids: of bits."""
    if not grids:
        return
    yield from ("headers", "CRCs", "parity", "padding")
    if any(Fraction(each) < 1 for each in _told(grids, "erasure_rate")):
        yield "erasure parity"
    if any(each > 1 for each in _told(grids, "transmissions")):
        yield "retransmissions"


def _told(grids: Sequence[Canonical], key: str) -> Iterator[Any]:
    """Values of the link and of what its protections put in their place."""
    yield from union(grids, key)
    for policy in union(grids, "protection"):
        for each in (policy, *(policy.get("layers") or ())):
            value = each.get(key)
            yield from value if isinstance(value, list) else [value] * (value is not None)


def packet_sentences(
    codecs: Sequence[Canonical], sizes: Sequence[int], grids: Sequence[Canonical]
) -> Iterator[str]:
    """sizes: the most bytes of payload. grids: those of codecs with bits."""
    if not grids:
        return
    sliced = any(codec.get("slice_side") for codec in codecs)
    most = listed((f"{size:,}" for size in sizes), "or")
    yield (
        f"Streams travel in packets of at most {most} bytes of payload, each with a header of 2 "
        "bytes" + (", or 3 where a picture is cut into slices" if sliced else "")
    )
    if union(grids, "coding") != ["ideal"]:
        yield (
            "A packet is a transport block with a CRC of 16 bits (24 bits above 3,824 bits) "
            "[@ts38212], scrambled by a Gold sequence [@ts38211]"
        )
    yield (
        "Sizes, number and order of the packets, their modulation and code rate are known to the "
        "receiver at no cost"
    )
    if "drop" in union(grids, "damage") and union(grids, "coding") != ["ideal"]:
        yield (
            "Packets whose CRC fails are dropped"
            + (" at some points" if "deliver" in union(grids, "damage") else "")
        )
    if "deliver" in union(grids, "damage"):
        yield (
            "Packets whose CRC fails are delivered with their errors"
            + (" at some points" if "drop" in union(grids, "damage") else "")
        )


def code_sentences(grids: Sequence[Canonical]) -> Iterator[str]:
    """Channel codes, modulations and rates, kind of code by kind of code. grids: of bits."""
    codings = union(grids, "coding")
    for coding in codings:
        own = [grid for grid in grids if coding in grid["coding"]]
        if coding == "ideal":
            yield (
                "Ideal codes are a bound: a packet arrives if and only if it has no more bits than "
                "$\\sum \\log_2(1 + \\mathrm{SNR})$ over its symbols [@ozarow1994], at "
                f"{_efficiencies(union(own, 'spectral_efficiency'))}"
            )
            continue
        words = _CODES[coding]
        if coding == "ldpc_polar" and {"ldpc", "polar"} <= set(codings):
            words = "A third code is whichever of the two is better for a packet's size, with"
        yield f"{words} {_schemes(own, coded=coding != 'none')}"
    exact = [g for g in grids if "exact" in g["fidelity"] and g["coding"] != ["ideal"]]
    if exact:
        yield "The demapper gives the exact log-likelihood ratio of each bit"
    tables = [g for g in grids if "tables" in g["fidelity"] and g["coding"] != ["ideal"]]
    if tables:
        yield (
            "Packets fail at random by tables of block error rates that were measured with these "
            "codes and decoders, at the SNR of equal mean mutual information"
            + (", at some points" if exact else "; no bit is sent")
        )


_LDPC = (
    "5G LDPC codes [@ts38212], whose base graphs are those of Sionna [@sionna], decoded by layered "
    "offset min-sum in at most 20 iterations [@chen2005; @hocevar2004],"
)
_CODES = {
    "ldpc": f"Channel coding uses {_LDPC} with",
    "polar": "5G polar codes [@ts38212; @arikan2009], decoded by CRC-aided successive cancellation "
    "with lists of 8 paths, are used with",
    "ldpc_polar": f"Channel coding uses, whichever is better for a packet's size, {_LDPC} or 5G "
    "polar codes [@ts38212; @arikan2009], with",
    "none": "Uncoded packets have a CRC alone, with",
}


def _schemes(grids: Sequence[Canonical], *, coded: bool) -> str:
    words = []
    # A protection that chooses schemes takes none of the link's.
    if not any(_takes_the_scheme(policy) for policy in union(grids, "protection")):
        return "the schemes that the protection chooses"
    plain = [grid for grid in grids if grid["modulation"] and _sends_as_it_says(grid)]
    if plain:
        names = listed((str(each).upper() for each in union(plain, "modulation")), "or")
        rates = listed(union(plain, "code_rate"), "or")
        words.append(f"{names} at code rate {rates}" if coded else names)
    indexed = [grid for grid in grids if grid["mcs"] and _sends_as_it_says(grid)]
    if indexed:
        words.append(mcs_words(union(indexed, "mcs"), union(indexed, "mcs_table")))
    return listed(words, "or")


def _takes_the_scheme(policy: Canonical) -> bool:
    return policy["policy"] in ("equal", "table")


def _sends_as_it_says(grid: Canonical) -> bool:
    """Whether something is sent with the grid's own modulation and rate."""
    return any(map(_takes_the_scheme, grid["protection"]))


def mcs_words(indices: Sequence[int], tables: Sequence[int]) -> str:
    """Of TS 38.214: indices, and numbers of tables."""
    noun = plural(len(indices), "scheme", "schemes")
    named = listed((_TABLES[each] for each in tables), "or")
    return (
        f"the modulation and coding {noun} {listed(map(str, indices))} of "
        f"{plural(len(tables), 'table', 'tables')} {named} of TS 38.214 [@ts38214]"
    )


def _efficiencies(found: Sequence[Any]) -> str:
    numbers = [str(each) for each in found if each != "capacity"]
    words = []
    if "capacity" in found:
        words.append("capacity")
    if numbers:
        noun = plural(len(numbers), "a spectral efficiency", "spectral efficiencies")
        words.append(f"{noun} of {listed(numbers)} bits per symbol")
    return listed(words, "or")


def repetition_sentences(grids: Sequence[Canonical]) -> Iterator[str]:
    """Of retransmissions and erasure codes. grids: of bits."""
    limits = [each for each in union(grids, "transmissions") if each > 1]
    if limits:
        modes = {
            "incremental": "incremental redundancy [@ts38212]",
            "chase": "chase combining [@chase1985]",
        }
        sent = [g for g in grids if max(g["transmissions"]) > 1]
        named = listed((modes[each] for each in union(sent, "harq")), "or")
        most = listed((counted(each, "time") for each in limits), "or")
        yield (
            f"A packet that fails is sent up to {most} in all, out of the same budget, with {named}"
            "; the receiver's answers are free and never wrong"
        )
        if any("ideal" in grid["coding"] for grid in sent):
            yield "With ideal codes, what the transmissions bear adds up [@caire2001]"
    rates = [str(each) for each in union(grids, "erasure_rate") if Fraction(each) < 1]
    if rates:
        yield (
            "Reed-Solomon parity packets [@roth1985] make each layer an erasure code of rate "
            f"{listed(rates, 'or')}"
        )
