"""The check that every whole layer carries at no cost: how its CABAC stream ends.

A stream ends with a terminate bin 1, a stop bit and zeros up to the byte (H.266, 9.3.2.5 and
9.3.4.3.5). A decoder that has gone astray, because a byte or a network differs from the
encoder's, is rarely where the stream ends when it has read its last bin, and then the layer is
refused. Of single flipped bits about 1 in 1,000 passes: against errors on the way there are the
CRCs of packets and files; this check is against a decoder that is not the encoder's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codec.cabac_engine import bits_in_window, decode_terminate, overrun
from codec.jit import kernel


@kernel
def ends_well(state: NDArray[np.int64], data: NDArray[np.uint8]) -> bool:
    """After the last bin of a whole stream: is this where it ends, as the encoder would end it?

    data: from `decoder_input`, so its last byte is no part of the stream.
    """
    if decode_terminate(state, data) == 0 or overrun(state):
        return False
    # n doublings make n + 1 bits and then the stop bit; the window has read 9 + n.
    stop = bits_in_window(state) - 8
    if stop // 8 != data.size - 2:
        return False
    return (int(data[stop // 8]) << (stop % 8)) & 0xFF == 0x80
