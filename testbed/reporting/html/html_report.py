"""report.html: one page of one run or several, which opens from the disk and asks nobody.

    RunFolder --> ReportRun, figures as files --> sections (this file) --> templates/report.html

All that users have named is escaped: by Jinja's autoescape in HTML, as JSON without "<" in scripts.
The page carries a content security policy that forbids it every request.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from testbed.evaluation.certification import CERTIFICATION_JSON
from testbed.evaluation.comparison import COMPARISON_CSV
from testbed.evaluation.statistics import DIFFERENCES_CSV, STATISTICS_CSV
from testbed.examples.reading import ExamplesError
from testbed.figures.drawing import GROUPS
from testbed.reporting.html.certification_table import HEADINGS, certification_table
from testbed.reporting.html.curve_data import chart_data
from testbed.reporting.html.data_table import (
    FIRST_ROWS,
    DataTable,
    data_table,
    number_words,
    table_download,
    text_download,
)
from testbed.reporting.html.inlining import MOST_BYTES, Download, Room, download
from testbed.reporting.html.ledger_table import ledger
from testbed.reporting.html.limitations import limitations
from testbed.reporting.html.link_budget_table import BUDGET_CSV, read_budget
from testbed.reporting.html.pictures_data import picture_data
from testbed.reporting.html.rerun import needs_files, scenario_yaml
from testbed.reporting.html.shared_points import shared_points
from testbed.reporting.html.shown_figures import ShownFigure, shown_figures
from testbed.reporting.html.summary import facts, standings
from testbed.reporting.report_figures import ReportFigures
from testbed.reporting.report_run import ReportRun
from testbed.whole_file import whole_file

REPORT_HTML = "report.html"
TEMPLATES = Path(__file__).with_name("templates")
STYLES = "report.css"
SCRIPTS = ("plot.js", "curves.js", "page.js")
TABLES_BYTES = 1_500_000
"""Kept for the words and the first rows of the tables of a run, of as many runs as MOST_WHOLE."""
MOST_WHOLE = 3
"""Runs whose tables have FIRST_ROWS in the page; of more, each has fewer."""
LONGEST_SCENARIO = 100_000
"""Letters of a scenario that is in the page to be read."""
MOST_PICTURE_BYTES = 4 << 20
"""Of the PNG files of received pictures, of all runs together."""


def write_html(
    runs: Sequence[ReportRun], figures: ReportFigures, papers: Sequence[Path], folder: Path
) -> Path:
    """Writes `folder`/report.html and, beside it, tables that are too long for it.

    papers: files for an author, in `folder`. Raises OutputError, RunFolderError.
    """
    pictures = [_pictures(each, len(runs), figures.problems) for each in runs]
    data = _json({"curves": chart_data(runs), "pictures": pictures})
    whole = min(len(runs), MOST_WHOLE)
    room = Room(max(0, MOST_BYTES - len(data) - TABLES_BYTES * whole))
    shown = shown_figures(figures.drawings, runs, folder, room)
    shared = shared_points(runs)
    methods = [path for path in papers if path.name == "methods.md"]
    sections = [
        _run_sections(each, shown[each.number], len(runs), folder, room)
        | {"has_pictures": bool(pictures[each.number])}
        for each in runs
    ]
    page = (
        _environment()
        .get_template("report.html")
        .render(
            title=" and ".join(each.name for each in runs),
            runs=sections,
            fact_names=list(dict.fromkeys(name for run in sections for name, _ in run["facts"])),
            groups=GROUPS,
            shared=shared and data_table("Points that runs share", shared.table, keep=("codec",)),
            shared_label=shared.label if shared else "",
            problems=figures.problems,
            papers=[download(path, folder, room) for path in papers],
            methods="\n\n".join(path.read_text("utf-8") for path in methods),
            data=data,
            style=Markup((TEMPLATES / STYLES).read_text("utf-8")),
            scripts=[Markup((TEMPLATES / name).read_text("utf-8")) for name in SCRIPTS],
        )
    )
    path = folder / REPORT_HTML
    with whole_file(path) as partial:
        # What has no code in UTF-8, half a surrogate pair, is shown as "?".
        partial.write_bytes(page.encode("utf-8", "replace"))
    return path


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number_words, "dict": dict}
    return environment


def _json(content: object) -> Markup:
    """For a script element: what could end it, or what old JavaScript takes for a line's end, is
    written as an escape."""
    text = json.dumps(content, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def _pictures(each: ReportRun, runs: int, problems: list[str]) -> dict[str, Any] | None:
    """None, and a problem more, where examples cannot be read: the rest of the page stands."""
    try:
        return picture_data(each.run, MOST_PICTURE_BYTES // runs)
    except ExamplesError as error:
        problems.append(f"{each.name}: {error}")
        return None


def _run_sections(
    each: ReportRun, figures: list[ShownFigure], several: int, folder: Path, room: Room
) -> dict[str, Any]:
    """All that the template says of one run."""
    run = each.run
    prefix = f"{each.slug}_" if several > 1 else ""
    first = FIRST_ROWS * min(several, MOST_WHOLE) // several
    yaml = scenario_yaml(run)
    certification = certification_table(run, first)
    return {
        "id": f"run-{each.number}",
        "number": each.number,
        "name": each.name,
        "description": run.description,
        "notes": run.notes,
        "facts": facts(run),
        "reference": run.labels.get(run.reference, run.reference),
        "standings": standings(run),
        "compares": run.comparison is not None,
        "figures": figures,
        "budget": _budget(each, prefix, folder, room, first),
        "ledger": ledger(run, first),
        "certification": certification,
        "certification_headings": HEADINGS,
        "certification_download": run_table(each, prefix, folder, room, CERTIFICATION_JSON),
        "tables": _tables(each, prefix, folder, room, first),
        "limitations": limitations(run),
        "environment": _environment_facts(each),
        "command": str(run.manifest.get("command") or ""),
        "yaml": yaml if len(yaml) <= LONGEST_SCENARIO else "",
        "yaml_download": text_download(f"{prefix}scenario.yaml", yaml, folder, room),
        "needs_files": needs_files(run),
    }


def run_table(each: ReportRun, prefix: str, folder: Path, room: Room, name: str) -> Download | None:
    """A file of the run's folder, or of its scratch folder, for the page."""
    run = each.run
    places = (run.tables / name, run.path / name)
    source = next((path for path in places if path.is_file()), run.path / name)
    return table_download(source, f"{prefix}{name}", folder, room)


def _tables(each: ReportRun, prefix: str, folder: Path, room: Room, first: int) -> list[DataTable]:
    run = each.run
    tables = [
        ("Codecs at their best", COMPARISON_CSV, run.comparison),
        ("Statistics of every point", STATISTICS_CSV, run.statistics),
        ("Paired differences", DIFFERENCES_CSV, run.differences),
    ]
    return [
        data_table(title, table, run_table(each, prefix, folder, room, name), ("codec",), first)
        for title, name, table in tables
        if table is not None and len(table)
    ]


def _budget(each: ReportRun, prefix: str, folder: Path, room: Room, first: int) -> DataTable | None:
    table = read_budget(each.run)
    if table is None:
        return None
    file = run_table(each, prefix, folder, room, BUDGET_CSV)
    kept = ("capacity_bytes", "capacity_bpp", "k", "n")
    return data_table("Link budget", table, file, kept, first)


def _environment_facts(each: ReportRun) -> list[tuple[str, str]]:
    manifest = each.run.manifest
    code = manifest.get("code") or {}
    commit = str(code.get("commit") or "not in a repository")
    found = [
        ("Started (UTC)", manifest.get("started_utc")),
        ("Finished (UTC)", manifest.get("finished_utc")),
        ("Commit", commit + (", with changes" if code.get("dirty") else "")),
        ("Machine", manifest.get("machine")),
        ("Executor", f"{manifest.get('executor')}, workers: {manifest.get('workers')}"),
        ("Scenario's SHA-256", manifest.get("scenario_sha256")),
        *((f"Codec {name}", words) for name, words in dict(manifest.get("codecs") or {}).items()),
        *dict(manifest["versions"]).items(),
    ]
    return [(str(name), str(value)) for name, value in found if value]
