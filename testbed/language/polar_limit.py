"""How large packets may be that polar codes are to carry."""

from __future__ import annotations

from channels.erasure import LENGTH_BYTES
from channels.modulation import bits_per_symbol
from channels.polar_block import largest_polar_payload_bits
from testbed.language.protection import LayerSetting
from testbed.sending.packets import FLAG_BYTES, HEADER_BYTES


def largest_max_bytes(layer: LayerSetting) -> int:
    """The largest `packets.max_bytes` of packets that one polar block carries; 0 or less: none.

    Where the layer has parity packets of erasure coding, these are the longest.
    """
    largest = largest_polar_payload_bits(layer.code_rate, bits_per_symbol(layer.modulation)) // 8
    parity = FLAG_BYTES + LENGTH_BYTES if layer.erasure_rate < 1.0 else 0
    return largest - HEADER_BYTES - parity
