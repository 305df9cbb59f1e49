"""One link: packets of bytes over coded QAM and a channel.

bytes -> bits -> CRC + code -> scrambling -> QAM -> channel -> demapper -> code + CRC -> bytes
         MSB     block.py      scrambling.py modulation.py    modulation.py   harq.py
         first   block_codes.py                     fading.py, ofdm.py ...

A packet is one transport block. One that fails may be sent again (hybrid ARQ); what fails for good
is dropped, or delivered with its errors. Packets that vanish above the physical layer are none of
this: see packet_loss.py. With an ideal code nothing is sent: its packets arrive or not by the noise
that the channel would leave in their symbols, see ideal.py.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from channels.block import Block, BlockSizes
from channels.block_codes import (
    CODINGS,
    BlockCode,
    Coding,
    block_code,
    code_sizes,
    largest_code,
)
from channels.channel import Channel, check_choice, check_range
from channels.errors import ChannelError
from channels.fading import Awgn
from channels.harq import HarqMode, send_with_harq
from channels.ideal import GAUSSIAN, arrives, check_ideal
from channels.ldpc_decoder import DEFAULT_ITERATIONS
from channels.modulation import bits_per_symbol, demodulate, modulate
from channels.observation import Observation, observe
from channels.packet_loss import IidPacketLoss, PacketLoss
from channels.randomness import ChannelRandomness
from channels.scrambling import descramble_llr, scramble, shared_channel_c_init
from channels.snr import ebn0_db_from_esn0_db, noise_power
from channels.transport_sizes import MAX_CODE_RATE, MIN_CODE_RATE

NO_FADING = Awgn()
NO_LOSS = IidPacketLoss()

Damage = Literal["drop", "deliver"]
DAMAGES: tuple[Damage, ...] = get_args(Damage)
MAX_TRANSMISSIONS = 32
#: Scrambles every packet; which sequence it is makes no difference here.
C_INIT = shared_channel_c_init(n_rnti=1)
MAX_PACKETS = 1 << 20
"""Numbers of an image's packets are below this."""


@dataclass(frozen=True)
class LinkSetting:
    """Everything that defines a link but its random draws.

    Attributes:
        channel: what symbols meet.
        snr_db: mean Es/N0 per complex channel use at power 1, in dB.
        modulation: a name in `channels.modulation.BITS_PER_SYMBOL`; "gaussian" with ideal coding.
        code_rate: information bits, CRC included, per coded bit, at most; see
            `TransportBlockCode`. Without coding it has no meaning; with ideal coding it is in bits
            per complex symbol, 1e-12 .. 100.
        coding: "ldpc"; "polar", for packets up to `channels.polar_block`'s limit; "ldpc_polar":
            whichever is better for the packet's size; "none": the CRC alone, which only tells
            whether a packet is intact; or "ideal": see `channels.ideal`.
        power_db: transmit power in dB over 1.
        transmissions: how often a packet is sent at most, the first included.
        harq: what is sent again, "incremental" or "chase"; always "chase" for polar codes, whose
            retransmissions repeat the same bits.
        damage: "drop" packets whose CRC fails, or "deliver" them as they were decided.
        loss: what packets meet above the physical layer.
        max_iterations: of the LDPC decoder, at least 1.

    Raises:
        ChannelError: an unknown name or a value outside its range.
    """

    channel: Channel = NO_FADING
    snr_db: float = 10.0
    modulation: str = "16qam"
    code_rate: float = 0.5
    coding: Coding = "ldpc"
    power_db: float = 0.0
    transmissions: int = 1
    harq: HarqMode = "incremental"
    damage: Damage = "drop"
    loss: PacketLoss = NO_LOSS
    max_iterations: int = DEFAULT_ITERATIONS

    def __post_init__(self) -> None:
        check_choice("coding", self.coding, CODINGS)
        if self.coding == "ideal":
            check_ideal(self.channel, self.modulation, self.code_rate, self.damage)
        else:
            bits_per_symbol(self.modulation)
            check_range("code_rate", self.code_rate, MIN_CODE_RATE, MAX_CODE_RATE)
        check_range("snr_db", self.snr_db, -100.0, 200.0)
        check_range("power_db", self.power_db, -100.0, 100.0)
        check_range("transmissions", self.transmissions, 1, MAX_TRANSMISSIONS)
        check_choice("harq", self.harq, get_args(HarqMode))
        check_choice("damage", self.damage, DAMAGES)
        check_range("max_iterations", self.max_iterations, 1, 10_000)
        if self.coding == "none" and self.transmissions > 1:
            raise ChannelError("transmissions: expected 1 without coding: nothing can be combined")

    @property
    def bits_per_symbol(self) -> int:
        """Coded bits per complex symbol; 1 of a Gaussian one, whose rate is that of a symbol."""
        return 1 if self.modulation == GAUSSIAN else bits_per_symbol(self.modulation)

    @property
    def no(self) -> float:
        """Noise power per complex channel use, relative to the power of this link's symbols."""
        return noise_power(self.snr_db + self.power_db)

    @property
    def ebn0_db(self) -> float:
        """Eb/N0 in dB at power 1 and the nominal code rate."""
        rate = self.code_rate if self.coding != "none" else 1.0
        return ebn0_db_from_esn0_db(self.snr_db, rate, self.bits_per_symbol)

    def code(self, payload_bits: int) -> BlockCode:
        """The code that a packet of so many bits gets. ChannelError for an ideal one."""
        return block_code(self.coding, payload_bits, self.code_rate, self.bits_per_symbol)

    def sizes(self, payload_bits: int) -> BlockSizes:
        """What a packet of so many bits costs; its block says the same, but takes longer."""
        scheme = (payload_bits, self.code_rate, self.bits_per_symbol)
        return code_sizes(self.coding, *scheme).sizes(*scheme)

    def block(self, payload_bits: int) -> Block:
        """The transport block that carries a packet of so many bits."""
        return self.code(payload_bits).block(payload_bits, self.code_rate, self.bits_per_symbol)

    def harq_of(self, payload_bits: int) -> HarqMode:
        """What is sent again of a packet of so many bits."""
        return self.harq if self.code(payload_bits).has_versions else "chase"


@dataclass(frozen=True)
class PacketCost:
    """What one transmission costs: payload + crc + parity + padding == coded_bits.

    Attributes:
        payload_bits: the packet's own bytes.
        crc_bits: checks of the physical layer, segments' included.
        parity_bits: redundancy of the code.
        padding_bits: known zeros.
        coded_bits: all of them.
        symbols: complex symbols of the modulation, which the coded bits fill.
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
    """What became of a packet in the physical layer.

    Attributes:
        data: the bytes that arrived; None if nothing is delivered. Wrong bytes pass a CRC of 16
            bits about once in 2^16 failures, one of 24 bits in 2^24; up to 8 times as often with
            polar codes, whose decoder has 8 candidates.
        decoded: every CRC of the physical layer held; else `data` has errors.
        transmissions: how often it was sent, at least once.
        bit_error_estimate: the share of coded bits that the demapper expects to be wrong in the
            last transmission, from its LLRs: how far damaged data can be trusted.
        observed: what its symbols met, all transmissions together; None where none were sent: by
            tables, and with an ideal code.
    """

    data: bytes | None
    decoded: bool
    transmissions: int = 1
    bit_error_estimate: float = 0.0
    observed: Observation | None = field(default=None, compare=False)


def packet_cost(payload_bytes: int, setting: LinkSetting) -> PacketCost:
    """What each transmission of a packet of `payload_bytes` (at least 1) costs.

    Raises:
        ChannelError: an empty packet, or one that is too large for its code.
    """
    if payload_bytes < 1:
        raise ChannelError(f"packet: expected at least 1 byte, found {payload_bytes}")
    sizes = setting.sizes(8 * payload_bytes)
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
    code = largest_code(setting.coding)
    return code.largest_payload_bits(symbols, setting.code_rate, setting.bits_per_symbol) // 8


def send_packet(
    packet: bytes, setting: LinkSetting, randomness: ChannelRandomness, number: int
) -> PacketOutcome:
    """Send one packet over the link.

    Args:
        packet: at least 1 byte.
        setting: the link.
        randomness: the image's draws. To the channel, transmission t of packet n is packet
            n + t MAX_PACKETS: it has noise and, as far as a fade lasts for a packet, a fade of its
            own; what lasts for an image is the same for all.
        number: of the packet within the image, 0 .. MAX_PACKETS - 1. What happens to it depends on
            its number, its bytes and the randomness only, not on the other packets.

    Returns:
        Its outcome; each transmission costs what `packet_cost` says.

    Raises:
        ChannelError: an empty packet, or a number outside its range.
    """
    check_range("packet number", number, 0, MAX_PACKETS - 1)
    if not packet:
        raise ChannelError(f"packet {number}: expected at least 1 byte, found none")
    if setting.coding == "ideal":
        return _send_ideally(packet, setting, randomness, number)
    payload = np.unpackbits(np.frombuffer(packet, np.uint8))
    block = setting.block(len(payload))
    estimate = 0.0
    observed = Observation()

    def transmit(coded: NDArray[np.uint8], transmission: int) -> NDArray[np.float32]:
        nonlocal estimate, observed
        llr, seen = _over_the_air(coded, setting, randomness, number + transmission * MAX_PACKETS)
        observed += seen
        if setting.damage == "deliver":
            estimate = float(np.mean(expit(-np.abs(llr, dtype=np.float64))))
        return llr

    mode = setting.harq_of(len(payload))
    done = send_with_harq(
        block, payload, transmit, mode, setting.transmissions, setting.max_iterations
    )
    delivered = done.ok or setting.damage == "deliver"
    data = np.packbits(done.payload).tobytes() if delivered else None
    return PacketOutcome(data, done.ok, done.transmissions, estimate, observed)


def _send_ideally(
    packet: bytes, setting: LinkSetting, randomness: ChannelRandomness, number: int
) -> PacketOutcome:
    """`send_packet` with an ideal code: the same transmissions meet the same fades."""
    symbols = setting.sizes(8 * len(packet)).channel_uses
    received: list[NDArray[np.float64] | float] = []
    for transmission in range(setting.transmissions):
        number_sent = number + transmission * MAX_PACKETS
        noise = setting.channel.noise_powers(symbols, setting.no, randomness, number_sent)
        received.append(noise)
        if arrives(8 * len(packet), received, symbols, setting.harq):
            return PacketOutcome(packet, True, len(received))
    return PacketOutcome(None, False, len(received))


def _over_the_air(
    coded: NDArray[np.uint8], setting: LinkSetting, randomness: ChannelRandomness, number: int
) -> tuple[NDArray[np.float32], Observation]:
    """LLRs of coded bits after scrambling, modulation and channel, and their inverses."""
    symbols = modulate(scramble(coded, C_INIT), setting.modulation)
    received, noise = setting.channel.transmit(symbols, setting.no, randomness, number)
    seen = observe(
        symbols, received, noise, setting.no, setting.modulation,
        retransmission=number >= MAX_PACKETS,
    )  # fmt: skip
    return descramble_llr(demodulate(received, noise, setting.modulation), C_INIT), seen
