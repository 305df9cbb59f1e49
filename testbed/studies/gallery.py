"""The gallery: every scenario that ships is run, and a small result of it kept in the repository.

    scenarios/channels/awgn.yaml --run--> results/gallery/awgn/ --keep--> results/reference/awgn/

What is kept is the same, byte for byte, whenever it is made again by the same versions of the
libraries; gallery.csv says of which scenario it is. Runs go on from what is journalled.
"""

from __future__ import annotations

import csv
import filecmp
import gzip
import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from testbed.commands.run_command import RunOptions, run_scenario
from testbed.errors import OutputError, TestbedError
from testbed.evaluation.certification import CERTIFICATION_JSON
from testbed.evaluation.comparison import COMPARISON_CSV
from testbed.evaluation.run_folder import RunFolder, open_run
from testbed.evaluation.statistics import DIFFERENCES_CSV, STATISTICS_CSV
from testbed.figures.catalogue import draw_all
from testbed.figures.drawing import save_drawing
from testbed.running.manifest import MANIFEST
from testbed.running.runner import TRIALS_CSV
from testbed.whole_file import whole_file

ROOT = Path(__file__).parents[2]
GALLERY_CSV = "gallery.csv"
COLUMNS = ("name", "file", "scenario_sha256", "trials", "images")

NOT_SHOWN = ("benchmark",)
"""Scenarios that have results of another kind (`testbed bench runner`)."""

WHOLE = ("quickstart",)
"""Of which the table and the manifest are kept as well, for those who want to see a whole run."""

FIGURES = {
    "awgn": ("psnr_vs_snr*", "ledger*"),
    "bandwidth": ("psnr_map*", "comparison_psnr_vs_bandwidth*"),
    "damage": ("psnr_vs_snr*", "pictures*"),
    "erasure": ("psnr_vs*", "ledger*"),
    "gilbert_elliott": ("loss_decay*", "psnr_vs*"),
    "harq": ("psnr_vs_snr*", "ledger*"),
    "headers": ("psnr_vs*", "ssim_vs*"),
    "iid_loss": ("loss_decay*", "psnr_distribution*"),
    "layered": ("rate_distortion*", "layer_survival*"),
    "protection": ("protection_gain*", "layer_survival*"),
    "quickstart": ("psnr_vs*", "ssim_vs*", "strip*", "layer_survival*", "bitplanes*"),
    "slices": ("psnr_vs*", "pictures*"),
}
"""What is kept of a scenario's figures, by the beginnings of their names, if not DEFAULT."""
DEFAULT = ("comparison_psnr*", "comparison_outage*", "psnr_vs*", "psnr_by*")
MOST_FIGURES = 2
"""That are kept of a scenario, the first of each pattern first, but of those in WHOLE."""


class GalleryError(TestbedError):
    """A gallery that cannot be made, or is not what the repository holds."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A scenario of the gallery. file: relative to the repository."""

    name: str
    file: Path


def shown(names: Sequence[str] = ()) -> list[Shown]:
    """All, or those of these names. Raises GalleryError."""
    folder = ROOT / "scenarios"
    files = sorted(folder.rglob("*.yaml"), key=lambda file: (len(file.parts), file))
    found = [Shown(f.stem, f.relative_to(ROOT)) for f in files if f.stem not in NOT_SHOWN]
    if not found:
        raise GalleryError(
            f"{folder}: no scenarios: the gallery is made in a checkout of the repository"
        )
    known = [each.name for each in found]
    for name in names:
        if name not in known:
            raise GalleryError(f"{name}: no scenario of that name; there are {', '.join(known)}")
    return [each for each in found if not names or each.name in names]


def run_shown(each: Shown, out: Path, workers: int | None = None) -> RunFolder:
    """Its run in out/<name>. Raises TestbedError, also where its data is not there."""
    folder = out / each.name
    command = ["testbed", "run", each.file.as_posix()]
    run_scenario(ROOT / each.file, [], command, RunOptions(folder, workers, quiet=True))
    return open_run(folder, folder)


def keep(run: RunFolder, folder: Path) -> list[Path]:
    """Writes what is kept of a run into an emptied `folder`; the files. Raises OutputError."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # A comparison of many schemes says in a few rows what its points say in thousands.
        tables = [COMPARISON_CSV] if run.comparison is not None else [STATISTICS_CSV]
        if run.name in WHOLE:
            tables = [STATISTICS_CSV, DIFFERENCES_CSV, CERTIFICATION_JSON, MANIFEST]
            with gzip.GzipFile(folder / f"{TRIALS_CSV}.gz", "wb", mtime=0) as packed:
                packed.write(run.trials_path.read_bytes())
        for name in tables:
            shutil.copyfile(run.path / name, folder / name)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror})") from error
    _keep_figures(run, folder)
    return sorted(folder.iterdir())


def _keep_figures(run: RunFolder, folder: Path) -> None:
    patterns = FIGURES.get(run.name, DEFAULT)
    with TemporaryDirectory() as scratch:
        drawn = [
            file
            for drawing in draw_all(run, "page")
            for file in save_drawing(drawing, Path(scratch), [".png"])
        ]
        drawn += sorted(file for file in (run.path / "figures").glob("*.png"))
        by_name = {file.stem: file for file in reversed(drawn)}
        chosen = [
            [file for stem, file in sorted(by_name.items()) if fnmatch(stem, pattern)]
            for pattern in patterns
        ]
        most = len(by_name) if run.name in WHOLE else MOST_FIGURES
        firsts = [files[0] for files in chosen if files]
        rest = [file for files in chosen for file in files[1:]]
        for file in dict.fromkeys([*firsts, *rest][:most]):
            # A figure has few colours: a third of the bytes, and nothing to be seen of it.
            with Image.open(file) as picture:
                small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            small.save(folder / file.name, optimize=True)


def write_index(runs: Sequence[tuple[Shown, RunFolder]], path: Path) -> None:
    """gallery.csv; rows of other scenarios stay. Raises OutputError."""
    rows = {row["name"]: row for row in read_index(path)}
    for each, run in runs:
        rows[each.name] = {
            "name": each.name,
            "file": each.file.as_posix(),
            "scenario_sha256": run.manifest["scenario_sha256"],
            "trials": str(run.manifest["trials"]),
            "images": str(len(run.manifest["images"])),
        }
    known = [each.name for each in shown()]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[name] for name in known if name in rows)
    with whole_file(path) as partial:
        partial.write_text(text.getvalue())


def read_index(path: Path) -> list[dict[str, str]]:
    """Rows of gallery.csv; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def differing(made: Path, kept: Path) -> Iterator[str]:
    """Names of files that are not the same, or in one of both folders only; times aside."""
    names = {file.name for folder in (made, kept) if folder.is_dir() for file in folder.iterdir()}
    for name in sorted(names - {MANIFEST}):
        both = (made / name, kept / name)
        if not all(file.is_file() for file in both) or not filecmp.cmp(*both, shallow=False):
            yield name
