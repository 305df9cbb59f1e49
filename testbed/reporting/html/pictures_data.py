"""Received pictures that a run has kept in examples/, for the page's slider through SNR.

The folder may come from anybody: a file is shown only if it lies in examples/ by its plain name and
is a PNG.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from testbed.evaluation.run_folder import RunFolder
from testbed.examples.files import EXAMPLES, ORIGINAL_PNG
from testbed.examples.reading import read_examples
from testbed.language.setting_words import part_words
from testbed.reporting.html.inlining import data_uri

PNG_START = b"\x89PNG\r\n\x1a\n"


def picture_data(run: RunFolder, most_bytes: int) -> dict[str, Any] | None:
    """What the slider needs, JSON-able; None where there are no pictures, or they are too large.

    most_bytes: of the files. With more, every other SNR is left out, and again.

    settings  title and SNRs of each slider: one for each channel
    shown     setting, place of the SNR, codec, file, words
    files     data URIs by name

    Raises ExamplesError for a table that cannot be read.
    """
    folder = run.path / EXAMPLES
    table = read_examples(run.path).pictures
    table = table[np.isfinite(table["snr_db"].astype(float))]
    if table.empty:
        return None
    for step in (1, 2, 4, 8):
        chosen = _thinned(table, step)
        files = _files(folder, [ORIGINAL_PNG, *chosen["file"].tolist()], most_bytes)
        if sum(map(len, files.values())) <= most_bytes:
            break
    else:
        return None
    chosen = chosen[chosen["file"].isin(list(files))]
    if chosen.empty:
        return None
    # Others have one layer: it is there, or the picture failed.
    layered = set(table.loc[table["layers_decoded"] > 1, "codec"])
    settings = []
    for channel, own in chosen.groupby("channel", sort=False):
        snrs_db = sorted(set(own["snr_db"]))
        settings.append(
            {
                "title": part_words(str(channel)),
                "snrs_db": snrs_db,
                "codecs": [
                    {
                        "label": run.labels.get(str(codec), str(codec)),
                        "at": [_shown(rows, snr_db, str(codec) in layered) for snr_db in snrs_db],
                    }
                    for codec, rows in own.groupby("codec", sort=False)
                ],
            }
        )
    return {
        "image": str(chosen["image"].iloc[0]),
        "original": ORIGINAL_PNG if ORIGINAL_PNG in files else None,
        "thinned": step > 1,
        "settings": settings,
        "files": {name: data_uri(content, ".png") for name, content in files.items()},
    }


def _thinned(table: pd.DataFrame, step: int) -> pd.DataFrame:
    """Every step-th SNR of each channel, counted from the highest."""
    if step == 1:
        return table
    parts = []
    for _, own in table.groupby("channel", sort=False):
        kept = sorted(set(own["snr_db"]), reverse=True)[::step]
        parts.append(own[own["snr_db"].isin(kept)])
    return pd.concat(parts)


def _files(folder: Path, names: Sequence[str], most_bytes: int) -> dict[str, bytes]:
    """By name. Beyond most_bytes no more of them are read: they are too large together."""
    found: dict[str, bytes] = {}
    left = most_bytes
    # A folder that is a link leads out of the run, as a file that is one does.
    there = set() if folder.is_symlink() else {each.name for each in folder.iterdir()}
    for name in dict.fromkeys(names):
        path = folder / name
        if name not in there or path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes() if path.stat().st_size <= most_bytes else b""
        if content.startswith(PNG_START):
            found[name] = content
            left -= len(content)
        if left < 0:
            break
    return found


def _shown(rows: pd.DataFrame, snr_db: float, layered: bool) -> dict[str, str] | None:
    own = rows[rows["snr_db"] == snr_db]
    if own.empty:
        return None
    row = own.iloc[0]
    psnr_db, ssim = float(row["psnr_db"]), float(row["ssim"])
    words = ["exact" if math.isinf(psnr_db) else f"{psnr_db:.1f} dB"]
    if not math.isnan(ssim):
        words.append(f"SSIM {ssim:.3f}")
    if str(row["failed"]) == "True":
        words = ["failed: mid-grey stands in", *words]
    elif layered:
        words.append(f"whole layers: {row['layers_decoded']:g}")
    return {"file": str(row["file"]), "words": ", ".join(words)}
