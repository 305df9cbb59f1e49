"""One codec, some images, all their trials: encode once, transmit, decode, measure.

A row is what one trial gives. It depends on the trial alone: not on the other trials or images
that are simulated with it, nor on the process.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial

import numpy as np
from numpy.typing import NDArray

from channels.observation import Observation
from channels.randomness import ChannelRandomness
from codec.base import CodecError, DecodedImage, EncodedImage, ImageCodec, ReceivedLayer
from testbed.evaluation.metrics import failed_picture, psnr_db, ssim
from testbed.images import SourceImage
from testbed.registry import CodecSetupError, make_codec
from testbed.running.stream_cache import MISSING, CacheUse, StreamCache, stream_key
from testbed.running.trials import budget_channel_uses
from testbed.running.work import Outcome, Row, Seconds, Work
from testbed.sending.analog_simulation import simulate_analog
from testbed.sending.choosing import Chooser, scheme_words
from testbed.sending.packets import LayerLink, capacity_bytes
from testbed.sending.transmission import Transmission, image_randomness, transmit

DECODE_PIXELS = 1 << 21
"""Pictures decoded together hold at most this many pixels (or are one picture)."""

COLUMNS = (
    "trial_id", "scenario", "codec", "case", "image", "height", "width", "repetition", "seed",
    "channel", "snr_db", "ebn0_db", "modulation", "code_rate", "coding", "harq",
    "transmissions_allowed", "damage", "fidelity", "erasure_rate", "protection", "schemes",
    "fading_block", "loss_model",
    "packet_loss",
    "cbr", "budget", "channel_uses", "cbr_used",
    "payload_bits", "header_bits", "crc_bits", "parity_bits", "padding_bits", "erasure_bits",
    "retransmission_bits", "coded_bits", "symbols", "bpp",
    "layers_sent", "layers_decoded", "packets_sent", "packets_lost", "packets_damaged",
    "transmissions", "delivered_snr_db", "uncoded_ber",
    "psnr_db", "ssim", "failed",
)  # fmt: skip
"""Of trials.csv, in order; those of the scenario's `metrics` follow. The seven kinds of bits add up
to coded_bits: see packets.Ledger.
"""

OBSERVED = "observed"
"""The last key of a row, after its columns, of what its symbols met: the fields of an Observation,
or None where packets fail by tables."""

STREAMS_KEPT = 512
_streams: dict[str, EncodedImage | None] = {}
"""Streams of this process by `stream_key`: works share images."""
_cache: StreamCache | None = None
"""Those of all processes."""


def use_stream_cache(cache: StreamCache | None) -> None:
    """Where this process looks for streams, and keeps them."""
    global _cache
    _cache = cache


def taken_cache_use() -> CacheUse:
    """What came of this process's cache since this was last asked; a problem is said each time."""
    if _cache is None:
        return CacheUse()
    use = _cache.use
    _cache.use = CacheUse(problem=use.problem)
    return use


@contextmanager
def _timed(seconds: Seconds, stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        seconds.by_stage[stage] += time.perf_counter() - start


def simulate(work: Work, seconds: Seconds | None = None) -> list[Outcome]:
    """All trials of `work`, in their order. `seconds`: gets the time of each stage added."""
    seconds = seconds or Seconds()
    if work.codec.analog:
        with _timed(seconds, "link"):
            return simulate_analog(work)
    codec = make_codec(work.codec)
    budgets = [
        budget_channel_uses(trial.link.cbr, *work.images[trial.image_index].pixels.shape[:2])
        for trial in work.trials
    ]
    draws = [
        image_randomness(work.seed, work.images[trial.image_index].sha256, trial.repetition)
        for trial in work.trials
    ]
    with _timed(seconds, "plan"):
        links = _choose(codec, work, budgets, draws)
    capacities: list[int | None] = [None] * len(budgets)
    if not codec.scalable:
        # Its stream is a single layer, or has to do with what the first one's link bears.
        capacities = [
            capacity_bytes(work.max_bytes, budget, chosen[0])
            for budget, chosen in zip(budgets, links, strict=True)
        ]
    wanted = [trial.image_index for trial in work.trials]
    with _timed(seconds, "encode"):
        streams = encoded_streams(codec, work, list(zip(wanted, capacities, strict=True)))
    with _timed(seconds, "link"):
        transmissions = [
            transmit(
                stream,
                chosen,
                randomness,
                max_bytes=work.max_bytes,
                budget_uses=budget,
                may_cut=codec.scalable,
                fidelity=trial.link.fidelity,
            )
            for trial, stream, chosen, randomness, budget in zip(
                work.trials, streams, links, draws, budgets, strict=True
            )
        ]
    with _timed(seconds, "decode"):
        pictures = _decode(codec, work, transmissions)
    outcomes = []
    for trial, budget, chosen, sent, (picture, layers) in zip(
        work.trials, budgets, links, transmissions, pictures, strict=True
    ):
        shape = work.images[trial.image_index].pixels.shape
        # A damaged header that a CRC let through may even change the picture's size.
        failed = picture is None or picture.shape != shape
        shown = failed_picture(*shape[:2]) if failed or picture is None else picture
        outcomes.append(
            Outcome(trial, budget, chosen, sent, shown, 0 if failed else int(layers), failed)
        )
    return outcomes


def _choose(
    codec: ImageCodec, work: Work, budgets: Sequence[int], draws: Sequence[ChannelRandomness]
) -> list[tuple[LayerLink, ...]]:
    """Each trial's links by layer."""

    def encode(index: int, capacity: int | None) -> EncodedImage | None:
        return encoded_streams(codec, work, [(index, capacity)])[0]

    choosers = {
        index: Chooser(codec, image.pixels, partial(encode, index), work.max_bytes)
        for index, image in work.images.items()
    }
    return [
        choosers[trial.image_index].links(trial.link, budget, randomness)
        for trial, budget, randomness in zip(work.trials, budgets, draws, strict=True)
    ]


def encoded_streams(
    codec: ImageCodec, work: Work, wanted: Sequence[tuple[int, int | None]]
) -> list[EncodedImage | None]:
    """The streams of the work's images for byte budgets: each is coded once, within reason.

    wanted: (image's number, budget), no budget for all that there is. None where nothing fits.
    Raises CodecSetupError.
    """
    keys = {
        (index, capacity): stream_key(
            work.codec, work.fingerprint, work.images[index].sha256, capacity
        )
        for index, capacity in dict.fromkeys(wanted)
    }
    for capacity in dict.fromkeys(capacity for _, capacity in wanted):
        missing = [
            (index, key)
            for (index, budget), key in keys.items()
            if budget == capacity and not _is_kept(key)
        ]
        if not missing:
            continue
        try:
            encoded = codec.encode_batch(
                [work.images[index].pixels for index, _ in missing], capacity
            )
        except CodecError as error:
            names = ", ".join(image.name for image in work.images.values())
            raise CodecSetupError(f"codec {work.codec.name}, image {names}: {error}") from error
        for (_, key), stream in zip(missing, encoded, strict=True):
            _streams[key] = stream
            if _cache is not None:
                _cache.put(key, stream)
    streams = [_streams[keys[each]] for each in wanted]
    while len(_streams) > STREAMS_KEPT:
        _streams.pop(next(iter(_streams)))
    return streams


def _is_kept(key: str) -> bool:
    """Whether `_streams` has it, or now has from the cache."""
    if key in _streams:
        return True
    found = MISSING if _cache is None else _cache.get(key)
    if found is MISSING:
        return False
    _streams[key] = found
    return True


def _decode(
    codec: ImageCodec, work: Work, sent: Sequence[Transmission]
) -> list[tuple[NDArray[np.uint8] | None, int]]:
    """(picture or None, whole layers used) for each; equal receptions are decoded once."""
    # By what was received, whether any of it is damaged.
    unique: dict[tuple[ReceivedLayer, ...], bool] = {}
    for each in sent:
        unique[each.received] = unique.get(each.received, False) or each.packets_damaged > 0
    ((height, width),) = {image.pixels.shape[:2] for image in work.images.values()}
    step = max(1, DECODE_PIXELS // (height * width))
    decoded: dict[tuple[ReceivedLayer, ...], DecodedImage] = {}
    for has_errors in (False, True):
        some = [received for received, damaged in unique.items() if damaged == has_errors]
        for start in range(0, len(some), step):
            part = some[start : start + step]
            pictures = _decode_damaged(codec, part) if has_errors else codec.decode_batch(part)
            decoded.update(zip(part, pictures, strict=True))
    return [(decoded[each.received].image, decoded[each.received].layers_decoded) for each in sent]


def _decode_damaged(
    codec: ImageCodec, part: Sequence[tuple[ReceivedLayer, ...]]
) -> list[DecodedImage]:
    """Decodes what has errors: a codec that stumbles over them has lost that picture, no other."""
    try:
        return codec.decode_batch(part)
    except Exception:
        # Codecs promise nothing for wrong bytes: any error of theirs means the same here.
        if len(part) == 1:
            return [DecodedImage(None, 0)]
    return [picture for each in part for picture in _decode_damaged(codec, [each])]


def rows_of(work: Work, seconds: Seconds | None = None) -> list[Row]:
    """Simulates `work` and measures: one row per trial, its keys COLUMNS, metrics' and OBSERVED.

    seconds: gets the time of each stage added.
    """
    seconds = seconds or Seconds()
    outcomes = simulate(work, seconds)
    with _timed(seconds, "measure"):
        return _measured(work, outcomes)


def _measured(work: Work, outcomes: Sequence[Outcome]) -> list[Row]:
    measured: dict[tuple[int, bytes], list[float]] = {}
    rows = []
    for outcome in outcomes:
        source = work.images[outcome.trial.image_index]
        key = (outcome.trial.image_index, outcome.picture.tobytes())
        if key not in measured:
            measured[key] = [
                psnr_db(source.pixels, outcome.picture),
                ssim(source.pixels, outcome.picture),
                *(float(metric.value(source, outcome.picture)) for metric in work.metrics),
            ]
        rows.append(_row(work, outcome, source, *measured[key]))
    return rows


def _row(
    work: Work,
    outcome: Outcome,
    source: SourceImage,
    psnr: float,
    ssim_value: float,
    *further: float,
) -> Row:
    trial, link, sent = outcome.trial, outcome.trial.link, outcome.transmission
    height, width = source.pixels.shape[:2]
    ledger = sent.ledger
    observed = sent.observed or Observation()
    row = link.columns | {
        "trial_id": trial.trial_id,
        "scenario": work.scenario,
        "codec": trial.codec_name,
        "case": work.case,
        "image": source.name,
        "height": height,
        "width": width,
        "repetition": trial.repetition,
        "seed": work.seed,
        "schemes": scheme_words(outcome.links),
        "budget": outcome.budget_uses,
        "channel_uses": ledger.channel_uses,
        "cbr_used": ledger.channel_uses / (3 * height * width),
        "payload_bits": ledger.payload_bits,
        "header_bits": ledger.header_bits,
        "crc_bits": ledger.crc_bits,
        "parity_bits": ledger.parity_bits,
        "padding_bits": ledger.padding_bits,
        "erasure_bits": ledger.erasure_bits,
        "retransmission_bits": ledger.retransmission_bits,
        "coded_bits": ledger.coded_bits,
        "symbols": ledger.symbols,
        "bpp": ledger.payload_bits / (height * width),
        "layers_sent": sent.layers_sent,
        "layers_decoded": outcome.layers_decoded,
        "packets_sent": sent.packets_sent,
        "packets_lost": sent.packets_lost,
        "packets_damaged": sent.packets_damaged,
        "transmissions": sent.transmissions,
        "delivered_snr_db": observed.delivered_snr_db,
        "uncoded_ber": observed.uncoded_ber,
        "psnr_db": psnr,
        "ssim": ssim_value,
        "failed": outcome.failed,
    }
    measured = zip((metric.column for metric in work.metrics), further, strict=True)
    ordered = {column: row[column] for column in COLUMNS} | dict(measured)
    return ordered | {OBSERVED: sent.observed and asdict(sent.observed)}
