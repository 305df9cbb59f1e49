"""CABAC bin by bin from Python, with the names and argument order of the package `cabac` (PyCabac).

    encoder = cabacEncoder()                     decoder = cabacDecoder(stream)
    encoder.initCtx([(0.5, 8)])                  decoder.initCtx([(0.5, 8)])
    encoder.start()                              decoder.start()
    encoder.encodeBin(1, 0)                      decoder.decodeBin(0)
    encoder.encodeBinTrm(1)                      decoder.decodeBinTrm()
    encoder.finish()                             decoder.finish()
    encoder.writeByteAlignment()
    stream = encoder.getBitstream()

Streams are those of that package, bit for bit. Two things differ: `getBitstream` gives bytes, not
a list, and reading past the end is no error (`overrun` tells).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from codec import cabac_engine
from codec.base import CodecError

_MARGIN_BYTES = 16
_EMPTY = np.zeros((0, 4), dtype=np.int32)


def _make_states(
    contexts: Sequence[tuple[float, int]] | int, p1: float | None, shift: int | None
) -> NDArray[np.int32]:
    if isinstance(contexts, int):
        if p1 is None or shift is None:
            raise CodecError("expected initCtx(count, p1, shift) or initCtx([(p1, shift), ...])")
        contexts = [(p1, shift)] * contexts
    if not contexts:
        return _EMPTY
    return cabac_engine.context_states(
        [probability for probability, _ in contexts], [rate for _, rate in contexts]
    )


def _checked_bin(bin: int) -> int:
    if bin not in (0, 1):
        raise CodecError(f"expected a bin of 0 or 1, found {bin}")
    return int(bin)


def _check_context(context: int, states: NDArray[np.int32]) -> None:
    if not 0 <= context < len(states):
        raise CodecError(f"expected a context of 0 .. {len(states) - 1}, found {context}")


class cabacEncoder:
    """Codes bins one by one; see the module for the order of calls."""

    def __init__(self) -> None:
        self._states = _EMPTY
        self._stream: bytes | None = None
        self.start()

    def initCtx(
        self,
        contexts: Sequence[tuple[float, int]] | int,
        p1: float | None = None,
        shift: int | None = None,
    ) -> None:
        """Sets the contexts: a list of (P(bin = 1), shift), or a count with one pair for all."""
        self._states = _make_states(contexts, p1, shift)

    def start(self) -> None:
        """Begins a stream; what was coded before is forgotten, the contexts keep their states."""
        self._state = cabac_engine.start_encoder()
        self._buffer = np.empty(1024, dtype=np.uint8)
        self._room_bins = self._buffer.size - _MARGIN_BYTES
        self._stream = None
        self._terminated = False

    def _ready_buffer(self) -> NDArray[np.uint8]:
        if self._terminated:
            raise CodecError("a bin after the terminate bin 1: call start() for a new stream")
        # A bin writes at most one byte, so the room need not be looked up for each.
        self._room_bins -= 1
        if self._room_bins < 0:
            self._buffer = np.concatenate([self._buffer, np.empty_like(self._buffer)])
            n_bytes = int(cabac_engine.bytes_written(self._state))
            self._room_bins = self._buffer.size - n_bytes - _MARGIN_BYTES
        return self._buffer

    def encodeBin(self, bin: int, ctxId: int) -> None:
        """Codes a bin in context `ctxId`."""
        _check_context(ctxId, self._states)
        cabac_engine.encode_bin(
            self._state, self._ready_buffer(), self._states, ctxId, _checked_bin(bin)
        )

    def encodeBinEP(self, bin: int) -> None:
        """Codes a bin of equal probabilities (bypass)."""
        cabac_engine.encode_bypass(self._state, self._ready_buffer(), _checked_bin(bin))

    def encodeBinsEP(self, bins: int, numBins: int) -> None:
        """Codes the lowest `numBins` bits of `bins` as bypass bins, the most significant first."""
        for position in range(numBins - 1, -1, -1):
            self.encodeBinEP((bins >> position) & 1)

    def encodeBinTrm(self, bin: int) -> None:
        """Codes a terminate bin; a 1 ends the stream."""
        cabac_engine.encode_terminate(self._state, self._ready_buffer(), _checked_bin(bin))
        self._terminated = bool(bin)

    def finish(self) -> None:
        """Checks that the stream was ended by `encodeBinTrm(1)`; raises CodecError if not."""
        if not self._terminated:
            raise CodecError("finish() before encodeBinTrm(1)")

    def writeByteAlignment(self) -> None:
        """Writes the stop bit and zeros up to the byte."""
        self.finish()
        if self._stream is None:
            n_bytes = cabac_engine.finish_encoder(self._state, self._buffer)
            self._stream = self._buffer[:n_bytes].tobytes()

    def getBitstream(self) -> bytes:
        """The stream; raises CodecError before `writeByteAlignment`."""
        if self._stream is None:
            raise CodecError("getBitstream() before writeByteAlignment()")
        return self._stream


class cabacDecoder:
    """Decodes bins one by one from a stream: bytes, or any sequence of their values."""

    def __init__(self, bitstream: bytes | Sequence[int]) -> None:
        self._data = cabac_engine.decoder_input(bytes(bitstream))
        self._states = _EMPTY
        self.start()

    def initCtx(
        self,
        contexts: Sequence[tuple[float, int]] | int,
        p1: float | None = None,
        shift: int | None = None,
    ) -> None:
        """Sets the contexts as the encoder did."""
        self._states = _make_states(contexts, p1, shift)

    def start(self) -> None:
        """Begins at the stream's first bit; the contexts keep their states."""
        self._state = cabac_engine.start_decoder(self._data)
        self._n_bits_at_end: int | None = None

    @property
    def overrun(self) -> bool:
        """True once a bin was decoded that bits missing at the end could have changed."""
        return bool(cabac_engine.overrun(self._state))

    def decodeBin(self, ctxId: int) -> int:
        """Decodes a bin in context `ctxId`."""
        _check_context(ctxId, self._states)
        return int(cabac_engine.decode_bin(self._state, self._data, self._states, ctxId))

    def decodeBinEP(self) -> int:
        """Decodes a bypass bin."""
        return int(cabac_engine.decode_bypass(self._state, self._data))

    def decodeBinsEP(self, numBins: int) -> int:
        """Decodes `numBins` bypass bins into a number, the most significant first."""
        value = 0
        for _ in range(numBins):
            value = 2 * value + self.decodeBinEP()
        return value

    def decodeBinTrm(self) -> int:
        """Decodes a terminate bin; 1 is the stream's end."""
        n_bits = int(cabac_engine.bits_in_window(self._state))
        b = int(cabac_engine.decode_terminate(self._state, self._data))
        self._n_bits_at_end = n_bits if b else None
        return b

    def finish(self) -> None:
        """Checks that the stream ends here: a stop bit and zeros up to the byte (9.3.4.3.5).

        Raises CodecError if the last bin was no terminate bin 1 or the stop bit is not there.
        """
        if self._n_bits_at_end is None:
            raise CodecError("finish() before a terminate bin 1 was decoded")
        # The window's last bit at the terminate bin is the stop bit.
        i, n_after = divmod(self._n_bits_at_end - 1, 8)
        if i >= self._data.size - 1 or (int(self._data[i]) << n_after) & 0xFF != 0x80:
            raise CodecError("no stop bit after the terminate bin: the stream is damaged")
