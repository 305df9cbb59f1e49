"""Stated figures of conventional codecs, computed again: the baselines stand on these.

    kodak     mean PSNR of the 24 pictures, each coded to fit what an ideal channel code carries:
              C k bits, C = log2(1 + Es/N0) bits per complex use at Es/N0 = 10 dB, in
              k = floor(CBR 3 H W) uses. `rate` is the CBR.
    cifar10   mean PSNR of the test images 0 .. 199 at a payload or file rate in bpp, on straight
              lines between settings that all images share. `rate` is in bpp.

The figures and where they come from are in anchors.csv.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pandas as pd

from codec.base import Image
from codec.conventional import ConventionalCodec, FileFormat
from testbed.evaluation.metrics import psnr_db
from testbed.images import KODAK, load_images
from testbed.running.trials import budget_channel_uses
from testbed.studies.rate_curve import read_curve
from testbed.studies.rate_distortion import Accounting, RatePoint

DataSet = Literal["kodak", "cifar10"]

TOLERANCE_DB: dict[DataSet, float] = {"kodak": 0.3, "cifar10": 0.3}
"""Kodak: the settings behind the figures are inferred, and the coarseness of the inferred searches
is worth .2 to .6 dB. CIFAR-10: the encoders' versions, and the settings between which lines run."""
CLOSE_DB = 0.1

KODAK_ESN0_DB = 10.0
CIFAR10_PICTURES = 200


@dataclass(frozen=True, slots=True)
class Anchor:
    """One stated figure. `rate`: as printed, a CBR such as "1/24" or bits per pixel."""

    data_set: DataSet
    codec: str
    accounting: Accounting
    rate: str
    psnr_db: float
    source: str


@dataclass(frozen=True, slots=True)
class Check:
    """An anchor and what comes out here; None where the measured curve does not reach its rate.

    default_db: with the codec's default settings, for Kodak.
    """

    anchor: Anchor
    measured_db: float | None
    default_db: float | None = None

    @property
    def difference_db(self) -> float | None:
        """To two decimals, as many as are stated: beyond them nothing can be judged."""
        if self.measured_db is None:
            return None
        # Not -0.0.
        return round(self.measured_db - self.anchor.psnr_db, 2) + 0.0

    @property
    def verdict(self) -> str:
        if self.difference_db is None:
            return "not reached"
        for limit_db in (CLOSE_DB, TOLERANCE_DB[self.anchor.data_set]):
            if abs(self.difference_db) <= limit_db:
                return f"within {limit_db:g} dB"
        return "outside"

    @property
    def within(self) -> bool:
        """Whether the difference is within the data set's tolerance."""
        return self.verdict.startswith("within")


def read_anchors() -> list[Anchor]:
    """All anchors, in the order of anchors.csv."""
    with Path(__file__).with_name("anchors.csv").open(newline="") as file:
        return [
            Anchor(
                cast("DataSet", row["data_set"]), row["codec"],
                cast("Accounting", row["accounting"]), row["rate"], float(row["psnr_db"]),
                row["source"],
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


def kodak_pictures() -> list[Image]:
    """The pixels of Kodak's pictures. Raises ImageSourceError if they are missing, or others."""
    return [image.pixels for image in load_images(KODAK, Path())]


def capacity_bits(cbr: str, picture: Image, esn0_db: float) -> int:
    """What an ideal code carries: floor(C k) bits in k = floor(cbr 3 H W) complex uses of AWGN.

    C = log2(1 + Es/N0), Shannon's capacity per complex use. `cbr`: a fraction such as "1/24".
    """
    uses = budget_channel_uses(cbr, *picture.shape[:2])
    return math.floor(uses * math.log2(1 + 10 ** (esn0_db / 10)))


def fitting_psnr_db(codec: ConventionalCodec, image: Image, budget_bits: int) -> float:
    """PSNR of the best file of at most floor(budget_bits / 8) bytes; ValueError if none fits."""
    [encoded] = codec.encode_batch([image], budget_bits // 8)
    if encoded is None:
        raise ValueError(f"expected {codec.file_format} to fit {budget_bits} bits")
    [decoded] = codec.decode_batch([[layer.whole for layer in encoded.layers]])
    if decoded.image is None:
        raise ValueError(f"expected {codec.file_format} to decode its own file")
    return psnr_db(image, decoded.image)


def check_kodak(
    anchors: Sequence[Anchor],
    formats: tuple[FileFormat, FileFormat],
    pictures: Sequence[Image],
    progress: Callable[[int], None] = lambda _: None,
) -> list[Check]:
    """Anchors of one codec. `formats`: as the anchors were made, and with default settings.

    `progress` is told of every picture that is done: 2 x pictures in all.
    """
    budgets = [
        [capacity_bits(anchor.rate, picture, KODAK_ESN0_DB) for anchor in anchors]
        for picture in pictures
    ]
    means = []
    for made in formats:
        quality = np.empty((len(pictures), len(anchors)))
        for row, picture, bits in zip(quality, pictures, budgets, strict=True):
            # The codec remembers sizes: budgets of one picture share the search for the quality.
            codec = ConventionalCodec(made)
            row[:] = [fitting_psnr_db(codec, picture, each) for each in bits]
            progress(1)
        means.append(quality.mean(axis=0))
    return [Check(*each) for each in zip(anchors, *(mean.tolist() for mean in means), strict=True)]


def check_curves(anchors: Sequence[Anchor], points: Sequence[RatePoint]) -> list[Check]:
    """Anchors on the curves through `points`; those of codecs without points are left out."""
    table = pd.DataFrame([asdict(point) for point in points])
    checks = []
    for anchor in anchors:
        curve = read_curve(table, anchor.codec, anchor.accounting, "psnr_db")
        if curve is not None:
            checks.append(Check(anchor, curve.at(float(anchor.rate))))
    return checks
