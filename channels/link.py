"""One link: packets of bytes over coded QAM and a channel.

bytes -> bits -> CRC + LDPC -> QAM -> channel -> demapper -> LDPC + CRC -> bytes, or nothing
         MSB     coding.py    modulation.py  fading.py        coding.py
         first                                                            packet_loss.py
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from channels.channel import Channel, check_range
from channels.coding import transport_block_code
from channels.errors import ChannelError
from channels.fading import Awgn
from channels.ldpc_decoder import DEFAULT_ITERATIONS
from channels.modulation import bits_per_symbol, demodulate, modulate
from channels.packet_loss import IidPacketLoss, PacketLoss
from channels.randomness import ChannelRandomness
from channels.snr import ebn0_db_from_esn0_db, noise_power
from channels.transport_sizes import MAX_CODE_RATE, MIN_CODE_RATE, transport_sizes
from channels.transport_sizes import largest_payload_bits as _largest_payload_bits

NO_FADING = Awgn()
NO_LOSS = IidPacketLoss()


@dataclass(frozen=True)
class LinkSetting:
    """Everything that defines a link but its random draws.

    Attributes:
        channel: what symbols meet.
        snr_db: mean Es/N0 per complex channel use, in dB.
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`.
        code_rate: information bits, CRC included, per coded bit, at most; 0.2 .. 0.95. Above 0.9
            packets below 32 bytes may never arrive: see `TransportBlockCode`.
        loss: what packets meet above the physical layer.
        max_iterations: of the LDPC decoder, at least 1.

    Raises:
        ChannelError: an unknown name or a value outside its range.
    """

    channel: Channel = NO_FADING
    snr_db: float = 10.0
    modulation: str = "16qam"
    code_rate: float = 0.5
    loss: PacketLoss = NO_LOSS
    max_iterations: int = DEFAULT_ITERATIONS

    def __post_init__(self) -> None:
        bits_per_symbol(self.modulation)
        check_range("snr_db", self.snr_db, -100.0, 200.0)
        check_range("code_rate", self.code_rate, MIN_CODE_RATE, MAX_CODE_RATE)
        check_range("max_iterations", self.max_iterations, 1, 10_000)

    @property
    def bits_per_symbol(self) -> int:
        """Coded bits per complex channel use."""
        return bits_per_symbol(self.modulation)

    @property
    def no(self) -> float:
        """Noise power per complex channel use at unit transmit power."""
        return noise_power(self.snr_db)

    @property
    def ebn0_db(self) -> float:
        """Eb/N0 in dB at the nominal code rate."""
        return ebn0_db_from_esn0_db(self.snr_db, self.code_rate, self.bits_per_symbol)


@dataclass(frozen=True)
class PacketCost:
    """What a packet costs: payload + crc + parity + padding == coded_bits, which fill the symbols.

    Attributes:
        payload_bits: the packet's own bytes.
        crc_bits: checks of the physical layer, segments' included.
        parity_bits: redundancy of the LDPC code.
        padding_bits: known zeros.
        coded_bits: all of them.
        symbols: complex symbols of the modulation.
        channel_uses: complex channel uses that they take, pilots and prefixes included.
    """

    payload_bits: int
    crc_bits: int
    parity_bits: int
    padding_bits: int
    coded_bits: int
    symbols: int
    channel_uses: int


@dataclass(frozen=True)
class PacketOutcome:
    """What became of a packet.

    Attributes:
        data: the bytes that arrived; None if they were not decoded or the packet was lost. Wrong
            bytes pass a CRC of 16 bits about once in 2^16 failures, one of 24 bits in 2^24.
        decoded: every CRC of the physical layer held.
        lost: the packet was lost above the physical layer.
    """

    data: bytes | None
    decoded: bool
    lost: bool


def packet_cost(payload_bytes: int, setting: LinkSetting) -> PacketCost:
    """What a packet of `payload_bytes` (at least 1) costs, whether or not it arrives.

    Raises:
        ChannelError: an empty packet.
    """
    if payload_bytes < 1:
        raise ChannelError(f"packet: expected at least 1 byte, found {payload_bytes}")
    sizes = transport_sizes(8 * payload_bytes, setting.code_rate, setting.bits_per_symbol)
    return PacketCost(
        payload_bits=sizes.payload_bits,
        crc_bits=sizes.crc_bits,
        parity_bits=sizes.parity_bits,
        padding_bits=sizes.padding_bits,
        coded_bits=sizes.coded_bits,
        symbols=sizes.channel_uses,
        channel_uses=setting.channel.uses(sizes.channel_uses),
    )


def largest_packet_bytes(channel_uses: int, setting: LinkSetting) -> int:
    """The largest packet that needs at most `channel_uses` complex channel uses; 0 if none does."""
    symbols = setting.channel.symbols_within(channel_uses)
    return _largest_payload_bits(symbols, setting.code_rate, setting.bits_per_symbol) // 8


def send_packets(
    packets: Sequence[bytes],
    setting: LinkSetting,
    randomness: ChannelRandomness,
    first_packet: int = 0,
) -> list[PacketOutcome]:
    """Send the packets of one image over the link.

    Args:
        packets: each at least 1 byte; every packet is one transport block.
        setting: the link.
        randomness: the image's draws.
        first_packet: number of packets[0] within the image. What happens to a packet depends on
            its number, its bytes and the randomness only, not on the other packets.

    Returns:
        One outcome per packet, in order. Each packet costs what `packet_cost` says, lost or not.

    Raises:
        ChannelError: an empty packet.
    """
    lost = setting.loss.losses(first_packet, len(packets), randomness)
    m = setting.bits_per_symbol
    no = setting.no
    outcomes = []
    for i, packet in enumerate(packets):
        if not packet:
            raise ChannelError(f"packet {first_packet + i}: expected at least 1 byte, found none")
        code = transport_block_code(8 * len(packet), setting.code_rate, m)
        bits = np.unpackbits(np.frombuffer(packet, np.uint8))
        symbols = modulate(code.encode(bits), setting.modulation)
        received, noise = setting.channel.transmit(symbols, no, randomness, first_packet + i)
        llr = demodulate(received, noise, setting.modulation)
        decided, decoded = code.decode(llr, setting.max_iterations)
        arrived = decoded and not lost[i]
        data = np.packbits(decided).tobytes() if arrived else None
        outcomes.append(PacketOutcome(data, decoded, bool(lost[i])))
    return outcomes
