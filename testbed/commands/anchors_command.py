"""What `testbed verify-anchors` does: stated figures of conventional codecs beside ours, and the
header policy `mosaic` beside true mosaics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from testbed.errors import OutputError
from testbed.images import ImageSourceError, load_images
from testbed.studies.anchor_formats import cifar10_codecs, kodak_formats
from testbed.studies.anchors import (
    CIFAR10_PICTURES,
    TOLERANCE_DB,
    Anchor,
    Check,
    DataSet,
    check_curves,
    check_kodak,
    kodak_pictures,
    read_anchors,
)
from testbed.studies.mosaic_check import (
    PICTURES,
    TOLERANCE_PERCENT,
    USUAL_TOLERANCE_PERCENT,
    MosaicCheck,
    check_mosaics,
    mosaic_codecs,
)
from testbed.studies.rate_distortion import RatePoint, steps_of, still_points

QUICK_CODEC = "jpeg"

TITLES: dict[DataSet, str] = {
    "kodak": "Kodak, files within an ideal code's capacity at 10 dB, by CBR: mean PSNR in dB",
    "cifar10": "CIFAR-10, test images 0-199, by bits per pixel: mean PSNR in dB",
}


def verify_anchors(out: Path | None, *, quick: bool) -> bool:
    """Measures and prints; anchors.csv and mosaics.csv into `out`, if given.

    quick: JPEG alone. Fewer pictures would compare with no stated mean.
    Returns whether all these were measured and are within tolerance. Raises ImageSourceError if
    there is neither data set, OutputError if `out` cannot be written.
    """
    anchors = [each for each in read_anchors() if not quick or each.codec == QUICK_CODEC]
    checks: list[Check] = []
    missing: list[str] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        for data_set, measure in (("kodak", _kodak), ("cifar10", _cifar10)):
            asked = [each for each in anchors if each.data_set == data_set]
            try:
                found, left_out = measure(asked, progress)
            except ImageSourceError as error:
                found, left_out = [], [str(error)]
            checks += found
            missing += left_out
        mosaics = _mosaics(progress, quick=quick)
    if not checks:
        raise ImageSourceError("\n".join(missing))
    _print(checks)
    if mosaics:
        _print_mosaics(mosaics)
    for line in missing:
        print(line)
    if out is not None:
        _write(as_table(checks), out / "anchors.csv")
        _write(mosaic_table(mosaics), out / "mosaics.csv")
    done = len(checks) == len(anchors) and all(check.within for check in checks)
    return done and all(mosaic.within for mosaic in mosaics)


def as_table(checks: Sequence[Check]) -> pd.DataFrame:
    """One row per check, dB to two decimals."""
    return pd.DataFrame(
        {
            "data_set": check.anchor.data_set,
            "codec": check.anchor.codec,
            "accounting": check.anchor.accounting,
            "rate": check.anchor.rate,
            "stated_db": check.anchor.psnr_db,
            "measured_db": check.measured_db,
            "difference_db": check.difference_db,
            "verdict": check.verdict,
            "default_db": check.default_db,
            "source": check.anchor.source,
        }
        for check in checks
    ).round(2)


def _kodak(anchors: Sequence[Anchor], progress: Progress) -> tuple[list[Check], list[str]]:
    pictures = kodak_pictures()
    checks: list[Check] = []
    for name, formats in kodak_formats().items():
        asked = [anchor for anchor in anchors if anchor.codec == name]
        if asked:
            bar = progress.add_task(f"kodak, {name}", total=len(formats) * len(pictures))
            checks += check_kodak(asked, formats, pictures, partial(progress.advance, bar))
    return checks, []


def _cifar10(anchors: Sequence[Anchor], progress: Progress) -> tuple[list[Check], list[str]]:
    images = load_images("cifar10_test", Path(), CIFAR10_PICTURES)
    pictures = [image.pixels for image in images]
    codecs, left_out = cifar10_codecs()
    points: list[RatePoint] = []
    for codec in codecs:
        if any(anchor.codec == codec.name for anchor in anchors):
            bar = progress.add_task(f"cifar10, {codec.name}", total=steps_of(codec, pictures))
            points += still_points(codec, pictures, partial(progress.advance, bar))
    return check_curves(anchors, points), left_out


def mosaic_table(checks: Sequence[MosaicCheck]) -> pd.DataFrame:
    """One row per check; bytes to one decimal, dB to two."""
    columns = [*(field.name for field in fields(MosaicCheck)), "difference_percent"]
    rows = [[getattr(check, column) for column in columns] for check in checks]
    decimals = {"true_bytes": 1, "bytes": 1, "equal_bytes": 1, "true_psnr_db": 2, "psnr_db": 2}
    return pd.DataFrame(rows, columns=columns).round(decimals)


def _mosaics(progress: Progress, *, quick: bool) -> list[MosaicCheck]:
    """Nothing without CIFAR-10, of which its anchors have told."""
    try:
        images = load_images("cifar10_test", Path(), PICTURES)
    except ImageSourceError:
        return []
    checks: list[MosaicCheck] = []
    for name, (made, settings) in mosaic_codecs(quick).items():
        bar = progress.add_task(f"mosaics, {name}", total=len(settings))
        pictures = [image.pixels for image in images]
        checks += check_mosaics(name, made, settings, pictures, partial(progress.advance, bar))
    return checks


def _write(table: pd.DataFrame, file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(file, index=False, lineterminator="\n")
    except OSError as error:
        raise OutputError(f"{file.parent}: cannot write ({error.strerror})") from error
    print(file)


def _print_mosaics(checks: Sequence[MosaicCheck]) -> None:
    title = "CIFAR-10, test images 0-63: headers: mosaic beside a true mosaic, means for a picture"
    table = Table(title=title)
    table.add_column("codec")
    for heading in (
        "setting", "true bytes", "true dB", "bytes", "dB", "bytes at equal quality"
    ):  # fmt: skip
        table.add_column(heading, justify="right")
    for check in checks:
        table.add_row(
            check.codec, check.setting, f"{check.true_bytes:.1f}", f"{check.true_psnr_db:.2f}",
            f"{check.bytes:.1f}", f"{check.psnr_db:.2f}", f"{check.difference_percent:+.1f} %",
        )  # fmt: skip
    Console().print(table)
    inside = sum(check.within for check in checks)
    limits = ", ".join(f"{name} {limit:g} %" for name, limit in TOLERANCE_PERCENT.items())
    print(
        f"{inside} of {len(checks)} settings are within tolerance of true mosaics "
        f"({USUAL_TOLERANCE_PERCENT:g} %; {limits})"
    )


def _print(checks: Sequence[Check]) -> None:
    for data_set, title in TITLES.items():
        rows = [check for check in checks if check.anchor.data_set == data_set]
        if rows:
            Console().print(_shown(title, rows))
    inside = sum(check.within for check in checks)
    limits = ", ".join(f"{name} {limit:g} dB" for name, limit in TOLERANCE_DB.items())
    print(f"{inside} of {len(checks)} anchors are within tolerance ({limits})")


def _shown(title: str, checks: Sequence[Check]) -> Table:
    table = Table(title=title)
    for heading in ("codec", "bytes"):
        table.add_column(heading)
    headings = ["rate", "stated", "measured", "difference", "verdict"]
    with_defaults = any(check.default_db is not None for check in checks)
    for heading in [*headings, *(["defaults"] if with_defaults else [])]:
        table.add_column(heading, justify="right")
    for check in checks:
        anchor = check.anchor
        table.add_row(
            anchor.codec, anchor.accounting, anchor.rate, f"{anchor.psnr_db:.2f}",
            _number(check.measured_db, ".2f"), _number(check.difference_db, "+.2f"), check.verdict,
            *([_number(check.default_db, ".2f")] if with_defaults else []),
        )  # fmt: skip
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
