"""The codec's networks in their exact form, applied to numpy pictures.

All values in and out are integers; results do not depend on the batch, the thread count or the
machine (see convolution.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from codec.convolution import ExactConv, load_integer_state
from codec.device import evaluate
from codec.enhancement_network import EnhancementNetwork
from codec.fixed_point import GREY_UNIT, LOGIT, logit_of_pixel, value_of_logit
from codec.semantic_decoder import SemanticDecoder
from codec.semantic_encoder import LATENT_STRIDE, SemanticEncoder

PIXELS_AT_ONCE = 1 << 18
"""Batches are cut so that a network sees at most this many pixels at a time (or one picture)."""


def _padded(pictures: NDArray[np.uint8]) -> Tensor:
    """(B, 3, H, W) uint8 -> float32, edges repeated up to multiples of the latent's stride."""
    height, width = pictures.shape[2:]
    x = torch.from_numpy(np.ascontiguousarray(pictures)).float()
    x = F.pad(x, (0, -width % LATENT_STRIDE, 0, -height % LATENT_STRIDE), mode="replicate")
    return x.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def _in_chunks(
    function: Callable[..., Tensor], pixels_each: int, *arrays: NDArray[np.generic]
) -> NDArray[np.int32]:
    """`function` over slices of the arrays' first axis, joined: int32."""
    step = max(1, PIXELS_AT_ONCE // pixels_each)
    parts: list[NDArray[np.int32]] = [
        function(*(array[start : start + step] for array in arrays)).to(torch.int32).numpy()
        for start in range(0, len(arrays[0]), step)
    ]
    return np.concatenate(parts)


def grey_levels(logits: NDArray[np.int32]) -> NDArray[np.int32]:
    """The final sigmoid: logits in 1/1024 -> values in 1/16 grey level, -8 .. 4088."""
    inside = np.clip(logits, LOGIT.low, LOGIT.high)
    levels: NDArray[np.int32] = np.take(value_of_logit(), inside - LOGIT.low)
    return levels


def whole_levels(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Values in 1/16 grey level -> the nearest of 0 .. 255, int32."""
    levels: NDArray[np.int32] = np.clip((values + GREY_UNIT // 2) >> 4, 0, 255)
    return levels


class ExactAutoencoder:
    """The semantic encoder and decoder."""

    def __init__(self, encoder_state: dict[str, Tensor], decoder_state: dict[str, Tensor]) -> None:
        self.encoder, self.decoder = SemanticEncoder(ExactConv), SemanticDecoder(ExactConv)
        load_integer_state(self.encoder, encoder_state)
        load_integer_state(self.decoder, decoder_state)

    def latent(self, pictures: NDArray[np.uint8]) -> NDArray[np.int32]:
        """(B, 3, H, W) uint8 -> (B, C, ceil(H/4), ceil(W/4)) int32 in the domain LATENT."""
        pixels = pictures.shape[2] * pictures.shape[3]
        return _in_chunks(lambda part: evaluate(self.encoder, _padded(part)), pixels, pictures)

    def reconstruction(
        self, latent: NDArray[np.int32], height: int, width: int
    ) -> NDArray[np.int32]:
        """The base layer's picture (B, 3, H, W), int32 in 1/16 grey level."""
        logits = _in_chunks(
            lambda part: evaluate(self.decoder, torch.from_numpy(part).float()),
            height * width,
            latent,
        )
        return grey_levels(logits[:, :, :height, :width])


class ExactEnhancement:
    """One plane's enhancement network."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self.network = EnhancementNetwork(ExactConv)
        load_integer_state(self.network, state)

    def prediction(self, current: NDArray[np.uint8], known: NDArray[np.uint8]) -> NDArray[np.int32]:
        """V_pred (B, 3, H, W), int32 in 1/16 grey level; see EnhancementNetwork.forward."""
        height, width = current.shape[2:]
        corrections = _in_chunks(
            lambda a, b: evaluate(self.network, _padded(a), _padded(b)),
            height * width,
            current,
            known,
        )
        return grey_levels(logit_of_pixel()[current] + corrections[:, :, :height, :width])
