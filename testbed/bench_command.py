"""What `testbed bench` prints."""

from __future__ import annotations

from pathlib import Path

from channels.bench import bench_ldpc
from channels.bench_link import bench_link
from channels.link import LinkSetting
from codec.bench_cabac import bench_cabac
from codec.bench_codec import bench_codec
from testbed.images import load_images


def print_ldpc() -> None:
    """Speed and block errors of the LDPC decoders on the same words; ratios within this run."""
    run = bench_ldpc()
    print(
        f"5G NR LDPC, k = {run.k}, n = {run.n}, {run.modulation}, Eb/N0 {run.ebn0_db:g} dB, "
        f"{run.words} words, at most {run.iterations} iterations, one core"
    )
    for name, speed, errors in (
        ("ours, layered offset min-sum", run.ours_mbit_s, run.ours_block_errors),
        (
            "Sionna, boxplus-phi, flooding",
            run.sionna_default_mbit_s,
            run.sionna_default_block_errors,
        ),
        (
            "Sionna, layered offset min-sum",
            run.sionna_layered_mbit_s,
            run.sionna_layered_block_errors,
        ),
    ):
        print(f"  {name:31} {speed:8.3f} info Mbit/s   {errors} block errors")
    print(f"  ours is {run.speedup:.0f} and {run.speedup_layered:.0f} times as fast")


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


def print_codec() -> None:
    """Pictures per second and lossless rate on the packaged 32x32 pictures."""
    speed = bench_codec([image.pixels for image in load_images("samples32", Path())])
    print(
        f"layered codec, nine layers, {speed.pictures} pictures of 32x32, one core: encode "
        f"{speed.encoded_per_s:.0f}/s, decode {speed.decoded_per_s:.0f}/s, exact, "
        f"{speed.bits_per_subpixel:.2f} bits per sub-pixel"
    )
