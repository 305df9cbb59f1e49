"""Sentences on how packets are coded, sent, protected and charged, for a methods section."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from testbed.language.adaptation import Adaptation
from testbed.language.protection import DEFAULT_MCS
from testbed.reporting.scenario_facts import Canonical, union
from testbed.reporting.wording import counted, listed, plural, ranged

_TABLES = {1: "5.1.3.1-1", 2: "5.1.3.1-2", 3: "5.1.3.1-3"}


def ratio_sentences(grids: Sequence[Canonical]) -> Iterator[str]:
    """What SNR and bandwidth are, and which there are."""
    if union(grids, "snr_db"):
        yield (
            "The SNR is the ratio of received energy to noise power, $E_s/N_0$, per complex "
            "channel use and receive antenna, at a mean transmit power of one over all antennas; "
            f"it is {ranged(union(grids, 'snr_db'), 'dB')}"
        )
    if union(grids, "ebn0_db"):
        yield (
            f"$E_b/N_0$ per information bit is {ranged(union(grids, 'ebn0_db'), 'dB')}; "
            "$E_s/N_0$ per complex channel use is greater by $10 \\log_{10}(R \\log_2 M)$ for code "
            "rate $R$ and $M$ constellation points, at a mean transmit power of one"
        )
    ratios = listed(str(each) for each in sorted(union(grids, "cbr"), key=Fraction))
    yield (
        "The channel bandwidth ratio (CBR), complex channel uses per source value, of which a "
        f"picture of H x W pixels has 3 H W, is at most {ratios}"
    )
    yield (
        "Every channel use counts: headers, CRCs, parity, padding, retransmissions, pilots and "
        "cyclic prefixes"
    )


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
        yield "Packets whose CRC fails are dropped"
    if "deliver" in union(grids, "damage"):
        yield (
            "Packets whose CRC fails are delivered with their errors"
            + (" in some variants" if "drop" in union(grids, "damage") else "")
        )


def code_sentences(grids: Sequence[Canonical]) -> Iterator[str]:
    """Channel codes, modulations and rates, kind of code by kind of code. grids: of bits."""
    for coding in union(grids, "coding"):
        own = [grid for grid in grids if coding in grid["coding"]]
        if coding == "ideal":
            yield (
                "Ideal codes are a bound: a packet arrives if and only if its symbols bear as many "
                "bits as it has, by $\\sum \\log_2(1 + \\mathrm{SNR})$ over its symbols "
                f"[@ozarow1994], at {_efficiencies(union(own, 'spectral_efficiency'))}"
            )
            continue
        yield f"{_CODES[coding]} {_schemes(own, coded=coding != 'none')}"
    exact = [g for g in grids if "exact" in g["fidelity"] and g["coding"] != ["ideal"]]
    if exact:
        yield "Symbols are demapped exactly, bit by bit"
    tables = [g for g in grids if "tables" in g["fidelity"] and g["coding"] != ["ideal"]]
    if tables:
        yield (
            "Packets fail by tables of block error rates that were measured with these codes and "
            "decoders, at the SNR of equal mean mutual information"
            + (", in some variants" if exact else "; no bit is sent")
        )


_LDPC = (
    "5G LDPC codes [@ts38212], whose base graphs are those of Sionna [@sionna], decoded by layered "
    "offset min-sum in at most 20 iterations [@chen2005; @hocevar2004],"
)
_CODES = {
    "ldpc": f"Channel coding uses {_LDPC} with",
    "polar": "Channel coding uses 5G polar codes [@ts38212; @arikan2009], decoded by "
    "CRC-aided successive cancellation lists, with",
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
        words.append(_mcs_words(union(indexed, "mcs"), union(indexed, "mcs_table")))
    return listed(words, "or")


def _takes_the_scheme(policy: Canonical) -> bool:
    return policy["policy"] in ("equal", "table")


def _sends_as_it_says(grid: Canonical) -> bool:
    """Whether something is sent with the grid's own modulation and rate."""
    return any(map(_takes_the_scheme, grid["protection"]))


def _mcs_words(indices: Sequence[int], tables: Sequence[int]) -> str:
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
            "Reed-Solomon parity packets over each layer [@roth1985] make erasure codes of rate "
            f"{listed(rates, 'or')}"
        )


def protection_sentences(grids: Sequence[Canonical]) -> Iterator[str]:
    """How a sender protects layers. grids: of bits."""
    last: dict[str, str] = {}
    for each in union(grids, "protection"):
        made = _POLICIES.get(each["policy"])
        if made is None:
            yield f"The protection `{each['name']}` is that of a plug-in"
            continue
        words = _policy_words(each, [grid for grid in grids if each in grid["protection"]])
        # What is as in the one before is not said in full again.
        for key, again in (("mcs", "the same schemes"), ("how", "likewise")):
            if f"{{{key}}}" in made:
                full = words[key]
                words[key] = again if last.get(key) == full else full
                last[key] = full
        if made:
            yield made.format(name=each["name"], **words)


_PLAN = " from {mcs}{more}, {how}, for the greatest {objective}"
_POLICIES = {
    "equal": "",
    "table": "The protection `{name}` is fixed for each layer: {layers}",
    "best_equal": "The protection `{name}` chooses one scheme for all layers" + _PLAN,
    "optimised": "The protection `{name}` chooses a scheme for each layer" + _PLAN,
    "oracle": "The protection `{name}` knows the fades beforehand and chooses a scheme for each "
    "layer" + _PLAN,
    "adaptive": "The protection `{name}` takes one scheme per picture from {mcs}, by an estimate "
    "of the SNR that was made {delay} and has an error of {error:g} dB standard deviation, for a "
    "share of {target:g} of failed packets{loop}",
}


def _policy_words(policy: Canonical, grids: Sequence[Canonical]) -> dict[str, Any]:
    def given(key: str, default: Any) -> Any:
        return default if policy.get(key) is None else policy[key]

    fields = Adaptation()
    more = ""
    if policy.get("transmissions"):
        limits = listed((str(each) for each in policy["transmissions"]), "or")
        more += f", with {limits} transmissions"
    if policy.get("erasure_rate"):
        more += f", at erasure rates {listed((str(e) for e in policy['erasure_rate']), 'or')}"
    objective = policy.get("objective")
    delay = given("estimate_delay_packets", fields.estimate_delay_packets)
    loop = given("outer_loop", fields.outer_loop)
    return {
        "mcs": _mcs_words(policy.get("mcs") or DEFAULT_MCS, union(grids, "mcs_table")),
        "more": more,
        "objective": "mean PSNR" if not objective else
        f"{objective['quantile']:g} quantile of the PSNR",
        "layers": "; ".join(_layer_words(each) for each in policy.get("layers") or []),
        "delay": f"{counted(delay, 'packet')} before" if delay else "of the first packet itself",
        "how": "picture by picture, by block error tables and the PSNR that its layers bring",
        "error": given("estimate_error_db", fields.estimate_error_db),
        "target": given("target_error_rate", fields.target_error_rate),
        "loop": ", which an outer loop holds [@sampath1997]" if loop else "",
    }  # fmt: skip


def _layer_words(layer: Canonical) -> str:
    names = {
        "modulation": "modulation", "code_rate": "code rate", "mcs": "MCS",
        "transmissions": "transmissions", "erasure_rate": "erasure rate", "power_db": "power (dB)",
    }  # fmt: skip
    words = [f"{names[key]} {value}" for key, value in layer.items() if value and key in names]
    return ", ".join(words) or "as the link"
