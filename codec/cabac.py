"""CABAC: the context-adaptive binary arithmetic coder of ITU-T H.266, clause 9.3.

Integers only, so a stream decodes to the same bins on every machine. Three ways to use it:

- `encode_bins`, `decode_bins`: numpy arrays of bins whose contexts are all known beforehand.
- `encode_bin`, `decode_bin` and their like: kernels for another compiled loop, where contexts
  depend on bins decoded before (see `codec.cabac_engine`).
- `cabacEncoder`, `cabacDecoder`: bin by bin from Python, in the manner of the package `cabac`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codec.base import CodecError
from codec.cabac_classes import cabacDecoder, cabacEncoder
from codec.cabac_engine import (
    BYPASS,
    P1_BITS,
    TERMINATE,
    check_context_states,
    context_states,
    context_states_from_p1_15bit,
    decode_bin,
    decode_bypass,
    decode_terminate,
    decoder_input,
    encode_bin,
    encode_bypass,
    encode_terminate,
    finish_encoder,
    overrun,
    start_decoder,
    start_encoder,
    worst_case_bytes,
)
from codec.jit import kernel

__all__ = [
    "BYPASS",
    "P1_BITS",
    "TERMINATE",
    "cabacDecoder",
    "cabacEncoder",
    "check_context_states",
    "context_states",
    "context_states_from_p1_15bit",
    "decode_bin",
    "decode_bins",
    "decode_bypass",
    "decode_terminate",
    "decoder_input",
    "encode_bin",
    "encode_bins",
    "encode_bypass",
    "encode_terminate",
    "finish_encoder",
    "overrun",
    "start_decoder",
    "start_encoder",
    "worst_case_bytes",
]


@kernel
def _encode_all(
    bins: NDArray[np.uint8],
    contexts: NDArray[np.int32],
    states: NDArray[np.int32],
    buffer: NDArray[np.uint8],
) -> int:
    state = start_encoder()
    for i in range(bins.size):
        context = contexts[i]
        b = int(bins[i])
        if context >= 0:
            encode_bin(state, buffer, states, context, b)
        elif context == BYPASS:
            encode_bypass(state, buffer, b)
        else:
            encode_terminate(state, buffer, b)
    encode_terminate(state, buffer, 1)
    return finish_encoder(state, buffer)


@kernel
def _decode_all(
    data: NDArray[np.uint8],
    contexts: NDArray[np.int32],
    states: NDArray[np.int32],
    bins: NDArray[np.uint8],
) -> int:
    state = start_decoder(data)
    for i in range(contexts.size):
        context = contexts[i]
        if context >= 0:
            b = decode_bin(state, data, states, context)
        elif context == BYPASS:
            b = decode_bypass(state, data)
        else:
            b = decode_terminate(state, data)
        if overrun(state):
            return i
        bins[i] = b
    return contexts.size


def _checked_contexts(contexts: ArrayLike, states: NDArray[np.int32]) -> NDArray[np.int32]:
    check_context_states(states)
    ids = np.ascontiguousarray(contexts, dtype=np.int32)
    if ids.ndim != 1:
        raise CodecError(f"expected a vector of context ids, found shape {ids.shape}")
    # Compiled code does not check indices: a wrong id must stop here.
    if ids.size and (ids.min() < TERMINATE or ids.max() >= len(states)):
        raise CodecError(
            f"expected context ids of {TERMINATE} .. {len(states) - 1}, "
            f"found {ids.min()} .. {ids.max()}"
        )
    return ids


def encode_bins(bins: ArrayLike, contexts: ArrayLike, states: NDArray[np.int32]) -> bytes:
    """Codes an array of bins into a terminated stream (H.266, 9.3.4.3, encoding per 9.3.5).

    bins: 0 or 1, (n,). contexts: int (n,), for each bin a row of `states`, or BYPASS, or TERMINATE.
    states: int32 (m, 4) from `context_states`: where the contexts start; left unchanged.
    A terminate bin 1, the stop bit and alignment follow the last bin; no bins make 2 bytes.
    Raises CodecError for bins other than 0 and 1, unequal lengths or unknown contexts.
    """
    ids = _checked_contexts(contexts, states)
    values = np.ascontiguousarray(bins, dtype=np.uint8)
    if values.shape != ids.shape:
        raise CodecError(f"expected one context per bin, found {ids.shape} for {values.shape}")
    if values.size and values.max() > 1:
        raise CodecError(f"expected bins of 0 or 1, found {values.max()}")
    buffer = np.empty(worst_case_bytes(values.size), dtype=np.uint8)
    n_bytes = _encode_all(values, ids, states.copy(), buffer)
    return buffer[:n_bytes].tobytes()


def decode_bins(
    data: bytes, contexts: ArrayLike, states: NDArray[np.int32]
) -> tuple[NDArray[np.uint8], int]:
    """Decodes the bins of `encode_bins` from its stream, or from the leading bytes of one.

    contexts and states as given to the encoder. Returns (bins, n_valid): uint8 (n,) and the number
    of leading bins that are certain, that is, equal whatever bytes follow `data`; the others are 0.
    All n are certain if the stream is whole. Foreign bytes decode to some bins, never to an error.
    """
    ids = _checked_contexts(contexts, states)
    bins = np.zeros(ids.size, dtype=np.uint8)
    n_valid = _decode_all(decoder_input(data), ids, states.copy(), bins)
    return bins, int(n_valid)
