"""How much faster a packet's fate comes out of tables than out of the bit-exact link."""

from dataclasses import dataclass, replace
from itertools import count

from channels.bench import seconds_per_run
from channels.block_errors import DEFAULT_WORDS
from channels.link import LinkSetting, send_packet
from channels.randomness import ChannelRandomness, derive_key
from channels.table_link import prepare_tables, send_packet_by_table

SWEEP_DB = tuple(range(-4, 5))
"""SNRs of the sweep, relative to that of the link."""


@dataclass(frozen=True)
class TierSpeed:
    """Packets per second on one core, bit by bit and by tables."""

    exact_per_s: float
    tables_per_s: float

    @property
    def ratio(self) -> float:
        """Tables over exact."""
        return self.tables_per_s / self.exact_per_s


def bench_tables(
    setting: LinkSetting, packet_bytes: int = 1000, words: int = DEFAULT_WORDS, seed: int = 0
) -> TierSpeed:
    """Send packets over one link by both tiers.

    As in a sweep of a scenario, each packet has a fade of its own and meets it at every SNR of
    SWEEP_DB; tables remember it. Tables that are missing are made first, which does not count.

    Args:
        setting: the link; see `channels.table_link.check_setting`.
        packet_bytes: at least 1.
        words: code blocks per point of the tables, see `channels.block_errors.TableKey`.
        seed: of payload and channel.

    Raises:
        ChannelError: a link for which there are no tables, or packets of no bytes.
    """
    randomness = ChannelRandomness(derive_key("bench_tables", seed))
    packet = randomness.generator("payload", 0).bytes(packet_bytes)
    prepare_tables(setting, [packet_bytes], words)
    sweep = [replace(setting, snr_db=setting.snr_db + each) for each in SWEEP_DB]
    by_bits, by_tables = count(), count()

    def send_bits() -> None:
        number = next(by_bits)
        for each in sweep:
            send_packet(packet, each, randomness, number)

    def send_tables() -> None:
        number = next(by_tables)
        for each in sweep:
            send_packet_by_table(packet, each, randomness, number, words)

    exact_s, tables_s = seconds_per_run(send_bits), seconds_per_run(send_tables)
    return TierSpeed(len(sweep) / exact_s, len(sweep) / tables_s)
