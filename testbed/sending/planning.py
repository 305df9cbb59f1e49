"""Protection chosen for one picture: what each layer is sent with, for the best expected quality.

The sender knows its own picture: how long each layer is and what PSNR it brings (measured by
decoding). What it reckons with of the channel is told in layer_chances.py, how it chooses, and in
what sense that is exact, in allocation.py. An option is a modulation and coding scheme, a number
of transmissions and an erasure rate; which one a layer was given reaches the receiver as sizes do,
by control information.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from channels.randomness import ChannelRandomness
from testbed.sending.allocation import Allocation, LayerOffers, allocate, allocate_one
from testbed.sending.layer_chances import Reckoning, packet_payloads
from testbed.sending.packets import LayerLink, layer_uses


@dataclass(frozen=True, slots=True)
class PictureLayers:
    """What a sender knows of its picture.

    `sizes_bytes`: of each layer. `psnr_db`: before the first layer (of the picture that stands in
    for a failed one), then after each layer: one longer.
    """

    sizes_bytes: tuple[int, ...]
    psnr_db: tuple[float, ...]

    @property
    def gains_db(self) -> tuple[float, ...]:
        """Of each layer; a layer that does harm counts as none, and the loss is carried on."""
        best = np.maximum.accumulate(self.psnr_db)
        return tuple(float(gain) for gain in np.diff(best))

    def rank(self, plan: Allocation) -> tuple[float, float]:
        """Assured and mean PSNR in dB: the better of two plans has the greater rank."""
        assured_db, mean_db = plan.rank(self.gains_db)
        return self.psnr_db[0] + assured_db, self.psnr_db[0] + mean_db


def plan_layers(
    picture: PictureLayers,
    options: Sequence[LayerLink],
    max_bytes: int,
    budget_uses: int,
    *,
    may_cut: bool,
    known: ChannelRandomness | None = None,
    quantile: float | None = None,
) -> Allocation:
    """Which of `options` each layer is sent with; layers beyond the last are not worth sending.

    known: the draws that the picture will meet, for an oracle. quantile: q, to make the
    q-quantile of the PSNR the greatest instead of the mean, which then decides between equals.
    Raises ChannelError for links that tables cannot stand for.
    """
    reckoning = Reckoning(options[0].setting.channel, known, options[0].setting.loss, may_cut)
    layers = _layer_offers(picture, options, max_bytes, budget_uses, reckoning)
    if not layers:
        return Allocation((), 0.0)
    return allocate(
        picture.gains_db[: len(layers)],
        layers,
        reckoning.weights,
        budget_uses,
        may_cut=may_cut,
        assured=None if quantile is None else 1 - quantile,
    )


def plan_equal(
    pictures: Sequence[PictureLayers],
    options: Sequence[LayerLink],
    max_bytes: int,
    budget_uses: int,
    *,
    may_cut: bool,
    known: ChannelRandomness | None = None,
    quantile: float | None = None,
) -> int:
    """The one option that serves all layers best. `pictures`: as coded for each of the options.

    The first option if nothing is expected of any.
    """
    ranks = [
        picture.rank(
            expect_equal(
                picture, option, max_bytes, budget_uses,
                may_cut=may_cut, known=known, quantile=quantile,
            )
        )
        for picture, option in zip(pictures, options, strict=True)
    ]  # fmt: skip
    return ranks.index(max(ranks))


def expect_equal(
    picture: PictureLayers,
    option: LayerLink,
    max_bytes: int,
    budget_uses: int,
    *,
    may_cut: bool,
    known: ChannelRandomness | None = None,
    quantile: float | None = None,
) -> Allocation:
    """What is expected if one option serves all layers; arguments as of `plan_layers`."""
    reckoning = Reckoning(option.setting.channel, known, option.setting.loss, may_cut)
    layers = _layer_offers(picture, [option], max_bytes, budget_uses, reckoning)
    if not layers:
        return Allocation((), 0.0)
    return allocate_one(
        picture.gains_db[: len(layers)],
        layers,
        reckoning.weights,
        budget_uses,
        0,
        may_cut=may_cut,
        assured=None if quantile is None else 1 - quantile,
    )


def _layer_offers(
    picture: PictureLayers,
    options: Sequence[LayerLink],
    max_bytes: int,
    budget_uses: int,
    reckoning: Reckoning,
) -> list[LayerOffers]:
    """The offers of all layers that can be sent at all within the budget."""
    layers: list[LayerOffers] = []
    left, first_packet, numbers = budget_uses, 0, {0}
    for size in picture.sizes_bytes:
        if left <= 0:
            break
        offers = {
            number: reckoning.offers(
                size, options, max_bytes, first_packet=first_packet, number=number
            )
            for number in sorted(numbers)
        }
        layers.append(offers)
        left -= min(layer_uses(size, max_bytes, link) for link in options)
        first_packet += len(packet_payloads(size, max_bytes, 1.0)[0])
        numbers = {number + more for number, each in offers.items() for more in each.packets}
    return layers
