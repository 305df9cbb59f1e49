"""certification.json as a report shows it: a verdict in words, what is violated first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from testbed.evaluation.run_folder import RunFolder
from testbed.reporting.html.data_table import FIRST_ROWS, cell_words

ORDER = ("violated", "not checked", "passed")
CELLS = ("verdict", "family", "subject", "quantity", "expected", "found", "spread", "p_value")
HEADINGS = ("verdict", "statement", "of", "quantity", "expected", "found", "spread", "p-value")


@dataclass(frozen=True, slots=True)
class CertificationTable:
    """rows: (verdict, cells); total: how many checks there are."""

    words: str
    violated: int
    rows: list[tuple[str, list[str]]]
    total: int


def certification_words(summary: dict[str, Any]) -> str:
    """The verdict in a sentence. summary: of a manifest, or certification.json."""
    passed, violated = int(summary["passed"]), int(summary["violated"])
    made, skipped = passed + violated, int(summary["not_checked"])
    words = (
        f"All {made} checks passed"
        if made and not violated
        else f"{violated} of {made} checks are violated"
        if made
        else "Nothing could be checked"
    )
    return f"{words}; {skipped} could not be made." if skipped else f"{words}."


def certification_table(run: RunFolder, first: int = FIRST_ROWS) -> CertificationTable | None:
    """None of a run that has not ended."""
    content = run.certification
    if content is None:
        return None
    checks = sorted(
        (each for each in content.get("checks", ()) if isinstance(each, dict)),
        key=lambda each: (_place(each), _p_value(each)),
    )
    rows = []
    for each in checks[:first]:
        verdict = str(each.get("verdict", ""))
        cells = [cell_words(each.get(name)) if each.get(name) is not None else "" for name in CELLS]
        if each.get("why"):
            cells[-1] = str(each["why"])
        rows.append((verdict, cells))
    return CertificationTable(
        certification_words(content), int(content["violated"]), rows, len(checks)
    )


def _place(check: dict[str, Any]) -> int:
    verdict = str(check.get("verdict"))
    return ORDER.index(verdict) if verdict in ORDER else len(ORDER)


def _p_value(check: dict[str, Any]) -> float:
    value = check.get("p_value")
    return float(value) if isinstance(value, int | float) else 1.0
