"""One codec, some images, all their trials: encode once, transmit, decode, measure.

A row is what one trial gives. It depends on the trial alone: not on the other trials or images
that are simulated with it, nor on the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codec.base import CodecError, EncodedImage, ImageCodec, ReceivedLayer
from testbed.images import SourceImage
from testbed.metrics import failed_picture, psnr_db, ssim
from testbed.packets import capacity_bytes
from testbed.registry import CodecSetupError, make_codec
from testbed.scenario import CodecSection
from testbed.transmission import Transmission, image_randomness, link_setting, transmit
from testbed.trials import Trial, budget_channel_uses

DECODE_PIXELS = 1 << 21
"""Pictures decoded together hold at most this many pixels (or are one picture)."""

COLUMNS = (
    "trial_id", "scenario", "codec", "image", "height", "width", "repetition", "seed",
    "channel", "snr_db", "ebn0_db", "modulation", "code_rate", "fading_block", "loss_model",
    "packet_loss",
    "cbr", "budget", "channel_uses", "cbr_used",
    "payload_bits", "header_bits", "crc_bits", "parity_bits", "padding_bits", "bpp",
    "layers_sent", "layers_decoded", "packets_sent", "packets_lost",
    "psnr_db", "ssim", "failed",
)  # fmt: skip
"""Of trials.csv, in order. The five ledger columns add up to channel_uses * bits per use."""

Row = dict[str, Any]

STREAMS_KEPT = 512
_streams: dict[tuple[CodecSection, str, int | None], EncodedImage | None] = {}
"""Streams of this process by codec, image and byte budget: works share images."""


@dataclass(frozen=True)
class Work:
    """Open trials of one codec on images of one size; what a worker does at a time."""

    scenario: str
    seed: int
    max_bytes: int
    codec: CodecSection
    images: dict[int, SourceImage]
    """By the `image_index` of the trials."""
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class Outcome:
    """One trial: what went over the link and the picture that the receiver shows.

    `picture` stands in for a picture that could not be decoded if `failed`.
    """

    trial: Trial
    budget_uses: int
    transmission: Transmission
    picture: NDArray[np.uint8]
    layers_decoded: int
    failed: bool


def simulate(work: Work) -> list[Outcome]:
    """All trials of `work`, in their order."""
    codec = make_codec(work.codec)
    budgets = [
        budget_channel_uses(trial.link.cbr, *work.images[trial.image_index].pixels.shape[:2])
        for trial in work.trials
    ]
    streams = _encode(codec, work, budgets)
    transmissions = [
        transmit(
            stream,
            link_setting(trial.link),
            image_randomness(work.seed, work.images[trial.image_index].sha256, trial.repetition),
            max_bytes=work.max_bytes,
            budget_uses=budget,
            may_cut=codec.scalable,
        )
        for trial, budget, stream in zip(work.trials, budgets, streams, strict=True)
    ]
    outcomes = []
    pictures = _decode(codec, work, [sent.received for sent in transmissions])
    for trial, budget, sent, (picture, layers) in zip(
        work.trials, budgets, transmissions, pictures, strict=True
    ):
        shape = work.images[trial.image_index].pixels.shape
        # A damaged header that a CRC let through may even change the picture's size.
        failed = picture is None or picture.shape != shape
        shown = failed_picture(*shape[:2]) if failed or picture is None else picture
        outcomes.append(Outcome(trial, budget, sent, shown, 0 if failed else layers, failed))
    return outcomes


def _encode(codec: ImageCodec, work: Work, budgets: Sequence[int]) -> list[EncodedImage | None]:
    """Each trial's stream; a process codes every (image, byte budget) once, within reason."""
    capacities: list[int | None] = [None] * len(budgets)
    if not codec.scalable:
        capacities = [
            capacity_bytes(work.max_bytes, budget, link_setting(trial.link))
            for trial, budget in zip(work.trials, budgets, strict=True)
        ]
    wanted = [trial.image_index for trial in work.trials]
    keys = [
        (work.codec, work.images[index].sha256, capacity)
        for index, capacity in zip(wanted, capacities, strict=True)
    ]
    for capacity in dict.fromkeys(capacities):
        missing = {
            key: work.images[index].pixels
            for index, key in zip(wanted, keys, strict=True)
            if key[2] == capacity and key not in _streams
        }
        try:
            encoded = codec.encode_batch(list(missing.values()), capacity) if missing else []
        except CodecError as error:
            names = ", ".join(image.name for image in work.images.values())
            raise CodecSetupError(f"codec {work.codec.name}, image {names}: {error}") from error
        _streams.update(zip(missing, encoded, strict=True))
    streams = [_streams[key] for key in keys]
    while len(_streams) > STREAMS_KEPT:
        _streams.pop(next(iter(_streams)))
    return streams


def _decode(
    codec: ImageCodec, work: Work, received: Sequence[tuple[ReceivedLayer, ...]]
) -> list[tuple[NDArray[np.uint8] | None, int]]:
    """(picture or None, whole layers used) for each; equal receptions are decoded once."""
    unique = list(dict.fromkeys(received))
    ((height, width),) = {image.pixels.shape[:2] for image in work.images.values()}
    step = max(1, DECODE_PIXELS // (height * width))
    decoded = {}
    for start in range(0, len(unique), step):
        part = unique[start : start + step]
        for layers, result in zip(part, codec.decode_batch(part), strict=True):
            decoded[layers] = (result.image, result.layers_decoded)
    return [decoded[layers] for layers in received]


def rows_of(work: Work) -> list[Row]:
    """Simulates `work` and measures: one row per trial, keys as in COLUMNS."""
    measured: dict[tuple[int, bytes], tuple[float, float]] = {}
    rows = []
    for outcome in simulate(work):
        source = work.images[outcome.trial.image_index]
        key = (outcome.trial.image_index, outcome.picture.tobytes())
        if key not in measured:
            measured[key] = (
                psnr_db(source.pixels, outcome.picture),
                ssim(source.pixels, outcome.picture),
            )
        rows.append(_row(work, outcome, source, *measured[key]))
    return rows


def _row(work: Work, outcome: Outcome, source: SourceImage, psnr: float, ssim_value: float) -> Row:
    trial, link, sent = outcome.trial, outcome.trial.link, outcome.transmission
    height, width = source.pixels.shape[:2]
    values = (
        trial.trial_id, work.scenario, trial.codec_name, source.name, height, width,
        trial.repetition, work.seed,
        link.channel.label, link.snr_db, link.ebn0_db, link.modulation, link.code_rate,
        link.fading_block, link.packet_loss.loss_model, link.packet_loss.mean_loss,
        float(link.cbr), outcome.budget_uses, sent.ledger.channel_uses,
        sent.ledger.channel_uses / (3 * height * width),
        sent.ledger.payload_bits, sent.ledger.header_bits, sent.ledger.crc_bits,
        sent.ledger.parity_bits, sent.ledger.padding_bits,
        sent.ledger.payload_bits / (height * width),
        sent.layers_sent, outcome.layers_decoded, sent.packets_sent, sent.packets_lost,
        psnr, ssim_value, outcome.failed,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))
