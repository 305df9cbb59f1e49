"""Shared by tests of reports: small runs, their pictures, and a page taken apart."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from testbed.evaluation.run_folder import RunFolder
from testbed.examples.files import ORIGINAL_PNG, PICTURE_COLUMNS, PICTURES_CSV
from testbed.figures.drawing import Drawing, Width

SCENARIO = """
seed: 1
repetitions: 2
images: {source: samples32, limit: 6}
codecs: [{type: jpeg}, {type: webp}]
link:
  channel: [awgn, rayleigh_block]
  modulation: [qpsk, 16qam]
  code_rate: 1/2
  cbr: 1/3
  fidelity: tables
  snr_db: [0, 3, 6]
"""


class Page(HTMLParser):
    """What a page holds.

    attributes  (element, name, value) of all
    ids         of elements
    scripts     their texts; data is that of the one that holds JSON
    text        all that is shown
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: set[str] = set()
        self.elements: list[str] = []
        self.scripts: list[str] = []
        self.text = ""
        self._within = ""
        self.feed(path.read_text("utf-8"))
        self.data: dict[str, Any] = json.loads(
            next(each for each in self.scripts if each.startswith("{"))
        )

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        self.elements.append(tag)
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._within = "" if tag else self._within

    def handle_data(self, data: str) -> None:
        if self._within == "script":
            self.scripts.append(data)
        elif self._within != "style":
            self.text += data

    def values(self, name: str) -> list[str]:
        return [value for _, key, value in self.attributes if key == name]


def one_figure(run: RunFolder, width: Width) -> Iterator[Drawing]:
    """A maker that is quick."""
    assert width in ("column", "page")
    figure, axes = plt.subplots()
    axes.plot([0, 1], [0, len(run.codecs)])
    yield Drawing("one", "A line", "It rises from 0 & <b>stops</b>.", "quality", figure)


def with_pictures(folder: Path, snrs_db: tuple[float, ...] = (0.0, 3.0, 6.0)) -> None:
    """Examples as a run keeps them: of two codecs over one channel; the picture is its SNR."""
    examples = folder / "examples"
    shutil.rmtree(examples, ignore_errors=True)
    examples.mkdir()
    Image.fromarray(np.full((8, 8, 3), 9, np.uint8)).save(examples / ORIGINAL_PNG)
    with (examples / PICTURES_CSV).open("w", newline="") as file:
        writer = csv.DictWriter(file, PICTURE_COLUMNS, restval="0")
        writer.writeheader()
        for codec in ("jpeg", "webp"):
            for number, snr_db in enumerate(snrs_db):
                name = f"{codec}_{number}.png"
                grey = 10 * number + len(codec)
                Image.fromarray(np.full((8, 8, 3), grey, np.uint8)).save(examples / name)
                writer.writerow(
                    {
                        "file": name, "codec": codec, "image": "tiny", "trial_id": "x",
                        "channel": "awgn", "snr_db": snr_db, "psnr_db": 20 + number, "ssim": 0.5,
                        "failed": snr_db == 0, "layers_decoded": 1,
                    }
                )  # fmt: skip
