"""The paper's table of bitplane errors, measured with this project's networks.

For each plane, over all pictures:

    initial     bits of the plane that differ between the base layer's picture and the original
    after BCF   bits still wrong when the bitplane correction function has made that picture
                consistent with the (exact) planes above
    after EN    bits still wrong when the enhancement network of the plane predicts, from the
                reconstruction that all planes above leave, and the correction function corrects

The reductions by BCF and by EN are both in % of the initial errors, EN's being what it removes
beyond BCF, so that the two add up. The paper prints the two columns and does not define their
base; this is how we read them. Source: Samarathunga et al., table 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from codec.bitplane_correction import CorrectionRule, correct_value, predicted_bits
from codec.bitplanes import PLANES, known_value, split_plane
from codec.networks import whole_levels
from codec.profile import Profile

PAPER_BCF_PERCENT = dict(
    zip(PLANES[1:], (26.61, 64.72, 43.42, 30.09, 20.45, 11.11, 2.33), strict=True)
)
PAPER_EN_PERCENT = dict(
    zip(PLANES, (10.53, 4.58, 9.24, 13.16, 14.42, 15.45, 13.60, 5.12), strict=True)
)
PICTURES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class PlaneErrors:
    """Wrong bits of one plane under one correction rule, of `bits` in all."""

    plane: int
    rule: CorrectionRule
    bits: int
    initial: int
    after_bcf: int
    after_en: int

    @property
    def bcf_percent(self) -> float:
        return 100 * (self.initial - self.after_bcf) / self.initial

    @property
    def en_percent(self) -> float:
        return 100 * (self.after_bcf - self.after_en) / self.initial

    def plus(self, other: PlaneErrors) -> PlaneErrors:
        """Both together; they are of the same plane and rule."""
        return PlaneErrors(
            self.plane,
            self.rule,
            self.bits + other.bits,
            self.initial + other.initial,
            self.after_bcf + other.after_bcf,
            self.after_en + other.after_en,
        )


def plane_errors(profile: Profile, pictures: NDArray[np.uint8]) -> list[PlaneErrors]:
    """For pictures (N, 3, H, W): planes 8 .. 1, each under every correction rule."""
    total: dict[tuple[int, CorrectionRule], PlaneErrors] = {}
    for start in range(0, len(pictures), PICTURES_AT_ONCE):
        for errors in _errors_of(profile, pictures[start : start + PICTURES_AT_ONCE]):
            key = (errors.plane, errors.rule)
            total[key] = total[key].plus(errors) if key in total else errors
    return list(total.values())


def _errors_of(profile: Profile, pictures: NDArray[np.uint8]) -> Iterator[PlaneErrors]:
    rules: tuple[CorrectionRule, ...] = get_args(CorrectionRule)
    height, width = pictures.shape[2:]
    latent = profile.autoencoder.latent(pictures)
    base = whole_levels(profile.autoencoder.reconstruction(latent, height, width))
    current = base.astype(np.uint8)
    for plane in PLANES:
        known, truth = known_value(pictures, plane + 1), split_plane(pictures, plane)
        predicted = whole_levels(profile.enhancement[plane].prediction(current, known))

        def wrong(
            values: NDArray[np.int32],
            rule: CorrectionRule,
            known: NDArray[np.uint8] = known,
            truth: NDArray[np.uint8] = truth,
            plane: int = plane,
        ) -> int:
            corrected = correct_value(values, known, plane, rule)
            return int(np.count_nonzero(predicted_bits(corrected, plane) != truth))

        initial = int(np.count_nonzero(predicted_bits(base, plane) != truth))
        for rule in rules:
            yield PlaneErrors(
                plane, rule, truth.size, initial, wrong(base, rule), wrong(predicted, rule)
            )
        after = known_value(pictures, plane)
        current = correct_value(predicted, after, plane - 1, "interval").astype(np.uint8)
