"""Both arithmetic coders: what is certain of a stream that was cut stays so, whatever follows."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from codec.base import CodecError
from codec.cabac import decode_bins, encode_bins
from codec.cabac_classes import cabacDecoder
from codec.cabac_engine import BYPASS, TERMINATE, context_states_from_p1_15bit
from codec.embedded import bin_engine
from testbed.fuzz.damage import damaged
from testbed.fuzz.target import Cases, Random, one_by_one, probably, whole

_CONTEXTS = 6


def prepare_cabac(folder: Path) -> Cases:
    """Cases for the engine of H.266."""
    del folder
    return one_by_one(_cabac)


def prepare_bins(folder: Path) -> Cases:
    """Cases for the engine of the embedded profile."""
    del folder
    return one_by_one(_bins)


def _cabac(random: Random) -> None:
    states = context_states_from_p1_15bit(random.integers(1, 1 << 15, _CONTEXTS), 8)
    count = whole(random, 0, 200)
    contexts = random.integers(TERMINATE if probably(random, 0.1) else BYPASS, _CONTEXTS, count)
    bins = random.integers(0, 2, count).astype(np.uint8)
    bins[contexts == TERMINATE] = 0
    stream = encode_bins(bins, contexts, states)
    found, valid = decode_bins(stream, contexts, states)
    assert valid == count and np.array_equal(found, bins)
    cut = whole(random, 0, len(stream))
    _, sure = decode_bins(stream[:cut], contexts, states)
    foreign = stream[:cut] + random.bytes(whole(random, 0, 30))
    other, certain = decode_bins(foreign, contexts, states)
    assert sure <= certain <= count
    assert np.array_equal(other[:sure], bins[:sure])
    hurt = damaged(stream, random)
    decode_bins(hurt, contexts, states)
    decoder = cabacDecoder(hurt)
    decoder.initCtx(_CONTEXTS, 0.5, 8)
    for context in contexts.tolist():
        bit = decoder.decodeBin(context) if context >= 0 else decoder.decodeBinsEP(3)
        assert 0 <= bit < 8
    with contextlib.suppress(CodecError):
        decoder.decodeBinTrm()
        decoder.finish()


def _bins(random: Random) -> None:
    count = whole(random, 0, 120)
    spread = random.choice([1.0, 8.0])
    logits = random.normal(0, spread, count)
    p1 = (bin_engine.PROBABILITY_ONE / (1 + np.exp(-logits))).clip(
        1, bin_engine.PROBABILITY_ONE - 1
    )
    chances = p1.astype(np.int64)
    bins = random.integers(0, 2, count)
    state = bin_engine.start_encoder()
    buffer = np.zeros(bin_engine.worst_case_bytes(count), np.uint8)
    for p, b in zip(chances, bins, strict=True):
        bin_engine.encode_bin(state, buffer, p, b)
    stream = buffer[: bin_engine.finish_encoder(state, buffer)].tobytes()
    assert _decoded(stream, chances) == bins.tolist()
    cut = whole(random, 0, len(stream))
    sure = _decoded(stream[:cut], chances)
    assert sure == bins[: len(sure)].tolist()
    other = _decoded(stream[:cut] + random.bytes(whole(random, 0, 20)), chances)
    assert other[: len(sure)] == sure
    _decoded(damaged(stream, random), chances)


def _decoded(stream: bytes, p1: np.ndarray) -> list[int]:
    """The bins that are certain."""
    data = bin_engine.decoder_input(stream)
    state = bin_engine.start_decoder(data)
    found: list[int] = []
    for each in p1:
        b = bin_engine.decode_bin(state, data, each)
        if bin_engine.overrun(state):
            break
        found.append(int(b))
    return found
