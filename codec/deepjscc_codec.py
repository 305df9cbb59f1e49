"""DeepJSCC as an analog codec: trained networks between pictures and symbols (deepjscc.py).

There are networks for the bandwidth ratios RATIOS; a budget is served by the
largest that fits, and what that leaves over stays unused. A picture whose sides are no multiples of
4 is continued by its last rows and columns, which costs symbols.

Symbols run channel by channel over the whole picture, so that a packet that is lost costs a part of
every place and not a region.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from codec.analog import ReceivedSymbols
from codec.base import CodecError, Image, check_image
from codec.deepjscc import GRID, SYMBOL_CHANNELS, DeepJscc
from codec.device import device_name, evaluate
from codec.weights_file import load_network

WEIGHTS_FOLDER = Path(__file__).parent / "weights" / "deepjscc"
CHANNELS = ("awgn", "rayleigh")
"""What there are trained networks for."""
RATIOS = ("1/12", "1/6", "1/3")
"""Bandwidth ratios of the networks, ascending."""
_LEAST_NOISE = 1e-6
_MOST = 1e15
"""Of a symbol's real and imaginary part: what a fade of -300 dB leaves of it, equalised."""


def weights_path(channel: str, ratio: str) -> Path:
    """Of the networks for one bandwidth ratio."""
    return WEIGHTS_FOLDER / f"{channel}_{ratio.replace('/', '_')}.safetensors"


@cache
def load_networks(path: Path) -> tuple[DeepJscc, str]:
    """The networks of a weights file, and its SHA-256. Raises CodecError if it cannot be used."""
    return load_network(path, "DeepJSCC", lambda t: DeepJscc(t["decoder.stem.weight"].shape[1]))


class DeepJsccCodec:
    """See `codec.analog.AnalogCodec`."""

    def __init__(self, trained_for: str = "awgn") -> None:
        """Raises CodecError for a channel without weights."""
        if trained_for not in CHANNELS:
            raise CodecError(f"expected trained_for among {CHANNELS}, found {trained_for!r}")
        self.name: str = "deepjscc" if trained_for == "awgn" else f"deepjscc-{trained_for}"
        self._networks = {
            ratio: load_networks(weights_path(trained_for, ratio)) for ratio in RATIOS
        }

    @property
    def versions(self) -> str:
        """See `AnalogCodec.versions`."""
        digests = "".join(digest for _, digest in self._networks.values())
        weights = f"weights {hashlib.sha256(digests.encode()).hexdigest()}"
        # Floating point has other last digits on another device.
        return weights if device_name() == "cpu" else f"{weights}, {device_name()}"

    def encode_symbols(
        self, images: Sequence[Image], budget_uses: int, snr_db: float
    ) -> list[NDArray[np.complex128] | None]:
        """See `AnalogCodec.encode_symbols`."""
        for image in images:
            check_image(image)
        return [self._encode(image, budget_uses, snr_db) for image in images]

    def decode_symbols(self, received: Sequence[ReceivedSymbols]) -> list[Image]:
        """See `AnalogCodec.decode_symbols`. Raises CodecError for a number of symbols that no
        network makes.
        """
        return [self._decode(each) for each in received]

    def _ratio(self, height: int, width: int, uses: int, *, exactly: bool) -> str | None:
        """The largest ratio whose symbols are within `uses`, or just as many."""
        for ratio in reversed(RATIOS):
            needed = SYMBOL_CHANNELS[ratio] // 2 * _places(height) * _places(width)
            if needed == uses or (needed < uses and not exactly):
                return ratio
        return None

    # One picture at a time: how sums are split up may depend on the batch.
    @torch.no_grad()
    def _encode(
        self, image: Image, budget_uses: int, snr_db: float
    ) -> NDArray[np.complex128] | None:
        height, width, _ = image.shape
        ratio = self._ratio(height, width, budget_uses, exactly=False)
        if ratio is None:
            return None
        model, _ = self._networks[ratio]
        margins = [(0, _places(side) * GRID - side) for side in (height, width)]
        padded = np.pad(image, [*margins, (0, 0)], mode="edge").transpose(2, 0, 1)
        picture = torch.from_numpy(np.ascontiguousarray(padded))[None].float() / 255.0
        numbers = (
            evaluate(model.encoder, picture, torch.tensor([float(snr_db)]))[0].double().numpy()
        )
        symbols = (numbers[0::2] + 1j * numbers[1::2]).reshape(-1)
        # Again in double precision, so that the power is 1 to the last digit.
        unit: NDArray[np.complex128] = symbols / np.sqrt(np.mean(np.abs(symbols) ** 2))
        return unit

    @torch.no_grad()
    def _decode(self, received: ReceivedSymbols) -> Image:
        height, width = received.height, received.width
        ratio = self._ratio(height, width, len(received.symbols), exactly=True)
        if ratio is None:
            raise CodecError(
                f"DeepJSCC: expected the symbols of a picture of {height} x {width}, "
                f"found {len(received.symbols)}"
            )
        model, _ = self._networks[ratio]
        shape = (-1, _places(height), _places(width))
        symbols, noise = _usable(received)
        numbers = np.empty((SYMBOL_CHANNELS[ratio], *shape[1:]), np.float32)
        numbers[0::2] = symbols.real.reshape(shape)
        numbers[1::2] = symbols.imag.reshape(shape)
        snr = np.repeat((1.0 / np.maximum(noise, _LEAST_NOISE)).reshape(shape), 2, axis=0)
        decoded = evaluate(
            model.decoder,
            torch.from_numpy(numbers)[None],
            torch.from_numpy(snr.astype(np.float32))[None],
        )
        pixels = (decoded[0].clamp(0.0, 1.0) * 255.0).round().byte().numpy().transpose(1, 2, 0)
        return np.ascontiguousarray(pixels[:height, :width])


def _usable(received: ReceivedSymbols) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """Symbols and noise powers; of a symbol that no receiver can have, nothing arrived.

    One that is no number would spoil the whole picture, and no true one is beyond _MOST.
    """
    symbols, noise = received.symbols, received.noise
    largest = np.maximum(np.abs(symbols.real), np.abs(symbols.imag))
    arrived = (largest <= _MOST) & (noise >= 0.0)
    return np.where(arrived, symbols, 0.0), np.where(arrived, noise, np.inf)


def _places(side: int) -> int:
    return -(-side // GRID)
