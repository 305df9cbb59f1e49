"""What `testbed bench` prints."""

from __future__ import annotations

from channels.bench_demapper import bench_demapper
from channels.bench_ldpc import bench_ldpc
from channels.bench_link import bench_link
from channels.bench_polar import CODE_RATES, PAYLOADS, SPEED_SIZES, polar_gain, polar_speed
from channels.bench_tables import bench_tables
from channels.fading import Awgn, Rayleigh
from channels.impairments import Impaired
from channels.ldpc_decoder import DEFAULT_ITERATIONS
from channels.link import LinkSetting
from channels.ofdm import Ofdm
from channels.spatial_multiplexing import SpatialMultiplexing
from codec.bench_cabac import bench_cabac


def print_ldpc() -> None:
    """Speed of the LDPC decoders where ours fails on about one word in a hundred; ratios."""
    for k, esn0_db, words, sionna_words in ((1024, 1.45, 2000, 32), (8448, 1.1, 500, 8)):
        ours, *others = bench_ldpc(k, 0.5, esn0_db, words, sionna_words)
        print(
            f"5G LDPC, k = {k}, rate 1/2, QPSK, Es/N0 {esn0_db:g} dB, at most "
            f"{DEFAULT_ITERATIONS} iterations, one core"
        )
        for each in (ours, *others):
            ratio = ours.info_mbit_s / each.info_mbit_s
            print(
                f"  {each.decoder:31} {each.info_mbit_s:8.3f} info Mbit/s  "
                f"{each.block_errors:3} of {each.words:4} words wrong"
                + (f"  ours is {ratio:.0f} times as fast" if each is not ours else "")
            )


def print_polar(words: int) -> None:
    """Gain of polar over LDPC, from `words` blocks per point at most; speed beside Sionna's."""
    import torch

    print("gain of polar over LDPC in dB (Es/N0 of polar) at 1 % block errors, QPSK, AWGN")
    print("payload bits  " + "".join(f"{f'rate {rate:.2f}':>18}" for rate in CODE_RATES))
    for payload_bits in PAYLOADS:
        gains = (polar_gain(payload_bits, rate, words) for rate in CODE_RATES)
        cells = (f"{gain.gain_db:+.2f} ({gain.polar_db:+.2f})" for gain in gains)
        print(f"{payload_bits:12}  " + "".join(f"{cell:>18}" for cell in cells), flush=True)
    torch.set_num_threads(1)
    print("list of 8, one core:  k, n   ours Mbit/s   Sionna Mbit/s   ratio   errors of each")
    for k, n, esn0_db in SPEED_SIZES:
        speed = polar_speed(k, n, esn0_db)
        print(
            f"{k:24}, {n:4}   {speed.ours_mbit_s:6.2f}   {speed.sionna_mbit_s:8.4f}   "
            f"{speed.ratio:6.0f}   {speed.block_errors}, {speed.sionna_block_errors} "
            f"of {speed.words}"
        )


def print_demapper() -> None:
    """Coded Mbit/s of the demapper by modulation."""
    print("demapper, AWGN where a coded bit tells 3/4 bit, one core, coded Mbit/s")
    for each in bench_demapper():
        speeds = "".join(f"  {name} {speed:6.1f}" for name, speed in each.coded_mbit_s.items())
        print(f"  {each.modulation:8} Es/N0 {each.snr_db:5.1f} dB{speeds}")


def print_tables() -> None:
    """Packets per second, bit by bit and by tables, over one channel of each kind."""
    print("packets of 1000 bytes, 16QAM rate 1/2, swept over 6 .. 14 dB, one core, per second")
    for name, channel in (
        ("AWGN", Awgn()),
        ("Rayleigh block", Rayleigh()),
        ("Rayleigh, per symbol", Rayleigh(variation="symbol")),
        ("OFDM over TDL-A", Ofdm()),
        ("the same, least squares", Ofdm(estimation="ls")),
        ("the same, LMMSE", Ofdm(estimation="lmmse")),
        ("Rayleigh, Doppler", Rayleigh(variation="doppler")),
        ("2x2 streams, block", SpatialMultiplexing()),
        ("2x2 streams, per symbol", SpatialMultiplexing(variation="symbol")),
        ("phase noise", Impaired(phase_noise_deg=0.5)),
    ):
        speed = bench_tables(LinkSetting(channel, 10.0, "16qam", 0.5))
        print(
            f"  {name:23} bit by bit {speed.exact_per_s:6.0f}  by tables "
            f"{speed.tables_per_s:8.0f}  {speed.ratio:6.0f} times as fast"
        )


def print_link() -> None:
    """What each stage of the link takes, for packets of 1000 bytes over AWGN."""
    for modulation, code_rate, snr_db in (
        ("qpsk", 0.5, 2.5),
        ("16qam", 0.5, 8.0),
        ("256qam", 0.75, 24.0),
    ):
        setting = LinkSetting(snr_db=snr_db, modulation=modulation, code_rate=code_rate)
        stages = bench_link(setting)
        whole = 1 / sum(1 / stage.info_mbit_s for stage in stages)
        print(
            f"{modulation}, rate {code_rate:g}, Es/N0 {snr_db:g} dB, packets of 1000 bytes, "
            f"one core: {whole:.1f} info Mbit/s"
        )
        for stage in stages:
            print(f"  {stage.stage:24} {stage.info_mbit_s:8.1f} info Mbit/s  {stage.share:5.1%}")


def print_cabac() -> None:
    """Mbin/s of the arithmetic coder in batch calls."""
    speed = bench_cabac()
    print(
        f"CABAC, one core: encode {speed.encode_mbin_per_s:.0f} Mbin/s, "
        f"decode {speed.decode_mbin_per_s:.0f} Mbin/s"
    )
