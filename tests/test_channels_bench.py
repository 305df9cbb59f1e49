"""The benchmark runs, and its three decoders agree as they should."""

import subprocess
import sys

import pytest

from channels.bench import bench_ldpc
from channels.bench_link import bench_link
from channels.link import LinkSetting


def test_bench_ldpc() -> None:
    result = bench_ldpc(k=320, ebn0_db=3.0, words=24)
    assert (result.k, result.n, result.words) == (320, 640, 24)
    assert result.ours_block_errors <= result.sionna_layered_block_errors
    # About 100 on an idle core; far from any doubt even on a busy one.
    assert result.speedup > 10
    assert result.speedup_layered > 10


def test_bench_link_names_every_stage_once() -> None:
    stages = bench_link(LinkSetting(snr_db=8.0), packet_bytes=100)
    assert len({stage.stage for stage in stages}) == len(stages) == 7
    assert sum(stage.share for stage in stages) == pytest.approx(1.0)
    assert all(stage.info_mbit_s > 0 for stage in stages)


def test_importing_channels_imports_neither_sionna_nor_torch() -> None:
    program = "import sys, channels.link, channels.bench; print(sorted(sys.modules))"
    modules = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout
    assert "'channels.link'" in modules
    assert "'torch'" not in modules
    assert "'sionna'" not in modules
