"""Where a link's time goes: each stage on the same packets, on one core."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from channels.bench import seconds_per_run
from channels.coding import transport_block_code
from channels.link import C_INIT, LinkSetting
from channels.modulation import demodulate, modulate
from channels.observation import observe
from channels.randomness import ChannelRandomness, derive_key
from channels.scrambling import descramble_llr, scramble


@dataclass(frozen=True)
class StageSpeed:
    """One stage. `info_mbit_s`: payload bits per second. `share`: of the time of all stages."""

    stage: str
    info_mbit_s: float
    share: float


def bench_link(setting: LinkSetting, packet_bytes: int = 1000, seed: int = 0) -> list[StageSpeed]:
    """The stages of one packet's way with LDPC coding, in their order.

    Raises:
        ChannelError: a packet of no bytes.
    """
    code = transport_block_code(8 * packet_bytes, setting.code_rate, setting.bits_per_symbol)
    randomness = ChannelRandomness(derive_key("bench_link", seed))
    payload = randomness.generator("bits", 0).integers(0, 2, 8 * packet_bytes, np.uint8)
    coded = code.encode(payload)
    scrambled = scramble(coded, C_INIT)
    symbols = modulate(scrambled, setting.modulation)
    received, noise = setting.channel.transmit(symbols, setting.no, randomness, 0)
    scrambled_llr = demodulate(received, noise, setting.modulation)
    llr = descramble_llr(scrambled_llr, C_INIT)
    stages: dict[str, Callable[[], object]] = {
        "CRC and LDPC encoding": lambda: code.encode(payload),
        "scrambling": lambda: scramble(coded, C_INIT),
        "modulation": lambda: modulate(scrambled, setting.modulation),
        "channel": lambda: setting.channel.transmit(symbols, setting.no, randomness, 0),
        "observation": lambda: observe(symbols, received, noise, setting.no, setting.modulation),
        "demapping": lambda: demodulate(received, noise, setting.modulation),
        "descrambling": lambda: descramble_llr(scrambled_llr, C_INIT),
        "LDPC decoding and CRC": lambda: code.decode(llr, setting.max_iterations),
    }
    seconds = {name: seconds_per_run(run) for name, run in stages.items()}
    total = sum(seconds.values())
    bits = 8 * packet_bytes
    return [StageSpeed(name, bits / s / 1e6, s / total) for name, s in seconds.items()]
