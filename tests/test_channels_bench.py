"""The benchmarks run, and what they compare is comparable."""

import subprocess
import sys
from pathlib import Path

import pytest

from channels.bench_demapper import bench_demapper
from channels.bench_ldpc import DecoderSpeed, bench_ldpc
from channels.bench_link import bench_link
from channels.bench_tables import TierSpeed, bench_tables
from channels.channel import Channel
from channels.fading import Awgn, Rayleigh
from channels.link import LinkSetting
from channels.modulation import BITS_PER_SYMBOL
from channels.mutual_information import bicm_information
from channels.ofdm import Ofdm
from channels.table_link import check_setting
from testbed.commands import bench_command


def test_bench_ldpc() -> None:
    ours, default, layered = bench_ldpc(320, 1 / 2, 1.5, words=200, sionna_words=24)
    assert (ours.words, default.words, layered.words) == (200, 24, 24)
    # Early stop aside, ours decides as Sionna's layered decoder; on 24 of its 200 words here.
    assert ours.block_errors >= layered.block_errors
    assert ours.block_errors < 100
    # At least 80 on an idle core; far from any doubt even on a busy one.
    assert ours.info_mbit_s > 10 * default.info_mbit_s
    assert ours.info_mbit_s > 10 * layered.info_mbit_s


def test_bench_demapper() -> None:
    speeds = {each.modulation: each for each in bench_demapper(symbols=500)}
    assert list(speeds) == list(BITS_PER_SYMBOL)
    for each in speeds.values():
        assert bicm_information(each.snr_db, each.modulation) == pytest.approx(0.75, abs=1e-3)
        assert min(each.coded_mbit_s.values()) > 0
    # More levels, more distances per bit.
    app = [speeds[name].coded_mbit_s["app"] for name in ("qpsk", "1024qam")]
    assert app[0] > app[1]
    exact, nearest = (speeds["256qam"].coded_mbit_s[method] for method in ("app", "maxlog"))
    assert nearest > exact


@pytest.mark.parametrize("channel", [Awgn(), Rayleigh(variation="symbol"), Ofdm()])
def test_bench_tables(channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTBED_TABLES", str(tmp_path))
    setting = LinkSetting(channel, 10.0)
    speeds = [bench_tables(setting, packet_bytes=1000, words=5) for _ in range(3)]
    assert all(each.ratio == each.tables_per_s / each.exact_per_s for each in speeds)
    # More than 100 on an idle core; far from any doubt even on a busy one, which may spoil a try.
    assert max(each.ratio for each in speeds) > 30


def test_bench_link_names_every_stage_once() -> None:
    stages = bench_link(LinkSetting(snr_db=8.0), packet_bytes=100)
    assert len({stage.stage for stage in stages}) == len(stages) == 8
    assert sum(stage.share for stage in stages) == pytest.approx(1.0)
    assert all(stage.info_mbit_s > 0 for stage in stages)


def test_importing_channels_imports_neither_sionna_nor_torch() -> None:
    program = "import sys, channels.link, channels.bench_ldpc; print(sorted(sys.modules))"
    modules = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert "'channels.link'" in modules
    assert "'torch'" not in modules
    assert "'sionna'" not in modules


def test_what_the_commands_print(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = []

    def tables(setting: LinkSetting) -> TierSpeed:
        settings.append(setting)
        return TierSpeed(exact_per_s=10.0, tables_per_s=250.0)

    def ldpc(*_: object) -> list[DecoderSpeed]:
        return [DecoderSpeed("ours", 2000, 17, 20.0), DecoderSpeed("theirs", 32, 1, 0.2)]

    monkeypatch.setattr(bench_command, "bench_tables", tables)
    monkeypatch.setattr(bench_command, "bench_ldpc", ldpc)
    bench_command.print_tables()
    assert capsys.readouterr().out.count("25 times as fast") == len(settings) == 10
    for setting in settings:
        check_setting(setting)
    bench_command.print_ldpc()
    printed = capsys.readouterr().out
    assert printed.count("17 of 2000 words wrong") == printed.count("100 times as fast") == 2
