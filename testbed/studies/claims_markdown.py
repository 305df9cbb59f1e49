"""claims.md: the verdicts on the paper's claims, and the measured figures they rest on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from testbed.errors import OutputError
from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.studies.claims import (
    LOW_RATE_BPP,
    MOST_BPP,
    PAPER_OTHERS_SATURATION_BPP,
    PAPER_SATURATION_BPP,
    SATURATED_SSIM,
    Claim,
    condition_words,
    curve_pairs,
    make_claims,
    nothing_to_compare,
)
from testbed.studies.rate_curve import Curve, gain, read_curves
from testbed.studies.rate_distortion import ACCOUNTING_WORDS, ACCOUNTINGS, CODEC_WORDS, OURS

_NO_FILE = "no file"

GRID_BPP = (1.0, 1.5, 2.0, 3.2, 4.0, 6.0, 8.0)

READINGS = f"""\
The conventional codecs are charged in three ways. Whole file: every byte. Payload only: the bytes
that code the picture, without headers, containers and, for JPEG, the tables it cannot be decoded
without. Mosaic: all pictures coded as one, whose file is divided among them. All are coded at
4:4:4; JPEG with Huffman tables of its own, JPEG2000 with three resolutions, HEIF (x265) with its
library's defaults and, as the paper does not say which, tuned for PSNR.

How the claims are read, where the paper leaves it open:

- Gains in dB and in SSIM: the largest at one rate, up to {LOW_RATE_BPP:g} bpp. The mean over the
  rates that both codecs have is given beside it.
- Saturation: the least rate with a mean SSIM of {SATURATED_SSIM:g}, from which the pictures no
  longer improve visibly. The claim holds if ours is at most {PAPER_SATURATION_BPP:g} bpp and
  the other's at least {PAPER_OTHERS_SATURATION_BPP:g} bpp.
- Rate at equal quality: our rate over the other's at equal PSNR, as a geometric mean over the PSNR
  that both reach with at most {MOST_BPP:g} bpp (the claim is about this mean), and the least.
- Between measured points curves are straight lines; beyond them nothing is assumed. "No file that
  small": the codec's smallest file, on average, is larger than the rates in question.
- An exactly reconstructed picture counts as {EXACT_PSNR_DB:g} dB in a mean.
"""

_TABLE1 = {
    "rule": str,
    "bcf_reduction_percent": float,
    "en_reduction_percent": float,
    "paper_bcf_reduction_percent": float,
    "paper_en_reduction_percent": float,
}
"""The columns of table1.csv that claims rest on."""


def write_claims(folder: Path, note: str) -> Path:
    """Makes claims.md from the folder's figure2.csv and, if there is one, table1.csv.

    note: what the curves were measured with, for the reader. Raises OutputError.
    """
    path = folder / "claims.md"
    try:
        curves = read_curves(folder / "figure2.csv")
        table1 = folder / "table1.csv"
        planes = pd.read_csv(table1, dtype=_TABLE1) if table1.is_file() else None
        path.write_text(as_markdown(curves, planes, note))
    except (OSError, ValueError, LookupError) as error:
        raise OutputError(f"{path}: cannot be made ({error})") from error
    return path


def as_markdown(curves: pd.DataFrame, planes: pd.DataFrame | None, note: str) -> str:
    """The text of claims.md."""
    parts = [
        "# The paper's claims, and what was measured",
        f"Made by `testbed reproduce figure2` from figure2.csv and table1.csv. Curves: {note}. "
        "Of the layered codec every byte is charged, whatever the accounting of the others.",
        READINGS.strip(),
        "## Verdicts",
        "\n".join(_verdict_table(make_claims(curves, planes))),
    ]
    missing = [words for codec, words in CODEC_WORDS.items() if codec not in set(curves["codec"])]
    if missing:
        parts.append(f"Not measured, and so not judged: {', '.join(missing)}.")
    if planes is None:
        parts.append("table1.csv is missing: run `testbed reproduce table1` first for its claim.")
    parts += [
        "## The layered codec's points",
        "\n".join(_points_table(curves)),
        "## Where it is ahead and where behind",
        f"PSNR of the layered codec minus the other's, in dB, at a rate in bpp; {_NO_FILE} where "
        "the other's smallest file is larger, and a dash where our base layer is.",
        "\n".join(_difference_table(curves)),
        "\n".join(f"- {line}" for line in _behind(curves)),
    ]
    return "\n\n".join(parts) + "\n"


def _verdict_table(claims: Sequence[Claim]) -> Iterator[str]:
    yield "| the paper's claim | measured | verdict |"
    yield "|---|---|---|"
    for claim in claims:
        measured = "<br>".join(f"{condition_words(f.condition)}: {f.text}" for f in claim.findings)
        yield f"| {claim.text} | {measured} | **{claim.verdict}** |"


def _points_table(curves: pd.DataFrame) -> Iterator[str]:
    yield "| up to layer | bpp | bits per sub-pixel | PSNR (dB) | SSIM |"
    yield "|---|---|---|---|---|"
    rows = curves[(curves["codec"] == OURS) & (curves["accounting"] == ACCOUNTINGS[0])]
    for row in rows.sort_values("bpp").to_dict("records"):
        bpp, exact = float(row["bpp"]), row["ssim"] == 1
        yield (
            f"| {row['setting']} | {bpp:.3f} | {bpp / 3:.3f} "
            f"| {'exact' if exact else format(row['psnr_db'], '.2f')} | {row['ssim']:.4f} |"
        )


def _difference_table(curves: pd.DataFrame) -> Iterator[str]:
    yield f"| codec | accounting | {' | '.join(f'{bpp:g}' for bpp in GRID_BPP)} |"
    yield "|---|---|" + "---|" * len(GRID_BPP)
    for codec in CODEC_WORDS:
        if codec == OURS:
            continue
        for accounting, ours, theirs in curve_pairs(curves, codec, "psnr_db"):
            cells = [_difference(ours, theirs, bpp) for bpp in GRID_BPP]
            yield f"| {CODEC_WORDS[codec]} | {ACCOUNTING_WORDS[accounting]} | {' | '.join(cells)} |"


def _difference(ours: Curve, theirs: Curve, bpp: float) -> str:
    mine, other = ours.at(bpp), theirs.at(bpp)
    if mine is None:
        return "-"
    if other is None:
        return _NO_FILE if bpp < theirs.least_bpp else "-"
    return f"{mine - other:+.2f}"


def _behind(curves: pd.DataFrame) -> Iterator[str]:
    """Of each codec and accounting: the largest deficit up to MOST_BPP, if there is one."""
    for codec in CODEC_WORDS:
        if codec == OURS:
            continue
        for accounting, ours, theirs in curve_pairs(curves, codec, "psnr_db"):
            lost = gain(theirs, ours, MOST_BPP)
            name = f"{CODEC_WORDS[codec]}, {ACCOUNTING_WORDS[accounting]}"
            if lost is None:
                yield f"{name}: {nothing_to_compare(ours, theirs, MOST_BPP)}."
                continue
            span = f"over {lost.from_bpp:.2f}-{lost.to_bpp:.2f} bpp"
            if lost.largest <= 0:
                yield f"{name}: ahead at every rate, by {-lost.mean:.2f} dB on average {span}."
            else:
                word = "behind" if lost.mean > 0 else "ahead"
                yield (
                    f"{name}: {word} by {abs(lost.mean):.2f} dB on average {span}, behind by "
                    f"{lost.largest:.2f} dB at worst, at {lost.largest_bpp:.2f} bpp."
                )
