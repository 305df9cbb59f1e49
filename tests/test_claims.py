"""The verdicts on the paper's claims, on curves made up so that each verdict is known."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from testbed.errors import OutputError
from testbed.studies.claims import Claim, Finding, make_claims, verdict
from testbed.studies.claims_markdown import as_markdown, write_claims
from testbed.studies.rate_distortion import ACCOUNTINGS, OURS

Points = list[tuple[float, float, float]]
"""(bpp, PSNR in dB, SSIM)"""

OUR_POINTS: Points = [(0.5, 30, 0.9), (2, 36, 0.97), (3, 40, 0.985), (6, 46, 0.995)]
WORSE: Points = [(0.4, 18, 0.5), (2, 25, 0.8), (8, 38, 0.97), (12, 44, 0.99)]
LIKE_OURS: Points = [(0.4, 29.5, 0.88), (2, 36, 0.97), (3, 40, 0.985), (6, 46, 0.995)]
LARGE: Points = [(3, 25, 0.8), (8, 38, 0.97), (12, 44, 0.99)]


def _table(jpeg: dict[str, Points], ours: Points = OUR_POINTS) -> pd.DataFrame:
    rows = [
        (codec, accounting, str(k), *point, 10)
        for codec, curves in ((OURS, dict.fromkeys(ACCOUNTINGS, ours)), ("jpeg", jpeg))
        for accounting, points in curves.items()
        for k, point in enumerate(points)
    ]
    columns = ["codec", "accounting", "setting", "bpp", "psnr_db", "ssim", "images"]
    return pd.DataFrame(rows, columns=columns)


def _everywhere(points: Points) -> dict[str, Points]:
    return dict.fromkeys(ACCOUNTINGS, points)


def _claim(claims: list[Claim], words: str) -> Claim:
    (found,) = [claim for claim in claims if words in claim.text]
    return found


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        ((True, True, True), "holds"),
        ((False, False, False), "does not hold"),
        ((True, False, False), "holds only under whole file"),
        ((True, True, False), "holds only under whole file and payload only"),
        ((None, False, False), "does not hold (not comparable under whole file)"),
        ((None, True, True), "holds where it can be compared (not under whole file)"),
        ((None, None, None), "cannot be compared"),
    ],
)
def test_verdicts(holds: tuple[bool | None, ...], expected: str) -> None:
    findings = [Finding(a, "", each) for a, each in zip(ACCOUNTINGS, holds, strict=True)]
    assert verdict(findings) == expected


def test_a_codec_that_is_as_good_as_the_paper_says() -> None:
    claims = make_claims(_table(_everywhere(WORSE)), None)
    assert {claim.verdict for claim in claims} == {"holds"}
    assert _claim(claims, "up to 10 dB over JPEG").findings[0].text.startswith("+11.6 dB at 0.50")
    assert (
        _claim(claims, "45 dB at 6 bpp").findings[0].text == "46.0 dB; 45.0 dB reached at 5.50 bpp"
    )
    saturation = _claim(claims, "saturated").findings[0].text
    assert saturation == "ours 2.67 bpp, theirs 10.00 bpp"


def test_a_codec_that_is_no_better_than_the_other() -> None:
    claims = make_claims(_table(_everywhere(LIKE_OURS)), None)
    for words in ("up to 10 dB", "SSIM higher", "a third of the rate", "saturated"):
        assert _claim(claims, words).verdict == "does not hold"


def test_gains_from_headers_alone_are_named_as_such() -> None:
    table = _table({"file": WORSE, "payload": LIKE_OURS, "mosaic": LIKE_OURS})
    claims = make_claims(table, None)
    assert _claim(claims, "up to 10 dB").verdict == "holds only under whole file"
    assert _claim(claims, "a third of the rate").verdict == "holds only under whole file"


def test_no_gain_is_made_up_where_the_other_has_no_file_that_small() -> None:
    claims = make_claims(_table({"file": LARGE, "payload": WORSE, "mosaic": WORSE}), None)
    gain = _claim(claims, "up to 10 dB")
    assert gain.findings[0].holds is None
    # 40 dB of ours at 3 bpp, 25 of theirs.
    expected = "no file that small (the smallest: 3.00 bpp); +15.0 dB there"
    assert gain.findings[0].text == expected
    assert gain.verdict == "holds where it can be compared (not under whole file)"
    markdown = as_markdown(_table(_everywhere(LARGE)), None, "note")
    assert "| JPEG | whole file | no file | no file | no file |" in markdown


def test_rates_that_were_not_measured_are_not_judged() -> None:
    claims = make_claims(_table(_everywhere(WORSE), OUR_POINTS[:2]), None)
    assert _claim(claims, "45 dB at 6 bpp").verdict == "cannot be compared"
    assert _claim(claims, "saturated").verdict == "does not hold"


def test_bitplane_errors_are_judged_per_rule() -> None:
    rows = [("interval", 8, 1, 12.0), ("interval", 7, 40, 10.0), ("one_sided", 8, 1, 1.0)]
    rows.append(("one_sided", 7, 20, 2.0))
    planes = pd.DataFrame(
        rows, columns=["rule", "plane", "bcf_reduction_percent", "en_reduction_percent"]
    )
    planes["paper_bcf_reduction_percent"] = [None, 26.61, None, 26.61]
    planes["paper_en_reduction_percent"] = [10.53, 4.58, 10.53, 4.58]
    claim = _claim(make_claims(_table(_everywhere(WORSE)), planes), "bitplane errors")
    assert "41.7 %" in claim.text
    assert claim.verdict == "holds only under rule interval"
    assert claim.findings[1].text == "24.0 %; less than the paper's on planes 8 and 7"


def test_claims_are_made_from_the_files(tmp_path: Path) -> None:
    _table(_everywhere(WORSE)).to_csv(tmp_path / "figure2.csv", index=False)
    text = write_claims(tmp_path, "ten pictures").read_text()
    assert "ten pictures" in text
    assert "table1.csv is missing" in text
    assert "ahead at every rate" in text
    with pytest.raises(OutputError, match=r"claims\.md"):
        write_claims(tmp_path / "nowhere", "")
