"""What `testbed report` does: figures, a page and what a paper needs, from folders of results."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from testbed.errors import OutputError, TestbedError, error_words
from testbed.evaluation.run_folder import open_run
from testbed.figures.drawing import WIDTHS_IN
from testbed.reporting.html.html_report import write_html
from testbed.reporting.paper.writing import write_paper
from testbed.reporting.report_figures import FIGURES, ReportFigures, draw_figures
from testbed.reporting.report_run import ReportRun, report_runs

REPORT = "report"


class IncompleteReport(TestbedError):
    """A report that is written, but for what failed: a line for each."""


class WidthError(TestbedError):
    """A width of figures that is none."""


class DamagedRun(TestbedError):
    """Content of a run's folder that nothing can be made of."""


def write_report(folders: Sequence[Path], out: Path | None, width: str) -> None:
    """Writes the report and says what it wrote. width: of figures, one of WIDTHS_IN.

    Raises WidthError, RunFolderError or DamagedRun for a folder that holds no run to report,
    OutputError, and, once all else is written, IncompleteReport.
    """
    if width not in WIDTHS_IN:
        raise WidthError(f"--width {width}: expected {' or '.join(WIDTHS_IN)}")
    folder = out or (folders[0] / REPORT if len(folders) == 1 else Path("results") / REPORT)
    # Tables of runs that have not ended are made anew each time, and kept nowhere.
    with tempfile.TemporaryDirectory() as scratch:
        with _one_line(folders):
            opened = [
                open_run(path, Path(scratch) / str(number)) for number, path in enumerate(folders)
            ]
            runs = report_runs(opened)
        figures = draw_figures(runs, width, folder)
        papers = _papers(runs, figures, folder)
        with _one_line(folders):
            page = write_html(runs, figures, papers, folder)
    print(f"{page}: {page.stat().st_size / 2**20:.1f} MiB")
    print(f"{folder / FIGURES}: {len(figures.drawings)} figures as PDF, SVG and PNG")
    for path in papers:
        print(path)
    if figures.problems:
        raise IncompleteReport("\n".join(f"{page}: {words}" for words in figures.problems))


@contextmanager
def _one_line(folders: Sequence[Path]) -> Iterator[None]:
    """A folder may hold anything: what no check foresaw ends the report with a line, too."""
    try:
        yield
    except TestbedError:
        raise
    except Exception as error:
        names = ", ".join(map(str, folders))
        raise DamagedRun(
            f"{names}: no report can be made ({error_words(error)[:300]}): a file there is damaged "
            "or of another version; `testbed run` into the folder writes its tables anew"
        ) from error


def _papers(runs: Sequence[ReportRun], figures: ReportFigures, folder: Path) -> list[Path]:
    """None if they fail, which must not cost the page."""
    try:
        return write_paper([each.run for each in runs], figures.drawings, folder)
    except OutputError:
        raise
    except Exception as error:
        figures.problems.append(f"files for a paper: {error_words(error)}")
        return []
