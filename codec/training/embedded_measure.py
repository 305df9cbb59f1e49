"""What an embedded profile reaches by the real codec: bits of each level, rate and PSNR."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.base import EncodedImage
from codec.embedded.bin_engine import bytes_written, start_encoder, worst_case_bytes
from codec.embedded.codec import EmbeddedCodec, is_grey
from codec.embedded.pass_coder import MOST_BINS
from codec.embedded.profile import EmbeddedProfile
from codec.embedded.pyramid import analyse
from codec.embedded.schedule import LAYER_NAMES
from codec.embedded.walk import Walk
from codec.training.embedded_symbols import levels_of

_AT_ONCE = 100
_LEAST_MSE = 1e-2
"""A single picture that is exact before the last layer counts as 68 dB in a mean."""


def coded_bits(profile: EmbeddedProfile, pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Bits that each level takes in the arithmetic coder: (N, levels) of pictures (N, H, W, 3).

    The levels are embedded_symbols.levels_of(H, W). The pictures are coded in one piece each.
    Headers and the stream's last byte, of which on average half is needed, are left out.
    """
    bits = np.zeros((len(pictures), len(levels_of(*pictures.shape[1:3]))))
    greys = np.array([is_grey(picture) for picture in pictures])
    for grey in (False, True):
        of_kind = np.flatnonzero(greys == grey)
        for start in range(0, len(of_kind), _AT_ONCE):
            rows = of_kind[start : start + _AT_ONCE]
            bits[rows] = _coded_bits(profile, pictures[rows], grey)
    return bits


def _coded_bits(
    profile: EmbeddedProfile, pictures: NDArray[np.uint8], grey: bool
) -> NDArray[np.float64]:
    truth = analyse(pictures)
    height, width = pictures.shape[1:3]
    levels, count = levels_of(height, width), len(pictures)
    predictor = profile.predictor_for(height, width, reversible=True)
    adaptive = profile.adaptive_for(height, width, reversible=True)
    walk = Walk(profile, predictor, count, height, width, grey=grey, adaptive=adaptive)
    # Of what is written only the length is of interest: one buffer serves all.
    values = sum(part[0].size for part in truth)
    buffer = np.empty(worst_case_bytes(values * (len(levels) + MOST_BINS)), np.uint8)
    coders = [start_encoder() for _ in range(count)]
    spent = np.zeros((count, len(levels)))
    for step in walk.passes:
        walk.encode(step, coders, [buffer] * count, truth)
        spent[:, levels.index(step.level)] = [_bits_told(coder) for coder in coders]
    return np.diff(spent, axis=1, prepend=0.0)


def _bits_told(coder: NDArray[np.int64]) -> float:
    """How much of the coder's interval is gone: each byte written made it 256 times as wide."""
    whole = start_encoder()[1]
    return 8 * bytes_written(coder) + math.log2(whole) - math.log2(coder[1])


def layer_figures(profile: EmbeddedProfile, pictures: NDArray[np.uint8]) -> dict[str, Any]:
    """Rate and PSNR after each layer, means over pictures (N, H, W, 3), headers charged.

    PSNR is None after the last layer. Raises RuntimeError if that is not the exact picture.
    """
    codec = EmbeddedCodec(profile)
    n_layers, n_pixels = len(LAYER_NAMES), pictures[0].size // 3
    bits, psnr_db = np.zeros((len(pictures), n_layers)), np.zeros((len(pictures), n_layers))
    for start in range(0, len(pictures), _AT_ONCE):
        images = list(pictures[start : start + _AT_ONCE])
        streams = [stream for stream in codec.encode_batch(images) if stream is not None]
        # All cuts of a picture in one batch: the codec walks once over what they share.
        cuts = [_first_layers(each, k) for each in streams for k in range(1, n_layers + 1)]
        decoded = codec.decode_batch([[layer.whole for layer in cut.layers] for cut in cuts])
        for at, (cut, found) in enumerate(zip(cuts, decoded, strict=True)):
            b, layer = divmod(at, n_layers)
            mse = _mse(found.image, images[b])
            if layer == n_layers - 1 and mse > 0:
                raise RuntimeError("all layers did not give the exact picture")
            bits[start + b, layer] = cut.payload_bits
            psnr_db[start + b, layer] = 10 * math.log10(255**2 / max(mse, _LEAST_MSE))
    bpp = bits.mean(0) / n_pixels
    return {
        "pictures": len(pictures),
        "layers": list(LAYER_NAMES),
        "bpp": [round(float(value), 4) for value in bpp],
        "psnr_db": [*(round(float(value), 3) for value in psnr_db.mean(0)[:-1]), None],
        "lossless_bits_per_subpixel": round(float(bpp[-1]) / 3, 4),
    }


def _first_layers(stream: EncodedImage, count: int) -> EncodedImage:
    return EncodedImage(stream.layers[:count])


def _mse(found: NDArray[np.uint8] | None, image: NDArray[np.uint8]) -> float:
    """Mean squared error per value; of nothing decoded, as a testbed shows it, that of mid-grey."""
    shown = np.full_like(image, 128) if found is None else found
    return float(np.square(shown.astype(np.float64) - image).mean())


def validation_figures(profile: EmbeddedProfile, pictures: NDArray[np.uint8]) -> dict[str, Any]:
    """Both of the above for pictures (N, H, W, 3), as the manifest has them."""
    bpp = coded_bits(profile, pictures).mean(0) / (pictures[0].size // 3)
    levels = levels_of(*pictures.shape[1:3])
    by_level = {
        str(level): round(float(value), 4) for level, value in zip(levels, bpp, strict=True)
    }
    return {**layer_figures(profile, pictures), "bpp_by_level": by_level}
