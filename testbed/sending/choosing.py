"""What each layer of a picture is sent with, whatever the policy.

For policies that plan (planning.py) the sender measures its own picture first: the PSNR after each
layer of a scalable stream, or that of a stream made anew for each scheme. Link adaptation
(channels/link_adaptation.py) looks at the channel alone, a plug-in's policy (policy_registry.py) at
what it likes of what the sender knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from channels.link_adaptation import LinkAdaptation
from channels.randomness import ChannelRandomness
from codec.base import EncodedImage, ImageCodec
from testbed.errors import TestbedError
from testbed.evaluation.metrics import EXACT_PSNR_DB, failed_picture, psnr_db
from testbed.language.adaptation import Adaptation
from testbed.language.link_parts import LinkPart, make_part
from testbed.language.protection import PLANNED
from testbed.plugins.policy_registry import ProtectionPolicy, Sender
from testbed.running.trials import LinkPoint
from testbed.sending.layer_chances import TABLE_WORDS
from testbed.sending.packets import HEADER_BYTES, LayerLink, capacity_bytes, layer_uses
from testbed.sending.planning import PictureLayers, plan_equal, plan_layers
from testbed.sending.transmission import layer_links


class PolicyError(TestbedError):
    """A plug-in's policy chose what there is not."""


Encode = Callable[[int | None], EncodedImage | None]
"""The stream of one picture for a budget of bytes."""


class Chooser:
    """Chooses for one picture: uint8 (H, W, 3), `original`. What was measured once is kept."""

    def __init__(
        self, codec: ImageCodec, original: NDArray[np.uint8], encode: Encode, max_bytes: int
    ) -> None:
        self._codec, self._original, self._encode = codec, original, encode
        self._max_bytes = max_bytes
        self._measured: dict[int | None, PictureLayers] = {}
        self._chosen: dict[tuple[LinkPoint, int], tuple[LayerLink, ...]] = {}

    def links(
        self, point: LinkPoint, budget_uses: int, randomness: ChannelRandomness
    ) -> tuple[LayerLink, ...]:
        """By layer; the last one serves all that follow.

        randomness: the draws that the picture will meet; an oracle looks at all of them, link
        adaptation at a packet that was sent before.
        """
        if point.plugin_policy is not None:
            if (point, budget_uses) not in self._chosen:
                chosen = self._by_plugin(point, point.plugin_policy, budget_uses)
                self._chosen[point, budget_uses] = chosen
            return self._chosen[point, budget_uses]
        if point.policy not in PLANNED:
            return layer_links(point)
        if point.adaptation is not None:
            return (self._adapted(point, point.adaptation, randomness),)
        if point.policy == "oracle":
            return self._plan(point, budget_uses, randomness)
        key = (point, budget_uses)
        if key not in self._chosen:
            self._chosen[key] = self._plan(point, budget_uses, None)
        return self._chosen[key]

    def _adapted(
        self, point: LinkPoint, adaptation: Adaptation, randomness: ChannelRandomness
    ) -> LayerLink:
        options = sorted(layer_links(point), key=_efficiency)
        sender = LinkAdaptation(
            tuple(option.setting for option in options),
            HEADER_BYTES + self._max_bytes,
            adaptation.target_error_rate,
            adaptation.estimate_delay_packets,
            adaptation.estimate_error_db,
            adaptation.outer_loop,
            TABLE_WORDS,
        )
        return options[sender.choice(randomness)]

    def _by_plugin(
        self, point: LinkPoint, part: LinkPart, budget_uses: int
    ) -> tuple[LayerLink, ...]:
        options = layer_links(point)
        sender = Sender(
            point.layers,
            point.snr_db,
            budget_uses,
            self._max_bytes,
            self._codec.scalable,
            lambda option: self._coded_for(options[option], budget_uses),
            lambda size, option: layer_uses(size, self._max_bytes, options[option]),
        )
        policy: ProtectionPolicy = make_part("protection policy", part)
        chosen = list(policy.choose(sender))
        if not chosen or not set(chosen) <= set(range(len(options))):
            raise PolicyError(
                f"protection {point.protection}: expected a number from 0 to {len(options) - 1} "
                f"for each layer, found {chosen}"
            )
        return tuple(options[each] for each in chosen)

    def _plan(
        self, point: LinkPoint, budget_uses: int, known: ChannelRandomness | None
    ) -> tuple[LayerLink, ...]:
        options = sorted(layer_links(point), key=_efficiency)
        scalable = self._codec.scalable
        if point.policy == "best_equal" or not scalable:
            pictures = [self._coded_for(option, budget_uses) for option in options]
            best = plan_equal(
                pictures, options, self._max_bytes, budget_uses,
                may_cut=scalable, known=known, quantile=point.quantile,
            )  # fmt: skip
            return (options[best],)
        plan = plan_layers(
            self._layers(None), options, self._max_bytes, budget_uses,
            may_cut=True, known=known, quantile=point.quantile,
        )  # fmt: skip
        return tuple(options[choice] for choice in plan.choices) or (options[0],)

    def _coded_for(self, option: LayerLink, budget_uses: int) -> PictureLayers:
        """A codec that is not scalable codes anew for what an option bears."""
        if self._codec.scalable:
            return self._layers(None)
        return self._layers(capacity_bytes(self._max_bytes, budget_uses, option))

    def _layers(self, budget_bytes: int | None) -> PictureLayers:
        if budget_bytes not in self._measured:
            encoded = self._encode(budget_bytes)
            self._measured[budget_bytes] = picture_layers(self._codec, self._original, encoded)
        return self._measured[budget_bytes]


def picture_layers(
    codec: ImageCodec, original: NDArray[np.uint8], encoded: EncodedImage | None
) -> PictureLayers:
    """Sizes of a picture's layers, and its PSNR from those up to each of them."""
    failed_db = psnr_db(original, failed_picture(*original.shape[:2]))
    if encoded is None:
        return PictureLayers((), (failed_db,))
    layers = [layer.whole for layer in encoded.layers]
    decoded = codec.decode_batch([layers[: count + 1] for count in range(len(layers))])
    quality = [
        failed_db if each.image is None else min(psnr_db(original, each.image), EXACT_PSNR_DB)
        for each in decoded
    ]
    return PictureLayers(tuple(len(layer.data) for layer in layers), (failed_db, *quality))


def scheme_words(links: Sequence[LayerLink]) -> str:
    """Such as "qpsk 0.301 x4 of 0.8, 16qam 0.479": by layer, equal ones at the end once.

    "x4": packets are sent up to four times. "of 0.8": the erasure rate.
    """
    words = []
    for link in links:
        setting = link.setting
        times = f" x{setting.transmissions}" if setting.transmissions > 1 else ""
        rate = f" of {link.erasure_rate:.3g}" if link.erasure_rate < 1 else ""
        words.append(f"{setting.modulation} {setting.code_rate:.3g}{times}{rate}")
    while len(words) > 1 and words[-1] == words[-2]:
        words.pop()
    return ", ".join(words)


def _efficiency(link: LayerLink) -> float:
    return link.setting.bits_per_symbol * link.setting.code_rate
