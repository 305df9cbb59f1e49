"""What `testbed bench codec` does: speed, lossless rate and PSNR at equal rates.

    codec_speed.csv           profile, weights, pictures and pixels that were timed, each way per
                              second, bits per sub-pixel of the exact pictures
    codec_rates.csv           codec, rate_bpp, bpp, psnr_db, failed, images (equal_rates.py)
    codec_rates.png, .pdf     the same as curves

The files are written where a folder is named. All but the speeds come out the same each time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from codec.base import CodecError, Image, ImageCodec
from codec.bench_codec import CodecSpeed, bench_codec
from codec.embedded.codec import EmbeddedCodec
from codec.embedded.fitted import check_fittable
from codec.layered import LayeredCodec
from codec.profile import profile_names
from testbed.errors import OutputError
from testbed.evaluation.metrics import EXACT_PSNR_DB
from testbed.evaluation.trials_table import METRICS
from testbed.figures.drawing import STYLE
from testbed.figures.looks import COLOURS, MARKERS
from testbed.figures.saving import LINES, save
from testbed.images import load_images
from testbed.language.codec_sections import CODEC_SECTIONS, ConventionalSection
from testbed.registry import CodecSetupError, make_codec, open_layered_codec
from testbed.studies.equal_rates import (
    RATES_BPP,
    EqualRatePoint,
    layered_points,
    recoded_points,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TIMED_PIXELS = 1 << 18
"""Speed is measured on about as many: 256 pictures of 32 x 32, or one photograph."""

CSV_DIGITS = {
    "bpp": 6, "psnr_db": 4, "failed": 4,
    "encoded_per_s": 2, "decoded_per_s": 2, "lossless_bits_per_subpixel": 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProfileResult:
    """What was measured of one profile, a name or a path."""

    name: str
    weights_sha256: str
    speed: CodecSpeed
    lossless_bits_per_subpixel: float
    points: tuple[EqualRatePoint, ...]


def run_bench_codec(
    profiles: Sequence[str],
    source: str,
    limit: int | None,
    conventional: str,
    out: Path | None,
    fit: int | None = None,
) -> None:
    """Measures and prints; writes the files above into `out`, if given. Raises TestbedError.

    profiles: names or paths; all that ship if there are none. source: as for load_images.
    conventional: as for conventional_codecs. fit: also code anew for each rate with the embedded
    profiles, trying so many steps.
    """
    ours = {name: open_layered_codec(name) for name in profiles or profile_names()}
    fitted = fitted_codecs(ours, fit)
    others = fitted | conventional_codecs(conventional)
    irreversible = {
        name: open_layered_codec(name, reversible=False)
        for name, codec in ours.items()
        if isinstance(codec, EmbeddedCodec)
    }
    found = load_images(source, Path(), limit)
    for image in found if fitted else ():
        # Now, and not when all that comes before has been measured.
        try:
            check_fittable(image.pixels)
        except CodecError as error:
            raise CodecSetupError(f"{image.name}: {error}; leave --fit out") from None
    images = [image.pixels for image in found]
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    results, points = [], []
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for name, codec in ours.items():
            bar = progress.add_task(f"{name}: speed", total=1)
            speed = bench_codec(codec, *timed_pictures(images))
            progress.advance(bar)
            bar = progress.add_task(f"{name}: rates", total=len(images))
            curve, lossless = layered_points(
                name, codec, images, RATES_BPP, partial(progress.advance, bar)
            )
            if name in irreversible:
                label = f"{name}, irreversible"
                bar = progress.add_task(f"{label}: rates", total=len(images))
                curve += layered_points(
                    label, irreversible[name], images, RATES_BPP, partial(progress.advance, bar)
                )[0]
            results.append(ProfileResult(name, codec.profile.sha256, speed, lossless, tuple(curve)))
        for label, other in others.items():
            bar = progress.add_task(label, total=len(images))
            try:
                points += recoded_points(
                    label, other, images, RATES_BPP, partial(progress.advance, bar)
                )
            except CodecError as error:
                raise CodecSetupError(f"{label}: {error}") from error
    points = [point for result in results for point in result.points] + points
    print_results(results, points, f"{len(images)} pictures of {source}")
    if out is not None:
        note = f"{len(images)} pictures of {source}, weights " + ", ".join(
            f"{each.name} {each.weights_sha256[:16]}" for each in results
        )
        bold = {point.codec for result in results for point in result.points} | set(fitted)
        written = write_results(results, points, bold, note, out)
        print(", ".join(map(str, written)))


def fitted_codecs(ours: Mapping[str, LayeredCodec], fit: int | None) -> dict[str, ImageCodec]:
    """Those of the embedded profiles among `ours`, by their label; none without `fit`.

    Raises CodecSetupError for another `fit` than FittedCodec takes, or if there is none of them.
    """
    if fit is None:
        return {}
    found: dict[str, ImageCodec] = {
        f"{name}, fitted (best of {fit})": open_layered_codec(name, fit=fit)
        for name, codec in ours.items()
        if isinstance(codec, EmbeddedCodec)
    }
    if not found:
        raise CodecSetupError(f"--fit: none of the profiles {', '.join(ours)} can be fitted")
    return found


def conventional_codecs(text: str) -> dict[str, ImageCodec]:
    """Codecs by their label from text such as "jpeg2000,heif:payload"; "none" is none.

    After the colon stands the header policy; without one it is that of scenarios. Raises
    CodecSetupError for what is unknown, not supported or not installed.
    """
    if text.strip() in ("", "none"):
        return {}
    known = [name for name, made in CODEC_SECTIONS.items() if issubclass(made, ConventionalSection)]
    codecs: dict[str, ImageCodec] = {}
    for part in text.split(","):
        name, _, headers = part.strip().partition(":")
        if name not in known:
            raise CodecSetupError(
                f"--conventional {part}: expected some of {', '.join(known)}, or none"
            )
        given = {"headers": headers} if headers else {}
        try:
            section = CODEC_SECTIONS[name].model_validate({"type": name, **given})
        except ValidationError as error:
            problem = error.errors()[0]
            raise CodecSetupError(f"--conventional {part}: {problem['msg']}") from None
        assert isinstance(section, ConventionalSection)
        codecs[f"{name} ({section.headers})"] = make_codec(section)
    return codecs


def timed_pictures(images: Sequence[Image]) -> tuple[list[Image], int]:
    """The first pictures up to TIMED_PIXELS, at least one, and how often they are repeated."""
    some: list[Image] = []
    pixels = 0
    for image in images:
        size = image.shape[0] * image.shape[1]
        if some and pixels + size > TIMED_PIXELS:
            break
        some.append(image)
        pixels += size
    return some, max(1, TIMED_PIXELS // pixels)


def as_rates_table(points: Sequence[EqualRatePoint]) -> pd.DataFrame:
    """One row per point, in the order of the points."""
    return pd.DataFrame([asdict(point) for point in points]).round(CSV_DIGITS)


def as_speed_table(results: Sequence[ProfileResult]) -> pd.DataFrame:
    """One row per profile."""
    return pd.DataFrame(
        {
            "profile": each.name,
            "weights_sha256": each.weights_sha256,
            "pictures": each.speed.pictures,
            "pixels": each.speed.pixels,
            "encoded_per_s": each.speed.pictures / each.speed.encode_s,
            "decoded_per_s": each.speed.pictures / each.speed.decode_s,
            "lossless_bits_per_subpixel": each.lossless_bits_per_subpixel,
        }
        for each in results
    ).round(CSV_DIGITS)


def write_results(
    results: Sequence[ProfileResult],
    points: Sequence[EqualRatePoint],
    ours: Collection[str],
    note: str,
    out: Path,
) -> list[Path]:
    """Writes the files that the module names; returns them. Raises OutputError.

    ours: the codecs among those of the points that are drawn bold.
    """
    rates = as_rates_table(points)
    files = [out / "codec_speed.csv", out / "codec_rates.csv"]
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file, table in zip(files, (as_speed_table(results), rates), strict=True):
            table.to_csv(file, index=False, lineterminator="\n")
    except OSError as error:
        raise OutputError(f"{out}: cannot write ({error.strerror})") from error
    return files + save(draw_rates(rates, ours, note), out / "codec_rates")


def draw_rates(table: pd.DataFrame, ours: Collection[str], note: str) -> Figure:
    """PSNR against the rate that is allowed, each codec from where all pictures fit."""
    import matplotlib.pyplot as plt

    with plt.style.context(STYLE):
        figure, axes = plt.subplots(figsize=(4.5, 3.4), layout="constrained")
        for index, (codec, rows) in enumerate(table.groupby("codec", sort=False)):
            shown = rows[rows["failed"] == 0]
            axes.plot(
                shown["rate_bpp"], shown["psnr_db"], label=str(codec),
                color=COLOURS[index % len(COLOURS)], marker=MARKERS[index % len(MARKERS)],
                linestyle=LINES[index % len(LINES)], linewidth=1.8 if codec in ours else 1.0,
                markersize=5 if codec in ours else 3, zorder=3 if codec in ours else 2,
            )  # fmt: skip
        axes.set_xlabel("rate allowed (bits per pixel)")
        axes.set_ylabel(METRICS["psnr_db"])
        axes.set_xlim(0, None)
        axes.legend()
        figure.supxlabel(
            f"{note}\nmeans over pictures, an exact one counts as {EXACT_PSNR_DB:g} dB; "
            "rates at which all pictures fit",
            fontsize=6, color="0.35",
        )  # fmt: skip
    return figure


def print_results(
    results: Sequence[ProfileResult], points: Sequence[EqualRatePoint], what: str
) -> None:
    """Speed and lossless rate of each profile, then a line of PSNR for each codec."""
    speeds = Table(title=f"Layered codec, all layers, one core; {what}")
    for heading in ("profile", "timed on", "encodes", "decodes", "exact at"):
        speeds.add_column(heading, justify="right", no_wrap=True)
    for each in results:
        speed = each.speed
        speeds.add_row(
            each.name,
            f"{speed.pictures} pictures, {speed.pixels / 1e6:.2f} Mpixel",
            _speed_words(speed, speed.encode_s),
            _speed_words(speed, speed.decode_s),
            f"{each.lossless_bits_per_subpixel:.3f} bits per sub-pixel",
        )
    rates = Table(title=f"PSNR (dB) at a rate in bits per pixel; {what}")
    rates.add_column("codec", no_wrap=True)
    for rate_bpp in RATES_BPP:
        rates.add_column(f"{rate_bpp:g}", justify="right", no_wrap=True)
    for codec, rows in as_rates_table(points).groupby("codec", sort=False):
        rates.add_row(str(codec), *map(_cell, rows.to_dict("records")))
    # As wide as they need to be also where the output is a file.
    console = Console(width=max(120, Console().width))
    console.print(speeds)
    console.print(rates)
    if any(point.failed for point in points):
        print("*  not all pictures fit; those that do not count as mid-grey")


def _speed_words(speed: CodecSpeed, seconds: float) -> str:
    return f"{speed.pictures / seconds:.3g}/s, {speed.pixels / seconds / 1e6:.3g} Mpixel/s"


def _cell(row: dict[object, object]) -> str:
    return f"{row['psnr_db']:.2f}{'*' if row['failed'] else ''}"
