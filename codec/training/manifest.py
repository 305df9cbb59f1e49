"""Trained networks as files: weights in half precision, and a manifest that tells their making."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn


def rounded(model: nn.Module) -> bytes:
    """Rounds the model's weights to half precision; the content of their safetensors file."""
    tensors = {key: value.half().contiguous() for key, value in model.state_dict().items()}
    model.load_state_dict({key: value.float() for key, value in tensors.items()})
    return save(tensors)


def earlier_manifest(folder: Path | None, profile: str) -> dict[str, Any] | None:
    """The manifest of the run in --start-from: how the starting point came about.

    None without such a run. Raises SystemExit with one line if the file is something else.
    """
    if folder is None:
        return None
    path = folder / f"{profile}.json"
    if not path.is_file():
        return {"file": "without a manifest"}
    try:
        earlier = json.loads(path.read_text())
    except ValueError as error:
        raise SystemExit(f"{path}: not a manifest ({error})") from None
    if not isinstance(earlier, dict):
        raise SystemExit(f"{path}: not a manifest")
    return earlier


def write_weights(
    path: Path, raw: bytes, making: dict[str, Any], validation: dict[str, Any]
) -> dict[str, Any]:
    """Writes `raw` to `path` (.safetensors) and the manifest beside it (.json), which it returns.

    `making`: data and command. `validation`: what the weights reach on held-out pictures.
    """
    path.write_bytes(raw)
    manifest = {
        "file": path.name,
        "sha256": hashlib.sha256(raw).hexdigest(),
        **making,
        "torch": torch.__version__,
        "written_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        **validation,
    }
    path.with_suffix(".json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest
