"""What `testbed gallery` does: runs the scenarios that ship, keeps or checks their results."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from testbed.datasets.picture import ImageSourceError
from testbed.errors import ScenarioError
from testbed.quantity_words import duration_words
from testbed.studies.gallery import (
    GALLERY_CSV,
    ROOT,
    GalleryError,
    differing,
    keep,
    run_shown,
    shown,
    write_index,
)
from testbed.studies.gallery_pages import REFERENCE, write_pages


def make_gallery(
    names: Sequence[str], out: Path, reference: Path, workers: int | None, *, check: bool
) -> None:
    """Runs go to `out`, what is kept of them to `reference`, or is held against it.

    Scenarios whose data is not there are named and left out. Raises GalleryError, after the last,
    if something differs.
    """
    problems: list[str] = []
    made = skipped = 0
    for each in shown(names):
        start_s = time.perf_counter()
        try:
            run = run_shown(each, out, workers)
        except (ScenarioError, ImageSourceError) as error:
            if "TESTBED_DATA" not in str(error):
                raise
            print(f"{each.name}: skipped: {error}")
            skipped += 1
            continue
        made += 1
        if check:
            with TemporaryDirectory() as scratch:
                keep(run, Path(scratch) / each.name)
                other = list(differing(Path(scratch) / each.name, reference / each.name))
            problems += [f"{reference / each.name / name}" for name in other]
            words = f"differs: {', '.join(other)}" if other else "as kept"
        else:
            words = ", ".join(file.name for file in keep(run, reference / each.name))
            write_index([(each, run)], reference / GALLERY_CSV)
        print(f"{each.name}: {words} ({duration_words(time.perf_counter() - start_s)})", flush=True)
    if not check and reference.resolve() == (ROOT / REFERENCE).resolve():
        write_pages()
    print(f"{made} scenarios, {skipped} skipped")
    if problems:
        raise GalleryError(
            f"{len(problems)} files are not what the repository holds: {', '.join(problems)}: "
            "another version of a library draws otherwise; else run without --check and see "
            "what has changed"
        )
