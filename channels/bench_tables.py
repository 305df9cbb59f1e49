"""How much faster a packet's fate comes out of tables than out of the bit-exact link."""

from dataclasses import dataclass
from itertools import count

from channels.bench import seconds_per_run
from channels.block_errors import DEFAULT_WORDS
from channels.link import LinkSetting, send_packet
from channels.randomness import ChannelRandomness, derive_key
from channels.table_link import prepare_tables, send_packet_by_table


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
    """Send packets over one link by both tiers, each packet with a number, and a fade, of its own.

    Tables that are missing are made first, which does not count.

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
    by_bits, by_tables = count(), count()
    exact_s = seconds_per_run(lambda: send_packet(packet, setting, randomness, next(by_bits)))
    tables_s = seconds_per_run(
        lambda: send_packet_by_table(packet, setting, randomness, next(by_tables), words)
    )
    return TierSpeed(1 / exact_s, 1 / tables_s)
