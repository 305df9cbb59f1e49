"""Networks that compute with floating point, from safetensors files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from safetensors.torch import load
from torch import Tensor, nn

from codec.base import CodecError

Network = TypeVar("Network", bound=nn.Module)


def load_network(
    path: Path, name: str, make: Callable[[dict[str, Tensor]], Network]
) -> tuple[Network, str]:
    """The network of a weights file, ready for use in float32, and the file's SHA-256.

    `make` gets the file's tensors and gives a network of their sizes. Raises CodecError, in which
    the network is called `name`, if the file cannot be used.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise CodecError(f"{path}: no weights of {name}: {error.strerror}") from error
    try:
        # Kept with half the digits.
        tensors = {key: tensor.float() for key, tensor in load(raw).items()}
        network = make(tensors)
        network.load_state_dict(tensors)
    except Exception as error:
        words = " ".join(str(error).split())
        raise CodecError(f"{path}: no weights of {name} ({words})") from error
    return network.eval(), hashlib.sha256(raw).hexdigest()
