"""What the parts of the embedded profile bring: `testbed reproduce ablation`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from codec.embedded.ablation import level_bits, with_one_for_all_streams, without_estimator
from codec.embedded.codec import EmbeddedCodec
from codec.embedded.profile import EmbeddedProfile
from testbed.errors import OutputError
from testbed.images import load_same_size
from testbed.registry import open_layered_codec
from testbed.studies.equal_rates import layered_points

RATES_BPP = (0.5, 1.0, 2.0, 4.0, 6.0)
_BATCH = 50
_COLUMNS = ["part", "measure", "without", "with", "unit", "images"]


def reproduce_ablation(source: str, limit: int | None, out: Path) -> None:
    """Measures, prints and writes ablation.csv into `out`. Raises TestbedError."""
    profile = open_layered_codec("embedded").profile
    assert isinstance(profile, EmbeddedProfile)
    images = [image.pixels for image in load_same_size(source, limit)]
    table = pd.DataFrame(_rows(profile, images), columns=_COLUMNS)
    try:
        out.mkdir(parents=True, exist_ok=True)
        table.to_csv(out / "ablation.csv", index=False, lineterminator="\n")
    except OSError as error:
        raise OutputError(f"{out}: cannot write ({error.strerror})") from error
    shown = Table(title=f"embedded profile, {len(images)} pictures of {source}")
    for heading in _COLUMNS[:-1]:
        shown.add_column(heading)
    for row in table.itertuples(index=False):
        shown.add_row(*(str(value) for value in row[:-1]))
    Console().print(shown)
    print(out / "ablation.csv")


def _rows(
    profile: EmbeddedProfile, images: list[np.ndarray]
) -> list[tuple[str, str, float, float, str, int]]:
    bits = np.zeros(3)
    for start in range(0, len(images), _BATCH):
        some = images[start : start + _BATCH]
        for each in level_bits(profile, np.stack(some)):
            bits += len(some) * np.array([each.zero_order, each.contexts_h266, each.networks])
    zero_order, h266, networks = (bits / sum(image.size for image in images)).round(4).tolist()
    unit, count = "bits per sub-pixel", len(images)
    rows = [
        ("prediction by the networks", "lossless", zero_order, networks, unit, count),
        ("probabilities of 16 bits (H.266: 6)", "lossless", h266, networks, unit, count),
    ]
    reversible = EmbeddedCodec(profile)
    if profile.adaptive_for(*images[0].shape[:2], reversible=True):
        plain = EmbeddedCodec(replace(profile, corrects=False))
        without, with_it = (
            round(layered_points("", codec, images, ())[1], 4) for codec in (plain, reversible)
        )
        rows.append(("correction by what was told", "lossless", without, with_it, unit, count))
    alike = with_one_for_all_streams(profile)
    codecs = (
        ("expected picture", EmbeddedCodec(without_estimator(profile)), reversible),
        ("irreversible transform", EmbeddedCodec(alike), EmbeddedCodec(alike, reversible=False)),
    )
    for part, *compared in codecs:
        before, after = (layered_points(part, codec, images, RATES_BPP)[0] for codec in compared)
        rows += [
            (
                part,
                f"PSNR at {a.rate_bpp:g} bits per pixel",
                round(b.psnr_db, 2),
                round(a.psnr_db, 2),
                "dB",
                count,
            )
            for b, a in zip(before, after, strict=True)
        ]
    return rows
