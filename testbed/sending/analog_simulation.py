"""Trials of a codec that sends symbols instead of bits.

    picture -> AnalogCodec -> symbols -> packets of symbols -> channel -> packet loss -> AnalogCodec

The symbols go straight over the channel and meet the draws that other codecs' packets meet. A
packet of them is as long as one of `max_bytes` at two bits per symbol, pilots and prefixes are
charged as for any other; there are no headers and no CRCs. A packet that is lost leaves symbols of
which the receiver knows nothing. Sizes are control information, as they are for all.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from channels.channel import Channel
from channels.link import LinkSetting
from channels.observation import Observation, observe_analog
from channels.randomness import ChannelRandomness
from codec.analog import ReceivedSymbols
from codec.base import CodecError
from testbed.evaluation.metrics import failed_picture
from testbed.registry import CodecSetupError, make_analog_codec
from testbed.running.trials import budget_channel_uses
from testbed.running.work import Outcome, Work
from testbed.sending.packets import Ledger
from testbed.sending.transmission import Transmission, image_randomness, layer_links

SYMBOLS_PER_BYTE = 4

NOTHING_SENT = Transmission(Ledger(), 0, 0, 0, 0, 0, 0, (), Observation())


def simulate_analog(work: Work) -> list[Outcome]:
    """All trials of `work`, in their order."""
    codec = make_analog_codec(work.codec)
    packet_symbols = SYMBOLS_PER_BYTE * work.max_bytes
    # Repetitions and channels send the same symbols.
    encoded: dict[tuple[int, int, float], NDArray[np.complex128] | None] = {}
    outcomes = []
    for trial in work.trials:
        image = work.images[trial.image_index]
        height, width = image.pixels.shape[:2]
        links = layer_links(trial.link)
        setting = links[0].setting
        budget = budget_channel_uses(trial.link.cbr, height, width)
        room = symbols_within(budget, packet_symbols, setting.channel)
        key = trial.image_index, room, trial.link.snr_db
        if key not in encoded:
            try:
                (encoded[key],) = codec.encode_symbols([image.pixels], room, trial.link.snr_db)
            except CodecError as error:
                message = f"codec {work.codec.name}, image {image.name}: {error}"
                raise CodecSetupError(message) from error
        symbols = encoded[key]
        shown, sent = failed_picture(height, width), NOTHING_SENT
        if symbols is not None:
            randomness = image_randomness(work.seed, image.sha256, trial.repetition)
            sent, received, noise = transmit_symbols(symbols, setting, randomness, packet_symbols)
            (shown,) = codec.decode_symbols([ReceivedSymbols(received, noise, height, width)])
        failed = sent.packets_sent == sent.packets_lost
        if failed:
            # Of nothing a codec would show something, but not of this picture.
            shown = failed_picture(height, width)
        outcomes.append(Outcome(trial, budget, (), sent, shown, int(not failed), failed))
    return outcomes


def transmit_symbols(
    symbols: NDArray[np.complex128],
    setting: LinkSetting,
    randomness: ChannelRandomness,
    packet_symbols: int,
) -> tuple[Transmission, NDArray[np.complex128], NDArray[np.float64]]:
    """Sends complex128[n], n at least 1, in packets of at most `packet_symbols`.

    Returns what it cost, the equalised symbols, complex128[n], and the noise power left in each,
    float64[n]: 0 and infinite for those of lost packets.
    """
    starts = range(0, len(symbols), packet_symbols)
    received = np.zeros(len(symbols), np.complex128)
    noise = np.full(len(symbols), math.inf)
    arrived = set(setting.loss.arrivals(0, len(starts), randomness).tolist())
    observed = Observation()
    uses = 0
    for number, start in enumerate(starts):
        part = slice(start, start + packet_symbols)
        heard, left = setting.channel.transmit(symbols[part], setting.no, randomness, number)
        observed += observe_analog(symbols[part], heard, left, setting.no)
        uses += setting.channel.uses(len(heard))
        if number in arrived:
            received[part], noise[part] = heard, left
    transmission = Transmission(
        ledger=Ledger(symbols=len(symbols), channel_uses=uses),
        layers_sent=1,
        packets_sent=len(starts),
        packets_decoded=len(starts),
        packets_damaged=0,
        packets_lost=len(starts) - len(arrived),
        transmissions=len(starts),
        received=(),
        observed=observed,
    )
    return transmission, received, noise


def symbols_within(budget_uses: int, packet_symbols: int, channel: Channel) -> int:
    """The most symbols whose packets take at most `budget_uses` channel uses."""
    whole, left = divmod(budget_uses, channel.uses(packet_symbols))
    return whole * packet_symbols + min(channel.symbols_within(left), packet_symbols)
