"""Stage 2: the eight enhancement networks, one plane after the other.

EN8 learns on the autoencoder's pictures, EN7 on those corrected with the true plane 8, and so on,
always on what the *exact* networks before it produce, so that training and use see the same.

loss = code length of the plane + weight * squared error of the picture after the plane, relative
to what it would be without the network. The code length is the cross-entropy of the true bit when
P(bit = 1) is a logistic function of the predicted value's distance from the middle of the
interval, with a learned slope.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from codec.bitplane_correction import correct_value
from codec.bitplanes import PLANES, known_value
from codec.convolution import TrainableConv, integer_state
from codec.enhancement_network import EnhancementNetwork
from codec.fixed_point import GREY_UNIT, LOGIT, PIXEL, logit_of_pixel
from codec.networks import ExactAutoencoder, ExactEnhancement, whole_levels
from codec.training.data import TrainingData
from codec.training.loop import LoopSettings, train

PICTURE_WEIGHT = 0.3


class LearningEnhancement(nn.Module):
    """An enhancement network in its learning form, with the slope that turns distance to bits."""

    def __init__(self) -> None:
        super().__init__()
        self.network = EnhancementNetwork(TrainableConv)
        self.log_slope = nn.Parameter(torch.tensor(1.0))

    def forward(self, current: Tensor, known: Tensor) -> Tensor:
        """uint8 (B, 3, H, W) twice -> V_pred in grey levels, real."""
        logits = torch.from_numpy(logit_of_pixel()).to(current.device)[current.long()] / LOGIT.unit
        x, y = current.float() / PIXEL.unit, known.float() / PIXEL.unit
        return 256 * torch.sigmoid(logits + self.network(x, y).float()) - 0.5


def plane_loss(
    model: LearningEnhancement,
    predicted: Tensor,
    truth: Tensor,
    known: Tensor,
    plane: int,
    reference: float,
) -> tuple[Tensor, dict[str, float]]:
    """`reference`: the squared error after the plane with the current picture as prediction."""
    half = float(1 << (plane - 1))
    bit = ((truth >> (plane - 1)) & 1).float()
    distance = (predicted - (known.float() + half - 0.5)) / half
    code_length = F.binary_cross_entropy_with_logits(distance * model.log_slope.exp(), bit)
    low = known.float() + half * bit
    shown = torch.maximum(torch.minimum(predicted, low + half - 1), low)
    squared = (shown - truth.float()).square().mean() / reference
    wrong = ((distance > 0) != (bit > 0)).float().mean()
    figures = {
        "bits": code_length.item() / np.log(2),
        "wrong": wrong.item(),
        "relative_error": squared.item(),
    }
    return code_length + PICTURE_WEIGHT * squared, figures


def after_plane(
    predicted: NDArray[np.int32], picture: NDArray[np.uint8], plane: int
) -> NDArray[np.uint8]:
    """The reconstruction once `plane` is known: the prediction clipped to what the planes allow."""
    known = known_value(picture, plane)
    return correct_value(whole_levels(predicted), known, plane - 1, "interval").astype(np.uint8)


def train_enhancement(
    data: TrainingData, autoencoder: ExactAutoencoder, settings: LoopSettings
) -> Iterator[tuple[int, dict[str, Tensor], NDArray[np.int32]]]:
    """Yields planes 8 .. 1: (plane, the network's integers, V_pred of the training pictures).

    Each network starts from the one before. V_pred is int32 (N, 3, 32, 32) in 1/16 grey level.
    """
    torch.manual_seed(settings.seed)
    model = LearningEnhancement().to(settings.device)
    model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    latent = autoencoder.latent(data.train)
    current = whole_levels(autoencoder.reconstruction(latent, 32, 32)).astype(np.uint8)
    for plane in PLANES:
        known = known_value(data.train, plane + 1)
        shown = after_plane(GREY_UNIT * current.astype(np.int32), data.train, plane)
        error = shown[:5000].astype(np.float32) - data.train[:5000]
        reference = float(np.square(error).mean()) + 0.05

        def loss_of(
            indices: NDArray[np.int64],
            plane: int = plane,
            known: NDArray[np.uint8] = known,
            current: NDArray[np.uint8] = current,
            reference: float = reference,
        ) -> tuple[Tensor, dict[str, float]]:
            now, low, truth = (
                torch.from_numpy(array[indices]).to(settings.device)
                for array in (current, known, data.train)
            )
            with torch.autocast(settings.device, dtype=torch.bfloat16):
                predicted = model(now, low)
            return plane_loss(model, predicted, truth, low, plane, reference)

        train(f"enhancement{plane}", model, loss_of, len(data.train), settings)
        integers = integer_state(model.network)
        values = ExactEnhancement(integers).prediction(current, known)
        yield plane, integers, values
        current = after_plane(values, data.train, plane)
