"""Protection chosen for one picture: what each layer is sent with, for the greatest expected PSNR.

The sender knows its own picture: how long each layer is and what PSNR it brings (measured by
decoding). Of the channel it knows the model and the mean SNR, not the fade: it reckons with the
packet error rates (channels/table_link.py) over PLANNING_FADES fades drawn for planning alone. The
`oracle` is told the fades that the picture will meet. Packets that are lost above the physical
layer are not reckoned with. Which scheme a layer was given reaches the receiver as sizes do, by
control information.

Layers that meet one fade together are planned together, layers with fades of their own one by one:
see allocation.py for the methods and in what sense they are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from channels.channel import Channel
from channels.link import LinkSetting
from channels.randomness import ChannelRandomness, derive_key
from channels.table_link import noise_powers, packet_error_rate
from testbed.allocation import Allocation, allocate, allocate_common
from testbed.packets import HEADER_BYTES, LayerLink, layer_uses

PLANNING_FADES = 400
TABLE_WORDS = 600
"""Code blocks per point of the block error tables that plans are made with."""
SIZE_STEP_BYTES = 16
"""Packets are reckoned as long as the next multiple, so that pictures share error rates."""


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


def plan_layers(
    picture: PictureLayers,
    options: Sequence[LayerLink],
    max_bytes: int,
    budget_uses: int,
    *,
    may_cut: bool,
    known: ChannelRandomness | None = None,
) -> Allocation:
    """Which of `options` each layer is sent with; layers beyond the last are not worth sending.

    options: from the most robust to the least. known: the draws that the picture will meet, for an
    oracle. Raises ChannelError for links that tables cannot stand for.
    """
    if not picture.sizes_bytes:
        return Allocation((), 0.0)
    uses, success, weights = _chances(picture, options, max_bytes, known)
    if weights is None:
        return allocate(picture.gains_db, uses, success[..., 0], budget_uses, may_cut=may_cut)
    return allocate_common(picture.gains_db, uses, success, weights, budget_uses, may_cut=may_cut)


def plan_equal(
    pictures: Sequence[PictureLayers],
    options: Sequence[LayerLink],
    max_bytes: int,
    budget_uses: int,
    *,
    may_cut: bool,
    known: ChannelRandomness | None = None,
) -> int:
    """The one option that serves all layers best. `pictures`: as coded for each of the options.

    The first option if nothing is expected of any.
    """
    expected_db = []
    for picture, option in zip(pictures, options, strict=True):
        plan = plan_layers(picture, [option], max_bytes, budget_uses, may_cut=may_cut, known=known)
        expected_db.append(picture.psnr_db[0] + plan.expected_db)
    return int(np.argmax(expected_db))


def _chances(
    picture: PictureLayers,
    options: Sequence[LayerLink],
    max_bytes: int,
    known: ChannelRandomness | None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64] | None]:
    """Channel uses (L, J), success (L, J, fades) and the fades' weights: None if layers fail
    independently of each other, then there is one fade.
    """
    sizes, settings = picture.sizes_bytes, [link.setting for link in options]
    uses = np.array([[layer_uses(size, max_bytes, link) for link in options] for size in sizes])
    if known is not None:
        return uses, _known_success(sizes, settings, max_bytes, known)[..., None], None
    success = np.array(
        [[_layer_success(size, setting, max_bytes) for setting in settings] for size in sizes]
    )
    if not fades_together(settings[0].channel):
        return uses, success[..., :1], None
    return uses, success, np.full(PLANNING_FADES, 1 / PLANNING_FADES)


@lru_cache(maxsize=64)
def fades_together(channel: Channel) -> bool:
    """Whether all packets of a picture meet one fade that another picture does not."""
    noise = np.array(
        [
            [noise_powers(channel, 64, 1.0, _planning_draws(draw), n).mean() for n in (0, 1)]
            for draw in range(8)
        ]
    )
    together = np.allclose(noise[:, 0], noise[:, 1], rtol=1e-9)
    return together and not np.allclose(noise, noise[0, 0], rtol=1e-9)


@lru_cache(maxsize=PLANNING_FADES)
def _planning_draws(draw: int) -> ChannelRandomness:
    return ChannelRandomness(derive_key("planning", draw))


def _packet_sizes(size: int, max_bytes: int) -> list[int]:
    full, rest = divmod(size, max_bytes)
    return [max_bytes] * full + [rest] * (rest > 0)


def _rounded(payload: int) -> int:
    return -(-(HEADER_BYTES + payload) // SIZE_STEP_BYTES) * SIZE_STEP_BYTES


def _layer_success(size: int, setting: LinkSetting, max_bytes: int) -> NDArray[np.float64]:
    """P(all packets of a layer arrive) in each planning fade, or with fades of their own.

    In the second case all entries are the same: the mean over fades is taken packet by packet.
    """
    together = fades_together(setting.channel)
    success = np.ones(PLANNING_FADES)
    for payload in _packet_sizes(size, max_bytes):
        rates = _error_rates(_rounded(payload), setting)
        success = success * (1 - (rates if together else rates.mean()))
    return success


@lru_cache(maxsize=8192)
def _error_rates(packet_bytes: int, setting: LinkSetting) -> NDArray[np.float64]:
    rates = np.array(
        [
            packet_error_rate(packet_bytes, setting, _planning_draws(draw), 0, TABLE_WORDS)
            for draw in range(PLANNING_FADES)
        ]
    )
    rates.setflags(write=False)
    return rates


def _known_success(
    sizes: Sequence[int], settings: Sequence[LinkSetting], max_bytes: int, known: ChannelRandomness
) -> NDArray[np.float64]:
    """(layers, options): with the fades of the packets' own numbers."""
    success = np.ones((len(sizes), len(settings)))
    number = 0
    for layer, size in enumerate(sizes):
        for payload in _packet_sizes(size, max_bytes):
            for j, setting in enumerate(settings):
                rate = packet_error_rate(_rounded(payload), setting, known, number, TABLE_WORDS)
                success[layer, j] *= 1 - rate
            number += 1
    return success
