"""From trained networks to the committed files: integers, tables, manifest."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from codec.base import ReceivedLayer
from codec.convolution import integer_state
from codec.networks import ExactAutoencoder
from codec.profile import profile_from_tensors
from codec.semantic_codec import LAYER_NAMES, SemanticCodec
from codec.training.autoencoder import Autoencoder

SHIFTS = (10, 12, 13)
"""Adaptation speeds tried; the one that codes the validation pictures shortest is kept."""


def autoencoder_tensors(model: Autoencoder, pictures: NDArray[np.uint8]) -> dict[str, Tensor]:
    """The integers of both halves, latent channels reordered by falling energy on `pictures`."""
    encoder, decoder = integer_state(model.encoder), integer_state(model.decoder)
    latent = ExactAutoencoder(encoder, decoder).latent(pictures)
    order = torch.from_numpy(np.argsort(-np.abs(latent).mean((0, 2, 3)), kind="stable"))
    for key in ("weight", "bias", "shift"):
        encoder[f"head.{key}"] = encoder[f"head.{key}"][order]
    decoder["stem.weight"] = decoder["stem.weight"][:, order]
    return {
        **{f"encoder.{k}": v.contiguous() for k, v in encoder.items()},
        **{f"decoder.{k}": v.contiguous() for k, v in decoder.items()},
    }


def write_profile(
    path: Path, tensors: dict[str, Tensor], validation: NDArray[np.uint8], manifest: dict[str, Any]
) -> dict[str, Any]:
    """Chooses the adaptation speed, writes `path` (.safetensors) and its manifest (.json)."""
    figures = {}
    for shift in SHIFTS:
        tensors["shift"] = torch.tensor(shift, dtype=torch.int8)
        figures[shift] = validation_figures(tensors, validation)
    best = min(SHIFTS, key=lambda shift: figures[shift]["lossless_bits_per_subpixel"])
    tensors["shift"] = torch.tensor(best, dtype=torch.int8)
    raw = save(tensors)
    path.write_bytes(raw)
    manifest = {
        "file": path.name,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "bytes": len(raw),
        **manifest,
        "torch": torch.__version__,
        "written_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "validation": figures[best],
    }
    path.with_suffix(".json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def validation_figures(tensors: dict[str, Tensor], pictures: NDArray[np.uint8]) -> dict[str, Any]:
    """Rate and PSNR after each layer, means over pictures (N, 3, H, W); the last must be exact.

    A single picture that is exact before the last layer counts as 68 dB in its mean.
    """
    codec = SemanticCodec(profile_from_tensors("in training", "", tensors))
    images = list(pictures.transpose(0, 2, 3, 1))
    streams = [stream for stream in codec.encode_batch(images) if stream is not None]
    pixels = images[0].shape[0] * images[0].shape[1]
    layer_bits = np.array([[8 * len(layer.data) for layer in each.layers] for each in streams])
    bpp = layer_bits.mean(0).cumsum() / pixels
    psnr_db: list[float | None] = []
    for count in range(1, len(LAYER_NAMES) + 1):
        received = [
            [ReceivedLayer(layer.data, True) for layer in each.layers[:count]] for each in streams
        ]
        decoded = np.stack([d.image for d in codec.decode_batch(received) if d.image is not None])
        mse = np.square(decoded.astype(np.float64) - np.stack(images)).mean((1, 2, 3))
        exact = not mse.any()
        psnr_db.append(None if exact else float(np.mean(10 * np.log10(255**2 / mse.clip(1e-2)))))
    if psnr_db[-1] is not None:
        raise RuntimeError("all nine layers did not give the exact pictures")
    return {
        "pictures": len(images),
        "layers": list(LAYER_NAMES),
        "bpp": [round(float(value), 4) for value in bpp],
        "psnr_db": [None if value is None else round(value, 3) for value in psnr_db],
        "lossless_bits_per_subpixel": round(float(bpp[-1]) / 3, 4),
    }
