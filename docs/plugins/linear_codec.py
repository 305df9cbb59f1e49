"""An analog codec: cosine coefficients as symbols, in the manner of SoftCast.

The coefficients of the whole picture, lowest frequencies first, are scaled and sent two by two as
real and imaginary parts. A coefficient of variance v is scaled by v^(-1/4), which makes the mean
squared error the least at a given power (S. Jakubczak, D. Katabi, "A cross-layer design for
scalable mobile video", MobiCom 2011). Here v follows a fixed law of the frequency, so that nothing
has to be told; the overall scale is told by pilots, every PILOT_EVERY-th symbol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, idctn

from testbed.plugin_api import (
    AnalogCodec,
    CodecError,
    Image,
    ReceivedSymbols,
    check_image,
    register_analog_codec,
)

PILOT_EVERY = 32
DEVIATION = 60.0  # of a pixel, by the law below


@register_analog_codec("linear_dct")
@dataclass(frozen=True)
class LinearDct(AnalogCodec):
    """Uncoded transmission of cosine coefficients.

    Attributes:
        decay: the variance of a coefficient falls with the frequency to this power, 0 to 6.
    """

    decay: float = 2.0

    name = "linear_dct"

    def __post_init__(self) -> None:
        if not 0 <= self.decay <= 6:
            raise CodecError(f"decay: expected 0 to 6, found {self.decay}")

    def encode_symbols(
        self,
        images: Sequence[Image],
        budget_uses: int,
        snr_db: float,  # noqa: ARG002
    ) -> list[NDArray[np.complex128] | None]:
        for image in images:
            check_image(image)
        return [self._encode(image, budget_uses) for image in images]

    def decode_symbols(self, received: Sequence[ReceivedSymbols]) -> list[Image]:
        return [self._decode(each) for each in received]

    def _encode(self, image: Image, budget_uses: int) -> NDArray[np.complex128] | None:
        if budget_uses < 2:
            return None
        height, width, _ = image.shape
        order, variances = self._law(height, width)
        spectrum = dctn(image.astype(np.float64) - 128, axes=(0, 1), norm="ortho")
        pairs = min(_pairs(budget_uses), (len(order) + 1) // 2)
        chosen = np.zeros(2 * pairs)
        sent = (spectrum.reshape(-1)[order] * variances**-0.25)[: 2 * pairs]
        chosen[: len(sent)] = sent
        # As strong as a coefficient is by the law, so that the scale costs little power.
        pilot = np.sqrt(np.mean(np.sqrt(variances[: 2 * pairs])))
        symbols = np.full(_symbols(pairs), pilot, np.complex128)
        symbols[_is_data(len(symbols))] = chosen[0::2] + 1j * chosen[1::2]
        unit: NDArray[np.complex128] = symbols / np.sqrt(np.mean(np.abs(symbols) ** 2))
        return unit

    def _decode(self, received: ReceivedSymbols) -> Image:
        height, width = received.height, received.width
        order, variances = self._law(height, width)
        is_data = _is_data(len(received.symbols))
        pairs = int(is_data.sum())
        pilot = np.sqrt(np.mean(np.sqrt(variances[: 2 * pairs])))
        # Infinite noise stands for a symbol that was lost: its weight is 0.
        weights = 1.0 / received.noise
        heard = np.sum((received.symbols * weights)[~is_data].real)
        total = np.sum(weights[~is_data])
        scale = max(heard / total / pilot, 1e-9) if total > 0 else 1.0 / pilot
        numbers = received.symbols[is_data].view(np.float64)
        noise = np.repeat(received.noise[is_data] / 2, 2)
        count = min(len(numbers), len(order))
        gains = scale * variances[:count] ** -0.25
        # The least mean squared error, given the law and the noise.
        power = gains**2 * variances[:count]
        spectrum = np.zeros(3 * height * width)
        spectrum[order[:count]] = numbers[:count] / gains * power / (power + noise[:count])
        picture = idctn(spectrum.reshape(height, width, 3), axes=(0, 1), norm="ortho") + 128
        pixels: Image = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
        return pixels

    def _law(self, height: int, width: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Positions of the coefficients in order of frequency, and their variances by the law."""
        rows, columns = np.mgrid[:height, :width]
        frequency = np.repeat(np.hypot(rows / height, columns / width).reshape(-1), 3)
        law = (frequency + 1.0 / max(height, width)) ** -self.decay
        order = np.argsort(frequency, kind="stable")
        return order, (DEVIATION**2 * law / law.mean())[order]


def _is_data(symbols: int) -> NDArray[np.bool_]:
    is_data: NDArray[np.bool_] = np.arange(symbols) % PILOT_EVERY != 0
    return is_data


def _pairs(symbols: int) -> int:
    return int(_is_data(symbols).sum())


def _symbols(pairs: int) -> int:
    """The symbols of so many pairs of coefficients, pilots included."""
    return pairs + -(-pairs // (PILOT_EVERY - 1))
