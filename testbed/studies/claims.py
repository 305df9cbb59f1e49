"""The paper's claims beside what was measured, judged from figure2.csv and table1.csv.

Only the paper's own figures are written here; everything measured is interpolated from the CSV
files, between measured points and never beyond them. Where a conventional codec makes no file as
small as the rate in question, a gain over it is undefined and the claim is left open there.

Source of the claims: Samarathunga et al., section 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from testbed.studies.rate_curve import Curve, gain, rate_ratio, read_curve
from testbed.studies.rate_distortion import (
    ACCOUNTING_WORDS,
    ACCOUNTINGS,
    CODEC_WORDS,
    OURS,
    Accounting,
)

LOW_RATE_BPP = 2.0
PAPER_GAIN_DB = {"jpeg": 10.0, "jpeg2000": 8.0, "heif": 8.0, "heif_psnr": 8.0}
PAPER_SSIM_GAIN = {"jpeg": 0.12, "heif": 0.09, "heif_psnr": 0.09, "jpeg2000": 0.10}
PAPER_SSIM_AT = (4.0, 0.98)
PAPER_PSNR_AT = (6.0, 45.0)
PAPER_SATURATION_BPP, PAPER_OTHERS_SATURATION_BPP = 3.2, 8.0
SATURATED_SSIM = 0.98
PAPER_RATE_RATIO = {"heif": 1 / 2, "heif_psnr": 1 / 2, "jpeg2000": 1 / 2, "jpeg": 1 / 3}
MOST_BPP = 8.0
"""The paper's figure ends here, and so do the ranges over which rates are compared."""

_EVERY = "every accounting"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was measured under `condition`. `holds` is None where nothing can be compared."""

    condition: str
    text: str
    holds: bool | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim of the paper, and a finding per condition under which it was looked at."""

    text: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> str:
        return verdict(self.findings)


def verdict(findings: Sequence[Finding]) -> str:
    """One phrase for all conditions together."""
    holding = [finding.condition for finding in findings if finding.holds is True]
    failing = [finding.condition for finding in findings if finding.holds is False]
    unknown = [finding.condition for finding in findings if finding.holds is None]
    if not holding and not failing:
        return "cannot be compared"
    if not holding:
        return "does not hold" + (f" (not comparable under {_listed(unknown)})" if unknown else "")
    if failing:
        return f"holds only under {_listed(holding)}"
    if unknown:
        return f"holds where it can be compared (not under {_listed(unknown)})"
    return "holds"


def make_claims(curves: pd.DataFrame, planes: pd.DataFrame | None) -> list[Claim]:
    """All claims, from the tables figure2.csv and table1.csv (None: that claim is left out)."""
    present = [codec for codec in CODEC_WORDS if codec in set(curves["codec"]) and codec != OURS]
    claims = [_gain_claim(curves, codec, "psnr_db", PAPER_GAIN_DB[codec]) for codec in present]
    claims += [_gain_claim(curves, codec, "ssim", PAPER_SSIM_GAIN[codec]) for codec in present]
    claims += [_level_claim(curves, "ssim", *PAPER_SSIM_AT)]
    claims += [_level_claim(curves, "psnr_db", *PAPER_PSNR_AT)]
    claims += [_saturation_claim(curves, codec) for codec in present]
    claims += [_ratio_claim(curves, codec) for codec in present]
    if planes is not None:
        claims.append(_planes_claim(planes))
    return claims


def _gain_claim(curves: pd.DataFrame, codec: str, metric: str, claimed: float) -> Claim:
    found = []
    for accounting, ours, theirs in curve_pairs(curves, codec, metric):
        gained = gain(ours, theirs, LOW_RATE_BPP)
        if gained is None:
            text = nothing_to_compare(ours, theirs, LOW_RATE_BPP)
            at_least = ours.at(theirs.least_bpp)
            if at_least is not None and theirs.least_bpp > LOW_RATE_BPP:
                text += f"; {_signed(at_least - theirs.quality[0], metric)} there"
            found.append(Finding(accounting, text, None))
            continue
        text = (
            f"{_signed(gained.largest, metric)} at {gained.largest_bpp:.2f} bpp, mean "
            f"{_signed(gained.mean, metric)} over {gained.from_bpp:.2f}-{gained.to_bpp:.2f}"
        )
        if theirs.least_bpp > ours.least_bpp:
            text += f"; below {theirs.least_bpp:.2f} bpp no file that small"
        found.append(Finding(accounting, text, gained.largest >= claimed))
    words = f"up to {claimed:g} dB" if metric == "psnr_db" else f"SSIM higher by {claimed:.2f}"
    return Claim(f"{words} over {CODEC_WORDS[codec]} at 0-{LOW_RATE_BPP:g} bpp", tuple(found))


def _level_claim(curves: pd.DataFrame, metric: str, bpp: float, claimed: float) -> Claim:
    ours = read_curve(curves, OURS, ACCOUNTINGS[0], metric)
    value = None if ours is None else ours.at(bpp)
    if ours is None or value is None:
        finding = Finding(_EVERY, f"not measured at {bpp:g} bpp", None)
    else:
        rate = ours.rate_for(claimed)
        when = "not reached" if rate is None else f"reached at {rate:.2f} bpp"
        holds = value > claimed if metric == "ssim" else value >= claimed
        finding = Finding(
            _EVERY, f"{_level(value, metric)}; {_level(claimed, metric)} {when}", holds
        )
    words = f"SSIM above {claimed:g}" if metric == "ssim" else f"{claimed:g} dB"
    return Claim(f"{words} at {bpp:g} bpp", (finding,))


def _saturation_claim(curves: pd.DataFrame, codec: str) -> Claim:
    found = []
    for accounting, ours, theirs in curve_pairs(curves, codec, "ssim"):
        mine, other = ours.rate_for(SATURATED_SSIM), theirs.rate_for(SATURATED_SSIM)
        late = (theirs.most_bpp if other is None else other) >= PAPER_OTHERS_SATURATION_BPP
        holds = mine is not None and mine <= PAPER_SATURATION_BPP and late
        text = f"ours {_rate_words(mine, ours)}, theirs {_rate_words(other, theirs)}"
        found.append(Finding(accounting, text, holds))
    text = (
        f"saturated at {PAPER_SATURATION_BPP:g} bpp, {CODEC_WORDS[codec]} "
        f"at {PAPER_OTHERS_SATURATION_BPP:g} bpp"
    )
    return Claim(text, tuple(found))


def _ratio_claim(curves: pd.DataFrame, codec: str) -> Claim:
    found = []
    for accounting, ours, theirs in curve_pairs(curves, codec, "psnr_db"):
        ratio = rate_ratio(ours, theirs, MOST_BPP)
        if ratio is None:
            text = f"no PSNR that both reach with at most {MOST_BPP:g} bpp"
            found.append(Finding(accounting, text, None))
            continue
        text = (
            f"{ratio.mean:.2f} of its rate over {ratio.from_quality:.1f}-"
            f"{ratio.to_quality:.1f} dB, at best {ratio.least:.2f} at {ratio.least_at:.1f} dB"
        )
        found.append(Finding(accounting, text, ratio.mean <= PAPER_RATE_RATIO[codec]))
    share = "half" if PAPER_RATE_RATIO[codec] == 1 / 2 else "a third of"
    return Claim(f"{share} the rate of {CODEC_WORDS[codec]} at equal PSNR", tuple(found))


def _planes_claim(planes: pd.DataFrame) -> Claim:
    """The table's reductions, BCF's and EN's, in % of the initial errors, summed over planes."""
    ours = ["bcf_reduction_percent", "en_reduction_percent"]
    paper = [f"paper_{column}" for column in ours]
    found = []
    for rule, rows in planes.groupby("rule"):
        measured, claimed = rows[ours].sum(axis=1), rows[paper].fillna(0).sum(axis=1)
        behind = rows["plane"][measured < claimed].astype(str)
        text = f"{measured.sum():.1f} %"
        if len(behind):
            text += f"; less than the paper's on {'plane' if len(behind) == 1 else 'planes'} "
            text += _listed([str(plane) for plane in behind])
        found.append(Finding(f"rule {rule}", text, bool(measured.sum() >= claimed.sum())))
    total = planes[planes["rule"] == planes["rule"].iloc[0]][paper].sum().sum()
    return Claim(
        f"bitplane errors removed by BCF and EN, summed over planes: {total:.1f} %", tuple(found)
    )


def curve_pairs(
    curves: pd.DataFrame, codec: str, metric: str
) -> Iterator[tuple[Accounting, Curve, Curve]]:
    """(accounting, our curve, the other codec's) for each accounting that has both."""
    for accounting in ACCOUNTINGS:
        ours = read_curve(curves, OURS, accounting, metric)
        theirs = read_curve(curves, codec, accounting, metric)
        if ours is not None and theirs is not None:
            yield accounting, ours, theirs


def nothing_to_compare(ours: Curve, theirs: Curve, most_bpp: float) -> str:
    """Why two curves have no rate up to `most_bpp` in common."""
    if theirs.least_bpp > most_bpp:
        return f"no file that small (the smallest: {theirs.least_bpp:.2f} bpp)"
    return f"no rate up to {most_bpp:g} bpp that both have (ours from {ours.least_bpp:.2f} bpp)"


def condition_words(condition: str) -> str:
    """A finding's condition as a reader knows it."""
    return dict[str, str](ACCOUNTING_WORDS.items()).get(condition, condition)


def _listed(conditions: Sequence[str]) -> str:
    words = [condition_words(condition) for condition in conditions]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _signed(value: float, metric: str) -> str:
    return f"{value:+.1f} dB" if metric == "psnr_db" else f"{value:+.3f}"


def _level(value: float, metric: str) -> str:
    return f"{value:.1f} dB" if metric == "psnr_db" else f"{value:.3f}"


def _rate_words(rate: float | None, curve: Curve) -> str:
    if rate is None:
        return f"not up to {curve.most_bpp:.2f} bpp"
    return f"{'at most ' if rate == curve.least_bpp else ''}{rate:.2f} bpp"
