"""A picture's bitplanes and what the paper's codec predicts of each, stage by stage.

The stages are those of studies/table1.py, which counts the same wrong bits over many pictures:
the base layer's picture, the same after the bitplane correction function (BCF), and what the
enhancement network (EN) predicts from the planes above, corrected, which is what the codec codes
the plane's errors against. Source: Samarathunga et al., table 1 and equations (1)-(3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codec.bitplane_correction import correct_value, predicted_bits
from codec.bitplanes import PLANES, known_value, split_plane
from codec.networks import whole_levels
from codec.semantic_codec import SemanticCodec
from testbed.examples.files import STAGES
from testbed.examples.png import write_png
from testbed.images import SourceImage
from testbed.running.work import Row

SIDE = 128
"""Of the part of a picture that is shown, at most: single pixels are to be seen."""


@dataclass(frozen=True, slots=True)
class PlaneView:
    """One plane at one of STAGES. bits: uint8 (3, H, W), 0 or 1; truth: the plane itself."""

    plane: int
    stage: str
    bits: NDArray[np.uint8]
    truth: NDArray[np.uint8]

    @property
    def wrong_bits(self) -> int:
        return int(np.count_nonzero(self.bits != self.truth))


def plane_views(codec: SemanticCodec, picture: NDArray[np.uint8]) -> Iterator[PlaneView]:
    """The planes that the codec sends of a picture, uint8 (H, W, 3): each at every stage."""
    profile, rule = codec.profile, codec.correction
    planar = picture.transpose(2, 0, 1)[None]
    height, width = picture.shape[:2]
    latent = profile.autoencoder.latent(planar)
    base = whole_levels(profile.autoencoder.reconstruction(latent, height, width))
    current = base.astype(np.uint8)
    for plane in PLANES[: codec.layers - 1]:
        known, truth = known_value(planar, plane + 1), split_plane(planar, plane)
        predicted = whole_levels(profile.enhancement[plane].prediction(current, known))
        values = {
            "initial": base,
            "bcf": correct_value(base, known, plane, rule),
            "en": correct_value(predicted, known, plane, rule),
        }
        for stage in STAGES:
            bits = truth if stage == "true" else predicted_bits(values[stage], plane)
            yield PlaneView(plane, stage, bits[0], truth[0])
        after = known_value(planar, plane)
        current = correct_value(predicted, after, plane - 1, "interval").astype(np.uint8)


def write_planes(codec: SemanticCodec, name: str, image: SourceImage, folder: Path) -> list[Row]:
    """Writes the planes of the middle of a picture as PNG: rows of PLANE_COLUMNS.

    name: the codec's in the scenario. Raises OutputError.
    """
    height, width = (min(SIDE, side) for side in image.pixels.shape[:2])
    top, left = (image.pixels.shape[0] - height) // 2, (image.pixels.shape[1] - width) // 2
    part = np.ascontiguousarray(image.pixels[top : top + height, left : left + width])
    rows = []
    for view in plane_views(codec, part):
        file = f"{name}_plane{view.plane}_{view.stage}.png"
        write_png(folder / file, np.hstack(list(view.bits)).astype(np.bool_))
        rows.append(
            {
                "codec": name,
                "image": image.name,
                "left": left,
                "top": top,
                "width": width,
                "height": height,
                "plane": view.plane,
                "stage": view.stage,
                "file": file,
                "wrong_bits": view.wrong_bits,
                "bits": view.truth.size,
                "share": view.wrong_bits / view.truth.size,
            }
        )
    return rows
